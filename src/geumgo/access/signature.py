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
import re
from collections import Counter
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from geumgo.access.signature_canonical import canonical_request, collapsed, is_ambiguous, pairs_of
from geumgo.errors import IncompleteSignature, InvalidSignature, UnrecognizedClient
from geumgo.message import Request
from geumgo.sealing.plaintext import Plaintext

ALGORITHM: Final = "AWS4-HMAC-SHA256"
TERMINATOR: Final = "aws4_request"
SKEW_S: Final = 300
"""How far a request's date may be from ours, in seconds. AWS's query services allow 900; ours keep to the same 300."""
EXPIRES_MAX_S: Final = 604_800
"""The longest life of a presigned request: seven days, in seconds."""

MISMATCH: Final = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and "
    "signing method. Consult the service documentation for details."
)
UNKNOWN_KEY: Final = "The security token included in the request is invalid."

MEANT: Final = frozenset(
    {b"host", b"date", b"content-type", b"content-encoding", b"smithy-protocol"}
)  # and every x-amz-*: headers that decide what is executed
ONCE: Final = MEANT | {b"authorization", b"content-length", b"transfer-encoding"}

_UNSUPPORTED: Final = f"Unsupported AWS 'algorithm' (only {ALGORITHM} for now). "
_BAD_DATE: Final = "Date must be in ISO-8601 'basic format'. See http://en.wikipedia.org/wiki/ISO_8601."
_NOBODYS_SECRET: Final = Plaintext(os.urandom(20).hex().encode())  # as long as a real one, and known to nobody
_KEY_ID = re.compile(r"[A-Za-z0-9_]{1,128}")
_SCOPE_PART = re.compile(r"[!-.0-~]{1,64}")
_DAY = re.compile(r"[0-9]{8}")
_HEADER_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
_BASIC_DATE = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z")
_HTTP_DATE = re.compile(r"[A-Z][a-z]{2}, ([0-9]{2}) ([A-Z][a-z]{2}) ([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT")
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1
    )
}
_QUERY_NAMES = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date")
_QUERY_TRACES = frozenset(name.encode() for name in _QUERY_NAMES if name != "X-Amz-Date") | {b"X-Amz-Expires"}

