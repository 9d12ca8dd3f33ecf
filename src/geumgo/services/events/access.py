"""What each operation of EventBridge asks of the gate, and what of it the trail may keep.

Source: "Actions, resources, and condition keys for Amazon EventBridge", Service Authorization Reference.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from geumgo.access.demand import Demand, Demands, Target
from geumgo.access.ports import pass_role
from geumgo.context import Context, Params
from geumgo.domain.arn import split_arn
from geumgo.domain.storable import member_with_nul
from geumgo.errors import ValidationFailed
from geumgo.room import Access
from geumgo.services.events import lookup
from geumgo.services.events.domain import BusName
from geumgo.services.events.records import Bus, Rule
from geumgo.services.events.tags import tagged

HOST: Final = "events.amazonaws.com"

Keys = dict[str, tuple[str, ...]]
Declare = Callable[[Context, Params], Demands]

_ANYTHING: Final = frozenset(
    {"Event", "Entries"}
)  # events may hold what their sender put there; they are looked at one by one


# -- the shapes of declarations ---------------------------------------------------------------------------------------


def without_resource(action: str) -> Declare:
    """The demand of an operation that knows no resources."""

    def demands(ctx: Context, params: Params) -> Demands:  # noqa: ARG001
        return (Demand(f"events:{action}"),)

    return demands


def on_own(action: str, resource: Callable[[Params], str]) -> Declare:
    """The demand of an operation on something of the caller's account that the request names."""

    def demands(ctx: Context, params: Params) -> Demands:
        arn = ctx.place.arn("events", resource(params))
        return (Demand(f"events:{action}", Target(arn, arn, ctx.place.account)),)

    return demands


def _on_bus(action: str, member: str = "Name") -> Declare:
    """The demand of an operation on the bus in `member`."""

    def demands(ctx: Context, params: Params) -> Demands:
        name = lookup.bus_name(ctx, params.get(member))
        arn = lookup.bus_arn(ctx, name)
        return (Demand(f"events:{action}", Target(arn, arn, name.account, tags=_tags_of(ctx, name))),)

    return demands


def _tags_of(ctx: Context, name: BusName) -> Mapping[str, str]:
    bus = lookup.find_bus(ctx, name) if name.account == ctx.place.account else None
    return bus.tags if bus is not None else {}


def _on_rule(action: str, member: str = "Name", keys: Callable[[Params], Keys] = lambda _: {}) -> Declare:
    """The demand of an operation on the rule in `member`."""

    def demands(ctx: Context, params: Params) -> Demands:
        return (_rule_demand(ctx, action, params, params[member], keys(params)),)

    return demands


def _rule_demand(ctx: Context, action: str, params: Params, rule: str, keys: Keys) -> Demand:
    name = lookup.bus_name(ctx, params.get("EventBusName"))
    arn = lookup.rule_arn(ctx, name, rule)
    found = lookup.find_rule(ctx, name, rule) if name.account == ctx.place.account else None
    about: Keys = {"events:creatorAccount": (found.created_by if found is not None else ctx.place.account,)}
    target = Target(arn, arn, name.account, tags=found.tags if found is not None else {})
    return Demand(f"events:{action}", target, {**about, **keys})


def _readable(params: Params) -> None:
    """Texts that cannot be kept are refused. Unverified: what AWS says to this."""
    member = member_with_nul(params, but=_ANYTHING)
    if member is not None:
        raise ValidationFailed(f"The parameter {member} must not contain the character NUL.")


def request_tags(params: Params) -> Keys:
    """The condition keys that tags in the request give."""
    tags = params.get("Tags") or []
    keys: Keys = {f"aws:RequestTag/{tag['Key']}": (tag["Value"],) for tag in tags}
    return {**keys, "aws:TagKeys": tuple(tag["Key"] for tag in tags)} if tags else {}


# -- declarations that need more words --------------------------------------------------------------------------------


def passed(ctx: Context, role_arn: str, resource_arn: str) -> Demand:
    """Who gives a role to EventBridge must be allowed to."""
    return pass_role(role_arn, ctx.principals.role(ctx.tx, role_arn), HOST, resource_arn)


def _put_rule(ctx: Context, params: Params) -> Demands:
    keys = request_tags(params)
    demands = [_rule_demand(ctx, "PutRule", params, params["Name"], keys)]
    if params.get("Tags"):
        demands.append(_rule_demand(ctx, "TagResource", params, params["Name"], keys))
    if "RoleArn" in params:
        arn = lookup.rule_arn(ctx, lookup.bus_name(ctx, params.get("EventBusName")), params["Name"])
        demands.append(passed(ctx, params["RoleArn"], arn))
    return demands


