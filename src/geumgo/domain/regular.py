"""Regular expressions from strangers, matched against a whole text in bounded time.

The regular part of Java's syntax: literals, `.`, classes, `|`, groups, quantifiers, `^`, `$`, `(?i)`, and lookaheads where a pattern begins
(as rules for passwords have them). A pattern becomes an automaton without backtracking; the work is counted, and a pattern that would
take more is refused. Not there: backreferences, lookbehind, possessive quantifiers, word boundaries, intersections of classes.
"""

import unicodedata
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

MOST_STATES: Final = 10_000
MOST_STEPS: Final = 200_000  # states looked at for one text; about a tenth of a second
DEEPEST: Final = 50  # groups inside of groups

Predicate = Callable[[str], bool]

_DIGITS: Final = frozenset("0123456789")
_WORD: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_SPACE: Final = frozenset(" \t\n\x0b\f\r")
_LINE_ENDS: Final = frozenset("\n\r\x85\u2028\u2029")
_SETS: Final = {"d": _DIGITS, "w": _WORD, "s": _SPACE}
_CONTROLS: Final = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "a": "\a", "e": "\x1b", "0": "\0"}
_POSIX: Final = {
    "Lower": frozenset("abcdefghijklmnopqrstuvwxyz"),
    "Upper": frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    "Digit": _DIGITS,
    "Alpha": _WORD - _DIGITS - {"_"},
    "Alnum": _WORD - {"_"},
    "Punct": frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"),
    "Space": _SPACE,
    "XDigit": frozenset("0123456789abcdefABCDEF"),
}


class BadPattern(ValueError):
    """Not a pattern, or not one of those that are understood here. The message says what is wrong, in one sentence."""


class TooMuchWork(BadPattern):
    """The pattern needs more states or more steps than there are."""


class _Node(NamedTuple):
    """A piece of a pattern: `kind` char, cat, alt, rep, begin or end."""

    kind: str
    parts: tuple["_Node", ...] = ()
    fits: Predicate | None = None
    low: int = 0
    high: int | None = None


# -- from text to nodes -----------------------------------------------------------------------------------------------


