"""The query language of SelectResourceConfig: what it takes, and what a query makes of configuration items. Pure.

    SELECT property [, ...] [WHERE condition] [GROUP BY property [, ...]] [ORDER BY property [ASC | DESC] [, ...]]

A condition is a comparison (=, !=, <>, <, <=, >, >=, IN, BETWEEN, LIKE), or conditions joined by AND, OR and NOT. A property that leads
through a list has several values: one that fits is enough. Aggregates are COUNT, SUM, AVG, MIN and MAX.

Source: "Querying the Current Configuration State of AWS Resources", Developer Guide. Unverified: names of properties are found in any
case, a missing property fits nothing, and `_` of LIKE is one character.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from geumgo.services.config.domain_values import COMPARISONS, alike, between, first, lay, like, sortable, values

Item = Mapping[str, Any]
Condition = Callable[[Item], bool]

DEEPEST: Final = 32
"""Conditions inside of conditions."""

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)(?![\w.])|(?P<name>[A-Za-z_][\w:/-]*(?:\.[\w:/-]+)*)"
    r"|(?P<sign><=|>=|<>|!=|[=<>(),*]))"
)
_AGGREGATES: Final = ("COUNT", "SUM", "AVG", "MIN", "MAX")
_WORDS: Final = frozenset(
    (
        "SELECT",
        "WHERE",
        "GROUP",
        "ORDER",
        "BY",
        "AND",
        "OR",
        "NOT",
        "IN",
        "BETWEEN",
        "LIKE",
        "ASC",
        "DESC",
        "FROM",
        "JOIN",
    )
)


class InvalidQuery(Exception):
    """The text is no query. Its text is a sentence for the caller."""


@dataclass(frozen=True, slots=True)
class Field:
    """A column of the answer: a property, or an aggregate of one. `path` is empty for `*`."""

    name: str
    path: tuple[str, ...]
    aggregate: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """`resource_type`: every item that the query means is of this type; None: it may be of any."""

    fields: tuple[Field, ...]
    condition: Condition
    groups: tuple[tuple[str, ...], ...]
    order: tuple[tuple[Field, bool], ...]  # and whether it descends
    resource_type: str | None = None

    def answer(self, items: Sequence[Item]) -> list[dict[str, Any]]:
        """What the query makes of these items: a row for each, or for each group."""
        meant = [item for item in items if self.condition(item)]
        if not self.groups and not any(field.aggregate for field in self.fields):
            rows = [(item, _row(self.fields, [item])) for item in meant]
            for field, descends in reversed(self.order):
                rows.sort(key=lambda row: sortable(first(row[0], field.path)), reverse=descends)
            return [row for _, row in rows]
        grouped: dict[tuple[Any, ...], list[Item]] = {}
        for item in meant:
            grouped.setdefault(tuple(sortable(first(item, path)) for path in self.groups), []).append(item)
        if not self.groups and not grouped:
            grouped[()] = []
        groups = list(grouped.values())
        for field, descends in reversed(self.order):
            groups.sort(key=lambda group: sortable(_cell(field, group)), reverse=descends)
        return [_row(self.fields, group) for group in groups]


def compile_query(text: str) -> Query:
    """Raises InvalidQuery."""
    return _Parser(_tokens(text)).query()


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    text = text.strip().removesuffix(";").rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise InvalidQuery(f"The expression cannot be read from position {at} on.")
        kind, value = match.lastgroup, match[match.lastgroup]
        if kind == "name" and value.upper() in _WORDS:
            kind, value = "word", value.upper()
        found.append((kind, value))
        at = match.end()
    return found


class _Parser:
    """Reads tokens from the first to the last."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def query(self) -> Query:
        self._expect("word", "SELECT")
        fields = tuple(self._listed(self._field))
        self._type: str | None = None
        condition: Condition = _always
        if self._take("word", "WHERE"):
            condition = self._any()
        groups: tuple[tuple[str, ...], ...] = ()
        if self._take("word", "GROUP"):
            self._expect("word", "BY")
            groups = tuple(self._listed(self._path))
        order: tuple[tuple[Field, bool], ...] = ()
        if self._take("word", "ORDER"):
            self._expect("word", "BY")
            order = tuple(self._listed(self._ordered))
        if self._at < len(self._tokens):
            raise InvalidQuery(f"'{self._tokens[self._at][1]}' was not expected here.")
        plain = [field for field in fields if not field.aggregate]
        if (groups or len(plain) < len(fields)) and any(field.path not in groups for field in plain):
            raise InvalidQuery("Each property that is selected beside an aggregate must be in GROUP BY.")
        return Query(fields, condition, groups, order, self._type)

    # -- what is selected ---------------------------------------------------------------------------------------------

    def _field(self) -> Field:
        if self._take("sign", "*"):
            return Field("*", ())
        name = self._expect("name")
        if name.upper() in _AGGREGATES and self._take("sign", "("):
            path = () if self._take("sign", "*") else self._path()
            self._expect("sign", ")")
            if not path and name.upper() != "COUNT":
                raise InvalidQuery(f"{name.upper()} needs a property.")
            return Field(f"{name.upper()}({'.'.join(path) or '*'})", path, name.upper())
        return Field(name, tuple(name.split(".")))

    def _ordered(self) -> tuple[Field, bool]:
        field = self._field()
        if self._take("word", "DESC"):
            return field, True
        self._take("word", "ASC")
        return field, False

    def _path(self) -> tuple[str, ...]:
        return tuple(self._expect("name").split("."))

    # -- what is meant ------------------------------------------------------------------------------------------------

    def _any(self) -> Condition:
        self._depth += 1
        if self._depth > DEEPEST:
            raise InvalidQuery("The expression is too deep.")
        outer, whole = self._depth == 1, [self._all()]
        while self._take("word", "OR"):
            whole.append(self._all())
        self._depth -= 1
        if len(whole) == 1:
            return whole[0]
        if outer:
            self._type = None  # it holds for one of several only
        return lambda item: any(one(item) for one in whole)

    def _all(self) -> Condition:
        whole = [self._not()]
        while self._take("word", "AND"):
            whole.append(self._not())
        return whole[0] if len(whole) == 1 else lambda item: all(one(item) for one in whole)

    def _not(self) -> Condition:
        turns = False
        while self._take("word", "NOT"):
            turns = not turns
        known = self._type
        one = self._one()
        if not turns:
            return one
        self._type = known
        return lambda item: not one(item)

    def _one(self) -> Condition:
        if self._take("sign", "("):
            known = self._type
            inner = self._any()
            self._type = known
            self._expect("sign", ")")
            return inner
        path = self._path()
        turns = self._take("word", "NOT")
        if self._take("word", "IN"):
            test = self._in()
        elif self._take("word", "BETWEEN"):
            low = self._literal()
            self._expect("word", "AND")
            high = self._literal()
            test = between(low, high)
        elif self._take("word", "LIKE"):
            pattern = self._literal()
            if not isinstance(pattern, str):
                raise InvalidQuery("LIKE needs a text.")
            test = like(pattern)
        elif turns:
            raise InvalidQuery("NOT must be followed by IN, BETWEEN or LIKE here.")
        else:
            test = self._comparison(path)
        if turns:
            return lambda item: not any(test(value) for value in values(item, path))
        return lambda item: any(test(value) for value in values(item, path))

    def _comparison(self, path: tuple[str, ...]) -> Callable[[Any], bool]:
        sign = self._expect("sign")
        if sign not in COMPARISONS:
            raise InvalidQuery(f"'{sign}' does not compare.")
        literal = self._literal()
        if sign == "=" and path == ("resourceType",) and self._depth == 1:
            self._type = str(literal)
        compare = COMPARISONS[sign]
        return lambda value: alike(value, literal) and compare(value, literal)

    def _in(self) -> Callable[[Any], bool]:
        self._expect("sign", "(")
        literals = self._listed(self._literal)
        self._expect("sign", ")")
        return lambda value: any(alike(value, one) and value == one for one in literals)

    def _literal(self) -> Any:
        kind, value = self._next()
        if kind == "text":
            return value[1:-1].replace("''", "'")
        if kind == "number":
            return float(value) if "." in value else int(value)
        if kind == "name" and value.lower() in ("true", "false"):
            return value.lower() == "true"
        raise InvalidQuery(f"A value was expected instead of '{value}'.")

    # -- tokens -------------------------------------------------------------------------------------------------------

    def _listed(self, one: Callable[[], Any]) -> list[Any]:
        found = [one()]
        while self._take("sign", ","):
            found.append(one())
        return found

    def _next(self) -> tuple[str, str]:
        if self._at == len(self._tokens):
            raise InvalidQuery("The expression ends too soon.")
        self._at += 1
        return self._tokens[self._at - 1]

    def _take(self, kind: str, value: str) -> bool:
        taken = self._tokens[self._at : self._at + 1] == [(kind, value)]
        self._at += taken
        return taken

    def _expect(self, kind: str, value: str | None = None) -> str:
        found_kind, found = self._next()
        if found_kind != kind or value not in (None, found):
            raise InvalidQuery(
                f"{value or 'A property' if kind == 'name' else value or kind} was expected instead of '{found}'."
            )
        return found


def _always(item: Item) -> bool:  # noqa: ARG001
    return True


# -- rows ----------------------------------------------------------------------------------------------------


def _cell(field: Field, group: Sequence[Item]) -> Any:
    """One value of a row that stands for `group`."""
    if not field.aggregate:
        return first(group[0], field.path) if group else None
    if field.aggregate == "COUNT":
        return sum(1 for item in group if not field.path or first(item, field.path) is not None)
    numbers = [value for item in group for value in values(item, field.path) if sortable(value)[0] == 2]
    if not numbers:
        return None
    if field.aggregate == "AVG":
        return sum(numbers) / len(numbers)
    if field.aggregate == "SUM":
        return sum(numbers)
    return min(numbers) if field.aggregate == "MIN" else max(numbers)


def _row(fields: Sequence[Field], group: Sequence[Item]) -> dict[str, Any]:
    """The row of an item or of a group: properties where they stand in the item, aggregates under their names."""
    row: dict[str, Any] = {}
    for field in fields:
        if field.aggregate:
            row[field.name] = _cell(field, group)
        elif not field.path:
            row |= group[0]
        else:
            lay(row, group[0], field.path)
    return row
