"""Aliases: names for keys. An alias points to one key of its own account and region."""

from dataclasses import replace

from geumgo.context import Context, Params, as_datetime
from geumgo.room import operation, reads
from geumgo.services.kms import lookup, store
from geumgo.services.kms.domain import read_marker, refuse_alias_name, refuse_deletion_pending
from geumgo.services.kms.errors import AlreadyExists, LimitExceeded, NotFound, ValidationFailed
from geumgo.services.kms.keys import page_end
from geumgo.services.kms.records import Alias, Key

ALIASES_PER_KEY = 50


def _name_a_key(ctx: Context, operation_name: str, key_id: str) -> Key:
    """The key that an alias shall point to. Source: CreateAlias, API reference: a key id or key ARN, no alias."""
    if key_id.startswith("alias/") or ":alias/" in key_id:
        raise ValidationFailed("Aliases must refer to keys. Not aliases")
    key = lookup.get_own(ctx, operation_name, key_id)
    refuse_deletion_pending(key)
    return key


def _wear(ctx: Context, key: Key, name: str) -> None:
    """The key's own row lists the alias. Source: "Quotas", developer guide: 50 aliases per key."""
    if len(key.aliases) >= ALIASES_PER_KEY:
        raise LimitExceeded(f"{key.arn} has {ALIASES_PER_KEY} aliases already.")
    store.save(ctx.tx, ctx.sealing, replace(key, aliases=tuple(sorted({*key.aliases, name}))))


def _take_off(ctx: Context, alias: Alias) -> None:
    key = store.find(ctx.tx, ctx.sealing, alias.region, alias.key)
    assert key is not None, f"{alias.name} points to a key that is gone"
    store.save(ctx.tx, ctx.sealing, replace(key, aliases=tuple(name for name in key.aliases if name != alias.name)))


@operation
def create_alias(ctx: Context, params: Params) -> Params:
    """Source: recorded on AWS (the message when it is there already)."""
    name = params["AliasName"]
    refuse_alias_name(name)
    key = _name_a_key(ctx, "CreateAlias", params["TargetKeyId"])
    place = ctx.place
    if store.find_alias(ctx.tx, ctx.sealing, place.account, place.region, name) is not None:
        raise AlreadyExists(f"An alias with the name {place.arn('kms', name)} already exists")
    now_ms = ctx.clock.now_ms()
    _wear(ctx, key, name)
    store.keep_alias(ctx.tx, ctx.sealing, Alias(place.account, place.region, name, key.id, now_ms, now_ms))
    return {}


def _existing(ctx: Context, name: str) -> Alias:
    """The caller's alias. Unverified: the message."""
    refuse_alias_name(name)
    alias = store.find_alias(ctx.tx, ctx.sealing, ctx.place.account, ctx.place.region, name)
    if alias is None:
        raise NotFound(f"Alias {ctx.place.arn('kms', name)} is not found.")
    return alias


@operation
def update_alias(ctx: Context, params: Params) -> Params:
    """Source: UpdateAlias, API reference: both keys are of one kind and usage. Unverified: the message."""
    alias = _existing(ctx, params["AliasName"])
    key = _name_a_key(ctx, "UpdateAlias", params["TargetKeyId"])
    before = store.find(ctx.tx, ctx.sealing, alias.region, alias.key)
    assert before is not None, f"{alias.name} points to a key that is gone"
    if (before.usage, before.spec.partition("_")[0]) != (key.usage, key.spec.partition("_")[0]):
        raise ValidationFailed("The current and the new key must be of the same type and have the same key usage.")
    if before.id != key.id:
        _take_off(ctx, alias)
        _wear(ctx, key, alias.name)
    store.keep_alias(ctx.tx, ctx.sealing, replace(alias, key=key.id, updated_at_ms=ctx.clock.now_ms()))
    return {}


@operation
def delete_alias(ctx: Context, params: Params) -> Params:
    alias = _existing(ctx, params["AliasName"])
    _take_off(ctx, alias)
    store.drop_alias(ctx.tx, alias)
    return {}


@reads
def list_aliases(ctx: Context, params: Params) -> Params:
    """Source: ListAliases, API reference: 50 a page, of the caller's account and region."""
    limit = min(params.get("Limit", 50), 100)
    after = read_marker(params.get("Marker"))
    key = lookup.get_by_id(ctx, params["KeyId"]) if "KeyId" in params else None
    place = ctx.place
    found = store.list_aliases(
        ctx.tx, ctx.sealing, place.account, place.region, key=key.id if key else None, after=after, limit=limit + 1
    )
    return {"Aliases": [_shown(ctx, alias) for alias in found[:limit]], **page_end([a.name for a in found], limit)}


def _shown(ctx: Context, alias: Alias) -> Params:
    key = store.find(ctx.tx, ctx.sealing, alias.region, alias.key)
    assert key is not None, f"{alias.name} points to a key that is gone"
    return {
        "AliasName": alias.name,
        "AliasArn": ctx.place.arn("kms", alias.name),
        "TargetKeyId": key.key_id,
        "CreationDate": as_datetime(alias.created_at_ms),
        "LastUpdatedDate": as_datetime(alias.updated_at_ms),
    }
