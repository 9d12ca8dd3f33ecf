"""What the index wants to know of a record, without decoding all of it: most records differ in when, and in little else.

Who called what, and what it touched, come again and again in the very same bytes: what these come to is worked out once, by the rules of
`domain`, and kept under the bytes.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from geumgo.services.cloudtrail.domain import (
    attributes_of,
    seconds_of,
    topic_of_id,
    topics_of_resources,
    topics_of_single,
)
from geumgo.services.cloudtrail.domain_resources import naming_members

KEPT: Final = 8_192
LONGEST_KEPT: Final = 1_024  # bytes
_NOTHING: Final = b"null"
_SOME_TIME: Final = "1970-01-01T00:00:00Z"


class _Record(msgspec.Struct, gc=False):
    """The members of a record that matter here; those that are objects stay as they are."""

    eventTime: str  # noqa: N815 - as the record has it
    eventSource: str = ""  # noqa: N815
    eventName: str = ""  # noqa: N815
    eventType: str = ""  # noqa: N815
    awsRegion: str = ""  # noqa: N815
    readOnly: bool | None = None  # noqa: N815
    recipientAccountId: str | None = None  # noqa: N815
    userIdentity: msgspec.Raw = msgspec.Raw(_NOTHING)  # noqa: N815
    resources: msgspec.Raw = msgspec.Raw(_NOTHING)
    requestParameters: msgspec.Raw = msgspec.Raw(_NOTHING)  # noqa: N815
    responseElements: msgspec.Raw = msgspec.Raw(_NOTHING)  # noqa: N815
    additionalEventData: msgspec.Raw = msgspec.Raw(_NOTHING)  # noqa: N815


class Who(NamedTuple):
    """Whose a record is (as `Attributes.accounts`), where, of what call, and the topics that follow from these and from who called."""

    accounts: tuple[str, ...]
    region: str
    source: str
    topics: tuple[int, ...]


class Brief(NamedTuple):
    """What a record is indexed by. `touched` and `own`: the topics of what it touched, and those that no other record has."""

    who: Who
    touched: tuple[int, ...]
    own: tuple[int, ...]
    kind: str  # its eventType
    read_only: bool
    at_s: int


_DECODER: Final = msgspec.json.Decoder(_Record)


def brief_of(raw: bytes, event_id: str) -> Brief:
    """Of the record in `raw` (JSON). Raises msgspec.DecodeError."""
    record = _DECODER.decode(raw)
    read_only = record.readOnly is True
    who = _who(
        bytes(record.userIdentity),
        record.recipientAccountId,
        record.awsRegion,
        record.eventSource,
        record.eventName,
        read_only,
    )
    own = tuple([topic_of_id(account, who.region, event_id) for account in who.accounts])
    return Brief(who, _touched_by(record, who), own, record.eventType, read_only, seconds_of(record.eventTime))


@lru_cache(maxsize=KEPT)
def _who(identity: bytes, recipient: str | None, region: str, source: str, name: str, read_only: bool) -> Who:
    about = attributes_of(
        {
            "eventID": "",
            "eventTime": _SOME_TIME,
            "eventSource": source,
            "eventName": name,
            "awsRegion": region,
            "readOnly": read_only,
            "recipientAccountId": recipient,
            "userIdentity": msgspec.json.decode(identity),
        }
    )
    return Who(about.accounts, region, source, tuple(topics_of_single(about)))


def _touched_by(record: _Record, who: Who) -> tuple[int, ...]:
    naming = _naming(who.source)
    resources = bytes(record.resources)
    request = _if_it_names(naming, record.requestParameters)
    response = _if_it_names(naming, record.responseElements)
    additional = _if_it_names(naming, record.additionalEventData)
    size = len(resources) + len(request) + len(response) + len(additional)
    work_out = _touched if size <= LONGEST_KEPT else _touched.__wrapped__
    return work_out(who.accounts, who.region, who.source, resources, request, response, additional)


def _if_it_names(naming: re.Pattern[bytes], part: msgspec.Raw) -> bytes:
    written = bytes(part)
    return written if written != _NOTHING and naming.search(written) is not None else _NOTHING


@lru_cache(maxsize=KEPT)
def _touched(
    accounts: tuple[str, ...],
    region: str,
    source: str,
    resources: bytes,
    request: bytes,
    response: bytes,
    additional: bytes,
) -> tuple[int, ...]:
    record = {
        "eventSource": source,
        "resources": msgspec.json.decode(resources),
        "requestParameters": msgspec.json.decode(request),
        "responseElements": msgspec.json.decode(response),
        "additionalEventData": msgspec.json.decode(additional),
    }
    return tuple(topics_of_resources(record, accounts, region))


@lru_cache(maxsize=256)
def _naming(source: str) -> re.Pattern[bytes]:
    """What stands in all that names a resource. The names of members are plain: nothing in them is escaped."""
    members = "|".join(naming_members(source))
    return re.compile(f'"(?:{members})"'.encode() if members else b"(?!)")
