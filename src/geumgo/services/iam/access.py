"""What each operation needs: action, resource, condition keys. And what of it the trail may keep.

Source: "Actions, resources, and condition keys for AWS Identity and Access Management", Service Authorization Reference; how a denial
names the resource is recorded on AWS ("user ann", "policy arn:...", "arn:aws:iam::123456789012:user/ann" for what would be new).
"""

from collections.abc import Callable, Mapping

from geumgo.access.demand import Demand, Demands, Target
from geumgo.access.ports import pass_role
from geumgo.context import Context, Params
from geumgo.errors import UnrecognizedClient
from geumgo.room import Access
from geumgo.services.iam import domain
from geumgo.services.iam.lookup import named_principal, principal_name
from geumgo.services.iam.records import Kind
from geumgo.services.iam.store import instance_profiles, keys, policies, principals, providers

RECORDED = (
    "UserName",
    "NewUserName",
    "GroupName",
    "NewGroupName",
    "RoleName",
    "Path",
    "NewPath",
    "PathPrefix",
    "PolicyName",
    "PolicyArn",
    "PolicyDocument",
    "AssumeRolePolicyDocument",
    "PermissionsBoundary",
    "Description",
    "MaxSessionDuration",
    "Tags",
    "TagKeys",
    "VersionId",
    "SetAsDefault",
    "AccessKeyId",
    "Status",
    "InstanceProfileName",
    "Url",
    "ClientID",
    "ClientIDList",
    "ThumbprintList",
    "OpenIDConnectProviderArn",
    "AccountAlias",
    "AWSServiceName",
    "CustomSuffix",
    "DeletionTaskId",
    "PasswordResetRequired",
    "MinimumPasswordLength",
    "RequireSymbols",
    "RequireNumbers",
    "RequireUppercaseCharacters",
    "RequireLowercaseCharacters",
    "AllowUsersToChangePassword",
    "MaxPasswordAge",
    "PasswordReusePrevention",
    "HardExpiry",
    "PolicySourceArn",
    "ActionNames",
    "ResourceArns",
    "Filter",
    "Scope",
    "OnlyAttached",
    "EntityFilter",
    "PolicyUsageFilter",
    "Marker",
    "MaxItems",
)
"""The members of requests that reach the trail. Passwords are not among them; nothing else in IAM's requests is secret."""

ANSWERED = (
    "User",
    "Group",
    "Role",
    "Policy",
    "PolicyVersion",
    "InstanceProfile",
    "OpenIDConnectProviderArn",
    "DeletionTaskId",
)
"""The members of answers that reach the trail. AccessKey is not: it holds the secret."""

Demanding = Callable[[Context, Params], Demands]


def _access(demands: Demanding) -> Access:
    return Access(
        demands=lambda ctx, params: _signed_in(ctx, demands(ctx, params)), recorded=RECORDED, answered=ANSWERED
    )


def _signed_in(ctx: Context, demands: Demands) -> Demands:
    """Raises UnrecognizedClient for sessions that may not call IAM at all, whatever policies say.

    Source: GetSessionToken ("cannot call any IAM API operations unless MFA authentication information is included") and
    GetFederationToken, API reference. Unverified: the code.
    """
    session = ctx.caller.session
    of_long_term_key = ctx.caller.kind in {"IAMUser", "Root"}
    if session is not None and (ctx.caller.kind == "FederatedUser" or (of_long_term_key and not session.mfa)):
        raise UnrecognizedClient("The security token included in the request is invalid.")
    return demands


# -- resources --------------------------------------------------------------------------------------------------------


def _principal(ctx: Context, kind: Kind, params: Params, *, creating: bool = False) -> Target:
    """A user, group or role. A denial names it by what was asked for, so that it does not tell whether it exists."""
    found = None if creating else named_principal(ctx, kind, params)
    name = principal_name(ctx, kind, params)
    path = params.get("Path", "/") if creating else "/"
    arn = found.arn(ctx.place.partition) if found is not None else _arn(ctx, f"{kind}{path}{name}")
    shown = arn if creating else f"{kind} {name}"
    return Target(arn, shown, ctx.place.account, tags=found.tags if found is not None else {})


