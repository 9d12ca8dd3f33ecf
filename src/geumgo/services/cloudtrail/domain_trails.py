"""Names of trails, buckets and objects. Pure."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

MOST_TRAILS: Final = 5  # of an account in a region. Source: quotas, CloudTrail User Guide
LONGEST_PREFIX: Final = 200  # characters. Source: S3KeyPrefix, botocore model 2013-11-01

_ADJACENT: Final = re.compile(r"[._-]{2}")
_ADDRESS: Final = re.compile(r"\d{1,3}(\.\d{1,3}){3}")
_BUCKET: Final = re.compile(r"(?!xn--)[a-z0-9](?:[a-z0-9.-]{1,61})[a-z0-9]")
_PREFIX: Final = re.compile(r"[A-Za-z0-9!_.*'()=+@:,-]{1,200}(?:/[A-Za-z0-9!_.*'()=+@:,-]{1,200})*")


def problem_of_name(name: str) -> str:
    """Why `name` cannot be the name of a trail; empty if it can.

    Source: InvalidTrailNameException, botocore model 2013-11-01. The messages were seen on AWS by others, but for the last two.
    """
    if len(name) < 3:
        return f"Trail name too short. Minimum allowed length: 3 characters. Specified name length: {len(name)} characters."
    if len(name) > 128:
        return f"Trail name too long. Maximum allowed length: 128 characters. Specified name length: {len(name)} characters."
    if not re.fullmatch(r"[A-Za-z0-9._-]+", name):
        return (
            "Trail name or ARN can only contain uppercase letters, lowercase letters, numbers, periods (.), hyphens (-), "
            "and underscores (_)."
        )
    if not name[0].isalnum():
        return "Trail name must starts with a letter or number."
    if not name[-1].isalnum():
        return "Trail name must ends with a letter or number."
    if _ADJACENT.search(name):
        return "Trail name must not have adjacent periods, hyphens or underscores."
    if _ADDRESS.fullmatch(name):
        return "Trail name must not be an IP address."
    return ""


def is_bucket_name(name: str) -> bool:
    """Source: "Bucket naming rules", S3 User Guide. Such a name is one directory and leads nowhere else."""
    return _BUCKET.fullmatch(name) is not None and ".." not in name and not _ADDRESS.fullmatch(name)


def is_prefix(prefix: str) -> bool:
    """Whether objects may stand below `prefix`: directories with plain names, none of which leads upwards."""
    if len(prefix) > LONGEST_PREFIX or _PREFIX.fullmatch(prefix) is None:
        return False
    return not any(part.strip(".") == "" for part in prefix.split("/"))


# -- objects ----------------------------------------------------------------------------------------------------------------


def log_object(prefix: str, account: str, region: str, at_s: int, unique: str) -> str:
    """The name of a log file. Source: "Finding your CloudTrail log files", CloudTrail User Guide."""
    at = datetime.fromtimestamp(at_s, UTC)
    name = f"{account}_CloudTrail_{region}_{at:%Y%m%dT%H%MZ}_{unique}.json.gz"
    return _below(prefix, f"AWSLogs/{account}/CloudTrail/{region}/{at:%Y/%m/%d}/{name}")


def digest_object(prefix: str, account: str, region: str, trail: str, home: str, end_s: int) -> str:
    """The name of a digest file. Source: "CloudTrail digest file structure", CloudTrail User Guide."""
    at = datetime.fromtimestamp(end_s, UTC)
    name = f"{account}_CloudTrail-Digest_{region}_{trail}_{home}_{at:%Y%m%dT%H%M%SZ}.json.gz"
    return _below(prefix, f"AWSLogs/{account}/CloudTrail-Digest/{region}/{at:%Y/%m/%d}/{name}")


def _below(prefix: str, name: str) -> str:
    return f"{prefix}/{name}" if prefix else name


# -- selectors ----------------------------------------------------------------------------------------------------------------

DEFAULT_SELECTORS: Final[Sequence[Mapping[str, Any]]] = (
    {
        "ReadWriteType": "All",
        "IncludeManagementEvents": True,
        "DataResources": [],
        "ExcludeManagementEventSources": [],
    },
)
"""Of a trail that was given none. Source: PutEventSelectors, botocore model 2013-11-01."""

MOST_SELECTORS: Final = 5
MOST_VALUES: Final = 500
MOST_DATA_RESOURCES: Final = 250
EXCLUDABLE: Final = frozenset({"kms.amazonaws.com", "rdsdata.amazonaws.com"})
DATA_TYPES: Final = frozenset({"AWS::DynamoDB::Table", "AWS::Lambda::Function", "AWS::S3::Object"})
OPERATORS: Final = ("Equals", "StartsWith", "EndsWith", "NotEquals", "NotStartsWith", "NotEndsWith")
FIELDS: Final = frozenset(
    {
        *("eventCategory", "eventName", "eventSource", "eventType", "readOnly", "resources.ARN", "resources.type"),
        *("sessionCredentialFromConsole", "userIdentity.arn"),
    }
)
"""Source: AdvancedFieldSelector, botocore model 2013-11-01 (for management and data events)."""
EXACT: Final = frozenset({"eventCategory", "readOnly", "resources.type"})  # fields that take Equals only
CATEGORIES: Final = frozenset({"Management", "Data", "NetworkActivity"})


def problem_of_selectors(selectors: Sequence[Mapping[str, Any]]) -> str:
    """Why these basic selectors make no sense; empty if they do. Source: InvalidEventSelectorsException, botocore model."""
    if not 1 <= len(selectors) <= MOST_SELECTORS:
        return f"A trail can have 1 to {MOST_SELECTORS} event selectors."
    resources = [resource for selector in selectors for resource in selector.get("DataResources", [])]
    if sum(len(resource.get("Values", [])) for resource in resources) > MOST_DATA_RESOURCES:
        return f"A trail can have up to {MOST_DATA_RESOURCES} data resources."
    for selector in selectors:
        if selector.get("ReadWriteType", "All") not in ("ReadOnly", "WriteOnly", "All"):
            return f"{selector['ReadWriteType']} is not a valid value for ReadWriteType."
        excluded = set(selector.get("ExcludeManagementEventSources", [])) - EXCLUDABLE
        if excluded:
            return f"{min(excluded)} is not a valid value for ExcludeManagementEventSources."
    for resource in resources:
        if resource.get("Type") not in DATA_TYPES or not resource.get("Values"):
            return f"{resource.get('Type')} is not a valid data resource type for event selectors, or it has no values."
    return ""


def problem_of_advanced(selectors: Sequence[Mapping[str, Any]]) -> str:
    """Why these advanced selectors make no sense; empty if they do. Source: as `problem_of_selectors`."""
    if not selectors:
        return "At least one advanced event selector is needed."
    values = 0
    for selector in selectors:
        fields = selector["FieldSelectors"]
        category = [field.get("Equals") for field in fields if field["Field"] == "eventCategory"]
        if len(category) != 1 or len(category[0] or ()) != 1 or category[0][0] not in CATEGORIES:
            return "Each advanced event selector needs a field eventCategory that equals Management, Data or NetworkActivity."
        for field in fields:
            used = [operator for operator in OPERATORS if field.get(operator)]
            values += sum(len(field[operator]) for operator in used)
            if field["Field"] not in FIELDS:
                return f"{field['Field']} is not a field of advanced event selectors."
            if not used or (field["Field"] in EXACT and used != ["Equals"]):
                return f"The field {field['Field']} has no operator, or one that it cannot have."
    if values > MOST_VALUES:
        return f"There can be up to {MOST_VALUES} values in all advanced event selectors."
    return ""


def selects(
    selectors: Sequence[Mapping[str, Any]] | None,
    advanced: Sequence[Mapping[str, Any]] | None,
    record: Mapping[str, Any],
) -> bool:
    """Whether a trail with these selectors logs `record`: with one selector that matches it does."""
    if advanced:
        return any(_matches_advanced(selector["FieldSelectors"], record) for selector in advanced)
    return any(_matches(selector, record) for selector in selectors or DEFAULT_SELECTORS)


def _matches(selector: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    kind = selector.get("ReadWriteType", "All")
    reads = record.get("readOnly") is True
    return (
        selector.get("IncludeManagementEvents", True) is True
        and record.get("managementEvent", True) is True
        and (kind == "All" or (kind == "ReadOnly") is reads)
        and record.get("eventSource") not in selector.get("ExcludeManagementEventSources", ())
    )


def _matches_advanced(fields: Sequence[Mapping[str, Any]], record: Mapping[str, Any]) -> bool:
    return all(_holds(field, _values(field["Field"], record)) for field in fields)


def _values(field: str, record: Mapping[str, Any]) -> list[str]:
    match field:
        case "readOnly":
            return ["true" if record.get("readOnly") is True else "false"]
        case "resources.ARN":
            return [str(resource.get("ARN", "")) for resource in record.get("resources") or ()]
        case "resources.type":
            return [str(resource.get("type", "")) for resource in record.get("resources") or ()]
        case "userIdentity.arn":
            arn = (record.get("userIdentity") or {}).get("arn")
            return [str(arn)] if arn else []
    value = record.get(field)
    return [] if value is None else [str(value)]


def _holds(field: Mapping[str, Any], values: Sequence[str]) -> bool:
    """Whether one of `values` fits one of each positive operator's, and none of them a negative operator's."""
    for operator in OPERATORS:
        wanted = field.get(operator)
        if not wanted:
            continue
        positive = operator.removeprefix("Not")
        fits = any(_fits(positive, value, each) for value in values for each in wanted)
        if fits is operator.startswith("Not"):
            return False
    return True


def _fits(operator: str, value: str, wanted: str) -> bool:
    match operator:
        case "StartsWith":
            return value.startswith(wanted)
        case "EndsWith":
            return value.endswith(wanted)
    return value == wanted
