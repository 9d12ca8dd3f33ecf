"""Moments on the wire: epoch seconds, ISO 8601, and HTTP's date."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

from geumgo.errors import Unreadable

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_ISO = re.compile(r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)


def from_epoch(seconds: float) -> datetime:
    """The moment `seconds` after 1970, to the microsecond.

    Raises:
        Unreadable: it lies outside of the years 1 to 9999.

    """
    try:
        return EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        raise Unreadable("Timestamp is out of range.") from None


def from_iso(text: str) -> datetime:
    """The moment that `text` names, to the microsecond. Without an offset it is UTC.

    Raises:
        Unreadable: it is not a date and time of ISO 8601 with seconds.

    """
    found = _ISO.fullmatch(text)
    if found is None:
        raise Unreadable("STRING_VALUE can not be converted to a Timestamp.")
    date, fraction, offset = found.groups()
    try:
        zone = "+00:00" if offset is None or offset in "Zz" else offset
        return datetime.fromisoformat(f"{date}.{(fraction or '0').ljust(6, '0')[:6]}{zone}").astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unreadable("STRING_VALUE can not be converted to a Timestamp.") from None


def from_http(text: str) -> datetime:
    """The moment of an HTTP date such as `Sun, 06 Nov 1994 08:49:37 GMT`.

    Raises:
        Unreadable: it is none.

    """
    try:
        moment = parsedate_to_datetime(text[:64])
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError, TypeError):
        raise Unreadable("STRING_VALUE can not be converted to a Timestamp.") from None


def to_epoch(moment: datetime) -> float:
    """Seconds after 1970 with at most three decimals; what is finer is cut off."""
    return (moment - EPOCH) // _MILLISECOND / 1000


def to_iso(moment: datetime) -> str:
    """`2025-11-06T13:21:08Z`, with milliseconds only if there are any."""
    utc = moment.astimezone(UTC)
    text = f"{utc.year:04d}-{utc.month:02d}-{utc.day:02d}T{utc.hour:02d}:{utc.minute:02d}:{utc.second:02d}"
    return f"{text}.{utc.microsecond // 1000:03d}Z" if utc.microsecond >= 1000 else f"{text}Z"


def to_http(moment: datetime) -> str:
    """`Sun, 06 Nov 1994 08:49:37 GMT`."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)