Derive = Callable[[Plaintext, str, str, str], bytes]


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request says of its own signature. Nothing of it is proven before `verify`.

    `date` is the scope's day (YYYYMMDD), `signed_headers` are in order. `expires_s` is the life of a presigned request that
    states one, in seconds from `signed_at_ms`.
    """

    access_key_id: str
    date: str
    region: str
    service: str
    session_token: str | None
    signed_headers: tuple[str, ...]
    signature: str
    signed_at_ms: int
    presigned: bool
    expires_s: int | None = None


# -- what the request claims -------------------------------------------------------------------------------------------


def read_claim(request: Request) -> Claim | None:
    """The claim in the Authorization header or in the query, or None if there is no trace of one.

    Raises:
        IncompleteSignature: it cannot be read, or there is more than one.
        InvalidSignature: its scope does not end as Signature Version 4 demands.

    """
    written = request.all_of(b"authorization")
    pairs = pairs_of(request.query)
    presigned = any(name in _QUERY_TRACES for name, _ in pairs)
    if not written and not presigned:
        return None
    if written and presigned:
        raise InvalidSignature(
            "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."
        )
    if len(written) > 1:
        raise IncompleteSignature("The header 'authorization' is there twice.")
    return _read_query(request, pairs) if presigned else _read_header(request, written[0])


def _read_header(request: Request, written: bytes) -> Claim:
    said = _authorization(written)
    date = _only(request, b"x-amz-date")
    if date is None:
        date = _only(request, b"date")
    if date is None:
        raise IncompleteSignature(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
        )
    key_id, day, region, service = _credential(said["Credential"])
    return Claim(
        access_key_id=key_id,
        date=day,
        region=region,
        service=service,
        session_token=_only(request, b"x-amz-security-token"),
        signed_headers=_signed_headers(said["SignedHeaders"]),
        signature=said["Signature"],
        signed_at_ms=_moment(date),
        presigned=False,
    )


def _authorization(written: bytes) -> dict[str, str]:
    """The three parts of an Authorization header, each exactly once."""
    scheme, _, rest = _text(written).partition(" ")
    if scheme.startswith("AWS4-") and scheme != ALGORITHM:
        raise IncompleteSignature(_UNSUPPORTED)
    if scheme != ALGORITHM:
        rest = ""  # another scheme has none of our parameters
    said: dict[str, str] = {}
    for part in rest.split(",") if rest else ():
        name, equals, value = part.strip(" ").partition("=")
        if not equals:
            raise IncompleteSignature("Authorization header holds what is not a key=value pair (missing equal-sign).")
        if name in said or name not in ("Credential", "SignedHeaders", "Signature"):
            raise IncompleteSignature(
                "Authorization header holds a parameter twice, or one that does not belong there."
            )
        said[name] = value
    missing = [name for name in ("Credential", "Signature", "SignedHeaders") if not said.get(name)]
    if missing:
        raise IncompleteSignature(" ".join(f"Authorization header requires '{name}' parameter." for name in missing))
    return said


def _read_query(request: Request, pairs: Sequence[tuple[bytes, bytes]]) -> Claim:
    said: dict[str, str] = {}
    for name, value in pairs:
        if not name.lower().startswith(b"x-amz-"):
            continue
        known = _text(name)
        if known in said:
            raise IncompleteSignature(
                "An X-Amz query-string parameter is there twice. Re-examine the query-string parameters."
            )
        said[known] = _text(value)
    missing = [name for name in _QUERY_NAMES if not said.get(name)]
    if missing:
        must = " ".join(f"AWS query-string parameters must include '{name}'." for name in missing)
        raise IncompleteSignature(f"{must} Re-examine the query-string parameters.")
    if said["X-Amz-Algorithm"] != ALGORITHM:
        raise IncompleteSignature(_UNSUPPORTED)
    token, sent_token = said.get("X-Amz-Security-Token"), _only(request, b"x-amz-security-token")
    if token is not None and sent_token is not None:
        raise IncompleteSignature("The security token is there twice: as a query-string parameter and as a header.")
    key_id, day, region, service = _credential(said["X-Amz-Credential"])
    return Claim(
        access_key_id=key_id,
        date=day,
        region=region,
        service=service,
        session_token=token if token is not None else sent_token,
        signed_headers=_signed_headers(said["X-Amz-SignedHeaders"]),
        signature=said["X-Amz-Signature"],
        signed_at_ms=_moment(said["X-Amz-Date"]),
        presigned=True,
        expires_s=_expires(said.get("X-Amz-Expires")),
    )


def _credential(text: str) -> tuple[str, str, str, str]:
    """Access key id, day, region and service of a credential scope."""
    parts = text.split("/")
    if len(parts) != 5:
        raise IncompleteSignature(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term."
        )
    key_id, day, region, service, terminator = parts
    if not _KEY_ID.fullmatch(key_id) or not all(_SCOPE_PART.fullmatch(part) for part in (region, service, terminator)):
        raise IncompleteSignature("Credential has an element that is empty, too long or not printable.")
    if not _DAY.fullmatch(day):
        raise IncompleteSignature("Date in Credential scope must be of the form YYYYMMDD.")
    if terminator != TERMINATOR:
        raise InvalidSignature(
            f"Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{terminator}'. "
        )
    return key_id, day, region, service


def _signed_headers(text: str) -> tuple[str, ...]:
    names = tuple(text.split(";"))
    if list(names) != sorted(set(names)) or not all(_HEADER_NAME.fullmatch(name) for name in names):
        raise IncompleteSignature(
            "SignedHeaders must be lower-case header names, sorted, each once, delimited by semicolons."
        )
    return names


def _moment(text: str) -> int:
    """Unix milliseconds of an ISO 8601 basic date, or of an HTTP date."""
    basic, http = _BASIC_DATE.fullmatch(text), _HTTP_DATE.fullmatch(text)
    if basic:
        parts = [int(part) for part in basic.groups()]
    elif http:
        parts = [int(http[3]), _MONTHS.get(http[2], 0), int(http[1]), int(http[4]), int(http[5]), int(http[6])]
    else:
        raise IncompleteSignature(_BAD_DATE)
    year, month, day, hour, minute, second = parts
    try:
        return int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()) * 1000
    except ValueError:
        raise IncompleteSignature(_BAD_DATE) from None


def _expires(text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise IncompleteSignature("X-Amz-Expires should be a number")
    if not 1 <= int(text) <= EXPIRES_MAX_S:
        raise IncompleteSignature(f"X-Amz-Expires must be at least 1 and at most {EXPIRES_MAX_S} seconds")
    return int(text)


def _only(request: Request, name: bytes) -> str | None:
    values = request.all_of(name)
    if len(values) > 1:
        raise IncompleteSignature(f"The header '{name.decode()}' is there twice.")
    return _text(values[0]) if values else None


def _text(raw: bytes) -> str:
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError:
        raise IncompleteSignature("The signature's parameters hold a byte that is not ASCII.") from None
    if not text.isprintable():
        raise IncompleteSignature("The signature's parameters hold a byte that is not printable.")
    return text


# -- whether it is true ------------------------------------------------------------------------------------------------


def signing_key(secret: Plaintext, date: str, region: str, service: str) -> bytes:
    """The key (32 bytes) that signs requests of one day, region and service. The same for the same arguments: worth caching."""
    key = b"AWS4" + secret.reveal()
    for part in (date, region, service, TERMINATOR):
        key = hmac.digest(key, part.encode("latin-1"), "sha256")
    return key


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
    `derive` is where a caller puts a cache of signing keys.

    Raises:
        InvalidSignature: the signature, its scope or its date is wrong, or something that carries meaning is not covered.
        UnrecognizedClient: the key is unknown.

    """
    _refuse_other_scope(claim, regions, services)
    _refuse_other_time(claim, now_ms)
    _refuse_uncovered(request, claim)
    key = derive(_NOBODYS_SECRET if secret is None else secret, claim.date, claim.region, claim.service)
    expected = _signature(request, claim, key)
    matches = hmac.compare_digest(expected.encode(), claim.signature.encode("latin-1"))
    if secret is None:
        raise UnrecognizedClient(UNKNOWN_KEY)
    if not matches:
        raise InvalidSignature(MISMATCH)


