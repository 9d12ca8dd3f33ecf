import pytest

from geumgo.domain.policy import Context
from geumgo.domain.policy.conditions import UnknownOperator, compile_condition
from geumgo.domain.policy.values import UnreadableValue
from geumgo.domain.policy.variables import UnreadableVariable

ARN = "arn:aws:lambda:us-east-1:111122223333:function:rotate"


def met(operator, policy_values, *request_values, allows=True, version="2012-10-17", **others):
    """Whether a condition on `aws:k` is met by a request whose `aws:k` has these values (absent if there are none)."""
    texts = [policy_values] if isinstance(policy_values, str) else policy_values
    keys = {"aws:k": request_values, **{f"aws:{name}": (value,) for name, value in others.items()}}
    condition = compile_condition(operator, "AWS:K", texts, variables=version == "2012-10-17")
    return condition.holds(Context(keys), allows=allows)


MET = [
    ("StringEquals", "a", "a"),
    ("StringEquals", ["a", "b"], "b"),
    ("StringEquals", "", ""),
    ("StringEquals", "*", "*"),
    ("StringNotEquals", "a", "A"),
    ("StringNotEquals", ["a", "b"], "c"),
    ("StringEqualsIgnoreCase", "AbC", "aBc"),
    ("StringNotEqualsIgnoreCase", "abc", "abd"),
    ("StringLike", "pro*", "prod"),
    ("StringLike", "p?od", "prod"),
    ("StringLike", ["x", "*"], ""),
    ("StringNotLike", "pro*", "Prod"),
    ("NumericEquals", "7", "7.0"),
    ("NumericEquals", "1e2", "100"),
    ("NumericEquals", "9007199254740993", "9007199254740993"),
    ("NumericNotEquals", "9007199254740993", "9007199254740992"),
    ("NumericLessThan", "30", "7"),
    ("NumericLessThan", "30", "-7"),
    ("NumericLessThanEquals", "30", "30"),
    ("NumericGreaterThan", "7", "7.5"),
    ("NumericGreaterThanEquals", ["100", "7"], "7"),
    ("DateEquals", "2026-11-24T00:00:00Z", "2026-11-24T00:00:00Z"),
    ("DateEquals", "2026-11-24", "2026-11-24T00:00:00Z"),
    ("DateEquals", "2026-11-24T02:00:00+02:00", "2026-11-24T00:00:00Z"),
    ("DateEquals", "1970-01-01T00:01:00Z", "60"),
    ("DateEquals", "1795478400", "2026-11-24T00:00:00Z"),
    ("DateEquals", "2026", "2026-01-01T00:00Z"),
    ("DateEquals", "2026-11", "2026-11-01T00:00:00.000Z"),
    ("DateNotEquals", "2026-11-24T00:00:00Z", "2026-11-24T00:00:00.5Z"),
    ("DateLessThan", "2026-11-24T00:00:00Z", "2026-11-23T23:59:59.999999999Z"),
    ("DateLessThanEquals", "2026-11-24T00:00:00Z", "2026-11-24T00:00:00Z"),
    ("DateGreaterThan", "2026-11-24T00:00:00Z", "2026-11-24T00:00:00.000000001Z"),
    ("DateGreaterThanEquals", "-292275054", "1970-01-01"),
    ("Bool", "true", "true"),
    ("Bool", "TRUE", "true"),
    ("Bool", ["true", "false"], "false"),
    ("BinaryEquals", "QmluYXJ5VmFsdWVJbkJhc2U2NA==", "QmluYXJ5VmFsdWVJbkJhc2U2NA=="),
    ("IpAddress", "203.0.113.0/24", "203.0.113.255"),
    ("IpAddress", "203.0.113.7", "203.0.113.7"),
    ("IpAddress", "203.0.113.77/24", "203.0.113.1"),
    ("IpAddress", "0.0.0.0/0", "198.51.100.1"),
    ("IpAddress", ["10.0.0.0/8", "2001:DB8:1234:5678::/64"], "2001:db8:1234:5678::1"),
    ("IpAddress", "203.0.113.0/24", "::ffff:203.0.113.9"),
    ("NotIpAddress", "203.0.113.0/24", "203.0.114.1"),
    ("NotIpAddress", "0.0.0.0/0", "2001:db8::1"),
    ("ArnEquals", ARN, ARN),
    ("ArnEquals", "arn:aws:lambda:*:111122223333:function:*", ARN),
    ("ArnLike", "arn:aws:lambda:us-????-1:*:function:rot*", ARN),
    ("ArnLike", "arn:*:*:*:*:*", ARN),
    ("ArnNotEquals", "arn:aws:lambda:*:444455556666:*", ARN),
    ("ArnNotLike", "arn:aws:lambda:*:rotate", ARN),
    ("Null", "false", "there"),
]

