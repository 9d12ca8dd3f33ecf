"""Rotation: a key gets new material and keeps its id. What older material encrypted still decrypts."""

from dataclasses import replace
from typing import Any, Final

from geumgo.context import Context, Params, Work, as_datetime
from geumgo.room import job, operation, reads
from geumgo.services.kms import lookup, store
from geumgo.services.kms.bus import ROTATED, told
from geumgo.services.kms.domain import (
    DAY_MS,
    read_marker,
    refuse_unrotatable,
    refuse_unusable,
    refuse_without_rotation,
)
from geumgo.services.kms.errors import InvalidState, LimitExceeded, UnsupportedOperation
from geumgo.services.kms.keys import expiration_model, page_end
from geumgo.services.kms.material import generate
from geumgo.services.kms.plan import plan_rotation
from geumgo.services.kms.records import (
    CURRENT,
    ENABLED,
    EXTERNAL,
    NON_CURRENT,
    PENDING_DELETION,
    PENDING_REPLICA_DELETION,
    PENDING_ROTATION,
    Key,
    Material,
)
from geumgo.services.kms.sealed import copy_material, sealed_material
from geumgo.storage import Tx

PERIOD_DAYS: Final = 365
ON_DEMAND_LIMIT: Final = 25
AUTOMATIC, ON_DEMAND = "AUTOMATIC", "ON_DEMAND"


# -- the plan ---------------------------------------------------------------------------------------------------------


def _set_plan(ctx: Context, key: Key, days: int | None) -> None:
    """Every related key says the same of its rotation. Source: "Rotating multi-Region keys", developer guide."""
    next_at_ms = None if days is None else ctx.clock.now_ms() + days * DAY_MS
    for each in _family(ctx.tx, ctx, key):
        store.save(ctx.tx, ctx.sealing, replace(each, rotation_days=days, next_rotation_at_ms=next_at_ms))
    plan_rotation(ctx.tx, key, next_at_ms)


def _family(tx: Tx, at: Context | Work, key: Key) -> list[Key]:
    return store.related(tx, at.sealing, key) if key.multi_region else [key]


def _planned(ctx: Context, name: str, key_id: str) -> Key:
    """The key whose plan may be changed. Source: "Rotating multi-Region keys", developer guide. Unverified:

    the message.
    """
    key = lookup.get_own(ctx, name, key_id)
    refuse_unrotatable(key)
    refuse_unusable(key)
    _refuse_replica(key)
    return key


def _refuse_replica(key: Key) -> None:
    if key.multi_region and not key.is_primary:
        raise UnsupportedOperation(f"{key.arn} is a replica key, which is not valid for this operation.")


@operation
def enable_key_rotation(ctx: Context, params: Params) -> Params:
    """Unverified: the period counts from now, also if the rotation was on already."""
    key = _planned(ctx, "EnableKeyRotation", params["KeyId"])
    _set_plan(ctx, key, params.get("RotationPeriodInDays", PERIOD_DAYS))
    return {}


@operation
def disable_key_rotation(ctx: Context, params: Params) -> Params:
    key = _planned(ctx, "DisableKeyRotation", params["KeyId"])
    _set_plan(ctx, key, None)
    return {}


@reads
def get_key_rotation_status(ctx: Context, params: Params) -> Params:
    """Source: GetKeyRotationStatus, API reference:

    false for keys that cannot rotate, and while the deletion is pending.
    """
    key = lookup.get_by_id(ctx, params["KeyId"])
    waits = key.state in (PENDING_DELETION, PENDING_REPLICA_DELETION)
    if key.rotation_days is None or key.next_rotation_at_ms is None or waits:
        return {"KeyId": key.key_id, "KeyRotationEnabled": False}
    return {
        "KeyId": key.key_id,
        "KeyRotationEnabled": True,
        "RotationPeriodInDays": key.rotation_days,
        "NextRotationDate": as_datetime(key.next_rotation_at_ms),
    }


# -- rotating ---------------------------------------------------------------------------------------------------------


@operation
def rotate_key_on_demand(ctx: Context, params: Params) -> Params:
    """Source: RotateKeyOnDemand, API reference: symmetric encryption keys, 25 times at most.

    It does not move the automatic plan.
    """
    key = lookup.get_own(ctx, "RotateKeyOnDemand", params["KeyId"])
    refuse_without_rotation(key)
    refuse_unusable(key)
    _refuse_replica(key)
    versions = store.list_material(ctx.tx, key)
    if sum(material.rotation == ON_DEMAND for material in versions) >= ON_DEMAND_LIMIT:
        raise LimitExceeded(f"{key.arn} has been rotated on demand {ON_DEMAND_LIMIT} times.")
    if key.origin == EXTERNAL:
        _rotate_to_imported(ctx, key, versions)
    else:
        rotate(ctx.tx, ctx, key, ON_DEMAND, next_at_ms=key.next_rotation_at_ms)
    ctx.event("RotateKey", keyId=key.key_id, keyOrigin=key.origin, rotationType=ON_DEMAND)
    ctx.publish(*told(ROTATED, key))
    return {"KeyId": key.key_id}


