import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geumgo.domain.wildcard import Mark, glob, matcher, tokens_of

FITS = [
    ("", ""),
    ("*", ""),
    ("*", "anything:at/all"),
    ("prod", "prod"),
    ("prod*", "prod"),
    ("prod*", "prod/db"),
    ("*db", "prod/db"),
    ("prod/*/db", "prod//db"),
    ("prod/*/db", "prod/a/b/db"),
    ("a?c", "abc"),
    ("a?c", "a:c"),
    ("?*?", "ab"),
    ("secret:Name-??????", "secret:Name-a1B2c3"),
    ("*a?b*", "xxaabxx"),
    ("*a?a?b*", "aaaaaab"),
    ("**", "x"),
    ("*ab*ab*", "abab"),
    ("a*b*c", "abbbc"),
    ("?*a?*", "xaxa"),
    ("line*", "line\nbreak"),
    ("[a-z]", "[a-z]"),
    ("금*", "금고"),
]

FITS_NOT = [
    ("", "a"),
    ("?", ""),
    ("prod", "Prod"),
    ("prod", "prod/db"),
    ("prod*", "pro"),
    ("a*a", "a"),
    ("*ab*ab*", "ab"),
    ("secret:Name-??????", "secret:Name-a1B2c3d"),
    ("secret:Name-??????", "secret:Name-a1B2c"),
    ("a?c", "ac"),
    ("*a?b*", "ab"),
    ("?*?", "a"),
    ("[a-z]", "b"),
    ("a.c", "abc"),
]


@pytest.mark.parametrize(("pattern", "text"), FITS)
def test_a_pattern_fits(pattern, text):
    assert glob(pattern)(text)


@pytest.mark.parametrize(("pattern", "text"), FITS_NOT)
def test_a_pattern_fits_not(pattern, text):
    assert not glob(pattern)(text)


@given(pattern=st.text("ab*?:", max_size=12), text=st.text("ab:", max_size=14))
def test_patterns_agree_with_a_regular_expression(pattern, text):
    plain = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    assert glob(pattern)(text) == bool(re.fullmatch(plain, text, re.DOTALL))


@given(text=st.text(max_size=20))
def test_literal_tokens_are_never_wildcards(text):
    literal = matcher([text] if text else [])
    assert literal(text)
    assert not literal(text + "x")
    assert matcher([text, Mark.ANY_RUN] if text else [Mark.ANY_RUN])(text + "anything")


def test_a_star_in_a_literal_token_is_a_star():
    assert matcher(["a*", Mark.ANY_ONE])("a*b")
    assert not matcher(["a*", Mark.ANY_ONE])("aab")


def test_neighbouring_stars_are_one():
    assert tokens_of("a***?b") == ("a", Mark.ANY_RUN, Mark.ANY_ONE, "b")


@pytest.mark.parametrize(
    "pattern",
    ["*a" * 1000 + "b", "*a?" * 680 + "b", "a?" * 500 + "*b", "*" + "?a" * 1000 + "*", "*" + "a" * 1023 + "?b" + "*"],
)
def test_a_hostile_pattern_costs_little(pattern):
    fits = glob(pattern)
    started = time.process_time()
    fits("a" * 2048)
    assert time.process_time() - started < 0.5
