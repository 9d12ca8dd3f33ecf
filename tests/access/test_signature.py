"""P14: what botocore signs is accepted, and nothing that differs from it in any way that matters."""

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from geumgo.access import signature
from geumgo.access.signature import read_claim, signing_key, verify
from geumgo.access.signature_canonical import pairs_of
from geumgo.errors import IncompleteSignature, InvalidSignature, ServiceError, UnrecognizedClient
from geumgo.message import Request
from geumgo.sealing.keyed import keyed
from geumgo.sealing.plaintext import Plaintext
from tests.access.signing import KEY_ID, REGIONS, SECRET, SERVICES, check, now_ms, request_of, signed

JSON = {"X-Amz-Target": "secretsmanager.GetSecretValue", "Content-Type": "application/x-amz-json-1.1"}
BODY = b'{"SecretId": "prod/db"}'
FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
IDENTITY = "http://localhost:7373/?Action=GetCallerIdentity&Version=2011-06-15"


def with_header(request: Request, name: bytes, value: bytes) -> Request:
    """`request` with one header replaced, or added."""
    others = tuple(header for header in request.headers if header[0] != name)
    return replace(request, headers=(*others, (name, value)))


def without_header(request: Request, name: bytes) -> Request:
    return replace(request, headers=tuple(header for header in request.headers if header[0] != name))


def refused(request: Request, at_ms: int | None = None) -> ServiceError:
    with pytest.raises((InvalidSignature, IncompleteSignature)) as caught:
        check(request, at_ms=at_ms)
    return caught.value


# -- what is accepted -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", [None, "FwoGZXIvYXdzE+/=="])
@pytest.mark.parametrize(
    "request_of_a_kind",
    [
        lambda token: signed(headers=JSON, body=BODY, token=token),
        lambda token: signed(
            headers=FORM, body=b"Action=GetCallerIdentity&Version=2011-06-15", service="sts", token=token
        ),
        lambda token: signed("GET", IDENTITY, service="sts", token=token),
        lambda token: signed("GET", IDENTITY, service="sts", token=token, presigned=True, expires=60),
        lambda token: signed(headers=JSON, body=BODY, token=token, presigned=True),
        lambda token: signed(headers=JSON, body=b"", region="eu-central-1", token=token),
        lambda token: signed(
            headers={**JSON, "X-Amz-Meta": "gr\u00fc\u00df"}, body="\u6697\u53f7".encode(), token=token
        ),
        lambda token: signed(
            "GET", "http://h/2015-03-31/functions/arn%3Aaws%3A1/x%20y/%E1%88%B4", service="lambda", token=token
        ),
        lambda token: signed("DELETE", "http://h/a/b/?tagKeys=b&tagKeys=a&x=%2B%20~", service="lambda", token=token),
        lambda token: signed("GET", "http://h/a~b/(c)/d,e;f=g@h/?empty", service="lambda", token=token),
    ],
)
def test_what_botocore_signs_is_accepted(request_of_a_kind: Callable[[str | None], Request], token: str | None) -> None:
    request = request_of_a_kind(token)
    check(request)
    claim = read_claim(request)
    assert claim is not None
    assert (claim.access_key_id, claim.session_token) == (KEY_ID, token)


def test_a_date_header_will_do_where_there_is_no_x_amz_date() -> None:
    date = datetime.now(UTC).replace(microsecond=0)
    asked = AWSRequest(
        "POST", "http://localhost:7373/", headers={**JSON, "Date": format_datetime(date, usegmt=True)}, data=BODY
    )
    asked.context["timestamp"] = date.strftime("%Y%m%dT%H%M%SZ")
    signer = SigV4Auth(Credentials(KEY_ID, SECRET), "secretsmanager", "us-east-1")
    found = signer.signature(signer.string_to_sign(asked, signer.canonical_request(asked)), asked)
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={signer.scope(asked)}, "
        f"SignedHeaders=content-type;date;host;x-amz-target, Signature={found}"
    )
    headers = [(name.encode(), str(value).encode()) for name, value in asked.headers.items()]
    request = request_of(
        "POST", b"/", [*headers, (b"Host", b"localhost:7373"), (b"Authorization", authorization.encode())], BODY
    )
    check(request)
    refused(with_header(request, b"date", format_datetime(date + timedelta(seconds=1), usegmt=True).encode()))


@pytest.mark.parametrize("between", [",", ", ", ",  "])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_an_authorization_says_the_same_in_any_order(between: str, order: tuple[int, ...]) -> None:
    request = signed(headers=JSON, body=BODY)
    written = (request.header(b"authorization") or b"").decode()
    scheme, _, rest = written.partition(" ")
    parts = rest.split(", ")
    again = with_header(request, b"authorization", f"{scheme} {between.join(parts[place] for place in order)}".encode())
    assert read_claim(again) == read_claim(request)
    check(again)