def _renamed(ctx: Context, kind: Kind, params: Params) -> Target | None:
    """The principal as it will be after a change of name or path, None if nothing changes. Source: UpdateUser, API reference."""
    found = named_principal(ctx, kind, params)
    new_name = params.get("NewUserName" if kind == "user" else "NewGroupName")
    if found is None or (new_name is None and "NewPath" not in params):
        return None
    arn = _arn(ctx, f"{kind}{params.get('NewPath', found.path)}{new_name or found.name}")
    return Target(arn, f"{kind} {found.name}", ctx.place.account, tags=found.tags)


def _policy(ctx: Context, params: Params) -> Target:
    """A managed policy. AWS's own belong to nobody here: they may be read, and a write asks another account's consent."""
    arn = params["PolicyArn"]
    policy = policies.by_arn(ctx.tx, ctx.sealing, ctx.place.account, arn)
    return Target(arn, f"policy {arn}", ctx.place.account, tags=policy.tags if policy is not None else {})


def _policy_to_write(ctx: Context, params: Params) -> Target:
    target = _policy(ctx, params)
    named = domain.parse_iam_arn(target.arn, "policy")
    owner = named.account if named is not None and named.account else ctx.place.account
    return Target(target.arn, target.shown, owner, tags=target.tags)


def _new_policy(ctx: Context, params: Params) -> Target:
    arn = _arn(ctx, f"policy{params.get('Path', '/')}{params['PolicyName']}")
    return Target(arn, f"policy {params['PolicyName']}", ctx.place.account)


def _profile(ctx: Context, params: Params) -> Target:
    name = params["InstanceProfileName"]
    found = instance_profiles.by_name(ctx.tx, ctx.sealing, ctx.place.account, name)
    if found is None:
        arn = _arn(ctx, f"instance-profile{params.get('Path', '/')}{name}")
        return Target(arn, arn, ctx.place.account)
    arn = found.arn(ctx.place.partition)
    return Target(arn, arn, ctx.place.account, tags=found.tags)


def _provider(ctx: Context, params: Params) -> Target:
    if "Url" in params:
        arn = _arn(ctx, f"oidc-provider/{domain.issuer_of(params['Url'])}")
        return Target(arn, arn, ctx.place.account)
    arn = params["OpenIDConnectProviderArn"]
    issuer = arn.partition(":oidc-provider/")[2]
    found = providers.find(ctx.tx, ctx.sealing, ctx.place.account, issuer)
    return Target(arn, arn, ctx.place.account, tags=found.tags if found is not None else {})


def _listed(ctx: Context, kind: str, params: Params) -> Target:
    """What a list of users, groups, roles ... is asked of: the path. Source: denials of iam:ListUsers, recorded on AWS."""
    arn = _arn(ctx, f"{kind}{params.get('PathPrefix', '/')}")
    return Target(arn, arn, ctx.place.account)


def _everything(ctx: Context) -> Target:
    return Target("*", "*", ctx.place.account)


def _arn(ctx: Context, resource: str) -> str:
    return f"arn:{ctx.place.partition}:iam::{ctx.place.account}:{resource}"


# -- condition keys ---------------------------------------------------------------------------------------------------


def _tags(params: Params) -> dict[str, tuple[str, ...]]:
    """aws:RequestTag and aws:TagKeys, of tags that come and of tag keys that go."""
    given = domain.tags_of(params.get("Tags", []))
    found = {f"aws:RequestTag/{key}": (value,) for key, value in given.items()}
    names = tuple(given) or tuple(params.get("TagKeys", ()))
    return found | ({"aws:TagKeys": names} if names else {})


