"""Inline policies of users, groups and roles."""

from dataclasses import replace

from geumgo.context import Context, Params
from geumgo.domain.policy import PolicyKind
from geumgo.room import operation, reads
from geumgo.services.iam import domain
from geumgo.services.iam.errors import LimitExceeded, NoSuchEntity
from geumgo.services.iam.lookup import MEMBER, checked_document, need, page, quoted
from geumgo.services.iam.records import Kind
from geumgo.services.iam.roles import refuse_service_linked
from geumgo.services.iam.store import holdings

_QUOTA: dict[Kind, str] = {
    "user": "UserPolicySizeQuota",
    "group": "GroupPolicySizeQuota",
    "role": "RolePolicySizeQuota",
}


@operation
def put_user_policy(ctx: Context, params: Params) -> Params:
    return _put(ctx, "user", params)


@operation
def put_group_policy(ctx: Context, params: Params) -> Params:
    return _put(ctx, "group", params)


@operation
def put_role_policy(ctx: Context, params: Params) -> Params:
    return _put(ctx, "role", params)


@reads
def get_user_policy(ctx: Context, params: Params) -> Params:
    return _get(ctx, "user", params)


@reads
def get_group_policy(ctx: Context, params: Params) -> Params:
    return _get(ctx, "group", params)


@reads
def get_role_policy(ctx: Context, params: Params) -> Params:
    return _get(ctx, "role", params)


@operation
def delete_user_policy(ctx: Context, params: Params) -> Params:
    return _delete(ctx, "user", params)


@operation
def delete_group_policy(ctx: Context, params: Params) -> Params:
    return _delete(ctx, "group", params)


@operation
def delete_role_policy(ctx: Context, params: Params) -> Params:
    return _delete(ctx, "role", params)


@reads
def list_user_policies(ctx: Context, params: Params) -> Params:
    return _list(ctx, "user", params)


@reads
def list_group_policies(ctx: Context, params: Params) -> Params:
    return _list(ctx, "group", params)


@reads
def list_role_policies(ctx: Context, params: Params) -> Params:
    return _list(ctx, "role", params)


def _put(ctx: Context, kind: Kind, params: Params) -> Params:
    """The owner has the policy, new or changed. All of its inline policies together may have so many characters, white space apart.

    Source: PutUserPolicy, IAM quotas. Unverified: the sentence about the size.
    """
    owner = need(ctx, kind, params)
    refuse_service_linked(owner)
    document = checked_document(params["PolicyDocument"], PolicyKind.IDENTITY)
    held = holdings.read(ctx.tx, owner)
    after = dict(held.inline) | {params["PolicyName"]: document}
    limit = domain.QUOTAS[_QUOTA[kind]]
    if sum(domain.size_without_white_space(text) for text in after.values()) > limit:
        raise LimitExceeded(f"Maximum policy size of {limit} bytes exceeded for {kind} {owner.name}")
    holdings.write(ctx.tx, ctx.sealing, owner, replace(held, inline=tuple(sorted(after.items()))))
    return {}


def _get(ctx: Context, kind: Kind, params: Params) -> Params:
    owner = need(ctx, kind, params)
    name = params["PolicyName"]
    document = dict(holdings.read(ctx.tx, owner).inline).get(name)
    if document is None:
        raise _missing(kind, name)
    return {MEMBER[kind]: owner.name, "PolicyName": name, "PolicyDocument": quoted(document)}


def _delete(ctx: Context, kind: Kind, params: Params) -> Params:
    owner = need(ctx, kind, params)
    refuse_service_linked(owner)
    held = holdings.read(ctx.tx, owner)
    name = params["PolicyName"]
    if name not in dict(held.inline):
        raise _missing(kind, name)
    left = tuple((each, document) for each, document in held.inline if each != name)
    holdings.write(ctx.tx, ctx.sealing, owner, replace(held, inline=left))
    return {}


def _list(ctx: Context, kind: Kind, params: Params) -> Params:
    held = holdings.read(ctx.tx, need(ctx, kind, params))
    return page(params, [name for name, _ in held.inline], str, str, "PolicyNames")


def _missing(kind: Kind, name: str) -> NoSuchEntity:
    """Source: recorded on AWS."""
    return NoSuchEntity(f"The {kind} policy with name {name} cannot be found.")
