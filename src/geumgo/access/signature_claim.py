"""What a request says of its own signature, in its Authorization header or in its query. Nothing of it is proven yet.

Source: "AWS Signature Version 4 for API requests", IAM User Guide. The texts were recorded on AWS where AWS has such a refusal; those on
twins, on bytes that cannot be printed and on the order of SignedHeaders are ours.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple

from geumgo.access.signature_canonical import pairs_of
from geumgo.errors import IncompleteSignature, InvalidSignature
from geumgo.message import Request

ALGORITHM: Final = "AWS4-HMAC-SHA256"
TERMINATOR: Final = "aws4_request"
EXPIRES_MAX_S: Final = 604_800
"""The longest life of a presigned request: seven days, in seconds."""

_UNSUPPORTED: Final = f"Unsupported AWS 'algorithm' (only {ALGORITHM} for now). "
_BAD_DATE: Final = "Date must be in ISO-8601 'basic format'. See http://en.wikipedia.org/wiki/ISO_8601."
_KEY_ID = re.compile(r"[A-Za-z0-9_]{1,128}")
_SCOPE_PART = re.compile(r"[!-.0-~]{1,64}")
_HEX = re.compile(rb"[0-9a-f]{64}")
_KEY_BYTES: Final = 129  # of the longest access key id, and of what ends it
_FRONT_BYTES: Final = 1_024  # the longest front of an Authorization header that is kept, in bytes
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


class Claim(NamedTuple):
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


def read_claim(request: Request) -> Claim | None:
    """The claim in the Authorization header or in the query, or None if there is no trace of one.

    Raises:
        IncompleteSignature: it cannot be read, or there is more than one.
        InvalidSignature: its scope does not end as Signature Version 4 demands.

    """
    written = request.all_of(b"authorization")
    if request.target == b"/" and len(written) == 1:
        return _read_header(request, written[0])
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


def claimed_key(request: Request) -> str:
    """The access key id that the Authorization header names, or "" if it names none. Cheap, never fails, and proves nothing."""
    _, _, rest = (request.header(b"authorization") or b"").partition(b"Credential=")
    found = rest[:_KEY_BYTES].partition(b"/")[0].decode("latin-1")
    return found if _KEY_ID.fullmatch(found) else ""


def _read_header(request: Request, written: bytes) -> Claim:
    front, _, end = written.rpartition(b"Signature=")
    if len(front) <= _FRONT_BYTES and front.endswith((b",", b", ")) and _HEX.fullmatch(end):
        signature, (key_id, day, region, service, signed_headers) = end.decode(), _front(front)
    else:
        said = _authorization(written)
        signature, signed_headers = said["Signature"], _signed_headers(said["SignedHeaders"])
        key_id, day, region, service = _credential(said["Credential"])
    date = _only(request, b"x-amz-date")
    if date is None:
        date = _only(request, b"date")
    if date is None:
        raise IncompleteSignature(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
        )
    token = _only(request, b"x-amz-security-token")
    return Claim(key_id, day, region, service, token, signed_headers, signature, _moment(date), presigned=False)


@lru_cache(maxsize=4096)
def _front(front: bytes) -> tuple[str, str, str, str, tuple[str, ...]]:
    """Credential and signed headers of an Authorization header up to its signature. A client's is the same all day."""
    said = _authorization(front + b"Signature=" + b"0" * 64)
    return (*_credential(said["Credential"]), _signed_headers(said["SignedHeaders"]))


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


@lru_cache(maxsize=1024)
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
    with suppress(ValueError):
        return int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()) * 1000
    raise IncompleteSignature(_BAD_DATE)


def _expires(text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise IncompleteSignature("X-Amz-Expires should be a number")
    if not 1 <= int(text) <= EXPIRES_MAX_S:
        raise IncompleteSignature(f"X-Amz-Expires must be at least 1 and at most {EXPIRES_MAX_S} seconds")
    return int(text)


def _only(request: Request, name: bytes) -> str | None:
    value = request.header(name)
    if value is None:
        return None
    if request.has_twins and len(request.all_of(name)) > 1:
        raise IncompleteSignature(f"The header '{name.decode()}' is there twice.")
    return _text(value)


def _text(raw: bytes) -> str:
    if not raw.isascii():
        raise IncompleteSignature("The signature's parameters hold a byte that is not ASCII.")
    text = raw.decode("ascii")
    if not text.isprintable():
        raise IncompleteSignature("The signature's parameters hold a byte that is not printable.")
    return text
