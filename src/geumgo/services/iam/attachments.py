"""Managed policies attached to users, groups and roles."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from geumgo.context import Context, Params
from geumgo.room import operation, reads
from geumgo.services.iam import domain
from geumgo.services.iam.errors import NoSuchEntity
from geumgo.services.iam.lookup import (
    MEMBER,
    find_policy,
    need,
    need_policy,
    page,
    refuse_beyond,
)
from geumgo.services.iam.records import Kind, ManagedPolicy, Principal
from geumgo.services.iam.roles import refuse_service_linked
from geumgo.services.iam.store import holdings, policies, principals

_LISTS: dict[Kind, tuple[str, str]] = {
    "group": ("PolicyGroups", "GroupId"),
    "role": ("PolicyRoles", "RoleId"),
    "user": ("PolicyUsers", "UserId"),
}
_KINDS: dict[str, Kind] = {"User": "user", "Role": "role", "Group": "group"}


@operation
def attach_user_policy(ctx: Context, params: Params) -> Params:
    return _attach(ctx, "user", params)


@operation
def attach_group_policy(ctx: Context, params: Params) -> Params:
    return _attach(ctx, "group", params)


@operation
def attach_role_policy(ctx: Context, params: Params) -> Params:
    return _attach(ctx, "role", params)


@operation
def detach_user_policy(ctx: Context, params: Params) -> Params:
    return _detach(ctx, "user", params)


@operation
def detach_group_policy(ctx: Context, params: Params) -> Params:
    return _detach(ctx, "group", params)


@operation
def detach_role_policy(ctx: Context, params: Params) -> Params:
    return _detach(ctx, "role", params)


@reads
def list_attached_user_policies(ctx: Context, params: Params) -> Params:
    return _list(ctx, "user", params)


@reads
def list_attached_group_policies(ctx: Context, params: Params) -> Params:
    return _list(ctx, "group", params)


@reads
def list_attached_role_policies(ctx: Context, params: Params) -> Params:
    return _list(ctx, "role", params)


@reads
def list_entities_for_policy(ctx: Context, params: Params) -> Params:
    """Whom the policy is attached to, or bounds. One page runs over groups, roles and users together, in that order."""
    policy = need_policy(ctx, params["PolicyArn"])
    entity, usage = params.get("EntityFilter"), params.get("PolicyUsageFilter")
    found: list[Principal] = []
    if entity in {None, "User", "Role", "Group", "LocalManagedPolicy", "AWSManagedPolicy"}:
        if usage in {None, "PermissionsPolicy"}:
            found += _holders(ctx, policy)
        if usage in {None, "PermissionsBoundary"}:
            found += principals.bounded_by(ctx.tx, ctx.sealing, policy.id)
    prefix = params.get("PathPrefix", "/")
    wanted = [
        owner
        for owner in {owner.id: owner for owner in found}.values()
        if owner.account == ctx.place.account
        and owner.path.startswith(prefix)
        and (entity is None or owner.kind == _KINDS.get(entity))
    ]
    paged = page(params, wanted, lambda owner: f"{owner.kind} {domain.name_key(owner.name)}", lambda owner: owner, "")
    shown: Iterable[Principal] = paged.pop("")
    lists: dict[str, Any] = {member: [] for member, _ in _LISTS.values()}
    for owner in shown:
        member, id_member = _LISTS[owner.kind]
        lists[member].append({MEMBER[owner.kind]: owner.name, id_member: owner.id})
    return {**lists, **paged}


def _attach(ctx: Context, kind: Kind, params: Params) -> Params:
    """The policy is attached; so it may have been before. Source: AttachUserPolicy, recorded on AWS."""
    owner = need(ctx, kind, params)
    refuse_service_linked(owner)
    policy = need_policy(ctx, params["PolicyArn"], attachable=True)
    held = holdings.read(ctx.tx, owner)
    if policy.id not in held.attached:
        quota = f"AttachedPoliciesPer{kind.capitalize()}Quota"
        refuse_beyond(f"PoliciesPer{kind.capitalize()}", len(held.attached), domain.QUOTAS[quota])
        holdings.write(ctx.tx, ctx.sealing, owner, replace(held, attached=(*held.attached, policy.id)))
    return {}


def _detach(ctx: Context, kind: Kind, params: Params) -> Params:
    owner = need(ctx, kind, params)
    refuse_service_linked(owner)
    arn = params["PolicyArn"]
    policy = find_policy(ctx, arn)
    held = holdings.read(ctx.tx, owner)
    if policy is None or policy.id not in held.attached:
        raise NoSuchEntity(f"Policy {arn} was not found.")
    left = tuple(policy_id for policy_id in held.attached if policy_id != policy.id)
    holdings.write(ctx.tx, ctx.sealing, owner, replace(held, attached=left))
    return {}


def _list(ctx: Context, kind: Kind, params: Params) -> Params:
    prefix = params.get("PathPrefix", "/")
    found = [policy for policy in attached_policies(ctx, need(ctx, kind, params)) if policy.path.startswith(prefix)]
    return page(
        params,
        found,
        lambda policy: f"{domain.name_key(policy.name)} {policy.id}",
        lambda policy: show_attached(ctx, policy),
        "AttachedPolicies",
    )


def attached_policies(ctx: Context, owner: Principal) -> list[ManagedPolicy]:
    """The managed policies that `owner` has attached."""
    found = []
    for policy_id in holdings.read(ctx.tx, owner).attached:
        policy = policies.by_id(ctx.tx, ctx.sealing, policy_id)
        assert policy is not None, f"{policy_id} is attached to {owner.id} and gone"
        found.append(policy)
    return found


def show_attached(ctx: Context, policy: ManagedPolicy) -> Params:
    return {"PolicyName": policy.name, "PolicyArn": policy.arn(ctx.place.partition)}


def _holders(ctx: Context, policy: ManagedPolicy) -> list[Principal]:
    found = principals.attached_to(ctx.tx, ctx.sealing, policy.id)
    return [owner for owner in found if policy.id in holdings.read(ctx.tx, owner).attached]
