"""What rules think of resources, asked from either side. Source: DescribeComplianceBy..., GetCompliance..., API reference."""

from collections.abc import Sequence
from typing import Final

from geumgo.context import Context, Params, as_datetime
from geumgo.room import reads
from geumgo.services.config import lookup, store, store_verdicts
from geumgo.services.config.domain_compliance import (
    MOST_COUNTED,
    MOST_RESOURCES_COUNTED,
    capped,
    compliance,
    together,
)
from geumgo.services.config.domain_rules import COMPLIANT, INSUFFICIENT_DATA, NON_COMPLIANT, NOT_APPLICABLE
from geumgo.services.config.errors import InvalidParameterValue
from geumgo.services.config.paging import make_token, read_token
from geumgo.services.config.records import Kept, Rule
from geumgo.services.config.store_verdicts import Counted

_RULES_A_PAGE: Final = 25
_PAGE: Final = 10


# -- in short ---------------------------------------------------------------------------------------------------------


@reads
def describe_compliance_by_config_rule(ctx: Context, params: Params) -> Params:
    """25 rules a page, by name. A rule without a verdict is INSUFFICIENT_DATA."""
    names = params.get("ConfigRuleNames", [])
    wanted = params.get("ComplianceTypes", [])
    _refuse_types(wanted, but=NOT_APPLICABLE)
    asked = {"names": names, "types": wanted}
    (after,) = read_token(ctx, "DescribeComplianceByConfigRule", asked, params.get("NextToken"), 1)
    rules = [lookup.rule(ctx, name) for name in names] or store.rules(ctx.tx, ctx.sealing, ctx.place)
    counts = store_verdicts.by_rule(ctx.tx, ctx.place)
    found: list[Params] = []
    for rule in sorted(rules, key=lambda rule: rule.name):
        said = compliance(counts.get(rule.id, {}))
        if rule.name > after and said["ComplianceType"] in (wanted or [said["ComplianceType"]]):
            found.append({"ConfigRuleName": rule.name, "Compliance": said})
    answer: Params = {"ComplianceByConfigRules": found[:_RULES_A_PAGE]}
    if len(found) > _RULES_A_PAGE:
        position = [found[_RULES_A_PAGE - 1]["ConfigRuleName"]]
        answer["NextToken"] = make_token(ctx, "DescribeComplianceByConfigRule", asked, position)
    return answer


@reads
def describe_compliance_by_resource(ctx: Context, params: Params) -> Params:
    """Resources that a rule has a verdict on, by type and id. A filter by compliance can make pages short."""
    wanted = params.get("ComplianceTypes", [])
    _refuse_types(wanted, but=NOT_APPLICABLE)
    kind, resource_id = params.get("ResourceType"), params.get("ResourceId")
    if resource_id is not None and kind is None:
        raise InvalidParameterValue("ResourceType must be given when ResourceId is.")
    asked = {"type": kind, "id": resource_id, "types": wanted}
    after_type, after_id = read_token(ctx, "DescribeComplianceByResource", asked, params.get("NextToken"), 2)
    limit = params.get("Limit") or _PAGE
    rows = store_verdicts.by_resource(
        ctx.tx,
        ctx.place,
        resource_type=kind,
        resource_id=resource_id,
        after=(after_type, after_id),
        limit=limit + 1,
    )
    grouped = _grouped(rows)
    found = []
    for (each_type, each_id), counts in grouped[:limit]:
        said = compliance(counts)
        if said["ComplianceType"] in (wanted or [said["ComplianceType"]]):
            found.append({"ResourceType": each_type, "ResourceId": each_id, "Compliance": said})
    answer: Params = {"ComplianceByResources": found}
    if len(grouped) > limit:
        answer["NextToken"] = make_token(ctx, "DescribeComplianceByResource", asked, grouped[limit - 1][0])
    return answer


def _grouped(rows: Sequence[Counted]) -> list[tuple[tuple[str, str], dict[str, int]]]:
    found: dict[tuple[str, str], dict[str, int]] = {}
    for row in rows:
        found.setdefault((row.resource_type, row.resource_id), {})[row.compliance] = row.times
    return list(found.items())


# -- in full ----------------------------------------------------------------------------------------------------------


