"""Which operation a request means."""

import pytest

from geumgo.errors import InvalidSignature, UnknownOperation, Unreadable
from geumgo.message import Request
from geumgo.protocol import decode, models, route
from tests.protocol.services import SERVED, request

SERVICES = {name: models.load(name) for name in SERVED}
FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}


def found(sent: Request, signing_name: str | None = None) -> tuple[str, str, str]:
    call = route.find(SERVICES, sent, signing_name)
    return call.service.name, call.operation.name, call.protocol


@pytest.mark.parametrize(
    ("sent", "means"),
    [
        (
            request(headers={"X-Amz-Target": "secretsmanager.GetSecretValue"}),
            ("secretsmanager", "GetSecretValue", "json"),
        ),
        (request(headers={"X-Amz-Target": "TrentService.Decrypt"}), ("kms", "Decrypt", "json")),
        (
            request(headers={"X-Amz-Target": "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents"}),
            ("cloudtrail", "LookupEvents", "json"),
        ),
        (request(headers=FORM, body=b"Action=GetUser&Version=2010-05-08"), ("iam", "GetUser", "query")),
        (request("GET", b"/?Version=2011-06-15&Action=GetCallerIdentity"), ("sts", "GetCallerIdentity", "query")),
        (
            request("POST", b"/?Action=GetCallerIdentity&Version=2011-06-15", FORM),
            ("sts", "GetCallerIdentity", "query"),
        ),
        (
            request(headers=FORM, body=b"Action=PutMetricData&Version=2010-08-01"),
            ("cloudwatch", "PutMetricData", "query"),
        ),
        (
            request(headers={"X-Amz-Target": "GraniteServiceVersion20100801.PutMetricData"}),
            ("cloudwatch", "PutMetricData", "json"),
        ),
        (
            request(
                target=b"/service/GraniteServiceVersion20100801/operation/PutMetricData",
                headers={"smithy-protocol": "rpc-v2-cbor"},
            ),
            ("cloudwatch", "PutMetricData", "cbor"),
        ),
        (request("GET", b"/2015-03-31/functions/"), ("lambda", "ListFunctions", "rest-json")),
        (request("GET", b"/2015-03-31/functions"), ("lambda", "ListFunctions", "rest-json")),
        (request("POST", b"/2015-03-31/functions"), ("lambda", "CreateFunction", "rest-json")),
        (request("GET", b"/2015-03-31/functions/f"), ("lambda", "GetFunction", "rest-json")),
        (request("GET", b"/2018-10-31/layers"), ("lambda", "ListLayers", "rest-json")),
        (
            request("GET", b"/2018-10-31/layers?find=LayerVersion&Arn=a"),
            ("lambda", "GetLayerVersionByArn", "rest-json"),
        ),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else "",
)
def test_a_request_finds_its_operation(sent: Request, means: tuple[str, str, str]):
    assert found(sent) == means


@pytest.mark.parametrize(
    "sent",
    [
        request(),
        request("GET"),
        request("GET", b"/favicon.ico"),
        request(headers={"X-Amz-Target": "secretsmanager.Nothing"}),
        request(headers={"X-Amz-Target": "nobody.GetSecretValue"}),
        request(headers={"X-Amz-Target": "GetSecretValue"}),
        request(headers={"X-Amz-Target": "secretsmanager.getsecretvalue"}),
        request(headers={"X-Amz-Target": ""}),
        request("PUT", headers={"X-Amz-Target": "secretsmanager.GetSecretValue"}),
        request(headers={"X-Amz-Target": "IAM.GetUser"}),
        request(headers=FORM, body=b"Action=GetSecretValue&Version=2017-10-17"),
        request(headers=FORM, body=b"Action=GetUser"),
        request(headers=FORM, body=b"Action=GetUser&Version=2011-06-15"),
        request(headers=FORM, body=b"Version=2011-06-15"),
        request(headers={"smithy-protocol": "rpc-v2-cbor"}),
        request(target=b"/service/TrentService/operation/Decrypt", headers={"smithy-protocol": "rpc-v2-cbor"}),
        request(
            target=b"/service/GraniteServiceVersion20100801/operation/PutMetricData", headers={"smithy-protocol": "x"}
        ),
        request("DELETE", b"/2015-03-31/functions"),
        request("GET", b"/2015-03-31/functions//versions"),
        request("GET", b"/2015-03-31/functions/a/b/c"),
    ],
)
def test_what_no_service_has_is_an_unknown_operation(sent: Request):
    with pytest.raises(UnknownOperation):
        found(sent)


def test_the_refusal_of_a_query_names_action_and_version():
    with pytest.raises(UnknownOperation) as refused:
        found(request(headers=FORM, body=b"Action=Nope&Version=2010-05-08"))
    assert refused.value.message == "Could not find operation Nope for version 2010-05-08"


def test_a_header_that_decides_must_stand_once():
    twice = ((b"x-amz-target", b"secretsmanager.GetSecretValue"), (b"x-amz-target", b"secretsmanager.DeleteSecret"))
    with pytest.raises(Unreadable):
        found(Request("POST", b"/", twice, b"", "127.0.0.1", secure=False, id="i", received_at_ms=0))


def test_the_service_must_sign_under_the_name_that_the_request_was_signed_for():
    sent = request(headers={"X-Amz-Target": "secretsmanager.GetSecretValue"})
    assert found(sent, "secretsmanager")[0] == "secretsmanager"
    with pytest.raises(InvalidSignature) as refused:
        found(sent, "kms")
    assert refused.value.message == "Credential should be scoped to correct service: 'secretsmanager'. "
    metrics = request(headers=FORM, body=b"Action=PutMetricData&Version=2010-08-01")
    assert found(metrics, "monitoring")[0] == "cloudwatch"
    with pytest.raises(InvalidSignature):
        found(metrics, "cloudwatch")


def test_two_services_with_one_name_and_version_give_the_first_that_has_the_operation():
    described = request(headers=FORM, body=b"Action=DescribeDBClusters&Version=2014-10-31")
    assert found(described, "rds")[0] == "rds"
    only = {name: SERVICES[name] for name in ("docdb", "rds")}
    assert route.find(only, described, "rds").service.name == "docdb"
    instances = request(headers=FORM, body=b"Action=DescribeDBProxies&Version=2014-10-31")
    assert route.find(only, instances, "rds").service.name == "rds"


@pytest.mark.parametrize(
    ("sent", "family"),
    [
        (request(headers={"X-Amz-Target": "x"}), "json"),
        (request(), "json"),
        (request(headers=FORM), "query"),
        (request("GET", b"/?Action=x"), "query"),
        (request("GET", b"/?a=b&Action=x"), "query"),
        (request("GET", b"/"), "rest-json"),
        (request("GET", b"/2015-03-31/functions"), "rest-json"),
        (request(headers={"smithy-protocol": "rpc-v2-cbor", "X-Amz-Target": "x"}), "cbor"),
        (request("GET", b"/%ff?%ff=%zz&" + b"&" * 10_000, {"Content-Type": ";;"}), "rest-json"),
    ],
)
def test_the_protocol_of_any_request_can_be_told(sent: Request, family: str):
    assert route.family(sent) == family


def test_a_route_that_swallows_the_rest_gives_way_to_the_ones_that_name_it():
    model = models.load("workspaces-web")
    for path, operation in (("a/sessions/b", "GetSession"), ("a%2Fb", "GetPortal"), ("a/b/c", "GetPortal")):
        sent = request("GET", f"/portals/{path}".encode())
        assert route.find({"workspaces-web": model}, sent, None).operation.name == operation
    sent = request("GET", b"/portals/a/b%20c")
    assert decode(route.find({"workspaces-web": model}, sent, None), sent) == {"portalArn": "a/b c"}


def test_labels_are_unescaped_once_and_never_split_by_what_they_hold():
    arn = b"arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Af"
    sent = request(target=b"/2015-03-31/functions/" + arn + b"/invocations", body=b"{}")
    name = decode(route.find(SERVICES, sent, "lambda"), sent)["FunctionName"]
    assert name == "arn:aws:lambda:us-east-1:123456789012:function:f"
    sent = request(target=b"/2015-03-31/functions/a%2Finvocations%252F/invocations")
    assert decode(route.find(SERVICES, sent, "lambda"), sent) == {"FunctionName": "a/invocations%2F"}
    with pytest.raises(Unreadable):
        found(request("GET", b"/2015-03-31/functions/%ff"))


def test_a_member_of_the_path_cannot_be_slipped_in_by_the_body():
    sent = request("POST", b"/2015-03-31/functions/mine/aliases", body=b'{"FunctionName":"yours","Name":"a"}')
    assert decode(route.find(SERVICES, sent, "lambda"), sent) == {"FunctionName": "mine", "Name": "a"}
