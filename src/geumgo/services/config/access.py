"""What each operation of Config asks of the gate, and what of it the trail may keep.

Source: "Actions, resources, and condition keys for AWS Config", Service Authorization Reference. Actions on recorders and delivery
channels are asked without a resource: a policy must name `*`, as policies for Config do.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from geumgo.access.demand import Demand, Demands, Target
from geumgo.access.ports import pass_role
from geumgo.context import Context, Params
from geumgo.domain.automation import role_of
from geumgo.room import Access
from geumgo.services.config import domain, lookup
from geumgo.services.config.records import Rule

Declare = Callable[[Context, Params], Demands]
Keys = dict[str, tuple[str, ...]]

_HOST: Final = "config.amazonaws.com"
_AUTOMATION: Final = "ssm.amazonaws.com"


def _plain(action: str) -> Declare:
    """The demand of an operation that knows no resources."""

    def demands(ctx: Context, params: Params) -> Demands:  # noqa: ARG001
        return (Demand(f"config:{action}"),)

    return demands


def _on_rule(ctx: Context, action: str, name: str, found: Rule | None, keys: Keys | None = None) -> Demand:
    """The rule as the gate sees it. A denial shows the name that was sent, so it does not tell whether there is such a rule."""
    tags = found.tags if found is not None else {}
    arn = (
        found.arn
        if found is not None
        else ctx.place.arn("config", f"config-rule/{lookup.new_id(ctx, 'config-rule-', 6, name)}")
    )
    about: Keys = {f"aws:ResourceTag/{key}": (value,) for key, value in tags.items()}
    target = Target(arn, ctx.place.arn("config", f"config-rule/{name}"), ctx.place.account, tags=tags)
    return Demand(f"config:{action}", target, {**about, **(keys or {})})


def _on_rules(action: str, *members: str) -> Declare:
    """On each rule that the request names in one of `members`; on all of them if it names none."""

    def demands(ctx: Context, params: Params) -> Demands:
        names: list[str] = []
        for member in members:
            said = params.get(member, [])
            names += said if isinstance(said, list) else [said]
        if not names:
            every = ctx.place.arn("config", "config-rule/*")
            return (Demand(f"config:{action}", Target(every, every, ctx.place.account)),)
        return tuple(_on_rule(ctx, action, name, lookup.find_rule(ctx, name)) for name in names)

    return demands


def request_tags(listed: Sequence[Mapping[str, Any]]) -> Keys:
    """aws:RequestTag and aws:TagKeys of a request's tags."""
    keys: Keys = {f"aws:RequestTag/{each['Key']}": (each.get("Value", ""),) for each in listed if each.get("Key")}
    names = tuple(each["Key"] for each in listed if each.get("Key"))
    return {**keys, "aws:TagKeys": names} if names else keys


def _put_rule(ctx: Context, params: Params) -> Demands:
    """On the rule, or on the one that will be made."""
    given = params["ConfigRule"]
    name = given.get("ConfigRuleName") or _name_of(ctx, given) or ""
    keys = request_tags(params.get("Tags", []))
    return (_on_rule(ctx, "PutConfigRule", name, lookup.find_rule(ctx, name), keys),)


def _name_of(ctx: Context, given: Params) -> str | None:
    """The name of a rule that is named by its ARN or its id. Source: PutConfigRule, API reference."""
    arn = given.get("ConfigRuleArn") or ctx.place.arn("config", f"config-rule/{given.get('ConfigRuleId', '')}")
    found = lookup.rule_by_arn(ctx, arn)
    return None if found is None else found.name


def _put_recorder(ctx: Context, params: Params) -> Demands:
    demands = [Demand("config:PutConfigurationRecorder", None, request_tags(params.get("Tags", [])))]
    role_arn = params["ConfigurationRecorder"].get("roleARN")
    if role_arn:
        demands.append(pass_role(role_arn, ctx.principals.role(ctx.tx, role_arn), _HOST))
    return demands


def _on_tagged(action: str) -> Declare:
    def demands(ctx: Context, params: Params) -> Demands:
        arn = params["ResourceArn"]
        found = lookup.rule_by_arn(ctx, arn)
        tags: Mapping[str, str] = found.tags if found is not None else {}
        recorder = lookup.recorder(ctx)
        if recorder is not None and recorder.arn == arn:
            tags = recorder.tags
        keys = request_tags(params["Tags"]) if "Tags" in params else {}
        if "TagKeys" in params:
            keys["aws:TagKeys"] = tuple(params["TagKeys"])
        about = {f"aws:ResourceTag/{key}": (value,) for key, value in tags.items()}
        return (Demand(f"config:{action}", Target(arn, arn, ctx.place.account, tags=tags), {**about, **keys}),)

    return demands


