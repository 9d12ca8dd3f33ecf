"""Values under data keys of their own, data keys under KMS keys. KMS is asked as the caller, and its refusals become ours."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from geumgo.context import Context
from geumgo.errors import ServiceError
from geumgo.sealing import Plaintext, dkgcm
from geumgo.sealing.values import open_prepared, prepare, seal_value
from geumgo.services.secretsmanager import domain, store
from geumgo.services.secretsmanager.errors import (
    AccessDenied,
    DecryptionFailed,
    EncryptionFailed,
    InvalidParameter,
    InvalidRequest,
)
from geumgo.services.secretsmanager.records import Kind, Secret, Version, Wrapping

_PROBE: Final = "RequestToValidateKeyAccess"
_DENIED: Final = frozenset({"AccessDeniedException"})
_WRONG_KIND: Final = frozenset({"InvalidKeyUsageException", "UnsupportedOperationException"})
_NOT_THERE: Final = frozenset({"NotFoundException", "ValidationException", "InvalidArnException"})


def seal(ctx: Context, secret: Secret, version_id: str, kind: Kind, value: Plaintext) -> tuple[bytes, Wrapping]:
    """The ciphertext of `value` and its new data key, wrapped under the secret's key.

    Raises AccessDenied, EncryptionFailed, InvalidParameter, InvalidRequest.
    """
    refuse_default_key(ctx, secret, is_default=secret.kms_key_id is None)
    with _writing():
        made = ctx.call(
            "kms",
            "GenerateDataKey",
            KeyId=_key_of(secret),
            KeySpec="AES_256",
            EncryptionContext=_bound_to(secret, version_id),
        )
    data_key = Plaintext(made.pop("Plaintext"))
    ciphertext = seal_value(data_key, _value_context(secret, version_id, kind), value)
    return ciphertext, Wrapping(made["KeyId"], secret.kms_key_id is None, made["CiphertextBlob"])


def unseal(ctx: Context, secret: Secret, version: Version) -> Plaintext:
    """The value of a version that has one.

    Raises AccessDenied, DecryptionFailed, InvalidRequest; Unsealable if what is stored is not what was sealed.
    """
    assert version.wrapping is not None, f"version {version.id} has no data key"
    assert version.ciphertext is not None, f"version {version.id} has no value"
    refuse_default_key(ctx, secret, is_default=version.wrapping.is_default)
    data_key = _data_key(ctx, secret, version)
    bound: dkgcm.Bound | None = ctx.found.get(("bound", secret.id, version.id))
    sealed = prepare(bound or _value_context(secret, version.id, version.kind), version.ciphertext)
    ctx.found["sealed", secret.id, version.id] = sealed
    return open_prepared(data_key, sealed)


def opens_again(ctx: Context, secret: Secret, version: Version) -> tuple[Callable[[], Plaintext], int] | None:
    """What gives the value that `unseal` has just given, for as long as the rows stand, and until when (Unix milliseconds).

    None if KMS did not say how it opens the data key again, or was asked more than once, or the version is not kept.
    """
    if len(ctx.asked) != 1 or ctx.asked[0] is None or ("bound", secret.id, version.id) not in ctx.found:
        return None
    sealed: dkgcm.Prepared = ctx.found["sealed", secret.id, version.id]
    opened = ctx.asked[0]
    opens = opened.opens
    return lambda: open_prepared(Plaintext(opens()), sealed), opened.until_ms


def bound_to(secret: Secret, version: Version) -> bytes:
    """What the value of a version is bound to, in canonical form. Whoever keeps it puts it into `Context.found` for `unseal`."""
    return dkgcm.canonical(_value_context(secret, version.id, version.kind))


def _data_key(ctx: Context, secret: Secret, version: Version) -> Plaintext:
    """The data key, through the newest wrapping that opens: any of the keys that it is wrapped under is enough.

    Source: "Secret encryption and decryption", user guide. The refusal of the newest one is what the caller sees.
    """
    assert version.wrapping is not None
    try:
        return _unwrap(ctx, secret, version.id, version.wrapping)
    except ServiceError as refusal:
        for older in store.wrappings(ctx.tx, secret, version.id)[1:]:
            try:
                return _unwrap(ctx, secret, version.id, older)
            except ServiceError:  # this key does not open either: the next one may, and the first refusal is the answer
                continue
        raise refusal from None


def _unwrap(ctx: Context, secret: Secret, version_id: str, wrapping: Wrapping) -> Plaintext:
    """Raises AccessDenied, DecryptionFailed: KMS's refusals in Secrets Manager's words. Unverified: the latter for a disabled key."""
    try:
        opened = ctx.call(
            "kms", "Decrypt", CiphertextBlob=wrapping.wrapped, EncryptionContext=_bound_to(secret, version_id)
        )
    except ServiceError as refusal:
        _refuse_access(refusal)
        raise DecryptionFailed from None
    return Plaintext(opened.pop("Plaintext"))


def rewrap(ctx: Context, secret: Secret, version_id: str) -> None:
    """The data key of a version is wrapped under the secret's key too, if the caller may decrypt it and encrypt under that key.

    If he may not, everything stays as it is. Source: "Secret encryption and decryption", user guide.
    """
    for wrapping in store.wrappings(ctx.tx, secret, version_id)[:1]:
        context = _bound_to(secret, version_id)
        try:
            data_key = _unwrap(ctx, secret, version_id, wrapping)
            made = ctx.call(
                "kms", "Encrypt", KeyId=_key_of(secret), Plaintext=data_key.reveal(), EncryptionContext=context
            )
        except ServiceError:  # not a failure of the update: the trail has KMS's refusal
            return
        newest = Wrapping(made["KeyId"], secret.kms_key_id is None, made["CiphertextBlob"])
        store.add_wrapping(ctx.tx, secret, version_id, newest)


def probe(ctx: Context, secret: Secret) -> str:
    """The ARN of the KMS key behind the secret's key, which the caller may use: a data key was made and opened to find out. Once per call.

    Raises AccessDenied, EncryptionFailed, InvalidParameter, InvalidRequest.
    Source: "Secret encryption and decryption", user guide (the calls and their encryption context).
    """
    key = _key_of(secret)
    known = ctx.found.get(("probe", key))
    if known is None:
        context = _bound_to(secret, _PROBE)
        with _writing():
            made = ctx.call("kms", "GenerateDataKey", KeyId=key, KeySpec="AES_256", EncryptionContext=context)
            del made["Plaintext"]
            ctx.call("kms", "Decrypt", CiphertextBlob=made["CiphertextBlob"], EncryptionContext=context)
        known = ctx.found["probe", key] = made["KeyId"]
    arn: str = known
    return arn


def under_key(secret: Secret, given: str | None) -> Secret:
    """The secret, if `given` were its key."""
    key = domain.given_key(given, partition=secret.partition, account=secret.account, region=secret.region)
    return replace(secret, kms_key_id=key)


def refuse_default_key(ctx: Context, secret: Secret, *, is_default: bool) -> None:
    """Raises InvalidRequest if the caller of another account would need the default key. Source: recorded on AWS."""
    if is_default and ctx.caller.account != secret.account:
        raise InvalidRequest(
            "You can't access a secret from a different AWS account if you encrypt the secret with the default KMS "
            "service key."
        )


def _key_of(secret: Secret) -> str:
    return domain.key_arn(secret.kms_key_id, partition=secret.partition, account=secret.account, region=secret.region)


def _bound_to(secret: Secret, version_id: str) -> dict[str, str]:
    """The encryption context of a data key. Source: "Secret encryption and decryption", user guide."""
    return {"SecretARN": secret.arn, "SecretVersionId": version_id}


def _value_context(secret: Secret, version_id: str, kind: Kind) -> dict[str, str]:
    """What a value is bound to: it opens nowhere else."""
    return {
        "label": "secretsmanager value",
        "account": secret.account,
        "region": secret.region,
        "secret": secret.arn,
        "version": version_id,
        "kind": kind,
    }


@contextmanager
def _writing() -> Iterator[None]:
    """KMS's refusals in Secrets Manager's words, where a value is about to be sealed.

    Source: "Access to KMS is not allowed", recorded on AWS; InvalidParameterException for a key that is not there, as users of AWS report
    it; the asymmetric key, user guide. Unverified: the message for a key that is not there.
    """
    try:
        yield
    except ServiceError as refusal:
        _refuse_access(refusal)
        if refusal.code in _NOT_THERE:
            raise InvalidParameter("The KMS key that you specified does not exist or is not valid.") from None
        if refusal.code in _WRONG_KIND:
            raise InvalidRequest("Cannot generate a data key with an asymmetric KMS key") from None
        raise EncryptionFailed from None


def _refuse_access(refusal: ServiceError) -> None:
    if refusal.code in _DENIED:
        raise AccessDenied("Access to KMS is not allowed") from None


def value_of(params: dict[str, Any]) -> tuple[Kind, Plaintext] | None:
    """The value that a request brings, or None.

    Raises InvalidParameter for both kinds at once (the curly apostrophe is AWS's), ValidationFailed for text of more than 65,536 bytes.
    """
    if "SecretString" in params and "SecretBinary" in params:
        raise InvalidParameter(
            "You can’t specify both a binary secret value and a string secret value in the same secret."
        )
    if "SecretBinary" in params:
        return "binary", Plaintext(params["SecretBinary"])
    if "SecretString" in params:
        text = Plaintext(params["SecretString"].encode())
        domain.refuse_too_large(len(text))
        return "string", text
    return None