def _put_targets(ctx: Context, params: Params) -> Demands:
    """Source: events:TargetArn, Service Authorization Reference; iam:PassRole for the roles of targets, user guide."""
    arns = tuple(dict.fromkeys(target["Arn"] for target in params["Targets"]))
    rule = lookup.rule_arn(ctx, lookup.bus_name(ctx, params.get("EventBusName")), params["Rule"])
    roles = dict.fromkeys(target["RoleArn"] for target in params["Targets"] if "RoleArn" in target)
    return [
        _rule_demand(ctx, "PutTargets", params, params["Rule"], {"events:TargetArn": arns}),
        *(passed(ctx, role, rule) for role in roles),
    ]


def _put_events(ctx: Context, params: Params) -> Demands:
    """One demand for each bus. Its policy lets other accounts in."""
    entries: dict[BusName, list[Mapping[str, Any]]] = {}
    for entry in params["Entries"]:
        entries.setdefault(lookup.bus_name(ctx, entry.get("EventBusName")), []).append(entry)
    return [put_demand(ctx, name, found) for name, found in entries.items()]


def put_demand(ctx: Context, name: BusName, entries: list[Mapping[str, Any]]) -> Demand:
    """The demand of whoever puts these entries on a bus."""
    bus = lookup.find_bus(ctx, name)
    arn = lookup.bus_arn(ctx, name)
    keys = {
        "events:source": _said(entries, "Source"),
        "events:detail-type": _said(entries, "DetailType"),
        "events:eventBusInvocation": ("false",),
    }
    policy = lookup.policy_of(bus) if bus is not None else None
    tags = bus.tags if bus is not None and name.account == ctx.place.account else {}
    return Demand(
        "events:PutEvents", Target(arn, arn, name.account, policy, tags=tags), {k: v for k, v in keys.items() if v}
    )


def _said(entries: list[Mapping[str, Any]], member: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(entry[member] for entry in entries if member in entry))


def _on_tagged(action: str, keys: Callable[[Params], Keys] = lambda _: {}) -> Declare:
    """The demand of an operation on the rule or bus whose ARN the request holds."""

    def demands(ctx: Context, params: Params) -> Demands:
        text = params["ResourceARN"]
        arn = split_arn(text)
        try:
            found: Rule | Bus | None = tagged(ctx, text)
        except ValidationFailed:  # the operation says so to whoever may call it
            found = arn = None
        if arn is None:
            return (Demand(f"events:{action}", None, keys(params)),)
        mine = found is not None and arn.account == ctx.place.account
        tags = found.tags if found is not None and mine else {}
        return (Demand(f"events:{action}", Target(text, text, arn.account, tags=tags), keys(params)),)

    return demands


def _tag_names(params: Params) -> Keys:
    return {"aws:TagKeys": tuple(params["TagKeys"])} if params["TagKeys"] else {}


def _create_event_bus(ctx: Context, params: Params) -> Demands:
    arn = ctx.place.arn("events", f"event-bus/{params['Name']}")
    keys = request_tags(params)
    actions = ("CreateEventBus", "TagResource") if params.get("Tags") else ("CreateEventBus",)
    return [Demand(f"events:{action}", Target(arn, arn, ctx.place.account), keys) for action in actions]


def _archive(params: Params) -> str:
    return f"archive/{params['ArchiveName']}"


def _replay(params: Params) -> str:
    return f"replay/{params['ReplayName']}"


def _start_replay(ctx: Context, params: Params) -> Demands:
    """On the replay and on the archive. Unverified: that AWS asks for both."""
    arns = (ctx.place.arn("events", _replay(params)), params["EventSourceArn"])
    return [Demand("events:StartReplay", Target(arn, arn, ctx.place.account)) for arn in arns]


_KINDS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "Connection": ("connection", ("AuthorizationType",)),
    # an endpoint may hold a token of its own. Unverified: that AWS hides it too
    "ApiDestination": ("api-destination", ("ConnectionArn", "HttpMethod", "InvocationRateLimitPerSecond")),
}  # fmt: skip


def _named(kind: str) -> dict[str, tuple[Declare, tuple[str, ...], tuple[str, ...]]]:
    """The operations on connections and API destinations, which are alike. Credentials are never recorded.

    Unverified: that policies are matched against the ARN without what stands behind the name in it, as the reference writes it.
    """
    resource, members = _KINDS[kind]
    recorded = ("Name", "Description", *members)

    def one(action: str) -> Declare:
        return on_own(action, lambda params: f"{resource}/{params['Name']}")

    verbs = ("Create", "Update", "Delete", *(("Deauthorize",) if kind == "Connection" else ()))
    answered = (f"{kind}Arn", f"{kind}State")
    return {
        **{f"{verb}{kind}": (one(f"{verb}{kind}"), recorded, answered) for verb in verbs},
        f"Describe{kind}": (one(f"Describe{kind}"), ("Name",), ()),
        f"List{kind}s": (
            without_resource(f"List{kind}s"), ("NamePrefix", "ConnectionState", "ConnectionArn", "Limit"), (),
        ),
    }  # fmt: skip


