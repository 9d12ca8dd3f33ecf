"""Rules of one's own: a Lambda function looks, and tells what it thinks with PutEvaluations.

Source: "AWS Config Custom Lambda Rules", Developer Guide (the function's event); PutEvaluations, API reference.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from itertools import groupby
from typing import Any, Final

from geumgo.context import Context, Params, Work
from geumgo.room import operation
from geumgo.sealing import Sealing, Unsealable
from geumgo.services.config import store, store_verdicts
from geumgo.services.config.domain_compliance import stamp
from geumgo.services.config.domain_rules import INSUFFICIENT_DATA, SecretFacts
from geumgo.services.config.errors import InvalidParameterValue, InvalidResultToken, NoSuchConfigRule
from geumgo.services.config.records import SECRET, Recorder, Rule, Verdict
from geumgo.services.config.settling import settle

_PURPOSE: Final = "config_result_token"
_TEST: Final = "TESTMODE"  # Source: PutEvaluationsRequest.TestMode, API reference


# -- what the function is told ----------------------------------------------------------------------------------------


def invoke_on_schedule(work: Work, rule: Rule, recorder: Recorder, now_ms: int) -> None:
    """The function is told that it is time. Raises refusals of Lambda."""
    said = {
        "awsAccountId": rule.account,
        "notificationCreationTime": stamp(now_ms),
        "messageType": "ScheduledNotification",
        "recordVersion": "1.0",
    }
    _invoke(work, rule, recorder, said, now_ms)


def invoke_on(work: Work, rule: Rule, recorder: Recorder, facts: SecretFacts, now_ms: int) -> None:
    """The function is told what a secret is like. Raises refusals of Lambda."""
    said = {
        "configurationItemDiff": None,
        "configurationItem": configuration_item(rule, facts, now_ms),
        "notificationCreationTime": stamp(now_ms),
        "messageType": "ConfigurationItemChangeNotification",
        "recordVersion": "1.3",
    }
    _invoke(work, rule, recorder, said, now_ms)


def configuration_item(rule: Rule, facts: SecretFacts, now_ms: int) -> dict[str, Any]:
    """A secret as a configuration item. Unverified: the members of `configuration`, which are those of DescribeSecret."""
    times = {
        "CreatedDate": facts.created_at_ms,
        "LastChangedDate": facts.changed_at_ms,
        "LastAccessedDate": facts.accessed_at_ms,
        "LastRotatedDate": facts.rotated_at_ms,
        "NextRotationDate": facts.next_rotation_at_ms,
    }
    configuration = {
        "ARN": facts.arn,
        "Name": facts.name,
        "KmsKeyId": facts.kms_key,
        "RotationEnabled": facts.rotates,
        "RotationRules": dict(facts.rotation) if facts.rotation else None,
        **{name: stamp(at_ms) for name, at_ms in times.items() if at_ms is not None},
    }
    return {
        "configurationItemVersion": "1.3",
        "configurationItemCaptureTime": stamp(now_ms),
        "configurationItemStatus": "OK",
        "configurationStateId": str(now_ms),
        "awsAccountId": rule.account,
        "awsRegion": rule.region,
        "resourceType": SECRET,
        "resourceId": facts.arn,
        "resourceName": facts.name,
        "ARN": facts.arn,
        "resourceCreationTime": stamp(facts.created_at_ms),
        "tags": dict(facts.tags or {}),
        "relatedEvents": [],
        "relationships": [],
        "configuration": {name: value for name, value in configuration.items() if value is not None},
        "supplementaryConfiguration": {},
    }


def _invoke(work: Work, rule: Rule, recorder: Recorder, said: Mapping[str, Any], now_ms: int) -> None:
    event = {
        "version": "1.0",
        "invokingEvent": json.dumps(said),
        "ruleParameters": rule.definition.get("InputParameters", "{}"),
        "resultToken": make_token(work.sealing, rule, now_ms),
        "eventLeftScope": False,
        "executionRoleArn": recorder.role_arn,
        "configRuleArn": rule.arn,
        "configRuleName": rule.name,
        "configRuleId": rule.id,
        "accountId": rule.account,
    }
    work.call(
        "lambda",
        "Invoke",
        source_arn=rule.arn,
        FunctionName=rule.source,
        InvocationType="Event",
        Payload=json.dumps(event).encode(),
    )


# -- what the function tells ------------------------------------------------------------------------------------------


@operation
def put_evaluations(ctx: Context, params: Params) -> Params:
    """What the function thinks of these resources is kept as the verdicts of the rule whose token it shows.

    In test mode nothing is kept, and any token will do. An evaluation that is older than the verdict that is kept changes nothing.

    Raises InvalidResultToken, NoSuchConfigRule, InvalidParameterValue.
    """
    evaluations = params.get("Evaluations", [])
    if any(each["ComplianceType"] == INSUFFICIENT_DATA for each in evaluations):
        raise InvalidParameterValue("INSUFFICIENT_DATA is not accepted as the ComplianceType of an evaluation.")
    token = params["ResultToken"]
    if params.get("TestMode") or token == _TEST:
        return {"FailedEvaluations": []}
    rule_id, invoked_at_ms = read_token(ctx, token)
    rule = store.rule_by_id(ctx.tx, ctx.sealing, rule_id)
    if rule is None:
        raise NoSuchConfigRule(rule_id)
    newest = {
        (each["ComplianceResourceType"], each["ComplianceResourceId"]): (
            Verdict(each["ComplianceType"], each.get("Annotation", "")),
            round(each["OrderingTimestamp"].timestamp() * 1000),
        )
        for each in sorted(evaluations, key=lambda each: each["OrderingTimestamp"])
    }
    for kind, group in groupby(sorted(newest), key=lambda key: key[0]):
        ids = [resource_id for _, resource_id in group]
        known = store_verdicts.some_of_rule(ctx.tx, rule.id, kind, ids)
        judged = []
        for resource_id in ids:
            verdict, ordered_at_ms = newest[kind, resource_id]
            if resource_id not in known or known[resource_id].ordered_at_ms <= ordered_at_ms:
                judged.append((resource_id, verdict, ordered_at_ms))
        for resource_id, verdict, ordered_at_ms in judged:
            settle(
                ctx.tx,
                ctx.sealing,
                rule,
                kind,
                [(resource_id, verdict)],
                invoked_at_ms,
                ctx.clock.now_ms(),
                lambda detail: ctx.publish("aws.config", "Config Rules Compliance Change", (), detail),
                ordered_at_ms=ordered_at_ms,
            )
    return {"FailedEvaluations": []}


def make_token(sealing: Sealing, rule: Rule, invoked_at_ms: int) -> str:
    """What lets the function speak for the rule: nobody else can make one."""
    mac = sealing.vouch(
        _PURPOSE, {"rule": rule.id, "account": rule.account, "region": rule.region, "at": invoked_at_ms}
    )
    return urlsafe_b64encode(json.dumps([rule.id, invoked_at_ms, mac.hex()]).encode()).decode()


def read_token(ctx: Context, token: str) -> tuple[str, int]:
    """The rule's id and when its function was invoked. Raises InvalidResultToken unless it was made for this account and region."""
    try:
        rule_id, invoked_at_ms, mac = json.loads(urlsafe_b64decode(token.encode("ascii")))
        row = {"rule": rule_id, "account": ctx.place.account, "region": ctx.place.region, "at": invoked_at_ms}
        ctx.sealing.check(_PURPOSE, row, bytes.fromhex(mac))
    except (ValueError, TypeError, Unsealable, RecursionError):
        raise InvalidResultToken from None
    return rule_id, invoked_at_ms
