"""Multi-Region keys: one key in several regions of this site, with one id and the same material."""

from dataclasses import replace

from geumgo.context import Context, Params
from geumgo.room import operation
from geumgo.services.kms import lookup, policies, store
from geumgo.services.kms.domain import refuse_deletion_pending, refuse_unstorable, refuse_unusable, tags_of
from geumgo.services.kms.errors import AlreadyExists, NotFound, UnsupportedOperation
from geumgo.services.kms.keys import metadata
from geumgo.services.kms.plan import plan_rotation
from geumgo.services.kms.records import ENABLED, OURS, PENDING_IMPORT, Key
from geumgo.services.kms.sealed import copy_material


def _primary(ctx: Context, name: str, key_id: str) -> Key:
    """The caller's primary key. Unverified: the messages."""
    key = lookup.get_own(ctx, name, key_id)
    if not key.multi_region:
        raise UnsupportedOperation(f"{key.arn} is not a multi-Region key.")
    if not key.is_primary:
        raise UnsupportedOperation(f"{key.arn} is not a primary key.")
    return key


@operation
def replicate_key(ctx: Context, params: Params) -> Params:
    """Source: ReplicateKey, API reference:

    policy, tags and description are the replica's own; imported material is imported again.
    """
    key = _primary(ctx, "ReplicateKey", params["KeyId"])
    region = params["ReplicaRegion"]
    if key.origin == OURS:
        refuse_unusable(key)
    refuse_deletion_pending(key)
    _refuse_region(ctx, key, region)
    description, tags = params.get("Description", ""), params.get("Tags", [])
    refuse_unstorable("description", description)
    document = kept = params.get("Policy") or policies.default_policy(key.partition, key.account)
    bypass = params.get("BypassPolicyLockoutSafetyCheck", False)
    if "Policy" in params:
        kept = policies.to_keep(ctx, key.arn_in(region), document, bypass_lockout=bypass)
    replica = replace(
        key,
        region=region,
        state=ENABLED if key.origin == OURS else PENDING_IMPORT,
        description=description,
        policy=kept,
        created_at_ms=ctx.clock.now_ms(),
        version=key.version if key.origin == OURS else 0,
        tags=tags_of(tags),
        aliases=(),
        grants=0,
        revision=0,
    )
    store.add(ctx.tx, ctx.sealing, replica)
    if key.origin == OURS:
        for material in store.list_material(ctx.tx, key):
            copy_material(ctx, ctx.tx, key, replica, material)
    return {"ReplicaKeyMetadata": metadata(ctx, replica), "ReplicaPolicy": document, "ReplicaTags": tags}


def _refuse_region(ctx: Context, key: Key, region: str) -> None:
    """Raises UnsupportedOperation for a region that this site does not serve, AlreadyExists if the key is there already.

    Unverified: the messages.
    """
    if region not in ctx.regions:
        raise UnsupportedOperation(f"The region {region} is not served here.")
    if any(each.region == region for each in store.related(ctx.tx, ctx.sealing, key)):
        raise AlreadyExists(f"{key.arn_in(region)} already exists.")


@operation
def update_primary_region(ctx: Context, params: Params) -> Params:
    """Source: UpdatePrimaryRegion, API reference: both keys must be enabled; the rotation moves with the primary."""
    key = _primary(ctx, "UpdatePrimaryRegion", params["KeyId"])
    region = params["PrimaryRegion"]
    family = store.related(ctx.tx, ctx.sealing, key)
    chosen = next((each for each in family if each.region == region), None)
    if chosen is None:
        raise NotFound(f"Key '{key.arn_in(region)}' does not exist")
    for each in (key, chosen):
        refuse_unusable(each)
    plan_rotation(ctx.tx, key, None)
    for each in family:
        store.save(ctx.tx, ctx.sealing, replace(each, primary_region=region))
    plan_rotation(ctx.tx, replace(chosen, primary_region=region), chosen.next_rotation_at_ms)
    return {}
