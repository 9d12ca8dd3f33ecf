"""API destinations: HTTP endpoints that events are sent to.

Source: CreateApiDestination and its kin, API reference; the messages as they were recorded on AWS.
"""

from dataclasses import replace

from geumgo.context import Context, Params, as_datetime
from geumgo.outbound import Allowed, Refused
from geumgo.outbound.addresses import read_url
from geumgo.room import operation, reads
from geumgo.sealing import random
from geumgo.services.events import paging, store_webhooks
from geumgo.services.events.errors import ResourceAlreadyExists, ResourceNotFound, not_valid
from geumgo.services.events.records import AUTHORIZED, ApiDestination

DEFAULT_RATE = 300  # calls in a second. Source: InvocationRateLimitPerSecond, API reference


@operation
def create_api_destination(ctx: Context, request: Params) -> Params:
    """There is such an API destination. Whether its address may be called is asked with each call."""
    name = request["Name"]
    if store_webhooks.find_destination(ctx.tx, ctx.sealing, ctx.place, name) is not None:
        raise ResourceAlreadyExists(f"An api-destination '{name}' already exists.")
    _refuse_endpoint(request["InvocationEndpoint"])
    _refuse_connection(ctx, request["ConnectionArn"])
    now_ms = ctx.clock.now_ms()
    destination = ApiDestination(
        place=ctx.place,
        name=name,
        suffix=random.uuid(),
        description=request.get("Description"),
        connection_arn=request["ConnectionArn"],
        endpoint=request["InvocationEndpoint"],
        method=request["HttpMethod"],
        per_second=request.get("InvocationRateLimitPerSecond"),
        created_at_ms=now_ms,
        changed_at_ms=now_ms,
    )
    store_webhooks.save_destination(ctx.tx, ctx.sealing, destination)
    return _answer(ctx, destination)


def _refuse_endpoint(url: str) -> None:
    """Raises ValidationFailed for what is no URL of one meaning. An address that is not public may be listed by the operator."""
    plain = url.removeprefix("http://")
    try:
        read_url(url if plain == url else f"https://{plain}", Allowed())
    except Refused as refusal:
        raise not_valid("InvocationEndpoint", str(refusal)) from None


def _refuse_connection(ctx: Context, arn: str) -> None:
    if store_webhooks.connection_with_arn(ctx.tx, ctx.sealing, ctx.place, arn) is None:
        raise ResourceNotFound(f"Connection '{arn}' does not exist.")


def get(ctx: Context, request: Params) -> ApiDestination:
    """Raises ResourceNotFound."""
    found = store_webhooks.find_destination(ctx.tx, ctx.sealing, ctx.place, request["Name"])
    if found is None:
        raise ResourceNotFound(
            f"Failed to describe the api-destination(s). An api-destination '{request['Name']}' does not exist."
        )
    return found


@operation
def update_api_destination(ctx: Context, request: Params) -> Params:
    """What the request says in place of what was."""
    destination = get(ctx, request)
    if "InvocationEndpoint" in request:
        _refuse_endpoint(request["InvocationEndpoint"])
    if "ConnectionArn" in request:
        _refuse_connection(ctx, request["ConnectionArn"])
    changed = replace(
        destination,
        description=request.get("Description", destination.description),
        connection_arn=request.get("ConnectionArn", destination.connection_arn),
        endpoint=request.get("InvocationEndpoint", destination.endpoint),
        method=request.get("HttpMethod", destination.method),
        per_second=request.get("InvocationRateLimitPerSecond", destination.per_second),
        changed_at_ms=ctx.clock.now_ms(),
    )
    store_webhooks.save_destination(ctx.tx, ctx.sealing, changed)
    return _answer(ctx, changed)


@operation
def delete_api_destination(ctx: Context, request: Params) -> Params:
    store_webhooks.drop_destination(ctx.tx, get(ctx, request))
    return {}


@reads
def describe_api_destination(ctx: Context, request: Params) -> Params:
    destination = get(ctx, request)
    description = {} if destination.description is None else {"Description": destination.description}
    return {**_shown(ctx, destination), **description}


@reads
def list_api_destinations(ctx: Context, request: Params) -> Params:
    found = store_webhooks.list_destinations(
        ctx.tx,
        ctx.sealing,
        ctx.place,
        prefix=request.get("NamePrefix", ""),
        connection_arn=request.get("ConnectionArn"),
        after=paging.after(ctx, "ListApiDestinations", request),
        limit=paging.limit_of(request) + 1,
    )
    shown, more = paging.page(ctx, "ListApiDestinations", request, found, lambda destination: destination.name)
    return {"ApiDestinations": [_shown(ctx, destination) for destination in shown], **more}


def _answer(ctx: Context, destination: ApiDestination) -> Params:
    """An API destination is active while its connection is authorized."""
    connection = store_webhooks.connection_with_arn(ctx.tx, ctx.sealing, ctx.place, destination.connection_arn)
    active = connection is not None and connection.state == AUTHORIZED
    return {
        "ApiDestinationArn": destination.arn,
        "ApiDestinationState": "ACTIVE" if active else "INACTIVE",
        "CreationTime": as_datetime(destination.created_at_ms),
        "LastModifiedTime": as_datetime(destination.changed_at_ms),
    }


def _shown(ctx: Context, destination: ApiDestination) -> Params:
    return {
        **_answer(ctx, destination),
        "Name": destination.name,
        "ConnectionArn": destination.connection_arn,
        "InvocationEndpoint": destination.endpoint,
        "HttpMethod": destination.method,
        "InvocationRateLimitPerSecond": destination.per_second or DEFAULT_RATE,
    }
