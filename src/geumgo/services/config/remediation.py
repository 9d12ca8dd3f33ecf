"""Remediation: what is done about a resource that a rule calls NON_COMPLIANT. Source: PutRemediationConfigurations and its kin."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from geumgo.context import Context, Params, as_datetime
from geumgo.domain.automation import DOCUMENTS, ParametersUnfit, parameters_for
from geumgo.room import operation, reads
from geumgo.services.config import lookup, remediating, store_remediation, store_verdicts
from geumgo.services.config.domain_rules import NON_COMPLIANT
from geumgo.services.config.errors import (
    InvalidParameterValue,
    NoSuchRemediationConfiguration,
    NoSuchRemediationException,
    RemediationInProgress,
)
from geumgo.services.config.paging import make_token, read_token
from geumgo.services.config.records import SECRET, Rule
from geumgo.services.config.store_remediation import Exempt, Remediation, Run

_PAGE: Final = 100
_EXAMPLE: Final = "arn:aws:secretsmanager:us-east-1:111122223333:secret:a-AbCdEf"
_MOST_AT_ONCE: Final = 10_000  # resources that a new automatic remediation begins with


# -- what is to be done -----------------------------------------------------------------------------------------------


@operation
def put_remediation_configurations(ctx: Context, params: Params) -> Params:
    """Each rule has this remediation in place of the one before; an automatic one begins with what is NON_COMPLIANT already.

    All of them are fit, or none is kept. Raises InvalidParameterValue, NoSuchConfigRule.
    """
    for given in params["RemediationConfigurations"]:
        rule = lookup.rule(ctx, given["ConfigRuleName"])
        _refuse(given)
        place = ctx.place
        definition = {name: value for name, value in given.items() if name not in ("Arn", "CreatedByService")}
        before = store_remediation.find(ctx.tx, ctx.sealing, rule.id)
        made = Remediation(
            rule_id=rule.id,
            account=place.account,
            region=place.region,
            partition=place.partition,
            id=before.id
            if before is not None
            else lookup.new_id(ctx, f"{rule.name}-remediation-", 8)[len(rule.name) + 1 :],
            definition=definition,
        )
        store_remediation.put(ctx.tx, ctx.sealing, made)
        if definition.get("Automatic"):
            found = store_verdicts.page_of_rule(ctx.tx, rule.id, (NON_COMPLIANT,), after=("", ""), limit=_MOST_AT_ONCE)
            ids = [each.resource_id for each in found if each.resource_type == SECRET]
            remediating.start_automatic(ctx.tx, ctx.sealing, rule, SECRET, ids, ctx.clock.now_ms())
    return {"FailedBatches": []}


def _refuse(given: Params) -> None:
    """Raises InvalidParameterValue unless such a remediation can be served."""
    document = given["TargetId"]
    if document not in DOCUMENTS:
        raise InvalidParameterValue(
            f"The target {document} is not a document that is served here: {', '.join(sorted(DOCUMENTS))}."
        )
    if given.get("TargetVersion", "1") not in ("1", "$DEFAULT", "$LATEST"):
        raise InvalidParameterValue(f"The target {document} has no version {given['TargetVersion']}.")
    if given.get("ResourceType", SECRET) != SECRET:
        raise InvalidParameterValue(f"The target {document} is for resources of the type {SECRET}.")
    try:
        parameters_for(document, given.get("Parameters", {}), _EXAMPLE)
    except ParametersUnfit as refusal:
        raise InvalidParameterValue(str(refusal)) from None


@reads
def describe_remediation_configurations(ctx: Context, params: Params) -> Params:
    """Rules without a remediation, or without existence, are left out. Unverified: that AWS leaves them out too."""
    found = []
    for name in params["ConfigRuleNames"]:
        rule = lookup.find_rule(ctx, name)
        made = store_remediation.find(ctx.tx, ctx.sealing, rule.id) if rule is not None else None
        if made is not None:
            found.append({**made.definition, "Arn": made.arn})
    return {"RemediationConfigurations": found}


@operation
def delete_remediation_configuration(ctx: Context, params: Params) -> Params:
    rule, _ = _remediated(ctx, params)
    if store_remediation.is_any_under_way(ctx.tx, rule.id):
        raise RemediationInProgress
    store_remediation.remove(ctx.tx, rule)
    return {}


def _remediated(ctx: Context, params: Params) -> tuple[Rule, Remediation]:
    rule = lookup.find_rule(ctx, params["ConfigRuleName"])
    made = store_remediation.find(ctx.tx, ctx.sealing, rule.id) if rule is not None else None
    if rule is None or made is None:
        raise NoSuchRemediationConfiguration(params["ConfigRuleName"])
    return rule, made


# -- runs -------------------------------------------------------------------------------------------------------------


@operation
def start_remediation_execution(ctx: Context, params: Params) -> Params:
    """The remediation runs soon on each resource; those on which it runs already, or which are excepted, are answered as failed."""
    rule, _ = _remediated(ctx, params)
    now_ms = ctx.clock.now_ms()
    busy = []
    for key in params["ResourceKeys"]:
        kind, resource_id = key["resourceType"], key["resourceId"]
        if kind != SECRET:
            raise InvalidParameterValue(f"The remediation is for resources of the type {SECRET}.")
        before = store_remediation.run_on(ctx.tx, rule.id, kind, resource_id)
        exempt = store_remediation.is_exempt(ctx.tx, rule.id, kind, resource_id, now_ms)
        if exempt or (before is not None and before.is_under_way):
            busy.append(dict(key))
        else:
            remediating.start(ctx.tx, rule, kind, resource_id, now_ms, attempts=0, at_ms=now_ms)
    if not busy:
        return {}
    return {
        "FailureMessage": "A remediation is in progress on these resources, or they are excepted.",
        "FailedItems": busy,
    }


@reads
def describe_remediation_execution_status(ctx: Context, params: Params) -> Params:
    """The last run on each resource that was named, or on all, by resource."""
    rule, _ = _remediated(ctx, params)
    keys = params.get("ResourceKeys")
    if keys:
        runs = [store_remediation.run_on(ctx.tx, rule.id, key["resourceType"], key["resourceId"]) for key in keys]
        return {"RemediationExecutionStatuses": [_shown(run) for run in runs if run is not None]}
    asked = {"rule": rule.id}
    after = read_token(ctx, "DescribeRemediationExecutionStatus", asked, params.get("NextToken"), 2)
    limit = params.get("Limit") or _PAGE
    found = store_remediation.runs(ctx.tx, rule.id, after=after, limit=limit + 1)
    answer: Params = {"RemediationExecutionStatuses": [_shown(run) for run in found[:limit]]}
    if len(found) > limit:
        position = [found[limit - 1].resource_type, found[limit - 1].resource_id]
        answer["NextToken"] = make_token(ctx, "DescribeRemediationExecutionStatus", asked, position)
    return answer


def _shown(run: Run) -> Params:
    steps = []
    for step in run.steps:
        began_ms, ended_ms = step["at"]
        told = {name: value for name, value in step.items() if name != "at"}
        steps.append({**told, "StartTime": as_datetime(began_ms), "StopTime": as_datetime(ended_ms)})
    return {
        "ResourceKey": {"resourceType": run.resource_type, "resourceId": run.resource_id},
        "State": run.state,
        "StepDetails": steps,
        "InvocationTime": as_datetime(run.invoked_at_ms),
        "LastUpdatedTime": as_datetime(run.updated_at_ms),
    }


# -- exceptions -------------------------------------------------------------------------------------------------------


@operation
def put_remediation_exceptions(ctx: Context, params: Params) -> Params:
    """The resources are left alone by the rule's automatic remediation, until the time that was given."""
    rule = lookup.rule(ctx, params["ConfigRuleName"])
    until = params.get("ExpirationTime")
    expires_at_ms = round(until.timestamp() * 1000) if isinstance(until, datetime) else None
    if expires_at_ms is not None and expires_at_ms <= ctx.clock.now_ms():
        raise InvalidParameterValue("ExpirationTime must lie in the future.")
    for kind, resource_id in _named(params["ResourceKeys"]):
        made = Exempt(kind, resource_id, params.get("Message", ""), expires_at_ms)
        store_remediation.keep_exception(ctx.tx, rule.id, made)
    return {"FailedBatches": []}


