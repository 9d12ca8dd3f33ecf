"""What each operation of KMS asks of the gate, and what of it the trail may keep.

Source: "Actions, resources, and condition keys for AWS Key Management Service", Service Authorization Reference.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from geumgo.access.demand import Demand, Demands, Target
from geumgo.context import Context, Params
from geumgo.errors import ServiceError
from geumgo.room import Access
from geumgo.sealing import Unsealable, dkgcm
from geumgo.services.kms import grants, lookup, store
from geumgo.services.kms.domain import SYMMETRIC, grant_covers, is_account, refuse_context
from geumgo.services.kms.errors import InvalidArn
from geumgo.services.kms.records import Grant
from geumgo.services.kms.targets import (
    Keys,
    about,
    about_context,
    caller_names,
    demand_on,
    granted,
    key_target,
    said_of,
)

KEPT_BLOB_BYTES: Final = 512  # the longest ciphertext of which a demand is kept: a wrapped data key has some 150
_KEPT_DECRYPT: Final = {"CiphertextBlob", "EncryptionContext"}

AddKeys = Callable[[Context, Params], Keys]


# -- the shapes of declarations ---------------------------------------------------------------------------------------


def _no_keys(ctx: Context, params: Params) -> Keys:  # noqa: ARG001
    return {}


def on_key(
    operation: str, keys: AddKeys = _no_keys, *, context: str = "EncryptionContext"
) -> Callable[[Context, Params], Demands]:
    """Demands of an operation on the key in `KeyId`."""

    def demands(ctx: Context, params: Params) -> Demands:
        return (demand_on(ctx, params["KeyId"], operation, params.get(context, {}), keys(ctx, params)),)

    return demands


def without_resource(operation: str, keys: AddKeys = _no_keys) -> Callable[[Context, Params], Demands]:
    """Demands of an operation that knows no resources."""

    def demands(ctx: Context, params: Params) -> Demands:
        return (Demand(f"kms:{operation}", None, {**about(ctx, None, None), **keys(ctx, params)}),)

    return demands


def _from(members: Mapping[str, str], defaults: Mapping[str, str] | None = None) -> AddKeys:
    """Condition keys that are members of the request:

    `members` maps a member to its key, `defaults` to a value when it is absent.
    """

    def keys(ctx: Context, params: Params) -> Keys:  # noqa: ARG001
        said: Keys = {}
        for member, name in members.items():
            value: Any = params.get(member, (defaults or {}).get(member))
            if value is not None:
                said[name] = (said_of(value) if isinstance(value, bool) else str(value),)
        return said

    return keys


def _tags(params: Params) -> Keys:
    if not params.get("Tags"):
        return {}
    keys: Keys = {f"aws:RequestTag/{tag['TagKey']}": (tag["TagValue"],) for tag in params["Tags"]}
    keys["aws:TagKeys"] = tuple(tag["TagKey"] for tag in params["Tags"])
    return keys


# -- declarations that need more words --------------------------------------------------------------------------------


def create_key(ctx: Context, params: Params) -> Demands:
    spec = params.get("KeySpec") or params.get("CustomerMasterKeySpec") or SYMMETRIC
    keys: Keys = {
        **about(ctx, None, None),
        "kms:KeySpec": (spec,),
        "kms:KeyUsage": (params.get("KeyUsage", "ENCRYPT_DECRYPT"),),
        "kms:KeyOrigin": (params.get("Origin", "AWS_KMS"),),
        "kms:MultiRegion": (said_of(params.get("MultiRegion", False)),),
        "kms:BypassPolicyLockoutSafetyCheck": (said_of(params.get("BypassPolicyLockoutSafetyCheck", False)),),
        **_tags(params),
    }
    return (Demand("kms:CreateKey", None, keys), *_tagging(ctx, params, keys))


def _tagging(ctx: Context, params: Params, keys: Keys) -> Sequence[Demand]:
    """Source: CreateKey, API reference: tags need kms:TagResource in an identity policy."""
    if not params.get("Tags"):
        return ()
    return (Demand("kms:TagResource", Target(ctx.place.arn("kms", "key/*"), None, ctx.place.account), keys),)


def decrypt(ctx: Context, params: Params) -> Demands:
    """What a service asks on somebody's behalf, to open what is kept, it asks again and again: such a demand is kept."""
    blob = params.get("CiphertextBlob", b"")
    if not ctx.caller.via or params.keys() != _KEPT_DECRYPT or len(blob) > KEPT_BLOB_BYTES:
        return _decrypt(ctx, params)
    key = ("kms.decrypt", ctx.place, ctx.caller.account, blob, tuple(params["EncryptionContext"].items()))
    kept = ctx.tx.derived(key, lambda: _decrypt_to_keep(ctx, params, blob))
    if kept is None:
        return _decrypt(ctx, params)
    demands, ctx.found["bound", blob] = kept
    return demands


