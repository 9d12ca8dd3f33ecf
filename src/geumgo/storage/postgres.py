"""PostgreSQL: for high availability; as many machines as wanted share one database.

Writing transactions are SERIALIZABLE, reading ones a snapshot (REPEATABLE READ) that cannot write. A storage holds one
connection, which is all that a synchronous core can use, and makes a new one when it is lost. Every connection is asked
for the settings that durability hangs on before it is used, because after a failover it may lead to another server.
"""

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.types.bool import BoolBinaryLoader
from psycopg.types.numeric import Int8BinaryDumper, NumericBinaryLoader
from psycopg.types.string import StrBinaryDumper

from geumgo.storage import Broken, Conflict, Full, Row, StorageError, Taken, Unknown, Violated
from geumgo.storage.text import changes_rows, for_postgres
from geumgo.storage.transaction import Engine

OLDEST_SERVER = 150_000  # 15.0
KEPT_STATEMENTS = 512
KEPT_TEXTS = 4_096

# What the operator's own connection string may override.
_CONNECTION: dict[str, str | int] = {
    "application_name": "geumgo",
    "connect_timeout": 5,  # seconds
    "keepalives_idle": 10,  # seconds
    "keepalives_interval": 5,  # seconds
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # milliseconds until unanswered data means that the connection is lost
    "target_session_attrs": "read-write",  # among several hosts, the primary
}

# `statement_timeout`: a COMMIT that is timed out while it waits for a standby has an outcome that nobody knows.
# `enable_seqscan`: under SERIALIZABLE a sequential scan of a small table conflicts with every write to it.
_SESSION = """
SET statement_timeout = 0; SET lock_timeout = {lock_timeout_ms}; SET idle_in_transaction_session_timeout = 120000;
SET enable_seqscan = off; SET client_min_messages = warning
"""
_BEGIN_SERIALIZABLE = b"BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE"
# Taken before the snapshot is: what waits here for its turn sees everything that came before. Serializable transactions share the turn; one
# that lost to others too often takes it alone, and cannot lose then. A lock on a table needs no rights but those on the table.
_SHARED_TURN = b"; LOCK TABLE writer_turn IN ROW SHARE MODE"
_LONE_TURN = b"; LOCK TABLE writer_turn IN EXCLUSIVE MODE"
TURN_TABLE = "writer_turn"
_TURN_IS_THERE = "SELECT to_regclass('writer_turn')::text"
_MAKE_TURN = b"CREATE TABLE IF NOT EXISTS writer_turn ()"
_BEGIN_SNAPSHOT = b"BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE"
_MARK = "SELECT pg_current_snapshot()::text, pg_postmaster_start_time()::text"
_BEGIN_READING = (
    f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {_MARK}".encode()
)  # the first statement takes the snapshot
_FACTS = """
SELECT current_setting('server_encoding'), current_setting('fsync'), current_setting('synchronous_commit'),
       current_setting('full_page_writes'), pg_is_in_recovery()::text
"""

_RETRY = {"40001", "40P01", "55P03"}  # serialization failure, deadlock, lock timeout
_DAMAGED = {"58030", "XX001", "XX002"}  # I/O error, corrupt data, corrupt index
_UNDECIDED = ("08", "57", "58", "XX")  # classes of errors after which a COMMIT may or may not have happened


class _BigintDumper(Int8BinaryDumper):
    """Integers are always BIGINT: a statement has one form, prepared once, and nothing overflows a smaller type."""


class _WholeLoader(NumericBinaryLoader):
    """NUMERIC (what SUM of BIGINT gives) as an integer."""

    def load(self, data: Any) -> Any:
        value = super().load(data)
        whole = int(value)
        assert whole == value, "a fraction came out of a column that holds whole numbers"
        return whole


class _FlagLoader(BoolBinaryLoader):
    """BOOLEAN (what EXISTS gives) as 0 or 1, as SQLite has it."""

    def load(self, data: Any) -> Any:
        return int(super().load(data))


