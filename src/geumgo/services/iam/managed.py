"""Customer managed policies and their versions. AWS's own are read through the same operations; nobody may change them."""

from dataclasses import replace
from typing import Final

from geumgo.context import Context, Params, as_datetime
from geumgo.domain.policy import PolicyKind
from geumgo.room import operation, reads
from geumgo.services.iam import builtin, domain, ids
from geumgo.services.iam.errors import DeleteConflict, EntityAlreadyExists, LimitExceeded, NoSuchEntity
from geumgo.services.iam.lookup import (
    checked_document,
    find_policy,
    merged_tags,
    need_policy,
    new_tags,
    page,
    page_of_tags,
    quoted,
    refuse_beyond,
    show_tags,
)
from geumgo.services.iam.records import ManagedPolicy, PolicyVersion
from geumgo.services.iam.store import policies

VERSIONS: Final = domain.QUOTAS["VersionsPerPolicyQuota"]


@operation
def create_policy(ctx: Context, params: Params) -> Params:
    name, now_ms = params["PolicyName"], ctx.clock.now_ms()
    if policies.by_name(ctx.tx, ctx.sealing, ctx.place.account, name) is not None:
        raise EntityAlreadyExists(f"A policy called {name} already exists. Duplicate names are not allowed.")
    quota = domain.QUOTAS["PoliciesQuota"]
    refuse_beyond("PoliciesPerAccount", policies.count(ctx.tx, ctx.place.account), quota)
    document = _checked(params["PolicyDocument"])
    policy = ManagedPolicy(
        id=ids.unique_id(ids.POLICY),
        account=ctx.place.account,
        name=name,
        path=params.get("Path", "/"),
        description=params.get("Description"),
        tags=merged_tags({}, new_tags(params, cased=True), cased=True),
        default_version=1,
        next_version=2,
        digest=domain.digest(document),
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
    )
    policies.insert(ctx.tx, ctx.sealing, policy, document)
    shown = show_policy(ctx, policy)
    shown.pop("Description", None)  # Source: recorded on AWS, CreatePolicy and ListPolicies leave it out
    return {"Policy": shown | ({"Tags": show_tags(policy.tags)} if policy.tags else {})}


@reads
def get_policy(ctx: Context, params: Params) -> Params:
    policy = need_policy(ctx, params["PolicyArn"])
    return {"Policy": show_policy(ctx, policy) | {"Tags": show_tags(policy.tags)}}


@reads
def list_policies(ctx: Context, params: Params) -> Params:
    """Source: ListPolicies, API reference. AWS's policies come after those of the account, each by name."""
    scope, prefix = params.get("Scope", "All"), params.get("PathPrefix", "/")
    found = policies.of_account(ctx.tx, ctx.sealing, ctx.place.account) if scope != "AWS" else []
    found += builtin.every() if scope != "Local" else []
    wanted = [policy for policy in found if policy.path.startswith(prefix) and _is_wanted(ctx, params, policy)]
    return page(params, wanted, _order, lambda policy: _without_description(show_policy(ctx, policy)), "Policies")


@operation
def delete_policy(ctx: Context, params: Params) -> Params:
    """Source of the sentences: DeletePolicy, recorded on AWS."""
    policy = need_policy(ctx, params["PolicyArn"])
    used = policies.attachments(ctx.tx, policy.account, policy.id) + policies.boundaries(
        ctx.tx, policy.account, policy.id
    )
    if used:
        raise DeleteConflict("Cannot delete a policy attached to entities.")
    if len(policies.versions(ctx.tx, ctx.sealing, policy)) > 1:
        raise DeleteConflict(
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. "
            "The default version is deleted with the policy."
        )
    policies.delete(ctx.tx, policy)
    return {}


@operation
def create_policy_version(ctx: Context, params: Params) -> Params:
    """A new version; the default one if SetAsDefault. Source: CreatePolicyVersion, recorded on AWS."""
    policy = need_policy(ctx, params["PolicyArn"], attachable=True)
    document = _checked(params["PolicyDocument"])
    if len(policies.versions(ctx.tx, ctx.sealing, policy)) >= VERSIONS:
        raise LimitExceeded(
            f"A managed policy can have up to {VERSIONS} versions. Before you create a new version, you must delete an "
            "existing version."
        )
    version = PolicyVersion(policy.id, policy.next_version, document, ctx.clock.now_ms())
    policies.add_version(ctx.tx, ctx.sealing, version)
    changed = replace(policy, next_version=policy.next_version + 1, updated_at_ms=version.created_at_ms)
    if params.get("SetAsDefault", False):
        changed = replace(changed, default_version=version.number, digest=domain.digest(document))
    saved = policies.save(ctx.tx, ctx.sealing, changed)
    return {"PolicyVersion": show_version(saved, version)}


@reads
def get_policy_version(ctx: Context, params: Params) -> Params:
    policy, version = _need_version(ctx, params)
    return {"PolicyVersion": show_version(policy, version) | {"Document": quoted(version.document)}}


