"""Roles, service-linked ones among them."""

from dataclasses import replace
from typing import Any, Final

from geumgo.context import Context, Params, as_datetime
from geumgo.domain.policy import PolicyKind
from geumgo.principals import UnknownPrincipal
from geumgo.room import operation, reads
from geumgo.sealing import random
from geumgo.services.iam import change, domain, service_linked
from geumgo.services.iam.errors import (
    DeleteConflict,
    InvalidInput,
    LimitExceeded,
    MalformedPolicyDocument,
    NoSuchEntity,
    UnmodifiableEntity,
)
from geumgo.services.iam.lookup import (
    by_name_key,
    checked_document,
    merged_tags,
    need,
    new_tags,
    page,
    page_of_tags,
    show_role,
)
from geumgo.services.iam.records import Holdings, Principal
from geumgo.services.iam.store import deletions, holdings, instance_profiles, keys, policies, principals

SESSION_S: Final = 3600  # seconds; MaxSessionDuration if it is not given


@operation
def create_role(ctx: Context, params: Params) -> Params:
    if params.get("Path", "/").startswith("/aws-service-role/"):
        raise InvalidInput("Roles under the path /aws-service-role/ are created with CreateServiceLinkedRole.")
    role = change.make(ctx, "role", params)
    trust = pinned_trust(ctx, params["AssumeRolePolicyDocument"])
    role = replace(
        role,
        trust=trust,
        description=params.get("Description"),
        max_session_s=params.get("MaxSessionDuration", SESSION_S),
    )
    principals.insert(ctx.tx, ctx.sealing, role)
    shown = shown_trust(ctx, role)
    return {"Role": show_role(ctx, role, trust=shown, length="MaxSessionDuration" in params, full=True)}


@reads
def get_role(ctx: Context, params: Params) -> Params:
    return {"Role": full_role(ctx, need(ctx, "role", params))}


@operation
def update_role(ctx: Context, params: Params) -> Params:
    """What is not given stays. Source: recorded on AWS."""
    role = need(ctx, "role", params)
    refuse_service_linked(role)
    changed = replace(
        role,
        description=params.get("Description", role.description),
        max_session_s=params.get("MaxSessionDuration", role.max_session_s),
    )
    principals.save(ctx.tx, ctx.sealing, changed)
    return {}


@operation
def update_role_description(ctx: Context, params: Params) -> Params:
    role = replace(need(ctx, "role", params), description=params["Description"])
    principals.save(ctx.tx, ctx.sealing, role)
    return {"Role": show_role(ctx, role, trust=shown_trust(ctx, role), length=False)}


@operation
def update_assume_role_policy(ctx: Context, params: Params) -> Params:
    role = need(ctx, "role", params)
    refuse_service_linked(role)
    principals.save(ctx.tx, ctx.sealing, replace(role, trust=pinned_trust(ctx, params["PolicyDocument"])))
    return {}


@operation
def delete_role(ctx: Context, params: Params) -> Params:
    """The role is gone, and with it every session of it. Source: DeleteRole, API reference; the sentences recorded on AWS."""
    role = need(ctx, "role", params)
    refuse_service_linked(role)
    if instance_profiles.of_role(ctx.tx, ctx.sealing, role.id):
        raise DeleteConflict("Cannot delete entity, must remove roles from instance profile first.")
    change.refuse_while_holding(holdings.read(ctx.tx, role))
    principals.delete(ctx.tx, role)
    return {}


@reads
def list_roles(ctx: Context, params: Params) -> Params:
    found = principals.under(ctx.tx, ctx.sealing, ctx.place.account, "role", prefix=params.get("PathPrefix", "/"))
    return page(params, found, by_name_key, lambda role: show_role(ctx, role, trust=shown_trust(ctx, role)), "Roles")


@operation
def tag_role(ctx: Context, params: Params) -> Params:
    role = need(ctx, "role", params)
    principals.save(ctx.tx, ctx.sealing, replace(role, tags=merged_tags(role.tags, new_tags(params))))
    return {}


@operation
def untag_role(ctx: Context, params: Params) -> Params:
    role = need(ctx, "role", params)
    principals.save(ctx.tx, ctx.sealing, replace(role, tags=domain.without_tags(role.tags, params["TagKeys"])))
    return {}


@reads
def list_role_tags(ctx: Context, params: Params) -> Params:
    return page_of_tags(params, need(ctx, "role", params).tags)


@operation
def put_role_permissions_boundary(ctx: Context, params: Params) -> Params:
    role = need(ctx, "role", params)
    refuse_service_linked(role)
    principals.save(ctx.tx, ctx.sealing, replace(role, boundary_id=change.boundary_id(ctx, params)))
    return {}


