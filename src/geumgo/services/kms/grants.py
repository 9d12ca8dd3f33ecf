"""Grants: permissions on one key for one principal, made and taken back without touching the key policy."""

from collections.abc import Sequence
from dataclasses import replace

from geumgo.context import Context, Params, as_datetime
from geumgo.room import operation, reads
from geumgo.sealing import random
from geumgo.services.kms import lookup, store, use
from geumgo.services.kms.domain import (
    ENCRYPT,
    GRANTABLE,
    SYMMETRIC,
    SYMMETRIC_GRANTS,
    read_marker,
    refuse_context,
    refuse_unusable,
)
from geumgo.services.kms.errors import (
    AccessDenied,
    InvalidGrantId,
    LimitExceeded,
    ValidationFailed,
)
from geumgo.services.kms.keys import page_end
from geumgo.services.kms.records import Grant, Key
from geumgo.services.kms.tokens import make_token, read_token

# -- making -----------------------------------------------------------------------------------------------------------


@operation
def create_grant(ctx: Context, params: Params) -> Params:
    """Source: CreateGrant, API reference: the same request with the same name gives the same grant and a new token."""
    dry = use.prepare(ctx, params)
    key = lookup.get_by_id(ctx, params["KeyId"])
    refuse_unusable(key)
    grant = _asked(ctx, key, params)
    dry.end()
    same = _same_named(ctx, key, grant)
    if same is not None:
        return {"GrantToken": make_token(ctx, same), "GrantId": same.id}
    if key.grants >= store.MOST_GRANTS:
        raise LimitExceeded(f"{key.arn} has {store.MOST_GRANTS} grants already.")
    store.add_grant(ctx.tx, ctx.sealing, grant)
    store.save(ctx.tx, ctx.sealing, replace(key, grants=key.grants + 1))
    return {"GrantToken": make_token(ctx, grant), "GrantId": grant.id}


def kept_name(ctx: Context, principal: str) -> str:
    """A principal as a grant keeps it: users and roles by unique id, so that who is made again under an old name inherits nothing."""
    return ctx.principals.unique_id(ctx.tx, principal) or principal


def _asked(ctx: Context, key: Key, params: Params) -> Grant:
    operations = tuple(sorted(set(params["Operations"])))
    _refuse_operations(key, operations)
    constraints = params.get("Constraints", {})
    equals, subset = constraints.get("EncryptionContextEquals"), constraints.get("EncryptionContextSubset")
    if equals is not None and subset is not None:
        raise ValidationFailed("Only one of EncryptionContextEquals and EncryptionContextSubset may be given.")
    for context in (equals, subset):
        if context is not None:
            refuse_context(context)
            if key.spec != SYMMETRIC:
                raise ValidationFailed("Encryption context constraints are for symmetric encryption KMS keys only.")
    if "GranteeServicePrincipal" in params:
        _refuse_loose_service(params, constraints)
    return Grant(
        id=(random.uuid() + random.uuid()).replace("-", ""),
        region=key.region,
        key=key.id,
        issuer=ctx.caller.account or ctx.place.account,
        grantee=_principal(ctx, params, "Grantee", required=True),
        retiring=_principal(ctx, params, "Retiring", required=False),
        name=params.get("Name", ""),
        operations=operations,
        equals=equals,
        subset=subset,
        source_arn=constraints.get("SourceArn"),
        created_at_ms=ctx.clock.now_ms(),
    )


def _refuse_operations(key: Key, operations: Sequence[str]) -> None:
    """Source: "Grants", developer guide: a grant may hold only operations that its key can do. Unverified: the message."""
    allowed = SYMMETRIC_GRANTS if key.usage == ENCRYPT and key.spec == SYMMETRIC else GRANTABLE[key.usage]
    wrong = [name for name in operations if name not in allowed]
    if wrong or not operations:
        raise ValidationFailed(
            f"1 validation error detected: Value '{list(operations)}' at 'operations' failed to satisfy constraint: "
            f"Operations must be supported by the KMS key {key.arn}"
        )


def _refuse_loose_service(params: Params, constraints: Params) -> None:
    """Source: GranteeServicePrincipal, botocore model 2014-11-01. Unverified: the message."""
    if "SourceArn" not in constraints or not ({"RetiringPrincipal", "RetiringServicePrincipal"} & set(params)):
        raise ValidationFailed("GranteeServicePrincipal needs a SourceArn grant constraint and a retiring principal.")


def _principal(ctx: Context, params: Params, role: str, *, required: bool) -> str:
    """The principal in `GranteePrincipal`, `GranteeServicePrincipal` or their retiring twins, as it is kept. It must exist.

    Source: CreateGrant, API reference. Unverified: the messages.
    """
    by_arn, by_service = params.get(f"{role}Principal", ""), params.get(f"{role}ServicePrincipal", "")
    if (by_arn and by_service) or (required and not by_arn and not by_service):
        raise ValidationFailed(f"Exactly one of {role}Principal and {role}ServicePrincipal must be specified.")
    named: str = by_arn or by_service
    if named and not ctx.principals.exists(ctx.tx, named):
        raise ValidationFailed(f"The {role.lower()} principal {named} is not valid.")
    return kept_name(ctx, named)


