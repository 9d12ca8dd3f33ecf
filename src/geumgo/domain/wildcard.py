"""Patterns with `*` (any run of characters, also none) and `?` (exactly one), matched against a whole text in bounded time.

No regular expressions: a pattern comes from a stranger. Most patterns are a prefix, a suffix and a few literals in
order, which `str` finds in linear time. The rest run as a bit-parallel automaton: one step per character, each step one
operation on an integer with one bit per pattern character. Nothing backtracks.
"""

from collections.abc import Callable, Sequence
from enum import Enum

Matcher = Callable[[str], bool]


class Mark(Enum):
    """A wildcard in a pattern that was taken apart."""

    ANY_RUN = "*"
    ANY_ONE = "?"


Token = str | Mark


def tokens_of(pattern: str) -> tuple[Token, ...]:
    """`pattern` as literal texts and marks. Neighbouring stars are one."""
    tokens: list[Token] = []
    start = 0
    for at, character in enumerate(pattern):
        if character in "*?":
            if at > start:
                tokens.append(pattern[start:at])
            start = at + 1
            if character == "?" or not tokens or tokens[-1] is not Mark.ANY_RUN:
                tokens.append(Mark(character))
    if start < len(pattern):
        tokens.append(pattern[start:])
    return tuple(tokens)


def glob(pattern: str) -> Matcher:
    """A function that says whether a whole text fits `pattern`. Case matters."""
    return matcher(tokens_of(pattern))


def matcher(tokens: Sequence[Token]) -> Matcher:
    """A function that says whether a whole text fits `tokens`, in which literal text is never a wildcard."""
    stretches: list[list[Token]] = [[]]
    for token in tokens:
        if token is Mark.ANY_RUN:
            stretches.append([])
        else:
            stretches[-1].append(token)
    if len(stretches) == 1:
        return _fixed(stretches[0])
    middle = [stretch for stretch in stretches[1:-1] if stretch]
    if any(Mark.ANY_ONE in stretch for stretch in middle):
        return _automaton(tokens)
    head, tail = _Stretch(stretches[0]), _Stretch(stretches[-1])
    if not middle and not tail.length:
        return _beginning(head)
    return _in_order(head, ["".join(map(str, stretch)) for stretch in middle], tail)


class _Stretch:
    """A part of a pattern without `*`: literal texts at fixed places, `length` characters in all."""

    __slots__ = ("length", "pieces", "text")

    def __init__(self, tokens: Sequence[Token]) -> None:
        pieces: list[tuple[int, str]] = []
        at = 0
        for token in tokens:
            if isinstance(token, str):
                pieces.append((at, token))
                at += len(token)
            else:
                at += 1
        self.length = at
        self.pieces = pieces
        self.text = "".join(text for _, text in pieces) if Mark.ANY_ONE not in tokens else None

    def fits(self, text: str, start: int) -> bool:
        """Whether the stretch stands in `text` at `start`. The text is long enough: the caller has looked."""
        return all(text.startswith(piece, start + offset) for offset, piece in self.pieces)


def _fixed(tokens: Sequence[Token]) -> Matcher:
    stretch = _Stretch(tokens)
    literal, length = stretch.text, stretch.length
    if literal is not None:
        return lambda text: text == literal
    return lambda text: len(text) == length and stretch.fits(text, 0)


def _beginning(head: _Stretch) -> Matcher:
    if not head.length:
        return lambda _text: True
    literal, length = head.text, head.length
    if literal is not None:
        return lambda text: text.startswith(literal)
    return lambda text: len(text) >= length and head.fits(text, 0)


def _in_order(head: _Stretch, middle: Sequence[str], tail: _Stretch) -> Matcher:
    """The leftmost place for each middle text leaves the most room for the next, so the first try is the only one needed."""
    least = head.length + sum(map(len, middle)) + tail.length
    begins, ends = head.text, tail.text
    if begins is not None and ends is not None:
        return _literals_in_order(begins, middle, ends, least)

    def fits(text: str) -> bool:
        end = len(text) - tail.length
        if len(text) < least or not head.fits(text, 0) or not tail.fits(text, end):
            return False
        at = head.length
        for literal in middle:
            found = text.find(literal, at, end)
            if found < 0:
                return False
            at = found + len(literal)
        return True

    return fits


def _literals_in_order(begins: str, middle: Sequence[str], ends: str, least: int) -> Matcher:
    """`_in_order` for a pattern without `?`, which nearly all are."""
    after, before = len(begins), len(ends)

    def fits(text: str) -> bool:
        if not text.startswith(begins) or not text.endswith(ends) or len(text) < least:
            return False
        at, end = after, len(text) - before
        for literal in middle:
            found = text.find(literal, at, end)
            if found < 0:
                return False
            at = found + len(literal)
        return True

    return fits


def _automaton(tokens: Sequence[Token]) -> Matcher:
    """Bit i of the state says: the first i characters of the pattern have been met. A `*` after i of them keeps bit i alive."""
    steps: list[str | None] = []
    loops = 0
    for token in tokens:
        if token is Mark.ANY_RUN:
            loops |= 1 << len(steps)
        elif token is Mark.ANY_ONE:
            steps.append(None)
        else:
            steps.extend(str(token))
    anything = sum(1 << at for at, step in enumerate(steps) if step is None)
    accepting = {step: anything for step in steps if step is not None}
    for at, step in enumerate(steps):
        if step is not None:
            accepting[step] |= 1 << at
    least, done = len(steps), 1 << len(steps)

    def fits(text: str) -> bool:
        if len(text) < least:
            return False
        state = 1
        for character in text:
            state = ((state & accepting.get(character, anything)) << 1) | (state & loops)
            if not state:
                return False
        return bool(state & done)

    return fits
