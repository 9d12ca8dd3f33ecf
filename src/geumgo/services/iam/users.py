"""Users: made, shown, renamed, tagged, bounded, removed."""

from dataclasses import replace

from geumgo.context import Context, Params, as_datetime
from geumgo.room import operation, reads
from geumgo.services.iam import change, domain
from geumgo.services.iam.errors import DeleteConflict
from geumgo.services.iam.lookup import (
    by_name_key,
    merged_tags,
    need,
    new_tags,
    page,
    page_of_tags,
    show_user,
)
from geumgo.services.iam.store import devices, holdings, keys, logins, principals


@operation
def create_user(ctx: Context, params: Params) -> Params:
    user = change.make(ctx, "user", params)
    principals.insert(ctx.tx, ctx.sealing, user)
    return {"User": show_user(ctx, user, full=True)}


@reads
def get_user(ctx: Context, params: Params) -> Params:
    user = need(ctx, "user", params)
    shown = show_user(ctx, user, full=True)
    used = keys.last_used(ctx.tx, user.id)
    return {"User": shown | ({"PasswordLastUsed": as_datetime(used[0])} if used is not None else {})}


@operation
def update_user(ctx: Context, params: Params) -> Params:
    change.rename(ctx, need(ctx, "user", params), params.get("NewUserName"), params.get("NewPath"))
    return {}


@operation
def delete_user(ctx: Context, params: Params) -> Params:
    """Unlike the console, the API removes nothing on the way: what hangs on the user must be gone. Source: DeleteUser, API reference.

    Unverified: the order in which several conflicts are told.
    """
    user = need(ctx, "user", params)
    held = holdings.read(ctx.tx, user)
    change.refuse_while_holding(held)
    if held.groups:
        raise DeleteConflict("Cannot delete entity, must remove users from group first.")
    if keys.of_user(ctx.tx, ctx.sealing, user.id):
        raise DeleteConflict("Cannot delete entity, must delete access keys first.")
    if devices.of_user(ctx.tx, ctx.sealing, user.id):
        raise DeleteConflict("Cannot delete entity, must delete MFA device first.")
    if logins.find(ctx.tx, ctx.sealing, user.id) is not None:
        raise DeleteConflict("Cannot delete entity, must delete login profile first.")
    principals.delete(ctx.tx, user)
    return {}


@reads
def list_users(ctx: Context, params: Params) -> Params:
    found = principals.under(ctx.tx, ctx.sealing, ctx.place.account, "user", prefix=params.get("PathPrefix", "/"))
    return page(params, found, by_name_key, lambda user: show_user(ctx, user), "Users")


@operation
def tag_user(ctx: Context, params: Params) -> Params:
    user = need(ctx, "user", params)
    tags = merged_tags(user.tags, new_tags(params))
    principals.save(ctx.tx, ctx.sealing, replace(user, tags=tags))
    return {}


@operation
def untag_user(ctx: Context, params: Params) -> Params:
    user = need(ctx, "user", params)
    principals.save(ctx.tx, ctx.sealing, replace(user, tags=domain.without_tags(user.tags, params["TagKeys"])))
    return {}


@reads
def list_user_tags(ctx: Context, params: Params) -> Params:
    return page_of_tags(params, need(ctx, "user", params).tags)


@operation
def put_user_permissions_boundary(ctx: Context, params: Params) -> Params:
    user = need(ctx, "user", params)
    principals.save(ctx.tx, ctx.sealing, replace(user, boundary_id=change.boundary_id(ctx, params)))
    return {}


@operation
def delete_user_permissions_boundary(ctx: Context, params: Params) -> Params:
    principals.save(ctx.tx, ctx.sealing, replace(need(ctx, "user", params), boundary_id=None))
    return {}
