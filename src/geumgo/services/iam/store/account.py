"""Accounts."""

import json
from dataclasses import replace
from typing import Any

from geumgo.sealing import Sealing
from geumgo.services.iam.records import Account
from geumgo.storage import Row, Tx

_NAMES = ("id", "alias", "password_rules", "created_at_ms", "revision")
_SELECT = "SELECT id, alias, password_rules, created_at_ms, revision, mac FROM iam_account"


def insert(tx: Tx, sealing: Sealing, account: Account) -> bool:
    """Write a new account. Answers False if there is one of that id already."""
    columns = _columns(account)
    return (
        tx.run(
            "INSERT INTO iam_account (id, alias, password_rules, created_at_ms, revision, mac) "
            "VALUES (:id, :alias, :password_rules, :created_at_ms, :revision, :mac) ON CONFLICT (id) DO NOTHING",
            **columns,
            mac=sealing.vouch("iam_account", columns),
        )
        == 1
    )


def save(tx: Tx, sealing: Sealing, account: Account) -> Account:
    """Write a changed account. Its revision must still be the one that was read."""
    saved = replace(account, revision=account.revision + 1)
    columns = _columns(saved)
    changed = tx.run(
        "UPDATE iam_account SET alias = :alias, password_rules = :password_rules, revision = :revision, mac = :mac "
        "WHERE id = :id AND revision = :read",
        id=saved.id,
        alias=saved.alias,
        password_rules=columns["password_rules"],
        revision=saved.revision,
        mac=sealing.vouch("iam_account", columns),
        read=account.revision,
    )
    assert changed == 1, f"account {account.id} changed under an open transaction"
    return saved


def find(tx: Tx, sealing: Sealing, account_id: str) -> Account | None:
    row = tx.one(f"{_SELECT} WHERE id = :id", id=account_id)
    return _checked(sealing, row) if row is not None else None


def by_alias(tx: Tx, sealing: Sealing, alias: str) -> Account | None:
    row = tx.one(f"{_SELECT} WHERE alias = :alias", alias=alias)
    return _checked(sealing, row) if row is not None else None


def every(tx: Tx, sealing: Sealing) -> list[Account]:
    """Every account of the site, by id."""
    return [_checked(sealing, row) for row in tx.all(f"{_SELECT} ORDER BY id")]


def _columns(account: Account) -> dict[str, str | int | None]:
    rules = json.dumps(dict(account.password_rules), sort_keys=True) if account.password_rules is not None else None
    values = (account.id, account.alias, rules, account.created_at_ms, account.revision)
    return dict(zip(_NAMES, values, strict=True))


def _checked(sealing: Sealing, row: Row) -> Account:
    columns: dict[str, Any] = dict(zip(_NAMES, row[:-1], strict=True))
    sealing.check("iam_account", columns, bytes(row[-1]))
    rules = json.loads(columns["password_rules"]) if columns["password_rules"] is not None else None
    return Account(columns["id"], columns["alias"], rules, columns["created_at_ms"], columns["revision"])