def test_a_request_without_a_trace_of_a_signature_has_no_claim() -> None:
    assert read_claim(request_of("POST", b"/", [(b"Host", b"h"), (b"X-Amz-Target", b"a.B")], BODY)) is None
    assert read_claim(request_of("GET", b"/?Action=AssumeRoleWithWebIdentity&X-Amz-Date=1", [(b"Host", b"h")])) is None


def test_a_signing_key_may_be_kept_and_used_again() -> None:
    kept: dict[tuple[str, ...], bytes] = {}
    derived = []

    def derive(secret: Plaintext, date: str, region: str, service: str) -> bytes:
        scope = (date, region, service)
        if scope not in kept:
            derived.append(scope)
            kept[scope] = signing_key(secret, date, region, service)
        return kept[scope]

    for body in (b"1", b"2", b"3"):
        request = signed(headers=JSON, body=body)
        claim = read_claim(request)
        assert claim is not None
        verify(
            request,
            claim,
            Plaintext(SECRET.encode()),
            regions=REGIONS,
            services=SERVICES,
            now_ms=now_ms(),
            derive=derive,
        )
    assert len(derived) == 1


# -- single mutations -----------------------------------------------------------------------------------------------------


def flipped(data: bytes, chance: random.Random) -> bytes:
    """`data` with one byte replaced by another printable one, removed, doubled or inserted."""
    at = chance.randrange(len(data)) if data else 0
    other = bytes([chance.choice([byte for byte in range(0x21, 0x7F) if not data or byte != data[at]])])
    ways = [data[:at] + other + data[at:]]
    if data:
        ways += [data[:at] + other + data[at + 1 :], data[:at] + data[at + 1 :]]
    return chance.choice(ways)


def mutations(request: Request, chance: random.Random, count: int) -> Iterator[Request]:
    """`count` requests that differ from `request` in one place that carries meaning."""
    claim = read_claim(request)
    assert claim is not None
    covered = {name.encode() for name in claim.signed_headers} | {b"authorization"}
    touchable = [index for index, (name, _) in enumerate(request.headers) if name in covered]
    for _ in range(count):
        kind = chance.choice(("method", "path", "query", "body", "value", "name", "drop", "twin", "add", "other value"))
        headers = list(request.headers)
        index = chance.choice(touchable)
        name, value = headers[index]
        if kind == "method":
            yield replace(
                request,
                method=chance.choice(
                    [verb for verb in ("GET", "POST", "PUT", "DELETE", "post") if verb != request.method]
                ),
            )
        elif kind == "path":
            yield replace(
                request,
                target=b"/" + flipped(request.path[1:], chance) + (b"?" + request.query if request.query else b""),
            )
        elif kind == "query":
            yield replace(request, target=request.path + b"?" + flipped(request.query, chance))
        elif kind == "body":
            yield replace(request, body=flipped(request.body, chance))
        elif kind == "value":
            headers[index] = (name, flipped(value, chance))
            yield replace(request, headers=tuple(headers))
        elif kind == "name":
            headers[index] = (flipped(name, chance).lower(), value)
            yield replace(request, headers=tuple(headers))
        elif kind == "drop":
            yield replace(request, headers=tuple(headers[:index] + headers[index + 1 :]))
        elif kind == "twin":
            yield replace(request, headers=(*headers, (name, chance.choice((value, b"other", b"")))))
        elif kind == "other value":
            headers[index] = (name, chance.choice((b"", value + b", x", b"x  y", value[::-1] or b"z")))
            yield replace(request, headers=tuple(headers))
        else:
            added = chance.choice((b"x-amz-target", b"x-amz-date", b"x-amz-security-token", b"x-amz-content-sha256", b"x-amz-other",
                                   b"content-type", b"content-encoding", b"smithy-protocol"))  # fmt: skip
            yield replace(request, headers=(*headers, (added, b"secretsmanager.DeleteSecret")))


def same_meaning(one: Request, other: Request) -> bool:
    """Whether two requests differ only where no reader can tell: the spelling of the signature's own header or of an escape."""

    def seen(request: Request) -> object:
        others = [header for header in request.headers if header[0] != b"authorization"]
        pairs = sorted(pair for pair in pairs_of(request.query))
        return request.method, request.path, pairs, sorted(others), request.body, read_claim(request)

    return seen(one) == seen(other)


