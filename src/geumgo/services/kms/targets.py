"""What the gate sees of a key: its target, with the policy and the grant that speak for it, and the condition keys that describe it.

Source: "Condition keys for AWS KMS", developer guide.
"""

from collections.abc import Callable, Mapping

from geumgo.access.demand import Demand, Target
from geumgo.context import Context
from geumgo.domain.policy import MalformedPolicy
from geumgo.sealing import Unsealable
from geumgo.services.kms import lookup, policies, store
from geumgo.services.kms.domain import grant_permits
from geumgo.services.kms.records import Grant, Key

Keys = dict[str, tuple[str, ...]]


def caller_names(ctx: Context) -> set[str]:
    """Every name by which a grant may mean the caller: its unique id, its ARN, the role behind a session, a service's host name."""
    caller = ctx.caller
    names = {caller.arn, caller.unique_id} - {""}
    if caller.kind == "AWSService":
        names.add(caller.name)
    if caller.kind == "AssumedRole" and caller.session is not None:
        names |= {caller.session.issuer_arn, caller.session.issuer_id}
    return names


def granted(
    ctx: Context, key: Key, operation: str, context: Mapping[str, str], covers: Callable[[Grant], bool] = lambda _: True
) -> str | None:
    """The id of a grant that permits this very request, or None. `covers` is what else must hold of it."""
    if not key.grants:
        return None
    names = caller_names(ctx)
    mine = [grant for name in sorted(names) for grant in store.grants_to(ctx.tx, ctx.sealing, key, name)]
    sources = ctx.conditions.get("aws:SourceArn", ())
    for grant in mine:
        if grant_permits(grant, operation, names, context, sources) and covers(grant):
            return grant.id
    return None


def key_target(key: Key, shown: str, grant: str | None = None) -> Target:
    """The key with its policy, which must allow."""
    try:
        policy = policies.compiled(key.policy)
    except MalformedPolicy:
        raise Unsealable(f"the policy of {key.arn} is vouched for and cannot be read") from None
    return Target(key.arn, shown, key.account, policy, "required", key.tags, grant)


def about(ctx: Context, key: Key | None, alias: str | None) -> Keys:
    """The condition keys that describe the caller's account and the key."""
    keys: Keys = {"kms:CallerAccount": (ctx.caller.account,)} if ctx.caller.account else {}
    if alias is not None:
        keys["kms:RequestAlias"] = (alias,)
    if key is None:
        return keys
    keys["kms:KeySpec"] = keys["kms:CustomerMasterKeySpec"] = (key.spec,)
    keys["kms:KeyUsage"] = keys["kms:CustomerMasterKeyUsage"] = (key.usage,)
    keys["kms:KeyOrigin"] = (key.origin,)
    keys["kms:MultiRegion"] = (said_of(key.multi_region),)
    keys["kms:ResourceAliases"] = key.aliases
    if key.multi_region:
        keys["kms:MultiRegionKeyType"] = ("PRIMARY" if key.is_primary else "REPLICA",)
    return keys


def said_of(value: bool) -> str:
    return "true" if value else "false"


def about_context(context: Mapping[str, str]) -> Keys:
    """The condition keys that an encryption context gives. Source: "kms:EncryptionContext", developer guide."""
    keys: Keys = {f"kms:EncryptionContext:{name}": (value,) for name, value in context.items()}
    if context:
        keys["kms:EncryptionContextKeys"] = tuple(context)
    return keys


def demand_on(
    ctx: Context,
    key_id: str,
    operation: str,
    context: Mapping[str, str],
    keys: Keys,
    covers: Callable[[Grant], bool] = lambda _: True,
) -> Demand:
    """`kms:<operation>` on whatever `key_id` names. A key that is not there is a thing of its account without a policy.

    What a denial shows is made from `key_id` alone, so it does not tell whether there is such a key or alias.
    """
    found = lookup.locate(ctx, key_id)
    shown = found.arn if found.alias is None else key_id if key_id.startswith("arn:") else ctx.place.arn("kms", key_id)
    said = {**about(ctx, found.key, found.alias), **about_context(context), **keys}
    if found.key is None:
        return Demand(f"kms:{operation}", Target(found.arn, shown, found.account), said)
    grant = granted(ctx, found.key, operation, context, covers)
    return Demand(f"kms:{operation}", key_target(found.key, shown, grant), said)