def _attached(params: Params) -> dict[str, tuple[str, ...]]:
    return {"iam:PolicyARN": (params["PolicyArn"],)} if "PolicyArn" in params else {}


def _boundary(ctx: Context, kind: Kind, params: Params) -> dict[str, tuple[str, ...]]:
    """iam:PermissionsBoundary: the one that the request sets, else the one that the user or role has."""
    if "PermissionsBoundary" in params:
        return {"iam:PermissionsBoundary": (params["PermissionsBoundary"],)}
    found = named_principal(ctx, kind, params)
    if found is None or found.boundary_id is None:
        return {}
    policy = policies.by_id(ctx.tx, ctx.sealing, found.boundary_id)
    assert policy is not None, f"the boundary of {found.id} is gone"
    return {"iam:PermissionsBoundary": (policy.arn(ctx.place.partition),)}


def _resource_tags(target: Target) -> dict[str, tuple[str, ...]]:
    return {f"iam:ResourceTag/{key}": (value,) for key, value in target.tags.items()}


def _demand(action: str, target: Target, *keys: Mapping[str, tuple[str, ...]]) -> Demand:
    merged: dict[str, tuple[str, ...]] = _resource_tags(target)
    for each in keys:
        merged.update(each)
    return Demand(f"iam:{action}", target, merged)


# -- declarations -----------------------------------------------------------------------------------------------------


def _on(action: str, kind: Kind) -> Access:
    """On an existing user, group or role."""

    def demands(ctx: Context, params: Params) -> Demands:
        target = _principal(ctx, kind, params)
        bound = _boundary(ctx, kind, params) if kind != "group" else {}
        return [_demand(action, target, _tags(params), _attached(params), bound)]

    return _access(demands)


def _creates(action: str, kind: Kind, tagging: str | None = None) -> Access:
    """A new user, group or role; tags on it ask for the right to tag as well. Source: IAM User Guide, tagging."""

    def demands(ctx: Context, params: Params) -> Demands:
        target = _principal(ctx, kind, params, creating=True)
        bound = {"iam:PermissionsBoundary": (params["PermissionsBoundary"],)} if "PermissionsBoundary" in params else {}
        found = [_demand(action, target, _tags(params), bound)]
        return found + ([_demand(tagging, target, _tags(params))] if tagging is not None and params.get("Tags") else [])

    return _access(demands)


def _renames(action: str, kind: Kind) -> Access:
    """The old name and the new one must both be allowed. Source: UpdateUser and UpdateGroup, API reference."""

    def demands(ctx: Context, params: Params) -> Demands:
        after = _renamed(ctx, kind, params)
        targets = [_principal(ctx, kind, params), *([after] if after is not None else [])]
        return [_demand(action, target) for target in targets]

    return _access(demands)


def _to(action: str, resource: Callable[[Context, Params], Target], tagging: str | None = None) -> Access:
    """On what `resource` finds; tags on something new ask for the right to tag as well."""

    def demands(ctx: Context, params: Params) -> Demands:
        target = resource(ctx, params)
        found = [_demand(action, target, _tags(params))]
        return found + ([_demand(tagging, target, _tags(params))] if tagging is not None and params.get("Tags") else [])

    return _access(demands)


def _lists(action: str, kind: str) -> Access:
    return _access(lambda ctx, params: [_demand(action, _listed(ctx, kind, params))])


def _on_account(action: str) -> Access:
    return _access(lambda ctx, params: [_demand(action, _everything(ctx))])  # noqa: ARG005


def _group_membership(action: str) -> Access:
    """Source: AddUserToGroup needs rights on the group, not on the user; Service Authorization Reference."""
    return _access(lambda ctx, params: [_demand(action, _principal(ctx, "group", params))])