@reads
def describe_remediation_exceptions(ctx: Context, params: Params) -> Params:
    rule = lookup.rule(ctx, params["ConfigRuleName"])
    wanted = set(_named(params.get("ResourceKeys", [])))
    asked = {"rule": rule.id, "keys": sorted(wanted)}
    after = read_token(ctx, "DescribeRemediationExceptions", asked, params.get("NextToken"), 2)
    limit = min(params.get("Limit") or 25, 25)  # Source: RemediationExceptions, botocore model 2014-11-12
    found = store_remediation.exceptions(ctx.tx, rule.id, ctx.clock.now_ms(), after=after, limit=limit + 1)
    shown = [each for each in found[:limit] if not wanted or (each.resource_type, each.resource_id) in wanted]
    answer: Params = {"RemediationExceptions": [_exempt(rule, each) for each in shown]}
    if len(found) > limit:
        position = [found[limit - 1].resource_type, found[limit - 1].resource_id]
        answer["NextToken"] = make_token(ctx, "DescribeRemediationExceptions", asked, position)
    return answer


@operation
def delete_remediation_exceptions(ctx: Context, params: Params) -> Params:
    rule = lookup.rule(ctx, params["ConfigRuleName"])
    for kind, resource_id in _named(params["ResourceKeys"]):
        if not store_remediation.remove_exception(ctx.tx, rule.id, kind, resource_id):
            raise NoSuchRemediationException(resource_id)
    return {"FailedBatches": []}


def _named(keys: Sequence[Params]) -> list[tuple[str, str]]:
    """Raises InvalidParameterValue if a key names nothing."""
    named = [(key.get("ResourceType", ""), key.get("ResourceId", "")) for key in keys]
    if not all(kind and resource_id for kind, resource_id in named):
        raise InvalidParameterValue("Each resource key must have a ResourceType and a ResourceId.")
    return named


def _exempt(rule: Rule, each: Exempt) -> Params:
    said: Params = {"ConfigRuleName": rule.name, "ResourceType": each.resource_type, "ResourceId": each.resource_id}
    if each.message:
        said["Message"] = each.message
    if each.expires_at_ms is not None:
        said["ExpirationTime"] = as_datetime(each.expires_at_ms)
    return said