def _refuse_other_scope(claim: Claim, regions: Container[str], services: Container[str]) -> None:
    if claim.region not in regions:
        raise InvalidSignature(f"Credential should be scoped to a valid region, not '{claim.region}'. ")
    if claim.service not in services:
        # Unverified: AWS names the service that it expected.
        raise InvalidSignature(f"Credential should be scoped to correct service, not '{claim.service}'. ")
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
    signed = {name.encode("latin-1") for name in claim.signed_headers}
    if b"host" not in signed:
        raise InvalidSignature("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
    seen = Counter(name for name, _ in request.headers)
    for name, value in request.headers:
        meant = name in MEANT or name.startswith(b"x-amz-")
        if meant and name not in signed and not (name == b"date" and b"x-amz-date" in seen):
            shown = name.decode("latin-1")
            raise InvalidSignature(f"'{shown}' must be a 'SignedHeader' in the AWS Authorization.")
        if seen[name] > 1 and (meant or name in signed or name in ONCE):
            raise InvalidSignature(MISMATCH)
        if meant and collapsed(value) != value:
            raise InvalidSignature(MISMATCH)
    if not signed <= seen.keys() or is_ambiguous(request.path, request.query):
        raise InvalidSignature(MISMATCH)


def _signature(request: Request, claim: Claim, key: bytes) -> str:
    body_sha256 = hashlib.sha256(request.body).hexdigest()
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
    return hmac.digest(key, string_to_sign(canonical, claim), "sha256").hex()


def string_to_sign(canonical: bytes, claim: Claim) -> bytes:
    """What the signing key signs: the date, the scope and the hash of the canonical request."""
    scope = f"{claim.date}/{claim.region}/{claim.service}/{TERMINATOR}"
    return "\n".join((ALGORITHM, _basic(claim.signed_at_ms), scope, hashlib.sha256(canonical).hexdigest())).encode(
        "latin-1"
    )


def _basic(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
