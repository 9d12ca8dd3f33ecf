"""Signature Version 4: who signed a request, and that nobody has changed it since.

    claim = read_claim(request)            # None: there is no trace of a signature
    verify(request, claim, secret, regions=..., services=..., now_ms=...)

Everything is checked over the raw bytes, before anything is parsed. The body's own hash is always what counts. A request
that a second reader could understand in another way than its signature does (twin headers, twin parameters, a path with
`..`) is refused, even where its signature holds.

Source: "AWS Signature Version 4 for API requests", IAM User Guide; the texts were recorded on AWS unless marked.
"""

import hashlib
import hmac
import os
from collections.abc import Callable, Container
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from geumgo.access.signature_canonical import canonical_request, collapsed, is_ambiguous, pairs_of
from geumgo.access.signature_claim import ALGORITHM, TERMINATOR, Claim, claimed_key, read_claim
from geumgo.access.signature_form import MEANT, is_meant, usual_canonical_request
from geumgo.errors import InvalidSignature, UnrecognizedClient
from geumgo.message import Request
from geumgo.sealing.keyed import Mac, keyed
from geumgo.sealing.plaintext import Plaintext

__all__ = [
    "SKEW_S",
    "Claim",
    "Derive",
    "Scoped",
    "claimed_key",
    "nobodys_key",
    "read_claim",
    "signing_key",
    "verify",
    "verify_in_scope",
    "verify_with",
]

SKEW_S: Final = 300
"""How far a request's date may be from ours, in seconds. AWS's query services allow 900; ours keep to the same 300."""

MISMATCH: Final = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and "
    "signing method. Consult the service documentation for details."
)
UNKNOWN_KEY: Final = "The security token included in the request is invalid."

ONCE: Final = MEANT | {b"authorization", b"content-length", b"transfer-encoding"}

_NOBODYS_SECRET: Final = Plaintext(os.urandom(20).hex().encode())  # as long as a real one, and known to nobody

Derive = Callable[[Plaintext, str, str, str], bytes]
Scoped = Callable[[str, str, str], Mac]
"""The MAC under the signing key of one day, region and service."""


def signing_key(secret: Plaintext, date: str, region: str, service: str) -> bytes:
    """The key (32 bytes) that signs requests of one day, region and service. The same for the same arguments: worth caching."""
    key = b"AWS4" + secret.reveal()
    for part in (date, region, service, TERMINATOR):
        key = hmac.digest(key, part.encode("latin-1"), "sha256")
    return key


def nobodys_key(date: str, region: str, service: str) -> Mac:
    """Under a signing key that nobody has: for a request whose access key is not known."""
    return keyed(signing_key(_NOBODYS_SECRET, date, region, service))


def verify(
    request: Request,
    claim: Claim,
    secret: Plaintext | None,
    *,
    regions: Container[str],
    services: Container[str],
    now_ms: int,
    derive: Derive = signing_key,
) -> None:
    """Returns if the holder of `secret` signed exactly this request, for us, for now; `claim` is `read_claim(request)`.

    `secret` is None if the key is unknown: the same work is done with nobody's secret, so that the time does not tell.
    `derive` makes the signing key. Raises as `verify_with` does.
    """

    def key(date: str, region: str, service: str) -> Mac:
        return keyed(derive(_NOBODYS_SECRET if secret is None else secret, date, region, service))

    verify_with(request, claim, key, known=secret is not None, regions=regions, services=services, now_ms=now_ms)


def verify_with(
    request: Request,
    claim: Claim,
    key: Scoped,
    *,
    known: bool,
    regions: Container[str],
    services: Container[str],
    now_ms: int,
) -> None:
    """As `verify`, with the signing key from whoever keeps it. `key` is asked once, for a scope that is one of ours.

    If the access key is not `known`, `key` is nobody's.

    Raises:
        InvalidSignature: the signature, its scope or its date is wrong, or something that carries meaning is not covered.
        UnrecognizedClient: the key is unknown.

    """
    _refuse_other_scope(claim, regions, services)
    _refuse_other_time(claim, now_ms)
    _verify(request, claim, key(claim.date, claim.region, claim.service), known=known)


def verify_in_scope(request: Request, claim: Claim, mac: Mac, *, now_ms: int) -> None:
    """As `verify_with`, for a known key, and a scope that a request of it was verified in before: `mac` is the one of that scope."""
    _refuse_other_date(claim)
    _refuse_other_time(claim, now_ms)
    _verify(request, claim, mac, known=True)


