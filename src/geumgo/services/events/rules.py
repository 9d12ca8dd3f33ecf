"""Rules: what is listened for on a bus."""

from dataclasses import replace

from geumgo.context import Context, Params
from geumgo.domain.event_pattern import InvalidPattern, compile_pattern
from geumgo.errors import ValidationFailed
from geumgo.room import operation, reads
from geumgo.services.events import lookup, paging, schedules, store
from geumgo.services.events.domain_schedule import InvalidSchedule, parse_schedule
from geumgo.services.events.errors import InvalidEventPattern, LimitExceeded
from geumgo.services.events.records import DEFAULT_BUS, DISABLED, ENABLED, Bus, Rule
from geumgo.services.events.tags import tags_of_new

MOST_RULES = 300  # on a bus. Source: "EventBridge quotas", user guide


@operation
def put_rule(ctx: Context, request: Params) -> Params:
    """There is such a rule now: a new one, or the old one with what the request says in place of what it said. Its targets and tags stay.

    Source: PutRule, API reference; recorded on AWS (the messages). Unverified: the message about a state; that Tags of a request that
    changes a rule are ignored is in the reference.
    """
    bus = lookup.get_bus(ctx, request.get("EventBusName"))
    pattern, schedule = request.get("EventPattern") or None, request.get("ScheduleExpression") or None
    if pattern is None and schedule is None:
        raise ValidationFailed("Parameter(s) EventPattern or ScheduleExpression must be specified.")
    if pattern is not None:
        _refuse_pattern(pattern)
    if schedule is not None:
        _refuse_schedule(bus, schedule)
    name = lookup.bus_name(ctx, request.get("EventBusName"))
    known = lookup.find_rule(ctx, name, request["Name"])
    if known is None and store.count_rules(ctx.tx, bus.place, bus.name) >= MOST_RULES:
        raise LimitExceeded
    now_ms = ctx.clock.now_ms()
    goes_on = known is not None and known.schedule == schedule and known.state != DISABLED
    rule = Rule(
        bus.place,
        bus.name,
        request["Name"],
        pattern,
        schedule,
        request.get("State", ENABLED),
        request.get("Description"),
        request.get("RoleArn"),
        tags_of_new(request.get("Tags", [])) if known is None else known.tags,
        ctx.place.account if known is None else known.created_by,
        known.scheduled_at_ms if known is not None and goes_on else now_ms,
    )
    _keep(ctx, rule)
    return {"RuleArn": rule.arn}


def _refuse_pattern(text: str) -> None:
    try:
        compile_pattern(text)
    except InvalidPattern as refusal:
        raise InvalidEventPattern(str(refusal)) from None


def _refuse_schedule(bus: Bus, text: str) -> None:
    if bus.name != DEFAULT_BUS:
        raise ValidationFailed("ScheduleExpression is supported only on the default event bus.")
    try:
        parse_schedule(text)
    except InvalidSchedule:
        raise ValidationFailed("Parameter ScheduleExpression is not valid.") from None


def _keep(ctx: Context, rule: Rule) -> None:
    store.save_rule(ctx.tx, ctx.sealing, rule)
    schedules.keep_time(ctx.tx, rule, rule.arn, ctx.clock.now_ms())


@operation
def enable_rule(ctx: Context, request: Params) -> Params:
    """The rule listens. A rate counts from now, if it did not listen before."""
    rule = lookup.get_rule(ctx, request)
    if rule.state == DISABLED:
        _keep(ctx, replace(rule, state=ENABLED, scheduled_at_ms=ctx.clock.now_ms()))
    return {}


@operation
def disable_rule(ctx: Context, request: Params) -> Params:
    """The rule listens to nothing. What it has heard is still delivered."""
    _keep(ctx, replace(lookup.get_rule(ctx, request), state=DISABLED))
    return {}


@operation
def delete_rule(ctx: Context, request: Params) -> Params:
    """There is no such rule; a request for one that is not there is answered alike.

    Source: recorded on AWS (the message; that a rule which is not there is no error). Its targets are to be removed before.
    """
    bus = lookup.get_bus(ctx, request.get("EventBusName"))
    rule = store.find_rule(ctx.tx, ctx.sealing, bus.place, bus.name, request["Name"])
    if rule is None:
        return {}
    if store.list_targets(ctx.tx, ctx.sealing, rule):
        raise ValidationFailed("Rule can't be deleted since it has targets.")
    store.drop_rule(ctx.tx, rule)
    schedules.keep_time(ctx.tx, None, rule.arn, ctx.clock.now_ms())
    return {}


@reads
def describe_rule(ctx: Context, request: Params) -> Params:
    rule = lookup.get_rule(ctx, request)
    return {**_shown(rule), "CreatedBy": rule.created_by}


@reads
def list_rules(ctx: Context, request: Params) -> Params:
    """By name. Source: ListRules, API reference."""
    bus = lookup.get_bus(ctx, request.get("EventBusName"))
    found = store.list_rules(
        ctx.tx,
        ctx.sealing,
        bus.place,
        bus.name,
        prefix=request.get("NamePrefix", ""),
        after=paging.after(ctx, "ListRules", request),
        limit=paging.limit_of(request) + 1,
    )
    shown, more = paging.page(ctx, "ListRules", request, found, lambda rule: rule.name)
    return {"Rules": [_shown(rule) for rule in shown], **more}


def _shown(rule: Rule) -> Params:
    given = {
        "EventPattern": rule.pattern,
        "ScheduleExpression": rule.schedule,
        "Description": rule.description,
        "RoleArn": rule.role_arn,
    }
    return {
        "Name": rule.name,
        "Arn": rule.arn,
        "State": rule.state,
        "EventBusName": rule.bus,
        **{member: value for member, value in given.items() if value is not None},
    }