NOT_MET = [
    ("StringEquals", "a", "A"),
    ("StringEquals", "a*", "ab"),
    ("StringEquals", [], "a"),
    ("StringNotEquals", ["a", "b"], "b"),
    ("StringEqualsIgnoreCase", "abc", "abd"),
    ("StringNotEqualsIgnoreCase", "ABC", "abc"),
    ("StringLike", "pro*", "Prod"),
    ("StringLike", "p?od", "prood"),
    ("StringNotLike", ["x", "pro*"], "prod"),
    ("NumericEquals", "7", "8"),
    ("NumericEquals", "9007199254740993", "9007199254740992"),
    ("NumericEquals", "7", "seven"),
    ("NumericEquals", "7", "7 "),
    ("NumericEquals", "7", "nan"),
    ("NumericEquals", "7", "٧"),
    ("NumericLessThan", "7", "7"),
    ("NumericLessThan", "7", "inf"),
    ("NumericGreaterThan", "7", "7"),
    ("NumericNotEquals", "7", "07.0"),
    ("DateEquals", "2026-11-24", "2026-11-24T00:00:01Z"),
    ("DateLessThan", "2026-11-24", "2026-11-24"),
    ("DateLessThan", "2026-11-24", "tomorrow"),
    ("DateGreaterThan", "2026-11-24", "2026-13-01"),
    ("DateGreaterThan", "2026-01-24", "2026-02-30"),
    ("Bool", "true", "false"),
    ("Bool", "true", "1"),
    ("BinaryEquals", "QQ==", "QUE="),
    ("BinaryEquals", "QQ==", "not base64!"),
    ("IpAddress", "203.0.113.0/24", "203.0.114.1"),
    ("IpAddress", "203.0.113.0/24", "2001:db8::1"),
    ("IpAddress", "203.0.113.0/24", "not an address"),
    ("NotIpAddress", "203.0.113.0/24", "203.0.113.9"),
    ("NotIpAddress", "203.0.113.0/24", "::ffff:203.0.113.9"),
    ("ArnEquals", ARN, ARN + "2"),
    ("ArnLike", "arn:aws:lambda:*:rotate", ARN),
    ("ArnLike", "*", ARN),
    ("ArnLike", "arn:aws:lambda:us*333:function:rotate", ARN),
    ("ArnLike", "arn:aws:*:*:*:*", "no arn"),
    ("ArnLike", "*:*:*:*:*:*", "nra:aws:lambda:us-east-1:111122223333:x"),
    ("ArnNotEquals", "arn:aws:lambda:*:*:function:*", ARN),
    ("Null", "true", "there"),
]


@pytest.mark.parametrize(("operator", "wanted", "asked"), MET)
def test_a_condition_is_met(operator, wanted, asked):
    assert met(operator, wanted, asked)


@pytest.mark.parametrize(("operator", "wanted", "asked"), NOT_MET)
def test_a_condition_is_not_met(operator, wanted, asked):
    assert not met(operator, wanted, asked)


SOME_VALUE = {
    "Numeric": "7", "Date": "2026-11-24", "Bool": "true", "Binary": "QQ==", "IpAddress": "10.0.0.1", "NotIp": "10.0.0.1"
}  # fmt: skip
OPERATORS = [
    *(f"String{rest}" for rest in ("Equals", "EqualsIgnoreCase", "Like")),
    *(f"{kind}{rest}" for kind in ("Numeric", "Date") for rest in ("Equals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")),
    "Bool", "BinaryEquals", "IpAddress", "ArnEquals", "ArnLike",
]  # fmt: skip
NEGATED = [
    "StringNotEquals", "StringNotEqualsIgnoreCase", "StringNotLike", "NumericNotEquals", "DateNotEquals", "NotIpAddress",
    "ArnNotEquals", "ArnNotLike",
]  # fmt: skip


