"""Access keys of users."""

from dataclasses import replace

from geumgo.context import Context, Params, as_datetime
from geumgo.room import operation, reads
from geumgo.services.iam import domain
from geumgo.services.iam.bootstrap import make_key
from geumgo.services.iam.errors import NoSuchEntity, ValidationError
from geumgo.services.iam.keyring import ACTIVE
from geumgo.services.iam.lookup import need, page, refuse_beyond
from geumgo.services.iam.records import AccessKey
from geumgo.services.iam.store import keys, principals


@operation
def create_access_key(ctx: Context, params: Params) -> Params:
    """A new key. This answer is the only place where its secret is ever seen. Source: CreateAccessKey, API reference."""
    user = need(ctx, "user", params)
    held = keys.of_user(ctx.tx, ctx.sealing, user.id)
    refuse_beyond("AccessKeysPerUser", len(held), domain.QUOTAS["AccessKeysPerUserQuota"])
    now_ms = ctx.clock.now_ms()
    key_id, secret = make_key(ctx.tx, ctx.sealing, user, now_ms)
    return {
        "AccessKey": {
            "UserName": user.name,
            "AccessKeyId": key_id,
            "Status": ACTIVE,
            "SecretAccessKey": secret.reveal().decode(),
            "CreateDate": as_datetime(now_ms),
        }
    }


@reads
def list_access_keys(ctx: Context, params: Params) -> Params:
    user = need(ctx, "user", params)
    found = keys.of_user(ctx.tx, ctx.sealing, user.id)
    return page(
        params,
        found,
        lambda key: key.id,
        lambda key: {
            "UserName": user.name,
            "AccessKeyId": key.id,
            "Status": key.status,
            "CreateDate": as_datetime(key.created_at_ms),
        },
        "AccessKeyMetadata",
    )


@operation
def update_access_key(ctx: Context, params: Params) -> Params:
    """The key is active or not, from the next request on. Unverified: the sentence about the status Expired."""
    if params["Status"] not in {ACTIVE, "Inactive"}:
        raise ValidationError(f"Status {params['Status']} is not allowed. Allowed values are Active, Inactive.")
    key = _need_key(ctx, params)
    keys.save_status(ctx.tx, ctx.sealing, replace(key, status=params["Status"]))
    return {}


@operation
def delete_access_key(ctx: Context, params: Params) -> Params:
    keys.delete(ctx.tx, _need_key(ctx, params))
    return {}


@reads
def get_access_key_last_used(ctx: Context, params: Params) -> Params:
    """When the key was used last, to the hour. Source: recorded on AWS ("N/A" for a key that never was)."""
    key = keys.by_id(ctx.tx, ctx.sealing, params["AccessKeyId"])
    owner = principals.by_id(ctx.tx, ctx.sealing, key.user_id) if key is not None else None
    if key is None or owner is None or owner.account != ctx.place.account:
        raise _missing(params["AccessKeyId"])
    used = {"ServiceName": key.used_service or "N/A", "Region": key.used_region or "N/A"}
    when = {"LastUsedDate": as_datetime(key.used_at_ms)} if key.used_at_ms is not None else {}
    return {"UserName": owner.name, "AccessKeyLastUsed": {**when, **used}}


def _need_key(ctx: Context, params: Params) -> AccessKey:
    user = need(ctx, "user", params)
    key = keys.by_id(ctx.tx, ctx.sealing, params["AccessKeyId"])
    if key is None or key.user_id != user.id:
        raise _missing(params["AccessKeyId"])
    return key


def _missing(key_id: str) -> NoSuchEntity:
    """Source: recorded on AWS."""
    return NoSuchEntity(f"The Access Key with id {key_id} cannot be found.")
