"""Imported key material: keys whose material the caller brings, and may take back.

The private half of a wrapping key is kept nowhere: it travels, sealed, inside the import token.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap_with_padding

from geumgo.context import Context, Params, Place, Work, as_datetime
from geumgo.jobs import promise, withdraw
from geumgo.room import job, operation, reads
from geumgo.sealing import Plaintext, Unsealable
from geumgo.services.kms import lookup, store
from geumgo.services.kms.bus import MATERIAL_EXPIRED, told
from geumgo.services.kms.domain import DAY_MS, SYMMETRIC, refuse_deletion_pending, refuse_other_origin
from geumgo.services.kms.errors import (
    ExpiredImportToken,
    IncorrectKeyMaterial,
    InvalidCiphertext,
    InvalidImportToken,
    InvalidState,
    NotFound,
    UnsupportedOperation,
    ValidationFailed,
)
from geumgo.services.kms.material import accept, generate, identify
from geumgo.services.kms.records import (
    CURRENT,
    ENABLED,
    EXTERNAL,
    PENDING_DELETION,
    PENDING_IMPORT,
    PENDING_REPLICA_DELETION,
    PENDING_ROTATION,
    Key,
    Material,
)
from geumgo.services.kms.sealed import sealed_material
from geumgo.storage import Tx

VALID_MS: Final = DAY_MS
LONGEST_VALID_MS: Final = 365 * DAY_MS

_HASHES: Final[dict[str, Callable[[], hashes.HashAlgorithm]]] = {
    "RSAES_OAEP_SHA_1": hashes.SHA1,
    "RSAES_OAEP_SHA_256": hashes.SHA256,
    "RSA_AES_KEY_WRAP_SHA_1": hashes.SHA1,
    "RSA_AES_KEY_WRAP_SHA_256": hashes.SHA256,
}


# -- the wrapping key -------------------------------------------------------------------------------------------------


@reads
def get_parameters_for_import(ctx: Context, params: Params) -> Params:
    """A fresh wrapping key and its token, good for 24 hours.

    Source: GetParametersForImport, API reference. RSAES_PKCS1_V1_5 is no longer taken there either. Unverified: that
    message.
    """
    key = lookup.get_own(ctx, "GetParametersForImport", params["KeyId"])
    refuse_other_origin(key, EXTERNAL)
    refuse_deletion_pending(key)
    algorithm, spec = params["WrappingAlgorithm"], params["WrappingKeySpec"]
    if algorithm not in _HASHES or spec == "SM2":
        raise UnsupportedOperation(f"WrappingAlgorithm {algorithm} with WrappingKeySpec {spec} is not supported.")
    private, public = generate(spec)
    until_ms = ctx.clock.now_ms() + VALID_MS
    said = json.dumps({"algorithm": algorithm, "until_ms": until_ms}).encode()
    token = ctx.sealing.wrap("kms", _token_context(key), Plaintext(said + b"\0" + private.reveal()))
    return {"KeyId": key.arn, "ImportToken": token, "PublicKey": public, "ParametersValidTo": as_datetime(until_ms)}


def _token_context(key: Key) -> dict[str, str]:
    return {"label": "kms import token", "key": key.arn}


def _open_token(ctx: Context, key: Key, token: bytes) -> tuple[str, rsa.RSAPrivateKey]:
    """The wrapping algorithm and the private half of the wrapping key."""
    try:
        said, _, private = ctx.sealing.unwrap("kms", _token_context(key), token).reveal().partition(b"\0")
    except Unsealable:
        raise InvalidImportToken from None
    facts = json.loads(said)
    if facts["until_ms"] < ctx.clock.now_ms():
        raise ExpiredImportToken
    opened = serialization.load_der_private_key(private, None)
    assert isinstance(opened, rsa.RSAPrivateKey), "a wrapping key is an RSA key"
    return facts["algorithm"], opened


def _unwrap(algorithm: str, private: rsa.RSAPrivateKey, wrapped: bytes) -> bytes:
    """The material inside. Raises InvalidCiphertext, for whatever reason.

    Source: "Wrapping algorithms", developer guide: RSA_AES_KEY_WRAP is an AES key under RSAES-OAEP, then AES-KWP (RFC
    5649) under it.
    """
    hashed = _HASHES[algorithm]()
    oaep = padding.OAEP(padding.MGF1(hashed), hashed, None)
    try:
        if not algorithm.startswith("RSA_AES"):
            return private.decrypt(wrapped, oaep)
        size = private.key_size // 8
        return aes_key_unwrap_with_padding(private.decrypt(wrapped[:size], oaep), wrapped[size:])
    except (ValueError, InvalidUnwrap):
        raise InvalidCiphertext from None


# -- importing --------------------------------------------------------------------------------------------------------


@operation
def import_key_material(ctx: Context, params: Params) -> Params:
    key = lookup.get_own(ctx, "ImportKeyMaterial", params["KeyId"])
    refuse_other_origin(key, EXTERNAL)
    refuse_deletion_pending(key)
    expires_at_ms = _expiry(ctx, params)
    algorithm, private = _open_token(ctx, key, params["ImportToken"])
    secret, public = accept(key.spec, _unwrap(algorithm, private, params["EncryptedKeyMaterial"]))
    versions = store.list_material(ctx.tx, key)
    material_id = identify(key.key_id, secret)
    if params.get("KeyMaterialId", material_id) != material_id:
        raise IncorrectKeyMaterial("The key material is not the one that KeyMaterialId names.")
    place = _place_of(ctx, key, versions, material_id, params.get("ImportType"))
    kept = replace(
        sealed_material(ctx, key, place.version, secret, public, state=place.state),
        made_at_ms=place.made_at_ms,
        rotation=place.rotation,
        rotated_at_ms=place.rotated_at_ms,
        expires_at_ms=expires_at_ms,
        description=params.get("KeyMaterialDescription", place.description),
    )
    store.keep_material(ctx.tx, key, kept)
    _plan_expiry(ctx.tx, key, kept)
    _settle(ctx.tx, ctx, replace(key, version=key.version or kept.version))
    return {"KeyId": key.arn, "KeyMaterialId": kept.material_id}


def _expiry(ctx: Context, params: Params) -> int | None:
    """When the material expires (Unix milliseconds; None: never).

    Source: recorded on AWS (the message when ValidTo is missing); ImportKeyMaterial, API reference (a year at most).
    Unverified: the others.
    """
    valid_to: datetime | None = params.get("ValidTo")
    if params.get("ExpirationModel", "KEY_MATERIAL_EXPIRES") == "KEY_MATERIAL_DOES_NOT_EXPIRE":
        if valid_to is not None:
            raise ValidationFailed(
                "A validTo date must not be set if the ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE"
            )
        return None
    if valid_to is None:
        raise ValidationFailed("A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES")
    at_ms = int(valid_to.timestamp() * 1000)
    if not 0 < at_ms - ctx.clock.now_ms() <= LONGEST_VALID_MS:
        raise ValidationFailed("The validTo date must be in the future, and no more than 365 days from now")
    return at_ms


def _place_of(ctx: Context, key: Key, versions: list[Material], material_id: str, asked: str | None) -> Material:
    """The version that the imported material becomes, as far as it is known before it is sealed.

    Source: ImportKeyMaterial, API reference: the same material again, or, for a symmetric key, new material that
    waits for a rotation. Unverified: the messages.
    """
    same = next((material for material in versions if material.material_id == material_id), None)
    if key.multi_region and not key.is_primary and not versions:
        return _as_in_primary(ctx, key, material_id)
    kind = asked or ("EXISTING_KEY_MATERIAL" if versions else "NEW_KEY_MATERIAL")
    if kind == "EXISTING_KEY_MATERIAL":
        if same is None:
            raise IncorrectKeyMaterial("The key material was not imported into this KMS key before.")
        return same
    if same is not None:
        raise IncorrectKeyMaterial("The key material was imported into this KMS key before.")
    blank = Material(1, material_id, None, b"", CURRENT, ctx.clock.now_ms())
    if not versions:
        return blank
    if key.spec != SYMMETRIC or key.multi_region:
        raise UnsupportedOperation(f"{key.arn} cannot have new key material beside what it has.")
    if any(material.state == PENDING_ROTATION for material in versions):
        raise InvalidState(f"{key.arn} has key material that is pending rotation.")
    return replace(blank, version=versions[-1].version + 1, state=PENDING_ROTATION)


def _as_in_primary(ctx: Context, key: Key, material_id: str) -> Material:
    """Related multi-Region keys have one material, and the primary has it first.

    Source: ImportKeyMaterialRequest.ImportType, botocore model 2014-11-01. Unverified: the message.
    """
    primary = store.find(ctx.tx, ctx.sealing, key.primary_region, key.id)
    known = store.list_material(ctx.tx, primary) if primary is not None else []
    for material in known:
        if material.material_id == material_id:
            return replace(material, sealed=None, made_at_ms=ctx.clock.now_ms())
    raise IncorrectKeyMaterial("The key material is not that of the primary key.")


def _settle(tx: Tx, at: Context | Work, key: Key) -> None:
    """The key's state after its material changed: usable if none of it is missing but what waits for a rotation."""
    versions = [material for material in store.list_material(tx, key) if material.state != PENDING_ROTATION]
    complete = bool(versions) and all(material.sealed is not None for material in versions)
    state = key.state
    if complete and state == PENDING_IMPORT:
        state = ENABLED
    elif not complete and state not in (PENDING_DELETION, PENDING_REPLICA_DELETION):
        state = PENDING_IMPORT
    store.save(tx, at.sealing, replace(key, state=state))


