"""Bodies that no honest client sends are refused, as errors of the caller, and cheaply."""

import json
import time
from collections.abc import Iterator

import cbor2
import pytest

from geumgo.errors import ServiceError, TooLarge, Unreadable, ValidationFailed
from geumgo.protocol import Limits, decode, encode_error, models, route, validate
from tests.protocol.services import request

LONGEST = 3.0  # seconds of CPU for one refusal. A collection of garbage may fall into it; what grows with the square of the input is far above
SERVICES = {name: models.load(name) for name in ("secretsmanager", "iam", "lambda", "cloudwatch", "rds")}


@pytest.fixture(autouse=True)
def is_cheap() -> Iterator[None]:
    started = time.process_time()
    yield
    assert time.process_time() - started < LONGEST


def from_json(body: bytes, operation: str = "CreateSecret", limits: Limits | None = None):
    sent = request(headers={"X-Amz-Target": f"secretsmanager.{operation}"}, body=body)
    call = route.find(SERVICES, sent, "secretsmanager")
    return decode(call, sent, limits or Limits())


def from_form(body: str, action: str = "TagUser"):
    version = "2014-10-31" if action.startswith("Describe") else "2010-05-08"
    form = f"Action={action}&Version={version}{'&' if body else ''}{body}"
    sent = request(headers={"Content-Type": "application/x-www-form-urlencoded"}, body=form.encode())
    return decode(route.find(SERVICES, sent, None), sent)


def from_cbor(body: bytes):
    path = b"/service/GraniteServiceVersion20100801/operation/PutMetricData"
    sent = request(target=path, headers={"smithy-protocol": "rpc-v2-cbor"}, body=body)
    return decode(route.find(SERVICES, sent, "monitoring"), sent)


@pytest.mark.parametrize(
    "body",
    [
        b'{"Name":"a","Name":"b"}',
        b'{"Unknown":{"x":[{"a":1,"a":1}]}}',
        b'{"Tags":[{"Key":"a","Key":"b"}]}',
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 50_000,
        b'{"Unknown":' + b"[" * 32 + b"]" * 32 + b"}",
        b'{"Unknown":' + b"1" * 100_000 + b"}",
        b'{"Unknown":-' + b"1" * 21 + b"}",
        b'{"Unknown":1' + b"0" * 100_000 + b".5}",
        b'{"Unknown":1e999}',
        b'{"Unknown":NaN}',
        b'{"Unknown":-Infinity}',
        b'{"Name":"\xff"}',
        b'{"Name":"\xed\xa0\x80"}',
        b'{"Name":"\\ud800"}',
        b'{"\\uDFFF":"a"}',
        b'{"Unknown":["\\udc00\\ud800"]}',
        '{"Name":"a"}'.encode("utf-16"),
        '{"Name":"a"}'.encode("utf-32-le"),
        b'\xef\xbb\xbf{"Name":"a"}',
        b"[]",
        b'"text"',
        b"1",
        b"null",
        b"true",
        b"{",
        b"",
        b'{"Name":"a"} x',
        b'{"Name":"a"}{"Name":"b"}',
        b'{"Name":"a",}',
        b"{'Name':'a'}",
        b'{"Name":"a\nb"}',
        b'{"Name":"a\x00"}',
        b'{"Name":01}',
        b'{"Unknown":[' + b"1," * 100_000 + b"1]}",
        b'{"Unknown":"' + b'\\"' * 100_000,
        b'"' + b'\\"' * 200_000,
        b'{"Name":"a","Name":null}',
    ],
    ids=lambda body: repr(body[:24]),
)
def test_broken_json_is_unreadable(body: bytes):
    with pytest.raises(Unreadable):
        from_json(body)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('{"Name":1}', "NUMBER_VALUE can not be converted to a String"),
        ('{"Name":true}', "TRUE_VALUE can not be converted to a String"),
        ('{"Name":{}}', "Start of structure or map found where not expected."),
        ('{"Name":["a"]}', "Start of list found where not expected"),
        ('{"Tags":{}}', "Start of structure or map found where not expected."),
        ('{"Tags":"a"}', "Expected list or null"),
        ('{"Tags":["a"]}', "Expected null"),
        ('{"Tags":[null]}', "NULL_VALUE can not be an element of a list or a map"),
        ('{"SecretBinary":"a"}', "STRING_VALUE can not be converted to a Blob"),
        ('{"SecretBinary":"YQ"}', "STRING_VALUE can not be converted to a Blob"),
        ('{"SecretBinary":"YQ==YQ=="}', "STRING_VALUE can not be converted to a Blob"),
        ('{"SecretBinary":"Y-_="}', "STRING_VALUE can not be converted to a Blob"),
        ('{"SecretBinary":"Y Q=="}', "STRING_VALUE can not be converted to a Blob"),
        ('{"SecretBinary":"\\u00fc"}', "STRING_VALUE can not be converted to a Blob"),
        ('{"SecretBinary":7}', "NUMBER_VALUE can not be converted to a Blob"),
        ('{"ForceOverwriteReplicaSecret":"true"}', "STRING_VALUE can not be converted to an Boolean"),
        ('{"ForceOverwriteReplicaSecret":1}', "NUMBER_VALUE can not be converted to an Boolean"),
    ],
)
def test_a_value_of_the_wrong_type_is_named_by_its_type(body: str, says: str):
    with pytest.raises(Unreadable) as refused:
        from_json(body.encode())
    assert refused.value.message == says