@operation
def delete_role_permissions_boundary(ctx: Context, params: Params) -> Params:
    principals.save(ctx.tx, ctx.sealing, replace(need(ctx, "role", params), boundary_id=None))
    return {}


@operation
def create_service_linked_role(ctx: Context, params: Params) -> Params:
    """A role that only the service may assume, and only it may change. Source: CreateServiceLinkedRole, API reference."""
    service = params["AWSServiceName"]
    known = service_linked.KNOWN.get(service)
    if known is None:
        raise InvalidInput(f"Service-linked roles of {service} are not known here.")
    suffix = params.get("CustomSuffix")
    if suffix is not None:
        raise InvalidInput(f"Custom suffix is not allowed for {service}")
    name = known.role_name
    if principals.by_name(ctx.tx, ctx.sealing, ctx.place.account, "role", name) is not None:
        raise InvalidInput(f"Service role name {name} has been taken in this account, please try a different suffix.")
    given = {"RoleName": name, "Path": f"/aws-service-role/{service}/"}
    role = replace(
        change.make(ctx, "role", given),
        trust=service_linked.trust(service),
        description=params.get("Description"),
        max_session_s=SESSION_S,
        serves=service,
    )
    principals.insert(ctx.tx, ctx.sealing, role)
    if known.policy is not None:
        policy = policies.by_arn(ctx.tx, ctx.sealing, domain.AWS_ACCOUNT, known.policy)
        assert policy is not None, f"{known.policy} does not come with the program"
        role = holdings.write(ctx.tx, ctx.sealing, role, Holdings(attached=(policy.id,)))
    return {"Role": show_role(ctx, role, trust=shown_trust(ctx, role), length=False)}


@operation
def delete_service_linked_role(ctx: Context, params: Params) -> Params:
    """The role is gone at once; the task's status says so. Source: DeleteServiceLinkedRole, API reference."""
    role = need(ctx, "role", params)
    if role.serves is None:
        raise InvalidInput(f"The role {role.name} is not a service-linked role.")
    holdings.write(ctx.tx, ctx.sealing, role, Holdings())
    emptied = principals.by_id(ctx.tx, ctx.sealing, role.id)
    assert emptied is not None, "it was written a line ago"
    principals.delete(ctx.tx, emptied)
    task = f"task/aws-service-role/{role.serves}/{role.name}/{random.uuid()}"
    deletions.insert(ctx.tx, task, ctx.place.account, role.name, ctx.clock.now_ms())
    return {"DeletionTaskId": task}


@reads
def get_service_linked_role_deletion_status(ctx: Context, params: Params) -> Params:
    task = params["DeletionTaskId"]
    if not task.isprintable() or not deletions.exists(ctx.tx, task, ctx.place.account):
        raise NoSuchEntity(f"Deletion task {params['DeletionTaskId']} cannot be found.")
    return {"Status": "SUCCEEDED"}


def full_role(ctx: Context, role: Principal) -> Params:
    """A role with everything that GetRole shows."""
    used = keys.last_used(ctx.tx, role.id)
    last: dict[str, Any] = {} if used is None else {"LastUsedDate": as_datetime(used[0]), "Region": used[2]}
    return show_role(ctx, role, trust=shown_trust(ctx, role), full=True) | {"RoleLastUsed": last}


def pinned_trust(ctx: Context, document: str) -> str:
    """A trust policy as it is kept. Raises MalformedPolicyDocument, LimitExceeded."""
    checked_document(document, PolicyKind.TRUST)
    limit = domain.QUOTAS["AssumeRolePolicySizeQuota"]
    if domain.size_without_white_space(document) > limit:
        raise LimitExceeded(f"Cannot exceed quota for ACLSizePerRole: {limit}")
    try:
        return ctx.principals.pin(ctx.tx, document)
    except UnknownPrincipal as refusal:
        raise MalformedPolicyDocument(refusal.message) from None


def shown_trust(ctx: Context, role: Principal) -> str:
    assert role.trust is not None, f"role {role.id} has no trust policy"
    return ctx.principals.unpin(ctx.tx, role.trust)


def refuse_service_linked(role: Principal) -> None:
    """Raises UnmodifiableEntity for a service-linked role. Source: PutRolePolicy and its kind, API reference.

    Unverified: the sentence.
    """
    if role.serves is not None:
        raise UnmodifiableEntity(
            f"Cannot perform the operation on the protected role '{role.name}' - this role is only modifiable by AWS"
        )
