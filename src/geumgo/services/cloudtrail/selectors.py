"""Event selectors: which events a trail delivers."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from geumgo.context import Context, Params
from geumgo.room import operation, reads
from geumgo.services.cloudtrail import lookup, store_trails
from geumgo.services.cloudtrail.domain_trails import DEFAULT_SELECTORS, problem_of_advanced, problem_of_selectors
from geumgo.services.cloudtrail.errors import InvalidEventSelectors
from geumgo.services.cloudtrail.records import Trail


@operation
def put_event_selectors(ctx: Context, request: Params) -> Params:
    """The trail delivers what one of these selects. Basic selectors replace advanced ones, and the other way round."""
    trail = lookup.get_at_home(ctx, request["TrailName"])
    basic, advanced = request.get("EventSelectors"), request.get("AdvancedEventSelectors")
    if bool(basic) == bool(advanced):
        raise InvalidEventSelectors("Specify either event selectors or advanced event selectors.")
    problem = problem_of_selectors(basic) if basic else problem_of_advanced(advanced or [])
    if problem:
        raise InvalidEventSelectors(problem)
    whole = [_whole(selector) for selector in basic] if basic else None
    trail = replace(trail, selectors=whole, advanced=advanced or None)
    store_trails.save(ctx.tx, ctx.sealing, trail)
    return _shown(trail)


@reads
def get_event_selectors(ctx: Context, request: Params) -> Params:
    return _shown(lookup.get(ctx, request["TrailName"]))


def _whole(selector: Mapping[str, Any]) -> dict[str, Any]:
    """With what is meant where nothing is said. Source: EventSelector, botocore model 2013-11-01."""
    return {**DEFAULT_SELECTORS[0], **selector}


def _shown(trail: Trail) -> Params:
    if trail.advanced:
        return {"TrailARN": trail.arn, "AdvancedEventSelectors": trail.advanced}
    return {"TrailARN": trail.arn, "EventSelectors": trail.selectors or DEFAULT_SELECTORS}
