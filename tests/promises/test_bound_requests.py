"""P14: of a signed request nothing can be changed that decides what is executed; and both ways to the canonical request agree on that.

What may differ, and no more (source: "Create a signed AWS API request", IAM User Guide): the order of headers and of query parameters, how an
escape in the query is spelled, white space around a header's value and how much of it is inside, how the Authorization header spells what it
says, and headers that are not signed and that nobody reads (User-Agent, Accept and so on). `SIGNATURE_MUTATIONS=50000` makes more of them.
"""

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from geumgo.access import signature, signature_form
from geumgo.access.signature_canonical import collapsed, pairs_of
from geumgo.errors import ServiceError
from geumgo.message import Request
from tests.access.signing import check, signed

SEED = int(os.environ.get("SEED", "20261130"))
MUTATIONS = int(os.environ.get("SIGNATURE_MUTATIONS", "10000"))
AT_MS = 1_790_000_000_000
JSON = {
    "X-Amz-Target": "secretsmanager.GetSecretValue",
    "Content-Type": "application/x-amz-json-1.1",
    "User-Agent": "aws-cli",
}
FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
IDENTITY = "http://localhost:7373/?Action=GetCallerIdentity&Version=2011-06-15"
ORIGINALS: dict[str, Callable[[], Request]] = {
    "json": lambda: signed(headers=JSON, body=b'{"SecretId": "prod/db"}'),
    "session": lambda: signed(headers=JSON, body=b'{"SecretId": "prod/db"}', token="FwoGZXIvYXdzE+/=="),
    "form": lambda: signed(headers=FORM, body=b"Action=CreateUser&UserName=ann&Version=2010-05-08", service="sts"),
    "query": lambda: signed("GET", IDENTITY, service="sts"),
    "presigned": lambda: signed("GET", IDENTITY, service="sts", token="FwoGZXIvYXdzE", presigned=True, expires=60),
    "rest": lambda: signed("PUT", "http://h/2015-03-31/functions/f%20g/x?tagKeys=a&Qualifier=1%2F2", FORM, b"zip", service="lambda"),
}  # fmt: skip
READ = (b"host", b"date", b"content-type", b"content-encoding", b"smithy-protocol")  # and x-amz-*: what somebody reads
SCOPES = {
    "date": ("20200101", "20990101", ""), "region": ("eu-central-1", "us-west-2", "", "US-EAST-1"), "service": ("sts", "lambda", "kms", "s3", ""),
    "end": ("aws5_request", "aws4_request/", ""), "key": ("AKIAIOSFODNN7EXAMPLF", "AKIA", ""),
}  # fmt: skip
ADDED = (
    b"x-amz-target", b"x-amz-date", b"date", b"x-amz-security-token", b"x-amz-content-sha256", b"x-amz-other", b"content-type", b"content-encoding",
    b"smithy-protocol", b"host", b"authorization", b"transfer-encoding", b"content-length",
)  # fmt: skip
BYTES = (*range(0x21, 0x7F), 0x20, 0x09, 0x0B, 0x00, 0x85, 0xA0, 0xFF)


def changed_byte(data: bytes, chance: random.Random) -> bytes:
    at, other = chance.randrange(len(data) + 1), bytes([chance.choice(BYTES)])
    return chance.choice(
        (data[:at] + other + data[at:], data[:at] + other + data[at + 1 :], data[:at] + data[at + 1 :])
    )


def mutant(request: Request, chance: random.Random) -> tuple[str, Request]:
    """`request` with one thing changed, and what."""
    headers = list(request.headers)
    place = chance.randrange(len(headers))
    name, value = headers[place]
    path, query = request.path, request.query

    def at(*put: tuple[bytes, bytes]) -> Request:
        return replace(request, headers=(*headers[:place], *put, *headers[place + 1 :]))

    def target(path: bytes, query: bytes) -> Request:
        return replace(request, target=path + (b"?" + query if query else b""))

    def scope() -> Request:
        part = chance.choice(tuple(SCOPES))
        return _with_scope(request, tuple(SCOPES).index(part), chance.choice(SCOPES[part]))

    def parameters(change: Callable[[list[bytes]], object]) -> Request:
        fields = query.split(b"&") if query else []
        change(fields)
        return target(path, b"&".join(fields))

    ways: dict[str, Callable[[], Request]] = {
        "method": lambda: replace(request, method=chance.choice(("GET", "POST", "PUT", "DELETE", "HEAD", "post", ""))),
        "path": lambda: target(b"/" + changed_byte(path[1:], chance), query),
        "path spelled otherwise": lambda: target(chance.choice((b"/." + path, b"/" + path, path + b"/", path.replace(b"%20", b" "), path + b"%2F")), query),
        "query": lambda: target(path, changed_byte(query, chance)),
        "parameter again": lambda: parameters(lambda fields: fields.append(chance.choice([*fields, b"Action=DeleteUser", b"X-Amz-Target=x"]))),
        "parameter gone": lambda: parameters(lambda fields: fields and fields.pop(chance.randrange(len(fields)))),
        "parameters in another order": lambda: parameters(chance.shuffle),
        "body": lambda: replace(request, body=changed_byte(request.body, chance)),
        "no body": lambda: replace(request, body=b""),
        "header value": lambda: at((name, changed_byte(value, chance))),
        "header name": lambda: at((changed_byte(name, chance).lower(), value)),
        "header gone": at,
        "header twice": lambda: replace(request, headers=(*headers, (name, chance.choice((value, b"other", b""))))),
        "header twice before": lambda: replace(request, headers=((name, chance.choice((value, b"other"))), *headers)),
        "header added": lambda: replace(request, headers=(*headers, (chance.choice(ADDED), b"secretsmanager.DeleteSecret"))),
        "white space": lambda: at((name, chance.choice((b" " + value, value + b"\t", value.replace(b" ", b"  "), value.replace(b", ", b","))))),
        "headers in another order": lambda: replace(request, headers=tuple(chance.sample(headers, len(headers)))),
        "scope": scope,
        "another date": lambda: at((b"x-amz-date", chance.choice((b"20260921T141320Z", b"20260921T141321Z", b"20260921T141820Z"))))
        if name == b"x-amz-date"
        else target(path, query.replace(b"Z&", b"z&")),
    }  # fmt: skip
    what = chance.choice(tuple(ways))
    return what, ways[what]()


