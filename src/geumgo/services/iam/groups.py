"""Groups, and who is in them."""

from dataclasses import replace

from geumgo.context import Context, Params
from geumgo.room import operation, reads
from geumgo.services.iam import change, domain
from geumgo.services.iam.errors import DeleteConflict, NoSuchEntity
from geumgo.services.iam.lookup import by_name_key, need, page, refuse_beyond, show_group, show_user
from geumgo.services.iam.records import Principal
from geumgo.services.iam.store import holdings, principals


@operation
def create_group(ctx: Context, params: Params) -> Params:
    group = change.make(ctx, "group", params)
    principals.insert(ctx.tx, ctx.sealing, group)
    return {"Group": show_group(ctx, group)}


@reads
def get_group(ctx: Context, params: Params) -> Params:
    group = need(ctx, "group", params)
    users = page(params, _members(ctx, group), by_name_key, lambda user: show_user(ctx, user), "Users")
    return {"Group": show_group(ctx, group), **users}


@operation
def update_group(ctx: Context, params: Params) -> Params:
    change.rename(ctx, need(ctx, "group", params), params.get("NewGroupName"), params.get("NewPath"))
    return {}


@operation
def delete_group(ctx: Context, params: Params) -> Params:
    group = need(ctx, "group", params)
    change.refuse_while_holding(holdings.read(ctx.tx, group))
    if _members(ctx, group):
        raise DeleteConflict("Cannot delete entity, must remove users from group first.")
    principals.delete(ctx.tx, group)
    return {}


@reads
def list_groups(ctx: Context, params: Params) -> Params:
    found = principals.under(ctx.tx, ctx.sealing, ctx.place.account, "group", prefix=params.get("PathPrefix", "/"))
    return page(params, found, by_name_key, lambda group: show_group(ctx, group), "Groups")


@operation
def add_user_to_group(ctx: Context, params: Params) -> Params:
    """The user is in the group; so he may have been before."""
    user, group = need(ctx, "user", params), need(ctx, "group", params)
    held = holdings.read(ctx.tx, user)
    if group.id not in held.groups:
        refuse_beyond("GroupsPerUser", len(held.groups), domain.QUOTAS["GroupsPerUserQuota"])
        holdings.write(ctx.tx, ctx.sealing, user, replace(held, groups=(*held.groups, group.id)))
    return {}


@operation
def remove_user_from_group(ctx: Context, params: Params) -> Params:
    """Unverified: that a user who is not in the group is refused, and the sentence."""
    user, group = need(ctx, "user", params), need(ctx, "group", params)
    held = holdings.read(ctx.tx, user)
    if group.id not in held.groups:
        raise NoSuchEntity(f"The user with name {user.name} is not in the group with name {group.name}.")
    left = tuple(group_id for group_id in held.groups if group_id != group.id)
    holdings.write(ctx.tx, ctx.sealing, user, replace(held, groups=left))
    return {}


@reads
def list_groups_for_user(ctx: Context, params: Params) -> Params:
    user = need(ctx, "user", params)
    held = holdings.read(ctx.tx, user).groups
    found = [group for group in principals.groups_of(ctx.tx, ctx.sealing, user.id) if group.id in held]
    return page(params, found, by_name_key, lambda group: show_group(ctx, group), "Groups")


def _members(ctx: Context, group: Principal) -> list[Principal]:
    """The users in the group. Each one's own row says so; the index only finds them."""
    found = principals.members(ctx.tx, ctx.sealing, group.id)
    return [user for user in found if group.id in holdings.read(ctx.tx, user).groups]