def _same_named(ctx: Context, key: Key, wanted: Grant) -> Grant | None:
    """A grant that differs in nothing but its id and its date, if the request gave a name."""
    if not wanted.name:
        return None
    for grant in store.grants_to(ctx.tx, ctx.sealing, key, wanted.grantee):
        if replace(grant, id=wanted.id, created_at_ms=wanted.created_at_ms) == wanted:
            return grant
    return None


# -- taking back ------------------------------------------------------------------------------------------------------


@operation
def revoke_grant(ctx: Context, params: Params) -> Params:
    key = lookup.get_by_id(ctx, params["KeyId"])
    grant = _on(ctx, key, params["GrantId"])
    use.prepare(ctx, params).end()
    _drop(ctx, key, grant)
    return {}


@operation
def retire_grant(ctx: Context, params: Params) -> Params:
    """Source: RetireGrant, API reference: by token, or by key ARN and grant id."""
    grant = named_grant(ctx, params)
    key = store.find(ctx.tx, ctx.sealing, grant.region, grant.key)
    assert key is not None, f"grant {grant.id} is on a key that is gone"
    use.prepare(ctx, params).end()
    _drop(ctx, key, grant)
    return {}


def named_grant(ctx: Context, params: Params) -> Grant:
    """The grant that RetireGrant names. Unverified: the message."""
    if "GrantToken" in params:
        return read_token(ctx, params["GrantToken"])
    if "KeyId" not in params or "GrantId" not in params:
        raise ValidationFailed("Grant token OR (grant ID, key ID) must be specified")
    return _on(ctx, lookup.get_by_id(ctx, params["KeyId"]), params["GrantId"])


def _on(ctx: Context, key: Key, grant_id: str) -> Grant:
    grant = store.find_grant(ctx.tx, ctx.sealing, grant_id) if grant_id.isascii() and grant_id.isalnum() else None
    if grant is None or (grant.region, grant.key) != (key.region, key.id):
        raise InvalidGrantId
    return grant


def _drop(ctx: Context, key: Key, grant: Grant) -> None:
    store.drop_grant(ctx.tx, grant)
    store.save(ctx.tx, ctx.sealing, replace(key, grants=key.grants - 1))


# -- listing ----------------------------------------------------------------------------------------------------------


@reads
def list_grants(ctx: Context, params: Params) -> Params:
    """Source: ListGrants, API reference: 50 a page, filtered by id or grantee."""
    key = lookup.get_by_id(ctx, params["KeyId"])
    if "GrantId" in params:
        return {"Grants": [_shown(ctx, key.arn, _on(ctx, key, params["GrantId"]))], "Truncated": False}
    limit = min(params.get("Limit", 50), 100)
    after = read_marker(params.get("Marker"))
    wanted = params.get("GranteePrincipal") or params.get("GranteeServicePrincipal")
    grantee = kept_name(ctx, wanted) if wanted else None
    found = store.list_grants(ctx.tx, ctx.sealing, key, grantee=grantee, after=after, limit=limit + 1)
    return {"Grants": [_shown(ctx, key.arn, g) for g in found[:limit]], **page_end([g.id for g in found], limit)}


@reads
def list_retirable_grants(ctx: Context, params: Params) -> Params:
    """Source: ListRetirableGrants, API reference; only a service may ask for a service's. Unverified: the messages."""
    retiring = params.get("RetiringPrincipal") or params.get("RetiringServicePrincipal")
    if not retiring:
        raise ValidationFailed("Required input parameter 'RetiringPrincipal' not specified")
    if "RetiringPrincipal" not in params and ctx.caller.kind != "AWSService":
        raise AccessDenied("RetiringServicePrincipal may be used by AWS services only.")
    retiring = kept_name(ctx, retiring)
    limit = min(params.get("Limit", 50), 100)
    after = read_marker(params.get("Marker"))
    found = store.list_retirable(ctx.tx, ctx.sealing, ctx.place.region, retiring, after=after, limit=limit + 1)
    keys = {g.key: store.find(ctx.tx, ctx.sealing, g.region, g.key) for g in found[:limit]}
    shown = [_shown(ctx, key.arn, grant) for grant in found[:limit] if (key := keys[grant.key]) is not None]
    return {"Grants": shown, **page_end([g.id for g in found], limit)}


def _shown(ctx: Context, key_arn: str, grant: Grant) -> Params:
    """A grant as KMS answers it. Unverified: that a user or role who is gone is shown by its unique id, as in policies."""
    said: Params = {
        "KeyId": key_arn,
        "GrantId": grant.id,
        "CreationDate": as_datetime(grant.created_at_ms),
        "IssuingAccount": f"arn:{key_arn.split(':')[1]}:iam::{grant.issuer}:root",
        "Operations": list(grant.operations),
    }
    if grant.name:
        said["Name"] = grant.name
    for role, principal in (("Grantee", grant.grantee), ("Retiring", grant.retiring)):
        if principal:
            service = "." in principal and not principal.startswith("arn:")
            member = f"{role}ServicePrincipal" if service else f"{role}Principal"
            said[member] = ctx.principals.arn_of(ctx.tx, principal) or principal
    constraints = {
        "EncryptionContextEquals": grant.equals,
        "EncryptionContextSubset": grant.subset,
        "SourceArn": grant.source_arn,
    }
    given = {name: value for name, value in constraints.items() if value is not None}
    return {**said, "Constraints": given} if given else said