def _rotate_to_imported(ctx: Context, key: Key, versions: list[Material]) -> None:
    """Source: RotateKeyOnDemand, API reference: imported keys rotate to material that was imported for it. Unverified:

    the message.
    """
    waiting = next((m for m in versions if m.state == PENDING_ROTATION and m.sealed is not None), None)
    if waiting is None:
        raise InvalidState(f"{key.arn} has no key material that is pending rotation.")
    for material in versions:
        if material.state == CURRENT:
            store.keep_material(ctx.tx, key, replace(material, state=NON_CURRENT))
    turned = replace(waiting, state=CURRENT, rotation=ON_DEMAND, rotated_at_ms=ctx.clock.now_ms())
    store.keep_material(ctx.tx, key, turned)
    store.save(ctx.tx, ctx.sealing, replace(key, version=waiting.version))


def rotate(tx: Tx, at: Context | Work, key: Key, kind: str, *, next_at_ms: int | None) -> None:
    """New material encrypts from now on, in every region of the key."""
    secret, public = generate(key.spec)
    made = sealed_material(at, key, key.version + 1, secret, public)
    made = replace(made, rotation=kind, rotated_at_ms=at.clock.now_ms())
    for each in _family(tx, at, key):
        before = store.find_material(tx, each, each.version)
        assert before is not None, f"{each.arn} has no version {each.version}"
        store.keep_material(tx, each, replace(before, state=NON_CURRENT))
        if each.region == key.region:
            store.keep_material(tx, each, made)
        else:
            copy_material(at, tx, key, each, made)
        store.save(tx, at.sealing, replace(each, version=made.version, next_rotation_at_ms=next_at_ms))


@job("kms.rotate_key")
def rotate_key(work: Work, payload: Params) -> None:
    """The key is rotated, if its time has come and it is enabled, and the next rotation is planned.

    A key that is disabled or waits for its deletion is looked at again a day later.

    Source: "Automatic key rotation", developer guide: disabled keys rotate once they are enabled again.
    """
    key_id: Any = payload["id"]
    with work.finishing() as tx:
        key = store.find(tx, work.sealing, work.place.region, key_id)
        if key is None or key.rotation_days is None or key.next_rotation_at_ms is None:
            return
        now_ms = work.clock.now_ms()
        if key.next_rotation_at_ms > now_ms:
            plan_rotation(tx, key, key.next_rotation_at_ms)
        elif key.state != ENABLED:
            plan_rotation(tx, key, now_ms + DAY_MS)
        else:
            next_at_ms = now_ms + key.rotation_days * DAY_MS
            rotate(tx, work, key, AUTOMATIC, next_at_ms=next_at_ms)
            plan_rotation(tx, key, next_at_ms)
            work.event("RotateKey", keyId=key.key_id, keyOrigin=key.origin, rotationType=AUTOMATIC)
            work.publish(tx, *told(ROTATED, key))


# -- listing ----------------------------------------------------------------------------------------------------------


@reads
def list_key_rotations(ctx: Context, params: Params) -> Params:
    """Source: ListKeyRotations, API reference:

    the rotations, or with ALL_KEY_MATERIAL the first material and what waits too.
    """
    key = lookup.get_by_id(ctx, params["KeyId"])
    refuse_without_rotation(key)
    limit = params.get("Limit", 100)
    after = read_marker(params.get("Marker"))
    everything = params.get("IncludeKeyMaterial") == "ALL_KEY_MATERIAL"
    listed = [
        material
        for material in store.list_material(ctx.tx, key)
        if (everything or material.rotation is not None) and _name(material) > after
    ]
    shown = [_shown(key, material) for material in listed[:limit]]
    return {"Rotations": shown, **page_end([_name(material) for material in listed], limit)}


def _name(material: Material) -> str:
    return f"{material.version:010}"


def _shown(key: Key, material: Material) -> Params:
    said: Params = {"KeyId": key.key_id, "KeyMaterialId": material.material_id, "KeyMaterialState": material.state}
    if material.rotation is not None and material.rotated_at_ms is not None:
        said |= {"RotationType": material.rotation, "RotationDate": as_datetime(material.rotated_at_ms)}
    if key.origin == EXTERNAL:
        said["ImportState"] = "PENDING_IMPORT" if material.sealed is None else "IMPORTED"
        if material.description:
            said["KeyMaterialDescription"] = material.description
        if material.sealed is not None:
            said["ExpirationModel"] = expiration_model(material)
            if material.expires_at_ms is not None:
                said["ValidTo"] = as_datetime(material.expires_at_ms)
    return said
