"""Values at rest: a SecureString under its KMS key, anything else under the root key. KMS is asked as the caller.

A standard SecureString is encrypted by KMS itself, an advanced one under a data key of its own.
Source: "How Parameter Store uses AWS KMS", developer guide (the calls, the encryption context). Here the ciphertext of an advanced one has
our own form, not that of the AWS Encryption SDK.
"""

import base64
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, NamedTuple

from geumgo.context import Context
from geumgo.errors import ServiceError
from geumgo.sealing import Plaintext, Sealing
from geumgo.sealing.values import open_value, seal_value
from geumgo.services.ssm.errors import AccessDenied, InvalidKeyId
from geumgo.services.ssm.records import ADVANCED, SECURE, Kind, Parameter, Tier, Version

PURPOSE: Final = "ssm"
_LENGTH: Final = struct.Struct(">I")


class Sealed(NamedTuple):
    """A value as it is kept, and its data key as KMS wrapped it, where it has one."""

    sealed: bytes
    wrapped: bytes | None


def seal(
    ctx: Context, parameter: Parameter, number: int, value: Plaintext, *, kind: Kind, tier: Tier, key_id: str
) -> Sealed:
    """The value of version `number`, sealed. Raises AccessDenied, InvalidKeyId."""
    context = _bound_to(parameter, number)
    if kind != SECURE:
        return Sealed(ctx.sealing.wrap(PURPOSE, context, value), None)
    with _key_of(key_id):
        if tier != ADVANCED:
            made = ctx.call(
                "kms", "Encrypt", KeyId=key_id, Plaintext=value.reveal(), EncryptionContext=_for_kms(parameter)
            )
            return Sealed(made["CiphertextBlob"], None)
        made = ctx.call(
            "kms", "GenerateDataKey", KeyId=key_id, KeySpec="AES_256", EncryptionContext=_for_kms(parameter)
        )
    data_key = Plaintext(made.pop("Plaintext"))
    return Sealed(seal_value(data_key, context, value), made["CiphertextBlob"])


def shown(ctx: Context, parameter: Parameter, version: Version, *, decrypted: bool) -> str:
    """The value as it is answered: the text, or of a SecureString that is not to be `decrypted` its ciphertext in Base64.

    Raises AccessDenied, InvalidKeyId; Unsealable if what is stored is not what was sealed.
    """
    if version.kind == SECURE and not decrypted:
        wrapped = version.wrapped
        whole = version.sealed if wrapped is None else _LENGTH.pack(len(wrapped)) + wrapped + version.sealed
        return base64.b64encode(whole).decode()
    return _opened(ctx, parameter, version).reveal().decode()


def _opened(ctx: Context, parameter: Parameter, version: Version) -> Plaintext:
    context = _bound_to(parameter, version.number)
    if version.kind != SECURE:
        return ctx.sealing.unwrap(PURPOSE, context, version.sealed)
    blob = version.sealed if version.wrapped is None else version.wrapped
    with _key_of(version.key_id):
        opened = ctx.call("kms", "Decrypt", CiphertextBlob=blob, EncryptionContext=_for_kms(parameter))
    plaintext = Plaintext(opened.pop("Plaintext"))
    return plaintext if version.wrapped is None else open_value(plaintext, context, version.sealed)


def sealed_anew(sealing: Sealing, parameter: Parameter, version: Version) -> Version:
    """The same version, with what of it is under the root keys under the newest one. Raises Unsealable."""
    if version.kind == SECURE:
        return version
    context = _bound_to(parameter, version.number)
    return replace(version, sealed=sealing.wrap(PURPOSE, context, sealing.unwrap(PURPOSE, context, version.sealed)))


def _for_kms(parameter: Parameter) -> dict[str, str]:
    """The encryption context. Source: "How Parameter Store uses AWS KMS", developer guide."""
    return {"PARAMETER_ARN": parameter.arn}


def _bound_to(parameter: Parameter, number: int) -> dict[str, str]:
    """What a value is bound to: it opens nowhere else."""
    return {"label": "ssm value", "parameter": parameter.id, "arn": parameter.arn, "version": str(number)}


@contextmanager
def _key_of(key_id: str) -> Iterator[None]:
    """KMS's refusals in Parameter Store's words: a denial stays one, anything else is InvalidKeyId.

    Unverified: that AWS passes KMS's message on without more.
    """
    try:
        yield
    except ServiceError as refusal:
        if refusal.code == AccessDenied.code:
            raise AccessDenied(refusal.message) from None
        raise InvalidKeyId(refusal.message or f"Invalid keyId {key_id}") from None
