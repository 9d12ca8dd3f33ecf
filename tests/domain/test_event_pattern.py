"""Patterns and events, both ways for every operator. Source: the comparison operators of the EventBridge user guide."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geumgo.domain.event_pattern import InvalidPattern, compile_pattern

EXISTS, GONE = {"exists": True}, {"exists": False}


def but(operand):
    return {"anything-but": operand}


def folded(text):
    return {"equals-ignore-case": text}


def numeric(*terms):
    return {"numeric": list(terms)}


# the values that a pattern has for the field "a"; the values of "a" that it matches; those that it does not. ... is a field that is absent.
FIELD: list[tuple[list[Any], list[Any], list[Any]]] = [
    (["x"], ["x", ["x"], ["y", "x"], [["x"]]], ["X", "xx", "", None, [], ["y"], {"x": 1}, ...]),
    (["x", "y"], ["x", "y", ["z", "y"]], ["z", ["z"], ...]),
    ([""], [""], [None, " ", [], ...]),
    ([None], [None, [None]], ["", "null", 0, False, ...]),
    ([True], [True], [False, 1, "true", ...]),
    ([False], [False], [True, 0, "", None]),
    ([300], [300], [300.0, 301, "300", True]),
    ([300.0], [300.0, 3.0e2], [300, "300.0"]),
    ([1], [1], [True, 1.0, "1"]),
    (
        [{"prefix": "us-"}],
        ["us-east-1", "us-", ["eu-west-1", "us-west-2"]],
        ["US-east-1", "eu-us-", "us", 5, None, ...],
    ),
    ([{"prefix": ""}], ["", "anything"], [1, None, True, ...]),
    ([{"prefix": folded("EventB")}], ["eventbridge", "EVENTB", "EventBus"], ["event", "an eventb", 7, ...]),
    ([{"suffix": ".png"}], ["a.png", ".png"], ["a.PNG", "a.png2", "png", 3, ...]),
    ([{"suffix": folded(".PNG")}], ["a.png", "A.Png"], ["a.jpg", "png", None, ...]),
    ([folded("alice")], ["alice", "ALICE", "Alice"], ["alices", "al\u0131ce", "", None, 1, ...]),
    (
        [{"wildcard": "dir/*.png"}],
        ["dir/a.png", "dir/.png", "dir/a/b.png"],
        ["dir/a.jpg", "a/dir/a.png", "dir.png", 1, ...],
    ),
    ([{"wildcard": "*"}], ["", "x"], [1, None, ...]),
    ([{"wildcard": r"a\*b"}], ["a*b"], ["axb", "ab", r"a\*b"]),
    ([{"wildcard": r"a\\*"}], ["a\\", "a\\x"], ["a*", "ax"]),
    ([{"wildcard": "*a*b*"}], ["ab", "xaxbx"], ["ba", "a", ""]),
    ([{"wildcard": "a?c"}], ["a?c"], ["abc"]),
    ([but("x")], ["y", "", "X", 1, None, True, ["x", "y"]], ["x", ["x"], [], ...]),
    ([but(["x", "y"])], ["z", 5, ["x", "z"]], ["x", "y", ["x", "y"], ...]),
    ([but(100)], [101, 99.5, "100", None], [100, 100.0, ...]),
    ([but([100, 200])], [150], [100, 200, ...]),
    ([but({"prefix": "init"})], ["running", "Init", 4], ["initializing", "init", ...]),
    ([but({"prefix": ["init", "stop"]})], ["running"], ["init", "stopped", ...]),
    ([but({"suffix": ".txt"})], ["a.png", ".TXT"], ["a.txt", ".txt", ...]),
    ([but({"suffix": [".txt", ".rtf"]})], ["a.png"], ["a.txt", "a.rtf", ...]),
    ([but(folded("stop"))], ["go", "stopp"], ["STOP", "stop", ...]),
    ([but(folded(["stop", "halt"]))], ["go"], ["Stop", "HALT", ...]),
    ([but({"wildcard": "*/lib/*"})], ["/usr/bin/x", "lib"], ["/usr/lib/x", "/lib/", ...]),
    ([but({"wildcard": ["*/lib/*", "*/bin/*"]})], ["/etc/x"], ["/usr/lib/x", "/bin/sh", ...]),
    ([numeric("=", 5)], [5, 5.0], [4, 5.1, "5", True, None, ...]),
    ([numeric("=", 3.018e2)], [301.8], [301, 302]),
    ([numeric("<", 10)], [9.9, -5], [10, 11, "9", False, ...]),
    ([numeric("<=", 10)], [10, 0], [10.000001, ...]),
    ([numeric(">", 0)], [1, 0.1], [0, -1, True, ...]),
    ([numeric(">=", 0)], [0, 3], [-0.1, "1"]),
    ([numeric(">", 0, "<=", 5)], [1, 5, 0.5], [0, 5.1, -3, [0, 6], ...]),
    ([numeric(">=", 0, "<", 5)], [0, 4.9], [5, -1]),
    ([numeric("<", 0)], [-5.0e9], [-5.1e9, 0]),
    (
        [{"cidr": "10.0.0.0/24"}],
        ["10.0.0.0", "10.0.0.255"],
        ["10.0.1.0", "10.0.0", "x", 167772160, "::ffff:10.0.0.1", ...],
    ),
    ([{"cidr": "2001:db8::/32"}], ["2001:db8::1", "2001:DB8:ffff::"], ["2001:db9::", "10.0.0.1", ...]),
    ([{"cidr": "0.0.0.0/0"}], ["1.2.3.4"], ["::1", ""]),
    ([EXISTS], ["x", "", None, 0, False, ["x"]], [{"x": 1}, [], ...]),
    ([GONE], [..., {"x": 1}, []], ["x", None, "", False]),
    ([GONE, "x"], [..., "x"], ["y", None]),
    (["x", {"prefix": "y"}], ["x", "yes"], ["xx", "no", ...]),
    ([folded("stra\u00dfe")], ["STRA\u00dfE"], ["strasse", ...]),
    ([but("x"), "x"], ["x", "y"], [...]),
]
FIELD_CASES = [
    pytest.param(values, value, wanted, id=f"{json.dumps(values)}-{'absent' if value is ... else json.dumps(value)}")
    for values, fitting, others in FIELD
    for wanted, group in ((True, fitting), (False, others))
    for value in group
]


@pytest.mark.parametrize(("values", "value", "wanted"), FIELD_CASES)
def test_a_value_of_a_field_matches_or_not(values, value, wanted):
    event = {"b": "x"} if value is ... else {"a": value, "b": "x"}
    assert compile_pattern(json.dumps({"a": values})).matches(event) is wanted
    # ... and the same one level down, where AWS's own events have what people ask for
    assert compile_pattern(json.dumps({"detail": {"a": values}})).matches({"detail": event}) is wanted


def test_the_table_has_every_operator_often_enough():
    assert len(FIELD_CASES) >= 150


FAILED = {
    "version": "0",
    "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
    "detail-type": "AWS Service Event via CloudTrail",
    "source": "aws.secretsmanager",
    "account": "111122223333",
    "time": "2026-01-01T00:00:00Z",
    "region": "us-east-1",
    "resources": ["arn:aws:secretsmanager:us-east-1:111122223333:secret:app/db-a1B2c3"],
    "detail": {
        "eventSource": "secretsmanager.amazonaws.com",
        "eventName": "RotationFailed",
        "size": 7,
        "people": [{"name": "ann", "age": 30}, {"name": "bob", "age": 40}],
    },
}

WHOLE = [
    ({"source": ["aws.secretsmanager"]}, True),
    ({"source": ["aws.secretsmanager"], "detail": {"eventName": ["RotationFailed"]}}, True),
    ({"source": ["aws.secretsmanager"], "detail": {"eventName": ["RotationSucceeded"]}}, False),
    ({"source": ["aws.kms"], "detail": {"eventName": ["RotationFailed"]}}, False),
    ({"resources": [{"prefix": "arn:aws:secretsmanager:"}]}, True),
    ({"resources": [{"wildcard": "*:secret:app/*"}]}, True),
    ({"resources": [{"suffix": ":secret"}]}, False),
    ({"detail": {"$or": [{"eventName": ["x"]}, {"size": [numeric(">", 5)]}]}}, True),
    ({"detail": {"$or": [{"eventName": ["x"]}, {"size": [numeric(">", 9)]}]}}, False),
    ({"$or": [{"source": ["x"]}, {"detail": {"size": [7]}}]}, True),
    ({"$or": [{"source": ["x"]}, {"account": ["y"]}]}, False),
    ({"source": ["x"], "$or": [{"region": ["us-east-1"]}, {"account": ["y"]}]}, False),
    ({"$or": [{"$or": [{"source": ["x"]}, {"region": ["us-east-1"]}]}, {"account": ["y"]}]}, True),
    ({"detail": {"people": {"name": ["ann"], "age": [30]}}}, True),
    ({"detail": {"people": {"name": ["ann"], "age": [40]}}}, False),
    ({"detail": {"people": {"name": ["bob"]}}}, True),
    ({"detail": {"nobody": {"name": [GONE]}}}, True),
    ({"detail": {"nobody": {"name": [EXISTS]}}}, False),
    ({"detail": {"nobody": {"name": [but("x")]}}}, False),
    ({"source": {"deeper": ["x"]}}, False),
    ({"detail": ["x"]}, False),
    ({"detail": [EXISTS]}, False),
]


@pytest.mark.parametrize(("pattern", "wanted"), WHOLE)
def test_a_whole_event_matches_or_not(pattern, wanted):
    assert compile_pattern(json.dumps(pattern)).matches(FAILED) is wanted


def test_of_twin_keys_the_last_one_counts():
    pattern = compile_pattern('{"a": ["x"], "a": ["y"]}')
    assert pattern.matches({"a": "y"})
    assert not pattern.matches({"a": "x"})


INVALID = [
    ("[]", "Filter is not an object"),
    ('"x"', "Filter is not an object"),
    ("{}", "Empty objects are not allowed"),
    ('{"a": {}}', "Empty objects are not allowed"),
    ('{"a": []}', "Empty arrays are not allowed"),
    ('{"source": "aws.kms"}', '"source" must be an object or an array'),
    ('{"a": 1}', '"a" must be an object or an array'),
    ('{"a": null}', '"a" must be an object or an array'),
    ('{"a": [[1]]}', "Match value must be String, number, true, false, or null"),
    ('{"a": [{}]}', "Match expression name not found"),
    ('{"a": [{"prefix": "x", "suffix": "y"}]}', "Only one key allowed in match expression"),
    ('{"a": [{"like": "x"}]}', "Unrecognized match type like"),
    ('{"a": [{"prefix": 1}]}', "prefix match pattern must be a string"),
    ('{"a": [{"prefix": {"wildcard": "x"}}]}', "Unsupported prefix match pattern: wildcard"),
    ('{"a": [{"suffix": null}]}', "suffix match pattern must be a string"),
    ('{"a": [{"equals-ignore-case": ["x"]}]}', "equals-ignore-case match pattern must be a string"),
    ('{"a": [{"wildcard": 1}]}', "wildcard match pattern must be a string"),
    ('{"a": [{"wildcard": "a**b"}]}', "Consecutive wildcard characters at pos 1"),
    ('{"a": [{"wildcard": "a\\\\b"}]}', "Invalid escape character at pos 1"),
    ('{"a": [{"wildcard": "a\\\\"}]}', "Invalid escape character at pos 1"),
    ('{"a": [{"exists": "true"}]}', "exists match pattern must be either true or false."),
    ('{"a": [{"cidr": "10.0.0.0"}]}', "Malformed CIDR, one '/' required"),
    ('{"a": [{"cidr": "10.0.0.0/33"}]}', "Malformed CIDR: 10.0.0.0/33"),
    ('{"a": [{"numeric": 5}]}', "Value of numeric must be an array."),
    ('{"a": [{"numeric": []}]}', "Invalid member in numeric match: ]"),
    ('{"a": [{"numeric": [5]}]}', "Invalid member in numeric match: 5"),
    ('{"a": [{"numeric": ["!", 5]}]}', "Unrecognized numeric range operator: !"),
    ('{"a": [{"numeric": ["=", "5"]}]}', "Value of equals must be numeric"),
    ('{"a": [{"numeric": [">", true]}]}', "Value of > must be numeric"),
    ('{"a": [{"numeric": ["<", 5, ">", 1]}]}', "Too many elements in numeric expression"),
    ('{"a": [{"numeric": [">", 1, ">", 5]}]}', "Bad numeric range operator: >"),
    ('{"a": [{"numeric": [">", 1, 5]}]}', "Bad value in numeric range: 5"),
    ('{"a": [{"numeric": [">", 1, "<"]}]}', "Value of < must be numeric"),
    ('{"a": [{"numeric": [">", 1, "<", 5, 6]}]}', "Too many terms in numeric range expression"),
    ('{"a": [{"numeric": [">", 5, "<", 1]}]}', "Bottom must be less than top"),
    ('{"a": [{"numeric": ["<", 5.1e9]}]}', "Value must be between -5.0E9 and 5.0E9, inclusive"),
    ('{"a": [{"anything-but": true}]}', "Value of anything-but must be an array or single string/number value."),
    ('{"a": [{"anything-but": [null]}]}', "Inside anything but list, start|null|boolean is not supported."),
    (
        '{"a": [{"anything-but": ["x", 1]}]}',
        "Inside anything but list, either all values are number or string, mixed type is not supported",
    ),
    (
        '{"a": [{"anything-but": []}]}',
        "Inside anything but list, either all values are number or string, mixed type is not supported",
    ),
    ('{"a": [{"anything-but": {}}]}', "Anything-But expression name not found"),
    ('{"a": [{"anything-but": {"cidr": "x"}}]}', "Unsupported anything-but pattern: cidr"),
    ('{"a": [{"anything-but": {"prefix": ""}}]}', "Null prefix/suffix not allowed"),
    ('{"$or": {}}', "It must be an Array followed with $or."),
    ('{"$or": [{"a": [1]}]}', "There must have at least 2 Objects in $or relationship."),
    ('{"$or": [{"a": [1]}, 2]}', "Only JSON object is allowed in array of $or relationship."),
    ('{"$or": [{"prefix": [1]}, {"a": [1]}]}', "prefix is Ruler reserved fieldName which cannot be used inside $or."),
]


@pytest.mark.parametrize(("text", "reason"), INVALID)
def test_what_is_no_pattern_is_refused_with_the_reason(text, reason):
    with pytest.raises(InvalidPattern) as refusal:
        compile_pattern(text)
    assert str(refusal.value) == reason


@pytest.mark.parametrize(
    "text", ["", "{", "{'a': ['x']}", '{"a": [NaN]}', "[" * 4_000, '{"a":' * 800 + "[1]" + "}" * 800]
)
def test_what_is_no_json_or_too_deep_is_refused(text):
    with pytest.raises(InvalidPattern):
        compile_pattern(text)


def test_alternatives_that_multiply_beyond_the_quota_are_refused():
    either: dict[str, Any] = {"$or": [{"a": [1]}, {"b": [1]}]}
    level = either
    for _ in range(3):
        level = {"x": level, "y": level}
    with pytest.raises(InvalidPattern):
        compile_pattern(json.dumps({"p": level, "q": level}))
    compile_pattern(json.dumps(level))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON, st.dictionaries(st.text(), JSON, max_size=4))
def test_any_json_is_a_pattern_or_is_refused_and_no_event_breaks_one(tree, event):
    try:
        pattern = compile_pattern(json.dumps(tree))
    except InvalidPattern:
        return
    assert pattern.matches(event) in (True, False)
