"""Which parameters a filter means.

Source: ParameterStringFilter, API reference. Messages and the matching of names with and without a leading slash: moto.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from geumgo.services.ssm import domain
from geumgo.services.ssm.domain_policies import said_by
from geumgo.services.ssm.errors import (
    InvalidFilterKey,
    InvalidFilterOption,
    InvalidFilterValue,
    ValidationFailed,
)
from geumgo.services.ssm.records import Parameter, Policy, Version

TAG: Final = "tag:"
ONE_LEVEL: Final = "OneLevel"
RECURSIVE: Final = "Recursive"

DESCRIBE: Final = frozenset({"Path", "Name", "Type", "KeyId", "Tier", "DataType", TAG})
BY_PATH: Final = frozenset({"Type", "KeyId", "Label"})

_SHOWN_KEYS: Final = {DESCRIBE: "[Path, Name, Type, KeyId, Tier]", BY_PATH: "[Type, KeyId]"}
_VALUES: Final = {
    "Type": ("String", "StringList", "SecureString"),
    "Tier": ("Standard", "Advanced", "Intelligent-Tiering"),
}


class Filter(NamedTuple):
    """One condition: its values are alternatives. Values of Name and Path are as `Parameter.path` is spelled."""

    key: str
    option: str
    values: tuple[str, ...]


def parse(listed: Sequence[Mapping[str, Any]], keys: frozenset[str]) -> list[Filter]:
    """The filters of a request. `keys`: DESCRIBE or BY_PATH.

    Raises InvalidFilterKey, InvalidFilterOption, InvalidFilterValue, ValidationFailed.
    """
    seen: set[str] = set()
    found = []
    for one in listed:
        key = one["Key"]
        if (TAG if key.startswith(TAG) else key) not in keys:
            raise InvalidFilterKey(
                f"The following filter key is not valid: {key}. Valid filter keys include: {_SHOWN_KEYS[keys]}."
            )
        if key in seen:
            raise InvalidFilterKey(
                f"The following filter is duplicated in the request: {key}. A request can contain only one occurrence of a "
                "specific filter."
            )
        seen.add(key)
        found.append(_parse_one(key, one.get("Option"), one.get("Values") or []))
    return found


def _parse_one(key: str, option: str | None, values: Sequence[str]) -> Filter:
    if not values and not key.startswith(TAG):
        raise InvalidFilterValue(f"The following filter values are missing : null for filter key {key}.")
    options = _options(key)
    if option is not None and option not in options:
        shown = "[Recursive, OneLevel]" if key == "Path" else "[Equals]" if key == "Label" else "[BeginsWith, Equals]"
        raise InvalidFilterOption(
            f"The following filter option is not valid: {option}. Valid options include: {shown}."
        )
    for value in values:
        if value not in _VALUES.get(key, (value,)):
            raise InvalidFilterValue(
                f"The following filter value is not valid: {value}. Valid values include: [{', '.join(_VALUES[key])}]."
            )
    option = option or options[0]
    if key == "Path":
        return Filter(key, option, tuple(_path(value) for value in values))
    if key == "Name":
        return Filter(key, option, tuple(_name(value, option) for value in values))
    return Filter(key, option, tuple(values))


def _options(key: str) -> tuple[str, ...]:
    """What a filter may do with its values; the default first."""
    if key == "Path":
        return (ONE_LEVEL, RECURSIVE)
    if key == "Label":
        return ("Equals",)
    return ("Equals", "BeginsWith", "Contains") if key == "Name" else ("Equals", "BeginsWith")


def _path(value: str) -> str:
    domain.refuse_path(value)
    _refuse_common(value)
    return domain.level_of(value)


def _name(value: str, option: str) -> str:
    _refuse_common(value)
    return value if option == "Contains" else domain.path_of(value)


def _refuse_common(value: str) -> None:
    if value.lower().lstrip("/").startswith(("aws", "ssm")):
        raise ValidationFailed(
            'Filters for common parameters can\'t be prefixed with "aws" or "ssm" (case-insensitive). When using global '
            "parameters, please specify within a global namespace."
        )


def legacy(listed: Sequence[Mapping[str, Any]]) -> list[Filter]:
    """The filters in their deprecated form. Unverified: that a name begins with the value, and the rest equals it."""
    return [_parse_one(one["Key"], "BeginsWith" if one["Key"] == "Name" else "Equals", one["Values"]) for one in listed]


def matches(parameter: Parameter, version: Version, filters: Sequence[Filter]) -> bool:
    """Whether every filter means the parameter, whose newest version is `version`."""
    return all(_fits(parameter, version, one) for one in filters)


def _fits(parameter: Parameter, version: Version, one: Filter) -> bool:
    key, option, values = one
    if key.startswith(TAG):
        worn = parameter.tags.get(key.removeprefix(TAG))
        return worn is not None and (not values or any(_holds(worn, option, value) for value in values))
    if key == "Path":
        return any(_lies_below(parameter, option, value) for value in values)
    if key == "Label":
        return any(value in parameter.labels for value in values)
    text = {
        "Name": parameter.name if option == "Contains" else parameter.path,
        "Type": version.kind,
        "KeyId": version.key_id,
        "Tier": version.tier,
        "DataType": version.data_type,
    }[key]
    return any(_holds(text, option, value) for value in values)


def _holds(text: str, option: str, value: str) -> bool:
    match option:
        case "BeginsWith":
            return text.startswith(value)
        case "Contains":
            return value in text
    return text == value


def _lies_below(parameter: Parameter, option: str, level: str) -> bool:
    if option == ONE_LEVEL:
        return parameter.parent == level
    return level == "/" or parameter.path.startswith(f"{level}/")


def prefix(filters: Sequence[Filter]) -> str:
    """What the paths of all parameters begin with that `filters` mean: what the database can search for. "/": anything."""
    for key, option, values in filters:
        if len(values) == 1 and key == "Name" and option != "Contains":
            return values[0]
        if len(values) == 1 and key == "Path" and values[0] != "/":
            return f"{values[0]}/"
    return "/"


def label_of(parameter: Parameter, filters: Sequence[Filter]) -> str | None:
    """The label by which `filters` mean the parameter, or None if they do not speak of labels."""
    for key, _, values in filters:
        if key == "Label":
            return next(value for value in values if value in parameter.labels)
    return None


def shown_policies(policies: Sequence[Policy]) -> list[dict[str, str]]:
    """Policies as they are answered. Source: ParameterInlinePolicy, API reference."""
    return [
        {"PolicyText": policy.text, "PolicyType": said_by(policy).kind, "PolicyStatus": policy.status}
        for policy in policies
    ]
