"""Conformance packs: several rules that are put, judged and deleted together. Source: PutConformancePack and its kin, API reference."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from geumgo.context import Context, Params, as_datetime
from geumgo.room import operation, reads
from geumgo.services.config import lookup, rules, store, store_packs, store_verdicts
from geumgo.services.config.compliance import results
from geumgo.services.config.domain import definition_of, refuse_many_tags, tags_of
from geumgo.services.config.domain_compliance import together
from geumgo.services.config.domain_packs import InvalidTemplate, rules_of
from geumgo.services.config.domain_rules import COMPLIANT, NON_COMPLIANT
from geumgo.services.config.errors import (
    ConformancePackTemplateValidation,
    InvalidParameterValue,
    MaxNumberOfConformancePacksExceeded,
    NoSuchConfigRuleInConformancePack,
    NoSuchConformancePack,
)
from geumgo.services.config.paging import make_token, read_token
from geumgo.services.config.records import PACKS, Rule
from geumgo.services.config.store_packs import Pack

MOST_PACKS: Final = 50
"""Conformance packs of an account in a region. Source: "Service Limits", Developer Guide."""

_SHOWN: Final = ("DeliveryS3Bucket", "DeliveryS3KeyPrefix", "ConformancePackInputParameters")
_PAGE: Final = 20


# -- packs ------------------------------------------------------------------------------------------------------------


@operation
def put_conformance_pack(ctx: Context, params: Params) -> Params:
    """The pack's rules are those of its template, at once: new ones look at everything, those that it has no more are gone.

    Raises ConformancePackTemplateValidation, InvalidParameterValue.
    """
    if lookup.recorder(ctx) is None:
        raise InvalidParameterValue("Configuration recorder is not available to put conformance pack.")
    if "TemplateBody" not in params or any(
        each in params for each in ("TemplateS3Uri", "TemplateSSMDocumentDetails", "Source")
    ):
        raise InvalidParameterValue("The template of a conformance pack is given as TemplateBody here.")
    if "Scope" in params:
        raise InvalidParameterValue("A conformance pack has no scope of its own here; its rules may.")
    given = {each["ParameterName"]: each["ParameterValue"] for each in params.get("ConformancePackInputParameters", [])}
    try:
        wanted = rules_of(params["TemplateBody"], given)
    except InvalidTemplate as refusal:
        raise ConformancePackTemplateValidation(str(refusal)) from None
    name, place = params["ConformancePackName"], ctx.place
    before = store_packs.find(ctx.tx, ctx.sealing, place, name)
    if before is None and len(store_packs.packs(ctx.tx, ctx.sealing, place)) >= MOST_PACKS:
        raise MaxNumberOfConformancePacksExceeded(MOST_PACKS)
    tags = tags_of(params.get("Tags", [])) if before is None else before.tags
    refuse_many_tags(tags)
    pack = Pack(
        id=before.id if before is not None else lookup.new_id(ctx, "conformance-pack-", 9),
        account=place.account,
        region=place.region,
        partition=place.partition,
        name=name,
        settings={member: params[member] for member in _SHOWN if member in params},
        rules={},
        tags=tags,
        state="CREATE_COMPLETE" if before is None else "UPDATE_COMPLETE",
        updated_at_ms=ctx.clock.now_ms(),
    )
    kept = dict(before.rules) if before is not None else {}
    made = {each: _put(ctx, pack, each, rule, kept.get(each)) for each, rule in wanted.items()}
    for gone in kept.keys() - made.keys():
        _remove(ctx, kept[gone])
    store_packs.put(ctx.tx, ctx.sealing, replace(pack, rules=made))
    return {"ConformancePackArn": pack.arn}


def _put(ctx: Context, pack: Pack, name: str, given: Params, rule_id: str | None) -> str:
    """The rule as the template has it. Answers its id. Raises ConformancePackTemplateValidation if there can be no such rule."""
    whole = f"{name}-{pack.id}"
    if len(whole) > 128:
        raise ConformancePackTemplateValidation(f"The name of the rule {name} is too long.")
    try:
        definition = {**definition_of(given), "CreatedBy": PACKS}
    except InvalidParameterValue as refusal:
        raise ConformancePackTemplateValidation(f"The rule {name} cannot be: {refusal.message}") from None
    before = store.rule_by_id(ctx.tx, ctx.sealing, rule_id) if rule_id is not None else None
    return rules.keep(ctx, before, whole, definition, {}).id


def _remove(ctx: Context, rule_id: str) -> None:
    rule = store.rule_by_id(ctx.tx, ctx.sealing, rule_id)
    if rule is not None:
        rules.remove(ctx, rule)


@operation
def delete_conformance_pack(ctx: Context, params: Params) -> Params:
    """The pack and its rules are gone at once, with their verdicts. Raises NoSuchConformancePack, ResourceInUse."""
    pack = _named(ctx, params["ConformancePackName"])
    for rule_id in pack.rules.values():
        _remove(ctx, rule_id)
    store_packs.remove(ctx.tx, pack)
    return {}


@reads
def describe_conformance_packs(ctx: Context, params: Params) -> Params:
    packs, token = _page(ctx, "DescribeConformancePacks", params)
    shown = [
        {
            **_identity(pack),
            "ConformancePackInputParameters": [],
            **pack.settings,
            "LastUpdateRequestedTime": as_datetime(pack.updated_at_ms),
            "Type": "CUSTOM",
        }
        for pack in packs
    ]
    return {"ConformancePackDetails": shown, **token}


@reads
def describe_conformance_pack_status(ctx: Context, params: Params) -> Params:
    packs, token = _page(ctx, "DescribeConformancePackStatus", params)
    shown = [
        {
            **_identity(pack),
            "ConformancePackState": pack.state,
            "LastUpdateRequestedTime": as_datetime(pack.updated_at_ms),
            "LastUpdateCompletedTime": as_datetime(pack.updated_at_ms),
            "Type": "CUSTOM",
        }
        for pack in packs
    ]
    return {"ConformancePackStatusDetails": shown, **token}


def _identity(pack: Pack) -> Params:
    return {"ConformancePackName": pack.name, "ConformancePackArn": pack.arn, "ConformancePackId": pack.id}


def _page(ctx: Context, asking: str, params: Params) -> tuple[list[Pack], Params]:
    names = params.get("ConformancePackNames", [])
    if names:
        return [_named(ctx, name) for name in names], {}
    (after,) = read_token(ctx, asking, {}, params.get("NextToken"), 1)
    if "CUSTOM" not in params.get("Filters", {}).get("Types", ["CUSTOM"]):
        return [], {}
    limit = params.get("Limit") or _PAGE
    found = store_packs.packs(ctx.tx, ctx.sealing, ctx.place, after=after, limit=limit + 1)
    token = {"NextToken": make_token(ctx, asking, {}, [found[limit - 1].name])} if len(found) > limit else {}
    return found[:limit], token


def _named(ctx: Context, name: str) -> Pack:
    found = store_packs.find(ctx.tx, ctx.sealing, ctx.place, name)
    if found is None:
        raise NoSuchConformancePack(name)
    return found


# -- compliance -------------------------------------------------------------------------------------------------------


@reads
def describe_conformance_pack_compliance(ctx: Context, params: Params) -> Params:
    """What each rule of the pack comes to, by name. Everything is on one page."""
    pack = _named(ctx, params["ConformancePackName"])
    read_token(ctx, "DescribeConformancePackCompliance", {}, params.get("NextToken"), 1)
    filters = params.get("Filters", {})
    wanted = filters.get("ComplianceType")
    counts = store_verdicts.by_rule(ctx.tx, ctx.place)
    listed = []
    for rule in _rules(ctx, pack, filters.get("ConfigRuleNames", [])):
        said = together(counts.get(rule.id, {}))
        if wanted in (None, said):
            listed.append({"ConfigRuleName": rule.name, "ComplianceType": said, "Controls": []})
    return {"ConformancePackName": pack.name, "ConformancePackRuleComplianceList": listed}


@reads
def get_conformance_pack_compliance_details(ctx: Context, params: Params) -> Params:
    """The verdicts of the pack's rules, by rule and resource; 10 a page by default."""
    pack = _named(ctx, params["ConformancePackName"])
    filters = params.get("Filters", {})
    asked = {"pack": pack.id, "filters": filters}
    at, kind, resource_id = read_token(ctx, "GetConformancePackComplianceDetails", asked, params.get("NextToken"), 3)
    limit = params.get("Limit") or 10
    wanted = [filters["ComplianceType"]] if "ComplianceType" in filters else [COMPLIANT, NON_COMPLIANT]
    shown: list[Params] = []
    position: list[str] = []
    for rule in _rules(ctx, pack, filters.get("ConfigRuleNames", [])):
        if rule.name < at:
            continue
        after = (kind, resource_id) if rule.name == at else ("", "")
        while len(shown) <= limit:
            found = store_verdicts.page_of_rule(ctx.tx, rule.id, wanted, after=after, limit=limit + 1)
            meant = [
                each
                for each in found
                if filters.get("ResourceType", each.resource_type) == each.resource_type
                and each.resource_id in (filters.get("ResourceIds") or [each.resource_id])
            ]
            for one, said in zip(meant, results(ctx, rule, meant), strict=True):
                if len(shown) == limit:
                    token = {"NextToken": make_token(ctx, "GetConformancePackComplianceDetails", asked, position)}
                    return {"ConformancePackName": pack.name, "ConformancePackRuleEvaluationResults": shown, **token}
                shown.append(said)
                position = [rule.name, one.resource_type, one.resource_id]
            if len(found) <= limit:
                break
            after = (found[-1].resource_type, found[-1].resource_id)
    return {"ConformancePackName": pack.name, "ConformancePackRuleEvaluationResults": shown}


@reads
def get_conformance_pack_compliance_summary(ctx: Context, params: Params) -> Params:
    read_token(ctx, "GetConformancePackComplianceSummary", {}, params.get("NextToken"), 1)
    counts = store_verdicts.by_rule(ctx.tx, ctx.place)
    listed = []
    for name in dict.fromkeys(params["ConformancePackNames"]):
        pack = _named(ctx, name)
        status = together(each for rule_id in pack.rules.values() for each in counts.get(rule_id, {}))
        listed.append({"ConformancePackName": pack.name, "ConformancePackComplianceStatus": status})
    return {"ConformancePackComplianceSummaryList": listed}


def _rules(ctx: Context, pack: Pack, names: Sequence[str]) -> list[Rule]:
    """The rules of a pack by name; only those that are named, if some are. Raises NoSuchConfigRuleInConformancePack."""
    found = [store.rule_by_id(ctx.tx, ctx.sealing, rule_id) for rule_id in pack.rules.values()]
    known = {rule.name: rule for rule in found if rule is not None}
    for name in names:
        if name not in known:
            raise NoSuchConfigRuleInConformancePack(name)
    return [known[name] for name in sorted(known) if not names or name in names]