def _with_scope(request: Request, part: int, other: str) -> Request:
    order = ("date", "region", "service", "end", "key")[part]
    claim = signature.read_claim(request)
    assert claim is not None
    parts = {
        "key": claim.access_key_id,
        "date": claim.date,
        "region": claim.region,
        "service": claim.service,
        "end": "aws4_request",
    }
    said = "/".join(parts.values())
    put = "/".join({**parts, order: other}.values())
    headers = tuple((name, value.replace(said.encode(), put.encode())) for name, value in request.headers)
    query = request.target.replace(said.replace("/", "%2F").encode(), put.replace("/", "%2F").encode())
    return replace(request, headers=headers, target=query)


def meaning(request: Request) -> object:
    """Whatever decides what is executed, and as whom."""
    unread = (
        b"date" if request.header(b"x-amz-date") is not None else b""
    )  # source: the same guide: X-Amz-Date goes before Date
    read = sorted(
        (name, collapsed(value))
        for name, value in request.headers
        if (name in READ or name.startswith(b"x-amz-")) and name != unread
    )
    return (
        request.method,
        request.path,
        sorted(pairs_of(request.query)),
        read,
        request.body,
        signature.read_claim(request),
    )


def verdict(request: Request, at_ms: int) -> str:
    """ "" if the request is accepted as signed; the words of its refusal; or that it shows no signature at all."""
    try:
        if signature.read_claim(request) is None:
            return "not signed"
        check(request, at_ms=at_ms)
    except ServiceError as refusal:
        return f"{refusal.code}: {refusal.message}"
    return ""


def general_verdict(request: Request, at_ms: int, patch: pytest.MonkeyPatch) -> str:
    """The same of the general verifier alone."""
    with patch.context() as alone:
        alone.setattr(signature, "usual_canonical_request", lambda *_: None)
        return verdict(request, at_ms)


def tried(name: str, count: int, patch: pytest.MonkeyPatch) -> Iterator[tuple[str, Request, str, bool]]:
    """Mutants of one original: what was changed, the request, the verdict, and whether it means what the original did."""
    chance = random.Random(f"{SEED} {name}")
    original = ORIGINALS[name]()
    claim = signature.read_claim(original)
    assert claim is not None
    assert verdict(original, claim.signed_at_ms) == "", "the honest twin is accepted"
    meant = meaning(original)
    for _ in range(count):
        what, request = mutant(original, chance)
        said = verdict(request, claim.signed_at_ms)
        assert said == general_verdict(request, claim.signed_at_ms, patch), (what, request)
        yield what, request, said, said == "" and meaning(request) == meant


@pytest.mark.parametrize("name", ORIGINALS)
def test_no_mutation_that_changes_the_meaning_is_accepted_by_either_verifier(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted, refused = Counter[str](), Counter[str]()
    for what, request, said, same in tried(name, 1 + MUTATIONS // len(ORIGINALS), monkeypatch):
        assert said or same, (what, request)
        (refused if said else accepted)[what] += 1
    print(f"\n{name}: {refused.total()} refused; {accepted.total()} accepted that mean the same: {dict(accepted)}")
    assert refused.total() > 10 * len(refused)


@pytest.mark.parametrize("name", ORIGINALS)
def test_a_request_is_refused_301_seconds_away_and_accepted_300_seconds_away(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = ORIGINALS[name]()
    claim = signature.read_claim(request)
    assert claim is not None
    life_s = claim.expires_s or 300
    for seconds, accepted in ((-301, False), (-300, True), (0, True), (life_s, True), (life_s + 1, False)):
        for said in (
            verdict(request, claim.signed_at_ms + seconds * 1_000),
            general_verdict(request, claim.signed_at_ms + seconds * 1_000, monkeypatch),
        ):
            assert (said == "") is accepted, (seconds, said)


def test_a_verifier_that_lets_an_unsigned_target_pass_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    is_meant = signature_form.is_meant
    for module in (signature, signature_form):
        monkeypatch.setattr(module, "is_meant", lambda name: name != b"x-amz-target" and is_meant(name))
    signature_form._form.cache_clear()
    try:
        found = [what for what, _, said, same in tried("form", 2_000, monkeypatch) if not said and not same]
    finally:
        signature_form._form.cache_clear()
    assert "header added" in found
