"""Conditions and policy variables, as the IAM user guide describes them, one operator at a time.

Source: "Condition operators", "Single-valued vs. multivalued context keys", "Conditions with multiple context keys or
values" and "Variables and tags", IAM user guide.
"""

import base64
import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from tests.oracle.rules import Rules

VARIABLE = re.compile(r"\$\{([^}]*)\}")
ESCAPED = {"*", "?", "$"}
ARN_PARTS = 6


class Asking(NamedTuple):
    """What a statement is held against: the request's keys (names in lower case), the document's version, the rules."""

    context: Mapping[str, list[str]]
    version: str
    rules: Rules


class Letter(str):
    """A character that stands for itself, even if it is a star."""

    __slots__ = ()


Pattern = tuple[str, ...]  # one character each; "*" and "?" are wildcards unless they are a Letter


def pattern(text: str, asking: Asking) -> Pattern | None:
    """`text` with its variables replaced; None if one of them has no value, so that nothing can be equal or alike.

    Source: "Policy variables with no value", "Special characters" and "Specifying default values", IAM user guide.
    Variables exist from version 2012-10-17 on; before, the text is taken as it stands.
    """
    if asking.version != "2012-10-17" and asking.rules.variables_need_the_2012_version:
        return tuple(text)
    made: list[str] = []
    end = 0
    for found in VARIABLE.finditer(text):
        made += text[end : found.start()]
        end = found.end()
        value = _variable(found[1], asking)
        if value is None:
            if asking.rules.variable_without_value_matches_nothing:
                return None
            value = ""
        made += [Letter(char) for char in value] if asking.rules.wildcard_in_a_value_is_a_letter else list(value)
    made += text[end:]
    return tuple(made)


def _variable(inside: str, asking: Asking) -> str | None:
    if inside in ESCAPED:
        return inside
    name, _, default = inside.partition(",")
    values = asking.context.get(name.strip().lower())
    if values:
        return values[0]
    if default and asking.rules.defaults_stand_in:
        return default.strip().removeprefix("'").removesuffix("'")
    return None


def alike(wanted: Pattern, text: str, *, heed_case: bool = True) -> bool:
    """Does `text` match, where * stands for any characters, also none, and ? for exactly one?"""
    source = "".join(_expression(char) for char in wanted)
    return _compiled(source, heed_case).fullmatch(text) is not None


def _expression(char: str) -> str:
    if isinstance(char, Letter):
        return re.escape(char)
    return {"*": ".*", "?": "."}.get(char) or re.escape(char)


@lru_cache(maxsize=20_000)
def _compiled(source: str, heed_case: bool) -> re.Pattern[str]:
    return re.compile(source, re.DOTALL | (0 if heed_case else re.IGNORECASE))


def equal(wanted: Pattern, text: str) -> bool:
    return "".join(wanted) == text


def _string_equals(wanted: str, value: str, asking: Asking) -> bool:
    made = pattern(wanted, asking)
    if made is None:
        return False
    return equal(made, value) if asking.rules.equals_knows_no_wildcards else alike(made, value)


def _string_equals_ignore_case(wanted: str, value: str, asking: Asking) -> bool:
    made = pattern(wanted, asking)
    return made is not None and "".join(made).lower() == value.lower()


def _string_like(wanted: str, value: str, asking: Asking) -> bool:
    made = pattern(wanted, asking)
    return made is not None and alike(made, value)


def _arn_like(wanted: str, value: str, asking: Asking) -> bool:
    """Each of the six components is compared by itself, so that no wildcard reaches over the colon between two."""
    if not asking.rules.arn_wildcards_stay_between_colons:
        return _string_like(wanted, value, asking)
    parts, wanted_parts = value.split(":", ARN_PARTS - 1), wanted.split(":", ARN_PARTS - 1)
    if len(parts) != ARN_PARTS or len(wanted_parts) != ARN_PARTS:
        return False
    return all(_string_like(one, part, asking) for one, part in zip(wanted_parts, parts, strict=True))


def _numeric(compare: Callable[[Decimal, Decimal], bool]) -> "Operator":
    return lambda wanted, value, _: compare(Decimal(value), Decimal(wanted))


