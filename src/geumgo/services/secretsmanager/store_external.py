# ruff: noqa: S608 - what is put into the texts are names of columns, which are constants
"""Rows of secret_external: vouched for when written and checked when read, because they say as whom a secret is read."""

import json
from dataclasses import dataclass
from typing import Any, Final

from geumgo.sealing import Sealing
from geumgo.services.secretsmanager.records import Secret
from geumgo.storage import Row, Tx

COLUMNS: Final = ("secret_id", "role_arn", "metadata")
TABLE: Final = "secret_external"


@dataclass(frozen=True, slots=True)
class External:
    """As which role a managed external secret is rotated, and what its partner wants to know, as it was given."""

    role_arn: str
    metadata: tuple[tuple[str, str], ...] = ()


def find(tx: Tx, sealing: Sealing, secret: Secret) -> External | None:
    """None: that was never said, or it is no managed external secret."""
    if secret.secret_type is None:
        return None
    found = tx.one(f"SELECT {', '.join(COLUMNS)}, mac FROM {TABLE} WHERE secret_id = :id", id=secret.id)
    return None if found is None else as_external(sealing, found)


def as_external(sealing: Sealing, found: Row) -> External:
    """What a row of COLUMNS with its MAC tells of. Raises Unsealable unless it is vouched for."""
    row: dict[str, Any] = dict(zip(COLUMNS, found, strict=False))
    sealing.check(TABLE, row, found[-1])
    return External(row["role_arn"], tuple((key, value) for key, value in json.loads(row["metadata"])))


def keep(tx: Tx, sealing: Sealing, secret: Secret, external: External) -> None:
    row: dict[str, Any] = {
        "secret_id": secret.id,
        "role_arn": external.role_arn,
        "metadata": json.dumps(external.metadata, separators=(",", ":")),
    }
    row["mac"] = sealing.vouch(TABLE, row)
    changes = ", ".join(f"{name} = excluded.{name}" for name in row if name != "secret_id")
    tx.run(
        f"""
        INSERT INTO {TABLE} ({", ".join(row)}) VALUES ({", ".join(f":{name}" for name in row)})
        ON CONFLICT (secret_id) DO UPDATE SET {changes}
        """,
        **row,
    )


def remove(tx: Tx, secret: Secret) -> None:
    tx.run(f"DELETE FROM {TABLE} WHERE secret_id = :id", id=secret.id)