def _access(declare: Declare, *recorded: str, answered: tuple[str, ...] = ()) -> Access:
    """Texts that cannot be kept are refused before anything is looked up."""

    def demands(ctx: Context, params: Params) -> Demands:
        domain.refuse_unstorable(params)
        return declare(ctx, params)

    return Access(demands, recorded=recorded, answered=answered)


def _on_remediation(action: str) -> Declare:
    """On the remediation of the rule that is named. Source: Service Authorization Reference (remediation-configuration)."""

    def demands(ctx: Context, params: Params) -> Demands:
        names = params.get("ConfigRuleNames") or [params.get("ConfigRuleName", "*")]
        arns = [ctx.place.arn("config", f"remediation-configuration/{name}") for name in names]
        return tuple(Demand(f"config:{action}", Target(arn, arn, ctx.place.account)) for arn in arns)

    return demands


def _put_remediation(ctx: Context, params: Params) -> Demands:
    """On each remediation, and to pass the role that it runs as."""
    demands: list[Demand] = []
    for given in params["RemediationConfigurations"]:
        arn = ctx.place.arn("config", f"remediation-configuration/{given['ConfigRuleName']}")
        demands.append(Demand("config:PutRemediationConfigurations", Target(arn, arn, ctx.place.account)))
        role_arn = role_of(given.get("Parameters", {}))
        if role_arn is not None:
            demands.append(pass_role(role_arn, ctx.principals.role(ctx.tx, role_arn), _AUTOMATION))
    return demands or _on_remediation("PutRemediationConfigurations")(ctx, params)


def _on_pack(action: str) -> Declare:
    """On each conformance pack that is named. Source: Service Authorization Reference (conformance-pack)."""

    def demands(ctx: Context, params: Params) -> Demands:
        names = params.get("ConformancePackNames") or [params.get("ConformancePackName", "*")]
        keys = request_tags(params.get("Tags", []))
        targets = [ctx.place.arn("config", f"conformance-pack/{name}/*".replace("*/*", "*")) for name in names]
        return tuple(Demand(f"config:{action}", Target(arn, arn, ctx.place.account), keys) for arn in targets)

    return demands


_RULE: Final = "ConfigRuleName"
_RULES: Final = "ConfigRuleNames"
_PACK: Final = "ConformancePackName"
_PACKS: Final = "ConformancePackNames"
_RECORDER: Final = "ConfigurationRecorderName"
_CHANNEL: Final = "DeliveryChannelName"