@pytest.mark.parametrize(
    "original",
    [
        lambda: signed(headers=JSON, body=BODY, token="FwoGZXIvYXdzE"),
        lambda: signed(headers=FORM, body=b"Action=CreateUser&UserName=ann&Version=2010-05-08", service="sts"),
        lambda: signed("GET", IDENTITY, service="sts", token="FwoGZXIvYXdzE", presigned=True, expires=60),
        lambda: signed(
            "PUT", "http://h/2015-03-31/functions/f%20g/x?tagKeys=a&Qualifier=1%2F2", FORM, b"zip", service="lambda"
        ),
    ],
    ids=["json", "form", "presigned", "rest"],
)
def test_no_mutation_is_accepted(original: Callable[[], Request]) -> None:
    chance = random.Random(20260921)
    request = original()
    at_ms = now_ms()
    check(request, at_ms=at_ms)
    refusals = 0
    for mutant in mutations(request, chance, 12_500):
        try:
            claim = read_claim(mutant)
            if claim is None:
                refusals += 1  # not signed at all: nobody's request
                continue
            check(mutant, at_ms=at_ms)
        except (InvalidSignature, IncompleteSignature, UnrecognizedClient):
            refusals += 1
        else:
            assert same_meaning(mutant, request), mutant
    assert refusals > 12_000
    check(request, at_ms=at_ms)


