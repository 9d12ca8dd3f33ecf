"""Whether a trail logs, and how its deliveries went."""

from dataclasses import replace

from geumgo.audit.record import iso
from geumgo.context import Context, Params, as_datetime
from geumgo.room import operation, reads
from geumgo.services.cloudtrail import lookup, store_trails
from geumgo.services.cloudtrail.delivery import promise_digests, promise_last_digests


@operation
def start_logging(ctx: Context, request: Params) -> Params:
    """What is recorded from now on is delivered. Nothing changes if the trail logs already."""
    trail = lookup.get_at_home(ctx, request["Name"])
    if not trail.logging:
        trail = replace(trail, logging=True, started_at_ms=ctx.clock.now_ms())
        store_trails.save(ctx.tx, ctx.sealing, trail)
        if trail.validates:
            promise_digests(ctx, trail)
    return {}


@operation
def stop_logging(ctx: Context, request: Params) -> Params:
    """What is recorded from now on is not delivered; what was before still is, and a last digest file."""
    trail = lookup.get_at_home(ctx, request["Name"])
    if trail.logging:
        trail = replace(trail, logging=False, stopped_at_ms=ctx.clock.now_ms())
        store_trails.save(ctx.tx, ctx.sealing, trail)
        if trail.validates:
            promise_last_digests(ctx, trail)
    return {}


@reads
def get_trail_status(ctx: Context, request: Params) -> Params:
    """Source: GetTrailStatusResponse, botocore model 2013-11-01; the old members with times as texts are still answered by AWS."""
    trail = lookup.get(ctx, request["Name"])
    status = store_trails.status(ctx.tx, trail)
    answer: Params = {
        "IsLogging": trail.logging,
        "LatestDeliveryAttemptTime": iso(status.attempted_at_ms) if status.attempted_at_ms else "",
        "LatestDeliveryAttemptSucceeded": iso(status.delivered_at_ms) if status.delivered_at_ms else "",
        "LatestNotificationAttemptTime": "",
        "LatestNotificationAttemptSucceeded": "",
        "TimeLoggingStarted": iso(trail.started_at_ms) if trail.started_at_ms else "",
        "TimeLoggingStopped": iso(trail.stopped_at_ms) if trail.stopped_at_ms else "",
    }
    for member, at_ms in {
        "LatestDeliveryTime": status.delivered_at_ms,
        "LatestDigestDeliveryTime": status.digested_at_ms,
        "StartLoggingTime": trail.started_at_ms,
        "StopLoggingTime": trail.stopped_at_ms,
    }.items():
        if at_ms:
            answer[member] = as_datetime(at_ms)
    for member, error in {
        "LatestDeliveryError": status.delivery_error,
        "LatestDigestDeliveryError": status.digest_error,
    }.items():
        if error:
            answer[member] = error
    return answer
