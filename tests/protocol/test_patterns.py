"""Every pattern of the models can be used, means what it means in Java, and refuses the worst text quickly."""

import re
import time

import pytest

from geumgo.protocol import Shape, models, patterns
from tests.protocol.services import SERVED

LONGEST = 0.05  # seconds for one text; measured below 0.002
PREFIXES = ("", "a", "/", "arn:aws:", "arn:aws:lambda:us-east-1:123456789012:function:", "https://", "s3://a")
UNITS = (
    "a",
    "A",
    "0",
    "-",
    "/",
    ":",
    ".",
    "_",
    " ",
    "a-",
    "a.",
    "a/",
    "::",
    "%41",
    "0-",
    "aA0",
    "a1-",
    "\t ",
    "é",
    "\n",
)


def taken() -> dict[str, int]:
    """The patterns of all that services take, with the longest text that each may be asked about."""
    found: dict[str, int] = {}
    seen: set[int] = set()
    waiting: list[Shape] = [
        operation.input
        for service in SERVED
        for operation in models.load(service).operations.values()
        if operation.input is not None
    ]
    while waiting:
        shape = waiting.pop()
        if id(shape) in seen:
            continue
        seen.add(id(shape))
        if shape.pattern is not None:
            longest = int(shape.high or patterns.UNBOUNDED_LENGTH)
            found[shape.pattern] = max(found.get(shape.pattern, 0), longest)
        waiting += [member.shape for member in shape.members.values()]
        waiting += [member.shape for member in (shape.member, shape.key, shape.value) if member is not None]
    return found


PATTERNS = taken()


def test_every_pattern_of_what_services_take_can_be_compiled():
    unusable = []
    for pattern in PATTERNS:
        try:
            patterns.compiled(pattern)
        except re.error as error:
            unusable.append((pattern, str(error)))
    assert unusable == []


def test_no_pattern_takes_long_to_refuse_the_worst_text():
    for pattern, longest in PATTERNS.items():
        for prefix in PREFIXES:
            for unit in UNITS:
                slowest = slowest_refusal(pattern, prefix, unit, min(longest, 20_000))
                assert slowest < LONGEST, (pattern, prefix, unit)


def slowest_refusal(pattern: str, prefix: str, unit: str, longest: int) -> float:
    """Seconds of the slowest of texts that grow up to `longest` and end in what does not fit."""
    length, slowest = 16, 0.0
    while slowest < LONGEST:
        text = (prefix + unit * length)[: min(length, longest) - 1] + "\x00"
        started = time.process_time()
        patterns.fits(pattern, text)
        slowest = max(slowest, time.process_time() - started)
        if length >= longest:
            break
        length *= 4
    return slowest


@pytest.mark.parametrize(
    ("pattern", "fit", "do_not"),
    [
        (r"[\w+=,.@-]*", ["", "a+b=c,d.e@f-_"], ["a b", "é", "a\n", "a:b"]),
        (r"\d{12}", ["123456789012"], ["١٢٣٤٥٦٧٨٩٠١٢", "1"]),
        (r"^[a-z]+$", ["abc"], ["abc\n", "\nabc", "ABC"]),
        (r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*", ["Größe 1", "日本", "a\u00a0b", "x@y-z"], ["a\tb", "a!b", "\N{KEY}"]),
        (r"\p{L}+", ["é"], ["1", ""]),
        (r"\P{L}+", ["1!"], ["a"]),
        (r"[a-zA-Z0-9-_]+", ["a-b_c"], ["a.b"]),
        (r"[\w-\/.]+", ["a-b/c.d"], ["a,b"]),
        (r"[a-z&&b[c]+", ["a&[z"], ["A"]),
        (r".+", ["a b", "a\x00"], ["a\nb", "a\rb", "a\u2028b", ""]),
        (r"(?s).*", ["a\nb", ""], []),
        (r"(?i)all|[0-9]{12}", ["ALL", "all"], ["al"]),
        (r"[\u0020-\uD7FF\uD800\uDC00-\uDBFF\uDFFF\t]*", ["a\N{KEY}\t"], ["\n", "\ue000"]),
        (r"[\x21-\x7E]+", ["!~"], [" "]),
        (r"\u002F[\u0021-\u007F]*", ["/a/b/"], ["a"]),
        (r"[^\x00-\x1F\x7F]+", ["é ok"], ["\x07"]),
        (r"(^mi-[0-9a-f]{17}$)|(^eks_c:.+$)", ["mi-0123456789abcdef0", "eks_c:a"], ["mi-1"]),
        (r"[$]LATEST|\$X", ["$LATEST", "$X"], ["LATEST"]),
    ],
)
def test_a_pattern_means_what_it_means_in_java(pattern: str, fit: list[str], do_not: list[str]):
    assert [text for text in fit if not patterns.fits(pattern, text)] == []
    assert [text for text in do_not if patterns.fits(pattern, text)] == []


@pytest.mark.parametrize(
    ("pattern", "fit", "do_not"),
    [
        (
            r"[a-z](?:-?[a-z0-9]+){0,15}",
            ["a", "abc", "a-b1-c", "a" + "-b" * 15],
            ["a-", "a--b", "-a", "1a", "a" + "-b" * 16],
        ),
        (r"[a-zA-Z](?:-?[a-zA-Z0-9]+)*", ["a", "aB-1", "a" + "-b" * 20], ["a-", "a--b", "1"]),
        (r"^[ \t]*[\x20-\x7E]+([ \t]+[\x20-\x7E]+)*[ \t]*$", ["a", " ", "\ta\t", "a\t\tb"], ["", "\t", "é", "a\n"]),
        (
            r"^[ \t]*[^\x00-\x1F:\x7F]+([ \t]+[^\x00-\x1F:\x7F]+)*[ \t]*$",
            ["a", "\té\t", "a\tb"],
            ["", "\t", "a:b", "a\n"],
        ),
    ],
)
def test_a_pattern_that_was_made_safe_still_means_the_same(pattern: str, fit: list[str], do_not: list[str]):
    assert pattern in patterns._SAFE
    original = re.compile(pattern, re.ASCII)
    for text in [*fit, *do_not]:
        assert patterns.fits(pattern, text) == (original.fullmatch(text) is not None) == (text in fit), text


def test_a_pattern_that_python_does_not_have_is_an_error_and_not_a_guess():
    for pattern in (r"\p{Nonsense}", r"[\P{L}]", "(", "[a"):
        with pytest.raises(re.error):
            patterns.compiled(pattern)