def _verify(request: Request, claim: Claim, mac: Mac, *, known: bool) -> None:
    usual = None if claim.presigned else usual_canonical_request(request, claim.signed_headers)
    if usual is not None and known and _matches(mac(string_to_sign(usual, claim)), claim):
        return
    _refuse_uncovered(request, claim)
    matches = _matches(_signature(request, claim, mac), claim)
    if not known:
        raise UnrecognizedClient(UNKNOWN_KEY)
    if not matches:
        raise InvalidSignature(MISMATCH)


def _matches(expected: bytes, claim: Claim) -> bool:
    return hmac.compare_digest(expected.hex().encode(), claim.signature.encode("latin-1"))


def _refuse_other_scope(claim: Claim, regions: Container[str], services: Container[str]) -> None:
    if claim.region not in regions:
        raise InvalidSignature(f"Credential should be scoped to a valid region, not '{claim.region}'. ")
    if claim.service not in services:
        # Unverified: AWS names the service that it expected.
        raise InvalidSignature(f"Credential should be scoped to correct service, not '{claim.service}'. ")
    _refuse_other_date(claim)


def _refuse_other_date(claim: Claim) -> None:
    stamp = _basic(claim.signed_at_ms)
    if claim.date != stamp[:8]:
        raise InvalidSignature(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{claim.date}' != '{stamp[:8]}', from '{stamp}'."
        )


def _refuse_other_time(claim: Claim, now_ms: int) -> None:
    """The date is at most five minutes from now. A presigned request lives as long as it says, from its date on."""
    signed, now = claim.signed_at_ms, now_ms // 1000 * 1000
    life_s = SKEW_S if claim.expires_s is None else claim.expires_s
    if signed < now - life_s * 1000:
        window = f"{_basic(now)} - {life_s // 60} min." if life_s % 60 == 0 else f"{_basic(now)} - {life_s} sec."
        raise InvalidSignature(
            f"Signature expired: {_basic(signed)} is now earlier than {_basic(now - life_s * 1000)} ({window})"
        )
    if signed > now + SKEW_S * 1000:
        raise InvalidSignature(
            f"Signature not yet current: {_basic(signed)} is still later than {_basic(now + SKEW_S * 1000)} "
            f"({_basic(now)} + {SKEW_S // 60} min.)"
        )


def _refuse_uncovered(request: Request, claim: Claim) -> None:
    """Every header that decides what is executed is signed, and there once; so is every signed header."""
    signed = _names(claim.signed_headers)
    if b"host" not in signed:
        raise InvalidSignature("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
    seen: set[bytes] = set()
    for name, value in request.headers:
        meant = is_meant(name)
        covered = name in signed
        if name in seen and (meant or covered or name in ONCE):
            raise InvalidSignature(MISMATCH)
        seen.add(name)
        if meant and not covered and not (name == b"date" and request.header(b"x-amz-date") is not None):
            raise InvalidSignature(f"'{name.decode('latin-1')}' must be a 'SignedHeader' in the AWS Authorization.")
        if meant and collapsed(value) != value:
            raise InvalidSignature(MISMATCH)
    if not signed <= seen or (request.target != b"/" and is_ambiguous(request.path, request.query)):
        raise InvalidSignature(MISMATCH)


@lru_cache(maxsize=4096)
def _names(signed_headers: tuple[str, ...]) -> frozenset[bytes]:
    return frozenset(name.encode("latin-1") for name in signed_headers)


def _signature(request: Request, claim: Claim, mac: Mac) -> bytes:
    body_sha256 = request.body_sha256()
    sent = request.header(b"x-amz-content-sha256")
    if sent is not None and not hmac.compare_digest(sent, body_sha256.encode()):
        # UNSIGNED-PAYLOAD and STREAMING-... are refused here too: the body would not be bound.
        raise InvalidSignature(MISMATCH)
    pairs = pairs_of(request.query)
    canonical = canonical_request(
        method=request.method,
        path=request.path,
        pairs=[pair for pair in pairs if pair[0] != b"X-Amz-Signature"] if claim.presigned else pairs,
        headers=request.headers,
        signed=claim.signed_headers,
        body_sha256=body_sha256,
        service=claim.service,
    )
    return mac(string_to_sign(canonical, claim))


def string_to_sign(canonical: bytes, claim: Claim) -> bytes:
    """What the signing key signs: the date, the scope and the hash of the canonical request."""
    scope = f"{claim.date}/{claim.region}/{claim.service}/{TERMINATOR}"
    digest = hashlib.sha256(canonical).hexdigest()
    return f"{ALGORITHM}\n{_basic(claim.signed_at_ms)}\n{scope}\n{digest}".encode("latin-1")


@lru_cache(maxsize=1024)
def _basic(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
