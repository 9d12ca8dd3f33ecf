"""Passwords for the console, as salted hashes."""

import json
from typing import Any

from geumgo.sealing import Sealing
from geumgo.services.iam.records import Login
from geumgo.storage import Tx

_NAMES = ("user_id", "hashed", "earlier", "reset_required", "created_at_ms", "changed_at_ms")


def save(tx: Tx, sealing: Sealing, login: Login) -> None:
    """Write a login, new or changed."""
    columns: dict[str, str | int] = {
        "user_id": login.user_id,
        "hashed": login.hashed,
        "earlier": json.dumps(login.earlier),
        "reset_required": int(login.reset_required),
        "created_at_ms": login.created_at_ms,
        "changed_at_ms": login.changed_at_ms,
    }
    tx.run(
        "INSERT INTO iam_login (user_id, hashed, earlier, reset_required, created_at_ms, changed_at_ms, mac) "
        "VALUES (:user_id, :hashed, :earlier, :reset_required, :created_at_ms, :changed_at_ms, :mac) "
        "ON CONFLICT (user_id) DO UPDATE SET hashed = excluded.hashed, earlier = excluded.earlier, "
        "reset_required = excluded.reset_required, changed_at_ms = excluded.changed_at_ms, mac = excluded.mac",
        **columns,
        mac=sealing.vouch("iam_login", columns),
    )


def delete(tx: Tx, user_id: str) -> None:
    tx.run("DELETE FROM iam_login WHERE user_id = :user_id", user_id=user_id)


def find(tx: Tx, sealing: Sealing, user_id: str) -> Login | None:
    row = tx.one(
        "SELECT user_id, hashed, earlier, reset_required, created_at_ms, changed_at_ms, mac FROM iam_login "
        "WHERE user_id = :user_id",
        user_id=user_id,
    )
    if row is None:
        return None
    columns: dict[str, Any] = dict(zip(_NAMES, row[:-1], strict=True))
    sealing.check("iam_login", columns, bytes(row[-1]))
    return Login(
        user_id=columns["user_id"],
        hashed=columns["hashed"],
        earlier=tuple(json.loads(columns["earlier"])),
        reset_required=bool(columns["reset_required"]),
        created_at_ms=columns["created_at_ms"],
        changed_at_ms=columns["changed_at_ms"],
    )