def some_value(operator):
    return next((value for start, value in SOME_VALUE.items() if operator.startswith(start)), "x")


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_missing_key_meets_no_positive_operator(operator):
    assert not met(operator, some_value(operator))
    assert met(f"{operator}IfExists", some_value(operator))
    assert met(f"ForAllValues:{operator}", some_value(operator))
    assert not met(f"ForAnyValue:{operator}", some_value(operator))
    assert met(f"ForAnyValue:{operator}IfExists", some_value(operator))


@pytest.mark.parametrize("operator", NEGATED)
def test_a_missing_key_meets_every_negated_operator(operator):
    assert met(operator, some_value(operator))
    assert met(f"{operator}IfExists", some_value(operator))
    assert met(f"ForAllValues:{operator}", some_value(operator))
    assert not met(f"ForAnyValue:{operator}", some_value(operator))


def test_if_exists_tests_a_key_that_is_there():
    assert met("StringEqualsIfExists", "a", "a")
    assert not met("StringEqualsIfExists", "a", "b")


@pytest.mark.parametrize(
    ("wanted", "absent", "present"), [("true", True, False), ("false", False, True), (["true", "false"], True, True)]
)
def test_null_asks_whether_a_key_is_missing(wanted, absent, present):
    assert met("Null", wanted) is absent
    assert met("Null", wanted, "x") is present


@pytest.mark.parametrize(
    ("operator", "wanted", "asked", "outcome"),
    [
        ("ForAllValues:StringEquals", ["a", "b"], ["a"], True),
        ("ForAllValues:StringEquals", ["a", "b"], ["a", "b"], True),
        ("ForAllValues:StringEquals", ["a", "b"], ["a", "c"], False),
        ("ForAnyValue:StringEquals", ["a", "b"], ["c", "b"], True),
        ("ForAnyValue:StringEquals", ["a", "b"], ["c", "d"], False),
        ("ForAllValues:StringNotEquals", ["a"], ["b", "c"], True),
        ("ForAllValues:StringNotEquals", ["a"], ["a", "c"], False),
        ("ForAnyValue:StringNotEquals", ["a"], ["a", "c"], True),
        ("ForAnyValue:StringNotEquals", ["a"], ["a"], False),
        ("ForAllValues:StringLike", ["a*"], ["a1", "a2"], True),
        ("ForAnyValue:ArnLike", ["arn:aws:lambda:*:*:*"], ["x", ARN], True),
        ("ForAllValues:Bool", ["true"], ["true", "false"], False),
    ],
)
def test_set_operators_look_at_every_value(operator, wanted, asked, outcome):
    for allows in (True, False):
        assert met(operator, wanted, *asked, allows=allows) is outcome


@pytest.mark.unverified
def test_several_values_without_a_set_operator_never_widen_access():
    assert not met("StringEquals", "safe", "safe", "evil", allows=True)
    assert met("StringEquals", "evil", "safe", "evil", allows=False)
    assert not met("StringNotEquals", "evil", "safe", "evil", allows=True)
    assert met("StringNotEquals", "safe", "safe", "evil", allows=False)


def test_a_key_is_found_in_any_case():
    condition = compile_condition("StringEquals", "aws:PrincipalTag/TEAM", ["red"], variables=True)
    assert condition.holds(Context({"AWS:principaltag/team": ("red",)}), allows=True)


