"""The life of a key: made, described, switched on and off, deleted when its waiting time is over."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from geumgo.context import Context, Params, Place, Work, as_datetime
from geumgo.jobs import promise, withdraw
from geumgo.room import job, operation, reads
from geumgo.sealing import random
from geumgo.services.kms import lookup, policies, sealed, store
from geumgo.services.kms.bus import DELETED, told
from geumgo.services.kms.domain import (
    DAY_MS,
    LISTED_AS,
    SPECS,
    SYMMETRIC,
    algorithms_of,
    marker_after,
    read_marker,
    refuse_deletion_pending,
    refuse_unstorable,
    refuse_without_material,
    tags_of,
    usage_of,
)
from geumgo.services.kms.errors import InvalidState, UnsupportedOperation, ValidationFailed
from geumgo.services.kms.records import (
    DISABLED,
    ENABLED,
    EXTERNAL,
    OURS,
    PENDING_DELETION,
    PENDING_IMPORT,
    PENDING_REPLICA_DELETION,
    Key,
    Material,
    spell,
)
from geumgo.storage import Tx

OLD_SPECS = frozenset(spec for spec in SPECS if not spec.startswith("ML_") and spec != "ECC_NIST_EDWARDS25519")
"""The specs that CustomerMasterKeySpec, the deprecated twin of KeySpec, can say."""

IMPORTABLE = frozenset(spec for spec in SPECS if not spec.startswith("ML_") and spec != "ECC_NIST_EDWARDS25519")
"""The specs whose material may be imported. Source: "Importing key material", developer guide. Unverified: Ed25519."""

WINDOW_DAYS, LEAST_WINDOW_DAYS, MOST_WINDOW_DAYS = 30, 7, 30


# -- making and describing --------------------------------------------------------------------------------------------


@operation
def create_key(ctx: Context, params: Params) -> Params:
    spec = asked_spec(params)
    usage = usage_of(spec, params.get("KeyUsage"))
    origin = _asked_origin(params, spec)
    description = params.get("Description", "")
    refuse_unstorable("description", description)
    multi_region = params.get("MultiRegion", False)
    place = ctx.place
    key = Key(
        partition=place.partition,
        region=place.region,
        account=place.account,
        id=random.uuid().replace("-", ""),
        multi_region=multi_region,
        primary_region=place.region if multi_region else "",
        spec=spec,
        usage=usage,
        origin=origin,
        manager="CUSTOMER",
        state=ENABLED if origin == OURS else PENDING_IMPORT,
        description=description,
        policy=policies.default_policy(place.partition, place.account),
        created_at_ms=ctx.clock.now_ms(),
        version=1 if origin == OURS else 0,
        tags=tags_of(params.get("Tags", [])),
    )
    bypass = params.get("BypassPolicyLockoutSafetyCheck", False)
    if "Policy" in params:
        key = replace(key, policy=policies.to_keep(ctx, key.arn, params["Policy"], bypass_lockout=bypass))
    store.add(ctx.tx, ctx.sealing, key)
    if origin == OURS:
        sealed.give_first_material(ctx, key)
    return {"KeyMetadata": metadata(ctx, key)}


def asked_spec(params: Params) -> str:
    """The spec of a new key, by its new or its deprecated name. Unverified: the message when both are given."""
    if "KeySpec" in params and "CustomerMasterKeySpec" in params:
        raise ValidationFailed(
            "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated."
        )
    spec: str = params.get("KeySpec") or params.get("CustomerMasterKeySpec") or SYMMETRIC
    return spec


def _asked_origin(params: Params, spec: str) -> str:
    origin: str = params.get("Origin", OURS)
    if origin not in (OURS, EXTERNAL) or "CustomKeyStoreId" in params or "XksKeyId" in params:
        raise UnsupportedOperation("Custom key stores are not supported.")
    if origin == EXTERNAL and spec not in IMPORTABLE:
        raise UnsupportedOperation(f"KeySpec {spec} is not supported with origin {origin}.")
    return origin


@reads
def describe_key(ctx: Context, params: Params) -> Params:
    key = lookup.get(ctx, params["KeyId"])
    return {"KeyMetadata": metadata(ctx, key, lookup.locate(ctx, params["KeyId"]).material)}


def metadata(ctx: Context, key: Key, material: Material | None = None) -> Params:
    """KeyMetadata. `material` is the version that encrypts, read if it is not given."""
    if material is None and key.version:
        material = store.find_material(ctx.tx, key, key.version)
    said: Params = {
        "AWSAccountId": key.account,
        "KeyId": key.key_id,
        "Arn": key.arn,
        "CreationDate": as_datetime(key.created_at_ms),
        "Enabled": key.state == ENABLED,
        "Description": key.description,
        "KeyUsage": key.usage,
        "KeyState": key.state,
        "Origin": key.origin,
        "KeyManager": key.manager,
        "KeySpec": key.spec,
        LISTED_AS[key.usage]: list(algorithms_of(key)),
        "MultiRegion": key.multi_region,
    }
    if key.spec in OLD_SPECS:
        said["CustomerMasterKeySpec"] = key.spec
    if key.state == PENDING_DELETION and key.deletion_at_ms is not None:
        said["DeletionDate"] = as_datetime(key.deletion_at_ms)
    if key.state == PENDING_REPLICA_DELETION:
        said["PendingDeletionWindowInDays"] = key.pending_window_days
    if key.multi_region:
        said["MultiRegionConfiguration"] = _family(ctx, key)
    if material is not None and material.sealed is not None:
        said.update(_about_material(key, material))
    return said


def _about_material(key: Key, material: Material) -> Params:
    said: Params = {}
    if key.spec == SYMMETRIC:
        said["CurrentKeyMaterialId"] = material.material_id
    if key.origin == EXTERNAL and key.state != PENDING_IMPORT:
        said["ExpirationModel"] = expiration_model(material)
        if material.expires_at_ms is not None:
            said["ValidTo"] = as_datetime(material.expires_at_ms)
    return said


def expiration_model(material: Material) -> str:
    """Whether imported material expires, in AWS's words."""
    return "KEY_MATERIAL_DOES_NOT_EXPIRE" if material.expires_at_ms is None else "KEY_MATERIAL_EXPIRES"


