"""SQLite: one file, embedded, the default.

What an acknowledged write needs to survive a power cut is set here and then asked back, because SQLite answers a
setting that it did not take with the old value and no error: write-ahead log, `synchronous=FULL`, a log file that is
kept, and a directory that we sync ourselves (SQLite ignores a failed sync of the directory).

One storage is one connection and has one transaction at a time. The core is synchronous, so one per process is enough;
a second thread opens its own.
"""

import ctypes
import fcntl
import os
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from geumgo.storage import Broken, Conflict, Full, Row, StorageError, Taken, Violated
from geumgo.storage.rows import SCHEMA_TABLE, Table
from geumgo.storage.text import changes_rows, drops, for_sqlite
from geumgo.storage.transaction import RECENT, Engine

CHECKPOINT_PAGES = 1_000  # 4 MB of log: about what SQLite itself does
CROWDED_PAGES = 8_000  # 32 MB of log: now wait for readers, so that the log starts again from its beginning
LOG_LIMIT_BYTES = 64 * 1024 * 1024
WIPE_SECONDS = 60.0  # how long what was deleted may still stand in the log
WIPE_AGAIN_SECONDS = 1.0  # when somebody reads just then
KEPT_STATEMENTS = 512
KEPT_TEXTS = 4_096
LOOKS_AGAIN_SECONDS = 0.001  # while another transaction holds a lock
COPY_WAIT_MS = 30_000  # how long a copy waits for a lock (milliseconds)

# Each is set, asked back and compared. Source: PRAGMA statements, SQLite documentation.
_SETTINGS = {
    "journal_mode": "wal",
    "synchronous": 2,  # FULL: the log is synced at every commit
    "foreign_keys": 1,
    "secure_delete": 1,  # what is deleted is overwritten with zeros
    "trusted_schema": 0,
    "cell_size_check": 1,
    "journal_size_limit": LOG_LIMIT_BYTES,
    "mmap_size": 0,  # saves 1 us of 14, and turns a failed read into the death of the process (SIGBUS)
    "wal_autocheckpoint": 0,  # we do it: SQLite hides the errors of its own
}
# One row, for what others keep. The token changes when all of it is dropped; else the changes are counted, and the ids that the newest of
# them concern stand in `recent`, newest first, one on each line.
_KEPT_IS_THERE = "SELECT 1 FROM sqlite_schema WHERE name = 'kept_changes'"
_KEPT_TABLE = """
    CREATE TABLE kept_changes (one INTEGER PRIMARY KEY, token BLOB NOT NULL, changes INT NOT NULL, recent TEXT NOT NULL) STRICT
"""
_KEPT_ROW = "INSERT INTO kept_changes (one, token, changes, recent) VALUES (1, randomblob(16), 0, '')"
_DROP_ALL = "UPDATE kept_changes SET token = randomblob(16), changes = 0, recent = ''"
_ID_BYTES = 33  # 32 hexadecimal digits and the end of the line
_DROP_SOME = """
    UPDATE kept_changes SET changes = changes + :count, recent = substr(:ids || recent, 1, :longest)
"""
_KEPT = "SELECT token, changes, recent FROM kept_changes"
_GONE_WRONG = (apsw.IOError, apsw.CorruptError, apsw.NotADBError, apsw.CantOpenError, apsw.ReadOnlyError)
_CAME_FIRST = (apsw.BusyError, apsw.LockedError, apsw.ProtocolError)


