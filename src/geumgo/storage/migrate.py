"""The tables of every room, brought to what this program knows.

A room keeps its migrations as `0001_name.sql`, `0002_name.sql` ... in a package. Each file is one transaction, together
with the row that says it was applied: whatever is killed at whatever moment, the next start goes on where the last one
stopped. Several processes may start at once: the row is written first, and its primary key lets one of them through.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from itertools import islice
from typing import TypeVar

from geumgo.storage import Conflict, Row, Storage, StorageError, Tx
from geumgo.storage.rows import SCHEMA_TABLE, Table, broken
from geumgo.storage.text import statements

T = TypeVar("T")

TRIES = 60  # each waits up to the engine's lock timeout (5 s) for a process that migrates at the same time

ROWS_AT_ONCE = 500  # of a table that is filled

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


def fill(storage: Storage, rooms: Sequence[tuple[str, str]], tables: Iterable[Table]) -> dict[str, int]:
    """An empty database holds the rows of another one, in tables as that one had them; all of it in one transaction.

    The first of `tables` says which migrations it had; later ones are applied at the next start. Answers the rows of each table.

    Raises:
        StorageError: it was made by a newer program, or is not whole; nothing is kept. A plain sentence.
    """
    known = {room: migrations_of(room, package) for room, package in rooms}
    found: dict[str, int] = {}
    with storage.writing() as tx:
        tx.run(_TABLE)
        for table in tables:
            rows = iter(table.rows)
            if not found:
                if table.name != SCHEMA_TABLE:
                    raise broken()
                kept = list(rows)
                _make_tables(tx, known, table.columns, kept)
                rows = iter(kept)
            found[table.name] = _fill_table(tx, table.name, table.columns, iter(rows))
    return found


def _make_tables(tx: Tx, known: dict[str, tuple[Migration, ...]], columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Every migration that stands in `rows` is applied, but for its row."""
    said: dict[str, dict[int, tuple[str, str]]] = {}
    for row in rows:
        each = dict(zip(columns, row, strict=True))
        said.setdefault(each["room"], {})[each["number"]] = (each["name"], each["sha256"])
    for room in {**known, **said}:
        migrations, found = known.get(room, ()), said.get(room, {})
        _refuse_strange(room, migrations, found)
        if set(found) != set(range(1, len(found) + 1)):
            raise broken()
        for migration in migrations[: len(found)]:
            for statement in migration.statements:
                tx.run(statement)


def _fill_table(tx: Tx, name: str, columns: Sequence[str], rows: Iterator[Row]) -> int:
    places = ", ".join(f":{column}" for column in columns)
    text = f"INSERT INTO {name} ({', '.join(columns)}) VALUES ({places})"  # noqa: S608 - names that a schema of ours has
    count = 0
    while some := list(islice(rows, ROWS_AT_ONCE)):
        count += tx.many(text, some)
    return count


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
