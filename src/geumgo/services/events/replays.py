"""Replays: events of an archive are told again to the rules of their bus.

Source: "Archiving and replaying events in Amazon EventBridge", user guide; StartReplay, API reference; the messages as they were recorded
on AWS. Unverified: that the times of a replay are those at which events came to the bus.
"""

from dataclasses import replace
from typing import Any, Final

from geumgo.context import Context, Params, Place, Work, as_datetime
from geumgo.domain.arn import split_arn
from geumgo.errors import ValidationFailed
from geumgo.jobs import promise
from geumgo.room import job, operation, reads
from geumgo.services.events import matching, paging, store_archives
from geumgo.services.events.domain import InvalidName, read_rule_resource
from geumgo.services.events.errors import (
    IllegalStatus,
    LimitExceeded,
    ResourceAlreadyExists,
    ResourceNotFound,
    not_valid,
)
from geumgo.services.events.records import (
    CANCELLED,
    CANCELLING,
    COMPLETED,
    RUNNING,
    STARTING,
    Archive,
    Replay,
)
from geumgo.storage import Tx

MOST_AT_ONCE: Final = 10  # replays that run. Source: "EventBridge quotas", user guide
KEPT_MS: Final = 90 * 86_400_000  # after its end. Source: as above
BATCH: Final = 100  # events that one transaction tells again


@operation
def start_replay(ctx: Context, request: Params) -> Params:
    """The events that came to the archive's bus in this time are told again, in the order in which they came."""
    name = request["ReplayName"]
    now_ms = ctx.clock.now_ms()
    store_archives.forget_replays(ctx.tx, ctx.place, now_ms - KEPT_MS)
    if store_archives.find_replay(ctx.tx, ctx.sealing, ctx.place, name) is not None:
        raise ResourceAlreadyExists(f"Replay {name} already exists.")
    archive = _archive(ctx, request["EventSourceArn"])
    if request["Destination"]["Arn"] != archive.bus_arn:
        raise not_valid("Destination.Arn", "Cross event bus replay is not permitted.")
    from_ms, to_ms = (round(request[member].timestamp() * 1000) for member in ("EventStartTime", "EventEndTime"))
    if from_ms >= to_ms:
        raise not_valid("EventEndTime", "EventStartTime must be before EventEndTime.")
    running = [each for each in store_archives.every_replay(ctx.tx, ctx.sealing, ctx.place) if not each.ended]
    if len(running) >= MOST_AT_ONCE:
        raise LimitExceeded
    replay = Replay(
        place=ctx.place,
        name=name,
        archive=archive.name,
        bus=archive.bus,
        description=request.get("Description"),
        only_rules=_rules(ctx, archive, request["Destination"].get("FilterArns") or None),
        from_ms=from_ms,
        to_ms=to_ms,
        state=STARTING,
        told_at_ms=None,
        told_id=None,
        started_at_ms=now_ms,
        ended_at_ms=None,
    )
    store_archives.save_replay(ctx.tx, ctx.sealing, replay)
    _promise(ctx.tx, replay, now_ms)
    return {"ReplayArn": replay.arn, "State": STARTING, "ReplayStartTime": as_datetime(now_ms)}


def _archive(ctx: Context, arn_text: str) -> Archive:
    arn = split_arn(arn_text)
    name = arn.resource_id if arn is not None and arn.resource_type == "archive" else arn_text
    archive = store_archives.find_archive(ctx.tx, ctx.sealing, ctx.place, name)
    if archive is None or archive.arn != arn_text:
        raise not_valid("EventSourceArn", f"Archive {name} does not exist.")
    return archive


def _rules(ctx: Context, archive: Archive, arns: list[str] | None) -> tuple[str, ...] | None:
    """Raises ValidationFailed for an ARN that is not one of a rule of the archive's bus."""
    for text in arns or ():
        arn = split_arn(text)
        try:
            bus = read_rule_resource(arn.resource)[0] if arn is not None else ""
        except InvalidName:
            bus = ""
        if arn is None or bus != archive.bus or (arn.account, arn.region) != (ctx.place.account, ctx.place.region):
            raise not_valid(
                "Destination.FilterArns", f"{text} is not the ARN of a rule on the event bus of the archive."
            )
    return tuple(arns) if arns else None


def _promise(tx: Tx, replay: Replay, at_ms: int) -> None:
    payload = {"replay": replay.name, "started_at_ms": replay.started_at_ms}
    promise(tx, "events.replay", replay.place, payload, run_at_ms=at_ms, lock=f"events.replay {replay.arn}")


