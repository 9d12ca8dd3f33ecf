r"""The patterns of the models, which are Java's, made into Python's.

They differ in what a dot and the letters w, d and s stand for, in `\p{L}`, in surrogate pairs, and in what a minus or
a bracket means inside of brackets. A text must fit as a whole: `Session1:2` does not fit `[\w+=,.@-]*`.
Source: recorded on AWS (the error of STS for a session name).
"""

import re
import sys
import unicodedata
from functools import cache
from itertools import groupby

# A text longer than this, for which the model has no upper bound, fits no pattern: matching goes by backtracking.
UNBOUNDED_LENGTH = 2048  # characters

# Patterns that a backtracking matcher needs exponential time to refuse, and ones for the same language that are safe.
_SAFE = {
    r"[a-z](?:-?[a-z0-9]+){0,15}": r"[a-z](?:-?[a-z0-9]++){0,15}",
    r"[a-zA-Z](?:-?[a-zA-Z0-9]+)*": r"[a-zA-Z](?:-?[a-zA-Z0-9])*",
    r"^[ \t]*[\x20-\x7E]+([ \t]+[\x20-\x7E]+)*[ \t]*$": r"\t*[\x20-\x7E][\t\x20-\x7E]*",
    r"^[ \t]*[^\x00-\x1F:\x7F]+([ \t]+[^\x00-\x1F:\x7F]+)*[ \t]*$": r"\t*[^\x00-\x1F:\x7F][^\x00-\x08\x0A-\x1F:\x7F]*",
}

_ESCAPE = re.compile(
    r"\\(?:u(?P<unit>[0-9A-Fa-f]{4})(?:\\u(?P<low>[dD][c-fC-F][0-9A-Fa-f]{2}))?|x(?P<byte>[0-9A-Fa-f]{2})"
    r"|(?P<not>[pP])\{(?P<category>[A-Za-z]+)\}|(?P<other>.))",
    re.DOTALL,
)
_CLOSED = re.compile(r"\^?(?:\\.|[^\]\\])*+\]", re.DOTALL)
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_JAVA_DOT = "[^\\n\\r\\x85\\u2028\\u2029]"


def fits(pattern: str, text: str) -> bool:
    """Whether the whole of `text` fits `pattern`. The caller sees that `text` is not longer than the model allows."""
    return compiled(pattern).fullmatch(text) is not None


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """`pattern` of a model as Python's.

    Raises:
        re.error: it uses what Python does not have.

    """
    return re.compile(_translate(_SAFE.get(pattern, pattern)), re.ASCII)


def _translate(pattern: str) -> str:
    out, at, dot = [], 0, "." if pattern.startswith("(?s)") else _JAVA_DOT
    while at < len(pattern):
        char = pattern[at]
        if char == "\\":
            part, at, _ = _escape(pattern, at, inside=False)
            out.append(part)
        elif char == "[":
            part, at = _brackets(pattern, at)
            out.append(part)
        else:
            out.append(dot if char == "." else char)
            at += 1
    return "".join(out)


def _brackets(pattern: str, at: int) -> tuple[str, int]:
    """The class of characters that starts at `at`, and where the pattern goes on behind it."""
    at += 1
    if not _CLOSED.match(pattern, at):
        raise re.error("a bracket is not closed", pattern, at)
    out = ["["]
    if pattern[at] == "^":
        out.append("^")
        at += 1
    previous_is_single = False
    while pattern[at] != "]":
        if pattern[at] == "-" and previous_is_single and pattern[at + 1] != "]":
            upper, after, single = _item(pattern, at + 1)
            if single:
                out.append(f"-{upper}")
                at, previous_is_single = after, False
                continue
        part, at, previous_is_single = _item(pattern, at)
        out.append(part)
    return "".join(out) + "]", at + 1


def _item(pattern: str, at: int) -> tuple[str, int, bool]:
    """One character or escape inside of brackets; whether it is a single character, which can begin or end a range."""
    if pattern[at] == "\\":
        return _escape(pattern, at, inside=True)
    return _literal(pattern[at]), at + 1, True


def _escape(pattern: str, at: int, *, inside: bool) -> tuple[str, int, bool]:
    found = _ESCAPE.match(pattern, at)
    if found is None:
        raise re.error("bad escape", pattern, at)
    end = found.end()
    if found["unit"]:
        unit = int(found["unit"], 16)
        if found["low"] and 0xD800 <= unit < 0xDC00:
            return _literal(chr(0x10000 + ((unit - 0xD800) << 10) + (int(found["low"], 16) - 0xDC00))), end, True
        return _literal(chr(unit)), at + 6, True
    if found["byte"]:
        return _literal(chr(int(found["byte"], 16))), end, True
    if found["category"]:
        ranges = _category(found["category"])
        if inside and found["not"] == "p":
            return ranges, end, False
        if inside:
            raise re.error("a negated category inside of brackets", pattern, at)
        return f"[{'^' if found['not'] == 'P' else ''}{ranges}]", end, False
    other = found["other"]
    if other in _CONTROLS:
        return _literal(_CONTROLS[other]), end, True
    if other.isalnum():  # \d \w \s \b and back references are written alike
        return {"z": "\\Z"}.get(other, f"\\{other}"), end, False
    return _literal(other), end, True


def _literal(char: str) -> str:
    return char if char.isalnum() else f"\\U{ord(char):08x}"


def _category(name: str) -> str:
    """The inside of a bracket that holds all characters of a Unicode category ("L", "Zs")."""
    ranges = [part for category, part in _categories().items() if category.startswith(name)]
    if not ranges:
        raise re.error(f"unknown category {name}")
    return "".join(ranges)


@cache
def _categories() -> dict[str, str]:
    """Every category with the ranges of its characters. Costs about 0.2 s, once, when a pattern first asks."""
    found: dict[str, list[str]] = {}
    for category, group in groupby(range(sys.maxunicode + 1), key=lambda code: unicodedata.category(chr(code))):
        codes = list(group)
        found.setdefault(category, []).append(f"\\U{codes[0]:08x}-\\U{codes[-1]:08x}")
    return {category: "".join(ranges) for category, ranges in found.items()}
