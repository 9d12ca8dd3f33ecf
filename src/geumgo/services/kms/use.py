"""What the cryptographic operations have in common: dry runs, what they refuse, and the date of the last use."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from geumgo.context import Context, Params, as_datetime
from geumgo.room import reads
from geumgo.services.kms import domain, lookup, store
from geumgo.services.kms.errors import DryRunSucceeded, ValidationFailed
from geumgo.services.kms.records import Key, Usage
from geumgo.services.kms.tokens import refuse_tokens

MARK_EVERY_MS: Final = 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class DryRun:
    """Whether the request only asks what would happen."""

    asked: bool

    def end(self) -> None:
        """Everything has been checked: a dry run is over here, before anything is done. Raises DryRunSucceeded."""
        if self.asked:
            raise DryRunSucceeded


_DRY: Final = DryRun(asked=True)
_WET: Final = DryRun(asked=False)


def prepare(ctx: Context, params: Params) -> DryRun:
    """Whether the request is a dry run. Raises InvalidGrantToken unless its grant tokens are good."""
    if "GrantTokens" in params:
        refuse_tokens(ctx, params)
    return _DRY if params.get("DryRun", False) else _WET


def refuse_recipient(params: Params) -> None:
    """Raises ValidationFailed if the answer shall be encrypted for a Nitro enclave: there are none here."""
    if "Recipient" in params:
        raise ValidationFailed("Recipient is not supported: there are no Nitro enclaves here.")


def refuse_context(context: Mapping[str, str], algorithm: str) -> None:
    """Raises ValidationFailed if there is an encryption context and the algorithm has no place for one.

    Source: Encrypt, API reference: only for symmetric encryption. Unverified: the message.
    """
    if context and algorithm != domain.SYMMETRIC:
        raise ValidationFailed(f"EncryptionContext is not supported with algorithm {algorithm}.")
    domain.refuse_context(context)


def ciphertext(params: Params) -> bytes | None:
    """The ciphertext; None for a dry run that says to ignore it. Source: DryRunModifiers, botocore model 2014-11-01."""
    blob: bytes | None = params.get("CiphertextBlob")
    if "IGNORE_CIPHERTEXT" in params.get("DryRunModifiers", ()):
        if not params.get("DryRun", False):
            raise ValidationFailed("DryRunModifiers can be used with DryRun only.")
        return None
    if blob is None:
        raise null_ciphertext()
    return blob


def null_ciphertext() -> ValidationFailed:
    return ValidationFailed(
        "1 validation error detected: Value null at 'ciphertextBlob' failed to satisfy constraint: Member must not be null"
    )


# -- the date of the last use -----------------------------------------------------------------------------------------


def note(ctx: Context, key: Key, operation: str) -> None:
    """The use is written down behind the answer, at most once an hour for each key.

    Another room's use counts like any other.
    """
    now_ms = ctx.clock.now_ms()
    if now_ms - lookup.last_used(ctx, key) >= MARK_EVERY_MS:
        usage = Usage(operation, now_ms, ctx.request_id)
        ctx.behind(lambda tx: store.keep_usage(tx, key, usage))


def next_note_ms(ctx: Context, key: Key) -> int:
    """When the next use of the key will be written down (Unix milliseconds)."""
    return lookup.last_used(ctx, key) + MARK_EVERY_MS


@reads
def get_key_last_usage(ctx: Context, params: Params) -> Params:
    """Source: GetKeyLastUsage, botocore model 2014-11-01: an empty object if the key was never used.

    Unverified: we track from a key's creation on, to the hour.
    """
    key = lookup.get_by_id(ctx, params["KeyId"])
    created_at = as_datetime(key.created_at_ms)
    answer: Params = {"KeyId": key.arn, "TrackingStartDate": created_at, "KeyCreationDate": created_at}
    used = store.find_usage(ctx.tx, key)
    if used is None:
        return {**answer, "KeyLastUsage": {}}
    last = {"Operation": used.operation, "Timestamp": as_datetime(used.at_ms), "KmsRequestId": used.request_id}
    return {**answer, "KeyLastUsage": last}
