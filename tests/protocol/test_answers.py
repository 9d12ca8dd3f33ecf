"""Answers and refusals as bytes, where botocore is too forgiving to tell the difference."""

import json
from datetime import UTC, datetime, timedelta, timezone

import cbor2
import pytest

from geumgo import errors
from geumgo.message import Answer
from geumgo.protocol import Call, NotInModel, encode, encode_error, models
from tests.protocol.services import SERVED

ID = "11111111-2222-3333-4444-555555555555"


def call(service: str, operation: str, protocol=None) -> Call:
    model = models.load(service)
    return Call(model, model.operations[operation], protocol or model.protocol)


def header(answer: Answer, name: bytes) -> bytes | None:
    return dict(answer.headers).get(name)


GET = call("secretsmanager", "GetSecretValue")


def test_a_json_answer_has_the_request_id_the_type_and_the_members():
    answer = encode(GET, {"Name": "a", "CreatedDate": datetime(2020, 2, 18, 0, 0, 48, 921999, UTC)}, ID)
    assert answer == Answer(
        200,
        ((b"x-amzn-RequestId", ID.encode()), (b"Content-Type", b"application/x-amz-json-1.1")),
        b'{"Name":"a","CreatedDate":1581984048.921}',
    )


def test_moments_are_epoch_seconds_with_three_decimals_at_most():
    for moment, written in [
        (datetime(2025, 1, 1, tzinfo=UTC), b"1735689600.0"),
        (datetime(1970, 1, 1, 0, 0, 0, 999, UTC), b"0.0"),
        (datetime(1969, 12, 31, 23, 59, 59, 500_000, UTC), b"-0.5"),
        (datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC), b"253402300799.999"),
        (datetime(2025, 1, 1, 9, 0, tzinfo=timezone(timedelta(hours=9))), b"1735689600.0"),
    ]:
        assert encode(GET, {"CreatedDate": moment}, ID).body == b'{"CreatedDate":' + written + b"}"


def test_an_operation_without_an_answer_has_an_empty_body():
    assert encode(call("secretsmanager", "TagResource"), {}, ID).body == b""
    assert encode(GET, {}, ID).body == b"{}"


@pytest.mark.parametrize(
    "answer",
    [
        {"Nonsense": 1},
        {"Name": None},
        {"Name": 1},
        {"Name": b"bytes"},
        {"SecretBinary": "text"},
        {"CreatedDate": 1},
        {"CreatedDate": datetime(2025, 1, 1)},  # noqa: DTZ001  # no zone is the point
        {"VersionStages": "AWSCURRENT"},
        {"VersionStages": [None]},
        {"VersionStages": ({"a": 1},)},
        None,
        [],
    ],
)
def test_an_answer_that_the_model_does_not_describe_is_a_programmers_error(answer: object):
    with pytest.raises(NotInModel):
        encode(GET, answer, ID)


def test_a_programmers_error_names_the_place_and_not_the_value():
    with pytest.raises(AssertionError) as wrong:
        encode(GET, {"SecretString": b"hunter2"}, ID)
    assert str(wrong.value) == "secretsmanager GetSecretValue: SecretString: is bytes, not string"
    for service, operation, answer in [
        ("iam", "GetUser", {"User": {"UserName": 1}}),
        ("iam", "GetUser", {"Users": []}),
        ("iam", "TagUser", {"a": 1}),
        ("lambda", "Invoke", {"StatusCode": True}),
        ("lambda", "Invoke", {"Payload": "text"}),
        ("lambda", "Invoke", {"FunctionError": "a\r\nSet-Cookie: b"}),
        ("lambda", "Invoke", {"Nonsense": 1}),
        ("cloudwatch", "ListMetrics", {"Metrics": [{"Nonsense": 1}]}),
        ("config", "DeliverConfigSnapshot", {"configSnapshotId": float("nan")}),
        ("kms", "GenerateRandom", {"Plaintext": None}),
        ("ssm", "PutParameter", {"Version": 2**63}),
        ("ssm", "PutParameter", {"Version": True}),
    ]:
        with pytest.raises(NotInModel, match=f"^{service} {operation}: "):
            encode(call(service, operation), answer, ID)


