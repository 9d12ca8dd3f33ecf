"""From a KeyId to a key: once per call, for the gate and for the operation."""

from dataclasses import dataclass

from geumgo.context import Context
from geumgo.sealing import Unsealable, dkgcm
from geumgo.services.kms import managed, store
from geumgo.services.kms.domain import Reference, parse_reference
from geumgo.services.kms.errors import AccessDenied, NotFound
from geumgo.services.kms.records import Key, Material, spell


@dataclass(frozen=True, slots=True)
class Found:
    """What a KeyId led to. `arn` is the key's, or the one that it would have.

    `refusal` is set exactly if `key` is None.
    """

    key: Key | None
    arn: str
    account: str
    alias: str | None = None
    material: Material | None = None
    refusal: NotFound | None = None


def locate(ctx: Context, key_id: str) -> Found:
    """What `key_id` names, with the material that encrypts; never raises for what a caller sent."""
    known = ctx.found.get(key_id)
    if known is None:
        known = ctx.found[key_id] = _locate(ctx, key_id)
    return known


def _locate(ctx: Context, key_id: str) -> Found:
    try:
        reference = parse_reference(key_id, account=ctx.place.account, region=ctx.place.region)
    except NotFound as refusal:
        arn = key_id if key_id.startswith("arn:") else ctx.place.arn("kms", f"key/{key_id}")
        return Found(None, arn, ctx.place.account, refusal=refusal)
    arn = f"arn:{ctx.place.partition}:kms:{reference.region}:{reference.account}:{reference.resource}"
    if reference.alias:
        return _behind_alias(ctx, reference, arn)
    row = store.find_with_material(ctx.tx, ctx.sealing, reference.region, reference.id, None)
    if row is None or row[0].account != reference.account or row[0].multi_region != reference.multi_region:
        return Found(None, arn, reference.account, refusal=NotFound(f"Key '{arn}' does not exist"))
    ctx.found["used", row[0].id] = row[2]
    return Found(row[0], row[0].arn, row[0].account, material=row[1])


def _behind_alias(ctx: Context, reference: Reference, arn: str) -> Found:
    """Unverified: the message for an alias that is not there."""
    alias = store.find_alias(ctx.tx, ctx.sealing, reference.account, reference.region, reference.alias)
    target = alias.key if alias is not None else managed.make_if_first_used(ctx, reference)
    row = None if target is None else store.find_with_material(ctx.tx, ctx.sealing, reference.region, target, None)
    if row is None:
        return Found(None, arn, reference.account, reference.alias, refusal=NotFound(f"Alias {arn} is not found."))
    ctx.found["used", row[0].id] = row[2]
    return Found(row[0], row[0].arn, row[0].account, reference.alias, row[1])


def get(ctx: Context, key_id: str) -> Key:
    """The key that `key_id` names. Raises NotFound."""
    found = locate(ctx, key_id)
    if found.key is None:
        assert found.refusal is not None, "a key is missing without a reason"
        raise found.refusal
    return found.key


def get_by_id(ctx: Context, key_id: str) -> Key:
    """The key that `key_id` names by its id or ARN. Raises NotFound, for an alias too.

    Source: the KeyId of each operation, API reference: aliases are for cryptographic operations and DescribeKey. Unverified: the message.
    """
    key = get(ctx, key_id)
    if locate(ctx, key_id).alias is not None:
        raise NotFound(f"Invalid keyId '{key_id}'")
    return key


def get_own(ctx: Context, operation: str, key_id: str) -> Key:
    """The caller's own customer managed key. Raises NotFound, or AccessDenied for a key of another account or of AWS.

    Source: "Permissions reference", developer guide (which operations work across accounts); "AWS managed keys",
    developer guide.
    """
    key = get_by_id(ctx, key_id)
    if key.account != ctx.place.account or key.manager == "AWS":
        raise AccessDenied(
            f"User: {ctx.caller.arn} is not authorized to perform: kms:{operation} on resource: {key.arn}"
        )
    return key


@dataclass(frozen=True, slots=True)
class Opened:
    """A blob of ours: the key and the version that its header names."""

    key: Key
    material: Material


def locate_blob(ctx: Context, blob: bytes) -> Opened | None:
    """The key that a symmetric ciphertext names, or None if it names none of this region."""
    if blob not in ctx.found:
        ctx.found[blob] = _locate_blob(ctx, blob)
    known: Opened | None = ctx.found[blob]
    return known


def _locate_blob(ctx: Context, blob: bytes) -> Opened | None:
    try:
        header = dkgcm.read_header(blob)
    except Unsealable:
        return None
    if header.key_version == 0:
        return None
    region, key_id, version = ctx.place.region, header.key_id.hex(), header.key_version
    found = ctx.tx.derived(
        ("kms.version", region, key_id, version), lambda: _find_version(ctx, region, key_id, version)
    )
    if found is None:
        return None
    opened, ctx.found["used", opened.key.id] = found
    return opened


def _find_version(ctx: Context, region: str, key_id: str, version: int) -> tuple[Opened, int] | None:
    """A key with one of its versions, and when it was used last."""
    row = store.find_with_material(ctx.tx, ctx.sealing, region, key_id, version)
    return None if row is None or row[1] is None else (Opened(row[0], row[1]), row[2])


def last_used(ctx: Context, key: Key) -> int:
    """When the key, which was found in this call, was used last (Unix milliseconds; 0: never)."""
    used_at_ms: int = ctx.found["used", key.id]
    return used_at_ms


def claimed_arn(ctx: Context, blob: bytes) -> str | None:
    """The ARN, in the caller's account, of the key that a blob claims to be under; None if it is no blob at all."""
    try:
        header = dkgcm.read_header(blob)
    except Unsealable:
        return None
    opened = locate_blob(ctx, blob)
    multi_region = opened is not None and opened.key.multi_region
    return ctx.place.arn("kms", f"key/{spell(header.key_id.hex(), multi_region=multi_region)}")


def current(ctx: Context, key_id: str) -> tuple[Key, Material]:
    """The key that `key_id` names and the material that encrypts. The key must be enabled, so there is some."""
    key = get(ctx, key_id)
    material = locate(ctx, key_id).material
    if material is None or material.sealed is None:
        raise Unsealable(f"{key.arn} is enabled and has no material")
    return key, material
