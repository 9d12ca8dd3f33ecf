"""The quick way to the canonical request says what the general one says, or nothing."""

from dataclasses import replace

from hypothesis import given
from hypothesis.strategies import binary, booleans, composite, lists, sampled_from, text

from geumgo.access import signature
from geumgo.access.signature_canonical import canonical_request
from geumgo.access.signature_form import usual_canonical_request
from geumgo.errors import InvalidSignature
from geumgo.message import Request
from geumgo.sealing.plaintext import Plaintext
from tests.access.signing import REGIONS, SECRET, SERVICES, now_ms, request_of, signed

NAMES = [
    "host", "x-amz-date", "date", "content-type", "content-encoding", "x-amz-target", "x-amz-security-token", "user-agent",
    "x-amz-content-sha256", "amz-sdk-request", "accept", "smithy-protocol", "x%b", "content-length",
]  # fmt: skip
VALUES = [
    b"",
    b"plain",
    b"two words",
    b"two  spaces",
    b" around ",
    b"tab\there",
    b"caf\xe9",
    b"%b%d",
    b"a\nb",
    b"a\x00b",
    b"UNSIGNED-PAYLOAD",
]


@composite
def requests(draw) -> tuple[Request, tuple[str, ...]]:
    names = draw(lists(sampled_from(NAMES), min_size=1, max_size=9))
    headers = [(name.encode(), draw(sampled_from(VALUES))) for name in names]
    covered = draw(lists(sampled_from(NAMES), min_size=1, unique=True))
    target = draw(sampled_from([b"/", b"/", b"/", b"/a", b"/?a=b"]))
    request = request_of(draw(sampled_from(["POST", "GET", "%b"])), target, [], draw(binary(max_size=20)))
    return replace(request, headers=tuple(headers)), tuple(sorted(covered))


def claim_of(covered: tuple[str, ...]) -> signature.Claim:
    return signature.Claim(
        "AKIA", "20260101", "us-east-1", "kms", None, covered, "", 1_767_225_600_000, presigned=False
    )


@given(requests())
def test_what_the_quick_way_gives_the_general_way_accepts_and_gives_too(drawn: tuple[Request, tuple[str, ...]]) -> None:
    request, covered = drawn
    quick = usual_canonical_request(request, covered)
    if quick is None:
        return
    signature._refuse_uncovered(request, claim_of(covered))  # raises, if the general verifier would
    general: list[bytes] = []

    def heard(message: bytes) -> bytes:
        general.append(message)
        return b""

    signature._signature(request, claim_of(covered), heard)  # raises, if the body is another one
    assert general == [signature.string_to_sign(quick, claim_of(covered))]


def test_what_clients_send_goes_the_quick_way() -> None:
    request = signed(
        headers={"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "secretsmanager.GetSecretValue"},
        body=b"{}",
    )
    claim = signature.read_claim(request)
    assert claim is not None
    assert usual_canonical_request(request, claim.signed_headers) is not None


@given(
    text(alphabet="abc ", max_size=8).map(str.strip),
    sampled_from(["value", "header", "drop", "twin", "body", "method", "target", "none"]),
    booleans(),
)
def test_what_is_changed_after_it_was_signed_is_refused_either_way(value: str, change: str, trailing: bool) -> None:
    agent = value or "agent"
    good = signed(
        headers={"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "a.B", "User-Agent": agent}, body=b"{}"
    )
    claim = signature.read_claim(good)
    assert claim is not None
    headers = dict(good.headers)
    changed = {
        "none": good,
        "value": replace(good, headers=tuple({**headers, b"x-amz-target": b"a.C"}.items())),
        "header": replace(good, headers=(*good.headers, (b"x-amz-acl", b"all"))),
        "drop": replace(good, headers=tuple(each for each in good.headers if each[0] != b"content-type")),
        "twin": replace(good, headers=(*good.headers, (b"x-amz-target", b"a.B"))),
        "body": replace(good, body=b"{} " if trailing else b""),
        "method": replace(good, method="PUT"),
        "target": replace(good, target=b"/?a" if trailing else b"/a"),
    }[change]
    try:
        signature.verify(changed, claim, _secret(), regions=REGIONS, services=SERVICES, now_ms=now_ms())
        accepted = True
    except InvalidSignature:
        accepted = False
    assert accepted is (change == "none")


def _secret() -> Plaintext:
    return Plaintext(SECRET.encode())


def test_a_template_holds_whatever_bytes_the_names_have() -> None:
    request = replace(request_of("POST", b"/", [], b""), headers=((b"host", b"h"), (b"x%b", b"v")))
    quick = usual_canonical_request(request, ("host", "x%b"))
    assert quick == canonical_request(
        method="POST",
        path=b"/",
        pairs=[],
        headers=request.headers,
        signed=("host", "x%b"),
        body_sha256="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        service="kms",
    )
