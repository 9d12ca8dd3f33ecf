"""Encrypting and decrypting: the operations that every other room lives on.

A symmetric ciphertext is a DKGCM blob that names the key and the version, bound to the caller's encryption context
and to the key itself.
"""

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from geumgo.context import Again, Context, Params
from geumgo.room import reads
from geumgo.sealing import Plaintext, Unsealable, dkgcm
from geumgo.sealing.keyed import keyed
from geumgo.services.kms import lookup, material, use
from geumgo.services.kms.domain import ENCRYPT, PAIR_SPECS, SYMMETRIC, refuse_algorithm, refuse_unusable, refuse_usage
from geumgo.services.kms.errors import (
    IncorrectKey,
    InvalidCiphertext,
    InvalidKeyUsage,
    UnsupportedOperation,
    ValidationFailed,
)
from geumgo.services.kms.records import Key, Material
from geumgo.services.kms.sealed import check_public, open_material

_DATA_KEY_BYTES: Final = {"AES_128": 16, "AES_256": 32}


# -- the sealing of callers' data -------------------------------------------------------------------------------------


def _seal(ctx: Context, key: Key, version: Material, context: Mapping[str, str], plaintext: bytes) -> bytes:
    secret = open_material(ctx, key, version).reveal()
    return dkgcm.encrypt(secret, bytes.fromhex(key.id), version.version, key.bound_to(context), plaintext)


def _opener(ctx: Context, key: Key, version: Material, context: Mapping[str, str], blob: bytes) -> Callable[[], bytes]:
    """What opens `blob`, now and again for as long as the rows of the key stand. It raises Unsealable. Made once per call."""
    known: Callable[[], bytes] | None = ctx.found.get(("opens", blob))
    if known is not None:
        return known
    mac = ctx.tx.derived(
        ("kms.material", key.region, key.id, version.version),
        lambda: keyed(open_material(ctx, key, version).reveal()),
    )
    assert mac is not None, "material opens or raises"
    bound: dkgcm.Bound = ctx.found.get(("bound", blob)) or key.bound_to(context)
    made = partial(dkgcm.open_prepared, mac, dkgcm.prepare(bytes.fromhex(key.id), version.version, bound, blob))
    ctx.found["opens", blob] = made
    return made


def _open(ctx: Context, opened: lookup.Opened, context: Mapping[str, str], blob: bytes) -> bytes:
    try:
        return _opener(ctx, opened.key, opened.material, context, blob)()
    except Unsealable:
        raise InvalidCiphertext from None


# -- Encrypt, Decrypt, ReEncrypt --------------------------------------------------------------------------------------


@reads
def encrypt(ctx: Context, params: Params) -> Params:
    algorithm = params.get("EncryptionAlgorithm", SYMMETRIC)
    context = params.get("EncryptionContext", {})
    key, version = _encrypting(ctx, params["KeyId"], "Encrypt", algorithm, context)
    ciphertext = _encrypt(ctx, key, version, algorithm, context, params["Plaintext"], use.prepare(ctx, params))
    use.note(ctx, key, "Encrypt")
    return {"CiphertextBlob": ciphertext, "KeyId": key.arn, "EncryptionAlgorithm": algorithm}


def _encrypting(
    ctx: Context, key_id: str, operation: str, algorithm: str, context: Mapping[str, str]
) -> tuple[Key, Material]:
    """The key that `operation` encrypts with, ready for it."""
    use.refuse_context(context, algorithm)
    key = lookup.get(ctx, key_id)
    refuse_usage(key, ENCRYPT, operation)
    refuse_unusable(key)
    refuse_algorithm(key, algorithm)
    return lookup.current(ctx, key_id)


def _encrypt(
    ctx: Context,
    key: Key,
    version: Material,
    algorithm: str,
    context: Mapping[str, str],
    plaintext: bytes,
    dry: use.DryRun,
) -> bytes:
    if algorithm == SYMMETRIC:
        dry.end()
        return _seal(ctx, key, version, context, plaintext)
    limit = material.rsa_limit(key.spec, algorithm)
    if len(plaintext) > limit:
        raise ValidationFailed(
            f"Algorithm {algorithm} and key spec {key.spec} cannot encrypt data larger than {limit} bytes."
        )
    dry.end()
    return material.rsa_encrypt(check_public(ctx, key, version), algorithm, plaintext)


