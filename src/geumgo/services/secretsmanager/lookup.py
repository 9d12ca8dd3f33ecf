"""From a SecretId to a secret: once per call, for the gate and for the operation."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, NamedTuple

from geumgo.context import Context
from geumgo.domain.policy import Policy, PolicyKind, compile_policy
from geumgo.sealing import random
from geumgo.services.secretsmanager import (
    domain,
    envelope,
    label_events,
    owners,
    store,
    store_external,
    store_rotation,
)
from geumgo.services.secretsmanager.domain_rotation import Rotation
from geumgo.services.secretsmanager.errors import no_such_secret
from geumgo.services.secretsmanager.records import Address, Secret, Version
from geumgo.services.secretsmanager.store_external import External

COMPILED_POLICIES: Final = 1024  # documents of resource policies that are kept compiled
KEPT_VALUE_BYTES: Final = 4096  # a longer ciphertext is read from the database each time
_ANY_SUFFIX: Final = "??????"  # what policies call "whatever the last six characters are"


@dataclass(frozen=True, slots=True)
class Located:
    """What a SecretId led to. `arn` is the secret's, or the one that it would have; `policy` is the document attached to it.

    `function` is the ARN of the function that rotates the secret, if one does.
    """

    arn: str
    account: str
    secret: Secret | None = None
    policy: str | None = None
    function: str | None = None


@lru_cache(maxsize=COMPILED_POLICIES)
def compiled(document: str) -> Policy:
    """The resource policy, compiled. Raises MalformedPolicy."""
    return compile_policy(document, PolicyKind.RESOURCE)


def address(ctx: Context, secret_id: str) -> Address:
    """Raises ValidationFailed unless `secret_id` is a name or an ARN."""
    return domain.parse_secret_id(secret_id, account=ctx.place.account, region=ctx.place.region)


def locate(ctx: Context, secret_id: str) -> Located:
    """What `secret_id` names. Raises ValidationFailed if it cannot be a name."""
    known = ctx.found.get(("secret", secret_id))
    if known is None:
        at = address(ctx, secret_id)
        found = store.find(ctx.tx, ctx.sealing, at) if _is_served_here(ctx, at) else None
        known = ctx.found["secret", secret_id] = _located(ctx, secret_id, at, found)
    located: Located = known
    return located


class Value(NamedTuple):
    """A secret that is there, and its version with what that is bound to; without, if it is too long to be kept, or has no such version."""

    located: Located
    secret: Secret
    version: Version | None
    bound: bytes


def found_value(ctx: Context, secret_id: str, value: Value) -> None:
    """`value` was read for `secret_id`: whoever in this call looks for it or its parts finds it."""
    found, secret, version = ctx.found, value.secret, value.version
    found["secret", secret_id] = value.located
    if version is not None:
        found["version", secret.id, version.id] = version
        found["bound", secret.id, version.id] = value.bound


def find_value(ctx: Context, secret_id: str, version_id: str | None) -> Value | None:
    """What `secret_id` names and its version, by default the current one, in one query; None if there is no such secret.

    Raises ValidationFailed if `secret_id` cannot be a name.
    """
    at = address(ctx, secret_id)
    row = store.find_with_value(ctx.tx, ctx.sealing, at, version_id) if _is_served_here(ctx, at) else None
    if row is None:
        ctx.found["secret", secret_id] = _located(ctx, secret_id, at, None)  # nobody need look again
        return None
    found, version = row
    located = _located(ctx, secret_id, at, found)
    if located.secret is None:  # an ARN of another partition
        return None
    if version is None or len(version.ciphertext or b"") > KEPT_VALUE_BYTES:
        return Value(located, located.secret, None, b"")
    return Value(located, located.secret, version, envelope.bound_to(located.secret, version))


class Description(NamedTuple):
    """A secret that is there, with how it is rotated. When it was read last is no part of it: dates of use drop nothing that is kept."""

    located: Located
    secret: Secret
    rotation: Rotation | None
    external: External | None


def found_description(ctx: Context, secret_id: str, description: Description) -> None:
    """`description` was read for `secret_id`: whoever in this call looks for it or the secret finds it."""
    ctx.found["secret", secret_id] = description.located
    ctx.found["description", description.secret.id] = description


def find_description(ctx: Context, secret_id: str) -> Description | None:
    """What `secret_id` names; None if there is no such secret. Raises ValidationFailed if `secret_id` cannot be a name."""
    located = locate(ctx, secret_id)
    secret = located.secret
    if secret is None:
        return None
    rotation: Rotation | None = ctx.found["rotation", secret.id]
    return Description(located, secret, rotation, store_external.find(ctx.tx, ctx.sealing, secret))


def _is_served_here(ctx: Context, at: Address) -> bool:
    """Unverified: an ARN of another region is answered as one that is not there."""
    return at.region == ctx.place.region


def _located(ctx: Context, secret_id: str, at: Address, found: store.Found | None) -> Located:
    if found is not None:
        secret = found.secret
        if secret_id.startswith("arn:") and not secret_id.startswith(f"arn:{secret.partition}:"):
            return Located(secret_id, at.account)
        rotation = ctx.found["rotation", secret.id] = store_rotation.find(ctx.tx, ctx.sealing, secret)
        function = None if rotation is None else rotation.lambda_arn
        return Located(secret.arn, secret.account, secret, found.policy, function)
    store_rotation.find_none(ctx.tx)  # what is not there takes as many looks as what is: see docs/promises.md, P15
    partition = secret_id.split(":")[1] if ":" in secret_id else ctx.place.partition
    resource = f"secret:{at.name}-{at.suffix or _ANY_SUFFIX}"
    return Located(f"arn:{partition}:secretsmanager:{at.region}:{at.account}:{resource}", at.account)


def get(ctx: Context, secret_id: str) -> Secret:
    """The secret that `secret_id` names. Raises ResourceNotFound."""
    secret = locate(ctx, secret_id).secret
    if secret is None:
        raise no_such_secret()
    return secret


def get_usable(ctx: Context, secret_id: str) -> Secret:
    """The secret that `secret_id` names. Raises ResourceNotFound, and InvalidRequest if it waits for its deletion."""
    secret = get(ctx, secret_id)
    domain.refuse_deleted(secret)
    return secret


def get_changeable(ctx: Context, secret_id: str) -> Secret:
    """As `get_usable`. Raises InvalidRequest too if a service owns the secret and the caller is not that service."""
    secret = get_usable(ctx, secret_id)
    owners.refuse_owned(ctx.caller, secret)
    return secret


def get_version(ctx: Context, secret: Secret, version_id: str) -> Version | None:
    """A version of a secret, or None."""
    known: Version | None = ctx.found.get(("version", secret.id, version_id))
    return known or store.find_version(ctx.tx, ctx.sealing, secret, version_id)


def made_up(ctx: Context, name: str) -> Secret:
    """A secret of this name that could be made now: with a random id and suffix, kept nowhere yet."""
    known = ctx.found.get(("new", name))
    if known is None:
        now_ms = ctx.clock.now_ms()
        place = ctx.place
        known = ctx.found["new", name] = Secret(
            id=random.uuid().replace("-", ""),
            partition=place.partition,
            account=place.account,
            region=place.region,
            name=name,
            suffix=random.letters(6),
            created_token="",
            created_at_ms=now_ms,
            changed_at_ms=now_ms,
        )
    secret: Secret = known
    return secret


def keep(ctx: Context, secret: Secret) -> None:
    """Write a changed secret, with the time of its change. EventBridge hears of the labels that moved."""
    store.save(ctx.tx, ctx.sealing, replace(secret, changed_at_ms=ctx.clock.now_ms()))
    label_events.tell(ctx.publish, _read(ctx, secret).stages, secret)


def _read(ctx: Context, secret: Secret) -> Secret:
    """The secret as this call has read it."""
    for (kind, *_), known in ctx.found.items():
        if kind == "secret" and known.secret is not None and known.secret.id == secret.id:
            found: Secret = known.secret
            return found
    raise AssertionError(f"{secret.arn} is changed by a call that has not read it")