def _family(ctx: Context, key: Key) -> Params:
    def shown(region: str) -> dict[str, str]:
        return {"Arn": key.arn_in(region), "Region": region}

    regions = [each.region for each in store.related(ctx.tx, ctx.sealing, key)]
    return {
        "MultiRegionKeyType": "PRIMARY" if key.is_primary else "REPLICA",
        "PrimaryKey": shown(key.primary_region),
        "ReplicaKeys": [shown(region) for region in regions if region != key.primary_region],
    }


@reads
def list_keys(ctx: Context, params: Params) -> Params:
    """Source: ListKeys, API reference: 100 a page. Nothing is ever shared through RAM here."""
    if "SELF" not in params.get("ResourceOwners", ["SELF"]):
        return {"Keys": [], "Truncated": False}
    limit = params.get("Limit", 100)
    after = read_marker(params.get("Marker"))
    found = store.list_keys(ctx.tx, ctx.place.account, ctx.place.region, after=after, limit=limit + 1)
    ids = [spell(key_id, multi_region=multi_region) for key_id, multi_region in found[:limit]]
    listed = [{"KeyId": key_id, "KeyArn": ctx.place.arn("kms", f"key/{key_id}")} for key_id in ids]
    return {"Keys": listed, **page_end([key_id for key_id, _ in found], limit)}


def page_end(names: Sequence[str], limit: int) -> Params:
    """The end of a listing's answer. `names` has one more than `limit` if there is a further page."""
    if len(names) <= limit:
        return {"Truncated": False}
    return {"Truncated": True, "NextMarker": marker_after(names[limit - 1])}


# -- changing ---------------------------------------------------------------------------------------------------------


@operation
def update_key_description(ctx: Context, params: Params) -> Params:
    key = lookup.get_own(ctx, "UpdateKeyDescription", params["KeyId"])
    refuse_deletion_pending(key)
    refuse_unstorable("description", params["Description"])
    store.save(ctx.tx, ctx.sealing, replace(key, description=params["Description"]))
    return {}


@operation
def enable_key(ctx: Context, params: Params) -> Params:
    key = lookup.get_own(ctx, "EnableKey", params["KeyId"])
    refuse_without_material(key)
    store.save(ctx.tx, ctx.sealing, replace(key, state=ENABLED))
    return {}


@operation
def disable_key(ctx: Context, params: Params) -> Params:
    key = lookup.get_own(ctx, "DisableKey", params["KeyId"])
    refuse_without_material(key)
    store.save(ctx.tx, ctx.sealing, replace(key, state=DISABLED))
    return {}


