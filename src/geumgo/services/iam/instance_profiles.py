"""Instance profiles: a role in a box. Nothing here runs on EC2; tools that manage roles expect them."""

from dataclasses import replace

from geumgo.context import Context, Params, as_datetime
from geumgo.room import operation, reads
from geumgo.services.iam import domain, ids
from geumgo.services.iam.errors import DeleteConflict, EntityAlreadyExists, NoSuchEntity
from geumgo.services.iam.lookup import (
    merged_tags,
    need,
    new_tags,
    page,
    page_of_tags,
    refuse_beyond,
    show_role,
    show_tags,
)
from geumgo.services.iam.records import InstanceProfile
from geumgo.services.iam.roles import refuse_service_linked, shown_trust
from geumgo.services.iam.store import instance_profiles as store
from geumgo.services.iam.store import principals


@operation
def create_instance_profile(ctx: Context, params: Params) -> Params:
    name = params["InstanceProfileName"]
    if store.by_name(ctx.tx, ctx.sealing, ctx.place.account, name) is not None:
        raise EntityAlreadyExists(f"Instance Profile {name} already exists.")
    used = len(store.of_account(ctx.tx, ctx.sealing, ctx.place.account))
    refuse_beyond("InstanceProfilesPerAccount", used, domain.QUOTAS["InstanceProfilesQuota"])
    profile = InstanceProfile(
        id=ids.unique_id(ids.INSTANCE_PROFILE),
        account=ctx.place.account,
        name=name,
        path=params.get("Path", "/"),
        tags=merged_tags({}, new_tags(params)),
        role_id=None,
        created_at_ms=ctx.clock.now_ms(),
    )
    store.insert(ctx.tx, ctx.sealing, profile)
    tags = {"Tags": show_tags(profile.tags)} if profile.tags else {}
    return {"InstanceProfile": show_profile(ctx, profile) | tags}


@reads
def get_instance_profile(ctx: Context, params: Params) -> Params:
    profile = _need(ctx, params)
    return {"InstanceProfile": show_profile(ctx, profile) | {"Tags": show_tags(profile.tags)}}


@operation
def delete_instance_profile(ctx: Context, params: Params) -> Params:
    profile = _need(ctx, params)
    if profile.role_id is not None:
        raise DeleteConflict("Cannot delete entity, must remove roles from instance profile first.")
    store.delete(ctx.tx, profile)
    return {}


@reads
def list_instance_profiles(ctx: Context, params: Params) -> Params:
    prefix = params.get("PathPrefix", "/")
    found = [each for each in store.of_account(ctx.tx, ctx.sealing, ctx.place.account) if each.path.startswith(prefix)]
    return _page(ctx, params, found)


@reads
def list_instance_profiles_for_role(ctx: Context, params: Params) -> Params:
    return _page(ctx, params, store.of_role(ctx.tx, ctx.sealing, need(ctx, "role", params).id))


@operation
def add_role_to_instance_profile(ctx: Context, params: Params) -> Params:
    """One role fits into a profile. Source of the sentence: recorded on AWS."""
    profile, role = _need(ctx, params), need(ctx, "role", params)
    refuse_service_linked(role)
    refuse_beyond("InstanceSessionsPerInstanceProfile", int(profile.role_id is not None), 1)
    store.save(ctx.tx, ctx.sealing, replace(profile, role_id=role.id))
    return {}


@operation
def remove_role_from_instance_profile(ctx: Context, params: Params) -> Params:
    profile, role = _need(ctx, params), need(ctx, "role", params)
    if profile.role_id != role.id:
        raise NoSuchEntity(f"The role with name {role.name} cannot be found.")
    store.save(ctx.tx, ctx.sealing, replace(profile, role_id=None))
    return {}


@operation
def tag_instance_profile(ctx: Context, params: Params) -> Params:
    profile = _need(ctx, params)
    store.save(ctx.tx, ctx.sealing, replace(profile, tags=merged_tags(profile.tags, new_tags(params))))
    return {}


@operation
def untag_instance_profile(ctx: Context, params: Params) -> Params:
    profile = _need(ctx, params)
    store.save(ctx.tx, ctx.sealing, replace(profile, tags=domain.without_tags(profile.tags, params["TagKeys"])))
    return {}


@reads
def list_instance_profile_tags(ctx: Context, params: Params) -> Params:
    return page_of_tags(params, _need(ctx, params).tags)


def show_profile(ctx: Context, profile: InstanceProfile) -> Params:
    role = principals.by_id(ctx.tx, ctx.sealing, profile.role_id) if profile.role_id is not None else None
    roles = [show_role(ctx, role, trust=shown_trust(ctx, role), length=False)] if role is not None else []
    return {
        "Path": profile.path,
        "InstanceProfileName": profile.name,
        "InstanceProfileId": profile.id,
        "Arn": profile.arn(ctx.place.partition),
        "CreateDate": as_datetime(profile.created_at_ms),
        "Roles": roles,
    }


def _page(ctx: Context, params: Params, found: list[InstanceProfile]) -> Params:
    return page(
        params,
        found,
        lambda each: domain.name_key(each.name),
        lambda each: show_profile(ctx, each),
        "InstanceProfiles",
    )


def _need(ctx: Context, params: Params) -> InstanceProfile:
    name = params["InstanceProfileName"]
    profile = store.by_name(ctx.tx, ctx.sealing, ctx.place.account, name)
    if profile is None:
        raise NoSuchEntity(f"Instance Profile {name} cannot be found.")
    return profile
