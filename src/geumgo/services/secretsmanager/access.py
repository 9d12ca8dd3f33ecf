"""What each operation of Secrets Manager asks of the gate, and what of it the trail may keep.

Source: "Actions, resources, and condition keys for AWS Secrets Manager", Service Authorization Reference.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from geumgo.access.demand import Demand, Demands, Target
from geumgo.access.ports import pass_role
from geumgo.context import Context, Params
from geumgo.domain.arn import split_arn
from geumgo.domain.policy import MalformedPolicy, Policy
from geumgo.errors import ServiceError
from geumgo.room import Access
from geumgo.sealing import Unsealable
from geumgo.services.secretsmanager import domain, envelope, external, lookup
from geumgo.services.secretsmanager.lookup import Located
from geumgo.services.secretsmanager.records import Secret

Keys = dict[str, tuple[str, ...]]
AddKeys = Callable[[Context, Params], Keys]
Declare = Callable[[Context, Params], Demands]

_AS_BYTES: Final = frozenset({"SecretString", "SecretBinary"})  # values are kept sealed and may hold anything


# -- targets ----------------------------------------------------------------------------------------------------------


def _policy_of(located: Located) -> Policy | None:
    try:
        return None if located.policy is None else lookup.compiled(located.policy)
    except MalformedPolicy:
        raise Unsealable(f"the policy of {located.arn} is vouched for and cannot be read") from None


def _target(located: Located, shown: str, tags: Mapping[str, str]) -> Target:
    """The secret as the gate sees it. A denial shows what was sent, so it does not tell whether the secret exists."""
    return Target(located.arn, shown, located.account, _policy_of(located), tags=tags)


def _about(located: Located, tags: Mapping[str, str]) -> Keys:
    """The condition keys that describe a secret."""
    keys: Keys = {f"secretsmanager:ResourceTag/{key}": (value,) for key, value in tags.items()}
    if located.secret is not None:
        keys["secretsmanager:SecretId"] = (located.arn,)
        keys["secretsmanager:SecretPrimaryRegion"] = (located.secret.region,)
        if located.function is not None:
            keys["secretsmanager:resource/AllowRotationLambdaArn"] = (located.function,)
        if located.secret.secret_type is not None:
            keys["secretsmanager:resource/Type"] = (located.secret.secret_type,)
    return keys


def _demand(action: str, located: Located, shown: str, keys: Keys, tags: Mapping[str, str] | None = None) -> Demand:
    """`tags`: those that the secret will have, where they are not those that it has."""
    worn = tags if tags is not None else (located.secret.tags or {}) if located.secret is not None else {}
    about = {**_about(located, worn), **keys}
    return Demand(f"secretsmanager:{action}", _target(located, shown, worn), about)


# -- the shapes of declarations ---------------------------------------------------------------------------------------


def _no_keys(ctx: Context, params: Params) -> Keys:  # noqa: ARG001
    return {}


def _from(members: Mapping[str, str]) -> AddKeys:
    """Condition keys that are members of the request; absent where the member is."""

    def keys(ctx: Context, params: Params) -> Keys:  # noqa: ARG001
        return {key: (_said(params[member]),) for member, key in members.items() if member in params}

    return keys


def _said(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _on_secret(action: str, keys: AddKeys = _no_keys) -> Declare:
    """The demand of an operation on the secret in `SecretId`."""

    def demands(ctx: Context, params: Params) -> Demands:
        secret_id = params["SecretId"]
        return (_demand(action, lookup.locate(ctx, secret_id), secret_id, keys(ctx, params)),)

    return demands


def _without_resource(action: str) -> Declare:
    """The demand of an operation that knows no resources."""

    def demands(ctx: Context, params: Params) -> Demands:  # noqa: ARG001
        return (Demand(f"secretsmanager:{action}"),)

    return demands


# -- declarations that need more words --------------------------------------------------------------------------------


def _get_secret_value(ctx: Context, params: Params) -> Demands:
    """The secret, its version and the demand are kept together, under the secret."""
    secret_id = params["SecretId"]
    key = ("secretsmanager.value", ctx.place, secret_id, params.get("VersionId"), params.get("VersionStage"))
    kept = ctx.tx.derived(key, lambda: _value_to_keep(ctx, params), under=lambda made: made[0].secret.id)
    if kept is None:
        return (_demand("GetSecretValue", lookup.locate(ctx, secret_id), secret_id, _VERSION(ctx, params)),)
    value, demands = kept
    lookup.found_value(ctx, secret_id, value)
    return demands


def _value_to_keep(ctx: Context, params: Params) -> tuple[lookup.Value, Demands] | None:
    secret_id = params["SecretId"]
    value = lookup.find_value(ctx, secret_id, params.get("VersionId"))
    if value is None:
        return None
    demand = _demand("GetSecretValue", value.located, secret_id, _VERSION(ctx, params))
    return value, (replace(demand, permitted={}),)


def _describe_secret(ctx: Context, params: Params) -> Demands:
    """What is told of the secret and the demand are kept together, under the secret; a change of its rotation drops everything."""
    secret_id = params["SecretId"]
    key = ("secretsmanager.description", ctx.place, secret_id)
    kept = ctx.tx.derived(key, lambda: _description_to_keep(ctx, secret_id), under=lambda made: made[0].secret.id)
    if kept is None:
        return (_demand("DescribeSecret", lookup.locate(ctx, secret_id), secret_id, {}),)
    description, demands = kept
    lookup.found_description(ctx, secret_id, description)
    return demands


def _description_to_keep(ctx: Context, secret_id: str) -> tuple[lookup.Description, Demands] | None:
    description = lookup.find_description(ctx, secret_id)
    if description is None:
        return None
    demand = _demand("DescribeSecret", description.located, secret_id, {})
    return description, (replace(demand, permitted={}),)


def _create_secret(ctx: Context, params: Params) -> Demands:
    """On the ARN that the secret will have, with the tags that it will have. Whether the name is taken makes no difference."""
    name = params["Name"]
    domain.refuse_name(name)
    secret = lookup.made_up(ctx, name)
    located = Located(secret.arn, secret.account)
    tags = _tags_of(params.get("Tags", []))
    keys: Keys = {
        **_CREATED(ctx, params),
        **_key_keys(ctx, params, secret),
        **_request_tags(ctx, params),
    }
    regions = tuple(replica["Region"] for replica in params.get("AddReplicaRegions", []) if "Region" in replica)
    if regions:
        keys["secretsmanager:AddReplicaRegions"] = regions
    demands = [_demand("CreateSecret", located, name, keys, tags)]
    if params.get("Tags"):
        demands.append(_demand("TagResource", located, name, _request_tags(ctx, params), tags))
    if regions:
        demands.append(_demand("ReplicateSecretToRegions", located, name, keys, tags))
    return demands


def _update_secret(ctx: Context, params: Params) -> Demands:
    secret_id = params["SecretId"]
    located = lookup.locate(ctx, secret_id)
    keys = {**_UPDATED(ctx, params), **_key_keys(ctx, params, located.secret)}
    return (_demand("UpdateSecret", located, secret_id, keys),)


def _key_keys(ctx: Context, params: Params, secret: Secret | None) -> Keys:
    """The KMS key as it was typed, and the ARN of the key that it leads to.

    Only KMS knows where an alias leads: it is asked with the very call that the operation makes first, and if that is refused, so
    will the operation be.
    """
    given = params.get("KmsKeyId")
    if given is None:
        return {}
    keys: Keys = {"secretsmanager:KmsKeyId": (given,)}
    place = ctx.place
    owner = secret.account if secret is not None else place.account
    arn = domain.key_arn(given, partition=place.partition, account=owner, region=place.region)
    if ":alias/" in arn:
        arn = _behind_alias(ctx, secret, given)
    return {**keys, "secretsmanager:KmsKeyArn": (arn,)} if arn else keys


def _behind_alias(ctx: Context, secret: Secret | None, given: str) -> str:
    if secret is None:
        return ""
    try:
        return envelope.probe(ctx, envelope.under_key(secret, given))
    except ServiceError:  # the operation asks again and refuses
        return ""


def _rotate_secret(ctx: Context, params: Params) -> Demands:
    """Whoever has a secret rotated has its function run: he needs lambda:InvokeFunction too. Source: RotateSecret, API reference.

    Who gives a role for a managed external secret must be allowed to. Source: "Managed external secrets", user guide (iam:PassRole).
    """
    secret_id = params["SecretId"]
    located = lookup.locate(ctx, secret_id)
    keys = {**_ROTATED(ctx, params), "secretsmanager:ModifyRotationRules": (_said("RotationRules" in params),)}
    demands = [_demand("RotateSecret", located, secret_id, keys)]
    function = params.get("RotationLambdaARN") or located.function
    arn = split_arn(function) if function else None
    if function and arn is not None:
        demands.append(Demand("lambda:InvokeFunction", Target(function, function, arn.account or ctx.place.account)))
    role = params.get("ExternalSecretRotationRoleArn")
    if role and (
        located.secret is None or located.secret.secret_type is not None
    ):  # else it is refused, and nobody gets it
        demands.append(pass_role(role, ctx.principals.role(ctx.tx, role), external.HOST, located.arn))
    return demands


def _tags_of(listed: list[dict[str, str]]) -> dict[str, str]:
    return {tag["Key"]: tag.get("Value", "") for tag in listed if "Key" in tag}


def _request_tags(ctx: Context, params: Params) -> Keys:  # noqa: ARG001
    tags = _tags_of(params.get("Tags", []))
    keys: Keys = {f"aws:RequestTag/{key}": (value,) for key, value in tags.items()}
    return {**keys, "aws:TagKeys": tuple(tags)} if tags else keys


def _tag_names(ctx: Context, params: Params) -> Keys:  # noqa: ARG001
    return {"aws:TagKeys": tuple(params["TagKeys"])} if params["TagKeys"] else {}


def _tag_resource(ctx: Context, params: Params) -> Demands:
    """On the secret as it is, and as it will be: nobody may tag himself out of his rights. Source: TagResource, API reference."""
    return _with_tags_after("TagResource", ctx, params, _request_tags(ctx, params), _tags_of(params["Tags"]), ())


def _untag_resource(ctx: Context, params: Params) -> Demands:
    return _with_tags_after("UntagResource", ctx, params, _tag_names(ctx, params), {}, params["TagKeys"])


def _with_tags_after(
    action: str, ctx: Context, params: Params, keys: Keys, added: Mapping[str, str], removed: Any
) -> Demands:
    secret_id = params["SecretId"]
    located = lookup.locate(ctx, secret_id)
    before = _demand(action, located, secret_id, keys)
    if located.secret is None:
        return (before,)
    worn = located.secret.tags or {}
    after = {**{key: value for key, value in worn.items() if key not in removed}, **added}
    return (before, _demand(action, located, secret_id, keys, after))


def _batch_get_secret_value(ctx: Context, params: Params) -> Demands:  # noqa: ARG001
    """The values themselves are asked for one by one. Source: BatchGetSecretValue, API reference (ListSecrets for filters)."""
    asking = Demand("secretsmanager:BatchGetSecretValue")
    return (asking, Demand("secretsmanager:ListSecrets")) if "Filters" in params else (asking,)


def _validate_resource_policy(ctx: Context, params: Params) -> Demands:
    """Source: ValidateResourcePolicy, API reference (PutResourcePolicy is needed too)."""
    actions = ("ValidateResourcePolicy", "PutResourcePolicy")
    if "SecretId" not in params:
        return tuple(Demand(f"secretsmanager:{action}") for action in actions)
    located = lookup.locate(ctx, params["SecretId"])
    return tuple(_demand(action, located, params["SecretId"], {}) for action in actions)


# -- the table --------------------------------------------------------------------------------------------------------

_VERSION = _from({"VersionId": "secretsmanager:VersionId", "VersionStage": "secretsmanager:VersionStage"})
_CREATED = _from(
    {
        "Name": "secretsmanager:Name",
        "Description": "secretsmanager:Description",
        "ForceOverwriteReplicaSecret": "secretsmanager:ForceOverwriteReplicaSecret",
        "Type": "secretsmanager:Type",
    }
)
_UPDATED = _from({"Description": "secretsmanager:Description", "Type": "secretsmanager:Type"})
_DELETED = _from(
    {
        "RecoveryWindowInDays": "secretsmanager:RecoveryWindowInDays",
        "ForceDeleteWithoutRecovery": "secretsmanager:ForceDeleteWithoutRecovery",
    }
)
_ROTATED = _from(
    {
        "RotationLambdaARN": "secretsmanager:RotationLambdaARN",
        "RotateImmediately": "secretsmanager:RotateImmediately",
        "ExternalSecretRotationRoleArn": "secretsmanager:ExternalSecretRotationRoleArn",
    }
)
_STAGED = _from({"VersionStage": "secretsmanager:VersionStage"})
_BLOCKED = _from({"BlockPublicPolicy": "secretsmanager:BlockPublicPolicy"})

_DECLARED: Final[Mapping[str, tuple[Declare, tuple[str, ...], tuple[str, ...]]]] = {
    "BatchGetSecretValue": (_batch_get_secret_value, ("SecretIdList", "Filters", "MaxResults"), ()),
    "CancelRotateSecret": (_on_secret("CancelRotateSecret"), ("SecretId",), ("ARN", "Name", "VersionId")),
    "CreateSecret": (
        _create_secret,
        ("Name", "ClientRequestToken", "Description", "KmsKeyId", "Tags", "AddReplicaRegions",
         "ForceOverwriteReplicaSecret", "Type", "CrossAccountPrimaryARN"),
        ("ARN", "Name", "VersionId"),
    ),
    "DeleteResourcePolicy": (_on_secret("DeleteResourcePolicy"), ("SecretId", "PolicyName"), ("ARN", "Name")),
    "DeleteSecret": (
        _on_secret("DeleteSecret", _DELETED),
        ("SecretId", "RecoveryWindowInDays", "ForceDeleteWithoutRecovery"),
        ("ARN", "Name", "DeletionDate"),
    ),
    "DescribeSecret": (_describe_secret, ("SecretId",), ()),
    "GetRandomPassword": (
        _without_resource("GetRandomPassword"),
        ("PasswordLength", "ExcludeCharacters", "ExcludeNumbers", "ExcludePunctuation", "ExcludeUppercase",
         "ExcludeLowercase", "IncludeSpace", "RequireEachIncludedType"),
        (),
    ),
    "GetResourcePolicy": (_on_secret("GetResourcePolicy"), ("SecretId", "PolicyName"), ()),
    "GetSecretValue": (_get_secret_value, ("SecretId", "VersionId", "VersionStage"), ()),
    "ListResourcePolicies": (_on_secret("ListResourcePolicies"), ("SecretId", "MaxResults"), ()),
    "ListSecretVersionIds": (
        _on_secret("ListSecretVersionIds"), ("SecretId", "MaxResults", "IncludeDeprecated"), ()
    ),
    "ListSecrets": (
        _without_resource("ListSecrets"),
        ("IncludePlannedDeletion", "MaxResults", "Filters", "SortOrder", "SortBy"),
        (),
    ),
    "PutResourcePolicy": (
        _on_secret("PutResourcePolicy", _BLOCKED),
        ("SecretId", "ResourcePolicy", "PolicyName", "BlockPublicPolicy"),
        ("ARN", "Name"),
    ),
    "PutSecretValue": (
        _on_secret("PutSecretValue"),
        ("SecretId", "ClientRequestToken", "VersionStages"),
        ("ARN", "Name", "VersionId", "VersionStages"),
    ),
    "RestoreSecret": (_on_secret("RestoreSecret"), ("SecretId",), ("ARN", "Name")),
    "RotateSecret": (
        _rotate_secret,
        ("SecretId", "ClientRequestToken", "RotationLambdaARN", "RotationRules", "RotateImmediately",
         "ExternalSecretRotationRoleArn"),
        ("ARN", "Name", "VersionId"),
    ),
    "TagResource": (_tag_resource, ("SecretId", "Tags"), ()),
    "UntagResource": (_untag_resource, ("SecretId", "TagKeys"), ()),
    "UpdateSecret": (
        _update_secret,
        ("SecretId", "ClientRequestToken", "Description", "KmsKeyId", "Type"),
        ("ARN", "Name", "VersionId"),
    ),
    "UpdateSecretVersionStage": (
        _on_secret("UpdateSecretVersionStage", _STAGED),
        ("SecretId", "VersionStage", "RemoveFromVersionId", "MoveToVersionId"),
        ("ARN", "Name"),
    ),
    "ValidateResourcePolicy": (_validate_resource_policy, ("SecretId", "ResourcePolicy"), ("PolicyValidationPassed",)),
}  # fmt: skip

_readable: Final = partial(domain.refuse_unstorable, but=_AS_BYTES)
_REPEATS: Final = frozenset({"GetSecretValue", "DescribeSecret"})

ACCESS: Final[Mapping[str, Access]] = {
    name: Access(
        declare,
        recorded,
        answered,
        check=_readable,
        repeats=name in _REPEATS,
        names="SecretId" if name in _REPEATS else "",
    )
    for name, (declare, recorded, answered) in _DECLARED.items()
}
