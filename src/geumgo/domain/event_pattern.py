"""EventBridge's event patterns: read once, then asked for each event.

A pattern names the fields that count. Fields are joined by AND, the values in an array by OR, the objects under `$or` by OR. Fields that
the pattern does not name are ignored. A field whose value in the event is an array matches when any of its values does; an array of
objects matches when one of the objects fits everything that the pattern says under it.

Source: "Amazon EventBridge event patterns", user guide. Numbers without `numeric` are compared as they are written there: 300 is not 300.0.
Unverified: that 3.0e2 and 300.0 differ too; both are one number here, because JSON was read before it came to us.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NoReturn

from geumgo.domain.event_filters import Filter, InvalidPattern, content_filter

__all__ = ["EventPattern", "InvalidPattern", "compile_pattern"]

MAX_DEPTH: Final = 100  # levels of objects; a pattern has 4,096 characters
MAX_COMBINATIONS: Final = 1_000  # what the alternatives of all `$or` multiply to. Unverified: the number

_OR: Final = "$or"
_RESERVED_IN_OR: Final = frozenset(
    {"exactly", "prefix", "suffix", "equals-ignore-case", "wildcard", "anything-but", "numeric", "cidr", "exists"}
)
_Fits = Callable[[Mapping[str, Any]], bool]


class EventPattern:
    """A pattern that was read. Nothing in it changes, so one may be kept and shared.

    `sources` are the only sources whose events it can want; None: it does not say so plainly.
    """

    __slots__ = ("_fits", "sources")

    def __init__(self, fits: _Fits, sources: frozenset[str] | None = None) -> None:
        self._fits = fits
        self.sources = sources

    def matches(self, event: Mapping[str, Any]) -> bool:
        """Whether `event`, the whole envelope as JSON gave it, is one that the pattern wants."""
        return self._fits(event)


def compile_pattern(text: str) -> EventPattern:
    """The pattern that `text` stands for. Of twin keys the last one counts.

    Raises:
        InvalidPattern: it is no JSON, or no pattern; the message is AWS's reason.
    """
    try:
        tree = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise InvalidPattern("The pattern is not JSON") from None  # Unverified: AWS shows what its parser says
    if not isinstance(tree, dict):
        raise InvalidPattern("Filter is not an object")
    fits, combinations = _object(tree, depth=1, in_or=False)
    if combinations > MAX_COMBINATIONS:
        raise InvalidPattern("Rule is too complex - try using fewer alternatives in $or")
    return EventPattern(fits, _sources(tree.get("source")))


def _sources(said: Any) -> frozenset[str] | None:
    return frozenset(said) if isinstance(said, list) and all(isinstance(each, str) for each in said) else None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _object(tree: dict[str, Any], *, depth: int, in_or: bool) -> tuple[_Fits, int]:
    """What an object of a pattern asks of an object of the event, and how many combinations of alternatives it stands for."""
    if not tree:
        raise InvalidPattern("Empty objects are not allowed")
    if depth > MAX_DEPTH:
        raise InvalidPattern("Pattern is nested too deeply")
    tests: list[_Fits] = []
    combinations = 1
    for name, value in tree.items():
        if name == _OR:
            test, count = _alternatives(value, depth)
        elif in_or and name in _RESERVED_IN_OR:
            raise InvalidPattern(f"{name} is Ruler reserved fieldName which cannot be used inside $or.")
        elif isinstance(value, dict):
            inner, count = _object(value, depth=depth + 1, in_or=in_or)
            test = _under(name, inner)
        elif isinstance(value, list):
            test, count = _leaf(name, value), 1
        else:
            raise InvalidPattern(f'"{name}" must be an object or an array')
        tests.append(test)
        combinations *= count
    if len(tests) == 1:
        return tests[0], combinations
    together = tuple(tests)

    def every(event: Mapping[str, Any]) -> bool:
        for test in together:  # noqa: SIM110 - all() with a generator costs half as much again, once per rule and event
            if not test(event):
                return False
        return True

    return every, combinations


def _alternatives(value: Any, depth: int) -> tuple[_Fits, int]:
    if not isinstance(value, list):
        raise InvalidPattern("It must be an Array followed with $or.")
    if not all(isinstance(each, dict) for each in value):
        raise InvalidPattern("Only JSON object is allowed in array of $or relationship.")
    if len(value) < 2:
        raise InvalidPattern("There must have at least 2 Objects in $or relationship.")
    read = [_object(each, depth=depth + 1, in_or=True) for each in value]
    tests = tuple(test for test, _ in read)
    return lambda event: any(test(event) for test in tests), sum(count for _, count in read)


def _under(name: str, inner: _Fits) -> _Fits:
    """`inner` for what stands under `name`. Nothing there is as good as an empty object: `exists: false` may still hold."""

    def fits(event: Mapping[str, Any]) -> bool:
        value = event.get(name)
        if isinstance(value, dict):
            return inner(value)
        objects = [each for each in _flat(value) if isinstance(each, dict)] if isinstance(value, list) else []
        return any(inner(each) for each in objects) if objects else inner({})

    return fits


def _leaf(name: str, values: list[Any]) -> _Fits:
    """What an array of values and filters asks of the field `name`."""
    if not values:
        raise InvalidPattern("Empty arrays are not allowed")
    if any(isinstance(value, list) for value in values):
        raise InvalidPattern("Match value must be String, number, true, false, or null")
    wanted = frozenset((type(value), value) for value in values if not isinstance(value, dict))
    filters = tuple(content_filter(value) for value in values if isinstance(value, dict))
    absent = any(isinstance(value, dict) and value.get("exists") is False for value in values)
    fits_one = _one(wanted, filters)

    def fits(event: Mapping[str, Any]) -> bool:
        if name not in event:
            return absent
        value = event[name]
        if isinstance(value, list):
            leaves = [each for each in _flat(value) if not isinstance(each, dict)]
            return any(fits_one(each) for each in leaves) if leaves else absent
        if isinstance(value, dict):
            return absent  # `exists` works on leaves only
        return fits_one(value)

    return fits


def _one(wanted: frozenset[tuple[type, Any]], filters: tuple[Filter, ...]) -> Filter:
    if not filters:
        return lambda value: (type(value), value) in wanted
    return lambda value: (type(value), value) in wanted or any(fits(value) for fits in filters)


def _flat(values: list[Any]) -> Iterator[Any]:
    """The values of an array and of the arrays in it, without recursion: an event may nest them deeply."""
    waiting = list(reversed(values))
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(reversed(value))
        else:
            yield value
