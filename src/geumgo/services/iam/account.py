"""The account: its alias and its figures."""

import re
from dataclasses import replace
from typing import Final

from geumgo.context import Context, Params
from geumgo.room import operation, reads
from geumgo.services.iam import domain
from geumgo.services.iam.errors import EntityAlreadyExists, NoSuchEntity
from geumgo.services.iam.passwords import need_account
from geumgo.services.iam.store import account as accounts
from geumgo.services.iam.store import devices, instance_profiles, policies, principals, providers

_TWELVE_DIGITS: Final = re.compile(r"[0-9]{12}")


@operation
def create_account_alias(ctx: Context, params: Params) -> Params:
    """The account has this alias, and no other. Source: CreateAccountAlias, API reference."""
    alias = params["AccountAlias"]
    taken = accounts.by_alias(ctx.tx, ctx.sealing, alias)
    if _TWELVE_DIGITS.fullmatch(alias) or (taken is not None and taken.id != ctx.place.account):
        raise EntityAlreadyExists(f"The account alias {alias} already exists.")
    accounts.save(ctx.tx, ctx.sealing, replace(need_account(ctx), alias=alias))
    return {}


@operation
def delete_account_alias(ctx: Context, params: Params) -> Params:
    account = need_account(ctx)
    if account.alias != params["AccountAlias"]:
        raise NoSuchEntity(f"The account alias with name {params['AccountAlias']} cannot be found.")
    accounts.save(ctx.tx, ctx.sealing, replace(account, alias=None))
    return {}


@reads
def list_account_aliases(ctx: Context, params: Params) -> Params:  # noqa: ARG001
    alias = need_account(ctx).alias
    return {"AccountAliases": [alias] if alias is not None else [], "IsTruncated": False}


@reads
def get_account_summary(ctx: Context, params: Params) -> Params:  # noqa: ARG001
    """Counts and quotas. What is not served here counts zero. Source: GetAccountSummary, API reference."""
    tx, account = ctx.tx, ctx.place.account
    held = devices.of_account(tx, ctx.sealing, account)
    counts = {
        "MFADevices": len(held),
        "MFADevicesInUse": sum(device.user_id is not None for device in held),
        "Users": principals.count(tx, account, "user"),
        "Groups": principals.count(tx, account, "group"),
        "Roles": principals.count(tx, account, "role"),
        "Policies": policies.count(tx, account),
        "PolicyVersionsInUse": policies.count_versions(tx, account),
        "InstanceProfiles": len(instance_profiles.of_account(tx, ctx.sealing, account)),
        "Providers": len(providers.of_account(tx, ctx.sealing, account)),
    }
    zero = (
        "ServerCertificates",
        "AccountMFAEnabled",
        "AccountAccessKeysPresent",
        "AccountPasswordPresent",
        "AccountSigningCertificatesPresent",
    )
    return {"SummaryMap": {**dict.fromkeys(zero, 0), **counts, **domain.QUOTAS, "GlobalEndpointTokenVersion": 2}}