def test_a_query_answer_is_wrapped_and_carries_the_request_id():
    answer = encode(call("sts", "GetCallerIdentity"), {"Account": "123456789012"}, ID)
    assert header(answer, b"Content-Type") == b"text/xml"
    assert answer.body.decode() == (
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
        "<Account>123456789012</Account></GetCallerIdentityResult>"
        f"<ResponseMetadata><RequestId>{ID}</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
    )


def test_text_never_breaks_the_xml():
    from xml.etree import ElementTree

    for text in ("</Arn><Evil/>", "a\rb\r\nc", "&amp;", "]]>", '"', "\x00\x1b\ufffe\ud800", "\N{KEY}"):
        body = encode(call("sts", "GetCallerIdentity"), {"Arn": text}, ID).body
        read = ElementTree.fromstring(body).findtext("{*}GetCallerIdentityResult/{*}Arn")
        assert read == text.replace("\x00\x1b\ufffe\ud800", "\ufffd\ufffd\ufffd\ufffd")
        body = encode_error("query", errors.ValidationFailed(text), text.encode("ascii", "ignore").decode()).body
        assert ElementTree.fromstring(body).find("{*}Error") is not None


def test_a_payload_is_the_body_and_its_companions_are_headers():
    answer = encode(
        call("lambda", "Invoke"), {"StatusCode": 200, "FunctionError": "Unhandled", "Payload": b'{"a":1}'}, ID
    )
    assert (answer.status, answer.body) == (200, b'{"a":1}')
    assert header(answer, b"X-Amz-Function-Error") == b"Unhandled"
    assert encode(call("lambda", "Invoke"), {"StatusCode": 202}, ID).status == 202
    assert encode(call("lambda", "DeleteFunction"), {"StatusCode": 204}, ID).body in (b"", b"{}")
    assert encode(call("lambda", "CreateFunction"), {}, ID).status == 201


class NotFound(errors.ServiceError):
    code = "ResourceNotFoundException"


class NoSuchUser(errors.ServiceError):
    code = "NoSuchEntity"


class Broken(errors.ServiceError):
    code = "InternalServiceError"


class Missing(errors.ServiceError):
    code = "ResourceNotFound"


@pytest.mark.parametrize(
    ("service", "error", "status", "body"),
    [
        ("secretsmanager", NotFound("gone"), 400, {"__type": "ResourceNotFoundException", "Message": "gone"}),
        ("secretsmanager", Broken("x"), 500, {"__type": "InternalServiceError", "Message": "x"}),
        ("secretsmanager", errors.InternalFailure(), 500, {"__type": "InternalServiceError", "Message": ""}),
        ("secretsmanager", errors.ValidationFailed("v"), 400, {"__type": "ValidationException", "message": "v"}),
        ("secretsmanager", errors.AccessDenied("no"), 400, {"__type": "AccessDeniedException", "Message": "no"}),
        (
            "secretsmanager",
            errors.UnrecognizedClient("u"),
            400,
            {"__type": "UnrecognizedClientException", "message": "u"},
        ),
        ("secretsmanager", errors.TooLarge("t"), 413, {"__type": "RequestEntityTooLargeException", "message": "t"}),
        ("kms", errors.AccessDenied("no"), 400, {"__type": "AccessDeniedException", "Message": "no"}),
    ],
)
def test_a_json_refusal_names_its_type_and_its_message_as_the_model_does(
    service: str, error: errors.ServiceError, status: int, body: dict[str, str]
):
    model = models.load(service)
    operation = next(iter(model.operations.values()))
    answer = encode_error(Call(model, operation, "json"), error, ID)
    assert (answer.status, json.loads(answer.body)) == (status, body)