def instant(text: str) -> datetime:
    """Of a W3C date (days, minutes or seconds, with a zone) or of seconds since 1970."""
    if re.fullmatch(r"\d+", text):
        return datetime.fromtimestamp(int(text), UTC)
    made = datetime.fromisoformat(text)
    return made if made.tzinfo else made.replace(tzinfo=UTC)


def _date(compare: Callable[[datetime, datetime], bool]) -> "Operator":
    return lambda wanted, value, _: compare(instant(value), instant(wanted))


def _bool(wanted: str, value: str, _: Asking) -> bool:
    return wanted == value


def _binary(wanted: str, value: str, _: Asking) -> bool:
    return base64.b64decode(wanted) == base64.b64decode(value)


def _address(wanted: str, value: str, _: Asking) -> bool:
    network, address = ipaddress.ip_network(wanted), ipaddress.ip_address(value)
    return address.version == network.version and address in network


Operator = Callable[[str, str, Asking], bool]

OPERATORS: dict[str, Operator] = {
    "StringEquals": _string_equals,
    "StringEqualsIgnoreCase": _string_equals_ignore_case,
    "StringLike": _string_like,
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
    "NumericEquals": _numeric(lambda a, b: a == b),
    "NumericLessThan": _numeric(lambda a, b: a < b),
    "NumericLessThanEquals": _numeric(lambda a, b: a <= b),
    "NumericGreaterThan": _numeric(lambda a, b: a > b),
    "NumericGreaterThanEquals": _numeric(lambda a, b: a >= b),
    "DateEquals": _date(lambda a, b: a == b),
    "DateLessThan": _date(lambda a, b: a < b),
    "DateLessThanEquals": _date(lambda a, b: a <= b),
    "DateGreaterThan": _date(lambda a, b: a > b),
    "DateGreaterThanEquals": _date(lambda a, b: a >= b),
    "Bool": _bool,
    "BinaryEquals": _binary,
    "IpAddress": _address,
}
NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
    "NotIpAddress": "IpAddress",
}


def conditions_hold(condition: Mapping[str, Mapping[str, Any]], asking: Asking) -> bool:
    """Every operator, and under each operator every key."""
    results = [
        _holds(operator, key, listed(wanted), asking)
        for operator, keys in condition.items()
        for key, wanted in keys.items()
    ]
    return all(results) if asking.rules.all_operators_must_hold else any(results) or not results


def listed(value: Any) -> list[str]:
    """One value or several, always as a list; JSON's true and false as words."""
    values = value if isinstance(value, list) else [value]
    return [str(one).lower() if isinstance(one, bool) else str(one) for one in values]


def _holds(operator: str, key: str, wanted: list[str], asking: Asking) -> bool:
    rules = asking.rules
    values = asking.context.get(key.lower()) if rules.condition_keys_ignore_case else _exact(asking.context, key)
    if operator == "Null":
        absent = (not values) is rules.null_true_means_absent
        return any((word == "true") is absent for word in wanted)
    quantifier, _, name = operator.rpartition(":")
    if_exists = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    negated = name in NEGATED
    if not values:
        return _holds_without_key(quantifier, if_exists=if_exists, negated=negated, rules=rules)
    matches = OPERATORS[NEGATED.get(name, name)]

    def one_holds(value: str) -> bool:
        found = [matches(one, value, asking) for one in wanted]
        if negated:
            return not any(found) if rules.negation_means_none_of else not all(found)
        return any(found)

    if quantifier == "ForAllValues":
        return all(one_holds(value) for value in values)
    return any(one_holds(value) for value in values)  # without ForAnyValue there is one value only


def _exact(context: Mapping[str, list[str]], key: str) -> list[str] | None:
    return context.get(key) if key == key.lower() else None


def _holds_without_key(quantifier: str, *, if_exists: bool, negated: bool, rules: Rules) -> bool:
    if if_exists:
        return rules.if_exists_holds_for_a_missing_key
    if quantifier == "ForAllValues":
        return rules.for_all_values_holds_for_a_missing_key
    if quantifier == "ForAnyValue":
        return not rules.for_any_value_fails_for_a_missing_key
    return negated and rules.negation_holds_for_a_missing_key