class _Parser:
    def __init__(self, pattern: str) -> None:
        self.text, self.at, self.fold = pattern, 0, False
        if self.text.startswith("(?i)"):
            self.at, self.fold = 4, True

    def whole(self) -> tuple[list[tuple[bool, _Node]], _Node]:
        """The lookaheads at the beginning (whether they must match, what they look for), and the pattern."""
        looks: list[tuple[bool, _Node]] = []
        if self.text.startswith("^(?=", self.at) or self.text.startswith("^(?!", self.at):
            self.at += 1
        while self.text[self.at : self.at + 3] in ("(?=", "(?!"):
            wanted = self.text[self.at + 2] == "="
            self.at += 3
            looks.append((wanted, self.alternatives(1)))
            self.expect(")")
        node = self.alternatives(0)
        if self.at < len(self.text):
            raise BadPattern("there is a closing bracket too much")
        return looks, node

    def alternatives(self, depth: int) -> _Node:
        if depth > DEEPEST:
            raise TooMuchWork("too many groups lie inside of one another")
        found = [self.sequence(depth)]
        while self.peek() == "|":
            self.at += 1
            found.append(self.sequence(depth))
        return found[0] if len(found) == 1 else _Node("alt", tuple(found))

    def sequence(self, depth: int) -> _Node:
        parts: list[_Node] = []
        while (char := self.peek()) and char not in "|)":
            parts.append(self.quantified(self.atom(depth)))
        return _Node("cat", tuple(parts))

    def quantified(self, node: _Node) -> _Node:
        while (char := self.peek()) and char in "*+?{":
            low, high = self.quantifier()
            if self.peek() == "?":
                self.at += 1  # a reluctant quantifier finds the same texts when the whole must fit
            elif self.peek() == "+":
                raise BadPattern("possessive quantifiers are not supported")
            node = _Node("rep", (node,), low=low, high=high)
        return node

    def quantifier(self) -> tuple[int, int | None]:
        char = self.take()
        if char != "{":
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[char]
        end = self.text.find("}", self.at)
        low, comma, high = self.text[self.at : end].partition(",") if end >= 0 else ("", "", "")
        if not low.isdecimal() or not low.isascii() or (high and not (high.isdecimal() and high.isascii())):
            raise BadPattern("a counted repetition is malformed")
        self.at = end + 1
        least = int(low[:6])
        most = None if comma and not high else int((high or low)[:6])
        if most is not None and most < least:
            raise BadPattern("a counted repetition ends before it begins")
        return least, most

    def atom(self, depth: int) -> _Node:
        char = self.take()
        match char:
            case "(":
                return self.group(depth)
            case "[":
                return _char(self.char_class())
            case ".":
                return _char(lambda c: c not in _LINE_ENDS)
            case "^" | "$":
                return _Node("begin" if char == "^" else "end")
            case "\\":
                return self.escaped_atom()
            case "*" | "+" | "?" | "{":
                raise BadPattern("a quantifier has nothing to repeat")
        return _char(self.literal(char))

    def group(self, depth: int) -> _Node:
        if self.peek() == "?":
            self.at += 1
            if self.peek() == ":":
                self.at += 1
            elif self.text[self.at : self.at + 1] == "<" and self.text[self.at + 1 : self.at + 2] not in ("=", "!"):
                end = self.text.find(">", self.at)
                if end < 0 or not self.text[self.at + 1 : end].isalnum():
                    raise BadPattern("the name of a group is malformed")
                self.at = end + 1
            else:
                raise BadPattern("this kind of group is not supported")
        node = self.alternatives(depth + 1)
        self.expect(")")
        return node

    def escaped_atom(self) -> _Node:
        if (char := self.peek()) in ("A", "z", "Z"):
            self.at += 1
            return _Node("begin" if char == "A" else "end")
        return _char(self.escape())

    def escape(self) -> Predicate:
        """What a backslash and the character behind it stand for."""
        char = self.take()
        if char.lower() in _SETS:
            wanted, negative = _SETS[char.lower()], char.isupper()
            return lambda c: (c in wanted) is not negative
        if char in "pP":
            return self.category(negative=char == "P")
        if char in "xu":
            digits = self.text[self.at : self.at + (2 if char == "x" else 4)]
            if not digits or any(d not in _POSIX["XDigit"] for d in digits) or len(digits) not in (2, 4):
                raise BadPattern("a character is given by a number that is none")
            self.at += len(digits)
            return self.literal(chr(int(digits, 16)))
        if char in _CONTROLS:
            return self.literal(_CONTROLS[char])
        if char.isalnum():
            raise BadPattern("an escape is not supported")
        return self.literal(char)

    def category(self, *, negative: bool) -> Predicate:
        if self.peek() == "{":
            end = self.text.find("}", self.at)
            name = self.text[self.at + 1 : end] if end > 0 else ""
            self.at = end + 1
        else:
            name = self.take()
        name = name.removeprefix("Is")
        if name in _POSIX:
            wanted = _POSIX[name]
            return lambda c: (c in wanted) is not negative
        if not name or name[0] not in "LMNPSZC" or len(name) > 2:
            raise BadPattern("a class of characters is not known")
        return lambda c: unicodedata.category(c).startswith(name) is not negative

    def char_class(self) -> Predicate:
        """The class behind `[`, up to its `]`."""
        negative = self.peek() == "^"
        self.at += negative
        parts: list[Predicate] = []
        first = True
        while (char := self.take()) != "]" or first:
            first = False
            if char == "[" or self.text.startswith("&&", self.at - 1):
                raise BadPattern("classes inside of classes are not supported")
            start = self.one_of_class(char, parts)
            if start is None:
                continue
            if self.peek() == "-" and self.text[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                end = self.one_of_class(self.take(), parts)
                if end is None or end < start:
                    raise BadPattern("a range of characters ends before it begins")
                parts.append(self.span(start, end))
            else:
                parts.append(self.literal(start))
        return lambda c: any(part(c) for part in parts) is not negative

    def one_of_class(self, char: str, parts: list[Predicate]) -> str | None:
        """A character of a class, or None for an escape that stands for several: that one joins `parts`."""
        if char != "\\":
            return char
        following = self.peek()
        if following in _CONTROLS:
            self.at += 1
            return _CONTROLS[following]
        if following and not following.isalnum():
            self.at += 1
            return following
        parts.append(self.escape())
        return None

    def span(self, start: str, end: str) -> Predicate:
        if self.fold:
            return lambda c: start <= c.lower() <= end or start <= c.upper() <= end or start <= c <= end
        return lambda c: start <= c <= end

    def literal(self, char: str) -> Predicate:
        if self.fold:
            folded = char.casefold()
            return lambda c: c.casefold() == folded
        return lambda c: c == char

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self) -> str:
        char = self.peek()
        if not char:
            raise BadPattern("the pattern ends too early")
        self.at += 1
        return char

    def expect(self, char: str) -> None:
        if self.take() != char:
            raise BadPattern("a bracket is not closed")


