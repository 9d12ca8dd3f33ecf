"""What an operation would touch, and the condition keys about it.

Source: "Actions, resources, and condition keys for AWS Identity and Access Management", Service Authorization Reference; how a denial
names the resource is recorded on AWS ("user ann", "policy arn:...", "arn:aws:iam::123456789012:user/ann" for what would be new).
"""

from collections.abc import Mapping

from geumgo.access.demand import Demand, Target
from geumgo.context import Context, Params
from geumgo.services.iam import domain
from geumgo.services.iam.lookup import named_principal, principal_name
from geumgo.services.iam.records import Kind
from geumgo.services.iam.store import devices, instance_profiles, policies, providers


def principal(ctx: Context, kind: Kind, params: Params, *, creating: bool = False) -> Target:
    """A user, group or role. A denial names it by what was asked for, so that it does not tell whether it exists."""
    found = None if creating else named_principal(ctx, kind, params)
    name = principal_name(ctx, kind, params)
    path = params.get("Path", "/") if creating else "/"
    arn = found.arn(ctx.place.partition) if found is not None else arn_of(ctx, f"{kind}{path}{name}")
    shown = arn if creating else f"{kind} {name}"
    return Target(arn, shown, ctx.place.account, tags=found.tags if found is not None else {})


def renamed(ctx: Context, kind: Kind, params: Params) -> Target | None:
    """The principal as it will be after a change of name or path, None if nothing changes. Source: UpdateUser, API reference."""
    found = named_principal(ctx, kind, params)
    new_name = params.get("NewUserName" if kind == "user" else "NewGroupName")
    if found is None or (new_name is None and "NewPath" not in params):
        return None
    arn = arn_of(ctx, f"{kind}{params.get('NewPath', found.path)}{new_name or found.name}")
    return Target(arn, f"{kind} {found.name}", ctx.place.account, tags=found.tags)


def policy(ctx: Context, params: Params) -> Target:
    """A managed policy. AWS's own belong to nobody here: they may be read, and a write asks another account's consent."""
    arn = params["PolicyArn"]
    found = policies.by_arn(ctx.tx, ctx.sealing, ctx.place.account, arn)
    return Target(arn, f"policy {arn}", ctx.place.account, tags=found.tags if found is not None else {})


def policy_to_write(ctx: Context, params: Params) -> Target:
    target = policy(ctx, params)
    named = domain.parse_iam_arn(target.arn, "policy")
    owner = named.account if named is not None and named.account else ctx.place.account
    return Target(target.arn, target.shown, owner, tags=target.tags)


def new_policy(ctx: Context, params: Params) -> Target:
    arn = arn_of(ctx, f"policy{params.get('Path', '/')}{params['PolicyName']}")
    return Target(arn, f"policy {params['PolicyName']}", ctx.place.account)


def new_profile(ctx: Context, params: Params) -> Target:
    """Whether the name is taken makes no difference, so a denial does not tell."""
    arn = arn_of(ctx, f"instance-profile{params.get('Path', '/')}{params['InstanceProfileName']}")
    return Target(arn, arn, ctx.place.account)


def profile(ctx: Context, params: Params) -> Target:
    found = instance_profiles.by_name(ctx.tx, ctx.sealing, ctx.place.account, params["InstanceProfileName"])
    if found is None:
        return new_profile(ctx, params)
    arn = found.arn(ctx.place.partition)
    return Target(arn, arn, ctx.place.account, tags=found.tags)


def provider(ctx: Context, params: Params) -> Target:
    if "Url" in params:
        arn = arn_of(ctx, f"oidc-provider/{domain.issuer_of(params['Url'])}")
        return Target(arn, arn, ctx.place.account)
    arn = params["OpenIDConnectProviderArn"]
    issuer = arn.partition(":oidc-provider/")[2]
    known = domain.may_be_issuer(issuer)
    found = providers.find(ctx.tx, ctx.sealing, ctx.place.account, issuer) if known else None
    return Target(arn, arn, ctx.place.account, tags=found.tags if found is not None else {})


def device(ctx: Context, params: Params) -> Target:
    """A virtual MFA device, new or by its serial number, which is its ARN."""
    if "VirtualMFADeviceName" in params:
        arn = arn_of(ctx, f"mfa{params.get('Path', '/')}{params['VirtualMFADeviceName']}")
        return Target(arn, arn, ctx.place.account)
    serial = params["SerialNumber"]
    found = devices.find(ctx.tx, ctx.sealing, serial)
    own = found is not None and found.account == ctx.place.account
    return Target(serial, serial, ctx.place.account, tags=found.tags if found is not None and own else {})


def listed(ctx: Context, kind: str, params: Params) -> Target:
    """What a list of users, groups, roles ... is asked of: the path. Source: denials of iam:ListUsers, recorded on AWS."""
    arn = arn_of(ctx, f"{kind}{params.get('PathPrefix', '/')}")
    return Target(arn, arn, ctx.place.account)


def everything(ctx: Context) -> Target:
    return Target("*", "*", ctx.place.account)


def arn_of(ctx: Context, resource: str) -> str:
    return f"arn:{ctx.place.partition}:iam::{ctx.place.account}:{resource}"


def tag_keys(params: Params) -> dict[str, tuple[str, ...]]:
    """aws:RequestTag and aws:TagKeys, of tags that come and of tag keys that go."""
    given = domain.tags_of(params.get("Tags", []))
    found = {f"aws:RequestTag/{key}": (value,) for key, value in given.items()}
    names = tuple(given) or tuple(params.get("TagKeys", ()))
    return found | ({"aws:TagKeys": names} if names else {})


def attachment_keys(params: Params) -> dict[str, tuple[str, ...]]:
    return {"iam:PolicyARN": (params["PolicyArn"],)} if "PolicyArn" in params else {}


def boundary_keys(ctx: Context, kind: Kind, params: Params) -> dict[str, tuple[str, ...]]:
    """iam:PermissionsBoundary: the one that the request sets, else the one that the user or role has."""
    if "PermissionsBoundary" in params:
        return {"iam:PermissionsBoundary": (params["PermissionsBoundary"],)}
    found = named_principal(ctx, kind, params)
    if found is None or found.boundary_id is None:
        return {}
    policy = policies.by_id(ctx.tx, ctx.sealing, found.boundary_id)
    assert policy is not None, f"the boundary of {found.id} is gone"
    return {"iam:PermissionsBoundary": (policy.arn(ctx.place.partition),)}


def resource_tag_keys(target: Target) -> dict[str, tuple[str, ...]]:
    return {f"iam:ResourceTag/{key}": (value,) for key, value in target.tags.items()}


def demand(action: str, target: Target, *keys: Mapping[str, tuple[str, ...]]) -> Demand:
    merged: dict[str, tuple[str, ...]] = resource_tag_keys(target)
    for each in keys:
        merged.update(each)
    return Demand(f"iam:{action}", target, merged)
