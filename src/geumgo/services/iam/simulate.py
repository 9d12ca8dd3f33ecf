"""What would be allowed: the same engine as the gate's, asked with made-up circumstances."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from geumgo.context import Context, Params
from geumgo.domain.arn import split_arn
from geumgo.domain.policy import (
    Asked,
    Decision,
    Policy,
    PolicyKind,
    PolicyPrincipal,
    Standing,
    decide,
)
from geumgo.domain.policy import (
    Context as Circumstances,
)
from geumgo.room import reads
from geumgo.services.iam import domain
from geumgo.services.iam.context_keys import context_keys
from geumgo.services.iam.errors import InvalidInput, NoSuchEntity
from geumgo.services.iam.lookup import checked_document, missing, page
from geumgo.services.iam.pinned import named
from geumgo.services.iam.records import Kind, Principal
from geumgo.services.iam.rights import Rights, compiled
from geumgo.services.iam.store import principals

_GROUP: Final = "group"


@dataclass(frozen=True, slots=True)
class Question:
    """Everything that one simulation has in common for all of its actions and resources."""

    principal: PolicyPrincipal
    standing: Standing
    circumstances: Circumstances
    given: frozenset[str]  # lower-case names of the context keys that the caller gave
    documents: tuple[str, ...]
    owner: str


@reads
def simulate_custom_policy(ctx: Context, params: Params) -> Params:
    identity = _compiled(params["PolicyInputList"], PolicyKind.IDENTITY, "PolicyInputList")
    return _simulate(ctx, params, identity, _boundary(params), _user_of(ctx, params.get("CallerArn")))


@reads
def simulate_principal_policy(ctx: Context, params: Params) -> Params:
    """The policies of a user (his groups' among them), a group or a role, and those that the request adds."""
    if params.get("PolicyExclusionList"):
        raise InvalidInput("PolicyExclusionList is not supported.")
    owner = need_source(ctx, params["PolicySourceArn"])
    rights = Rights(ctx.sealing, ctx.place.partition)
    identity = [*rights.identity_of(ctx.tx, owner)]
    identity += _compiled(params.get("PolicyInputList", []), PolicyKind.IDENTITY, "PolicyInputList")
    boundary = _boundary(params) or rights.boundary_of(ctx.tx, owner)
    asker = params.get("CallerArn") or (owner.arn(ctx.place.partition) if owner.kind == "user" else None)
    return _simulate(ctx, params, identity, boundary, _user_of(ctx, asker))


@reads
def get_context_keys_for_custom_policy(ctx: Context, params: Params) -> Params:  # noqa: ARG001
    documents = [checked_document(text, PolicyKind.IDENTITY) for text in params["PolicyInputList"]]
    return {"ContextKeyNames": context_keys(documents)}


@reads
def get_context_keys_for_principal_policy(ctx: Context, params: Params) -> Params:
    owner = need_source(ctx, params["PolicySourceArn"])
    documents = [checked_document(text, PolicyKind.IDENTITY) for text in params.get("PolicyInputList", [])]
    documents += [policy.document for policy in Rights(ctx.sealing, ctx.place.partition).identity_of(ctx.tx, owner)]
    return {"ContextKeyNames": context_keys(documents)}


def need_source(ctx: Context, arn: str) -> Principal:
    """The user, group or role of an ARN. Raises NoSuchEntity, InvalidInput."""
    group = domain.parse_iam_arn(arn, "group")
    who = named(arn) or ((group.account, _GROUP, group.name) if group is not None else None)
    if who is None or who[0] != ctx.place.account:
        raise InvalidInput(f"Invalid Entity Arn: {arn} does not clearly define entity type and name.")
    kind: Kind = "user" if who[1] == "user" else "role" if who[1] == "role" else "group"
    found = principals.by_name(ctx.tx, ctx.sealing, who[0], kind, who[2])
    if found is None:
        raise missing(kind, who[2])
    return found


def _simulate(
    ctx: Context, params: Params, identity: Sequence[Policy], boundary: Policy | None, principal: PolicyPrincipal
) -> Params:
    resource = None
    if "ResourcePolicy" in params:
        if not principal.arn:
            raise InvalidInput("CallerArn is required when ResourcePolicy is given.")
        resource = compiled(
            checked_document(params["ResourcePolicy"], PolicyKind.RESOURCE), PolicyKind.RESOURCE, "ResourcePolicy"
        )
    values = _circumstances(params.get("ContextEntries", []))
    spoken = [*identity, *([boundary] if boundary is not None else []), *([resource] if resource is not None else [])]
    question = Question(
        principal=principal,
        standing=Standing(identity=identity, boundary=boundary, resource=resource),
        circumstances=Circumstances(values),
        given=frozenset(name.lower() for name in values),
        documents=tuple(policy.document for policy in spoken),
        owner=_owner(ctx, params.get("ResourceOwner")),
    )
    asked = [(action, arn) for action in params["ActionNames"] for arn in params.get("ResourceArns") or ["*"]]
    numbered = [(f"{number:08}", action, arn) for number, (action, arn) in enumerate(asked)]
    return page(
        params, numbered, lambda each: each[0], lambda each: _result(question, each[1], each[2]), "EvaluationResults"
    )


def _circumstances(entries: Sequence[Params]) -> dict[str, tuple[str, ...]]:
    """The made-up condition keys. Unverified: what AWS says to an entry without a name."""
    if not all("ContextKeyName" in entry for entry in entries):
        raise InvalidInput("Each context entry must have a ContextKeyName.")
    return {entry["ContextKeyName"]: tuple(entry.get("ContextKeyValues", [])) for entry in entries}


def _owner(ctx: Context, arn: str | None) -> str:
    """The account that owns what is asked for. Source: ResourceOwner, API reference. Unverified: the message."""
    if arn is None:
        return ctx.place.account
    owner = split_arn(arn)
    if owner is None or not owner.account:
        raise InvalidInput(f"Invalid resource owner: {arn}")
    return owner.account


def _result(question: Question, action: str, resource: str) -> Params:
    decision = decide(
        Asked(question.principal, action, resource, question.owner, question.circumstances), question.standing
    )
    shown: Params = {
        "EvalActionName": action,
        "EvalResourceName": resource,
        "EvalDecision": _word(decision),
        "MatchedStatements": _matched(question, decision),
        "MissingContextValues": [key for key in context_keys(question.documents) if key.lower() not in question.given],
    }
    if question.standing.boundary is not None:
        inside = decide(
            Asked(question.principal, action, resource, question.owner, question.circumstances),
            Standing(identity=(question.standing.boundary,)),
        )
        shown["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": inside.allowed}
    return shown


def _word(decision: Decision) -> str:
    if decision.allowed:
        return "allowed"
    return "explicitDeny" if decision.reason.name.startswith("DENIED") else "implicitDeny"


def _matched(question: Question, decision: Decision) -> list[Params]:
    """The statement that decided, if one did. The source's type is what IAM calls it. Positions in the text are left out."""
    if not decision.statement:
        return []
    resource = question.standing.resource
    of_resource = resource is not None and decision.policy == resource.name
    return [
        {
            "SourcePolicyId": decision.policy,
            "SourcePolicyType": "Resource Policy" if of_resource else "IAM Policy",
        }
    ]


def _compiled(documents: Sequence[str], kind: PolicyKind, source: str) -> list[Policy]:
    """Policies named as IAM names those of a request: PolicyInputList.1, PolicyInputList.2 ..."""
    return [
        compiled(checked_document(text, kind), kind, f"{source}.{number}")
        for number, text in enumerate(documents, start=1)
    ]


def _boundary(params: Params) -> Policy | None:
    given = params.get("PermissionsBoundaryPolicyInputList", [])
    if len(given) > 1:
        raise InvalidInput("Only one permissions boundary can be simulated.")
    found = _compiled(given, PolicyKind.BOUNDARY, "PermissionsBoundaryPolicyInputList")
    return found[0] if found else None


def _user_of(ctx: Context, arn: str | None) -> PolicyPrincipal:
    """The principal that asks in the simulation: a user of an ARN, or nobody in particular. Source: CallerArn, API reference."""
    if arn is None:
        return PolicyPrincipal(kind="IAMUser", account=ctx.place.account, arn="", unique_id="")
    who = named(arn)
    if who is None or who[1] != "user":
        raise InvalidInput(f"Invalid caller ARN: {arn}")
    found = principals.by_name(ctx.tx, ctx.sealing, who[0], "user", who[2])
    if found is None or found.account != ctx.place.account:
        raise NoSuchEntity(f"The user with name {who[2]} cannot be found.")
    return PolicyPrincipal(kind="IAMUser", account=found.account, arn=arn, unique_id=found.id)
