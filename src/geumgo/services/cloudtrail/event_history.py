"""Event history: who did what, found by one attribute, newest first.

The record of an event is read where the trail has it, so it is exactly what the trail has. What is found in the index is compared with
the record: a row that was changed by hand shows nobody what is not his.
"""

from collections.abc import Mapping
from typing import Any, Final

import structlog

from geumgo import paging
from geumgo.audit.line import encode_record
from geumgo.context import Context, Params, as_datetime
from geumgo.room import reads
from geumgo.sealing import Unsealable
from geumgo.services.cloudtrail import store
from geumgo.services.cloudtrail.copies import read_copy
from geumgo.services.cloudtrail.domain import (
    ATTRIBUTES,
    EVERYTHING,
    Attributes,
    attributes_of,
    first_number,
    topic_of,
)
from geumgo.services.cloudtrail.errors import (
    InvalidEventCategory,
    InvalidLookupAttributes,
    InvalidMaxResults,
    InvalidNextToken,
    InvalidTimeRange,
)

log = structlog.get_logger("geumgo.cloudtrail")

PAGE: Final = 50  # events, at most and by default. Source: MaxResults, botocore model 2013-11-01
LONGEST_VALUE: Final = 2_000  # Source: LookupAttributeValue, the same
LOOKS: Final = 8  # at the index for one page, should records of it be gone
_LAST_S: Final = (1 << 42) // 1000


@reads
def lookup_events(ctx: Context, request: Params) -> Params:
    """The events of this account and region, newest first, as far back as the index is kept."""
    key, value = attribute_of(request)
    most = max_results(request)
    first, before = bounds_of(request)
    category = request.get("EventCategory")
    if category is not None and category != "insight":
        raise InvalidEventCategory(category)
    asked = {name: str(each) for name, each in sorted(request.items()) if name != "NextToken"}
    position = read_token(ctx, asked, request.get("NextToken"))
    if category == "insight":
        return {"Events": []}  # events of unusual activity: there are none here
    topic = topic_of(ctx.place.account, ctx.place.region, key, value)
    events: list[Params] = []
    before = min(before, position) if position is not None else before
    for _ in range(LOOKS):
        wanted = most - len(events)
        rows = store.newest(ctx.tx, topic, first=first, before=before, most=wanted + 1)
        for row in rows[:wanted]:
            before = row.event
            record = record_of(ctx, row)
            about = attributes_of(record) if record is not None else None
            if record is not None and about is not None and is_of(ctx, about, key, value):
                events.append(shown(record, about))
        if len(rows) <= wanted:
            return {"Events": events}
        if len(events) == most:
            break
    return {"Events": events, "NextToken": paging.make_token(ctx, "cloudtrail", "LookupEvents", asked, (before,))}


def attribute_of(request: Params) -> tuple[str, str]:
    """The one attribute that is looked for, and its value. Raises InvalidLookupAttributes."""
    attributes = request.get("LookupAttributes") or []
    if len(attributes) > 1:
        raise InvalidLookupAttributes("You can only specify one lookup attribute.")
    for attribute in attributes:
        key, value = attribute.get("AttributeKey"), attribute.get("AttributeValue")
        if key not in ATTRIBUTES:
            raise InvalidLookupAttributes(f"The lookup attribute key must be one of {', '.join(ATTRIBUTES)}.")
        if not isinstance(value, str) or not 0 < len(value) <= LONGEST_VALUE:
            raise InvalidLookupAttributes(f"The value of {key} must have 1 to {LONGEST_VALUE} characters.")
        return str(key), value
    return EVERYTHING, ""


def max_results(request: Params) -> int:
    most: int = request.get("MaxResults", PAGE)
    if not 1 <= most <= PAGE:
        raise InvalidMaxResults(PAGE, most)
    return most


def bounds_of(request: Params) -> tuple[int, int]:
    """The first number of the time range, and the first behind it. Both times belong to the range. Raises InvalidTimeRange."""
    start, end = request.get("StartTime"), request.get("EndTime")
    start_s = int(start.timestamp()) if start is not None else 0
    end_s = int(end.timestamp()) if end is not None else _LAST_S
    if start is not None and end is not None and start > end:
        raise InvalidTimeRange
    return first_number(start_s), first_number(end_s + 1)


def read_token(ctx: Context, asked: Mapping[str, str], token: str | None) -> int | None:
    try:
        position = paging.read_token(ctx, "cloudtrail", "LookupEvents", asked, token)
    except paging.NotOurs:
        raise InvalidNextToken from None
    return None if position is None else int(position[0])


def record_of(ctx: Context, row: store.Row) -> Params | None:
    """The record that `row` points to. None, and a line in the log, if it is not there any more or not what was written."""
    record = _copied(ctx, row.copy) if row.copy is not None else ctx.archive.record(row.where)
    if record is None:
        log.warning("a record of the trail is gone", chain=row.where.chain, segment=row.where.segment)
    return record


def _copied(ctx: Context, copy: bytes) -> Params | None:
    try:
        return read_copy(ctx.sealing, copy)
    except Unsealable:
        return None


def is_of(ctx: Context, about: Attributes, key: str, value: str) -> bool:
    """Whether the record is this account's and region's, and is what was asked for."""
    mine = ctx.place.account in about.accounts and about.region == ctx.place.region
    return mine and (key == EVERYTHING or about.has(key, value))


def shown(record: Mapping[str, Any], about: Attributes) -> Params:
    """A record as LookupEvents answers it."""
    event: Params = {
        "EventId": about.event_id,
        "EventName": about.event_name,
        "ReadOnly": "true" if about.read_only else "false",
        "EventTime": as_datetime(about.at_s * 1000),
        "EventSource": about.event_source,
        "Resources": [{"ResourceType": each.type, "ResourceName": each.name} for each in about.resources],
        "CloudTrailEvent": encode_record(record).decode("ascii"),
    }
    if about.access_key_id:
        event["AccessKeyId"] = about.access_key_id
    if about.username:
        event["Username"] = about.username
    return event
