"""Making, renaming and removing users, groups and roles: the part that is the same for all three."""

from dataclasses import replace

from geumgo.context import Context, Params
from geumgo.services.iam import domain, ids
from geumgo.services.iam.errors import DeleteConflict, EntityAlreadyExists
from geumgo.services.iam.lookup import MEMBER, find_policy, missing_boundary, new_tags, refuse_beyond
from geumgo.services.iam.records import Holdings, Kind, Principal
from geumgo.services.iam.store import holdings, principals

_PREFIX: dict[Kind, str] = {"user": ids.USER, "group": ids.GROUP, "role": ids.ROLE}
_QUOTA: dict[Kind, tuple[str, str]] = {
    "user": ("UsersPerAccount", "UsersQuota"),
    "group": ("GroupsPerAccount", "GroupsQuota"),
    "role": ("RolesPerAccount", "RolesQuota"),
}


def make(ctx: Context, kind: Kind, params: Params) -> Principal:
    """A new principal with the name, path, tags and boundary that the request gives. It is not written yet."""
    name = params[MEMBER[kind]]
    refuse_taken(ctx, kind, name)
    label, quota = _QUOTA[kind]
    refuse_beyond(label, principals.count(ctx.tx, ctx.place.account, kind), domain.QUOTAS[quota])
    return Principal(
        id=ids.unique_id(_PREFIX[kind]),
        account=ctx.place.account,
        kind=kind,
        name=name,
        path=params.get("Path", "/"),
        created_at_ms=ctx.clock.now_ms(),
        tags=new_tags(params),
        boundary_id=boundary_id(ctx, params),
        holdings=holdings.NOTHING_DIGEST,
    )


def boundary_id(ctx: Context, params: Params) -> str | None:
    """The id of the policy that the request names as a boundary, None if it names none. Raises NoSuchEntity, ValidationError."""
    arn = params.get("PermissionsBoundary")
    if arn is None:
        return None
    policy = find_policy(ctx, arn)
    if policy is None:
        raise missing_boundary(arn)
    return policy.id


def rename(ctx: Context, owner: Principal, name: str | None, path: str | None) -> Principal:
    """The principal under a new name or path, written. Its id, and so all that it may, stay. Raises EntityAlreadyExists."""
    if name is not None and domain.name_key(name) != domain.name_key(owner.name):
        refuse_taken(ctx, owner.kind, name)
    changed = replace(
        owner, name=name if name is not None else owner.name, path=path if path is not None else owner.path
    )
    return principals.save(ctx.tx, ctx.sealing, changed)


def refuse_taken(ctx: Context, kind: Kind, name: str) -> None:
    """Source of the sentence: recorded on AWS."""
    if principals.by_name(ctx.tx, ctx.sealing, ctx.place.account, kind, name) is not None:
        raise EntityAlreadyExists(f"{kind.capitalize()} with name {name} already exists.")


def refuse_while_holding(held: Holdings) -> None:
    """Raises DeleteConflict while policies hang on it. Source: recorded on AWS."""
    if held.attached:
        raise DeleteConflict("Cannot delete entity, must detach all policies first.")
    if held.inline:
        raise DeleteConflict("Cannot delete entity, must delete policies first.")
