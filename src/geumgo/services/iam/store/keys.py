"""Access keys and dates of use."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from geumgo.sealing import Plaintext, Sealing
from geumgo.services.iam.records import AccessKey
from geumgo.services.iam.store.memory import remembered
from geumgo.storage import Row, Tx
from geumgo.storage.text import unkept

COLUMNS = ("id", "account_id", "user_id", "status", "created_at_ms", "sealed")
_SELECT = (
    "SELECT k.id, k.account_id, k.user_id, k.status, k.created_at_ms, k.sealed, k.mac, u.at_ms, u.service, u.region "
    "FROM iam_access_key k LEFT JOIN iam_last_used u ON u.id = k.id"
)


def seal_secret(sealing: Sealing, key: AccessKey, secret: Plaintext) -> bytes:
    """The secret of `key`, wrapped and bound to account, owner, key and date."""
    return sealing.wrap("iam", _context(key), secret)


def open_secret(sealing: Sealing, key: AccessKey) -> Plaintext:
    """The secret of `key`. Raises Unsealable if it was sealed for another key, owner or account."""
    return sealing.unwrap("iam", _context(key), key.sealed)


def insert(tx: Tx, sealing: Sealing, key: AccessKey) -> None:
    columns = _columns(key)
    tx.run(
        "INSERT INTO iam_access_key (id, account_id, user_id, status, created_at_ms, sealed, mac) "
        "VALUES (:id, :account_id, :user_id, :status, :created_at_ms, :sealed, :mac)",
        **columns,
        mac=sealing.vouch("iam_access_key", columns),
    )


def save_status(tx: Tx, sealing: Sealing, key: AccessKey) -> None:
    """Write the status of `key`. It is the only thing that changes in a key."""
    changed = tx.run(
        "UPDATE iam_access_key SET status = :status, mac = :mac WHERE id = :id",
        id=key.id,
        status=key.status,
        mac=sealing.vouch("iam_access_key", _columns(key)),
    )
    assert changed == 1, f"access key {key.id} went away under an open transaction"


def delete(tx: Tx, key: AccessKey) -> None:
    tx.run("DELETE FROM iam_access_key WHERE id = :id", id=key.id)
    tx.run("DELETE FROM iam_last_used WHERE id = :id", id=key.id)


def by_id(tx: Tx, sealing: Sealing, key_id: str) -> AccessKey | None:
    row = tx.one(f"{_SELECT} WHERE k.id = :id", id=key_id)
    return _checked(sealing, row) if row is not None else None


def of_user(tx: Tx, sealing: Sealing, user_id: str) -> list[AccessKey]:
    """The user's keys, oldest first."""
    rows = tx.all(f"{_SELECT} WHERE k.user_id = :user_id ORDER BY k.created_at_ms, k.id", user_id=user_id)
    return [_checked(sealing, row) for row in rows]


def sealed_anew(_tx: Tx, sealing: Sealing, row: Mapping[str, Any]) -> dict[str, bytes]:
    """The secret of a row under the newest root key, and its MAC. Raises Unsealable for a row that is not ours."""
    key = AccessKey(*(row[name] for name in COLUMNS))
    sealing.check("iam_access_key", _columns(key), row["mac"])
    renewed = replace(key, sealed=seal_secret(sealing, key, open_secret(sealing, key)))
    return {"sealed": renewed.sealed, "mac": sealing.vouch("iam_access_key", _columns(renewed))}


def mark_used(tx: Tx, used_id: str, service: str, region: str, now_ms: int, *, at_most_every_ms: int) -> None:
    """The date of use of a key or a role is `now_ms`, unless it was marked less than `at_most_every_ms` ago."""
    tx.run(
        unkept(
            "INSERT INTO iam_last_used (id, at_ms, service, region) VALUES (:id, :now, :service, :region) "
            "ON CONFLICT (id) DO UPDATE SET at_ms = excluded.at_ms, service = excluded.service, region = excluded.region "
            "WHERE iam_last_used.at_ms <= :due"
        ),
        id=used_id,
        now=now_ms,
        service=service,
        region=region,
        due=now_ms - at_most_every_ms,
    )


def last_used(tx: Tx, used_id: str) -> tuple[int, str, str] | None:
    """When (Unix milliseconds), with which service and in which region something was last used."""
    row = tx.one("SELECT at_ms, service, region FROM iam_last_used WHERE id = :id", id=used_id)
    return (int(row[0]), str(row[1]), str(row[2])) if row is not None else None


def _context(key: AccessKey) -> dict[str, str]:
    return {
        "label": "access key secret",
        "account": key.account,
        "user": key.user_id,
        "key": key.id,
        "created": str(key.created_at_ms),
    }


def _columns(key: AccessKey) -> dict[str, str | int | bytes]:
    return dict(
        zip(COLUMNS, (key.id, key.account, key.user_id, key.status, key.created_at_ms, key.sealed), strict=True)
    )


@remembered
def _checked(sealing: Sealing, row: Row) -> AccessKey:
    key = AccessKey(row[0], row[1], row[2], row[3], row[4], bytes(row[5]), row[7], row[8], row[9])
    sealing.check("iam_access_key", _columns(key), bytes(row[6]))
    return key