@reads
def get_compliance_details_by_config_rule(ctx: Context, params: Params) -> Params:
    """A rule's verdicts by resource: 10 a page by default, 100 at most. NOT_APPLICABLE is never among them."""
    rule = lookup.rule(ctx, params["ConfigRuleName"])
    wanted = params.get("ComplianceTypes", [])
    _refuse_types(wanted, but=INSUFFICIENT_DATA)
    asked = {"rule": rule.id, "types": wanted}
    after_type, after_id = read_token(ctx, "GetComplianceDetailsByConfigRule", asked, params.get("NextToken"), 2)
    limit = params.get("Limit") or _PAGE
    found = store_verdicts.page_of_rule(
        ctx.tx,
        rule.id,
        wanted or (COMPLIANT, NON_COMPLIANT, INSUFFICIENT_DATA),
        after=(after_type, after_id),
        limit=limit + 1,
    )
    answer: Params = {"EvaluationResults": results(ctx, rule, found[:limit])}
    if len(found) > limit:
        last = found[limit - 1]
        position = [last.resource_type, last.resource_id]
        answer["NextToken"] = make_token(ctx, "GetComplianceDetailsByConfigRule", asked, position)
    return answer


@reads
def get_compliance_details_by_resource(ctx: Context, params: Params) -> Params:
    """What every rule thinks of a resource, by the name of the rule."""
    wanted = params.get("ComplianceTypes", [])
    _refuse_types(wanted, but=INSUFFICIENT_DATA)
    kind, resource_id = params.get("ResourceType"), params.get("ResourceId")
    if kind is None or resource_id is None:
        raise InvalidParameterValue("Both ResourceType and ResourceId must be given.")
    read_token(ctx, "GetComplianceDetailsByResource", {}, params.get("NextToken"), 1)  # there is one page
    kept = {one.rule_id: one for one in store_verdicts.of_resource(ctx.tx, ctx.place, kind, resource_id)}
    listed: list[Params] = []
    for rule in store.rules(ctx.tx, ctx.sealing, ctx.place):
        one = kept.get(rule.id)
        if one is not None and one.verdict.compliance in (wanted or [one.verdict.compliance]):
            listed += results(ctx, rule, [one])
    return {"EvaluationResults": listed}


def results(ctx: Context, rule: Rule, kept: Sequence[Kept]) -> list[Params]:
    """EvaluationResults. A verdict that the last evaluation of everything found as it was is as new as that."""
    status = store.rule_status(ctx.tx, rule.id)
    found = []
    for one in kept:
        said: Params = {
            "EvaluationResultIdentifier": {
                "EvaluationResultQualifier": {
                    "ConfigRuleName": rule.name,
                    "ResourceType": one.resource_type,
                    "ResourceId": one.resource_id,
                    "EvaluationMode": "DETECTIVE",
                },
                "OrderingTimestamp": as_datetime(one.ordered_at_ms),
            },
            "ComplianceType": one.verdict.compliance,
            "ResultRecordedTime": as_datetime(max(one.recorded_at_ms, status.recorded_at_ms or 0)),
            "ConfigRuleInvokedTime": as_datetime(max(one.invoked_at_ms, status.succeeded_at_ms or 0)),
        }
        if one.verdict.annotation:
            said["Annotation"] = one.verdict.annotation
        found.append(said)
    return found


# -- in numbers -------------------------------------------------------------------------------------------------------


@reads
def get_compliance_summary_by_config_rule(ctx: Context, params: Params) -> Params:  # noqa: ARG001 - it takes nothing
    """How many rules are compliant and how many are not, up to 25 of each."""
    said = [together(counts) for counts in store_verdicts.by_rule(ctx.tx, ctx.place).values()]
    return {"ComplianceSummary": _summary(ctx, said.count(COMPLIANT), said.count(NON_COMPLIANT), MOST_COUNTED)}


@reads
def get_compliance_summary_by_resource_type(ctx: Context, params: Params) -> Params:
    """How many resources are compliant and how many are not, up to 100 of each; without types, of all together."""
    found = store_verdicts.resources_by_type(ctx.tx, ctx.place)
    types = params.get("ResourceTypes", [])
    if not types:
        every = sum(count for count, _ in found.values())
        bad = sum(bad for _, bad in found.values())
        return {"ComplianceSummariesByResourceType": [{"ComplianceSummary": _of_resources(ctx, every, bad)}]}
    return {
        "ComplianceSummariesByResourceType": [
            {"ResourceType": kind, "ComplianceSummary": _of_resources(ctx, *found.get(kind, (0, 0)))}
            for kind in dict.fromkeys(types)
        ]
    }


def _of_resources(ctx: Context, every: int, bad: int) -> Params:
    return _summary(ctx, every - bad, bad, MOST_RESOURCES_COUNTED)


def _summary(ctx: Context, good: int, bad: int, most: int) -> Params:
    return {
        "CompliantResourceCount": capped(good, most),
        "NonCompliantResourceCount": capped(bad, most),
        "ComplianceSummaryTimestamp": as_datetime(ctx.clock.now_ms()),
    }


def _refuse_types(wanted: Sequence[str], *, but: str) -> None:
    """Raises InvalidParameterValue if a filter asks for what cannot be filtered by."""
    if but in wanted:
        raise InvalidParameterValue(f"{but} cannot be used as a ComplianceType for filtering results.")