def _char(fits: Predicate) -> _Node:
    return _Node("char", fits=fits)


# -- from nodes to an automaton ---------------------------------------------------------------------------------------


class _State(NamedTuple):
    """`kind` char (then `fits` decides), split, begin, end or match; where it leads."""

    kind: str
    leads_to: Sequence[int] = ()
    fits: Predicate | None = None


_ANYTHING: Final = _Node("rep", (_char(lambda c: True),), low=0, high=None)  # noqa: ARG005


class _Automaton:
    def __init__(self, node: _Node) -> None:
        self.states: list[_State] = [_State("match")]
        self.start = self.emit(node, 0)

    def add(self, state: _State) -> int:
        if len(self.states) >= MOST_STATES:
            raise TooMuchWork("the pattern repeats too much")
        self.states.append(state)
        return len(self.states) - 1

    def emit(self, node: _Node, following: int) -> int:
        """The state where `node` begins, if `following` comes behind it."""
        match node.kind:
            case "char":
                return self.add(_State("char", (following,), node.fits))
            case "cat":
                for part in reversed(node.parts):
                    following = self.emit(part, following)
                return following
            case "alt":
                return self.add(_State("split", [self.emit(part, following) for part in node.parts]))
            case "rep":
                return self.repeated(node, following)
        return self.add(_State(node.kind, (following,)))

    def repeated(self, node: _Node, following: int) -> int:
        part, at = node.parts[0], following
        if node.high is None:
            leads_to: list[int] = []
            at = self.add(_State("split", leads_to))
            leads_to += [self.emit(part, at), following]
        else:
            for _ in range(node.high - node.low):
                at = self.add(_State("split", (self.emit(part, at), following)))
        for _ in range(node.low):
            before, size = at, len(self.states)
            at = self.emit(part, at)
            if at == before and len(self.states) == size:
                break  # a group of nothing: repeating it changes nothing
        return at


class _Run:
    """One text on its way through an automaton, with the work counted."""

    def __init__(self, states: Sequence[_State], start: int) -> None:
        self.states, self.start, self.steps = states, start, 0
        self.known: dict[tuple[frozenset[int], str], frozenset[int]] = {}

    def fits(self, text: str) -> bool:
        at = frozenset((self.start,))
        for number, char in enumerate(text):
            following = self.known.get((at, char)) if number else None
            if following is None:
                following = self.step(at, char, begins=number == 0)
                if number:
                    self.known[at, char] = following
            if not following:
                return False
            at = following
        return any(self.states[state].kind == "match" for state in self.reached(at, begins=not text, ends=True))

    def step(self, at: frozenset[int], char: str, *, begins: bool) -> frozenset[int]:
        found = set()
        for number in self.reached(at, begins=begins, ends=False):
            state = self.states[number]
            if state.fits is not None and state.fits(char):
                found.add(state.leads_to[0])
        return frozenset(found)

    def reached(self, at: frozenset[int], *, begins: bool, ends: bool) -> set[int]:
        """Every state that is reached from `at` without a character."""
        seen, waiting = set(at), list(at)
        while waiting:
            self.steps += 1
            if self.steps > MOST_STEPS:
                raise TooMuchWork("the pattern takes too much work for this value")
            state = self.states[waiting.pop()]
            if state.kind == "split" or (state.kind == "begin" and begins) or (state.kind == "end" and ends):
                fresh = [number for number in state.leads_to if number not in seen]
                seen.update(fresh)
                waiting += fresh
        return seen


def fits(pattern: str, text: str) -> bool:
    """Whether the whole of `text` fits `pattern`.

    Raises BadPattern; TooMuchWork if it would take more than `MOST_STATES` states or `MOST_STEPS` steps.
    """
    looks, node = _Parser(pattern).whole()
    for wanted, look in looks:
        ahead = _Automaton(_Node("cat", (look, _ANYTHING)))
        if _Run(ahead.states, ahead.start).fits(text) is not wanted:
            return False
    whole = _Automaton(node)
    return _Run(whole.states, whole.start).fits(text)
