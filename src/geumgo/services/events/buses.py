"""Event buses and the policies on them.

Source: "Event buses in Amazon EventBridge" and "Permissions for event buses", user guide; the messages as they were recorded on AWS, but
for those marked as unverified.
"""

import json
from dataclasses import replace
from typing import Any, Final

from geumgo.context import Context, Params, as_datetime
from geumgo.domain.policy import MalformedPolicy
from geumgo.errors import ValidationFailed
from geumgo.principals import UnknownPrincipal
from geumgo.room import operation, reads
from geumgo.services.events import lookup, paging, store
from geumgo.services.events.errors import (
    LimitExceeded,
    PolicyLengthExceeded,
    ResourceAlreadyExists,
    ResourceNotFound,
    no_such_bus,
)
from geumgo.services.events.records import DEFAULT_BUS, Bus
from geumgo.services.events.tags import tags_of_new

MOST_BUSES: Final = 100  # beside the default one. Source: "EventBridge quotas", user guide
LONGEST_POLICY: Final = 10_240  # characters. Source: as above


@operation
def create_event_bus(ctx: Context, request: Params) -> Params:
    name = request["Name"]
    _refuse_unserved(request)
    if "/" in name:
        raise ValidationFailed("Event bus name must not contain '/'.")
    if store.find_bus(ctx.tx, ctx.sealing, ctx.place, name) is not None:
        raise ResourceAlreadyExists(f"Event bus {name} already exists.")
    if len([bus for bus in store.list_buses(ctx.tx, ctx.sealing, ctx.place) if bus.name != DEFAULT_BUS]) >= MOST_BUSES:
        raise LimitExceeded
    now_ms = ctx.clock.now_ms()
    bus = Bus(
        ctx.place,
        name,
        request.get("Description"),
        tags=tags_of_new(request.get("Tags", [])),
        created_at_ms=now_ms,
        changed_at_ms=now_ms,
    )
    store.save_bus(ctx.tx, ctx.sealing, bus)
    return {"EventBusArn": bus.arn, **_described(bus)}


def _refuse_unserved(request: Params) -> None:
    """Raises ValidationFailed for what a bus cannot have here. Unverified: the words."""
    if "EventSourceName" in request:
        raise ResourceNotFound(f"Event source {request['EventSourceName']} does not exist.")
    if request.get("KmsKeyIdentifier") or "DeadLetterConfig" in request:
        raise ValidationFailed("Event buses with a key of their own are not served here.")
    if request.get("LogConfig", {}).get("Level", "OFF") != "OFF":
        raise ValidationFailed("Logs of event buses are not served here.")


@operation
def update_event_bus(ctx: Context, request: Params) -> Params:
    """The bus has this description."""
    _refuse_unserved(request)
    bus = replace(lookup.get_bus(ctx, request.get("Name")), description=request.get("Description"))
    _keep(ctx, bus)
    return {"Arn": bus.arn, "Name": bus.name, **_described(bus)}


def _keep(ctx: Context, bus: Bus) -> None:
    now_ms = ctx.clock.now_ms()
    kept = replace(bus, created_at_ms=bus.created_at_ms or now_ms, changed_at_ms=now_ms)
    store.save_bus(ctx.tx, ctx.sealing, kept)


def _described(bus: Bus) -> Params:
    return {} if bus.description is None else {"Description": bus.description}


@operation
def delete_event_bus(ctx: Context, request: Params) -> Params:
    """There is no such bus; a request for one that is not there is answered alike. Its rules are to be deleted before."""
    name = request["Name"]
    if name == DEFAULT_BUS:
        raise ValidationFailed("Cannot delete event bus default.")
    bus = store.find_bus(ctx.tx, ctx.sealing, ctx.place, name)
    if bus is None:
        return {}
    if store.count_rules(ctx.tx, bus.place, bus.name):
        raise ValidationFailed(f"Event bus {name} can't be deleted since it has rules.")
    store.drop_bus(ctx.tx, bus)
    return {}


@reads
def describe_event_bus(ctx: Context, request: Params) -> Params:
    return _shown(ctx, lookup.get_bus(ctx, request.get("Name")))


@reads
def list_event_buses(ctx: Context, request: Params) -> Params:
    """By name, the default bus among them."""
    after, prefix = paging.after(ctx, "ListEventBuses", request), request.get("NamePrefix", "")
    buses = {bus.name: bus for bus in (Bus(ctx.place, DEFAULT_BUS), *store.list_buses(ctx.tx, ctx.sealing, ctx.place))}
    found = [buses[name] for name in sorted(buses) if name > after and name.startswith(prefix)]
    shown, more = paging.page(ctx, "ListEventBuses", request, found, lambda bus: bus.name)
    return {"EventBuses": [_shown(ctx, bus) for bus in shown], **more}