ACCESS: Final[dict[str, Access]] = {
    "PutConfigurationRecorder": _access(_put_recorder, "ConfigurationRecorder", "Tags"),
    "DescribeConfigurationRecorders": _access(
        _plain("DescribeConfigurationRecorders"), "ConfigurationRecorderNames", "ServicePrincipal", "Arn"
    ),
    "DescribeConfigurationRecorderStatus": _access(
        _plain("DescribeConfigurationRecorderStatus"), "ConfigurationRecorderNames", "ServicePrincipal", "Arn"
    ),
    "ListConfigurationRecorders": _access(_plain("ListConfigurationRecorders"), "Filters", "MaxResults"),
    "StartConfigurationRecorder": _access(_plain("StartConfigurationRecorder"), _RECORDER),
    "StopConfigurationRecorder": _access(_plain("StopConfigurationRecorder"), _RECORDER),
    "DeleteConfigurationRecorder": _access(_plain("DeleteConfigurationRecorder"), _RECORDER),
    "PutDeliveryChannel": _access(_plain("PutDeliveryChannel"), "DeliveryChannel"),
    "DescribeDeliveryChannels": _access(_plain("DescribeDeliveryChannels"), "DeliveryChannelNames"),
    "DescribeDeliveryChannelStatus": _access(_plain("DescribeDeliveryChannelStatus"), "DeliveryChannelNames"),
    "DeleteDeliveryChannel": _access(_plain("DeleteDeliveryChannel"), _CHANNEL),
    "PutConfigRule": _access(_put_rule, "ConfigRule", "Tags"),
    "DescribeConfigRules": _access(_on_rules("DescribeConfigRules", _RULES), _RULES, "Filters"),
    "DeleteConfigRule": _access(_on_rules("DeleteConfigRule", _RULE), _RULE),
    "StartConfigRulesEvaluation": _access(_on_rules("StartConfigRulesEvaluation", _RULES), _RULES),
    "DescribeConfigRuleEvaluationStatus": _access(
        _on_rules("DescribeConfigRuleEvaluationStatus", _RULES), _RULES, "Limit"
    ),
    "DeleteEvaluationResults": _access(_on_rules("DeleteEvaluationResults", _RULE), _RULE),
    "DescribeComplianceByConfigRule": _access(
        _on_rules("DescribeComplianceByConfigRule", _RULES), _RULES, "ComplianceTypes"
    ),
    "DescribeComplianceByResource": _access(
        _plain("DescribeComplianceByResource"), "ResourceType", "ResourceId", "ComplianceTypes", "Limit"
    ),
    "GetComplianceDetailsByConfigRule": _access(
        _on_rules("GetComplianceDetailsByConfigRule", _RULE), _RULE, "ComplianceTypes", "Limit"
    ),
    "GetComplianceDetailsByResource": _access(
        _plain("GetComplianceDetailsByResource"), "ResourceType", "ResourceId", "ComplianceTypes"
    ),
    "GetComplianceSummaryByConfigRule": _access(_plain("GetComplianceSummaryByConfigRule")),
    "GetComplianceSummaryByResourceType": _access(_plain("GetComplianceSummaryByResourceType"), "ResourceTypes"),
    "TagResource": _access(_on_tagged("TagResource"), "ResourceArn", "Tags"),
    "UntagResource": _access(_on_tagged("UntagResource"), "ResourceArn", "TagKeys"),
    "ListTagsForResource": _access(_on_tagged("ListTagsForResource"), "ResourceArn"),
    "PutEvaluations": _access(_plain("PutEvaluations"), "Evaluations", "TestMode"),
    "PutRemediationConfigurations": _access(_put_remediation, "RemediationConfigurations"),
    "DescribeRemediationConfigurations": _access(_on_remediation("DescribeRemediationConfigurations"), _RULES),
    "DeleteRemediationConfiguration": _access(_on_remediation("DeleteRemediationConfiguration"), _RULE, "ResourceType"),
    "StartRemediationExecution": _access(_on_remediation("StartRemediationExecution"), _RULE, "ResourceKeys"),
    "DescribeRemediationExecutionStatus": _access(
        _on_remediation("DescribeRemediationExecutionStatus"), _RULE, "ResourceKeys", "Limit"
    ),
    "PutRemediationExceptions": _access(
        _on_rules("PutRemediationExceptions", _RULE), _RULE, "ResourceKeys", "Message", "ExpirationTime"
    ),
    "DescribeRemediationExceptions": _access(
        _on_rules("DescribeRemediationExceptions", _RULE), _RULE, "ResourceKeys", "Limit"
    ),
    "DeleteRemediationExceptions": _access(_on_rules("DeleteRemediationExceptions", _RULE), _RULE, "ResourceKeys"),
    "GetResourceConfigHistory": _access(
        _plain("GetResourceConfigHistory"), "resourceType", "resourceId", "laterTime", "earlierTime", "limit"
    ),
    "ListDiscoveredResources": _access(
        _plain("ListDiscoveredResources"), "resourceType", "resourceIds", "resourceName", "limit"
    ),
    "GetDiscoveredResourceCounts": _access(_plain("GetDiscoveredResourceCounts"), "resourceTypes", "limit"),
    "SelectResourceConfig": _access(_plain("SelectResourceConfig"), "Expression", "Limit"),
    "PutConformancePack": _access(
        _on_pack("PutConformancePack"), _PACK, "ConformancePackInputParameters", "Tags", "DeliveryS3Bucket"
    ),
    "DescribeConformancePacks": _access(_on_pack("DescribeConformancePacks"), _PACKS, "Limit"),
    "DescribeConformancePackStatus": _access(_on_pack("DescribeConformancePackStatus"), _PACKS, "Limit"),
    "DeleteConformancePack": _access(_on_pack("DeleteConformancePack"), _PACK),
    "DescribeConformancePackCompliance": _access(_on_pack("DescribeConformancePackCompliance"), _PACK, "Filters"),
    "GetConformancePackComplianceDetails": _access(
        _on_pack("GetConformancePackComplianceDetails"), _PACK, "Filters", "Limit"
    ),
    "GetConformancePackComplianceSummary": _access(_on_pack("GetConformancePackComplianceSummary"), _PACKS),
}