def _decrypt(ctx: Context, params: Params) -> Demands:
    return _opening(ctx, params, "Decrypt", "KeyId", "EncryptionContext", _ALGORITHM(ctx, params))


def _decrypt_to_keep(ctx: Context, params: Params, blob: bytes) -> tuple[Demands, bytes] | None:
    """The demands, and what the blob must be bound to: its context is one that may be.

    None if there is no such key, or it has grants: whom they are for is to be found out for each caller.
    """
    opened = lookup.locate_blob(ctx, blob)
    if opened is None or opened.key.grants:
        return None
    refuse_context(params["EncryptionContext"])
    demands = tuple(replace(demand, permitted={}) for demand in _decrypt(ctx, params))
    return demands, dkgcm.canonical(opened.key.bound_to(params["EncryptionContext"]))


def _opening(ctx: Context, params: Params, action: str, member: str, context_member: str, keys: Keys) -> Demands:
    """`action` on the key that is named, or else on the one that the ciphertext names.

    The ARN that a denial shows is made from the ciphertext alone, so it does not tell whether the key exists. What is
    no ciphertext of ours names no key: the operation refuses it for everybody alike.
    """
    context = params.get(context_member, {})
    if member in params:
        return (demand_on(ctx, params[member], action, context, keys),)
    blob = params.get("CiphertextBlob", b"")
    shown = lookup.claimed_arn(ctx, blob)
    if shown is None:
        return ()
    opened = lookup.locate_blob(ctx, blob)
    if opened is None:
        said = {**about(ctx, None, None), **about_context(context), **keys}
        return (Demand(f"kms:{action}", Target(shown, shown, ctx.place.account), said),)
    key = opened.key
    said = {**about(ctx, key, None), **about_context(context), **keys}
    return (Demand(f"kms:{action}", key_target(key, shown, granted(ctx, key, action, context)), said),)


def re_encrypt(ctx: Context, params: Params) -> Demands:
    algorithms = _from(
        {"DestinationEncryptionAlgorithm": "kms:EncryptionAlgorithm"}, {"DestinationEncryptionAlgorithm": SYMMETRIC}
    )
    source_algorithms = _from(
        {"SourceEncryptionAlgorithm": "kms:EncryptionAlgorithm"}, {"SourceEncryptionAlgorithm": SYMMETRIC}
    )
    target = lookup.locate(ctx, params["DestinationKeyId"]).key
    opened = lookup.locate_blob(ctx, params.get("CiphertextBlob", b""))
    source = (
        lookup.locate(ctx, params["SourceKeyId"]).key if "SourceKeyId" in params else opened.key if opened else None
    )
    same: Keys = {
        "kms:ReEncryptOnSameKey": (said_of(source is not None and target is not None and source.id == target.id),)
    }
    opening = _opening(
        ctx,
        params,
        "ReEncryptFrom",
        "SourceKeyId",
        "SourceEncryptionContext",
        {**source_algorithms(ctx, params), **same},
    )
    closing = demand_on(
        ctx,
        params["DestinationKeyId"],
        "ReEncryptTo",
        params.get("DestinationEncryptionContext", {}),
        {**algorithms(ctx, params), **same},
    )
    return (*opening, closing)


def _alias_demand(ctx: Context, operation: str, name: str) -> Demand:
    arn = ctx.place.arn("kms", name)
    return Demand(f"kms:{operation}", Target(arn, arn, ctx.place.account), about(ctx, None, None))


def create_alias(ctx: Context, params: Params) -> Demands:
    return (
        _alias_demand(ctx, "CreateAlias", params["AliasName"]),
        demand_on(ctx, params["TargetKeyId"], "CreateAlias", {}, {}),
    )


def _worn(ctx: Context, operation: str, name: str) -> Demands:
    """The permission on the alias, and on the key that it points to now."""
    on_alias = _alias_demand(ctx, operation, name)
    key = lookup.locate(ctx, name).key if name.startswith("alias/") else None
    if key is None:
        return (on_alias,)
    return (on_alias, Demand(f"kms:{operation}", key_target(key, key.arn), about(ctx, key, None)))


def update_alias(ctx: Context, params: Params) -> Demands:
    new = demand_on(ctx, params["TargetKeyId"], "UpdateAlias", {}, {})
    return (*_worn(ctx, "UpdateAlias", params["AliasName"]), new)


