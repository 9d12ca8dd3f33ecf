"""What resources are like and were like, and queries over what they are like now. Source: GetResourceConfigHistory and its kin."""

import json
from datetime import UTC, datetime
from typing import Final

from geumgo.context import Context, Later, Params, as_datetime
from geumgo.room import reads
from geumgo.services.config import lookup, store_items
from geumgo.services.config.domain_items import DELETED, Item, arn_of, md5_of, queried, state_id
from geumgo.services.config.domain_query import InvalidQuery, compile_query
from geumgo.services.config.errors import (
    InvalidExpression,
    InvalidTimeRange,
    NoAvailableConfigurationRecorder,
    ResourceNotDiscovered,
)
from geumgo.services.config.paging import make_token, read_token

_ITEMS: Final = 10
_RESOURCES: Final = 100
_ROWS: Final = 25
_LAST_MS: Final = (1 << 53) - 1


@reads
def get_resource_config_history(ctx: Context, params: Params) -> Params:
    """Newest first unless it is asked for forward; 10 a page by default.

    Raises NoAvailableConfigurationRecorder, ResourceNotDiscovered, InvalidTimeRange.
    """
    if lookup.recorder(ctx) is None:
        raise NoAvailableConfigurationRecorder("There is no configuration recorder available to record your resources.")
    kind, resource_id = params["resourceType"], params["resourceId"]
    first_ms = _ms(params.get("earlierTime"), 0)
    last_ms = _ms(params.get("laterTime"), _LAST_MS)
    if first_ms > last_ms:
        raise InvalidTimeRange
    if not store_items.is_known(ctx.tx, ctx.place, kind, resource_id):
        raise ResourceNotDiscovered(kind, resource_id)
    forward = params.get("chronologicalOrder", "Reverse") == "Forward"
    asked = {"type": kind, "id": resource_id, "first": first_ms, "last": last_ms, "forward": forward}
    (at,) = read_token(ctx, "GetResourceConfigHistory", asked, params.get("nextToken"), 1)
    if at:
        first_ms, last_ms = (int(at) + 1, last_ms) if forward else (first_ms, int(at) - 1)
    limit = params.get("limit") or _ITEMS
    found = store_items.history(
        ctx.tx,
        ctx.place,
        kind,
        resource_id,
        first_ms=first_ms,
        last_ms=last_ms,
        forward=forward,
        limit=limit + 1,
    )
    answer: Params = {"configurationItems": [_shown(ctx, item) for item in found[:limit]]}
    if len(found) > limit:
        position = [str(found[limit - 1].captured_at_ms)]
        answer["nextToken"] = make_token(ctx, "GetResourceConfigHistory", asked, position)
    return answer


def _ms(at: datetime | None, otherwise: int) -> int:
    return otherwise if at is None else round(at.astimezone(UTC).timestamp() * 1000)


def _shown(ctx: Context, item: Item) -> Params:
    place = ctx.place
    said: Params = {
        "version": "1.3",
        "accountId": place.account,
        "configurationItemCaptureTime": as_datetime(item.captured_at_ms),
        "configurationItemStatus": item.status,
        "configurationStateId": state_id(item),
        "configurationItemMD5Hash": md5_of(item),
        "arn": arn_of(item, place.account, place.region, place.partition),
        "resourceType": item.seen.resource_type,
        "resourceId": item.seen.resource_id,
        "resourceName": item.seen.name,
        "awsRegion": place.region,
        "tags": dict(item.seen.tags),
        "relatedEvents": [],
        "relationships": [],
        "supplementaryConfiguration": {},
    }
    if item.seen.created_at_ms is not None:
        said["resourceCreationTime"] = as_datetime(item.seen.created_at_ms)
    if item.status != DELETED:
        said["configuration"] = json.dumps(dict(item.seen.configuration), ensure_ascii=False)
    return said


@reads
def list_discovered_resources(ctx: Context, params: Params) -> Params:
    """Resources of a type by id, 100 a page at most; deleted ones only if they are asked for. Filters can make pages short."""
    kind = params["resourceType"]
    wanted, name = set(params.get("resourceIds", [])), params.get("resourceName")
    deleted_too = params.get("includeDeletedResources", False)
    asked = {"type": kind, "ids": sorted(wanted), "name": name, "deleted": deleted_too}
    (after,) = read_token(ctx, "ListDiscoveredResources", asked, params.get("nextToken"), 1)
    limit = params.get("limit") or _RESOURCES
    found = store_items.discovered(ctx.tx, ctx.place, kind, after=after, deleted_too=deleted_too, limit=limit + 1)
    shown = []
    for item in found[:limit]:
        seen = item.seen
        if (wanted and seen.resource_id not in wanted) or (name is not None and seen.name != name):
            continue
        said: Params = {"resourceType": kind, "resourceId": seen.resource_id, "resourceName": seen.name}
        if item.status == DELETED:
            said["resourceDeletionTime"] = as_datetime(item.captured_at_ms)
        shown.append(said)
    answer: Params = {"resourceIdentifiers": shown}
    if len(found) > limit:
        answer["nextToken"] = make_token(ctx, "ListDiscoveredResources", asked, [found[limit - 1].seen.resource_id])
    return answer


@reads
def get_discovered_resource_counts(ctx: Context, params: Params) -> Params:
    """The most frequent type first. There are few types here: one page holds them all."""
    read_token(ctx, "GetDiscoveredResourceCounts", {}, params.get("nextToken"), 1)
    wanted = params.get("resourceTypes", [])
    counts = store_items.counts(ctx.tx, ctx.place)
    chosen = {kind: count for kind, count in counts.items() if not wanted or kind in wanted}
    listed = sorted(chosen.items(), key=lambda each: (-each[1], each[0]))
    return {
        "totalDiscoveredResources": sum(chosen.values()),
        "resourceCounts": [{"resourceType": kind, "count": count} for kind, count in listed],
    }


@reads
def select_resource_config(ctx: Context, params: Params) -> Later:
    """Each result is a JSON text: what the query makes of a resource, or of a group of them. 25 a page by default.

    Nobody else waits while many resources are looked at. Raises InvalidExpression.
    """
    text = params["Expression"]
    try:
        query = compile_query(text)
    except InvalidQuery as refusal:
        raise InvalidExpression(str(refusal)) from None
    (at,) = read_token(ctx, "SelectResourceConfig", {"expression": text}, params.get("NextToken"), 1)
    start, limit = int(at or "0"), params.get("Limit") or _ROWS
    place = ctx.place
    found = store_items.current(ctx.tx, place, query.resource_type)

    def fetch() -> Params:
        items = map(store_items.as_item, found)
        rows = query.answer([queried(item, place.account, place.region, place.partition) for item in items])
        answer: Params = {
            "Results": [json.dumps(row, ensure_ascii=False) for row in rows[start : start + limit]],
            "QueryInfo": {"SelectFields": [{"Name": field.name} for field in query.fields]},
        }
        if len(rows) > start + limit:
            position = [str(start + limit)]
            answer["NextToken"] = make_token(ctx, "SelectResourceConfig", {"expression": text}, position)
        return answer

    return Later(fetch)
