"""How long an event that nobody waits for is tried, and how often.

Source: "Asynchronous invocation", developer guide; PutFunctionEventInvokeConfig, API reference. Destinations are not available.
"""

from dataclasses import replace
from typing import Final

from geumgo.context import Context, Params, as_datetime
from geumgo.room import operation, reads
from geumgo.services.lambda_ import lookup, store_events
from geumgo.services.lambda_.errors import InvalidParameterValue, ResourceNotFound
from geumgo.services.lambda_.listing import name_of, page_end
from geumgo.services.lambda_.records import LATEST, Function
from geumgo.services.lambda_.store_events import Patience

PAGE: Final = 50  # source: ListFunctionEventInvokeConfigs, API reference


@operation
def put_function_event_invoke_config(ctx: Context, request: Params) -> Params:
    """What was not given is as Lambda does by itself: two more tries, six hours."""
    function, qualifier = _addressed(ctx, request)
    return _keep(ctx, function, Patience(function.id, qualifier, None, None, 0), request)


@operation
def update_function_event_invoke_config(ctx: Context, request: Params) -> Params:
    """What was not given stays. Raises ResourceNotFound."""
    function, qualifier = _addressed(ctx, request)
    return _keep(ctx, function, _get(ctx, function, qualifier), request)


@reads
def get_function_event_invoke_config(ctx: Context, request: Params) -> Params:
    """Raises ResourceNotFound."""
    function, qualifier = _addressed(ctx, request)
    return _shown(function, _get(ctx, function, qualifier))


@operation
def delete_function_event_invoke_config(ctx: Context, request: Params) -> Params:
    """Raises ResourceNotFound."""
    function, qualifier = _addressed(ctx, request)
    _get(ctx, function, qualifier)
    store_events.remove_patience(ctx.tx, function.id, qualifier)
    return {}


@reads
def list_function_event_invoke_configs(ctx: Context, request: Params) -> Params:
    """A page of those of a function, by qualifier."""
    function = lookup.get(ctx, request)
    limit, after = min(request.get("MaxItems", PAGE), PAGE), name_of(request.get("Marker"))
    found = [each for each in store_events.all_patience(ctx.tx, function.id) if not after or each.qualifier > after]
    listed = [_shown(function, each) for each in found[:limit]]
    more = (found[limit - 1].qualifier or LATEST) if len(found) > limit else None
    return {"FunctionEventInvokeConfigs": listed, **page_end(more)}


def _addressed(ctx: Context, request: Params) -> tuple[Function, str]:
    """The function and the qualifier that is meant; $LATEST is as none. Raises ResourceNotFound, InvalidParameterValue."""
    function, _ = lookup.get_version(ctx, request)
    destinations = request.get("DestinationConfig", {})
    if any(each.get("Destination") for each in destinations.values()):
        raise InvalidParameterValue("Destinations are not available here (DestinationConfig).")
    qualifier = lookup.locate(ctx, request).at.qualifier
    return function, "" if qualifier == LATEST else qualifier


def _get(ctx: Context, function: Function, qualifier: str) -> Patience:
    """Raises ResourceNotFound. Source: recorded on AWS."""
    found = store_events.patience(ctx.tx, function.id, qualifier)
    if found is None:
        raise ResourceNotFound(f"The function {function.arn}:{qualifier or LATEST} doesn't have an EventInvokeConfig")
    return found


def _keep(ctx: Context, function: Function, before: Patience, request: Params) -> Params:
    kept = replace(
        before,
        retries=request.get("MaximumRetryAttempts", before.retries),
        age_s=request.get("MaximumEventAgeInSeconds", before.age_s),
        changed_at_ms=ctx.clock.now_ms(),
    )
    store_events.keep_patience(ctx.tx, kept)
    return _shown(function, kept)


def _shown(function: Function, kept: Patience) -> Params:
    shown: Params = {
        "LastModified": as_datetime(kept.changed_at_ms),
        "FunctionArn": f"{function.arn}:{kept.qualifier or LATEST}",
        "DestinationConfig": {"OnSuccess": {}, "OnFailure": {}},
    }
    if kept.retries is not None:
        shown["MaximumRetryAttempts"] = kept.retries
    if kept.age_s is not None:
        shown["MaximumEventAgeInSeconds"] = kept.age_s
    return shown