def _add_role(ctx: Context, params: Params) -> Demands:
    """Putting a role into a profile hands it to EC2. Source: AddRoleToInstanceProfile, API reference (iam:PassRole)."""
    role = named_principal(ctx, "role", params)
    arn = role.arn(ctx.place.partition) if role is not None else _arn(ctx, f"role/{params['RoleName']}")
    facts = ctx.principals.role(ctx.tx, arn) if role is not None else None
    return [_demand("AddRoleToInstanceProfile", _profile(ctx, params)), pass_role(arn, facts, "ec2.amazonaws.com")]


def _service_linked(ctx: Context, params: Params) -> Demands:
    service = params["AWSServiceName"]
    arn = _arn(ctx, f"role/aws-service-role/{service}/*")
    return [_demand("CreateServiceLinkedRole", Target(arn, arn, ctx.place.account), {"iam:AWSServiceName": (service,)})]


def _deletion_status(ctx: Context, params: Params) -> Demands:
    """On the role that the task names; source: Service Authorization Reference."""
    named = params["DeletionTaskId"].removeprefix("task/").rpartition("/")[0]
    arn = _arn(ctx, f"role/{named}")
    return [_demand("GetServiceLinkedRoleDeletionStatus", Target(arn, arn, ctx.place.account))]


def _last_used(ctx: Context, params: Params) -> Demands:
    """On the key's user; a key that is not there is named by its id. Source: recorded on AWS."""
    key = keys.by_id(ctx.tx, ctx.sealing, params["AccessKeyId"])
    owner = principals.by_id(ctx.tx, ctx.sealing, key.user_id) if key is not None else None
    shown = f"access key {params['AccessKeyId']}"
    if owner is None or owner.account != ctx.place.account:
        return [_demand("GetAccessKeyLastUsed", Target(_arn(ctx, "user/*"), shown, ctx.place.account))]
    return [
        _demand(
            "GetAccessKeyLastUsed", Target(owner.arn(ctx.place.partition), shown, ctx.place.account, tags=owner.tags)
        )
    ]


def _simulation(action: str) -> Access:
    """On the user, group or role whose policies are looked at."""

    def demands(ctx: Context, params: Params) -> Demands:
        arn = params["PolicySourceArn"]
        return [_demand(action, Target(arn, arn, ctx.place.account))]

    return _access(demands)


ACCESS: dict[str, Access] = {
    "CreateUser": _creates("CreateUser", "user", "TagUser"),
    "UpdateUser": _renames("UpdateUser", "user"),
    "ListUsers": _lists("ListUsers", "user"),
    "CreateGroup": _creates("CreateGroup", "group"),
    "UpdateGroup": _renames("UpdateGroup", "group"),
    "ListGroups": _lists("ListGroups", "group"),
    "AddUserToGroup": _group_membership("AddUserToGroup"),
    "RemoveUserFromGroup": _group_membership("RemoveUserFromGroup"),
    "CreateRole": _creates("CreateRole", "role", "TagRole"),
    "ListRoles": _lists("ListRoles", "role"),
    "CreateServiceLinkedRole": _access(_service_linked),
    "GetServiceLinkedRoleDeletionStatus": _access(_deletion_status),
    "GetAccessKeyLastUsed": _access(_last_used),
    "CreatePolicy": _to("CreatePolicy", _new_policy, "TagPolicy"),
    "ListPolicies": _access(
        lambda ctx, params: [
            _demand(
                "ListPolicies",
                Target(
                    _listed(ctx, "policy", params).arn,
                    f"policy path {params.get('PathPrefix', '/')}",
                    ctx.place.account,
                ),
            )
        ]
    ),
    "CreateInstanceProfile": _to("CreateInstanceProfile", _profile, "TagInstanceProfile"),
    "ListInstanceProfiles": _lists("ListInstanceProfiles", "instance-profile"),
    "AddRoleToInstanceProfile": _access(_add_role),
    "CreateOpenIDConnectProvider": _to("CreateOpenIDConnectProvider", _provider, "TagOpenIDConnectProvider"),
    "ListOpenIDConnectProviders": _lists("ListOpenIDConnectProviders", "oidc-provider"),
    "SimulatePrincipalPolicy": _simulation("SimulatePrincipalPolicy"),
    "GetContextKeysForPrincipalPolicy": _simulation("GetContextKeysForPrincipalPolicy"),
}