# -- deleting ---------------------------------------------------------------------------------------------------------


@operation
def schedule_key_deletion(ctx: Context, params: Params) -> Params:
    key = lookup.get_own(ctx, "ScheduleKeyDeletion", params["KeyId"])
    window_days = params.get("PendingWindowInDays", WINDOW_DAYS)
    _refuse_window(window_days)
    refuse_deletion_pending(key)
    if key.is_primary and len(store.related(ctx.tx, ctx.sealing, key)) > 1:
        waiting = replace(key, state=PENDING_REPLICA_DELETION, pending_window_days=window_days)
        store.save(ctx.tx, ctx.sealing, waiting)
        return {"KeyId": key.arn, "KeyState": PENDING_REPLICA_DELETION, "PendingWindowInDays": window_days}
    doomed = _set_date(ctx.tx, ctx, key, window_days)
    assert doomed.deletion_at_ms is not None, "a doomed key has no date"
    return {
        "KeyId": key.arn,
        "DeletionDate": as_datetime(doomed.deletion_at_ms),
        "KeyState": PENDING_DELETION,
        "PendingWindowInDays": window_days,
    }


def _refuse_window(days: int) -> None:
    """Source: ScheduleKeyDeletion, API reference: 7 to 30 days. Unverified: the message."""
    bound = ("greater", LEAST_WINDOW_DAYS) if days < LEAST_WINDOW_DAYS else ("less", MOST_WINDOW_DAYS)
    if not LEAST_WINDOW_DAYS <= days <= MOST_WINDOW_DAYS:
        raise ValidationFailed(
            f"1 validation error detected: Value '{days}' at 'pendingWindowInDays' failed to satisfy constraint: "
            f"Member must have value {bound[0]} than or equal to {bound[1]}"
        )


def _deletion_of(key: Key) -> str:
    """The name under which the deletion waits among the jobs."""
    return f"kms.delete_key:{key.arn}"


def _set_date(tx: Tx, at: Context | Work, key: Key, window_days: int) -> Key:
    """The key waits for its deletion; a job will do it in `window_days` days of 24 hours."""
    deletion_at_ms = at.clock.now_ms() + window_days * DAY_MS
    doomed = replace(key, state=PENDING_DELETION, deletion_at_ms=deletion_at_ms, pending_window_days=window_days)
    store.save(tx, at.sealing, doomed)
    promise(
        tx,
        "kms.delete_key",
        Place(key.account, key.region, key.partition),
        {"id": key.id},
        run_at_ms=deletion_at_ms,
        lock=key.arn,
        dedup=_deletion_of(key),
    )
    return doomed


@operation
def cancel_key_deletion(ctx: Context, params: Params) -> Params:
    """Source: CancelKeyDeletion, API reference: the key is disabled afterwards."""
    key = lookup.get_own(ctx, "CancelKeyDeletion", params["KeyId"])
    if key.state not in (PENDING_DELETION, PENDING_REPLICA_DELETION):
        raise InvalidState(f"{key.arn} is not pending deletion.")
    complete = all(material.sealed is not None for material in store.list_material(ctx.tx, key)) and key.version > 0
    state = DISABLED if complete else PENDING_IMPORT
    kept = replace(key, state=state, deletion_at_ms=None, pending_window_days=None)
    store.save(ctx.tx, ctx.sealing, kept)
    withdraw(ctx.tx, _deletion_of(key))
    return {"KeyId": key.arn}


@job("kms.delete_key")
def delete_key(work: Work, payload: Params) -> None:
    """The key's material is destroyed, if its time is still over.

    A primary key that waited for its last replica gets its date.
    """
    key_id: Any = payload["id"]
    with work.finishing() as tx:
        key = store.find(tx, work.sealing, work.place.region, key_id)
        if key is None or key.state != PENDING_DELETION or key.deletion_at_ms is None:
            return
        if key.deletion_at_ms > work.clock.now_ms():
            return
        family = store.related(tx, work.sealing, key) if key.multi_region else [key]
        store.destroy(tx, key)
        work.event("DeleteKey", keyId=key.key_id)
        work.publish(tx, *told(DELETED, key))
        left = [each for each in family if each.region != key.region]
        if len(left) == 1 and left[0].state == PENDING_REPLICA_DELETION:
            _set_date(tx, work, left[0], left[0].pending_window_days or WINDOW_DAYS)
