"""Values of configuration items as queries compare, sort and show them. Pure."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": lambda value, literal: value == literal,
    "!=": lambda value, literal: value != literal,
    "<>": lambda value, literal: value != literal,
    "<": lambda value, literal: value < literal,
    "<=": lambda value, literal: value <= literal,
    ">": lambda value, literal: value > literal,
    ">=": lambda value, literal: value >= literal,
}


def alike(value: Any, literal: Any) -> bool:
    """Whether the two can be compared: both texts, both numbers, or both truths."""
    kinds = [
        bool if isinstance(each, bool) else float if isinstance(each, int | float) else type(each)
        for each in (value, literal)
    ]
    return kinds[0] is kinds[1]


def between(low: Any, high: Any) -> Callable[[Any], bool]:
    return lambda value: alike(value, low) and alike(value, high) and low <= value <= high


def like(pattern: str) -> Callable[[Any], bool]:
    """Matched piece by piece, so that no pattern takes long."""
    form = re.compile("".join("." if sign == "_" else re.escape(sign) for sign in pattern.replace("%", "")), re.DOTALL)
    pieces = [
        re.compile("".join("." if sign == "_" else re.escape(sign) for sign in piece), re.DOTALL)
        for piece in pattern.split("%")
    ]

    def fits(value: Any) -> bool:
        if not isinstance(value, str):
            return False
        if len(pieces) == 1:
            return form.fullmatch(value) is not None
        first, *middle, last = pieces
        start = first.match(value)
        if start is None:
            return False
        at = start.end()
        for piece in middle:
            found = piece.search(value, at)
            if found is None:
                return False
            at = found.end()
        size = len(pattern.rpartition("%")[2])
        return len(value) - size >= at and last.fullmatch(value, len(value) - size) is not None

    return fits


def values(item: Any, path: Sequence[str]) -> Iterator[Any]:
    """Everything that stands at `path`, through lists."""
    if isinstance(item, list):
        for each in item:
            yield from values(each, path)
    elif not path:
        yield item
    elif isinstance(item, Mapping):
        name = next((each for each in item if each.lower() == path[0].lower()), None)
        if name is not None:
            yield from values(item[name], path[1:])


def first(item: Any, path: Sequence[str]) -> Any:
    return next(values(item, path), None)


def sortable(value: Any) -> tuple[int, Any]:
    """Values of different kinds in one order: none, truths, numbers, texts, the rest as text."""
    if value is None:
        return 0, 0
    if isinstance(value, bool):
        return 1, value
    if isinstance(value, int | float):
        return 2, value
    return (3, value) if isinstance(value, str) else (4, str(value))


def lay(row: dict[str, Any], item: Any, path: Sequence[str]) -> None:
    """What stands at `path` in `item` stands there in `row` too; nothing if it is not there."""
    name = next((each for each in item if each.lower() == path[0].lower()), None) if isinstance(item, Mapping) else None
    if name is None:
        return
    value = item[name]
    if len(path) == 1:
        row[name] = value
    elif isinstance(value, list):
        known = row.setdefault(name, [{} for _ in value])
        for each, below in zip(value, known, strict=True):
            lay(below, each, path[1:])
    elif isinstance(value, Mapping):
        lay(row.setdefault(name, {}), value, path[1:])
