"""The rules of Config that need nothing but values: recorders, delivery channels, definitions of rules."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from geumgo.services.config.domain_rules import MANAGED, ParametersInvalid, read_parameters, refuse_parameters
from geumgo.services.config.errors import (
    InvalidParameterValue,
    InvalidRecordingGroup,
    TooManyTags,
    ValidationFailed,
)
from geumgo.services.config.records import PARAMETER, SECRET

MOST_RULES: Final = 1_000
"""Config rules of an account in a region. Source: "Service Limits", Developer Guide."""

MOST_TAGS: Final = 50
RECORDED: Final = (SECRET, PARAMETER)
"""The types of resources that are recorded here."""

FREQUENCIES_MS: Final = {
    "One_Hour": 3_600_000,
    "Three_Hours": 3 * 3_600_000,
    "Six_Hours": 6 * 3_600_000,
    "Twelve_Hours": 12 * 3_600_000,
    "TwentyFour_Hours": 24 * 3_600_000,
}
_KEPT_OF_A_RULE: Final = (
    "Description",
    "Scope",
    "Source",
    "InputParameters",
    "MaximumExecutionFrequency",
    "EvaluationModes",
)
_ON_CHANGE: Final = ("ConfigurationItemChangeNotification", "OversizedConfigurationItemChangeNotification")
_SCHEDULED: Final = "ScheduledNotification"
_FUNCTION: Final = re.compile(
    r"arn:[a-z-]+:lambda:[a-z0-9-]+:[0-9]{12}:function:[A-Za-z0-9_-]{1,64}(:[A-Za-z0-9$_-]{1,128})?"
)


def refuse_unstorable(params: Mapping[str, Any]) -> None:
    """Raises ValidationFailed if a text of the request holds NUL, which no text may. Unverified: what AWS says to this."""
    if any("\0" in text for text in _texts(params)):
        raise ValidationFailed("The request must not contain the character NUL.")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield key
            yield from _texts(item)
    elif isinstance(value, Sequence):
        for item in value:
            yield from _texts(item)


# -- tags -------------------------------------------------------------------------------------------------------------


def tags_of(listed: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The tags of a request. Raises ValidationFailed: one without a key, a key of AWS's own, or a key twice."""
    tags: dict[str, str] = {}
    for each in listed:
        key = each.get("Key")
        if not key:
            raise ValidationFailed("A tag must have a key.")
        if key.lower().startswith("aws:"):
            raise ValidationFailed("Tag keys that begin with aws: are reserved.")
        if key in tags:
            raise ValidationFailed(f"The tag key {key} is given more than once.")
        tags[key] = each.get("Value", "")
    return tags


def refuse_many_tags(tags: Mapping[str, str]) -> None:
    """Raises TooManyTags."""
    if len(tags) > MOST_TAGS:
        raise TooManyTags


# -- recorders --------------------------------------------------------------------------------------------------------


