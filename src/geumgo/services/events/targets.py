"""Targets: where what a rule hears is sent to."""

from geumgo.context import Context, Params
from geumgo.errors import ValidationFailed
from geumgo.room import operation, reads
from geumgo.services.events import lookup, paging, store
from geumgo.services.events.domain_targets import MOST_TARGETS, InvalidTarget, read_target
from geumgo.services.events.errors import LimitExceeded
from geumgo.services.events.records import Listener

MOST_ENTRIES = 10  # targets in one request. Source: PutTargets, API reference


@operation
def put_targets(ctx: Context, request: Params) -> Params:
    """The rule has these targets: new ones, or others in the place of those with the same ids. All of them or none.

    Source: PutTargets, API reference. Unverified: that a target which cannot be one refuses the whole request; a few faults are told
    in FailedEntries on AWS, where the target lies with another service.
    """
    rule = lookup.get_rule(ctx, request, "Rule")
    given = request["Targets"]
    if len(given) > MOST_ENTRIES:
        raise ValidationFailed(
            f"1 validation error detected: Value at 'targets' failed to satisfy constraint: "
            f"Member must have length less than or equal to {MOST_ENTRIES}"
        )
    for each in given:
        try:
            read_target(each, account=ctx.place.account, region=ctx.place.region)
        except InvalidTarget as refusal:
            raise ValidationFailed(str(refusal)) from None
    known = {target.id for target in store.list_targets(ctx.tx, ctx.sealing, rule)}
    if len(known | {each["Id"] for each in given}) > MOST_TARGETS:
        raise LimitExceeded
    for each in given:
        store.save_target(ctx.tx, ctx.sealing, rule, Listener(each["Id"], each["Arn"], each))
    return {"FailedEntryCount": 0, "FailedEntries": []}


@operation
def remove_targets(ctx: Context, request: Params) -> Params:
    """The rule has no such targets. Nothing more is sent to them, of what is on its way either.

    Unverified: the words about a target that is not there.
    """
    rule = lookup.get_rule(ctx, request, "Rule")
    failed = [
        {
            "TargetId": target_id,
            "ErrorCode": "ResourceNotFoundException",
            "ErrorMessage": f"Rule '{rule.name}' does not have a target with the Id '{target_id}'.",
        }
        for target_id in request["Ids"]
        if not store.drop_target(ctx.tx, rule, target_id)
    ]
    return {"FailedEntryCount": len(failed), "FailedEntries": failed}


@reads
def list_targets_by_rule(ctx: Context, request: Params) -> Params:
    rule = lookup.get_rule(ctx, request, "Rule")
    after = paging.after(ctx, "ListTargetsByRule", request)
    found = [target for target in store.list_targets(ctx.tx, ctx.sealing, rule) if target.id > after]
    shown, more = paging.page(ctx, "ListTargetsByRule", request, found, lambda target: target.id)
    return {"Targets": [dict(target.document) for target in shown], **more}


@reads
def list_rule_names_by_target(ctx: Context, request: Params) -> Params:
    bus = lookup.get_bus(ctx, request.get("EventBusName"))
    found = store.rules_with_target(
        ctx.tx,
        bus.place,
        bus.name,
        request["TargetArn"],
        after=paging.after(ctx, "ListRuleNamesByTarget", request),
        limit=paging.limit_of(request) + 1,
    )
    shown, more = paging.page(ctx, "ListRuleNamesByTarget", request, found, str)
    return {"RuleNames": list(shown), **more}