@reads
def list_policy_versions(ctx: Context, params: Params) -> Params:
    """Newest first."""
    policy = need_policy(ctx, params["PolicyArn"])
    found = policies.versions(ctx.tx, ctx.sealing, policy)
    return page(
        params,
        found,
        lambda version: f"{policy.next_version - version.number:012}",
        lambda version: show_version(policy, version),
        "Versions",
    )


@operation
def set_default_policy_version(ctx: Context, params: Params) -> Params:
    policy, version = _need_version(ctx, params)
    changed = replace(
        policy,
        default_version=version.number,
        digest=domain.digest(version.document),
        updated_at_ms=ctx.clock.now_ms(),
    )
    policies.save(ctx.tx, ctx.sealing, changed)
    return {}


@operation
def delete_policy_version(ctx: Context, params: Params) -> Params:
    policy, version = _need_version(ctx, params)
    if version.number == policy.default_version:
        raise DeleteConflict("Cannot delete the default version of a policy.")
    policies.delete_version(ctx.tx, version)
    policies.save(ctx.tx, ctx.sealing, replace(policy, updated_at_ms=ctx.clock.now_ms()))
    return {}


@operation
def tag_policy(ctx: Context, params: Params) -> Params:
    policy = need_policy(ctx, params["PolicyArn"])
    tags = merged_tags(policy.tags, new_tags(params, cased=True), cased=True)
    policies.save(ctx.tx, ctx.sealing, replace(policy, tags=tags))
    return {}


@operation
def untag_policy(ctx: Context, params: Params) -> Params:
    policy = need_policy(ctx, params["PolicyArn"])
    left = {key: value for key, value in policy.tags.items() if key not in params["TagKeys"]}
    policies.save(ctx.tx, ctx.sealing, replace(policy, tags=left))
    return {}


@reads
def list_policy_tags(ctx: Context, params: Params) -> Params:
    return page_of_tags(params, need_policy(ctx, params["PolicyArn"]).tags)


def show_policy(ctx: Context, policy: ManagedPolicy) -> Params:
    """A managed policy as IAM answers it, counted in the caller's account."""
    account = ctx.place.account
    described = {"Description": policy.description} if policy.description is not None else {}
    return {
        "PolicyName": policy.name,
        "PolicyId": policy.id,
        "Arn": policy.arn(ctx.place.partition),
        "Path": policy.path,
        "DefaultVersionId": domain.version_id(policy.default_version),
        "AttachmentCount": policies.attachments(ctx.tx, account, policy.id),
        "PermissionsBoundaryUsageCount": policies.boundaries(ctx.tx, account, policy.id),
        "IsAttachable": True,
        **described,
        "CreateDate": as_datetime(policy.created_at_ms),
        "UpdateDate": as_datetime(policy.updated_at_ms),
    }


def show_version(policy: ManagedPolicy, version: PolicyVersion) -> Params:
    return {
        "VersionId": domain.version_id(version.number),
        "IsDefaultVersion": version.number == policy.default_version,
        "CreateDate": as_datetime(version.created_at_ms),
    }


def _checked(document: str) -> str:
    """The document of a managed policy. Raises MalformedPolicyDocument, LimitExceeded."""
    checked_document(document, PolicyKind.IDENTITY)
    limit = domain.QUOTAS["PolicySizeQuota"]
    if domain.size_without_white_space(document) > limit:
        raise LimitExceeded(f"Cannot exceed quota for PolicySize: {limit}")
    return document


def _need_version(ctx: Context, params: Params) -> tuple[ManagedPolicy, PolicyVersion]:
    """Source of the sentence: recorded on AWS; it is the same whether the policy or the version is not there."""
    policy = find_policy(ctx, params["PolicyArn"])
    number = domain.version_number(params["VersionId"])
    for version in policies.versions(ctx.tx, ctx.sealing, policy) if policy is not None else []:
        if policy is not None and version.number == number:
            return policy, version
    raise NoSuchEntity(
        f"Policy {params['PolicyArn']} version {params['VersionId']} does not exist or is not attachable."
    )


def _is_wanted(ctx: Context, params: Params, policy: ManagedPolicy) -> bool:
    account, usage = ctx.place.account, params.get("PolicyUsageFilter")
    attached = policies.attachments(ctx.tx, account, policy.id) > 0
    bounds = policies.boundaries(ctx.tx, account, policy.id) > 0
    if usage is not None:
        return attached if usage == "PermissionsPolicy" else bounds
    return attached or bounds or not params.get("OnlyAttached", False)


def _order(policy: ManagedPolicy) -> str:
    return f"{policy.account == domain.AWS_ACCOUNT:d} {domain.name_key(policy.name)}"


def _without_description(shown: Params) -> Params:
    return {name: value for name, value in shown.items() if name != "Description"}