@job("events.replay")
def tell_again(work: Work, payload: Params) -> None:
    """Some of the events are told again, each exactly once, and the rest is promised; or the replay ends."""
    now_ms = work.clock.now_ms()
    with work.finishing() as tx:
        replay = store_archives.find_replay(tx, work.sealing, work.place, payload["replay"])
        if replay is None or replay.ended or replay.started_at_ms != payload["started_at_ms"]:
            return
        if replay.state == CANCELLING:
            store_archives.save_replay(tx, work.sealing, replace(replay, state=CANCELLED, ended_at_ms=now_ms))
            return
        after = (replay.from_ms - 1, "~") if replay.told_at_ms is None else (replay.told_at_ms, replay.told_id or "")
        found = store_archives.archived(
            tx, work.sealing, work.place, replay.archive, after=after, to_ms=replay.to_ms, limit=BATCH
        )
        for _, _, event in found:
            _tell(tx, work, replay, event, now_ms)
        replay = replace(replay, state=RUNNING)
        if found:
            replay = replace(replay, told_at_ms=found[-1][0], told_id=found[-1][1])
        if len(found) < BATCH:
            replay = replace(replay, state=COMPLETED, ended_at_ms=now_ms)
        else:
            _promise(tx, replay, now_ms)
        store_archives.save_replay(tx, work.sealing, replay)


def _tell(tx: Tx, work: Work, replay: Replay, event: dict[str, Any], now_ms: int) -> None:
    place: Place = replay.place
    only = None if replay.only_rules is None else frozenset(replay.only_rules)
    told = {**event, "replay-name": replay.name}
    matching.spread(tx, work.sealing, place, replay.bus, told, now_ms, only=only)


def _get(ctx: Context, name: str) -> Replay:
    replay = store_archives.find_replay(ctx.tx, ctx.sealing, ctx.place, name)
    if replay is None:
        raise ResourceNotFound(f"Replay {name} does not exist.")
    return replay


@operation
def cancel_replay(ctx: Context, request: Params) -> Params:
    """Nothing more is told again. What was is delivered."""
    replay = _get(ctx, request["ReplayName"])
    if replay.state not in (STARTING, RUNNING):
        raise IllegalStatus(f"Replay {replay.name} is not in a valid state for this operation.")
    store_archives.save_replay(ctx.tx, ctx.sealing, replace(replay, state=CANCELLING))
    return {"ReplayArn": replay.arn, "State": CANCELLING}


@reads
def describe_replay(ctx: Context, request: Params) -> Params:
    replay = _get(ctx, request["ReplayName"])
    only = {} if replay.only_rules is None else {"FilterArns": list(replay.only_rules)}
    description = {} if replay.description is None else {"Description": replay.description}
    bus_arn = replay.place.arn("events", f"event-bus/{replay.bus}")
    return {**_shown(replay), "ReplayArn": replay.arn, "Destination": {"Arn": bus_arn, **only}, **description}


@reads
def list_replays(ctx: Context, request: Params) -> Params:
    """Source: ListReplays, API reference: one filter at most. Unverified: the message about two."""
    filters = [member for member in ("NamePrefix", "EventSourceArn", "State") if member in request]
    if len(filters) > 1:
        raise ValidationFailed(
            "At most one filter is allowed for ListReplays. Use NamePrefix, State, or EventSourceArn."
        )
    after = paging.after(ctx, "ListReplays", request)
    found = [
        replay
        for replay in store_archives.every_replay(ctx.tx, ctx.sealing, ctx.place)
        if replay.name > after
        and replay.name.startswith(request.get("NamePrefix", ""))
        and request.get("EventSourceArn", _source(replay)) == _source(replay)
        and request.get("State", replay.state) == replay.state
    ]
    shown, more = paging.page(ctx, "ListReplays", request, found, lambda replay: replay.name)
    return {"Replays": [_shown(replay) for replay in shown], **more}


def _source(replay: Replay) -> str:
    return replay.place.arn("events", f"archive/{replay.archive}")


def _shown(replay: Replay) -> Params:
    times = {
        "EventStartTime": replay.from_ms,
        "EventEndTime": replay.to_ms,
        "EventLastReplayedTime": replay.told_at_ms,
        "ReplayStartTime": replay.started_at_ms,
        "ReplayEndTime": replay.ended_at_ms,
    }
    return {
        "ReplayName": replay.name,
        "EventSourceArn": _source(replay),
        "State": replay.state,
        **{member: as_datetime(at_ms) for member, at_ms in times.items() if at_ms is not None},
    }
