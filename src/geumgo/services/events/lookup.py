"""From what a request names to what is kept: once per call, for the gate and for the operation."""

from functools import lru_cache
from typing import Final

from geumgo.context import Context, Params, Place
from geumgo.domain.policy import MalformedPolicy, Policy, PolicyKind, compile_policy
from geumgo.errors import ValidationFailed
from geumgo.sealing import Unsealable
from geumgo.services.events import store
from geumgo.services.events.domain import BusName, InvalidName, read_bus, rule_resource
from geumgo.services.events.errors import no_such_bus, no_such_rule
from geumgo.services.events.records import DEFAULT_BUS, Bus, Rule

COMPILED_POLICIES: Final = 256  # documents that are kept compiled


@lru_cache(maxsize=COMPILED_POLICIES)
def compiled(document: str) -> Policy:
    """The resource policy, compiled. Raises MalformedPolicy."""
    return compile_policy(document, PolicyKind.RESOURCE)


def policy_of(bus: Bus) -> Policy | None:
    """What the bus says about who may use it."""
    try:
        return None if bus.policy is None else compiled(bus.policy)
    except MalformedPolicy:
        raise Unsealable(f"the policy of {bus.arn} is vouched for and cannot be read") from None


def bus_name(ctx: Context, text: str | None) -> BusName:
    """Which bus is meant; none: the default one. Raises ValidationFailed for an ARN of something else."""
    place = ctx.place
    try:
        return read_bus(text or DEFAULT_BUS, account=place.account, region=place.region)
    except InvalidName:
        raise ValidationFailed(f"Parameter {text} is not valid.") from None


def place_of(ctx: Context, name: BusName) -> Place:
    return Place(name.account, name.region, ctx.place.partition)


def bus_arn(ctx: Context, name: BusName) -> str:
    return place_of(ctx, name).arn("events", f"event-bus/{name.name}")


def rule_arn(ctx: Context, name: BusName, rule: str) -> str:
    return place_of(ctx, name).arn("events", rule_resource(name.name, rule))


def find_bus(ctx: Context, name: BusName) -> Bus | None:
    """The bus, read once. A bus of another Region is not there. An account that does not exist has no default bus to be written to."""
    key = ("bus", name)
    if key not in ctx.found:
        here = name.region == ctx.place.region
        ctx.found[key] = store.find_bus(ctx.tx, ctx.sealing, place_of(ctx, name), name.name) if here else None
    bus: Bus | None = ctx.found[key]
    return bus


def get_bus(ctx: Context, text: str | None) -> Bus:
    """The caller's bus that `text` means. Raises ResourceNotFound.

    Unverified: that a bus of another account, whose policy would have let the caller in, is answered so. Here rules stand on one's own
    buses.
    """
    name = bus_name(ctx, text)
    bus = find_bus(ctx, name) if name.account == ctx.place.account else None
    if bus is None:
        raise no_such_bus(name.name)
    return bus


def find_rule(ctx: Context, name: BusName, rule: str) -> Rule | None:
    key = ("rule", name, rule)
    if key not in ctx.found:
        here = name.region == ctx.place.region
        ctx.found[key] = store.find_rule(ctx.tx, ctx.sealing, place_of(ctx, name), name.name, rule) if here else None
    found: Rule | None = ctx.found[key]
    return found


def get_rule(ctx: Context, request: Params, member: str = "Name") -> Rule:
    """The caller's rule that `member` and EventBusName name. Raises ResourceNotFound."""
    bus = get_bus(ctx, request.get("EventBusName"))
    rule = find_rule(ctx, BusName(bus.place.account, bus.place.region, bus.name), request[member])
    if rule is None:
        raise no_such_rule(request[member], bus.name)
    return rule