def delete_alias(ctx: Context, params: Params) -> Demands:
    return _worn(ctx, "DeleteAlias", params["AliasName"])


def _grant_keys(ctx: Context, params: Params) -> Keys:
    keys: Keys = {
        "kms:GrantOperations": tuple(params["Operations"]),
        "kms:GrantIsForAWSResource": (said_of(bool(ctx.caller.via) or ctx.caller.kind == "AWSService"),),
    }
    for member in ("GranteePrincipal", "RetiringPrincipal", "GranteeServicePrincipal", "RetiringServicePrincipal"):
        if params.get(member):
            keys[f"kms:{member}"] = (params[member],)
    constraints = tuple(params.get("Constraints", {}))
    if constraints:
        keys["kms:GrantConstraintType"] = constraints
    return keys


def create_grant(ctx: Context, params: Params) -> Demands:
    """A grant can be the permission to make another one, if that gives no more than it does itself."""

    def covers(grant: Grant) -> bool:
        return grant_covers(grant, params["Operations"], params.get("Constraints", {}))

    return (demand_on(ctx, params["KeyId"], "CreateGrant", {}, _grant_keys(ctx, params), covers),)


def retire_grant(ctx: Context, params: Params) -> Demands:
    """The retiring principal may, the grantee if the grant says so, and whoever the key policy allows."""
    try:
        grant = grants.named_grant(ctx, params)
    except ServiceError:
        named = params.get("KeyId")
        arn = lookup.locate(ctx, named).arn if named else ctx.place.arn("kms", "key/*")
        return (Demand("kms:RetireGrant", Target(arn, named, ctx.place.account), about(ctx, None, None)),)
    key = store.find(ctx.tx, ctx.sealing, grant.region, grant.key)
    if key is None:
        raise Unsealable(f"grant {grant.id} is on a key that is gone")
    permitted = grant.id if _may_retire(ctx, grant) else None
    return (Demand("kms:RetireGrant", key_target(key, key.arn, permitted), about(ctx, key, None)),)


def _may_retire(ctx: Context, grant: Grant) -> bool:
    names = caller_names(ctx)
    by_issuer = ctx.caller.kind == "Root" and ctx.caller.account == grant.issuer
    return by_issuer or grant.retiring in names or (grant.grantee in names and "RetireGrant" in grant.operations)


_ALGORITHM = _from({"EncryptionAlgorithm": "kms:EncryptionAlgorithm"}, {"EncryptionAlgorithm": SYMMETRIC})
_SYMMETRIC_ONLY = _from({"": "kms:EncryptionAlgorithm"}, {"": SYMMETRIC})
_WINDOW = _from({"PendingWindowInDays": "kms:ScheduleKeyDeletionPendingWindowInDays"}, {"PendingWindowInDays": "30"})
_PAIR = _from({"KeyPairSpec": "kms:DataKeyPairSpec", "": "kms:EncryptionAlgorithm"}, {"": SYMMETRIC})


def _bypass(ctx: Context, params: Params) -> Keys:  # noqa: ARG001
    return {"kms:BypassPolicyLockoutSafetyCheck": (said_of(params.get("BypassPolicyLockoutSafetyCheck", False)),)}


def _request_tags(ctx: Context, params: Params) -> Keys:  # noqa: ARG001
    return _tags(params)


def _tag_names(ctx: Context, params: Params) -> Keys:  # noqa: ARG001
    return {"aws:TagKeys": tuple(params["TagKeys"])} if params["TagKeys"] else {}


def list_retirable(ctx: Context, params: Params) -> Demands:
    """On the retiring principal, which must be of the caller's own account.

    Source: ListRetirableGrants, botocore model 2014-11-01. Unverified: the message.
    """
    if "RetiringPrincipal" not in params:
        return (Demand("kms:ListRetirableGrants", None, about(ctx, None, None)),)
    retiring = params["RetiringPrincipal"]
    parts = retiring.split(":", 5)
    account = parts[4] if len(parts) == 6 and parts[0] == "arn" else retiring
    if not is_account(account):
        raise InvalidArn(f"Invalid arn {retiring}")
    return (Demand("kms:ListRetirableGrants", Target(retiring, retiring, account), about(ctx, None, None)),)