for _action in [
    "GetUser",
    "DeleteUser",
    "TagUser",
    "UntagUser",
    "ListUserTags",
    "PutUserPermissionsBoundary",
    "DeleteUserPermissionsBoundary",
    "ListGroupsForUser",
    "PutUserPolicy",
    "GetUserPolicy",
    "DeleteUserPolicy",
    "ListUserPolicies",
    "AttachUserPolicy",
    "DetachUserPolicy",
    "ListAttachedUserPolicies",
    "CreateAccessKey",
    "ListAccessKeys",
    "UpdateAccessKey",
    "DeleteAccessKey",
    "CreateLoginProfile",
    "GetLoginProfile",
    "UpdateLoginProfile",
    "DeleteLoginProfile",
    "ChangePassword",
]:
    ACCESS[_action] = _on(_action, "user")
for _action in [
    "GetGroup",
    "DeleteGroup",
    "PutGroupPolicy",
    "GetGroupPolicy",
    "DeleteGroupPolicy",
    "ListGroupPolicies",
    "AttachGroupPolicy",
    "DetachGroupPolicy",
    "ListAttachedGroupPolicies",
]:
    ACCESS[_action] = _on(_action, "group")
for _action in [
    "GetRole",
    "UpdateRole",
    "UpdateRoleDescription",
    "UpdateAssumeRolePolicy",
    "DeleteRole",
    "TagRole",
    "UntagRole",
    "ListRoleTags",
    "PutRolePermissionsBoundary",
    "DeleteRolePermissionsBoundary",
    "DeleteServiceLinkedRole",
    "PutRolePolicy",
    "GetRolePolicy",
    "DeleteRolePolicy",
    "ListRolePolicies",
    "AttachRolePolicy",
    "DetachRolePolicy",
    "ListAttachedRolePolicies",
    "ListInstanceProfilesForRole",
]:
    ACCESS[_action] = _on(_action, "role")
for _action in ["GetPolicy", "GetPolicyVersion", "ListPolicyVersions", "ListPolicyTags", "ListEntitiesForPolicy"]:
    ACCESS[_action] = _to(_action, _policy)
for _action in [
    "DeletePolicy",
    "CreatePolicyVersion",
    "SetDefaultPolicyVersion",
    "DeletePolicyVersion",
    "TagPolicy",
    "UntagPolicy",
]:
    ACCESS[_action] = _to(_action, _policy_to_write)
for _action in [
    "GetInstanceProfile",
    "DeleteInstanceProfile",
    "RemoveRoleFromInstanceProfile",
    "TagInstanceProfile",
    "UntagInstanceProfile",
    "ListInstanceProfileTags",
]:
    ACCESS[_action] = _to(_action, _profile)
for _action in [
    "GetOpenIDConnectProvider",
    "DeleteOpenIDConnectProvider",
    "UpdateOpenIDConnectProviderThumbprint",
    "AddClientIDToOpenIDConnectProvider",
    "RemoveClientIDFromOpenIDConnectProvider",
    "TagOpenIDConnectProvider",
    "UntagOpenIDConnectProvider",
    "ListOpenIDConnectProviderTags",
]:
    ACCESS[_action] = _to(_action, _provider)
for _action in [
    "GetAccountPasswordPolicy",
    "UpdateAccountPasswordPolicy",
    "DeleteAccountPasswordPolicy",
    "CreateAccountAlias",
    "DeleteAccountAlias",
    "ListAccountAliases",
    "GetAccountSummary",
    "GetAccountAuthorizationDetails",
    "GenerateCredentialReport",
    "GetCredentialReport",
    "SimulateCustomPolicy",
    "GetContextKeysForCustomPolicy",
]:
    ACCESS[_action] = _on_account(_action)
