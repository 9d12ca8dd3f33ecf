# ruff: noqa: S608 - what is put into the texts are names of a table and of columns, which are constants
"""The only SQL on attached databases. Every row is vouched for when it is written and checked when it is read."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Final, Generic, TypeVar

from geumgo.attached.records import Database, Kind
from geumgo.context import Place
from geumgo.renewal import MAC, Mark, Renewal
from geumgo.sealing import Plaintext, Sealing
from geumgo.storage import Row, Tx

Kept = TypeVar("Kept", bound=Database)

_COLUMNS: Final = tuple(each.name for each in fields(Database))
_LIST: Final = ", ".join(_COLUMNS) + ", mac"
_JSON: Final = ("kept", "tags")
_SEALED: Final = ("password", "next_password")


class Store(Generic[Kept]):
    """The databases of one service: in its `table`, as its kind of record, sealed for its `purpose`."""

    def __init__(self, table: str, record: type[Kept], *, purpose: str) -> None:
        self._table = table
        self._record = record
        self._purpose = purpose

    def find(self, tx: Tx, sealing: Sealing, place: Place, kind: Kind, identifier: str) -> Kept | None:
        row = tx.one(
            f"""
            SELECT {_LIST} FROM {self._table}
            WHERE account = :account AND region = :region AND kind = :kind AND identifier = :identifier
            """,
            account=place.account,
            region=place.region,
            kind=kind,
            identifier=identifier,
        )
        return None if row is None else self._as_record(sealing, row)

    def find_by_secret(self, tx: Tx, sealing: Sealing, secret_arn: str) -> Kept | None:
        """The database whose master password is in that secret."""
        row = tx.one(f"SELECT {_LIST} FROM {self._table} WHERE secret_arn = :secret_arn", secret_arn=secret_arn)
        return None if row is None else self._as_record(sealing, row)

    def every(self, tx: Tx, sealing: Sealing, place: Place, kind: Kind, *, after: str = "") -> list[Kept]:
        """All of a kind by identifier, from the one behind `after` on."""
        rows = tx.all(
            f"""
            SELECT {_LIST} FROM {self._table}
            WHERE account = :account AND region = :region AND kind = :kind AND identifier > :after ORDER BY identifier
            """,
            account=place.account,
            region=place.region,
            kind=kind,
            after=after,
        )
        return [self._as_record(sealing, row) for row in rows]

    def add(self, tx: Tx, sealing: Sealing, database: Kept) -> None:
        row = _as_row(database)
        row["mac"] = sealing.vouch(self._table, _vouched(row))
        names = ", ".join(row)
        tx.run(f"INSERT INTO {self._table} ({names}) VALUES ({', '.join(f':{name}' for name in row)})", **row)

    def save(self, tx: Tx, sealing: Sealing, database: Kept) -> None:
        """Write a changed database. `database.revision` must be the one that was read; the row then has the next one."""
        row = _as_row(replace(database, revision=database.revision + 1))
        row["mac"] = sealing.vouch(self._table, _vouched(row))
        changes = ", ".join(f"{name} = :{name}" for name in row)
        changed = tx.run(
            f"""
            UPDATE {self._table} SET {changes}
            WHERE account = :account AND region = :region AND kind = :kind AND identifier = :identifier AND revision = :read
            """,
            **row,
            read=database.revision,
        )
        assert changed == 1, f"{database.arn} changed under an open transaction"

    def remove(self, tx: Tx, database: Kept) -> None:
        tx.run(
            f"""
            DELETE FROM {self._table}
            WHERE account = :account AND region = :region AND kind = :kind AND identifier = :identifier
            """,
            account=database.account,
            region=database.region,
            kind=database.kind,
            identifier=database.identifier,
        )

    def seal(self, sealing: Sealing, database: Kept, password: Plaintext) -> bytes:
        return sealing.wrap(self._purpose, _context(database), password)

    def unseal(self, sealing: Sealing, database: Kept, sealed: bytes) -> Plaintext:
        return sealing.unwrap(self._purpose, _context(database), sealed)

    @property
    def renewal(self) -> Renewal:
        """How the table comes under the newest root key."""
        marks = (MAC, *(Mark(name, self._purpose) for name in _SEALED))
        return Renewal(self._table, ("account", "region", "kind", "identifier"), marks, _COLUMNS, self._renewed)

    def _renewed(self, _tx: Tx, sealing: Sealing, row: Mapping[str, Any]) -> dict[str, bytes | None]:
        cells = {name: row[name] for name in _COLUMNS}
        database = self._as_record(sealing, (*cells.values(), row["mac"]))
        passwords: dict[str, bytes | None] = {
            name: cells[name] and self.seal(sealing, database, self.unseal(sealing, database, cells[name]))
            for name in _SEALED
        }
        return {**passwords, "mac": sealing.vouch(self._table, _vouched({**cells, **passwords}))}

    def _as_record(self, sealing: Sealing, row: Row) -> Kept:
        cells: dict[str, Any] = dict(zip(_COLUMNS, row, strict=False))
        sealing.check(self._table, _vouched(cells), row[len(_COLUMNS)])
        for name in _JSON:
            cells[name] = json.loads(cells[name])
        cells["tls"] = bool(cells["tls"])
        return self._record(**cells)


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


def _context(database: Database) -> dict[str, str]:
    return {"database": database.arn, "id": database.resource_id}