@pytest.mark.parametrize("number", ['"5"', "true", "[5]", str(2**63), str(-(2**63) - 1), "1e19", "9" * 20])
def test_a_number_has_its_type_and_lies_in_its_range(number: str):
    with pytest.raises(Unreadable):
        from_json(b'{"RecoveryWindowInDays":' + number.encode() + b"}", "DeleteSecret")


def test_a_fraction_is_cut_off_where_an_integer_is_asked_for():
    assert from_json(b'{"MaxResults":1.5}', "ListSecrets") == {"MaxResults": 1}
    assert from_json(b'{"MaxResults":-1.5}', "ListSecrets") == {"MaxResults": -1}


def test_a_number_out_of_range_is_left_to_the_bound_of_its_model():
    call = route.find(SERVICES, request(headers={"X-Amz-Target": "secretsmanager.ListSecrets"}), None)
    for number, words in (
        (99_999_999_999, "less than or equal to 100"),
        (-99_999_999_999, "greater than or equal to 1"),
    ):
        params = from_json(f'{{"MaxResults":{number}}}'.encode(), "ListSecrets")
        with pytest.raises(ValidationFailed, match=words):
            validate(call.operation, params)


@pytest.mark.parametrize("body", [b"{", b"", b"null", b'"x"', b'{"a":1,}', b"7"])
def test_what_is_no_json_object_is_refused_without_a_message(body: bytes):
    with pytest.raises(Unreadable) as refused:
        from_json(body)
    assert refused.value.message == ""
    assert encode_error("json", refused.value, "id").body == b'{"__type":"SerializationException"}'


def test_no_refusal_repeats_what_was_sent():
    for body in (b'{"SecretString":"hunter2"', b'{"SecretString":"hunter2\\ud800"}', b'{"SecretBinary":"hunter2!"}'):
        with pytest.raises(Unreadable) as refused:
            from_json(body)
        chain = [refused.value, refused.value.__cause__]
        assert not any("hunter2" in str(error) for error in chain if error)
        assert refused.value.__suppress_context__


def test_unknown_members_are_ignored_and_null_is_absent():
    assert from_json(b'{"Name":"a","Description":null,"New":{"x":[null,1.5]},"__type":"x"}') == {"Name": "a"}


def test_quotes_and_brackets_inside_of_text_do_not_count():
    name = '"{[,' * 400 + "\\"
    assert from_json(json.dumps({"Name": name}).encode()) == {"Name": name}


def test_a_surrogate_pair_is_one_character():
    assert from_json(b'{"Name":"\\ud83d\\udd11"}') == {"Name": "\N{KEY}"}


