"""What a target is sent: the part of an event that InputPath names, or a text that InputTransformer makes of it.

Source: "Amazon EventBridge input transformation", user guide. A variable that stands bare in a JSON template becomes a JSON value, one that
stands inside quotes becomes text. There we differ: AWS puts extracted values between the quotes as they are, so that a value with a quote
in it breaks the input or brings members of its own; here they are escaped, and the input is the JSON that the template's author wrote.

Unverified: a bare variable whose path leads nowhere becomes an empty string.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

MAX_VARIABLES: Final = 100  # Source: InputPathsMap, API reference
MAX_STEPS: Final = 64  # of one path; it has 256 characters

_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
_STEP: Final = re.compile(r"\.([A-Za-z0-9_-]+)|\[(\d{1,6})\]|\['([^'\[\]]+)'\]|\[\"([^\"\[\]]+)\"\]")
_VARIABLE: Final = re.compile(r"<([A-Za-z0-9_.-]+)>")
_RESERVED: Final = frozenset(
    {
        "aws.events.rule-arn",
        "aws.events.rule-name",
        "aws.events.event.ingestion-time",
        "aws.events.event",
        "aws.events.event.json",
    }
)
_WHOLE: Final = frozenset({"aws.events.event", "aws.events.event.json"})  # JSON values only, never inside quotes
_ABSENT: Final = object()

Step = str | int


class InvalidInput(Exception):
    """A path or template that cannot be used. The message is a plain sentence."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """What the reserved variables say about a delivery."""

    rule_arn: str
    rule_name: str
    ingested_at: str  # ISO 8601, UTC


def read_path(path: str) -> tuple[Step, ...]:
    """`$.detail.items[0].name` as steps; `$` is none. Raises InvalidInput."""
    if not path.startswith("$"):
        raise InvalidInput(f"{path} is no JSON path: it begins with $.")
    steps: list[Step] = []
    at = 1
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None or len(steps) == MAX_STEPS:
            raise InvalidInput(f"{path} is no JSON path of names and indexes.")
        name, index, single, double = found.groups()
        steps.append(int(index) if index is not None else name or single or double)
        at = found.end()
    return tuple(steps)


def at_path(event: Any, steps: tuple[Step, ...], default: Any = None) -> Any:
    """What stands in `event` at the end of `steps`, or `default`."""
    value = event
    for step in steps:
        if isinstance(step, int):
            if not isinstance(value, list) or step >= len(value):
                return default
            value = value[step]
        else:
            if not isinstance(value, dict) or step not in value:
                return default
            value = value[step]
    return value


class InputTransformer:
    """InputPathsMap and InputTemplate, read once. Raises InvalidInput when they cannot be used together."""

    def __init__(self, paths: Mapping[str, str], template: str) -> None:
        if len(paths) > MAX_VARIABLES:
            raise InvalidInput(f"InputPathsMap has more than {MAX_VARIABLES} variables.")
        for name in paths:
            if not _NAME.fullmatch(name) or name.lower().startswith("aws"):
                raise InvalidInput(
                    f"{name} is no name of a variable: letters, digits, - and _, not beginning with AWS."
                )
        self._paths = {name: read_path(path) for name, path in paths.items()}
        self._parts = _parts(template, frozenset(self._paths) | _RESERVED)

    def render(self, event: Mapping[str, Any], occasion: Occasion) -> str:
        """The input that a target is sent for `event`: whole JSON, when the template with its variables is."""
        return "".join(part if isinstance(part, str) else part(self._value, event, occasion) for part in self._parts)

    def _value(self, name: str, event: Mapping[str, Any], occasion: Occasion) -> Any:
        if name in self._paths:
            return at_path(event, self._paths[name], _ABSENT)
        if name == "aws.events.event.json":
            return event
        if name == "aws.events.event":
            return {key: value for key, value in event.items() if key != "detail"}
        return {
            "aws.events.rule-arn": occasion.rule_arn,
            "aws.events.rule-name": occasion.rule_name,
            "aws.events.event.ingestion-time": occasion.ingested_at,
        }[name]


_Value = Callable[[str, Mapping[str, Any], Occasion], Any]
_Part = str | Callable[[_Value, Mapping[str, Any], Occasion], str]


def _parts(template: str, known: frozenset[str]) -> list[_Part]:
    """The template as literal texts and places for variables. A `<word>` that is no variable is literal."""
    parts: list[_Part] = []
    at = 0
    quoted = False
    for found in _VARIABLE.finditer(template):
        name = found[1]
        literal = template[at : found.start()]
        quoted = _quoted_after(literal, quoted)
        parts.append(literal)
        at = found.end()
        if name not in known:
            parts.append(found[0])
        elif quoted and name in _WHOLE:
            raise InvalidInput(f"<{name}> stands only where a JSON value does, not inside quotes.")
        else:
            parts.append(_inside_quotes(name) if quoted else _bare(name))
    parts.append(template[at:])
    return parts


def _quoted_after(literal: str, quoted: bool) -> bool:
    """Whether a JSON string is open after `literal`, when one was or was not before it."""
    escaped = False
    for character in literal:
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = quoted
        elif character == '"':
            quoted = not quoted
    return quoted


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _bare(name: str) -> _Part:
    def put(value_of: _Value, event: Mapping[str, Any], occasion: Occasion) -> str:
        value = value_of(name, event, occasion)
        return '""' if value is _ABSENT else _json(value)

    return put


def _inside_quotes(name: str) -> _Part:
    def put(value_of: _Value, event: Mapping[str, Any], occasion: Occasion) -> str:
        value = value_of(name, event, occasion)
        if value is _ABSENT:
            return ""
        return _json(value if isinstance(value, str) else _json(value))[1:-1]

    return put
