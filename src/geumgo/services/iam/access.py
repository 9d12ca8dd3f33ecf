"""What each operation needs: action, resource, condition keys. And what of it the trail may keep."""

from collections.abc import Callable

from geumgo.access.demand import Demands, Target
from geumgo.access.ports import pass_role
from geumgo.context import Context, Params
from geumgo.errors import UnrecognizedClient
from geumgo.room import Access
from geumgo.services.iam import resources
from geumgo.services.iam.lookup import named_principal
from geumgo.services.iam.records import Kind
from geumgo.services.iam.store import keys, principals

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
    "SerialNumber",
    "VirtualMFADeviceName",
    "AssignmentStatus",
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


def _access(demands: Demanding, leave: frozenset[str] = frozenset()) -> Access:
    return Access(
        demands=lambda ctx, params: _signed_in(ctx, demands(ctx, params)),
        recorded=RECORDED,
        answered=ANSWERED,
        leave=leave,
    )


def _signed_in(ctx: Context, demands: Demands) -> Demands:
    """Raises UnrecognizedClient for sessions that may not call IAM at all, whatever policies say.

    Source: GetSessionToken ("cannot call any IAM API operations unless MFA authentication information is included") and
    GetFederationToken, API reference. Unverified: the code.
    """
    session = ctx.caller.session
    of_long_term_key = ctx.caller.kind in {"IAMUser", "Root"}
    weak = session is not None and not session.mfa and not session.password
    if session is not None and (ctx.caller.kind == "FederatedUser" or (of_long_term_key and weak)):
        raise UnrecognizedClient("The security token included in the request is invalid.")
    return demands


# -- declarations -----------------------------------------------------------------------------------------------------


def _on(action: str, kind: Kind) -> Access:
    """On an existing user, group or role."""

    def demands(ctx: Context, params: Params) -> Demands:
        target = resources.principal(ctx, kind, params)
        bound = resources.boundary_keys(ctx, kind, params) if kind != "group" else {}
        return [resources.demand(action, target, resources.tag_keys(params), resources.attachment_keys(params), bound)]

    return _access(demands)


def _creates(action: str, kind: Kind, tagging: str | None = None) -> Access:
    """A new user, group or role; tags on it ask for the right to tag as well. Source: IAM User Guide, tagging."""

    def demands(ctx: Context, params: Params) -> Demands:
        target = resources.principal(ctx, kind, params, creating=True)
        bound = {"iam:PermissionsBoundary": (params["PermissionsBoundary"],)} if "PermissionsBoundary" in params else {}
        found = [resources.demand(action, target, resources.tag_keys(params), bound)]
        return found + (
            [resources.demand(tagging, target, resources.tag_keys(params))]
            if tagging is not None and params.get("Tags")
            else []
        )

    return _access(demands)


def _renames(action: str, kind: Kind) -> Access:
    """The old name and the new one must both be allowed. Source: UpdateUser and UpdateGroup, API reference."""

    def demands(ctx: Context, params: Params) -> Demands:
        after = resources.renamed(ctx, kind, params)
        targets = [resources.principal(ctx, kind, params), *([after] if after is not None else [])]
        return [resources.demand(action, target) for target in targets]

    return _access(demands)


def _to(action: str, resource: Callable[[Context, Params], Target], tagging: str | None = None) -> Access:
    """On what `resource` finds; tags on something new ask for the right to tag as well."""

    def demands(ctx: Context, params: Params) -> Demands:
        target = resource(ctx, params)
        found = [resources.demand(action, target, resources.tag_keys(params))]
        return found + (
            [resources.demand(tagging, target, resources.tag_keys(params))]
            if tagging is not None and params.get("Tags")
            else []
        )

    return _access(demands)


def _lists(action: str, kind: str) -> Access:
    return _access(lambda ctx, params: [resources.demand(action, resources.listed(ctx, kind, params))])


def _on_account(action: str) -> Access:
    return _access(lambda ctx, params: [resources.demand(action, resources.everything(ctx))])  # noqa: ARG005


def _group_membership(action: str) -> Access:
    """Source: AddUserToGroup needs rights on the group, not on the user; Service Authorization Reference."""
    return _access(lambda ctx, params: [resources.demand(action, resources.principal(ctx, "group", params))])