@reads
def decrypt(ctx: Context, params: Params) -> Params:
    """Source: Decrypt, API reference; recorded on AWS (the messages)."""
    use.refuse_recipient(params)
    algorithm = params.get("EncryptionAlgorithm", SYMMETRIC)
    context = params.get("EncryptionContext", {})
    dry = use.prepare(ctx, params)
    blob = use.ciphertext(params)
    key, version, plaintext = _decrypt(ctx, "Decrypt", params.get("KeyId"), algorithm, context, blob, dry)
    use.note(ctx, key, "Decrypt")
    answer: Params = {"KeyId": key.arn, "EncryptionAlgorithm": algorithm}
    if algorithm == SYMMETRIC:
        answer["KeyMaterialId"] = version.material_id
        if blob is not None and ("bound", blob) in ctx.found:  # asked by a service, which asks again and again
            ctx.again = Again(
                answer, "Plaintext", _opener(ctx, key, version, context, blob), use.next_note_ms(ctx, key)
            )
    return {**answer, "Plaintext": plaintext}


def _decrypt(
    ctx: Context,
    operation: str,
    key_id: str | None,
    algorithm: str,
    context: Mapping[str, str],
    blob: bytes | None,
    dry: use.DryRun,
) -> tuple[Key, Material, bytes]:
    """The key, the version and the plaintext. `blob` None: a dry run that ignores the ciphertext."""
    if ("bound", blob) not in ctx.found:
        use.refuse_context(context, algorithm)
    if algorithm != SYMMETRIC or blob is None:
        return _decrypt_by_id(ctx, operation, key_id, algorithm, blob, dry)
    opened = lookup.locate_blob(ctx, blob)
    if key_id is not None:
        named = lookup.get(ctx, key_id)
        if opened is None:
            refuse_usage(named, ENCRYPT, operation)
            raise InvalidCiphertext
        if opened.key.id != named.id:
            raise IncorrectKey
    if opened is None:
        raise InvalidCiphertext
    refuse_usage(opened.key, ENCRYPT, operation)
    refuse_unusable(opened.key)
    if opened.material.sealed is None:
        raise InvalidCiphertext
    plaintext = _open(ctx, opened, context, blob)
    dry.end()
    return opened.key, opened.material, plaintext


def _decrypt_by_id(
    ctx: Context, operation: str, key_id: str | None, algorithm: str, blob: bytes | None, dry: use.DryRun
) -> tuple[Key, Material, bytes]:
    """Asymmetric ciphertexts do not say which key they are for. Unverified: the message when KeyId is missing."""
    if key_id is None:
        raise ValidationFailed("KeyId is required when the ciphertext does not name its key.")
    key = lookup.get(ctx, key_id)
    refuse_usage(key, ENCRYPT, operation)
    refuse_unusable(key)
    refuse_algorithm(key, algorithm)
    key, version = lookup.current(ctx, key_id)
    if blob is None:
        dry.end()
        raise use.null_ciphertext()
    plaintext = material.rsa_decrypt(open_material(ctx, key, version), algorithm, blob)
    dry.end()
    return key, version, plaintext


@reads
def re_encrypt(ctx: Context, params: Params) -> Params:
    dry = use.prepare(ctx, params)
    source_algorithm = params.get("SourceEncryptionAlgorithm", SYMMETRIC)
    algorithm = params.get("DestinationEncryptionAlgorithm", SYMMETRIC)
    context = params.get("DestinationEncryptionContext", {})
    key, version = _encrypting(ctx, params["DestinationKeyId"], "ReEncrypt", algorithm, context)
    blob = use.ciphertext(params)
    source, source_version, plaintext = _decrypt(
        ctx,
        "ReEncrypt",
        params.get("SourceKeyId"),
        source_algorithm,
        params.get("SourceEncryptionContext", {}),
        blob,
        use.DryRun(asked=dry.asked and blob is None),
    )
    ciphertext = _encrypt(ctx, key, version, algorithm, context, plaintext, dry)
    use.note(ctx, source, "ReEncrypt")
    use.note(ctx, key, "ReEncrypt")
    answer: Params = {
        "CiphertextBlob": ciphertext,
        "SourceKeyId": source.arn,
        "KeyId": key.arn,
        "SourceEncryptionAlgorithm": source_algorithm,
        "DestinationEncryptionAlgorithm": algorithm,
    }
    if source_algorithm == SYMMETRIC:
        answer["SourceKeyMaterialId"] = source_version.material_id
    if algorithm == SYMMETRIC:
        answer["DestinationKeyMaterialId"] = version.material_id
    return answer


