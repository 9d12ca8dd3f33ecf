"""Regular expressions from strangers: what they mean, and that none of them takes long."""

import contextlib
import random
import re
import time

import pytest

from geumgo.domain import regular
from geumgo.domain.regular import BadPattern, TooMuchWork, fits

MEANT: list[tuple[str, str, bool]] = [
    (r"\d{1,4}", "1000", True),
    (r"\d{1,4}", "10,000", False),
    (r"^\d+$", "42", True),
    (r"^\d+$", "", False),
    ("", "", True),
    ("", "a", False),
    ("a|b|", "", True),
    ("(ab)+", "ababab", True),
    ("(?:ab)*?c", "abc", True),
    ("(?<name>x){2}", "xx", True),
    ("a{2,}", "a", False),
    ("a{2,}", "aaaa", True),
    (".*", "one\ntwo", False),
    (r"[\s\S]*", "one\ntwo", True),
    ("[a-f0-9]{8}", "deadbeef", True),
    ("[^a-z]", "a", False),
    ("[]x]", "]", True),
    ("[a-]", "-", True),
    (r"[\w.-]+@[\w-]+\.[a-z]{2,}", "ann@example.org", True),
    (r"\p{L}+", "비밀", True),
    (r"\p{Lu}\P{L}", "A1", True),
    (r"\p{Alpha}\p{Digit}", "a1", True),
    ("(?i)[a-c]X", "Bx", True),
    (r"^(?=.*[A-Z])(?=.*\d)(?!.*\s).{8,}$", "Passw0rdX", True),
    (r"^(?=.*[A-Z])(?=.*\d)(?!.*\s).{8,}$", "passw0rdx", False),
    (r"^(?=.*[A-Z])(?=.*\d)(?!.*\s).{8,}$", "Passw0rd X", False),
    (r"\x41\u00e9\t", "A\u00e9\t", True),
    (r"a\.b\\", "a.b\\", True),
    ("(a|^b)c$", "bc", True),
    ("x^y", "xy", False),
    ("(){1000000}a", "a", True),
]


@pytest.mark.parametrize(("pattern", "text", "meant"), MEANT)
def test_a_pattern_means_what_it_means_in_java(pattern: str, text: str, meant: bool) -> None:
    assert fits(pattern, text) is meant


@pytest.mark.parametrize(
    "pattern",
    ["(", ")", "a)", "[", "[a", "*", "a**+", "a++", "a{", "a{x}", "a{3,2}", "\\", r"\1", r"\b", "(?<=a)b", "a(?=b)", "[a&&b]", "[[a]]", "[b-a]",
     r"\p{Nope}", r"\xZZ", "(?<", "(?>a)", "(?m)a"],
)  # fmt: skip
def test_what_is_no_pattern_or_not_a_regular_one_is_refused(pattern: str) -> None:
    with pytest.raises(BadPattern):
        fits(pattern, "a")


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("(a+)+b", "a" * 8192),
        ("(a|aa)*c", "a" * 8192),
        ("(.*)*x", "y" * 8192),
        ("((a{1,99}){1,99}){1,99}", "a" * 50),
        (".{0,4000}.{0,4000}", "a" * 8192),
        ("(" * 500 + "a" + ")" * 500, "a"),
        ("(a?){4000}a{4000}", "a" * 4000),
        ("a{999999999999}", "a"),
        ("(()*)*", "a"),
        ("([ab]|[bc]|[cd])*(x|y)*" * 20, "abcd" * 2000),
    ],
)
def test_no_pattern_takes_long(pattern: str, text: str) -> None:
    started = time.process_time()
    with contextlib.suppress(TooMuchWork):  # as good an answer as any, if it comes soon
        fits(pattern, text)
    assert time.process_time() - started < 2


def test_it_agrees_with_python_on_what_both_know() -> None:
    chance = random.Random(6)

    def piece(depth: int) -> str:
        kind = chance.randrange(7 if depth else 3)
        if kind < 3:
            return chance.choice(["a", "b", "[ab]", "[^a]", ".", "c", r"\d"])
        if kind == 3:
            return piece(depth - 1) + piece(depth - 1)
        if kind == 4:
            return f"(?:{piece(depth - 1)}|{piece(depth - 1)})"
        return f"(?:{piece(depth - 1)})" + chance.choice(["*", "+", "?", "{1,2}", "{2}"])

    for _ in range(1500):
        pattern = piece(3)
        text = "".join(chance.choice("abc1") for _ in range(chance.randrange(6)))
        assert fits(pattern, text) is (re.fullmatch(pattern, text) is not None), (pattern, text)


def test_the_bounds_are_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regular, "MOST_STATES", 10)
    with pytest.raises(TooMuchWork):
        fits("a{20}", "a")
