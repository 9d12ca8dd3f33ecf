"""P14: unsigned, wrongly signed, replayed, foreign, twisted: refused, not executed, and in the trail."""

import json
from collections.abc import Callable

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.house import ENDPOINT, House

Headers = list[tuple[bytes, bytes]]
BODY = json.dumps({"Name": "made", "SecretString": "x", "ClientRequestToken": "t" * 32}).encode()
SIX_MINUTES_MS = 6 * 60_000


def signed(
    house: House, *, region: str = "us-east-1", service: str = "secretsmanager", secret: str | None = None
) -> Headers:
    """The headers of an honest CreateSecret, signed by botocore."""
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "secretsmanager.CreateSecret"}
    request = AWSRequest("POST", ENDPOINT + "/", headers, BODY)
    SigV4Auth(Credentials(house.admin.identity, secret or house.admin.secret), service, region).add_auth(request)
    found = [(name.lower().encode(), value.encode()) for name, value in request.headers.items()]
    return [*found, (b"host", b"geumgo.test")]


def without(headers: Headers, name: bytes) -> Headers:
    return [(key, value) for key, value in headers if key != name]


def changed(headers: Headers, name: bytes, change: Callable[[bytes], bytes]) -> Headers:
    return [(key, change(value) if key == name else value) for key, value in headers]


def unsigned_target(headers: Headers) -> Headers:
    """The target taken out of the signed headers, as an attacker would who holds a signature over something else."""
    return changed(headers, b"authorization", lambda value: value.replace(b";x-amz-target", b""))


TWISTS: dict[str, tuple[Callable[[House, Headers], Headers], str]] = {
    "unsigned": (lambda _, h: without(h, b"authorization"), "MissingAuthenticationTokenException"),
    "wrongly signed": (lambda house, _: signed(house, secret="wrong" * 8), "InvalidSignatureException"),
    "foreign region": (lambda house, _: signed(house, region="mars-north-1"), "InvalidSignatureException"),
    "foreign service": (lambda house, _: signed(house, service="kms"), "InvalidSignatureException"),
    "unknown service": (lambda house, _: signed(house, service="s3"), "InvalidSignatureException"),
    "unsigned target": (lambda _, h: unsigned_target(h), "InvalidSignatureException"),
    "another target": (
        lambda _, h: changed(h, b"x-amz-target", lambda __: b"secretsmanager.DeleteSecret"),
        "InvalidSignatureException",
    ),
    "twin target": (lambda _, h: [*h, (b"x-amz-target", b"secretsmanager.DeleteSecret")], "InvalidSignatureException"),
    "twin host": (lambda _, h: [*h, (b"host", b"elsewhere")], "InvalidSignatureException"),
    "twin authorization": (
        lambda _, h: [*h, *[p for p in h if p[0] == b"authorization"]],
        "IncompleteSignatureException",
    ),
    "token slipped in": (lambda _, h: [*h, (b"x-amz-security-token", b"x")], "InvalidSignatureException"),
    "unknown key": (
        lambda house, h: changed(
            h, b"authorization", lambda v: v.replace(house.admin.identity.encode(), b"AKIAIOSFODNN7EXAMPLE")
        ),
        "UnrecognizedClientException",
    ),
}


@pytest.mark.parametrize("twist", TWISTS)
def test_a_twisted_request_is_refused_not_executed_and_recorded(house: House, twist: str) -> None:
    bend, code = TWISTS[twist]
    before = len(house.trail())
    answer = house.send("POST", b"/", bend(house, signed(house)), BODY)
    found = json.loads(answer.body)
    assert answer.status == 400
    assert found["__type"] in (
        code,
        "UnrecognizedClientException",
        "InvalidSignatureException",
        "IncompleteSignatureException",
    ), found
    if code in ("MissingAuthenticationTokenException", "UnrecognizedClientException"):
        assert found["__type"] == code
    record = house.trail()[before:]
    assert len(record) == 1
    assert record[0]["errorCode"] == found["__type"]
    assert house.client("secretsmanager").list_secrets()["SecretList"] == []


def test_the_honest_twin_is_executed(house: House) -> None:
    assert house.send("POST", b"/", signed(house), BODY).status == 200
    assert [s["Name"] for s in house.client("secretsmanager").list_secrets()["SecretList"]] == ["made"]


def test_another_body_under_the_same_signature_is_refused(house: House) -> None:
    answer = house.send("POST", b"/", signed(house), BODY.replace(b"made", b"evil"))
    assert json.loads(answer.body)["__type"] == "InvalidSignatureException"
    assert house.client("secretsmanager").list_secrets()["SecretList"] == []


@pytest.mark.parametrize("later_ms", [SIX_MINUTES_MS, -SIX_MINUTES_MS])
def test_a_request_replayed_after_six_minutes_is_refused(house: House, later_ms: int) -> None:
    headers = signed(house)
    house.clock.turn(ms=later_ms)
    house.app.tick()  # a clock that was set back is followed within a second
    answer = house.send("POST", b"/", headers, BODY)
    found = json.loads(answer.body)
    assert found["__type"] == "InvalidSignatureException"
    assert ("Signature expired" if later_ms > 0 else "Signature not yet current") in found["message"]
    assert house.client("secretsmanager").list_secrets()["SecretList"] == []


def test_a_refusal_of_an_unknown_key_looks_like_any_other(house: House) -> None:
    """P15: the answer to an unknown key does not tell whether its signature would have been right."""
    first = house.send(
        "POST",
        b"/",
        changed(
            signed(house), b"authorization", lambda v: v.replace(house.admin.identity.encode(), b"AKIAAAAAAAAAAAAAAAAA")
        ),
        BODY,
    )
    second = house.send(
        "POST",
        b"/",
        changed(
            signed(house, secret="x" * 40),
            b"authorization",
            lambda v: v.replace(house.admin.identity.encode(), b"AKIABBBBBBBBBBBBBBBB"),
        ),
        BODY,
    )
    assert first.body == second.body
    assert first.status == second.status


def test_a_plain_get_of_the_root_finds_nothing_there(house: House) -> None:
    """As AWS's endpoints answer whoever probes whether they can be reached."""
    assert house.send("GET", b"/", [(b"host", b"geumgo.test")], b"").status == 404
    assert house.trail()[-1]["errorCode"] == "UnknownOperationException"