# -- expiry and deletion ----------------------------------------------------------------------------------------------


def _expiry_of(key: Key, version: int) -> str:
    return f"kms.expire_material:{key.arn}:{version}"


def _plan_expiry(tx: Tx, key: Key, material: Material) -> None:
    """A job takes the material away when it expires, whatever was planned before."""
    withdraw(tx, _expiry_of(key, material.version))
    if material.expires_at_ms is not None:
        promise(
            tx,
            "kms.expire_material",
            Place(key.account, key.region, key.partition),
            {"id": key.id, "version": material.version},
            run_at_ms=material.expires_at_ms,
            lock=key.arn,
            dedup=_expiry_of(key, material.version),
        )


def _take_away(tx: Tx, at: Context | Work, key: Key, material: Material) -> None:
    """The material is gone from this version, which remembers only what it was called."""
    store.overwrite(tx, key, material)
    store.keep_material(tx, key, replace(material, sealed=None, expires_at_ms=None))
    withdraw(tx, _expiry_of(key, material.version))
    _settle(tx, at, key)


@operation
def delete_imported_key_material(ctx: Context, params: Params) -> Params:
    """Source: DeleteImportedKeyMaterial, API reference. Unverified: the message for an unknown KeyMaterialId."""
    key = lookup.get_own(ctx, "DeleteImportedKeyMaterial", params["KeyId"])
    refuse_other_origin(key, EXTERNAL)
    versions = store.list_material(ctx.tx, key)
    if "KeyMaterialId" in params:
        chosen = next((m for m in versions if m.material_id == params["KeyMaterialId"]), None)
        if chosen is None:
            raise NotFound(f"Key material {params['KeyMaterialId']} does not exist")
    else:
        chosen = next((m for m in versions if m.version == key.version), None)
    if chosen is None:
        return {"KeyId": key.arn}
    if chosen.sealed is not None:
        _take_away(ctx.tx, ctx, key, chosen)
    return {"KeyId": key.arn, "KeyMaterialId": chosen.material_id}


@job("kms.expire_material")
def expire_material(work: Work, payload: Params) -> None:
    """The imported material is taken away, if it still expires by now."""
    key_id: Any = payload["id"]
    with work.finishing() as tx:
        key = store.find(tx, work.sealing, work.place.region, key_id)
        material = store.find_material(tx, key, payload["version"]) if key is not None else None
        if key is None or material is None or material.expires_at_ms is None or material.sealed is None:
            return
        if material.expires_at_ms <= work.clock.now_ms():
            _take_away(tx, work, key, material)
            work.event("DeleteExpiredKeyMaterial", keyId=key.key_id)
            work.publish(tx, *told(MATERIAL_EXPIRED, key))
