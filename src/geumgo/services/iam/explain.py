"""Why somebody may do something, or may not: the gate's own decision, with the statement that made it and what it looked at."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from geumgo.access.demand import Demand, Target
from geumgo.access.gate import EVERYTHING, Gate, about_caller, about_target
from geumgo.access.ports import PrincipalPolicies
from geumgo.context import Caller, Context, Session
from geumgo.domain.arn import split_arn
from geumgo.domain.policy import Context as Circumstances
from geumgo.domain.policy import Decision, Policy, Reason
from geumgo.services.iam.context_keys import context_keys
from geumgo.services.iam.pinned import named
from geumgo.services.iam.rights import Rights
from geumgo.services.iam.store import account, principals

SESSION_NAME: Final = "explained"

Keys = Mapping[str, tuple[str, ...]]
Reach = Callable[[Context, str, str, Keys], Demand | None]
"""How a room looks at one of its resources: (context, action without its service, resource, given keys) to the demand that its own
operation would make, None if there is no such resource."""


class NoSuchPrincipal(ValueError):
    """Nobody here has that ARN. The text is for the operator."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision in plain words.

    `policy` and `statement` are empty if no statement decided. `missing` are the condition keys that policies look at and
    that have no value.
    """

    allowed: bool
    principal: str
    action: str
    resource: str
    reason: str
    policy: str
    statement: str
    text: str
    identity_policies: tuple[str, ...]
    boundary: str
    resource_policy: bool
    missing: tuple[str, ...]


def explain(
    ctx: Context, principal: str, action: str, resource: str, keys: Keys, reach: Mapping[str, Reach]
) -> Explanation:
    """The decision on one question, as the gate makes it now.

    `keys` are what the question adds to the circumstances, or puts in their place. A role is looked at as one of its
    sessions without a session policy. The resource's own policy has its say where `reach` finds it.

    Raises NoSuchPrincipal.
    """
    caller = caller_of(ctx, principal)
    asker = replace(ctx, caller=caller, place=ctx.place._replace(account=caller.account))
    rights = Rights(ctx.sealing, ctx.place.partition)
    demand = demand_for(asker, action, resource, keys, reach)
    decision = Gate(rights).decide(asker, demand)
    own = rights.of(ctx.tx, caller)
    target = demand.target or EVERYTHING
    spoken = [*own.identity, *(p for p in (own.boundary, target.policy) if p is not None)]
    known = Circumstances(ctx.conditions, about_caller(caller), about_target(target), demand.keys)
    found = _deciding(decision, own, target)
    return Explanation(
        allowed=decision.allowed,
        principal=caller.arn,
        action=action,
        resource=target.arn,
        reason=decision.reason.value.replace("{action}", action),
        policy=decision.policy or (found.kind.value if found is not None else ""),
        statement=decision.statement,
        text=_text(ctx, found, decision.statement) if found is not None else "",
        identity_policies=tuple(policy.name for policy in own.identity),
        boundary=own.boundary.name if own.boundary is not None else "",
        resource_policy=target.policy is not None,
        missing=tuple(key for key in context_keys(p.document for p in spoken) if known.get(key.lower()) is None),
    )


def demand_for(ctx: Context, action: str, resource: str, keys: Keys, reach: Mapping[str, Reach]) -> Demand:
    """What an operation with this action would ask of the gate."""
    service, _, name = action.partition(":")
    if service == "sts":
        role = ctx.principals.role(ctx.tx, resource)
        if role is not None:
            return Demand(action, Target(role.arn, role.arn, role.account, role.trust, "required", role.tags), keys)
    found = reach[service](ctx, name, resource, keys) if service in reach and resource != "*" else None
    if found is not None:
        return Demand(action, found.target, {**found.keys, **keys})
    if resource == "*":
        return Demand(action, None, keys)
    arn = split_arn(resource)
    return Demand(action, Target(resource, resource, arn.account if arn is not None else ctx.place.account), keys)


def caller_of(ctx: Context, arn: str) -> Caller:
    """Somebody who asks, as the door would let him in. Raises NoSuchPrincipal."""
    parts = split_arn(arn)
    if parts is not None and parts.resource == "root" and account.find(ctx.tx, ctx.sealing, parts.account) is not None:
        return Caller("Root", parts.account, arn, parts.account)
    if parts is not None and parts.service == "sts" and parts.resource.count("/") == 2:
        _, role, name = parts.resource.split("/")
        return _session(ctx, parts.account, role, name, arn)
    who = named(arn)
    if who is not None and who[1] == "role":
        return _session(ctx, who[0], who[2], SESSION_NAME, arn)
    user = principals.by_name(ctx.tx, ctx.sealing, who[0], "user", who[2]) if who is not None else None
    if user is None or user.arn(ctx.place.partition) != arn:
        raise NoSuchPrincipal(f"There is no user or role {arn} here.")
    return Caller("IAMUser", user.account, arn, user.id, user.name, tags=user.tags)


def _session(ctx: Context, account_id: str, role_name: str, name: str, asked: str) -> Caller:
    role = principals.by_name(ctx.tx, ctx.sealing, account_id, "role", role_name)
    partition = ctx.place.partition
    if role is None or asked not in {
        role.arn(partition),
        f"arn:{partition}:sts::{account_id}:assumed-role/{role.name}/{name}",
    }:
        raise NoSuchPrincipal(f"There is no user or role {asked} here.")
    now_ms = ctx.clock.now_ms()
    session = Session(role.arn(partition), role.id, role.name, name, now_ms, now_ms + 3_600_000)
    arn = f"arn:{partition}:sts::{account_id}:assumed-role/{role.name}/{name}"
    return Caller("AssumedRole", account_id, arn, f"{role.id}:{name}", name, tags=role.tags, session=session)


_IDENTITY: Final = {Reason.ALLOWED_BY_IDENTITY_POLICY, Reason.DENIED_IN_IDENTITY_POLICY}
_RESOURCE: Final = {Reason.ALLOWED_BY_RESOURCE_POLICY, Reason.DENIED_IN_RESOURCE_POLICY, Reason.DENIED_IN_TRUST_POLICY}


def _deciding(decision: Decision, own: PrincipalPolicies, target: Target) -> Policy | None:
    """The policy whose statement decided, or None if none did."""
    candidates: Sequence[Policy | None] = ()
    if decision.reason in _IDENTITY:
        candidates = own.identity
    elif decision.reason in _RESOURCE:
        candidates = (target.policy,)
    elif decision.reason is Reason.DENIED_IN_BOUNDARY:
        candidates = (own.boundary,)
    for policy in candidates:
        if policy is not None and policy.name == decision.policy and _statement(policy, decision.statement) is not None:
            return policy
    return None


def _statement(policy: Policy, label: str) -> dict[str, Any] | None:
    number = next((each.number for each in policy.statements if each.label == label), None)
    listed = json.loads(policy.document)["Statement"]
    return (listed if isinstance(listed, list) else [listed])[number - 1] if number is not None else None


def _text(ctx: Context, policy: Policy, label: str) -> str:
    """The statement as people wrote it: names in place of unique ids."""
    shown = replace(policy, document=ctx.principals.unpin(ctx.tx, policy.document))
    return json.dumps(_statement(shown, label), ensure_ascii=False)
