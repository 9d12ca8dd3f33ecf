"""The part of YAML that is read: tables of texts."""

from typing import Any

import pytest

from geumgo.domain.plain_yaml import InvalidYaml, read


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a: b", {"a": "b"}),
        (
            "a: 'it''s'  # why\nb: \"x\\ny\"\nc: 90\nd: true\ne: ''",
            {"a": "it's", "b": "x\ny", "c": "90", "d": "true", "e": ""},
        ),
        ("a:\n  b:\n    c: d\ne: f", {"a": {"b": {"c": "d"}}, "e": "f"}),
        ("a:\n- x\n- y\nb: z", {"a": ["x", "y"], "b": "z"}),
        ("a:\n  - x\n  -\n    b: c\n  - d: e\n    f: g\n", {"a": ["x", {"b": "c"}, {"d": "e", "f": "g"}]}),
        ("a:\n- - x\n  - y\n- - z", {"a": [["x", "y"], ["z"]]}),
        ("Fn::If:\n- a\n- Ref: AWS::NoValue", {"Fn::If": ["a", {"Ref": "AWS::NoValue"}]}),
        ("a: AWS::SecretsManager::Secret", {"a": "AWS::SecretsManager::Secret"}),
        ("a: http://x.y/z#w", {"a": "http://x.y/z#w"}),
        ("---\n# note\n\na:\n\n  # note\n  b: c\n", {"a": {"b": "c"}}),
        ("a:\nb: c", {"a": "", "b": "c"}),
        ("a: {}\nb: []", {"a": {}, "b": []}),
        ("'a b': c\n\"d\": e", {"a b": "c", "d": "e"}),
        ("a: -1\nb: rate(1 day)", {"a": "-1", "b": "rate(1 day)"}),
        ('{"a": ["b", 1, true]}', {"a": ["b", 1, True]}),
    ],
)
def test_what_is_read(text: str, found: Any) -> None:
    assert read(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "", "# nothing", "{", "a: |\n  b", "a: >\n  b", "a: &x b", "a: *x", "a: !Ref b", "a: [b]", "a: {b: c}", "a: 'b", 'a: "b', "a: b\n  c: d",
        "a:\n    b: c\n  d: e", "a: b\na: c", "a:\n\tb: c", "a: b: c", "a: b\n- c", "a:\n" + "".join(" " * n + "a:\n" for n in range(1, 40)),
        '{"a": ' + "[" * 5_000, "- a\n b", 'a: "\\x41"', "? a\n: b",
    ],
)  # fmt: skip
def test_what_is_refused(text: str) -> None:
    with pytest.raises(InvalidYaml) as refusal:
        read(text)
    assert str(refusal.value).endswith(".")


def test_a_long_line_takes_no_time() -> None:
    with pytest.raises(InvalidYaml):
        read("a" * 50_000 + "\nb: c")
    assert read("a: " + "b#" * 25_000) == {"a": "b#" * 25_000}