# -- the table --------------------------------------------------------------------------------------------------------

_DECLARED: Final[Mapping[str, tuple[Declare, tuple[str, ...], tuple[str, ...]]]] = {
    "CancelReplay": (on_own("CancelReplay", _replay), ("ReplayName",), ("State",)),
    "CreateArchive": (
        on_own("CreateArchive", _archive),
        ("ArchiveName", "EventSourceArn", "Description", "EventPattern", "RetentionDays"), ("ArchiveArn", "State"),
    ),
    "CreateEventBus": (_create_event_bus, ("Name", "Description", "Tags"), ("EventBusArn",)),
    "DeleteArchive": (on_own("DeleteArchive", _archive), ("ArchiveName",), ()),
    "DeleteEventBus": (_on_bus("DeleteEventBus"), ("Name",), ()),
    "DescribeArchive": (on_own("DescribeArchive", _archive), ("ArchiveName",), ()),
    "DescribeEventBus": (_on_bus("DescribeEventBus"), ("Name",), ()),
    "DescribeReplay": (on_own("DescribeReplay", _replay), ("ReplayName",), ()),
    "ListArchives": (without_resource("ListArchives"), ("NamePrefix", "EventSourceArn", "State", "Limit"), ()),
    "ListEventBuses": (without_resource("ListEventBuses"), ("NamePrefix", "Limit"), ()),
    "ListReplays": (without_resource("ListReplays"), ("NamePrefix", "EventSourceArn", "State", "Limit"), ()),
    "PutPermission": (
        without_resource("PutPermission"),
        ("EventBusName", "Action", "Principal", "StatementId", "Condition", "Policy"), (),
    ),
    "RemovePermission": (
        without_resource("RemovePermission"), ("EventBusName", "StatementId", "RemoveAllPermissions"), ()
    ),
    "StartReplay": (
        _start_replay,
        ("ReplayName", "Description", "EventSourceArn", "EventStartTime", "EventEndTime", "Destination"),
        ("ReplayArn", "State"),
    ),
    "UpdateArchive": (
        on_own("UpdateArchive", _archive), ("ArchiveName", "Description", "EventPattern", "RetentionDays"),
        ("ArchiveArn", "State"),
    ),
    "UpdateEventBus": (_on_bus("UpdateEventBus"), ("Name", "Description"), ("Arn",)),
    "DeleteRule": (_on_rule("DeleteRule"), ("Name", "EventBusName", "Force"), ()),
    "DescribeRule": (_on_rule("DescribeRule"), ("Name", "EventBusName"), ()),
    "DisableRule": (_on_rule("DisableRule"), ("Name", "EventBusName"), ()),
    "EnableRule": (_on_rule("EnableRule"), ("Name", "EventBusName"), ()),
    "ListRuleNamesByTarget": (
        without_resource("ListRuleNamesByTarget"), ("TargetArn", "EventBusName", "Limit"), ()
    ),
    "ListRules": (without_resource("ListRules"), ("NamePrefix", "EventBusName", "Limit"), ()),
    "ListTagsForResource": (_on_tagged("ListTagsForResource"), ("ResourceARN",), ()),
    "ListTargetsByRule": (_on_rule("ListTargetsByRule", "Rule"), ("Rule", "EventBusName", "Limit"), ()),
    "PutEvents": (_put_events, (), ("FailedEntryCount",)),  # what entries hold is their sender's
    "PutRule": (
        _put_rule,
        ("Name", "ScheduleExpression", "EventPattern", "State", "Description", "RoleArn", "Tags", "EventBusName"),
        ("RuleArn",),
    ),
    **_named("Connection"),
    **_named("ApiDestination"),
    # a target's input and headers may hold anything
    "PutTargets": (_put_targets, ("Rule", "EventBusName"), ("FailedEntryCount", "FailedEntries")),
    "RemoveTargets": (
        _on_rule("RemoveTargets", "Rule"), ("Rule", "EventBusName", "Ids", "Force"),
        ("FailedEntryCount", "FailedEntries"),
    ),
    "TagResource": (_on_tagged("TagResource", request_tags), ("ResourceARN", "Tags"), ()),
    "TestEventPattern": (
        without_resource("TestEventPattern"),
        ("EventPattern",),  # the event may hold anything that its sender put there
        ("Result",),
    ),
    "UntagResource": (_on_tagged("UntagResource", _tag_names), ("ResourceARN", "TagKeys"), ()),
}  # fmt: skip

ACCESS: Final[Mapping[str, Access]] = {
    name: Access(declare, recorded, answered, check=_readable)
    for name, (declare, recorded, answered) in _DECLARED.items()
}
