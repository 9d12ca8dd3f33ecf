"""The part of YAML in which AWS's sample conformance packs are written. Pure.

Mappings and sequences in blocks, plain and quoted scalars on one line, comments, empty `{}` and `[]`. Every scalar is read as a text.
What else YAML has (anchors, tags, flow collections, scalars of several lines, several documents) is refused, not guessed at. JSON is
read too.

Source: YAML 1.2, chapters 6 to 8.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

DEEPEST: Final = 32
MOST_LINES: Final = 10_000

_KEY: Final = re.compile(
    r"""(?P<key>'(?:[^']|'')*'|"(?:[^"\\]|\\.)*"|[^\s'"#{}\[\],&*!|>%@`?-](?:[^#:]|:(?=\S)|(?<=\S)#)*?)\s*:(?:\s+|$)"""
)
_SPECIAL: Final = re.compile(r"""[&*!|>%@`{}\[\],]|[?-](?:\s|$)""")


class InvalidYaml(Exception):
    """The text is not of that part of YAML. Its text is a sentence for the caller, with the number of the line."""


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    indent: int
    text: str

    def fault(self, what: str) -> InvalidYaml:
        return InvalidYaml(f"Line {self.number}: {what}.")


def read(text: str) -> Any:
    """Raises InvalidYaml."""
    if text.lstrip().startswith("{"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise InvalidYaml("The text begins like JSON and is none.") from None
    lines = list(_lines(text))
    if not lines:
        raise InvalidYaml("There is nothing in it.")
    if len(lines) > MOST_LINES:
        raise InvalidYaml(f"It has more than {MOST_LINES} lines.")
    found, rest = _block(lines, 0, lines[0].indent, 0)
    if rest < len(lines):
        raise lines[rest].fault("it is not indented like what stands around it")
    return found


def _lines(text: str) -> Iterator[_Line]:
    for number, raw in enumerate(text.splitlines(), 1):
        line = _Line(number, len(raw) - len(raw.lstrip(" ")), raw.strip())
        if not line.text or line.text.startswith("#") or (line.text == "---" and line.indent == 0):
            continue
        if "\t" in raw[: line.indent + 1]:
            raise line.fault("a tab indents nothing in YAML")
        yield line


def _block(lines: list[_Line], at: int, indent: int, depth: int) -> tuple[Any, int]:
    """What stands from line `at` on with this indent, and the first line behind it."""
    if depth > DEEPEST:
        raise lines[at].fault("it is too deep")
    if _is_entry(lines[at].text):
        return _sequence(lines, at, indent, depth)
    if _KEY.match(lines[at].text):
        return _mapping(lines, at, indent, depth)
    return _scalar(lines[at], lines[at].text), at + 1


def _is_entry(text: str) -> bool:
    return text == "-" or text.startswith("- ")


def _sequence(lines: list[_Line], at: int, indent: int, depth: int) -> tuple[list[Any], int]:
    found = []
    while at < len(lines) and lines[at].indent == indent and _is_entry(lines[at].text):
        line = lines[at]
        rest = line.text[1:].lstrip()
        if not rest or rest.startswith("#"):
            value, at = _below(lines, at, indent, depth)
        else:  # what follows the hyphen begins a block of its own, where it stands
            inner = indent + len(line.text) - len(rest)
            lines[at] = _Line(line.number, inner, rest)
            value, at = _block(lines, at, inner, depth + 1)
        found.append(value)
    return found, at


def _mapping(lines: list[_Line], at: int, indent: int, depth: int) -> tuple[dict[str, Any], int]:
    found: dict[str, Any] = {}
    while at < len(lines) and lines[at].indent == indent and not _is_entry(lines[at].text):
        line = lines[at]
        match = _KEY.match(line.text)
        if match is None:
            raise line.fault("a key and a colon were expected")
        key = _scalar(line, match["key"])
        if key in found:
            raise line.fault(f"the key {key} stands there twice")
        rest = line.text[match.end() :]
        if rest and not rest.startswith("#"):
            found[key], at = _scalar(line, rest), at + 1
        else:
            found[key], at = _below(lines, at, indent, depth, sequence_beside=True)
    return found, at


def _below(lines: list[_Line], at: int, indent: int, depth: int, *, sequence_beside: bool = False) -> tuple[Any, int]:
    """The block that belongs to line `at`; an empty text if there is none. A key's sequence may stand right under the key."""
    after = at + 1
    if after == len(lines):
        return "", after
    beside = sequence_beside and lines[after].indent == indent and _is_entry(lines[after].text)
    if lines[after].indent > indent or beside:
        return _block(lines, after, lines[after].indent, depth + 1)
    return "", after


def _scalar(line: _Line, text: str) -> Any:
    text = text.strip()
    if text[:1] in ("'", '"'):
        return _quoted(line, text)
    plain = re.split(r"\s#", text, maxsplit=1)[0].rstrip()
    if plain in ("{}", "[]"):
        return {} if plain == "{}" else []
    if _SPECIAL.match(plain) or re.search(r":\s", plain):
        raise line.fault(f"'{plain[:40]}' is of a part of YAML that is not read here")
    return plain


def _quoted(line: _Line, text: str) -> str:
    form = r"'((?:[^']|'')*)'" if text[0] == "'" else r'("(?:[^"\\]|\\.)*")'
    match = re.fullmatch(form + r"(?:\s+#.*)?", text)
    if match is None:
        raise line.fault("a quotation mark has no partner on the line")
    if text[0] == "'":
        return match[1].replace("''", "'")
    try:
        found: str = json.loads(match[1])
    except ValueError:
        raise line.fault("an escape in it is not one of JSON's") from None
    return found