def _shown(ctx: Context, bus: Bus) -> Params:
    policy = {} if bus.policy is None else {"Policy": ctx.principals.unpin(ctx.tx, bus.policy)}
    times: Params = {}
    if bus.created_at_ms:
        times = {"CreationTime": as_datetime(bus.created_at_ms), "LastModifiedTime": as_datetime(bus.changed_at_ms)}
    return {"Name": bus.name, "Arn": bus.arn, **_described(bus), **policy, **times}


# -- policies ---------------------------------------------------------------------------------------------------------


@operation
def put_permission(ctx: Context, request: Params) -> Params:
    """The bus has this policy, or this statement in it in place of the one with the same id.

    Unverified: the messages, but for that on length its code.
    """
    bus = _own(ctx, request)
    if "Policy" in request:
        if any(member in request for member in ("Action", "Principal", "StatementId", "Condition")):
            raise ValidationFailed("Policy cannot be given together with Action, Principal, StatementId or Condition.")
        document = request["Policy"]
    else:
        missing = [member for member in ("Action", "Principal", "StatementId") if member not in request]
        if missing:
            raise ValidationFailed(f"Parameter(s) {', '.join(missing)} must be specified.")
        statements = [each for each in _statements(ctx, bus) if each.get("Sid") != request["StatementId"]]
        document = _document([*statements, _statement(ctx, bus, request)])
    _keep(ctx, replace(bus, policy=_to_keep(ctx, document)))
    return {}


def _own(ctx: Context, request: Params) -> Bus:
    """The caller's bus. A name that nobody has is told in full."""
    name = request.get("EventBusName", DEFAULT_BUS)
    bus = store.find_bus(ctx.tx, ctx.sealing, ctx.place, name)
    if bus is None:
        raise no_such_bus(name)
    return bus


def _statement(ctx: Context, bus: Bus, request: Params) -> dict[str, Any]:
    principal: Any = request["Principal"]
    if principal != "*":
        principal = {"AWS": f"arn:{ctx.place.partition}:iam::{principal}:root"}
    condition = request.get("Condition")
    told = {} if condition is None else {"Condition": {condition["Type"]: {condition["Key"]: condition["Value"]}}}
    return {
        "Sid": request["StatementId"],
        "Effect": "Allow",
        "Principal": principal,
        "Action": request["Action"],
        "Resource": bus.arn,
        **told,
    }


def _statements(ctx: Context, bus: Bus) -> list[dict[str, Any]]:
    if bus.policy is None:
        return []
    found = json.loads(ctx.principals.unpin(ctx.tx, bus.policy))["Statement"]
    return found if isinstance(found, list) else [found]


def _document(statements: list[dict[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _to_keep(ctx: Context, document: str) -> str:
    """The policy as it is kept: principals by unique id. Raises ValidationFailed, PolicyLengthExceeded."""
    if len(document) > LONGEST_POLICY:
        raise PolicyLengthExceeded(f"The policy of an event bus has at most {LONGEST_POLICY} characters.")
    try:
        lookup.compiled(document)
        return ctx.principals.pin(ctx.tx, document)
    except MalformedPolicy as refusal:
        raise ValidationFailed(f"Parameter Policy is not valid. Reason: {refusal.message}") from None
    except UnknownPrincipal:
        raise ValidationFailed("Parameter Policy is not valid. Reason: a principal of it does not exist.") from None


@operation
def remove_permission(ctx: Context, request: Params) -> Params:
    """The bus has no such statement in its policy, or no policy at all."""
    bus = _own(ctx, request)
    if request.get("RemoveAllPermissions"):
        if bus.policy is not None:
            _keep(ctx, replace(bus, policy=None))
        return {}
    if "StatementId" not in request:
        raise ValidationFailed("Parameter(s) StatementId must be specified.")
    if bus.policy is None:
        raise ResourceNotFound("EventBus does not have a policy.")
    statements = _statements(ctx, bus)
    left = [each for each in statements if each.get("Sid") != request["StatementId"]]
    if len(left) == len(statements):
        raise ResourceNotFound("Statement with the provided id does not exist.")
    _keep(ctx, replace(bus, policy=_to_keep(ctx, _document(left)) if left else None))
    return {}