def recording_group(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """The recording group as it is kept, with what follows from what was given; by default everything is recorded.

    Raises InvalidRecordingGroup. Source: RecordingGroup, API reference.
    """
    group = dict(given or {"allSupported": True})
    all_of_them = bool(group.get("allSupported"))
    listed = list(group.get("resourceTypes", ()))
    but = list((group.get("exclusionByResourceTypes") or {}).get("resourceTypes", ()))
    use = (group.get("recordingStrategy") or {}).get("useOnly")
    implied = "ALL_SUPPORTED_RESOURCE_TYPES" if all_of_them else None
    implied = implied or ("EXCLUSION_BY_RESOURCE_TYPES" if but and not listed else None)
    use = use or implied or "INCLUSION_BY_RESOURCE_TYPES"
    if all_of_them and (listed or but):
        raise InvalidRecordingGroup("allSupported cannot be true when resource types are listed.")
    if listed and but:
        raise InvalidRecordingGroup("Resource types cannot be both included and excluded.")
    if not (all_of_them or listed or but):
        raise InvalidRecordingGroup("It records nothing: set allSupported to true, or list resource types.")
    fits = {
        "ALL_SUPPORTED_RESOURCE_TYPES": all_of_them,
        "INCLUSION_BY_RESOURCE_TYPES": bool(listed),
        "EXCLUSION_BY_RESOURCE_TYPES": bool(but),
    }
    if not fits[use]:
        raise InvalidRecordingGroup(f"The recording strategy {use} does not fit the resource types.")
    return {
        "allSupported": all_of_them,
        "includeGlobalResourceTypes": bool(group.get("includeGlobalResourceTypes", False)),
        "resourceTypes": listed,
        **({"exclusionByResourceTypes": {"resourceTypes": but}} if but else {}),
        "recordingStrategy": {"useOnly": use},
    }


def records(group: Mapping[str, Any], resource_type: str) -> bool:
    """Whether a recorder with this recording group records resources of that type."""
    use = group["recordingStrategy"]["useOnly"]
    if use == "ALL_SUPPORTED_RESOURCE_TYPES":
        return True
    if use == "EXCLUSION_BY_RESOURCE_TYPES":
        return resource_type not in group["exclusionByResourceTypes"]["resourceTypes"]
    return resource_type in group["resourceTypes"]


# -- rules ------------------------------------------------------------------------------------------------------------


def definition_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a ConfigRule. Raises InvalidParameterValue unless such a rule can be served.

    Source: ConfigRule, Source, SourceDetail; API reference.
    """
    definition = {name: given[name] for name in _KEPT_OF_A_RULE if name in given}
    source = given["Source"]
    if given.get("ConfigRuleState", "ACTIVE") != "ACTIVE":
        raise InvalidParameterValue(
            f"The ConfigRuleState {given['ConfigRuleState']} is invalid. Only the following values are permitted: ACTIVE"
        )
    if given.get("CreatedBy"):
        raise InvalidParameterValue(
            "AWS Config populates the CreatedBy field for ServiceLinkedConfigRule. Try again without populating the "
            "CreatedBy field"
        )
    if any(mode.get("Mode") == "PROACTIVE" for mode in given.get("EvaluationModes", ())):
        raise InvalidParameterValue("The evaluation mode PROACTIVE is not supported for this rule.")
    _refuse_scope(given.get("Scope", {}))
    if source["Owner"] == "AWS":
        _refuse_managed(source, given.get("InputParameters"))
    elif source["Owner"] == "CUSTOM_LAMBDA":
        _refuse_custom(given)
    else:
        raise InvalidParameterValue(f"Rules with the owner {source['Owner']} are not served here.")
    return definition


def _refuse_managed(source: Mapping[str, Any], parameters: str | None) -> None:
    identifier = source.get("SourceIdentifier", "")
    if identifier not in MANAGED:
        raise InvalidParameterValue(
            f"The sourceIdentifier {identifier} is invalid.  Please refer to the documentation for a list of valid "
            "sourceIdentifiers that can be used when AWS is the Owner."
        )
    if source.get("SourceDetails"):
        raise InvalidParameterValue(
            "SourceDetails should be null/empty if the owner is AWS. Please check the source details."
        )
    try:
        refuse_parameters(identifier, parameters)
    except ParametersInvalid as refusal:
        raise InvalidParameterValue(str(refusal)) from None


def _refuse_custom(given: Mapping[str, Any]) -> None:
    source = given["Source"]
    if _FUNCTION.fullmatch(source.get("SourceIdentifier", "")) is None:
        raise InvalidParameterValue("The sourceIdentifier must be the ARN of an AWS Lambda function.")
    details = source.get("SourceDetails", [])
    if not details:
        raise InvalidParameterValue(
            "SourceDetails should not be null/empty if the owner is CUSTOM_LAMBDA. Please check the source details."
        )
    for detail in details:
        if "MessageType" not in detail:
            raise InvalidParameterValue("Each of the source details must have a MessageType.")
        if detail["MessageType"] in _ON_CHANGE and "MaximumExecutionFrequency" in detail:
            raise InvalidParameterValue(
                "A maximum execution frequency is not allowed if MessageType is ConfigurationItemChangeNotification or "
                "OversizedConfigurationItemChangeNotification"
            )
    try:
        read_parameters(given.get("InputParameters"))
    except ParametersInvalid as refusal:
        raise InvalidParameterValue(str(refusal)) from None


def _refuse_scope(scope: Mapping[str, Any]) -> None:
    types = scope.get("ComplianceResourceTypes", ())
    if scope.get("ComplianceResourceId") and len(types) != 1:
        raise InvalidParameterValue("A single resourceType should be provided when resourceId is provided in scope")
    if scope.get("TagValue") and not scope.get("TagKey"):
        raise InvalidParameterValue("Tag key should not be empty when tag value is provided in scope")
    if scope.get("TagKey") and (types or scope.get("ComplianceResourceId")):
        raise InvalidParameterValue("Scope cannot be applied to both resource and tag")


def in_scope(scope: Mapping[str, Any], resource_type: str, resource_id: str, tags: Mapping[str, str]) -> bool:
    """Whether a rule with this scope looks at the resource. Unverified: that a scope also limits rules that run on a schedule."""
    types = scope.get("ComplianceResourceTypes", ())
    if types and resource_type not in types:
        return False
    if scope.get("ComplianceResourceId", resource_id) != resource_id:
        return False
    key = scope.get("TagKey")
    return key is None or (key in tags and scope.get("TagValue", tags[key]) == tags[key])


def runs_every_ms(definition: Mapping[str, Any]) -> int | None:
    """How often a rule runs by itself, in milliseconds; None: only on changes. By default once in 24 hours."""
    frequency = definition.get("MaximumExecutionFrequency")
    source = definition["Source"]
    if source["Owner"] == "AWS":
        managed = MANAGED[source["SourceIdentifier"]]
        if managed.periodic:
            return FREQUENCIES_MS[frequency or "TwentyFour_Hours"]
        return FREQUENCIES_MS["One_Hour"] if managed.ages else None
    found = [
        FREQUENCIES_MS[detail.get("MaximumExecutionFrequency") or frequency or "TwentyFour_Hours"]
        for detail in source.get("SourceDetails", ())
        if detail.get("MessageType") == _SCHEDULED
    ]
    return min(found, default=None)


def runs_on_schedule(definition: Mapping[str, Any]) -> bool:
    """Whether a rule runs by itself and needs no recorder that is started."""
    source = definition["Source"]
    if source["Owner"] == "AWS":
        return MANAGED[source["SourceIdentifier"]].periodic
    return any(detail.get("MessageType") == _SCHEDULED for detail in source.get("SourceDetails", ()))


def runs_on_changes(definition: Mapping[str, Any]) -> bool:
    """Whether a rule runs when a resource that is recorded changes."""
    source = definition["Source"]
    if source["Owner"] == "AWS":
        return not MANAGED[source["SourceIdentifier"]].periodic
    return any(detail.get("MessageType") in _ON_CHANGE for detail in source.get("SourceDetails", ()))


def parameters_of(definition: Mapping[str, Any]) -> Mapping[str, str]:
    """The InputParameters of a rule that is kept."""
    return _parameters(definition.get("InputParameters", "{}"))


@lru_cache(maxsize=1024)
def _parameters(text: str) -> Mapping[str, str]:
    found: dict[str, str] = json.loads(text)
    return MappingProxyType(found)
