# ruff: noqa: S608 - what is put into the texts are names of columns, which are constants
"""Rows of secret_rotation: vouched for when written and checked when read, because they say which function is shown a secret."""

import json
from typing import Any, Final

from geumgo.sealing import Sealing
from geumgo.services.secretsmanager.domain_rotation import Rotation
from geumgo.services.secretsmanager.records import Secret
from geumgo.storage import Row, Tx

COLUMNS: Final = (
    "secret_id",
    "anchored_at_ms",
    "enabled",
    "lambda_arn",
    "rules",
    "due_by_ms",
    "rotated_at_ms",
    "token",
    "step",
    "testing",
    "until_ms",
    "failures",
    "last_error",
    "failed_at_ms",
)
_TABLE: Final = "secret_rotation"


def _as_row(rotation: Rotation) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(rotation, name) for name in COLUMNS}
    row["rules"] = json.dumps(dict(rotation.rules), sort_keys=True, separators=(",", ":"))
    row["enabled"], row["testing"] = int(rotation.enabled), int(rotation.testing)
    return row


def as_rotation(sealing: Sealing, found: Row) -> Rotation:
    """The rotation that a row of COLUMNS with its MAC tells of. Raises Unsealable unless it is vouched for."""
    row: dict[str, Any] = dict(zip(COLUMNS, found, strict=False))
    sealing.check(_TABLE, row, found[-1])
    row["rules"] = json.loads(row["rules"])
    row["enabled"], row["testing"] = bool(row["enabled"]), bool(row["testing"])
    return Rotation(**row)


_NOBODYS_ID: Final = "0" * 32


def find(tx: Tx, sealing: Sealing, secret: Secret) -> Rotation | None:
    """How the secret is rotated; None: that was never set up."""
    row = tx.one(f"SELECT {', '.join(COLUMNS)}, mac FROM {_TABLE} WHERE secret_id = :id", id=secret.id)
    return None if row is None else as_rotation(sealing, row)


def find_none(tx: Tx) -> None:
    """As `find` for a secret that was never set up to be rotated, and is not there."""
    found = tx.one(f"SELECT {', '.join(COLUMNS)}, mac FROM {_TABLE} WHERE secret_id = :id", id=_NOBODYS_ID)
    assert found is None, "no secret has this id"


def listed(tx: Tx, sealing: Sealing, *, after: str = "", limit: int) -> list[Rotation]:
    """Every rotation that was ever set up, by the ids of the secrets, from the one behind `after` on."""
    rows = tx.all(
        f"SELECT {', '.join(COLUMNS)}, mac FROM {_TABLE} WHERE secret_id > :after ORDER BY secret_id LIMIT :limit",
        after=after,
        limit=limit,
    )
    return [as_rotation(sealing, row) for row in rows]


def troubled(tx: Tx, now_ms: int) -> tuple[int, int]:
    """How many rotations fail at present, and how many are overdue, for whoever watches."""
    row = tx.one(
        f"""
        SELECT COUNT(CASE WHEN r.failures > 0 THEN 1 END), COUNT(CASE WHEN r.due_by_ms <= :now_ms THEN 1 END)
        FROM {_TABLE} r JOIN secret s ON s.id = r.secret_id WHERE r.enabled = 1 AND s.deleted_at_ms IS NULL
        """,
        now_ms=now_ms,
    )
    assert row is not None, "an aggregate has a row"
    return row[0], row[1]


def keep(tx: Tx, sealing: Sealing, rotation: Rotation) -> None:
    row = _as_row(rotation)
    row["mac"] = sealing.vouch(_TABLE, row)
    changes = ", ".join(f"{name} = excluded.{name}" for name in row if name != "secret_id")
    tx.run(
        f"""
        INSERT INTO {_TABLE} ({", ".join(row)}) VALUES ({", ".join(f":{name}" for name in row)})
        ON CONFLICT (secret_id) DO UPDATE SET {changes}
        """,
        **row,
    )


def remove(tx: Tx, secret: Secret) -> None:
    tx.run(f"DELETE FROM {_TABLE} WHERE secret_id = :id", id=secret.id)