class Patience:
    """How a transaction waits for another one to end: it looks again every millisecond, for so many seconds at most.

    SQLite's own looks ever more seldom, up to 100 ms apart: whoever came later and looks oftener is served first, again and again.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until = 0.0

    def __call__(self, times: int) -> bool:
        """`times`: how often it has looked for this lock before. Source: sqlite3_busy_handler, SQLite documentation."""
        now = time.monotonic()
        if times == 0:
            self._until = now + self._seconds
        if now >= self._until:
            return False
        time.sleep(LOOKS_AGAIN_SECONDS)
        return True


class SqliteStorage(Engine):
    """An open database file. See `open_sqlite`."""

    def __init__(self, path: Path, connection: apsw.Connection, busy_timeout_ms: int) -> None:
        super().__init__()
        self.path = path
        self._busy_timeout_ms = busy_timeout_ms
        self._connection = connection
        self._commits = 0
        self._log_pages = 0
        self._wiped_at = time.monotonic()
        self._texts: dict[str, tuple[str, bool, str]] = {}
        self._seen: tuple[int, int] = (-1, -1)
        self._token, self._changes, self._recent = b"", 0, ""  # as they were when `_seen` was
        connection.set_wal_hook(self._note_log)

    def mark(self) -> bytes:
        """See `Storage.mark`.

        `PRAGMA data_version` changes with the commits of other connections and not with our own, so ours are counted.
        (The file control of the same name, apsw's `data_version()`, does not look at the file: it misses what other
        processes have committed.) Only if somebody has committed is the row read that says whether it concerns what is kept.
        """
        self.refuse_if_unusable()
        try:
            return self._version()
        except apsw.Error as error:
            raise self._translated(error) from None

    def _version(self) -> bytes:
        """Of the database as it is now, or inside a transaction as its snapshot shows it."""
        row = self._connection.execute("PRAGMA data_version").fetchone()
        assert row is not None
        seen = (row[0], self._commits)
        if seen != self._seen:
            found = self._connection.execute(_KEPT).fetchone()
            assert found is not None, "the row was made when the database was opened"
            (self._token, self._changes, self._recent), self._seen = found, seen
        return self._token + self._changes.to_bytes(8, "big")

    def dropped(self, before: bytes) -> Collection[str] | None:
        """See `Storage.dropped`."""
        missed = self._changes - int.from_bytes(before[16:], "big")
        if before[:16] != self._token or missed < 0 or missed * _ID_BYTES > len(self._recent):
            return None
        return self._recent[: missed * _ID_BYTES].split()

    def close(self) -> None:
        assert not self._busy, "closed inside a transaction"
        try:
            self._connection.close()
        except apsw.Error as error:
            raise self._translated(error) from None

    def begin(self, *, writes: bool, serializable: bool, alone: bool) -> bytes:  # noqa: ARG002 - one writer at a time is both
        try:
            self._connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
            # BEGIN alone takes no snapshot: the first read does, and this is one
            return b"" if writes else self._version()
        except apsw.Error as error:
            raise self._translated(error) from None

    def execute(self, sql: str, params: dict[str, Any]) -> tuple[list[Row], int]:
        text, counts, dropped = self._texts.get(sql) or self._learn(sql)
        self.refuse_to_write(counts, sql)
        if dropped:
            self.note_dropped(dropped, params)
        try:
            rows = self._connection.execute(text, params).fetchall()
        except (apsw.SQLError, apsw.BindingsError, apsw.MisuseError):
            raise  # a programmer's error: its message speaks of the SQL text alone
        except apsw.Error as error:
            raise self._translated(error) from None
        return rows, self._connection.changes() if counts else 0

    def execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        text, counts, dropped = self._texts.get(sql) or self._learn(sql)
        self.refuse_to_write(counts, sql)
        if dropped:
            self.note_dropped(dropped, {})
        before = self._connection.total_changes()
        try:
            self._connection.executemany(text, rows)
        except (apsw.SQLError, apsw.BindingsError, apsw.MisuseError):
            raise  # a programmer's error: its message speaks of the SQL text alone
        except apsw.Error as error:
            raise self._translated(error) from None
        return self._connection.total_changes() - before

    def commit(self) -> None:
        self._commits += 1  # before: a commit that fails half-way may have been seen by others
        try:
            if self.drops_all():
                self._connection.execute(_DROP_ALL)
            elif self._drops:
                ids = "".join(f"{each}\n" for each in self._drops)
                self._connection.execute(
                    _DROP_SOME, {"count": len(self._drops), "ids": ids, "longest": RECENT * _ID_BYTES}
                )
            self._connection.execute("COMMIT")
            if time.monotonic() >= self._wiped_at + WIPE_SECONDS:
                self._wipe()
            elif self._log_pages >= CHECKPOINT_PAGES:
                self._checkpoint()
        except apsw.Error as error:
            raise self._translated(error) from None

    def rollback(self) -> None:
        if not self._connection.in_transaction:
            return
        try:
            self._connection.execute("ROLLBACK")
        except apsw.Error as error:
            raise self._translated(error) from None

    def _learn(self, sql: str) -> tuple[str, bool, str]:
        if len(self._texts) >= KEPT_TEXTS:
            self._texts.clear()
        known = self._texts[sql] = (for_sqlite(sql), changes_rows(sql), drops(sql))
        return known

    def _note_log(self, _connection: apsw.Connection, _schema: str, pages: int) -> int:
        self._log_pages = pages
        return apsw.SQLITE_OK

    def _checkpoint(self) -> None:
        """Copy the log into the database file. Readers in the way are waited for only when the log has grown large."""
        crowded = self._log_pages >= CROWDED_PAGES
        self._log_pages = 0
        try:
            self._connection.wal_checkpoint(
                mode=apsw.SQLITE_CHECKPOINT_RESTART if crowded else apsw.SQLITE_CHECKPOINT_PASSIVE
            )
        except _CAME_FIRST:
            return  # somebody reads or copies; the next commit tries again
        except apsw.FullError:
            return  # the commit stands in the log, which keeps its pages until there is space

    def _wipe(self) -> None:
        """The log is empty: pages from before a deletion stand in it as they were, until it is. Nobody is waited for.

        In the database file itself `secure_delete` overwrites what is deleted.
        """
        self._log_pages, self._wiped_at = 0, time.monotonic()
        self._connection.set_busy_timeout(0)
        try:
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except (*_CAME_FIRST, apsw.FullError):
            self._wiped_at += WIPE_AGAIN_SECONDS - WIPE_SECONDS
        finally:
            self._connection.set_busy_handler(Patience(self._busy_timeout_ms / 1_000))

    def _translated(self, error: apsw.Error) -> StorageError:
        """Our word for `error`. Carries SQLite's name for it and SQLite's text, which names columns, never values."""
        code = getattr(error, "extendedresult", 0)
        says = f"SQLite {apsw.mapping_extended_result_codes.get(code, type(error).__name__)}: {error}"
        if isinstance(error, _CAME_FIRST):
            return Conflict(says)
        if isinstance(error, apsw.FullError):
            return Full(says)
        if isinstance(error, apsw.ConstraintError):
            twice = code in {apsw.SQLITE_CONSTRAINT_UNIQUE, apsw.SQLITE_CONSTRAINT_PRIMARYKEY}
            return Taken(says) if twice else Violated(says)
        if isinstance(error, _GONE_WRONG):
            self._broken = says
            return Broken(says)
        return StorageError(says)


def open_sqlite(path: Path, *, busy_timeout_ms: int = 5_000) -> SqliteStorage:
    """The database file at `path`, made (mode 0600) when it is not there, in a directory that exists.

    `busy_timeout_ms` is how long a transaction waits for another one to end before it is a Conflict.

    Raises:
        StorageError: the SQLite library can lose writes, a setting was not taken, or the file cannot be used. Its text
        is a
            plain sentence for the operator.
    """
    refuse_affected_library(library_version())
    try:
        with _directory_locked(path.parent) as directory:
            _make_private(path)
            storage = SqliteStorage(path, _connected(path, busy_timeout_ms), busy_timeout_ms)
            os.fsync(directory)
    except OSError as error:
        raise StorageError(f"The database {path} cannot be opened: {error.strerror}.") from None
    except apsw.Error as error:
        raise StorageError(f"The database {path} cannot be opened: SQLite says {error}.") from None
    return storage


def library_version() -> str:
    """Of the SQLite that is loaded: "3.51.3"."""
    return apsw.sqlite_lib_version()


def refuse_affected_library(version: str) -> None:
    """Raises StorageError if SQLite `version` ("3.40.1") can lose writes committed to a log that two connections share.

    Source: "The WAL-reset bug", SQLite documentation: in 3.7.0 to 3.51.2, mended in 3.51.3, 3.50.7 and 3.44.6.
    """
    number = tuple(int(part) for part in version.split(".")[:3])
    mended = (
        number >= (3, 51, 3)
        or (number[:2] == (3, 50) and number >= (3, 50, 7))
        or (number[:2] == (3, 44) and number >= (3, 44, 6))
    )
    if not mended:
        raise StorageError(
            f"SQLite {version} is loaded, which can lose acknowledged writes (the WAL-reset bug, in 3.7.0 to 3.51.2). "
            "Install the apsw package from its wheel, which brings SQLite 3.51.3 or later."
        )


@contextmanager
def _directory_locked(directory: Path) -> Iterator[int]:
    """The directory, open, while no other process or thread opens a database in it."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _make_private(path: Path) -> None:
    """The file is there and only its owner can read it. SQLite gives its log the same mode.

    A file that exists is not opened here: closing it would drop the locks that this process holds on it through SQLite.
    Source: "How To Corrupt An SQLite Database File", 2.2.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        if path.is_symlink():
            raise StorageError(f"The database {path} is a symbolic link. Name the file itself.") from None
        path.chmod(0o600)


def _connected(path: Path, busy_timeout_ms: int) -> apsw.Connection:
    connection = apsw.Connection(
        str(path), flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_NOFOLLOW, statementcachesize=KEPT_STATEMENTS
    )
    try:
        connection.set_busy_handler(Patience(busy_timeout_ms / 1_000))
        # A plan holds whatever the parameters are: else statements with LIKE or ranges are planned anew for every value.
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        for name, wanted in _SETTINGS.items():
            connection.pragma(name, wanted)
            taken = connection.pragma(name)
            if taken != wanted:
                raise StorageError(  # noqa: TRY301
                    f"SQLite did not take the setting {name}={wanted} for {path} (it answers {taken}). "
                    "Acknowledged writes would not be safe, so nothing is served. "
                    "Look for a file system without shared memory or locks (NFS, some overlays)."
                )
        _keep_log(connection, path)
        if connection.execute(_KEPT_IS_THERE).fetchone() is None:
            _make_kept(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _make_kept(connection: apsw.Connection) -> None:
    """The row for what others keep is there. A process of an older release finds its own gone, and stops rather than miss a change."""
    with connection:
        connection.execute("DROP TABLE IF EXISTS kept_generation")
        connection.execute(_KEPT_TABLE)
        connection.execute(_KEPT_ROW)


def _keep_log(connection: apsw.Connection, path: Path) -> None:
    """The log is there and stays when the last connection closes: its directory need never be synced again."""
    keep = ctypes.c_int(1)
    connection.file_control("main", apsw.SQLITE_FCNTL_PERSIST_WAL, ctypes.addressof(keep))
    kept = ctypes.c_int(-1)  # asks
    connection.file_control("main", apsw.SQLITE_FCNTL_PERSIST_WAL, ctypes.addressof(kept))
    connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()  # the first read makes the log
    if kept.value != 1 or not path.with_name(f"{path.name}-wal").exists():
        raise StorageError(
            f"SQLite does not keep the write-ahead log of {path}. "
            "Acknowledged writes would not be safe, so nothing is served."
        )


# -- a copy of a database that others go on writing to ------------------------------------------------------------------


def snapshot(database: Path, copy: Path) -> dict[str, int]:
    """`copy` is a new file (mode 0600) with everything committed before the call, as of one moment; writers are not held up.

    Answers the rows of each table. Raises StorageError if the copy cannot be made or is not whole.
    """
    os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    try:
        source = apsw.Connection(os.fspath(database), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            source.set_busy_timeout(COPY_WAIT_MS)
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


def tables_of(database: Path) -> Iterator[Table]:
    """The tables of a copy that nobody else has open, but for what this engine keeps for itself; the migrations come first."""
    connection = apsw.Connection(os.fspath(database), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        names = [str(row[0]) for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        ours = [name for name in names if name != "kept_changes" and not name.startswith("sqlite_")]
        for name in sorted(ours, key=lambda name: (name != SCHEMA_TABLE, name)):
            columns = tuple(str(row[0]) for row in connection.execute("SELECT name FROM pragma_table_info(?)", (name,)))
            text = f'SELECT {", ".join(columns)} FROM "{name}"'  # noqa: S608 - names out of the schema
            yield Table(name, columns, connection.execute(text))
    except apsw.Error as fault:
        raise StorageError(f"The copy {database} cannot be read: {type(fault).__name__}.") from fault
    finally:
        connection.close()


def _count(connection: apsw.Connection, table: str) -> int:
    quoted = table.replace('"', '""')
    row = connection.execute(f'SELECT COUNT(*) FROM "{quoted}"').fetchone()  # noqa: S608 - a name out of the schema
    assert row is not None, "a count has one row"
    return int(row[0])