@pytest.mark.parametrize(
    ("operator", "wanted", "asked", "variables", "outcome"),
    [
        ("StringEquals", "${aws:username}", "ann", {"username": "ann"}, True),
        ("StringEquals", "${ aws:UserName }", "ann", {"username": "ann"}, True),
        ("StringEquals", "home/${aws:username}/x", "home/ann/x", {"username": "ann"}, True),
        ("StringEquals", "${aws:username}", "Ann", {"username": "ann"}, False),
        ("StringEqualsIgnoreCase", "${aws:username}", "Ann", {"username": "aNN"}, True),
        ("StringEquals", "${aws:username}", "", {}, False),
        ("StringNotEquals", "${aws:username}", "x", {}, True),
        ("StringEquals", "${aws:username, 'guest'}", "guest", {}, True),
        ("StringEquals", "${aws:username,'guest'}", "ann", {"username": "ann"}, True),
        ("StringEquals", "${aws:username, ''}", "", {}, True),
        ("StringEquals", "${*}${?}${$}", "*?$", {}, True),
        ("StringLike", "${*}*", "*abc", {}, True),
        ("StringLike", "${*}*", "abc", {}, False),
        ("StringLike", "${aws:username}-?", "ann-1", {"username": "ann"}, True),
        ("StringLike", "${aws:username}", "anything", {"username": "*"}, False),
        ("StringLike", "${aws:username}", "*", {"username": "*"}, True),
        ("StringLike", "${aws:username, '*'}", "anything", {}, False),
        ("StringEquals", "${aws:tag/cost center}", "7", {"tag/cost center": "7"}, True),
        ("ArnLike", "arn:aws:iam::1:user/${aws:username}", "arn:aws:iam::1:user/ann", {"username": "ann"}, True),
        ("ArnLike", "arn:aws:iam::${aws:account}:user/*", "arn:aws:iam::1:user/ann", {"account": "1"}, True),
        ("ArnLike", "arn:aws:iam::${aws:account}:user/*", "arn:aws:iam::1:2:user/ann", {"account": "1:2"}, False),
        ("ArnLike", "arn:aws:iam::1:user/${aws:username}", "arn:aws:iam::1:user/ann", {}, False),
        ("Bool", "${aws:want}", "true", {"want": "true"}, True),
    ],
)
def test_a_variable_stands_for_the_text_of_a_key(operator, wanted, asked, variables, outcome):
    assert met(operator, wanted, asked, **variables) is outcome


def test_a_key_with_several_values_fills_no_variable():
    condition = compile_condition("StringEquals", "aws:k", ["${aws:many}"], variables=True)
    assert not condition.holds(Context({"aws:k": ("a",), "aws:many": ("a", "b")}), allows=True)


def test_the_old_version_has_no_variables():
    assert met("StringEquals", "${aws:username}", "${aws:username}", version="2008-10-17", username="ann")
    assert not met("StringEquals", "${aws:username}", "ann", version="2008-10-17", username="ann")


@pytest.mark.parametrize("text", ["${aws:username", "${}", "${ }", "${a,b}", "${a, 'b}", "${${a}}", "x${a}${"])
def test_an_unreadable_variable_is_refused(text):
    with pytest.raises(UnreadableVariable):
        compile_condition("StringLike", "aws:k", [text], variables=True)


@pytest.mark.parametrize(
    ("operator", "value"),
    [
        ("NumericEquals", "seven"),
        ("NumericEquals", "${aws:seven}"),
        ("NumericEquals", ""),
        ("NumericEquals", "1" * 65),
        ("DateEquals", "b"),
        ("DateEquals", "234-13"),
        ("DateEquals", "2016-12-13t2:00:00.593194+1"),
        ("DateEquals", "2016-12-13t2:00:00.1999999999+10:59"),
        ("DateEquals", "9223372036854775808"),
        ("DateEquals", "2026-02-30"),
        ("Bool", "yes"),
        ("BinaryEquals", "***"),
        ("IpAddress", "10.0.0.0/33"),
        ("IpAddress", "10.0.0.0/255.0.0.0"),
        ("IpAddress", "10.0.0"),
        ("IpAddress", "*"),
        ("Null", "maybe"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(operator, value):
    with pytest.raises(UnreadableValue):
        compile_condition(operator, "aws:k", [value], variables=True)


@pytest.mark.parametrize(
    "value", ["01T", "-292275054", "2016-12-13t2:00:00.593194+23", "2016-12-13T21:20:37.593194+00:00"]
)
def test_dates_that_iam_reads_are_read(value):
    compile_condition("DateLessThanEquals", "a", [value], variables=True)


@pytest.mark.parametrize(
    "name",
    ["", "x", "stringequals", "ForAnyValue::StringEquals", "ForAllValues:", "NullIfExists", "ForAnyValue:Null", "BoolNot", "StringEqualsIfExistsIfExists", "ForAllValues:ForAnyValue:StringEquals", "IfExists"],
)  # fmt: skip
def test_an_unknown_operator_is_refused(name):
    with pytest.raises(UnknownOperator):
        compile_condition(name, "aws:k", ["a"], variables=True)
