"""PutEvents: what customers tell."""

from collections.abc import Mapping
from typing import Any

from geumgo.context import Context, Params
from geumgo.errors import ValidationFailed
from geumgo.room import operation
from geumgo.sealing import random
from geumgo.services.events import lookup, matching
from geumgo.services.events.domain import LARGEST_ENTRIES, entry_bytes, envelope, read_detail, texts
from geumgo.services.events.errors import not_valid


@operation
def put_events(ctx: Context, request: Params) -> Params:
    """Whoever listens is promised each entry that is an event; what is wrong with the others is said one by one, with HTTP 200.

    An entry for a bus that is not there is answered as if it were, and heard by nobody.

    Source: PutEvents, API reference; recorded on AWS (codes and messages, the bus that is not there). Unverified: the message about size.
    """
    if "EndpointId" in request:
        raise ValidationFailed("EndpointId is not valid.")
    entries = request["Entries"]
    if sum(entry_bytes(entry) for entry in entries) > LARGEST_ENTRIES:
        raise ValidationFailed("Total size of the entries in the request is over the limit.")
    answers = [_put(ctx, entry) for entry in entries]
    return {"FailedEntryCount": sum("ErrorCode" in answer for answer in answers), "Entries": answers}


def _put(ctx: Context, entry: Mapping[str, Any]) -> Params:
    wrong = _wrong(entry)
    if wrong is not None:
        return {"ErrorCode": wrong[0], "ErrorMessage": wrong[1]}
    detail = read_detail(entry["Detail"])
    if detail is None:
        return {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}
    now_ms = ctx.clock.now_ms()
    event_id = random.uuid()
    bus = lookup.find_bus(ctx, lookup.bus_name(ctx, entry.get("EventBusName")))
    if bus is not None:
        event = envelope(
            event_id=event_id,
            source=entry["Source"],
            detail_type=entry["DetailType"],
            account=ctx.caller.account,
            region=ctx.place.region,
            at_ms=_time_ms(entry, now_ms),
            resources=entry.get("Resources", []),
            detail=detail,
        )
        matching.spread(ctx.tx, ctx.sealing, bus.place, bus.name, event, now_ms)
    return {"EventId": event_id}


def _wrong(entry: Mapping[str, Any]) -> tuple[str, str] | None:
    """Code and message of what keeps an entry from being an event."""
    for member in ("Source", "DetailType", "Detail"):
        if not entry.get(member):
            return "InvalidArgument", not_valid(member, f"{member} is a required argument.").message
    if entry["Source"].startswith("aws."):
        return "NotAuthorizedForSourceException", "Not authorized for the source."
    rest = [entry["Source"], entry["DetailType"], entry.get("Resources", [])]
    if any("\0" in text for text in texts(rest)):
        return "InvalidArgument", "An entry must not contain the character NUL."
    return None


def _time_ms(entry: Mapping[str, Any], now_ms: int) -> int:
    """The time that the entry says, if it says one that a year of four digits can name."""
    if "Time" not in entry:
        return now_ms
    at_ms = round(entry["Time"].timestamp() * 1000)
    return at_ms if -62_135_596_800_000 <= at_ms < 253_402_300_800_000 else now_ms