_SIGNING = _from({"SigningAlgorithm": "kms:SigningAlgorithm", "MessageType": "kms:MessageType"}, {"MessageType": "RAW"})
_MAC = _from({"MacAlgorithm": "kms:MacAlgorithm"})
_AGREEMENT = _from({"KeyAgreementAlgorithm": "kms:KeyAgreementAlgorithm"})
_ENCAPSULATION = _from({"EncapsulationAlgorithm": "kms:EncapsulationAlgorithm"})
_PERIOD = _from({"RotationPeriodInDays": "kms:RotationPeriodInDays"}, {"RotationPeriodInDays": "365"})
_WRAPPING = _from({"WrappingAlgorithm": "kms:WrappingAlgorithm", "WrappingKeySpec": "kms:WrappingKeySpec"})
_PRIMARY = _from({"PrimaryRegion": "kms:PrimaryRegion"})


def _import_keys(ctx: Context, params: Params) -> Keys:  # noqa: ARG001
    keys: Keys = {"kms:ExpirationModel": (params.get("ExpirationModel", "KEY_MATERIAL_EXPIRES"),)}
    if "ValidTo" in params:
        keys["kms:ValidTo"] = (params["ValidTo"].strftime("%Y-%m-%dT%H:%M:%SZ"),)
    return keys


def replicate_key(ctx: Context, params: Params) -> Demands:
    """Source: ReplicateKey, API reference: ReplicateKey on the primary key, and CreateKey in the region of the replica."""
    region = params["ReplicaRegion"]
    on_primary = demand_on(ctx, params["KeyId"], "ReplicateKey", {}, {"kms:ReplicaRegion": (region,)})
    primary = lookup.locate(ctx, params["KeyId"]).key
    keys: Keys = {
        **about(ctx, primary, None),
        "aws:RequestedRegion": (region,),
        **_bypass(ctx, params),
        **_tags(params),
    }
    return (on_primary, Demand("kms:CreateKey", None, keys), *_tagging(ctx, params, keys))


_DATA = ("KeyId", "KeySpec", "NumberOfBytes", "EncryptionContext", "DryRun")
_PAIRED = ("KeyId", "KeyPairSpec", "EncryptionContext", "DryRun")
_PAGE = ("Limit", "Marker")

