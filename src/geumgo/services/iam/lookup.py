"""What the chapters have in common: finding by name, refusing in AWS's words, pages, tags, documents."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

from geumgo.context import Context, Params, as_datetime
from geumgo.domain.policy import MalformedPolicy, PolicyKind
from geumgo.services.iam import domain
from geumgo.services.iam.errors import (
    InvalidInput,
    LimitExceeded,
    MalformedPolicyDocument,
    NoSuchEntity,
    ValidationError,
)
from geumgo.services.iam.records import Kind, ManagedPolicy, Principal
from geumgo.services.iam.rights import compiled
from geumgo.services.iam.store import policies, principals

Item = TypeVar("Item")

MEMBER: Mapping[Kind, str] = {"user": "UserName", "group": "GroupName", "role": "RoleName"}
NOT_A_USER = "Must specify userName when calling with non-User credentials"


def named_principal(ctx: Context, kind: Kind, params: Params) -> Principal | None:
    """The user, group or role that the request names, read once for demands and handler; None if there is none.

    Without a UserName it is the user who asks, by his unique id. Source: GetUser, CreateAccessKey, API reference.
    """
    name = principal_name(ctx, kind, params)
    himself = MEMBER[kind] not in params
    key = ("iam", kind, ctx.caller.unique_id if himself else name)
    if key not in ctx.found:
        ctx.found[key] = (
            principals.by_id(ctx.tx, ctx.sealing, ctx.caller.unique_id)
            if himself
            else principals.by_name(ctx.tx, ctx.sealing, ctx.place.account, kind, name)
        )
    found = ctx.found[key]
    assert found is None or isinstance(found, Principal)
    return found


def principal_name(ctx: Context, kind: Kind, params: Params) -> str:
    """The name that the request gives, or the caller's own.

    Raises ValidationError if it gives none and the caller is no user. Source: recorded on AWS.
    """
    given = params.get(MEMBER[kind])
    if given is not None:
        return str(given)
    if kind != "user" or ctx.caller.kind != "IAMUser":
        raise ValidationError(NOT_A_USER)
    return ctx.caller.name


def need(ctx: Context, kind: Kind, params: Params) -> Principal:
    """The principal that the request names. Raises NoSuchEntity."""
    found = named_principal(ctx, kind, params)
    if found is None:
        raise missing(kind, principal_name(ctx, kind, params))
    return found


def missing(kind: Kind, name: str) -> NoSuchEntity:
    return NoSuchEntity(f"The {kind} with name {name} cannot be found.")


def need_policy(ctx: Context, arn: str, *, attachable: bool = False) -> ManagedPolicy:
    """The managed policy with that ARN.

    Raises:
        ValidationError: it is no ARN.
        NoSuchEntity: there is no such policy; the sentence differs for those that should be attached.

    Source: recorded on AWS.
    """
    policy = find_policy(ctx, arn)
    if policy is None:
        tail = "does not exist or is not attachable." if attachable else "was not found."
        raise NoSuchEntity(f"Policy {arn} {tail}")
    return policy


def find_policy(ctx: Context, arn: str) -> ManagedPolicy | None:
    """The managed policy with that ARN, or None. Raises ValidationError if it is no ARN."""
    if arn.count(":") < 5 or not arn.startswith("arn:"):
        raise ValidationError(f"ARN {arn} is not valid.")
    policy = policies.by_arn(ctx.tx, ctx.sealing, ctx.place.account, arn)
    return policy if policy is not None and policy.arn(ctx.place.partition) == arn else None


def missing_boundary(arn: str) -> NoSuchEntity:
    """Source: recorded on AWS."""
    return NoSuchEntity(f"Scope ARN: {arn} does not exist or is not attachable.")


def checked_document(document: str, kind: PolicyKind) -> str:
    """The document, after IAM has found nothing wrong with it. Raises MalformedPolicyDocument."""
    try:
        compiled(document, kind, "")
    except MalformedPolicy as refusal:
        raise MalformedPolicyDocument(refusal.message) from None
    return document


def quoted(document: str) -> str:
    """A document as IAM answers it: percent-encoded. Source: GetUserPolicy ("URL-encoded compliant with RFC 3986")."""
    return quote(document, safe="-_.~")


def refuse_beyond(quota: str, used: int, limit: int) -> None:
    """Raises LimitExceeded if `used` is the whole of it already. Source of the sentence: recorded on AWS."""
    if used >= limit:
        raise LimitExceeded(f"Cannot exceed quota for {quota}: {limit}")


def page(
    params: Params, items: Iterable[Item], key: Callable[[Item], str], show: Callable[[Item], Any], member: str
) -> Params:
    """One page of `items` in the order of their keys, as IAM answers it. Raises ValidationError for a marker not ours.

    Unverified: the sentence about the marker.
    """
    try:
        shown, marker = domain.page_of(items, key, params.get("Marker"), params.get("MaxItems", domain.PAGE_SIZE))
    except domain.BadMarker:
        raise ValidationError("Invalid Marker.") from None
    answer: Params = {member: [show(item) for item in shown], "IsTruncated": marker is not None}
    return answer | ({"Marker": marker} if marker is not None else {})


def show_tags(tags: Mapping[str, str]) -> list[Params]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def page_of_tags(params: Params, tags: Mapping[str, str]) -> Params:
    """A page of tags, by key."""
    return page(params, tags.items(), lambda tag: tag[0], lambda tag: {"Key": tag[0], "Value": tag[1]}, "Tags")


def new_tags(params: Params, *, cased: bool = False) -> dict[str, str]:
    """The tags that a request brings. `cased`: keys that differ in case are two keys, as those of managed policies are.

    Raises InvalidInput for twins. Source: recorded on AWS.
    """
    given = params.get("Tags", [])
    keys = [tag["Key"] for tag in given]
    if len(set(keys)) < len(keys) if cased else domain.has_twins(keys):
        tail = "" if cased else " Please note that Tag keys are case insensitive."
        raise InvalidInput(f"Duplicate tag keys found.{tail}")
    return domain.tags_of(given)


def merged_tags(tags: Mapping[str, str], added: Mapping[str, str], *, cased: bool = False) -> dict[str, str]:
    """The tags after `added` came on, at most 50. Raises LimitExceeded. Source: recorded on AWS."""
    merged = {**tags, **added} if cased else domain.with_tags(tags, added)
    if len(merged) > domain.TAGS_QUOTA:
        raise LimitExceeded("The number of tags has reached the maximum limit.")
    return merged


def show_boundary(ctx: Context, owner: Principal) -> Params:
    """The PermissionsBoundary member of a user or role, or nothing."""
    if owner.boundary_id is None:
        return {}
    policy = policies.by_id(ctx.tx, ctx.sealing, owner.boundary_id)
    assert policy is not None, f"the boundary of {owner.id} is gone"
    return {
        "PermissionsBoundary": {
            "PermissionsBoundaryType": "PermissionsBoundaryPolicy",
            "PermissionsBoundaryArn": policy.arn(ctx.place.partition),
        }
    }


def show_user(ctx: Context, user: Principal, *, full: bool = False) -> Params:
    """A user as IAM answers it; `full`: with its tags and boundary, which lists leave out. Source: recorded on AWS."""
    shown: Params = {
        "Path": user.path,
        "UserName": user.name,
        "UserId": user.id,
        "Arn": user.arn(ctx.place.partition),
        "CreateDate": as_datetime(user.created_at_ms),
    }
    if full:
        shown |= show_boundary(ctx, user) | ({"Tags": show_tags(user.tags)} if user.tags else {})
    return shown


def show_group(ctx: Context, group: Principal) -> Params:
    return {
        "Path": group.path,
        "GroupName": group.name,
        "GroupId": group.id,
        "Arn": group.arn(ctx.place.partition),
        "CreateDate": as_datetime(group.created_at_ms),
    }


def show_role(ctx: Context, role: Principal, *, trust: str, length: bool = True, full: bool = False) -> Params:
    """A role as IAM answers it. `trust` is its trust policy for people; `length`: with MaxSessionDuration; `full`: with tags, boundary.

    Source: recorded on AWS (CreateRole and UpdateRoleDescription leave MaxSessionDuration out, ListRoles the tags).
    """
    shown: Params = {
        "Path": role.path,
        "RoleName": role.name,
        "RoleId": role.id,
        "Arn": role.arn(ctx.place.partition),
        "CreateDate": as_datetime(role.created_at_ms),
        "AssumeRolePolicyDocument": quoted(trust),
    }
    if role.description is not None:
        shown["Description"] = role.description
    if length and role.max_session_s is not None:
        shown["MaxSessionDuration"] = role.max_session_s
    if full:
        shown |= show_boundary(ctx, role) | ({"Tags": show_tags(role.tags)} if role.tags else {})
    return shown


def by_name_key(owner: Principal) -> str:
    return domain.name_key(owner.name)


def only(names: Sequence[str], params: Params) -> Params:
    return {name: params[name] for name in names if name in params}