def _add_role(ctx: Context, params: Params) -> Demands:
    """Putting a role into a profile hands it to EC2. Source: AddRoleToInstanceProfile, API reference (iam:PassRole)."""
    role = named_principal(ctx, "role", params)
    arn = role.arn(ctx.place.partition) if role is not None else resources.arn_of(ctx, f"role/{params['RoleName']}")
    facts = ctx.principals.role(ctx.tx, arn) if role is not None else None
    return [
        resources.demand("AddRoleToInstanceProfile", resources.profile(ctx, params)),
        pass_role(arn, facts, "ec2.amazonaws.com"),
    ]


def _service_linked(ctx: Context, params: Params) -> Demands:
    service = params["AWSServiceName"]
    arn = resources.arn_of(ctx, f"role/aws-service-role/{service}/*")
    return [
        resources.demand(
            "CreateServiceLinkedRole", Target(arn, arn, ctx.place.account), {"iam:AWSServiceName": (service,)}
        )
    ]


def _deletion_status(ctx: Context, params: Params) -> Demands:
    """On the role that the task names; source: Service Authorization Reference."""
    named = params["DeletionTaskId"].removeprefix("task/").rpartition("/")[0]
    arn = resources.arn_of(ctx, f"role/{named}")
    return [resources.demand("GetServiceLinkedRoleDeletionStatus", Target(arn, arn, ctx.place.account))]


def _last_used(ctx: Context, params: Params) -> Demands:
    """On the key's user; a key that is not there is named by its id. Source: recorded on AWS."""
    key = keys.by_id(ctx.tx, ctx.sealing, params["AccessKeyId"])
    owner = principals.by_id(ctx.tx, ctx.sealing, key.user_id) if key is not None else None
    shown = f"access key {params['AccessKeyId']}"
    if owner is None or owner.account != ctx.place.account:
        return [
            resources.demand("GetAccessKeyLastUsed", Target(resources.arn_of(ctx, "user/*"), shown, ctx.place.account))
        ]
    return [
        resources.demand(
            "GetAccessKeyLastUsed", Target(owner.arn(ctx.place.partition), shown, ctx.place.account, tags=owner.tags)
        )
    ]


def _simulation(action: str) -> Access:
    """On the user, group or role whose policies are looked at."""

    def demands(ctx: Context, params: Params) -> Demands:
        arn = params["PolicySourceArn"]
        return [resources.demand(action, Target(arn, arn, ctx.place.account))]

    return _access(demands)


ACCESS: dict[str, Access] = {
    "CreateVirtualMFADevice": _access(
        _to("CreateVirtualMFADevice", resources.device, "TagMFADevice").demands, leave=frozenset({"Path"})
    ),
    "ListVirtualMFADevices": _lists("ListVirtualMFADevices", "mfa"),
    "GetMFADevice": _to("GetMFADevice", resources.device),
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
    "CreatePolicy": _to("CreatePolicy", resources.new_policy, "TagPolicy"),
    "ListPolicies": _access(
        lambda ctx, params: [
            resources.demand(
                "ListPolicies",
                Target(
                    resources.listed(ctx, "policy", params).arn,
                    f"policy path {params.get('PathPrefix', '/')}",
                    ctx.place.account,
                ),
            )
        ]
    ),
    "CreateInstanceProfile": _to("CreateInstanceProfile", resources.new_profile, "TagInstanceProfile"),
    "ListInstanceProfiles": _lists("ListInstanceProfiles", "instance-profile"),
    "AddRoleToInstanceProfile": _access(_add_role),
    "CreateOpenIDConnectProvider": _to("CreateOpenIDConnectProvider", resources.provider, "TagOpenIDConnectProvider"),
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
    "EnableMFADevice",
    "ResyncMFADevice",
    "DeactivateMFADevice",
    "ListMFADevices",
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
    ACCESS[_action] = _to(_action, resources.policy)
for _action in [
    "DeletePolicy",
    "CreatePolicyVersion",
    "SetDefaultPolicyVersion",
    "DeletePolicyVersion",
    "TagPolicy",
    "UntagPolicy",
]:
    ACCESS[_action] = _to(_action, resources.policy_to_write)
for _action in ["DeleteVirtualMFADevice", "TagMFADevice", "UntagMFADevice", "ListMFADeviceTags"]:
    ACCESS[_action] = _to(_action, resources.device)
for _action in [
    "GetInstanceProfile",
    "DeleteInstanceProfile",
    "RemoveRoleFromInstanceProfile",
    "TagInstanceProfile",
    "UntagInstanceProfile",
    "ListInstanceProfileTags",
]:
    ACCESS[_action] = _to(_action, resources.profile)
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
    ACCESS[_action] = _to(_action, resources.provider)
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