@pytest.mark.parametrize(
    ("service", "error", "status", "code"),
    [
        ("iam", NoSuchUser("x"), 404, "NoSuchEntity"),
        ("iam", errors.AccessDenied("x"), 403, "AccessDenied"),
        ("iam", errors.InternalFailure(), 500, "InternalFailure"),
        ("sts", errors.ExpiredToken("x"), 403, "ExpiredToken"),
        ("sts", errors.InvalidSignature("x"), 403, "SignatureDoesNotMatch"),
        ("sts", errors.MissingToken("x"), 403, "MissingAuthenticationToken"),
        ("sts", errors.ValidationFailed("x"), 400, "ValidationError"),
        ("sts", errors.UnknownOperation("x"), 400, "InvalidAction"),
        ("rds", errors.Throttled("x"), 400, "Throttling"),
    ],
)
def test_a_query_refusal_has_the_names_of_the_query_protocol(
    service: str, error: errors.ServiceError, status: int, code: str
):
    model = models.load(service)
    answer = encode_error(Call(model, next(iter(model.operations.values())), "query"), error, ID)
    who = "Receiver" if status == 500 else "Sender"
    assert answer.status == status
    assert answer.body.decode() == (
        f'<ErrorResponse xmlns="{model.xml_namespace}"><Error><Type>{who}</Type><Code>{code}</Code>'
        f"<Message>{error.message}</Message></Error><RequestId>{ID}</RequestId></ErrorResponse>"
    )


def test_a_request_that_found_no_operation_is_refused_in_its_protocol():
    refusal = errors.UnknownOperation("what?")
    assert json.loads(encode_error("json", refusal, ID).body) == {
        "__type": "UnknownOperationException",
        "message": "what?",
    }
    assert cbor2.loads(encode_error("cbor", refusal, ID).body)["__type"] == "UnknownOperationException"
    assert json.loads(encode_error("json", errors.UnknownOperation(), ID).body) == {
        "__type": "UnknownOperationException"
    }
    assert encode_error("query", refusal, ID).body.decode() == (
        '<ErrorResponse xmlns="http://webservices.amazon.com/AWSFault/2005-15-09"><Error><Type>Sender</Type>'
        f"<Code>InvalidAction</Code><Message>what?</Message></Error><RequestId>{ID}</RequestId></ErrorResponse>"
    )
    rest = encode_error("rest-json", refusal, ID)
    assert header(rest, b"x-amzn-ErrorType") == b"UnknownOperationException"
    for family in ("json", "query", "rest-json", "cbor"):
        assert header(encode_error(family, refusal, ID), b"x-amzn-RequestId") == ID.encode()


def test_a_service_that_once_spoke_query_also_gives_the_old_name_of_an_error():
    for protocol in ("json", "cbor"):
        answer = encode_error(call("cloudwatch", "ListMetrics", protocol), Missing("x"), ID)
        model = models.load("cloudwatch").errors["ResourceNotFound"]
        assert header(answer, b"x-amzn-query-error") == f"{model.code};Sender".encode()
    assert header(encode_error(GET, NotFound("x"), ID), b"x-amzn-query-error") is None


def test_further_members_of_an_error_stand_where_the_model_puts_them():
    throttled = type("T", (errors.ServiceError,), {"code": "TooManyRequestsException"})
    answer = encode_error(
        call("lambda", "Invoke"), throttled("slow", retryAfterSeconds="3", Reason="CallerRateLimitExceeded"), ID
    )
    assert answer.status == 429
    assert header(answer, b"Retry-After") == b"3"
    assert json.loads(answer.body)["Reason"] == "CallerRateLimitExceeded"
    with pytest.raises(NotInModel):
        encode_error(GET, NotFound("x", Nonsense="y"), ID)


def test_the_names_that_a_rooms_refusals_may_have_are_known():
    assert "ResourceNotFoundException" in models.errors_of("secretsmanager")
    assert "NoSuchEntity" in models.errors_of("iam")
    assert "NoSuchEntityException" not in models.errors_of("iam")
    assert all(models.errors_of(service) for service in SERVED)


def test_operations_whose_proof_is_not_a_signature_are_known():
    unsigned = {name for name, operation in models.load("sts").operations.items() if operation.unsigned}
    assert unsigned == {"AssumeRoleWithSAML", "AssumeRoleWithWebIdentity"}


def test_a_service_that_no_codec_can_carry_is_refused_when_it_is_loaded():
    assert models.load("eks").protocol == "rest-json"
    for service in ("s3", "lex-runtime", "dataexchange", "amp"):
        with pytest.raises(models.UnknownService):
            models.load(service)


def test_a_service_that_does_not_exist_or_speaks_none_of_our_protocols_is_unknown():
    for service in ("nonsense", "s3", "../kms"):
        with pytest.raises(models.UnknownService):
            models.load(service)
