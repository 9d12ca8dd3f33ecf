"""A copy of a SQLite database that others go on writing to."""

import os
from pathlib import Path

import apsw

from geumgo.storage import StorageError

WAIT_MS = 30_000


def snapshot(database: Path, copy: Path) -> dict[str, int]:
    """`copy` is a new file (mode 0600) with everything committed before the call, as of one moment; writers are not held up.

    Answers the rows of each table. Raises StorageError if the copy cannot be made or is not whole.
    """
    os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    try:
        source = apsw.Connection(os.fspath(database), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            source.set_busy_timeout(WAIT_MS)
            source.execute("VACUUM INTO ?", (os.fspath(copy),))
        finally:
            source.close()
        return rows_of(copy)
    except apsw.Error as fault:
        raise StorageError(f"The database {database} could not be copied: {type(fault).__name__}.") from fault


def rows_of(database: Path) -> dict[str, int]:
    """The rows of each table of a copy that nobody else has open. Raises StorageError if it is not a whole database."""
    try:
        found = apsw.Connection(os.fspath(database), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            if found.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
                raise StorageError(f"The copy {database} is not whole.")
            tables = [str(row[0]) for row in found.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
            return {table: _count(found, table) for table in sorted(tables)}
        finally:
            found.close()
    except apsw.Error as fault:
        raise StorageError(f"The copy {database} cannot be read: {type(fault).__name__}.") from fault


def _count(connection: apsw.Connection, table: str) -> int:
    quoted = table.replace('"', '""')
    row = connection.execute(f'SELECT COUNT(*) FROM "{quoted}"').fetchone()  # noqa: S608 - a name out of the schema
    assert row is not None, "a count has one row"
    return int(row[0])
