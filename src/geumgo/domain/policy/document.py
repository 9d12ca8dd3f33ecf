"""The JSON text of a policy, read strictly: no key twice, no constants that JSON does not have, no depth that a policy never needs."""

import json
import re
from typing import Any, NamedTuple, NoReturn

_DEEPEST = 16  # a condition's list of values, the deepest thing that a policy holds, is at 7
# A string without an end runs to the end of the text: looking for one again and again would take the square of its length.
_STRUCTURE = re.compile(r'"(?:[^"\\]++|\\.?)*+"?|[\[\]{}]', re.DOTALL)


class NotADocument(ValueError):
    """The text is not one JSON object that can be read in one way only."""


class Number(NamedTuple):
    """A number as the document writes it. A condition's value is text, and no precision may be lost on the way there."""

    text: str


def read_document(text: str) -> dict[str, Any]:
    """The JSON object in `text`; its numbers are `Number`.

    Raises:
        NotADocument: broken JSON, a key twice, too deep, half a surrogate pair, or not an object.
    """
    _refuse_depth(text)
    try:
        text.encode("utf-8")
        read = json.loads(
            text, object_pairs_hook=_object, parse_int=Number, parse_float=Number, parse_constant=_refuse_constant
        )
        if "\\u" in text:
            json.dumps(read, ensure_ascii=False).encode("utf-8")
    except ValueError as unreadable:  # JSONDecodeError and UnicodeEncodeError among them
        raise NotADocument from unreadable
    if not isinstance(read, dict):
        raise NotADocument
    return read


def _refuse_depth(text: str) -> None:
    depth = 0
    for piece in _STRUCTURE.finditer(text):
        if piece[0] in "[{":
            depth += 1
            if depth > _DEEPEST:
                raise NotADocument
        elif piece[0] in "]}":
            depth -= 1


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        raise NotADocument
    return read


def _refuse_constant(_name: str) -> NoReturn:
    raise NotADocument
