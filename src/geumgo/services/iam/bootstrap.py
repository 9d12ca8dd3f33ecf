"""The first account of a site, and every further one: an account, an administrator, and the key that is shown once."""

import re
from dataclasses import dataclass, replace
from typing import Final

from geumgo.access import key_ids
from geumgo.sealing import Plaintext, Sealing
from geumgo.services.iam import builtin, ids
from geumgo.services.iam.keyring import ACTIVE
from geumgo.services.iam.records import AccessKey, Account, Holdings, Principal
from geumgo.services.iam.store import account as accounts
from geumgo.services.iam.store import holdings, keys, principals
from geumgo.storage import Tx

ADMINISTRATOR_NAME: Final = "admin"
_ACCOUNT_ID: Final = re.compile(r"[0-9]{12}")


@dataclass(frozen=True, slots=True)
class FirstKey:
    """The administrator's access key. The secret is shown once and can never be read again."""

    access_key_id: str
    secret: Plaintext


class AccountExists(Exception):
    """There is an account of that id already."""


def bootstrap(tx: Tx, sealing: Sealing, account_id: str, now_ms: int) -> FirstKey:
    """The site's first account exists, with its administrator. Raises AccountExists, ValueError as `create_account` does."""
    return create_account(tx, sealing, account_id, now_ms)


def create_account(tx: Tx, sealing: Sealing, account_id: str, now_ms: int) -> FirstKey:
    """An account of that id (12 digits) exists, with the user `admin`, to whom AdministratorAccess is attached, and his key.

    Raises:
        ValueError: the id is not twelve digits.
        AccountExists: there is one already; nothing was changed.
    """
    if not _ACCOUNT_ID.fullmatch(account_id):
        raise ValueError(f"An account id is twelve digits, not {account_id!r}.")
    if not accounts.insert(tx, sealing, Account(account_id, None, None, now_ms)):
        raise AccountExists(account_id)
    user = Principal(
        id=ids.unique_id(ids.USER),
        account=account_id,
        kind="user",
        name=ADMINISTRATOR_NAME,
        path="/",
        created_at_ms=now_ms,
        tags={},
        holdings=holdings.NOTHING_DIGEST,
    )
    principals.insert(tx, sealing, user)
    administrator = builtin.by_name(builtin.ADMINISTRATOR)
    assert administrator is not None, "AdministratorAccess is among AWS's policies"
    user = holdings.write(tx, sealing, user, Holdings(attached=(administrator.id,)))
    return FirstKey(*make_key(tx, sealing, user, now_ms))


def make_key(tx: Tx, sealing: Sealing, user: Principal, now_ms: int) -> tuple[str, Plaintext]:
    """A new active access key of `user`: its id and its secret."""
    secret = Plaintext(ids.secret_access_key())
    key = AccessKey(key_ids.new(key_ids.LONG_TERM, user.account), user.account, user.id, ACTIVE, now_ms, b"")
    sealed = replace(key, sealed=keys.seal_secret(sealing, key, secret))
    keys.insert(tx, sealing, sealed)
    return key.id, secret


def account_ids(tx: Tx, sealing: Sealing) -> list[str]:
    """The ids of every account of the site."""
    return [account.id for account in accounts.every(tx, sealing)]