# -- data keys --------------------------------------------------------------------------------------------------------


@reads
def generate_data_key(ctx: Context, params: Params) -> Params:
    use.refuse_recipient(params)
    plaintext = os.urandom(_data_key_bytes(params))
    return {**_wrapped(ctx, "GenerateDataKey", params, "CiphertextBlob", Plaintext(plaintext)), "Plaintext": plaintext}


@reads
def generate_data_key_without_plaintext(ctx: Context, params: Params) -> Params:
    plaintext = Plaintext(os.urandom(_data_key_bytes(params)))
    return _wrapped(ctx, "GenerateDataKeyWithoutPlaintext", params, "CiphertextBlob", plaintext)


def _data_key_bytes(params: Params) -> int:
    """Source: GenerateDataKey, API reference: one of KeySpec and NumberOfBytes."""
    if ("KeySpec" in params) == ("NumberOfBytes" in params):
        raise ValidationFailed("Please specify either number of bytes or key spec.")
    size: int = params["NumberOfBytes"] if "NumberOfBytes" in params else _DATA_KEY_BYTES[params["KeySpec"]]
    return size


def _wrapped(ctx: Context, operation: str, params: Params, member: str, plaintext: Plaintext) -> Params:
    """A data key under the KMS key that was named: everything of the answer but the plaintext."""
    context = params.get("EncryptionContext", {})
    key = lookup.get(ctx, params["KeyId"])
    refuse_usage(key, ENCRYPT, operation)
    refuse_unusable(key)
    if key.spec != SYMMETRIC:
        raise InvalidKeyUsage(f"{key.arn} key spec is {key.spec} which is not valid for {operation}.")
    use.refuse_context(context, SYMMETRIC)
    use.prepare(ctx, params).end()
    key, version = lookup.current(ctx, params["KeyId"])
    ciphertext = _seal(ctx, key, version, context, plaintext.reveal())
    use.note(ctx, key, operation)
    return {member: ciphertext, "KeyId": key.arn, "KeyMaterialId": version.material_id}


@reads
def generate_data_key_pair(ctx: Context, params: Params) -> Params:
    use.refuse_recipient(params)
    return _data_key_pair(ctx, "GenerateDataKeyPair", params, with_plaintext=True)


@reads
def generate_data_key_pair_without_plaintext(ctx: Context, params: Params) -> Params:
    return _data_key_pair(ctx, "GenerateDataKeyPairWithoutPlaintext", params, with_plaintext=False)


def _data_key_pair(ctx: Context, operation: str, params: Params, *, with_plaintext: bool) -> Params:
    spec = params["KeyPairSpec"]
    if spec not in PAIR_SPECS:
        raise UnsupportedOperation(f"KeyPairSpec {spec} is not supported.")
    private, public = material.generate(spec)
    answer = _wrapped(ctx, operation, params, "PrivateKeyCiphertextBlob", private)
    answer.update(PublicKey=public, KeyPairSpec=spec)
    if with_plaintext:
        answer["PrivateKeyPlaintext"] = private.reveal()
    return answer


@reads
def generate_random(ctx: Context, params: Params) -> Params:  # noqa: ARG001 - randomness needs nothing of the request's place
    """Source: recorded on AWS (the message)."""
    use.refuse_recipient(params)
    if "CustomKeyStoreId" in params:
        raise UnsupportedOperation("Custom key stores are not supported.")
    size: Any = params.get("NumberOfBytes")
    if size is None:
        raise ValidationFailed("NumberOfBytes is required.")
    return {"Plaintext": os.urandom(size)}