ACCESS: Mapping[str, Access] = {
    "CancelKeyDeletion": Access(on_key("CancelKeyDeletion"), ("KeyId",), ("KeyId",)),
    "CreateAlias": Access(create_alias, ("AliasName", "TargetKeyId")),
    "CreateGrant": Access(
        create_grant,
        ("KeyId", "GranteePrincipal", "RetiringPrincipal", "GranteeServicePrincipal", "RetiringServicePrincipal",
         "Operations", "Constraints", "Name", "DryRun"),
        ("GrantId",),
    ),
    "CreateKey": Access(
        create_key,
        ("Policy", "Description", "KeyUsage", "CustomerMasterKeySpec", "KeySpec", "Origin", "MultiRegion", "Tags",
         "BypassPolicyLockoutSafetyCheck"),
        ("KeyMetadata",),
    ),
    "Decrypt": Access(decrypt, ("KeyId", "EncryptionContext", "EncryptionAlgorithm", "DryRun")),
    "DeleteAlias": Access(delete_alias, ("AliasName",)),
    "DescribeKey": Access(on_key("DescribeKey"), ("KeyId",)),
    "DisableKey": Access(on_key("DisableKey"), ("KeyId",)),
    "EnableKey": Access(on_key("EnableKey"), ("KeyId",)),
    "Encrypt": Access(on_key("Encrypt", _ALGORITHM), ("KeyId", "EncryptionContext", "EncryptionAlgorithm", "DryRun")),
    "GenerateDataKey": Access(on_key("GenerateDataKey", _SYMMETRIC_ONLY), _DATA),
    "GenerateDataKeyPair": Access(on_key("GenerateDataKeyPair", _PAIR), _PAIRED),
    "GenerateDataKeyPairWithoutPlaintext": Access(on_key("GenerateDataKeyPairWithoutPlaintext", _PAIR), _PAIRED),
    "GenerateDataKeyWithoutPlaintext": Access(on_key("GenerateDataKeyWithoutPlaintext", _SYMMETRIC_ONLY), _DATA),
    "GenerateRandom": Access(without_resource("GenerateRandom"), ("NumberOfBytes",)),
    "Decapsulate": Access(on_key("Decapsulate", _ENCAPSULATION), ("KeyId", "EncapsulationAlgorithm", "DryRun")),
    "DeleteImportedKeyMaterial": Access(on_key("DeleteImportedKeyMaterial"), ("KeyId", "KeyMaterialId"), ("KeyId", "KeyMaterialId")),
    "DeriveSharedSecret": Access(on_key("DeriveSharedSecret", _AGREEMENT), ("KeyId", "KeyAgreementAlgorithm", "DryRun")),
    "DisableKeyRotation": Access(on_key("DisableKeyRotation"), ("KeyId",)),
    "EnableKeyRotation": Access(on_key("EnableKeyRotation", _PERIOD), ("KeyId", "RotationPeriodInDays")),
    "Encapsulate": Access(on_key("Encapsulate", _ENCAPSULATION), ("KeyId", "EncapsulationAlgorithm", "DryRun")),
    "GenerateMac": Access(on_key("GenerateMac", _MAC), ("KeyId", "MacAlgorithm", "DryRun")),
    "GetKeyRotationStatus": Access(on_key("GetKeyRotationStatus"), ("KeyId",)),
    "GetParametersForImport": Access(
        on_key("GetParametersForImport", _WRAPPING), ("KeyId", "WrappingAlgorithm", "WrappingKeySpec")
    ),
    "GetPublicKey": Access(on_key("GetPublicKey"), ("KeyId",)),
    "ImportKeyMaterial": Access(
        on_key("ImportKeyMaterial", _import_keys),
        ("KeyId", "ValidTo", "ExpirationModel", "ImportType", "KeyMaterialDescription", "KeyMaterialId"),
        ("KeyId", "KeyMaterialId"),
    ),
    "ListKeyRotations": Access(on_key("ListKeyRotations"), ("KeyId", "IncludeKeyMaterial", *_PAGE)),
    "ReplicateKey": Access(
        replicate_key,
        ("KeyId", "ReplicaRegion", "Policy", "Description", "Tags", "BypassPolicyLockoutSafetyCheck"),
        ("ReplicaKeyMetadata",),
    ),
    "RotateKeyOnDemand": Access(on_key("RotateKeyOnDemand"), ("KeyId",), ("KeyId",)),
    "Sign": Access(on_key("Sign", _SIGNING), ("KeyId", "MessageType", "SigningAlgorithm", "DryRun")),
    "UpdatePrimaryRegion": Access(on_key("UpdatePrimaryRegion", _PRIMARY), ("KeyId", "PrimaryRegion")),
    "Verify": Access(on_key("Verify", _SIGNING), ("KeyId", "MessageType", "SigningAlgorithm", "DryRun")),
    "VerifyMac": Access(on_key("VerifyMac", _MAC), ("KeyId", "MacAlgorithm", "DryRun")),
    "GetKeyLastUsage": Access(on_key("GetKeyLastUsage"), ("KeyId",)),
    "GetKeyPolicy": Access(on_key("GetKeyPolicy"), ("KeyId", "PolicyName")),
    "ListAliases": Access(without_resource("ListAliases"), ("KeyId", *_PAGE)),
    "ListGrants": Access(
        on_key("ListGrants"), ("KeyId", "GrantId", "GranteePrincipal", "GranteeServicePrincipal", *_PAGE)
    ),
    "ListKeyPolicies": Access(on_key("ListKeyPolicies"), ("KeyId", *_PAGE)),
    "ListKeys": Access(without_resource("ListKeys"), _PAGE),
    "ListResourceTags": Access(on_key("ListResourceTags"), ("KeyId", *_PAGE)),
    "ListRetirableGrants": Access(list_retirable, ("RetiringPrincipal", "RetiringServicePrincipal", *_PAGE)),
    "PutKeyPolicy": Access(
        on_key("PutKeyPolicy", _bypass), ("KeyId", "PolicyName", "Policy", "BypassPolicyLockoutSafetyCheck")
    ),
    "ReEncrypt": Access(
        re_encrypt,
        ("SourceKeyId", "SourceEncryptionContext", "SourceEncryptionAlgorithm", "DestinationKeyId",
         "DestinationEncryptionContext", "DestinationEncryptionAlgorithm", "DryRun"),
    ),
    "RetireGrant": Access(retire_grant, ("KeyId", "GrantId", "DryRun")),
    "RevokeGrant": Access(on_key("RevokeGrant"), ("KeyId", "GrantId", "DryRun")),
    "ScheduleKeyDeletion": Access(
        on_key("ScheduleKeyDeletion", _WINDOW),
        ("KeyId", "PendingWindowInDays"),
        ("KeyId", "KeyState", "DeletionDate", "PendingWindowInDays"),
    ),
    "TagResource": Access(on_key("TagResource", _request_tags), ("KeyId", "Tags")),
    "UntagResource": Access(on_key("UntagResource", _tag_names), ("KeyId", "TagKeys")),
    "UpdateAlias": Access(update_alias, ("AliasName", "TargetKeyId")),
    "UpdateKeyDescription": Access(on_key("UpdateKeyDescription"), ("KeyId", "Description")),
}  # fmt: skip
