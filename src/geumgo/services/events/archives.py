"""Archives: what comes to a bus is kept, for as long as it is wanted.

Source: "Archiving and replaying events in Amazon EventBridge", user guide; the messages as they were recorded on AWS.
"""

from dataclasses import replace
from typing import Final

from geumgo.context import Context, Params, Work, as_datetime
from geumgo.domain.arn import split_arn
from geumgo.domain.event_pattern import InvalidPattern, compile_pattern
from geumgo.errors import ValidationFailed
from geumgo.jobs import promise, withdraw
from geumgo.room import job, operation, reads
from geumgo.services.events import paging, store, store_archives
from geumgo.services.events.errors import (
    InvalidEventPattern,
    LimitExceeded,
    ResourceAlreadyExists,
    ResourceNotFound,
    no_such_bus,
)
from geumgo.services.events.records import Archive
from geumgo.storage import Tx

DAY_MS: Final = 86_400_000
EXPIRED_AT_ONCE: Final = 10_000  # events that one transaction deletes
MOST_ARCHIVES: Final = 100  # in a place, so that an event costs no more


@operation
def create_archive(ctx: Context, request: Params) -> Params:
    """What comes to the bus from now on is kept, if the pattern wants it. Events that are told again are not kept again."""
    name = request["ArchiveName"]
    if store_archives.find_archive(ctx.tx, ctx.sealing, ctx.place, name) is not None:
        raise ResourceAlreadyExists(f"Archive {name} already exists.")
    bus = _bus_of(ctx, request["EventSourceArn"])
    _refuse(request)
    if len(store_archives.every_archive(ctx.tx, ctx.sealing, ctx.place)) >= MOST_ARCHIVES:
        raise LimitExceeded
    archive = Archive(
        ctx.place,
        name,
        bus,
        request.get("Description"),
        request.get("EventPattern") or None,
        request.get("RetentionDays", 0),
        ctx.clock.now_ms(),
    )
    return _keep(ctx, archive)


def _bus_of(ctx: Context, arn_text: str) -> str:
    """The name of the caller's bus with this ARN. Raises ValidationFailed, ResourceNotFound."""
    arn = split_arn(arn_text)
    if arn is None or arn.resource_type != "event-bus":
        raise ValidationFailed("Parameter EventSourceArn is not valid. Reason: it must be the ARN of an event bus.")
    mine = (arn.account, arn.region) == (ctx.place.account, ctx.place.region)
    if not mine or store.find_bus(ctx.tx, ctx.sealing, ctx.place, arn.resource_id) is None:
        raise no_such_bus(arn.resource_id)
    return arn.resource_id


def _refuse(request: Params) -> None:
    if request.get("KmsKeyIdentifier"):
        raise ValidationFailed("Archives with a key of their own are not served here.")
    if request.get("EventPattern"):
        try:
            compile_pattern(request["EventPattern"])
        except InvalidPattern as refusal:
            raise InvalidEventPattern(str(refusal)) from None


def _keep(ctx: Context, archive: Archive) -> Params:
    store_archives.save_archive(ctx.tx, ctx.sealing, archive)
    _keep_clean(ctx.tx, archive, ctx.clock.now_ms() + DAY_MS)
    return {"ArchiveArn": archive.arn, "State": "ENABLED", "CreationTime": as_datetime(archive.created_at_ms)}


def _keep_clean(tx: Tx, archive: Archive, at_ms: int) -> None:
    """What has become too old is deleted once a day, if anything ever does."""
    dedup = f"events.expire {archive.arn}"
    withdraw(tx, dedup)
    if archive.retention_days:
        promise(tx, "events.expire", archive.place, {"archive": archive.name}, run_at_ms=at_ms, lock=dedup, dedup=dedup)


@job("events.expire")
def expire(work: Work, payload: Params) -> None:
    """Events that were kept long enough are gone, some thousands at a time."""
    now_ms = work.clock.now_ms()
    with work.finishing() as tx:
        archive = store_archives.find_archive(tx, work.sealing, work.place, payload["archive"])
        if archive is None or not archive.retention_days:
            return
        gone = store_archives.expire(tx, archive, now_ms - archive.retention_days * DAY_MS, limit=EXPIRED_AT_ONCE)
        _keep_clean(tx, archive, now_ms if gone == EXPIRED_AT_ONCE else now_ms + DAY_MS)


def get(ctx: Context, name: str) -> Archive:
    """Raises ResourceNotFound."""
    archive = store_archives.find_archive(ctx.tx, ctx.sealing, ctx.place, name)
    if archive is None:
        raise ResourceNotFound(f"Archive {name} does not exist.")
    return archive


@operation
def update_archive(ctx: Context, request: Params) -> Params:
    """What the request says in place of what was. What is kept already stays, but for its age."""
    archive = get(ctx, request["ArchiveName"])
    _refuse(request)
    changed = replace(
        archive,
        description=request.get("Description", archive.description),
        pattern=(request["EventPattern"] or None) if "EventPattern" in request else archive.pattern,
        retention_days=request.get("RetentionDays", archive.retention_days),
    )
    return _keep(ctx, changed)


@operation
def delete_archive(ctx: Context, request: Params) -> Params:
    """The archive is gone with all that is in it. A replay of it that runs ends."""
    archive = get(ctx, request["ArchiveName"])
    store_archives.drop_archive(ctx.tx, archive)
    withdraw(ctx.tx, f"events.expire {archive.arn}")
    return {}


@reads
def describe_archive(ctx: Context, request: Params) -> Params:
    archive = get(ctx, request["ArchiveName"])
    given = {"Description": archive.description, "EventPattern": archive.pattern}
    return {
        **_shown(ctx, archive),
        "ArchiveArn": archive.arn,
        **{member: value for member, value in given.items() if value is not None},
    }


@reads
def list_archives(ctx: Context, request: Params) -> Params:
    """Source: ListArchives, API reference: one filter at most. Unverified: the message about two."""
    filters = [member for member in ("NamePrefix", "EventSourceArn", "State") if member in request]
    if len(filters) > 1:
        raise ValidationFailed(
            "At most one filter is allowed for ListArchives. Use NamePrefix, State, or EventSourceArn."
        )
    after = paging.after(ctx, "ListArchives", request)
    found = [
        archive
        for archive in store_archives.every_archive(ctx.tx, ctx.sealing, ctx.place)
        if archive.name > after
        and archive.name.startswith(request.get("NamePrefix", ""))
        and request.get("EventSourceArn", archive.bus_arn) == archive.bus_arn
        and request.get("State", "ENABLED") == "ENABLED"
    ]
    shown, more = paging.page(ctx, "ListArchives", request, found, lambda archive: archive.name)
    return {"Archives": [_shown(ctx, archive) for archive in shown], **more}


def _shown(ctx: Context, archive: Archive) -> Params:
    count, size = store_archives.contents(ctx.tx, archive)
    return {
        "ArchiveName": archive.name,
        "EventSourceArn": archive.bus_arn,
        "State": "ENABLED",
        "RetentionDays": archive.retention_days,
        "EventCount": count,
        "SizeBytes": size,
        "CreationTime": as_datetime(archive.created_at_ms),
    }
