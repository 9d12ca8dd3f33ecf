"""The content filters of EventBridge's event patterns, each as a function over one value of an event.

Source: "Comparison operators for use in event patterns", Amazon EventBridge user guide. The reasons in `InvalidPattern` are those of AWS's
open rule engine (aws/event-ruler), which EventBridge shows behind "Event pattern is not valid. Reason: ".
"""

import ipaddress
import operator
from collections.abc import Callable
from typing import Any, Final

from geumgo.domain.wildcard import Mark, Matcher, Token, matcher

Filter = Callable[[Any], bool]

NUMBER_LIMIT: Final = 5.0e9
_ABOVE: Final[dict[str, Callable[[float, float], bool]]] = {">": operator.gt, ">=": operator.ge}
_BELOW: Final[dict[str, Callable[[float, float], bool]]] = {"<": operator.lt, "<=": operator.le}


class InvalidPattern(Exception):
    """The text is no event pattern. The message is AWS's reason, without its "Event pattern is not valid. Reason: "."""


def is_number(value: Any) -> bool:
    """Whether a JSON value is a number. `true` is none, although Python counts with it."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def content_filter(expression: dict[str, Any]) -> Filter:
    """The filter that `{"prefix": "x"}` and its kin stand for. Raises InvalidPattern."""
    if not expression:
        raise InvalidPattern("Match expression name not found")
    if len(expression) > 1:
        raise InvalidPattern("Only one key allowed in match expression")
    ((name, operand),) = expression.items()
    made = _MAKERS.get(name)
    if made is None:
        raise InvalidPattern(f"Unrecognized match type {name}")
    return made(operand)


def _on_text(test: Callable[[str], bool]) -> Filter:
    """`test` for texts; a value of another type never passes."""
    return lambda value: isinstance(value, str) and test(value)


def _text(name: str, operand: Any) -> str:
    if not isinstance(operand, str):
        raise InvalidPattern(f"{name} match pattern must be a string")
    return operand


def _ignoring_case(name: str, operand: Any) -> tuple[str, bool]:
    """The text of a prefix or suffix, and whether case is to be ignored. Raises InvalidPattern."""
    if isinstance(operand, dict):
        if list(operand) != ["equals-ignore-case"]:
            raise InvalidPattern(f"Unsupported {name} match pattern: {next(iter(operand), '')}")
        return _text("equals-ignore-case", operand["equals-ignore-case"]).lower(), True
    return _text(name, operand), False


def _prefix(operand: Any) -> Filter:
    text, folded = _ignoring_case("prefix", operand)
    if folded:
        return _on_text(lambda value: value.lower().startswith(text))
    return _on_text(lambda value: value.startswith(text))


def _suffix(operand: Any) -> Filter:
    text, folded = _ignoring_case("suffix", operand)
    if folded:
        return _on_text(lambda value: value.lower().endswith(text))
    return _on_text(lambda value: value.endswith(text))


def _equals_ignore_case(operand: Any) -> Filter:
    folded = _text("equals-ignore-case", operand).lower()
    return _on_text(lambda value: value.lower() == folded)


def _wildcard(operand: Any) -> Filter:
    return _on_text(_wildcard_matcher(_text("wildcard", operand)))


def _wildcard_matcher(pattern: str) -> Matcher:
    """A matcher of whole texts, in which `*` is any run of characters and a backslash stands before a literal `*` or backslash."""
    tokens: list[Token] = []
    literal = ""
    at = 0
    while at < len(pattern):
        character = pattern[at]
        if character == "*":
            if literal:
                tokens.append(literal)
                literal = ""
            elif tokens:
                raise InvalidPattern(f"Consecutive wildcard characters at pos {at - 1}")
            tokens.append(Mark.ANY_RUN)
        elif character == "\\":
            if pattern[at + 1 : at + 2] not in ("*", "\\"):
                raise InvalidPattern(f"Invalid escape character at pos {at}")
            at += 1
            literal += pattern[at]
        else:
            literal += character
        at += 1
    if literal:
        tokens.append(literal)
    return matcher(tokens)


def _exists(operand: Any) -> Filter:
    if not isinstance(operand, bool):
        raise InvalidPattern("exists match pattern must be either true or false.")
    return lambda _value: operand


def _cidr(operand: Any) -> Filter:
    text = _text("cidr", operand)
    if text.count("/") != 1:
        raise InvalidPattern("Malformed CIDR, one '/' required")
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise InvalidPattern(f"Malformed CIDR: {text}") from None

    def inside(value: str) -> bool:
        try:
            return ipaddress.ip_address(value) in network
        except ValueError:
            return False

    return _on_text(inside)


def _bound(name: str, value: Any) -> float:
    if not is_number(value):
        raise InvalidPattern(f"Value of {name} must be numeric")
    if not -NUMBER_LIMIT <= value <= NUMBER_LIMIT:
        raise InvalidPattern("Value must be between -5.0E9 and 5.0E9, inclusive")
    return float(value)


def _numeric(operand: Any) -> Filter:
    if not isinstance(operand, list):
        raise InvalidPattern("Value of numeric must be an array.")
    if not operand or not isinstance(operand[0], str):
        raise InvalidPattern(f"Invalid member in numeric match: {operand[0] if operand else ']'}")
    sign, terms = operand[0], operand[1:]
    if sign not in ("=", *_ABOVE, *_BELOW):
        raise InvalidPattern(f"Unrecognized numeric range operator: {sign}")
    first = _bound("equals" if sign == "=" else sign, terms[0] if terms else None)
    compare = _ABOVE.get(sign) or _BELOW.get(sign) or operator.eq
    if len(terms) == 1:
        return lambda value: _in_range(value) and compare(value, first)
    if sign not in _ABOVE:
        raise InvalidPattern("Too many elements in numeric expression")
    below, last = _top(first, terms[1:])
    return lambda value: _in_range(value) and compare(value, first) and below(value, last)


def _top(bottom: float, terms: list[Any]) -> tuple[Callable[[float, float], bool], float]:
    """The upper half of a range: how to compare, and with what. Raises InvalidPattern."""
    sign = terms[0]
    if not isinstance(sign, str):
        raise InvalidPattern(f"Bad value in numeric range: {sign}")
    if sign not in _BELOW:
        raise InvalidPattern(f"Bad numeric range operator: {sign}")
    top = _bound(sign, terms[1] if len(terms) > 1 else None)
    if len(terms) > 2:
        raise InvalidPattern("Too many terms in numeric range expression")
    if top <= bottom:
        raise InvalidPattern("Bottom must be less than top")
    return _BELOW[sign], top


def _in_range(value: Any) -> bool:
    """Whether a value is a number that `numeric` compares at all."""
    return is_number(value) and -NUMBER_LIMIT <= value <= NUMBER_LIMIT


def _anything_but(operand: Any) -> Filter:
    """True for each value that is there and is not the named one: a field that is absent has no value to pass here."""
    if isinstance(operand, dict):
        return _anything_but_filter(operand)
    values = operand if isinstance(operand, list) else [operand]
    if not isinstance(operand, list) and not isinstance(operand, str) and not is_number(operand):
        raise InvalidPattern("Value of anything-but must be an array or single string/number value.")
    texts = [value for value in values if isinstance(value, str)]
    numbers = [value for value in values if is_number(value)]
    if len(texts) + len(numbers) < len(values):
        raise InvalidPattern("Inside anything but list, start|null|boolean is not supported.")
    if bool(texts) == bool(numbers):
        raise InvalidPattern(
            "Inside anything but list, either all values are number or string, mixed type is not supported"
        )
    if texts:
        named = frozenset(texts)
        return lambda value: not isinstance(value, str) or value not in named
    counted = frozenset(float(_bound("anything-but", number)) for number in numbers)
    return lambda value: not is_number(value) or value not in counted


def _anything_but_filter(operand: dict[str, Any]) -> Filter:
    if not operand:
        raise InvalidPattern("Anything-But expression name not found")
    if len(operand) > 1:
        raise InvalidPattern("Only one key allowed in match expression")
    ((name, inner),) = operand.items()
    if name not in ("prefix", "suffix", "equals-ignore-case", "wildcard"):
        raise InvalidPattern(f"Unsupported anything-but pattern: {name}")
    texts = inner if isinstance(inner, list) else [inner]
    if not texts:
        raise InvalidPattern("Empty arrays are not allowed")
    if name in ("prefix", "suffix") and "" in texts:
        raise InvalidPattern("Null prefix/suffix not allowed")
    refused = [_MAKERS[name](text) for text in texts]
    return lambda value: not any(fits(value) for fits in refused)


_MAKERS: Final[dict[str, Callable[[Any], Filter]]] = {
    "prefix": _prefix,
    "suffix": _suffix,
    "equals-ignore-case": _equals_ignore_case,
    "wildcard": _wildcard,
    "anything-but": _anything_but,
    "numeric": _numeric,
    "cidr": _cidr,
    "exists": _exists,
}
