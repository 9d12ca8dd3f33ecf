"""May they? Gathers the policies that speak, asks `domain.policy`, and words a refusal as AWS does."""

from dataclasses import replace

from geumgo.access import known
from geumgo.access.authorization_message import Denied
from geumgo.access.demand import Demand, Demands, Target
from geumgo.access.ports import PolicySource
from geumgo.context import Caller, Context
from geumgo.domain import policy
from geumgo.domain.policy import (
    Asked,
    Decision,
    PolicyPrincipal,
    Reason,
    Standing,
    Statement,
    decide,
    denial_tail,
    explicit_denial,
)
from geumgo.errors import AccessDenied

EVERYTHING = Target(arn="*", shown=None, account="")


class Refusal(AccessDenied):
    """A denial by policy; `denied` is what an administrator may learn of it."""

    def __init__(self, message: str, denied: Denied) -> None:
        super().__init__(message)
        self.denied = denied


class Gate:
    """The one place where a request is allowed or denied. Default: denied."""

    def __init__(self, policies: PolicySource) -> None:
        self._policies = policies

    def check(self, ctx: Context, demands: Demands) -> None:
        """Every demand is allowed to `ctx.caller`.

        Raises:
            AccessDenied: for the first one that is not, in AWS's sentence with the kind of policy that decided.

        Source: access-denied messages, IAM User Guide ("troubleshoot_access-denied").

        """
        for demand in demands:
            if known.is_permitted(ctx, demand):
                continue
            standing, asked = self._standing(ctx, demand), self._asked(ctx, demand)
            decision = decide(asked, standing)
            if decision.allowed:
                known.remember(ctx, demand, asked.context)
            else:
                sent = {**ctx.conditions, **about_caller(ctx.caller)}
                denied = Denied(ctx.caller, demand, decision, deciding(ctx.caller, demand, decision, standing), sent)
                raise Refusal(denial(ctx.caller, demand, decision), denied)

    def forbids(self, ctx: Context, demand: Demand) -> bool:
        """Whether an explicit Deny of some policy means `demand`."""
        if known.is_permitted(ctx, demand):
            return False
        return explicit_denial(self._asked(ctx, demand), self._standing(ctx, demand)) is not None

    def decide(self, ctx: Context, demand: Demand) -> Decision:
        """Whether `ctx.caller` may, and which statement of which policy said so."""
        return decide(self._asked(ctx, demand), self._standing(ctx, demand))

    def _asked(self, ctx: Context, demand: Demand) -> Asked:
        target = demand.target or EVERYTHING
        return Asked(
            principal=as_principal(ctx.caller),
            action=demand.action,
            resource=target.arn,
            resource_account=target.account or ctx.caller.account,
            context=policy.Context(ctx.conditions, about_caller(ctx.caller), about_target(target), demand.keys),
        )

    def _standing(self, ctx: Context, demand: Demand) -> Standing:
        target = demand.target or EVERYTHING
        own = self._policies.of(ctx.tx, ctx.caller)
        return Standing(
            identity=own.identity,
            boundary=own.boundary,
            session=own.session,
            resource=target.policy,
            resource_rule=target.rule,
            service_control=own.service_control,
            grant=target.grant,
        )


def deciding(caller: Caller, demand: Demand, decision: Decision, standing: Standing) -> Statement | None:
    """The statement that denied, if it stands in a policy of the caller's own account."""
    if decision.reason in (Reason.DENIED_IN_RESOURCE_POLICY, Reason.DENIED_IN_TRUST_POLICY):
        own = demand.target is not None and demand.target.account == caller.account
        policies = [standing.resource] if own else []
    else:
        policies = [*standing.identity, standing.boundary, *(standing.session or ())]
    for each in policies:
        if each is not None and each.name == decision.policy:
            for statement in each.statements:
                if statement.label == decision.statement and not statement.allows:
                    return statement
    return None


def denial(caller: Caller, demand: Demand, decision: Decision) -> str:
    """AWS's sentence for a denial; the resource part is left out where the action knows no resources."""
    shown = demand.target.shown if demand.target is not None else None
    resource = f" on resource: {shown}" if shown is not None else ""
    tail = denial_tail(decision, demand.action)
    return f"User: {caller.arn or 'anonymous'} is not authorized to perform: {demand.action}{resource} {tail}"


def as_principal(caller: Caller) -> PolicyPrincipal:
    """The caller as policies know him."""
    session = caller.session
    return PolicyPrincipal(
        kind=caller.kind,
        account=caller.account,
        arn=caller.arn,
        unique_id=caller.unique_id,
        role_arn=session.issuer_arn if session is not None and caller.kind in BEHIND_A_SESSION else None,
        role_id=session.issuer_id if session is not None and caller.kind in BEHIND_A_SESSION else None,
        service=caller.name if caller.kind == "AWSService" else None,
    )


def about_target(target: Target) -> dict[str, tuple[str, ...]]:
    """The global condition keys that describe the thing: who owns it and its tags."""
    keys: dict[str, tuple[str, ...]] = {f"aws:ResourceTag/{tag}": (value,) for tag, value in target.tags.items()}
    if target.account:
        keys["aws:ResourceAccount"] = (target.account,)
    return keys


def about_caller(caller: Caller) -> dict[str, tuple[str, ...]]:
    """The global condition keys that describe the principal.

    Source: "AWS global condition context keys", IAM User Guide.
    """
    session = caller.session
    keys: dict[str, tuple[str, ...]] = {}
    if caller.kind == "AWSService":
        keys["aws:PrincipalIsAWSService"] = ("true",)
        keys["aws:PrincipalServiceName"] = (caller.name,)
    elif caller.kind != "Anonymous":
        keys["aws:PrincipalIsAWSService"] = ("false",)
        keys["aws:PrincipalAccount"] = (caller.account,)
        keys["aws:PrincipalArn"] = (session.issuer_arn if session and caller.kind == "AssumedRole" else caller.arn,)
        keys["aws:userid"] = (caller.unique_id,)
        if caller.kind == "IAMUser":
            keys["aws:username"] = (caller.name,)
    keys["aws:PrincipalType"] = (PRINCIPAL_TYPES[caller.kind],)
    for tag, value in caller.tags.items():
        keys[f"aws:PrincipalTag/{tag}"] = (value,)
    if session is not None:
        keys["aws:TokenIssueTime"] = (str(session.issued_at_ms // 1000),)
        keys["aws:MultiFactorAuthPresent"] = ("true" if session.mfa else "false",)
        if session.source_identity:
            keys["aws:SourceIdentity"] = (session.source_identity,)
        if session.federated_provider:
            keys["aws:FederatedProvider"] = (session.federated_provider,)
    if caller.via:
        keys["aws:ViaAWSService"] = ("true",)
        keys["aws:CalledVia"] = caller.via
        keys["aws:CalledViaFirst"] = (caller.via[0],)
        keys["aws:CalledViaLast"] = (caller.via[-1],)
    else:
        keys["aws:ViaAWSService"] = ("false",)
    return keys


BEHIND_A_SESSION = ("AssumedRole", "FederatedUser")
"""Kinds of caller behind whom stands a role, or the user who asked for a federated session."""

PRINCIPAL_TYPES = {
    "Root": "Account",
    "IAMUser": "User",
    "AssumedRole": "AssumedRole",
    "FederatedUser": "FederatedUser",
    "AWSService": "AWSService",
    "Anonymous": "Anonymous",
}


def through(caller: Caller, service_host: str) -> Caller:
    """The same caller, one service further in: `service_host` asks on his behalf."""
    return replace(caller, via=(*caller.via, service_host))