def test_as_deep_and_as_many_as_the_limits_say_is_still_read():
    assert from_json(b'{"Unknown":' + b"[" * 31 + b"]" * 31 + b"}") == {}
    assert from_json(b'{"Unknown":[' + b"1," * 997 + b"1]}") == {}
    assert from_json(b'{"Unknown":' + b"1" * 20 + b"}") == {}


def test_a_body_larger_than_the_limit_is_too_large():
    with pytest.raises(TooLarge):
        from_json(b'{"Name":"' + b"a" * 200 + b'"}', limits=Limits(size=200))
    with pytest.raises(TooLarge):
        from_cbor(b"\xa0" + b"\x00" * (1024 * 1024))
    with pytest.raises(TooLarge):
        from_form("x=" + "a" * (1024 * 1024))
    big = request(target=b"/2015-03-31/functions/f/invocations", body=b"x" * (1024 * 1024 + 1))
    with pytest.raises(TooLarge):
        decode(route.find(SERVICES, big, "lambda"), big)


@pytest.mark.parametrize(
    "form",
    [
        "Tags.member.999999999.Key=a",
        "Tags.member.0.Key=a",
        "Tags.member.2.Key=a",
        "Tags.member.1.Key=a&Tags.member.3.Key=b",
        "Tags.member.01.Key=a",
        "Tags.member.-1.Key=a",
        "Tags.member.1e1.Key=a",
        "Tags.member.١.Key=a",
        "Tags.member.1" + "0" * 10_000 + ".Key=a",
        "Tags.member.x.Key=a",
        "Tags.other.1.Key=a",
        "Tags.1.Key=a",
        "UserName=a&UserName=b",
        "UserName=a&UserName=a",
        "Action=GetUser",
        "UserName=%zz",
        "UserName=%4",
        "UserName=%ff",
        "UserName=%ed%a0%80",
        "UserName.below=a",
        "&".join(f"k{number}=v" for number in range(100_000)),
        "a." * 100_000 + "=1",
        "a." * 65 + "=1",
        "Tags." * 33 + "member.1.Key=a",
    ],
    ids=lambda form: form[:24],
)
def test_a_broken_form_is_unreadable(form: str):
    with pytest.raises(Unreadable):
        from_form(form)


@pytest.mark.parametrize(
    "number", ["", "x", "1.5", "1e3", "１", "99999999999999999999999", str(2**31), "+", "0x10", "1_0"]
)
def test_a_number_in_a_form_is_written_in_digits(number: str):
    with pytest.raises(Unreadable):
        from_form(f"MaxRecords={number}", "DescribeDBInstances")


@pytest.mark.parametrize(
    "moment", ["", "yesterday", "2025-13-01T00:00:00Z", "2025-01-01", "0000-01-01T00:00:00Z", "9" * 99]
)
def test_a_moment_in_a_form_is_iso_8601(moment: str):
    with pytest.raises(Unreadable):
        from_form(f"StartTime={moment}", "DescribeEvents")


def test_a_field_without_a_value_is_an_empty_text_and_an_empty_list():
    assert from_form("UserName=&Tags=") == {"UserName": "", "Tags": []}
    sent = request("GET", b"/?Action=BatchDeleteAttributes&Version=2009-04-15&Items=")
    assert decode(route.find({"sdb": models.load("sdb")}, sent, "sdb"), sent) == {"Items": []}  # a flattened one
    assert from_form("UserName&Tags") == {"UserName": "", "Tags": []}


def test_clients_that_write_member_are_understood_where_the_model_has_another_name():
    by_model = from_form("Filters.Filter.1.Name=a&Filters.Filter.1.Values.Value.1=b", "DescribeDBInstances")
    by_habit = from_form("Filters.member.1.Name=a&Filters.member.1.Values.member.1=b", "DescribeDBInstances")
    assert by_model == by_habit == {"Filters": [{"Name": "a", "Values": ["b"]}]}
    with pytest.raises(Unreadable):
        from_form("Filters.member.1.Name=a&Filters.Filter.1.Name=b", "DescribeDBInstances")


def text(value: str) -> bytes:
    return cbor2.dumps(value)


