"""Tags of rules and event buses. They decide rights (`aws:ResourceTag`), so they are part of the vouched rows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from geumgo.context import Context, Params
from geumgo.domain.arn import split_arn
from geumgo.domain.tags import BadTags, merged_tags
from geumgo.errors import ValidationFailed
from geumgo.room import operation, reads
from geumgo.services.events import lookup, store
from geumgo.services.events.domain import BusName, InvalidName, read_rule_resource
from geumgo.services.events.errors import no_such_bus, no_such_rule
from geumgo.services.events.records import Bus, Rule


def tags_of_new(listed: Sequence[Mapping[str, str]], known: Mapping[str, str] | None = None) -> dict[str, str]:
    """The tags after `listed` join those that are `known`. Raises ValidationFailed. Unverified: the messages."""
    try:
        return merged_tags(known or {}, listed)
    except BadTags as refusal:
        raise ValidationFailed(str(refusal)) from None


def tagged(ctx: Context, arn_text: str) -> Rule | Bus | None:
    """The rule or bus that an ARN names, None if there is none. Raises ValidationFailed if it is no such ARN."""
    arn = split_arn(arn_text)
    if arn is None or arn.service != "events" or arn.resource_type not in ("rule", "event-bus"):
        raise ValidationFailed(f"Parameter {arn_text} is not valid. Reason: Provided Arn is not in correct format.")
    if arn.resource_type == "event-bus":
        return lookup.find_bus(ctx, BusName(arn.account, arn.region, arn.resource_id))
    bus, rule = _rule_of(arn.resource, arn_text)
    return lookup.find_rule(ctx, BusName(arn.account, arn.region, bus), rule)


def _rule_of(resource: str, arn_text: str) -> tuple[str, str]:
    try:
        return read_rule_resource(resource)
    except InvalidName:
        raise ValidationFailed(
            f"Parameter {arn_text} is not valid. Reason: Provided Arn is not in correct format."
        ) from None


def _get(ctx: Context, request: Params) -> Rule | Bus:
    """Raises ResourceNotFound. What belongs to another account is not there."""
    arn_text = request["ResourceARN"]
    found = tagged(ctx, arn_text)
    if found is not None and found.place.account == ctx.place.account:
        return found
    arn = split_arn(arn_text)
    assert arn is not None, "it was read a moment ago"
    if arn.resource_type == "event-bus":
        raise no_such_bus(arn.resource_id)
    bus, rule = _rule_of(arn.resource, arn_text)
    raise no_such_rule(rule, bus)


def _keep(ctx: Context, thing: Rule | Bus, tags: Mapping[str, str]) -> None:
    if isinstance(thing, Rule):
        store.save_rule(ctx.tx, ctx.sealing, replace(thing, tags=tags))
    else:
        now_ms = ctx.clock.now_ms()
        created_at_ms = thing.created_at_ms or now_ms
        store.save_bus(
            ctx.tx, ctx.sealing, replace(thing, tags=tags, created_at_ms=created_at_ms, changed_at_ms=now_ms)
        )


@operation
def tag_resource(ctx: Context, request: Params) -> Params:
    thing = _get(ctx, request)
    _keep(ctx, thing, tags_of_new(request["Tags"], thing.tags))
    return {}


@operation
def untag_resource(ctx: Context, request: Params) -> Params:
    thing = _get(ctx, request)
    gone = set(request["TagKeys"])
    _keep(ctx, thing, {key: value for key, value in thing.tags.items() if key not in gone})
    return {}


@reads
def list_tags_for_resource(ctx: Context, request: Params) -> Params:
    tags: Mapping[str, Any] = _get(ctx, request).tags
    return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