@given(
    st.binary(max_size=60),
    st.lists(st.tuples(st.sampled_from([b"authorization", b"x-amz-date", b"host"]), st.binary(max_size=80))),
)
@settings(max_examples=300)
def test_whatever_is_sent_is_a_refusal_or_no_claim(query: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    request = request_of("GET", b"/?X-Amz-Signature=" + query, headers)
    with pytest.raises((InvalidSignature, IncompleteSignature)):
        check(request)


# -- one by one -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [b"host", b"x-amz-date", b"x-amz-target", b"content-type", b"x-amz-security-token"])
def test_a_header_with_meaning_must_be_signed_and_there_once(name: bytes) -> None:
    request = signed(headers=JSON, body=BODY, token="token")
    value = request.header(name)
    assert value is not None
    refused(replace(request, headers=(*request.headers, (name, value))))
    refused(replace(request, headers=((name, value), *request.headers)))
    refused(with_header(request, name, value + b"x"))
    refused(without_header(request, name))


@pytest.mark.parametrize(
    "name", [b"x-amz-target", b"x-amz-anything", b"content-type", b"content-encoding", b"smithy-protocol"]
)
def test_a_header_with_meaning_cannot_be_added(name: bytes) -> None:
    request = signed("GET", IDENTITY, service="sts")
    check(request)
    assert "must be a 'SignedHeader'" in refused(with_header(request, name, b"x")).message


@pytest.mark.parametrize("name", [b"content-length", b"transfer-encoding", b"authorization"])
def test_twins_of_headers_that_frame_a_request_are_refused(name: bytes) -> None:
    request = with_header(signed(headers=JSON, body=BODY), b"content-length", b"23")
    check(request)
    value = request.header(name) or b"chunked"
    refused(
        replace(
            without_header(request, name),
            headers=(*without_header(request, name).headers, (name, value), (name, value)),
        )
    )


def test_headers_that_clients_and_proxies_add_need_no_signature() -> None:
    request = signed(headers=JSON, body=BODY)
    for name, value in (
        (b"user-agent", b"aws-cli"),
        (b"amz-sdk-request", b"attempt=1"),
        (b"x-amzn-trace-id", b"Root=1"),
        (b"accept", b"*/*"),
    ):
        request = with_header(request, name, value)
    check(request)


def test_the_body_that_was_signed_is_the_body_that_counts() -> None:
    request = signed(headers=JSON, body=BODY)
    refused(replace(request, body=b""))
    refused(replace(request, body=BODY + b" "))
    for claimed in (b"UNSIGNED-PAYLOAD", b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", b"STREAMING-UNSIGNED-PAYLOAD-TRAILER"):
        refused(signed(headers={**JSON, "X-Amz-Content-SHA256": claimed.decode()}, body=BODY))
    refused(replace(signed("GET", IDENTITY, service="sts", presigned=True), body=b"Action=CreateUser"))


def test_a_request_is_good_for_five_minutes_either_way() -> None:
    request = signed(headers=JSON, body=BODY)
    claim = read_claim(request)
    assert claim is not None
    for seconds in (-300, -1, 0, 1, 300):
        check(request, at_ms=claim.signed_at_ms + seconds * 1000)
    check(request, at_ms=claim.signed_at_ms + 300_999)
    refused(request, at_ms=claim.signed_at_ms + 301_000)
    refused(request, at_ms=claim.signed_at_ms - 300_001)


def test_a_stale_request_is_refused_in_aws_words() -> None:
    request = signed(headers=JSON, body=BODY)
    read = read_claim(request)
    assert read is not None
    claim = read._replace(signed_at_ms=1_762_380_538_000, date="20251105")

    def said(at_ms: int) -> str:
        with pytest.raises(InvalidSignature) as caught:
            verify(request, claim, None, regions=REGIONS, services=SERVICES, now_ms=at_ms)
        return caught.value.message

    assert said(1_762_435_568_000) == (
        "Signature expired: 20251105T220858Z is now earlier than 20251106T132108Z (20251106T132608Z - 5 min.)"
    )
    assert said(1_762_380_538_000 - 600_000) == (
        "Signature not yet current: 20251105T220858Z is still later than 20251105T220358Z (20251105T215858Z + 5 min.)"
    )


def test_a_presigned_request_lives_as_long_as_it_says() -> None:
    request = signed("GET", IDENTITY, service="sts", presigned=True, expires=90)
    claim = read_claim(request)
    assert claim is not None
    check(request, at_ms=claim.signed_at_ms + 90_000)
    assert refused(request, at_ms=claim.signed_at_ms + 91_000).message.endswith("- 90 sec.)")
    refused(request, at_ms=claim.signed_at_ms - 301_000)


@pytest.mark.parametrize("expires", [0, 604_801, -1, 10**12])
def test_a_presigned_request_lives_a_week_at_most(expires: int) -> None:
    assert "X-Amz-Expires" in refused(signed("GET", IDENTITY, service="sts", presigned=True, expires=expires)).message


@pytest.mark.parametrize(
    ("part", "other", "text"),
    [
        (
            1,
            "20200101",
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20200101' != ",
        ),
        (2, "ap-southeast-2", "Credential should be scoped to a valid region, not 'ap-southeast-2'. "),
        (2, "eu-central-1", signature.MISMATCH),
        (3, "s3", "Credential should be scoped to correct service"),
        (3, "sts", signature.MISMATCH),
        (
            4,
            "aws5_request",
            "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5_request'. ",
        ),
    ],
)
def test_another_scope_is_refused(part: int, other: str, text: str) -> None:
    request = signed(headers=JSON, body=BODY)
    authorization = request.header(b"authorization")
    assert authorization is not None
    scope = authorization.decode().partition("Credential=")[2].partition(",")[0]
    parts = scope.split("/")
    parts[part] = other
    changed = authorization.decode().replace(scope, "/".join(parts)).encode()
    assert refused(with_header(request, b"authorization", changed)).message.startswith(text)


@pytest.mark.parametrize(
    ("authorization", "text"),
    [
        (b"", " ".join(f"Authorization header requires '{name}' parameter." for name in ("Credential", "Signature", "SignedHeaders"))),
        (b"Bearer abc", "Authorization header requires 'Credential' parameter."),
        (b"AWS4-HMAC-SHA25 Credential=a", "Unsupported AWS 'algorithm'"),
        (b"AWS4-HMAC-SHA256 Credential=a/b/c", "Authorization header requires 'Signature' parameter."),
        (b"AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host, Signature=0", "Credential must have exactly 5 slash-delimited elements"),
        (b"AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request, Credential=a, SignedHeaders=host, Signature=0", "Authorization header holds"),
        (b"AWS4-HMAC-SHA256 Credential=a/20260101/c/d/aws4_request, SignedHeaders=host;date, Signature=0", "SignedHeaders must be"),
        (b"AWS4-HMAC-SHA256 Credential=a/20260101/c/d/aws4_request, SignedHeaders=Host, Signature=0", "SignedHeaders must be"),
        (b"AWS4-HMAC-SHA256 Credential=a/2026-01-01/c/d/aws4_request, SignedHeaders=host, Signature=0", "Date in Credential scope"),
        (b"AWS4-HMAC-SHA256 Credential=\xc3\xbc/20260101/c/d/aws4_request, SignedHeaders=host, Signature=0", "The signature's parameters"),
        (b"AWS4-HMAC-SHA256 nonsense", "Authorization header holds what is not a key=value pair"),
    ],
)  # fmt: skip
def test_an_authorization_that_cannot_be_read_is_said_to_be_so(authorization: bytes, text: str) -> None:
    request = request_of(
        "POST", b"/", [(b"Host", b"h"), (b"X-Amz-Date", b"20260101T000000Z"), (b"Authorization", authorization)]
    )
    with pytest.raises(IncompleteSignature) as caught:
        read_claim(request)
    assert caught.value.message.startswith(text)


@pytest.mark.parametrize(
    "date", [b"", b"2026-01-01T00:00:00Z", b"20261301T000000Z", b"20260101T000060Z", b"Thu, 01 Foo 2026 00:00:00 GMT"]
)
def test_a_date_that_is_none_is_refused(date: bytes) -> None:
    authorization = b"AWS4-HMAC-SHA256 Credential=a/20260101/c/d/aws4_request, SignedHeaders=host, Signature=0"
    request = request_of("POST", b"/", [(b"Host", b"h"), (b"X-Amz-Date", date), (b"Authorization", authorization)])
    with pytest.raises(IncompleteSignature, match="Date must be in ISO-8601"):
        read_claim(request)
    with pytest.raises(IncompleteSignature, match="existence of either a 'X-Amz-Date' or a 'Date' header"):
        read_claim(without_header(request, b"x-amz-date"))


def test_two_signatures_are_one_too_many() -> None:
    presigned = signed("GET", IDENTITY, service="sts", presigned=True)
    header = signed("GET", IDENTITY, service="sts").header(b"authorization")
    assert header is not None
    assert "Found both" in refused(with_header(presigned, b"authorization", header)).message


@pytest.mark.parametrize(
    "name", ["X-Amz-Signature", "X-Amz-Expires", "X-Amz-Date", "X-Amz-Credential", "X-Amz-Security-Token"]
)
def test_a_presigning_parameter_may_stand_once(name: str) -> None:
    request = signed("GET", IDENTITY, service="sts", presigned=True, token="token")
    value = next(value for key, value in pairs_of(request.query) if key == name.encode())
    assert "is there twice" in refused(replace(request, target=request.target + f"&{name}=".encode() + value)).message


def signed_as(request: Request, claim: signature.Claim, secret: Plaintext) -> str:
    """The signature that the general verifier expects."""
    key = signing_key(secret, claim.date, claim.region, claim.service)
    return signature._signature(request, claim, keyed(key)).hex()


@pytest.mark.parametrize(
    "target", [b"//", b"/./", b"/a/../", b"/x#y", b"/%zz", b"/?a=1&&b=2", b"/?a=1+2", b"/?a=%4", b"/?a=1&", b"/?a=1#b"]
)
def test_a_target_that_can_be_read_in_two_ways_is_refused_though_its_signature_holds(target: bytes) -> None:
    request = request_of("POST", target, [(b"Host", b"h"), (b"X-Amz-Date", b"20260101T000000Z")], BODY)
    claim = signature.Claim(
        KEY_ID, "20260101", "us-east-1", "lambda", None, ("host", "x-amz-date"), "", 1_767_225_600_000, False
    )
    secret = Plaintext(SECRET.encode())
    right = claim._replace(signature=signed_as(request, claim, secret))

    def door(asked: Request) -> None:
        verify(asked, right, secret, regions=REGIONS, services=SERVICES, now_ms=right.signed_at_ms)

    with pytest.raises(InvalidSignature):
        door(request)
    good = replace(request, target=b"/a")
    fitting = claim._replace(signature=signed_as(good, claim, secret))
    verify(good, fitting, secret, regions=REGIONS, services=SERVICES, now_ms=fitting.signed_at_ms)


# -- who does not know the secret -----------------------------------------------------------------------------------------


def test_an_unknown_key_is_refused_whether_its_signature_is_right_or_not() -> None:
    request = signed(headers=JSON, body=BODY)
    texts = []
    for secret in (SECRET, "another"):
        with pytest.raises(UnrecognizedClient) as caught:
            check(signed(headers=JSON, body=BODY, secret=secret), None)
        texts.append(caught.value.message)
    assert texts == ["The security token included in the request is invalid."] * 2
    with pytest.raises(InvalidSignature) as wrong:
        check(request, "another")
    assert wrong.value.message == signature.MISMATCH


def test_an_unknown_key_costs_the_same_work() -> None:
    """A signing key is derived from a secret of the usual length, for the same scope, and used."""
    request = signed(headers=JSON, body=BODY)
    claim = read_claim(request)
    assert claim is not None
    derived: list[tuple[int, tuple[str, ...]]] = []

    def derive(secret: Plaintext, date: str, region: str, service: str) -> bytes:
        scope = (date, region, service)
        derived.append((len(secret), scope))
        return signing_key(secret, date, region, service)

    for secret in (Plaintext(SECRET.encode()), None):
        with suppress(UnrecognizedClient):
            verify(request, claim, secret, regions=REGIONS, services=SERVICES, now_ms=now_ms(), derive=derive)
    assert derived[0] == derived[1]
