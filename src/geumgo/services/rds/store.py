# ruff: noqa: S608 - what is put into the texts are names of columns, which are constants
"""The only SQL of RDS. Every row is vouched for when it is written and checked when it is read."""

import hashlib
import json
from dataclasses import fields, replace
from typing import Any, Final

from geumgo.context import Place
from geumgo.sealing import Plaintext, Sealing
from geumgo.services.rds.records import Database, Kind
from geumgo.storage import Row, Tx

_COLUMNS: Final = tuple(each.name for each in fields(Database))
_LIST: Final = ", ".join(_COLUMNS) + ", mac"
_JSON: Final = ("kept", "tags")
_SEALED: Final = ("password", "next_password")
_PURPOSE: Final = "rds"


def _as_row(database: Database) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(database, name) for name in _COLUMNS}
    for name in _JSON:
        row[name] = json.dumps(row[name], ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    row["tls"] = int(database.tls)
    return row


def _vouched(row: dict[str, Any]) -> dict[str, Any]:
    """What the MAC is over: sealed columns by their digest."""
    digests = {name: None if row[name] is None else hashlib.sha256(row[name]).hexdigest() for name in _SEALED}
    return {**row, **digests}


def _as_database(sealing: Sealing, row: Row) -> Database:
    cells: dict[str, Any] = dict(zip(_COLUMNS, row, strict=False))
    sealing.check("rds_database", _vouched(cells), row[len(_COLUMNS)])
    for name in _JSON:
        cells[name] = json.loads(cells[name])
    cells["tls"] = bool(cells["tls"])
    return Database(**cells)


def find(tx: Tx, sealing: Sealing, place: Place, kind: Kind, identifier: str) -> Database | None:
    row = tx.one(
        f"""
        SELECT {_LIST} FROM rds_database
        WHERE account = :account AND region = :region AND kind = :kind AND identifier = :identifier
        """,
        account=place.account,
        region=place.region,
        kind=kind,
        identifier=identifier,
    )
    return None if row is None else _as_database(sealing, row)


def find_by_secret(tx: Tx, sealing: Sealing, secret_arn: str) -> Database | None:
    """The database whose master password is in that secret."""
    row = tx.one(f"SELECT {_LIST} FROM rds_database WHERE secret_arn = :secret_arn", secret_arn=secret_arn)
    return None if row is None else _as_database(sealing, row)


def every(tx: Tx, sealing: Sealing, place: Place, kind: Kind, *, after: str = "") -> list[Database]:
    """All of a kind by identifier, from the one behind `after` on."""
    rows = tx.all(
        f"""
        SELECT {_LIST} FROM rds_database
        WHERE account = :account AND region = :region AND kind = :kind AND identifier > :after ORDER BY identifier
        """,
        account=place.account,
        region=place.region,
        kind=kind,
        after=after,
    )
    return [_as_database(sealing, row) for row in rows]


def add(tx: Tx, sealing: Sealing, database: Database) -> None:
    row = _as_row(database)
    row["mac"] = sealing.vouch("rds_database", _vouched(row))
    names = ", ".join(row)
    tx.run(f"INSERT INTO rds_database ({names}) VALUES ({', '.join(f':{name}' for name in row)})", **row)


def save(tx: Tx, sealing: Sealing, database: Database) -> None:
    """Write a changed database. `database.revision` must be the one that was read; the row then has the next one."""
    row = _as_row(replace(database, revision=database.revision + 1))
    row["mac"] = sealing.vouch("rds_database", _vouched(row))
    changes = ", ".join(f"{name} = :{name}" for name in row)
    changed = tx.run(
        f"""
        UPDATE rds_database SET {changes}
        WHERE account = :account AND region = :region AND kind = :kind AND identifier = :identifier AND revision = :read
        """,
        **row,
        read=database.revision,
    )
    assert changed == 1, f"{database.arn} changed under an open transaction"


def remove(tx: Tx, database: Database) -> None:
    tx.run(
        """
        DELETE FROM rds_database
        WHERE account = :account AND region = :region AND kind = :kind AND identifier = :identifier
        """,
        account=database.account,
        region=database.region,
        kind=database.kind,
        identifier=database.identifier,
    )


# -- passwords --------------------------------------------------------------------------------------------------------


def seal(sealing: Sealing, database: Database, password: Plaintext) -> bytes:
    return sealing.wrap(_PURPOSE, _context(database), password)


def unseal(sealing: Sealing, database: Database, sealed: bytes) -> Plaintext:
    return sealing.unwrap(_PURPOSE, _context(database), sealed)


def _context(database: Database) -> dict[str, str]:
    return {"database": database.arn, "id": database.resource_id}