class PostgresStorage(Engine):
    """A database on a server. See `open_postgres`."""

    def __init__(self, dsn: str, lock_timeout_ms: int) -> None:
        super().__init__()
        self.dsn = complete(dsn)
        self._lock_timeout_ms = lock_timeout_ms
        self._texts: dict[str, tuple[bytes, tuple[str, ...], bool]] = {}
        self._committing = False
        self._warned = ""  # by the server, during a COMMIT
        self._connect()

    def mark(self) -> bytes:
        """See `Storage.mark`.

        A snapshot is the set of finished transactions: all below xmax except those it lists as running. A transaction
        that commits between two marks was not in the first set and is in the second, so the two snapshots differ; equal
        ones mean that nothing was committed in between. It writes nothing, so writers do not queue for it; transactions
        that were rolled back, or belong to other databases of the server, change it needlessly and harmlessly.
        Transaction numbers have 64 bit here and do not come round. After a failover a new primary may give a number
        again that the lost one had used: the start time of the server tells the two apart.

        Source: "Transaction ID and snapshot information functions", PostgreSQL documentation.
        """
        self.refuse_if_unusable()
        for last in (False, True):
            try:
                row = self._connected().execute(_MARK).fetchone()
            except psycopg.Error as error:
                if last or not self._lost():
                    raise self._translated(error) from None
            else:
                return _spelled(row)
        raise AssertionError("not reached")

    def dropped(self, before: bytes) -> None:
        """See `Storage.dropped`: any commit drops all."""

    def close(self) -> None:
        assert not self._busy, "closed inside a transaction"
        self._connection.close()

    def begin(self, *, writes: bool, serializable: bool, alone: bool) -> bytes:
        text = _BEGIN_READING
        if writes:
            turn = _LONE_TURN if alone else _SHARED_TURN
            text = _BEGIN_SERIALIZABLE + turn if serializable else _BEGIN_SNAPSHOT
        try:
            return self._begin(text)
        except psycopg.Error as error:
            if not self._lost():
                raise self._translated(error) from None
            return self._begin_again(text)

    def _begin(self, text: bytes) -> bytes:
        """Answers the mark of the snapshot, if one is taken."""
        done = self._connected().execute(text, prepare=False)
        return _spelled(done.fetchone()) if done.nextset() and done.description is not None else b""

    def execute(self, sql: str, params: dict[str, Any]) -> tuple[list[Row], int]:
        text, names, counts = self._texts.get(sql) or self._learn(sql)
        self.refuse_to_write(counts, sql)
        cursor = self._cursor
        try:
            cursor.execute(text, [params[name] for name in names])
            rows = cursor.fetchall() if cursor.pgresult and cursor.pgresult.nfields else []
        except psycopg.Error as error:
            raise self._translated(error) from None
        return rows, cursor.rowcount if counts else 0

    def execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        text, _, counts = self._texts.get(sql) or self._learn(sql)
        self.refuse_to_write(counts, sql)
        cursor = self._cursor
        try:
            cursor.executemany(text, rows)
        except psycopg.Error as error:
            raise self._translated(error) from None
        return cursor.rowcount

    def commit(self) -> None:
        self._committing, self._warned = True, ""
        try:
            done = self._send(self._connection, b"COMMIT")
        except psycopg.Error as error:
            if self._lost() or (error.sqlstate or "08")[:2] in _UNDECIDED:
                self._connection.close()
                raise Unknown(f"PostgreSQL was lost during COMMIT: {named(error)}") from None
            raise self._translated(error) from None
        finally:
            self._committing = False
        if self._warned:  # "the transaction has already committed locally, but might not have been replicated"
            raise Unknown(f"PostgreSQL gave up waiting for its standby during COMMIT: {self._warned}")
        if done != "COMMIT":
            raise StorageError(f"PostgreSQL answered COMMIT with {done}: nothing was committed")

    def rollback(self) -> None:
        status = self._connection.info.transaction_status
        if status == pq.TransactionStatus.IDLE or self._lost():
            return
        try:
            self._send(self._connection, b"ROLLBACK")
        except psycopg.Error:
            self._connection.close()  # the server rolls back what a lost connection leaves behind

    def _learn(self, sql: str) -> tuple[bytes, tuple[str, ...], bool]:
        if len(self._texts) >= KEPT_TEXTS:
            self._texts.clear()
        text, names = for_postgres(sql)
        known = self._texts[sql] = (text.encode(), names, changes_rows(sql))
        return known

    def _send(self, connection: psycopg.Connection, text: bytes) -> str:
        """The server's word for what it did: "BEGIN", "COMMIT", "ROLLBACK"."""
        return connection.execute(text, prepare=False).statusmessage or ""

    def _lost(self) -> bool:
        return self._connection.closed

    def _connected(self) -> psycopg.Connection:
        if self._lost():
            self._connect()
        return self._connection

    def _begin_again(self, text: bytes) -> bytes:
        """The connection was lost while nothing was open: nobody need know."""
        self._connect()
        try:
            return self._begin(text)
        except psycopg.Error as error:
            raise self._translated(error) from None

    def _connect(self) -> None:
        """Raises StorageError, in a plain sentence, if the server is out of reach or cannot be relied on."""
        try:
            connection = psycopg.connect(
                self.dsn, autocommit=True, prepare_threshold=1, cursor_factory=psycopg.RawCursor
            )
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
        except psycopg.Error as error:
            raise StorageError(f"PostgreSQL is out of reach: {error}") from None
        self._connection = connection
        self._cursor = connection.cursor(binary=True)

    def _prepare(self, connection: psycopg.Connection) -> None:
        connection.prepared_max = KEPT_STATEMENTS
        connection.adapters.register_dumper(int, _BigintDumper)
        connection.adapters.register_dumper(str, StrBinaryDumper)
        connection.adapters.register_loader("numeric", _WholeLoader)
        connection.adapters.register_loader("bool", _FlagLoader)
        connection.add_notice_handler(self._note_warning)
        if connection.info.server_version < OLDEST_SERVER:
            raise StorageError(
                f"PostgreSQL {connection.info.server_version // 10_000} is too old: 15 or later is needed."
            )
        row = connection.execute(_FACTS).fetchone()
        assert row is not None
        refuse_unsafe_server(*row)
        self._send(connection, _SESSION.format(lock_timeout_ms=self._lock_timeout_ms).encode())
        self._make_turn(connection)

    def _make_turn(self, connection: psycopg.Connection) -> None:
        """The table whose lock is the writers' turn is there. Looked for first: making it needs a right that a running server may lack."""
        row = connection.execute(_TURN_IS_THERE).fetchone()
        if row is None or row[0] is None:
            try:
                self._send(connection, _MAKE_TURN)
            except (psycopg.errors.UniqueViolation, psycopg.errors.DuplicateTable):
                return  # another process, starting too, has just made it

    def _note_warning(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        if self._committing and diagnostic.severity_nonlocalized == "WARNING":
            self._warned = diagnostic.message_primary or "a warning without a text"

    def _translated(self, error: psycopg.Error) -> Exception:
        """Our word for `error`: its SQLSTATE and the names in it. PostgreSQL's own text quotes values and is left out.

        What is wrong with the SQL text itself (class 42) is a programmer's error and stays what it is.
        """
        state = error.sqlstate or ""
        says = f"PostgreSQL: {named(error)}"
        if state in _DAMAGED:
            self._broken = says
            return Broken(says)
        if state == "53100":
            return Full(says)
        if state == "23505":
            return Taken(says)
        if state[:2] in {"22", "23"} or state == "42804":  # a value does not fit, a constraint, a type
            return Violated(says)
        if state in _RETRY or self._lost():
            return Conflict(says)
        return error if state[:2] == "42" else StorageError(says)


def _spelled(row: tuple[str, str] | None) -> bytes:
    """The answer to `_MARK` as a mark."""
    assert row is not None
    return "@".join(row).encode()


def open_postgres(dsn: str, *, lock_timeout_ms: int = 5_000) -> PostgresStorage:
    """The database that `dsn` names: a libpq connection string or URI.

    `lock_timeout_ms` is how long a statement waits for another transaction to end before it is a Conflict.

    Raises:
        StorageError: the server is out of reach, is too old, or would not keep what it acknowledges. Its text is a
        plain
            sentence for the operator.
    """
    return PostgresStorage(dsn, lock_timeout_ms)


def complete(dsn: str) -> str:
    """`dsn` with what every connection of ours is made with. Raises StorageError if it cannot be read."""
    try:
        return make_conninfo(**{**_CONNECTION, **conninfo_to_dict(dsn)})  # type: ignore[arg-type]
    except psycopg.ProgrammingError:  # its text quotes the string, and with it the password
        raise StorageError(
            "The PostgreSQL connection string cannot be read. See LIBPQ-CONNSTRING for its form."
        ) from None


def refuse_unsafe_server(
    encoding: str, fsync: str, synchronous_commit: str, full_page_writes: str, standby: str
) -> None:
    """Raises StorageError if a server with these settings could lose, or could not keep, what it has acknowledged."""
    if encoding != "UTF8":
        raise StorageError(f"The database keeps its text as {encoding}. Create it with ENCODING 'UTF8'.")
    if standby == "true":
        raise StorageError(
            "This PostgreSQL server is a standby. Name the primary, or all hosts, in the connection string."
        )
    for name, value in (
        ("fsync", fsync),
        ("synchronous_commit", synchronous_commit),
        ("full_page_writes", full_page_writes),
    ):
        if value == "off":
            raise StorageError(
                f"PostgreSQL runs with {name} = off: a power cut would undo acknowledged writes. Set it to on."
            )


def named(error: psycopg.Error) -> str:
    """`error` in words that hold no value out of the database."""
    diagnostic = error.diag
    names = (diagnostic.schema_name, diagnostic.table_name, diagnostic.column_name, diagnostic.constraint_name)
    return " ".join([type(error).__name__, error.sqlstate or "no SQLSTATE", *(name for name in names if name)])
