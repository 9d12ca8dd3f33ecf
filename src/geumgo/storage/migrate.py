"""The tables of every room, brought to what this program knows.

A room keeps its migrations as `0001_name.sql`, `0002_name.sql` ... in a package. Each file is one transaction, together
with the row that says it was applied: whatever is killed at whatever moment, the next start goes on where the last one
stopped. Several processes may start at once: the row is written first, and its primary key lets one of them through.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from typing import TypeVar

from geumgo.storage import Conflict, Storage, StorageError, Tx
from geumgo.storage.text import statements

T = TypeVar("T")

TRIES = 60  # each waits up to the engine's lock timeout (5 s) for a process that migrates at the same time

_FILE = re.compile(r"(?P<number>[0-9]{4})_(?P<name>[a-z0-9_]+)\.sql")
_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migration (
    room TEXT NOT NULL, number BIGINT NOT NULL, name TEXT NOT NULL, sha256 TEXT NOT NULL, PRIMARY KEY (room, number)
)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file. `name` is without number and suffix."""

    room: str
    number: int
    name: str
    sha256: str
    statements: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.room}/{self.number:04}_{self.name}"


def migrate(storage: Storage, rooms: Sequence[tuple[str, str]]) -> list[str]:
    """Every migration of `rooms` (name of the room, package of its files) is applied. Answers those that were now.

    Raises:
        StorageError: an applied file was changed since, or the database was made by a newer program. A plain sentence;
        the
            database is as it was.
        ValueError: the files of a package are not numbered 1, 2, 3 ..., or one of them ends inside a statement.
    """
    known = {room: migrations_of(room, package) for room, package in rooms}
    _patiently(storage, lambda tx: tx.run(_TABLE))
    with storage.reading() as tx:
        for room, migrations in known.items():
            _refuse_strange(room, migrations, applied(tx, room))
    ours = [migration for migrations in known.values() for migration in migrations]
    return [str(migration) for migration in ours if _patiently(storage, partial(_apply, migration))]


def migrations_of(room: str, package: str) -> tuple[Migration, ...]:
    """The files of `package` in order."""
    found = {}
    for file in files(package).iterdir():
        if match := _FILE.fullmatch(file.name):
            text = file.read_bytes()
            found[int(match["number"])] = Migration(
                room,
                int(match["number"]),
                match["name"],
                hashlib.sha256(text).hexdigest(),
                tuple(statements(text.decode())),
            )
        elif file.name.endswith(".sql"):
            raise ValueError(f"{package}: {file.name} is not called like 0001_name.sql")
    if set(found) != set(range(1, len(found) + 1)):
        raise ValueError(f"{package}: migrations are not numbered 1, 2, 3 ...: {sorted(found)}")
    return tuple(found[number] for number in sorted(found))


def applied(tx: Tx, room: str) -> dict[int, tuple[str, str]]:
    """What was applied for `room`: number to (name, sha256)."""
    rows = tx.all("SELECT number, name, sha256 FROM schema_migration WHERE room = :room ORDER BY number", room=room)
    return {number: (name, sha256) for number, name, sha256 in rows}


def _apply(migration: Migration, tx: Tx) -> bool:
    """Whether it was not there yet, and is now. The row comes first: who loses the race waits on it, in vain."""
    known = applied(tx, migration.room)
    _refuse_strange(migration.room, (migration,), {n: row for n, row in known.items() if n == migration.number})
    if migration.number in known:
        return False
    assert len(known) == migration.number - 1, f"{migration} is applied before the ones that it builds on"
    tx.run(
        "INSERT INTO schema_migration (room, number, name, sha256) VALUES (:room, :number, :name, :sha256)",
        room=migration.room,
        number=migration.number,
        name=migration.name,
        sha256=migration.sha256,
    )
    for statement in migration.statements:
        tx.run(statement)
    return True


def _refuse_strange(room: str, known: Sequence[Migration], found: dict[int, tuple[str, str]]) -> None:
    ours = {migration.number: migration for migration in known}
    for number, (name, sha256) in found.items():
        if number not in ours:
            raise StorageError(
                f"The database was made by a newer program: it has the migration {room}/{number:04}_{name}. "
                "Start the newer program, or restore the backup that was taken before the upgrade."
            )
        if ours[number].sha256 != sha256:
            raise StorageError(
                f"The migration {ours[number]} was changed after it had been applied (then {sha256[:12]}, "
                f"now {ours[number].sha256[:12]}). An applied migration stays as it is; a change is a new file."
            )


def _patiently(storage: Storage, change: Callable[[Tx], T]) -> T:
    """What `change` answers, in a transaction that is tried again while another process is in the way."""
    for _ in range(TRIES - 1):
        try:
            with storage.writing() as tx:
                return change(tx)
        except Conflict:
            continue
    with storage.writing() as tx:
        return change(tx)
