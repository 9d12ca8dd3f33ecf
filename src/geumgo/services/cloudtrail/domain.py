"""What a record is found by: its attributes as LookupEvents names them. Pure."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

from geumgo.services.cloudtrail.domain_resources import Resource, found_by, resources_of

ATTRIBUTES: Final = (
    *("EventId", "EventName", "ReadOnly", "Username"),
    *("ResourceType", "ResourceName", "EventSource", "AccessKeyId"),
)
"""Source: LookupAttributeKey, botocore model 2013-11-01."""

EVERYTHING: Final = "Everything"  # the attribute of every record of a place
SPREAD_BITS: Final = 21  # of an event's number, which keep the records of one millisecond apart
MOMENT_BITS: Final = SPREAD_BITS + 10  # of an event's number, which say when in a moment of 1,024 ms it was
SPAN_BITS: Final = SPREAD_BITS + 29  # of an event's number, which say when in a span of 2^29 ms (six days) it was
_HIGHEST_MS: Final = (1 << 42) - 1
_MASK: Final = (1 << 63) - 1


class Attributes(NamedTuple):
    """What one record is found by. Empty texts are absent."""

    event_id: str
    event_name: str
    event_source: str
    read_only: bool
    username: str
    access_key_id: str
    resources: tuple[Resource, ...]
    accounts: tuple[str, ...]  # whose it is: first of whoever owns what was asked for, then of whoever asked
    region: str
    at_s: int

    def has(self, key: str, value: str) -> bool:
        """Whether LookupEvents finds it by `key` (an attribute) and `value`."""
        match key:
            case "ResourceName":
                return any(value == name for resource in self.resources for name in resource.names)
            case "ResourceType":
                return any(value == resource.type for resource in self.resources)
        return value == dict(self.single()).get(key)

    def single(self) -> Iterator[tuple[str, str]]:
        """The attributes that have one value."""
        yield "EventId", self.event_id
        yield "EventName", self.event_name
        yield "EventSource", self.event_source
        yield "ReadOnly", "true" if self.read_only else "false"
        if self.username:
            yield "Username", self.username
        if self.access_key_id:
            yield "AccessKeyId", self.access_key_id


def attributes_of(record: Mapping[str, Any]) -> Attributes:
    """The attributes of a record of the trail.

    A record without an account (nobody's key) has no `accounts`: nobody finds it with LookupEvents.
    """
    identity: Mapping[str, Any] = record.get("userIdentity") or {}
    accounts = (record.get("recipientAccountId"), identity.get("accountId"))
    return Attributes(
        event_id=record["eventID"],
        event_name=record.get("eventName", ""),
        event_source=record.get("eventSource", ""),
        read_only=record.get("readOnly") is True,
        username=username_of(identity),
        access_key_id=identity.get("accessKeyId") or "",
        resources=resources_of(record),
        accounts=tuple(dict.fromkeys(account for account in accounts if account)),
        region=record.get("awsRegion", ""),
        at_s=seconds_of(record["eventTime"]),
    )


def username_of(identity: Mapping[str, Any]) -> str:
    """The Username of a record: a user's name, the name of a role's session, `root`; empty for services.

    Source: "CloudTrail userIdentity element", CloudTrail User Guide; for sessions, what LookupEvents answers on AWS.
    """
    match identity.get("type"):
        case "IAMUser" | "WebIdentityUser":
            return str(identity.get("userName") or "")
        case "AssumedRole" | "FederatedUser":
            return str(identity.get("arn", "")).rpartition("/")[2]
        case "Root":
            return "root"
    return ""


@lru_cache(maxsize=4096)
def seconds_of(iso: str) -> int:
    """Unix seconds of a time as the trail writes it."""
    return int(datetime.fromisoformat(iso).timestamp())


def topics_of_single(about: Attributes) -> Iterator[int]:
    """The topics of what a record has once, but for its id, in every account that it concerns."""
    for account in about.accounts:
        yield topic_of(account, about.region, EVERYTHING, "")
        for key, value in about.single():
            if key != "EventId":
                yield topic_of(account, about.region, key, value)


def topics_of_resources(record: Mapping[str, Any], accounts: Sequence[str], region: str) -> Iterator[int]:
    """The topics of what a record touched, each once."""
    resources = resources_of(record)
    names = {found_by(resource.name) for resource in resources}
    types = {resource.type for resource in resources}
    for account in accounts:
        yield from [_hash_of(account, region, "ResourceName", name) for name in names]  # too many of them to be kept
        yield from [topic_of(account, region, "ResourceType", kind) for kind in types]


def topic_of_id(account: str, region: str, event_id: str) -> int:
    """The topic of a record's id: no other record has it, so it is not worth keeping."""
    return _hash_of(account, region, "EventId", event_id)


@lru_cache(maxsize=16_384)
def topic_of(account: str, region: str, key: str, value: str) -> int:
    """A number (63 bits) for an attribute and its value in a place. Two may share one: compare what is found with the record.

    A secret's name and its ARNs do.
    """
    return _hash_of(account, region, key, found_by(value) if key == "ResourceName" else value)


def _hash_of(account: str, region: str, key: str, value: str) -> int:
    text = f"{account}\0{region}\0{key}\0{value}".encode("utf-8", "replace")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") & _MASK


def number_of(at_s: int, noted_at_ms: int, start: int, place: int) -> int:
    """The number of an event, in the order of time: of its second, of when it was noted, of where it stands in its segment.

    Two lines are far enough apart (`start`, bytes) that theirs differ, with all service events inside. Records of two chains may have
    the same number: then one of them takes the next.
    """
    within = min(max(noted_at_ms - at_s * 1000, 0), 999)
    at_ms = min(max(at_s * 1000 + within, 0), _HIGHEST_MS)
    return (at_ms << SPREAD_BITS) | (((start >> 4) + place + 1) & ((1 << SPREAD_BITS) - 1))


def first_number(at_s: int) -> int:
    """The lowest number of an event of this second (Unix time)."""
    return min(max(at_s * 1000, 0), _HIGHEST_MS) << SPREAD_BITS


def span_of(event: int) -> int:
    """The span of 2^29 ms (since 1970) in which the event with this number was."""
    return event >> SPAN_BITS


def end_of_moment(event: int) -> int:
    """The highest number of an event of the same moment."""
    return event | ((1 << MOMENT_BITS) - 1)
