"""Trails: what is delivered where. A bucket is a directory of that name below the setting `deliveries`."""

from dataclasses import replace
from typing import Any, Final

from geumgo import paging
from geumgo.context import Context, Params
from geumgo.room import operation, reads
from geumgo.sealing.random import uuid
from geumgo.services.cloudtrail import lookup, store_trails
from geumgo.services.cloudtrail.delivery import promise_digests
from geumgo.services.cloudtrail.domain_trails import MOST_TRAILS, is_bucket_name, is_prefix
from geumgo.services.cloudtrail.errors import (
    InvalidBucketName,
    InvalidCombination,
    InvalidPrefix,
    InvalidToken,
    NoOrganization,
    TooManyTrails,
    TrailAlreadyExists,
    Unsupported,
)
from geumgo.services.cloudtrail.records import Trail
from geumgo.services.cloudtrail.tags import merged

PAGE: Final = 100
_NOT_SERVED: Final = {
    "SnsTopicName": "Notifications of deliveries (SnsTopicName) are not served here.",
    "CloudWatchLogsLogGroupArn": "CloudWatch Logs (CloudWatchLogsLogGroupArn) is not served here; see the sinks of the trail.",
    "CloudWatchLogsRoleArn": "CloudWatch Logs (CloudWatchLogsRoleArn) is not served here; see the sinks of the trail.",
    "KmsKeyId": "Files of trails are not encrypted here (KmsKeyId); keep them on an encrypted file system.",
}


@operation
def create_trail(ctx: Context, request: Params) -> Params:
    """A trail that does not log yet. Its bucket need not be there: the directory is made with the first file."""
    name = request["Name"]
    lookup.refuse_name(name)
    _refuse_what_is_not_served(request)
    if store_trails.find(ctx.tx, ctx.sealing, ctx.place, name) is not None:
        raise TrailAlreadyExists(name, ctx.place.account)
    mine = store_trails.of_account(ctx.tx, ctx.sealing, ctx.place.account, ctx.place.partition)
    if sum(trail.place.region == ctx.place.region for trail in mine) >= MOST_TRAILS:
        raise TooManyTrails(ctx.place.account, ctx.place.region, MOST_TRAILS)
    trail = Trail(ctx.place, name, uuid(), "", tags=merged({}, request.get("TagsList", [])))
    trail = _changed(trail, request)
    store_trails.add(ctx.tx, ctx.sealing, trail)
    return _shown(trail)


@operation
def update_trail(ctx: Context, request: Params) -> Params:
    trail = lookup.get_at_home(ctx, request["Name"])
    _refuse_what_is_not_served(request)
    changed = _changed(trail, request)
    store_trails.save(ctx.tx, ctx.sealing, changed)
    if changed.logging and changed.validates:
        promise_digests(ctx, changed)
    return _shown(changed)


@operation
def delete_trail(ctx: Context, request: Params) -> Params:
    """The trail is gone, with what it had not delivered. What it delivered stays where it is."""
    store_trails.remove(ctx.tx, lookup.get_at_home(ctx, request["Name"]))
    return {}


@reads
def get_trail(ctx: Context, request: Params) -> Params:
    return {"Trail": _described(lookup.get(ctx, request["Name"]))}


@reads
def describe_trails(ctx: Context, request: Params) -> Params:
    """Source: DescribeTrailsRequest, botocore model 2013-11-01: unknown names are left out; shadow trails are included by default."""
    names, shadows = request.get("trailNameList") or [], request.get("includeShadowTrails", True)
    if names:
        found = {trail.arn: trail for name in names if (trail := lookup.find(ctx, name)) is not None}
        return {"trailList": [_described(trail) for trail in found.values()]}
    mine = store_trails.of_account(ctx.tx, ctx.sealing, ctx.place.account, ctx.place.partition)
    here = [trail for trail in mine if trail.place.region == ctx.place.region or (shadows and trail.multi_region)]
    return {"trailList": [_described(trail) for trail in here]}


@reads
def list_trails(ctx: Context, request: Params) -> Params:
    """Every trail of the account, of all regions."""
    try:
        position = paging.read_token(ctx, "cloudtrail", "ListTrails", {}, request.get("NextToken"))
    except paging.NotOurs:
        raise InvalidToken from None
    mine = store_trails.of_account(ctx.tx, ctx.sealing, ctx.place.account, ctx.place.partition)
    behind = [trail for trail in mine if position is None or (trail.name, trail.place.region) > position]
    shown = [{"TrailARN": trail.arn, "Name": trail.name, "HomeRegion": trail.place.region} for trail in behind[:PAGE]]
    if len(behind) <= PAGE:
        return {"Trails": shown}
    last = behind[PAGE - 1]
    token = paging.make_token(ctx, "cloudtrail", "ListTrails", {}, (last.name, last.place.region))
    return {"Trails": shown, "NextToken": token}


def _refuse_what_is_not_served(request: Params) -> None:
    for member, reason in _NOT_SERVED.items():
        if request.get(member):
            raise Unsupported(reason)
    if request.get("RecursiveLogging"):
        raise Unsupported("Recursive logging (RecursiveLogging) is not served here.")
    if request.get("IsOrganizationTrail"):
        raise NoOrganization


def _changed(trail: Trail, request: Params) -> Trail:
    """The trail as the request wants it."""
    bucket = request.get("S3BucketName", trail.bucket)
    if not is_bucket_name(bucket):
        raise InvalidBucketName(bucket)
    prefix = request.get("S3KeyPrefix", trail.prefix)
    if prefix and not is_prefix(prefix):
        raise InvalidPrefix(prefix)
    changed = replace(
        trail,
        bucket=bucket,
        prefix=prefix,
        global_events=request.get("IncludeGlobalServiceEvents", trail.global_events),
        multi_region=request.get("IsMultiRegionTrail", trail.multi_region),
        validates=request.get("EnableLogFileValidation", trail.validates),
    )
    if changed.multi_region and not changed.global_events:
        raise InvalidCombination("Multi-Region trail must include global service events.")
    return changed


def _shown(trail: Trail) -> dict[str, Any]:
    """As CreateTrail and UpdateTrail answer it."""
    return {
        "Name": trail.name,
        "S3BucketName": trail.bucket,
        **({"S3KeyPrefix": trail.prefix} if trail.prefix else {}),
        "IncludeGlobalServiceEvents": trail.global_events,
        "IsMultiRegionTrail": trail.multi_region,
        "TrailARN": trail.arn,
        "LogFileValidationEnabled": trail.validates,
        "IsOrganizationTrail": False,
    }


def _described(trail: Trail) -> dict[str, Any]:
    """As GetTrail and DescribeTrails answer it."""
    return {
        **_shown(trail),
        "HomeRegion": trail.place.region,
        "HasCustomEventSelectors": trail.selectors is not None or trail.advanced is not None,
        "HasInsightSelectors": False,
    }