@pytest.mark.parametrize(
    "body",
    [
        b"\x9f" * 100_000,
        b"\x81" * 100_000,
        b"\xa1\x61a" * 50_000,
        b"\xbf\x61a" * 50_000,
        b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"\x7b\x00\x00\x00\x01\x00\x00\x00\x00a",
        b"\xa2\x61a\x01\x61a\x01",
        b"\xbf\x61a\x01\x61a\x01\xff",
        b"\xa1\x01\x01",
        b"\xa1\x41a\x01",
        b"\xa1\x61a",
        b"\xa0\x00",
        b"\xa0\xa0",
        b"\xbf",
        b"\xff",
        b"\x80",
        b"\x01",
        b"\xf6",
        b"\x60",
        b"\xa1\x61a\x62\xff\xff",
        b"\xa1\x61a\x63\xed\xa0\x80",
        b"\xa1\x61a\x7f\x41a\xff",
        b"\xa1\x61a\x5f\x5f\x41a\xff\xff",
        b"\xa1\x61a" + b"\x5f" + b"\x40" * 100_000 + b"\xff",
        b"\xa1\x61a\xf8\x18",
        b"\xa1\x61a\xe0",
        b"\xa1\x61a\x1c",
        b"\xa1\x61a\x1f",
        b"\xa1\x61a\xfc",
        b"\xa1\x61a\xf9\x7e\x00",
        b"\xa1\x61a\xfa\x7f\x80\x00\x00",
        b"\xa1\x61a\xfb\xff\xf0\x00\x00\x00\x00\x00\x00",
        b"\xa1\x61a" + cbor2.dumps(2**70),
        b"\xa1\x61a\xd8\x1c\x80",
        b"\xa1\x61a\xd8\x1d\x00",
        b"\xa1\x61a\xc0\x60",
        b"\xa1\x61a\xc1\x60",
        b"\xa1\x61a" + b"\xc1" * 1000 + b"\x00",
        b"\xa1\x61a\xc1\xf9\x7e\x00",
        cbor2.dumps({"Unknown": list(range(1001))}),
        cbor2.dumps({"Namespace": 1}),
        cbor2.dumps({"Namespace": b"a"}),
        cbor2.dumps({"MetricData": {}}),
        cbor2.dumps({"MetricData": [{"StorageResolution": 1e19}]}),
        cbor2.dumps({"MetricData": [{"StorageResolution": 2**31}]}),
        cbor2.dumps({"MetricData": [{"StorageResolution": True}]}),
        cbor2.dumps({"MetricData": [{"Timestamp": 1}]}),
        cbor2.dumps({"MetricData": [{"Timestamp": cbor2.CBORTag(1, 1e300)}]}),
        cbor2.dumps({"MetricData": [{"Value": "1"}]}),
        cbor2.dumps({"MetricData": [None]}),
    ],
    ids=lambda body: body[:12].hex(),
)
def test_broken_cbor_is_unreadable(body: bytes):
    with pytest.raises(Unreadable):
        from_cbor(body)


def test_cbor_of_indefinite_length_is_read():
    pieces = (
        b"\xbf" + text("Namespace") + b"\x7f" + text("a") + text("b") + b"\xff" + text("MetricData") + b"\x9f\xff\xff"
    )
    assert from_cbor(pieces) == {"Namespace": "ab", "MetricData": []}


def test_every_prefix_of_a_request_is_refused():
    whole = cbor2.dumps({"Namespace": "a", "MetricData": [{"MetricName": "m", "Value": 1.5}]})
    assert from_cbor(whole)["Namespace"] == "a"
    for length in range(1, len(whole)):
        with pytest.raises(Unreadable):
            from_cbor(whole[:length])
    whole = b'{"Name":"a","Tags":[{"Key":"k","Value":"v"}]}'
    for length in range(1, len(whole)):
        with pytest.raises(Unreadable):
            from_json(whole[:length])


def test_a_refusal_is_the_callers_error_in_every_protocol():
    for error in (Unreadable("x"), TooLarge("x")):
        assert isinstance(error, ServiceError)
        assert 400 <= error.status < 500
