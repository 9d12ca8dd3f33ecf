"""PostgreSQL: for high availability; as many machines as wanted share one database.

Writing transactions are SERIALIZABLE, reading ones a snapshot (REPEATABLE READ) that cannot write. A storage holds one
connection, which is all that a synchronous core can use, and makes a new one when it is lost. Every connection is asked
for the settings that durability hangs on before it is used, because after a failover it may lead to another server.
"""

from collections.abc import Collection, Sequence
from typing import Any

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from geumgo.storage import Broken, Conflict, Full, Row, StorageError, Taken, Unknown, Violated, changes, terms
from geumgo.storage.prepared import Prepared, ok
from geumgo.storage.text import EVERYTHING, changes_rows, drops, for_postgres
from geumgo.storage.transaction import Engine

OLDEST_SERVER = 150_000  # 15.0
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

IDLE_MS = 10_000
"""How long a transaction may say nothing before the server ends it, with its connection (milliseconds).

A process that stands still (a machine that was suspended, or is gone without a word) holds rows and its turn to write until then, and
nobody else can have them. Between two statements of ours lie milliseconds.
"""

# `statement_timeout`: a COMMIT that is timed out while it waits for a standby has an outcome that nobody knows.
# `enable_seqscan`: under SERIALIZABLE a sequential scan of a small table conflicts with every write to it.
# `default_transaction_isolation`: a glance outside a transaction is not to stand in the way of writers, as one under SERIALIZABLE would.
_SESSION = """
SET statement_timeout = 0; SET lock_timeout = {lock_timeout_ms}; SET idle_in_transaction_session_timeout = {idle_ms};
SET enable_seqscan = off; SET client_min_messages = warning; SET default_transaction_isolation = 'read committed'
"""
_BEGIN_SERIALIZABLE = b"BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE"
# Taken before the snapshot is: what waits here for its turn sees everything that came before. Serializable transactions share the turn; one
# that lost to others too often takes it alone, and cannot lose then. A lock on a table needs no rights but those on the table. With it goes
# the lock that lets rows be sealed in a term of the root keys: see storage.terms.
_TURN = "turn_to_write"
OWN_TABLES = ("turn_to_write", "writer_turn", changes.NAME)
"""The tables that the storage makes for itself: nothing in them is worth a copy."""
# A process of an older release takes its turn by another table, and says nothing of its changes: without that table it cannot write.
_TABLES = {
    "SELECT to_regclass('turn_to_write')::text": "DROP TABLE IF EXISTS writer_turn; CREATE TABLE IF NOT EXISTS turn_to_write ()",
    changes.IS_THERE: changes.TABLE,
}
_BEGIN_SNAPSHOT = b"BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE"
_BEGIN_READING = b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "  # the first statement takes the snapshot
_GLANCE = changes.GLANCE.encode()
_FACTS = """
SELECT current_setting('server_encoding'), current_setting('fsync'), current_setting('synchronous_commit'),
       current_setting('full_page_writes'), pg_is_in_recovery()::text
"""

_OUTDATED = "0A000"  # "cached plan must not change result type": another process has changed a table since
_RETRY = {"40001", "40P01", "55P03", _OUTDATED}  # serialization failure, deadlock, lock timeout
_DAMAGED = {"58030", "XX001", "XX002"}  # I/O error, corrupt data, corrupt index
_UNDECIDED = ("08", "57", "58", "XX")  # classes of errors after which a COMMIT may or may not have happened


class PostgresStorage(Engine):
    """A database on a server. See `open_postgres`."""

    def __init__(self, dsn: str, lock_timeout_ms: int, term: int | None = None) -> None:
        super().__init__()
        self.dsn = complete(dsn)
        self._term = term
        self._shared_turn, self._lone_turn = terms.turns(term, _TURN)
        self._lock_timeout_ms = lock_timeout_ms
        self._texts: dict[str, tuple[bytes, tuple[str, ...], bool, str]] = {}
        self._changes = changes.Changes()
        self._own_rows = 0  # of changes, that this storage has written
        self._committing = False
        self._warned = ""  # by the server, during a COMMIT
        self._connect()

    def mark(self) -> bytes:
        """See `Storage.mark`. One round trip: see storage.changes."""
        self.refuse_if_unusable()
        for last in (False, True):
            try:
                connection = self._connected()
                if not self._changes.note(_seen(ok(connection.pgconn.exec_prepared(_GLANCE, self._changes.params())))):
                    ok(connection.pgconn.exec_(changes.BEGIN_ANEW))
            except psycopg.Error as error:
                self.rollback()
                if last or not self._lost_by(error):
                    raise self._translated(error) from None
            else:
                return self._changes.mark
        raise AssertionError("not reached")

    def dropped(self, before: bytes) -> Collection[str] | None:
        """See `Storage.dropped`."""
        return self._changes.dropped(before)

    def close(self) -> None:
        assert not self._busy, "closed inside a transaction"
        self._connection.close()

    def begin(self, *, writes: bool, serializable: bool, alone: bool) -> bytes:
        turn = self._lone_turn if alone else self._shared_turn
        writing = _BEGIN_SERIALIZABLE + turn if serializable else _BEGIN_SNAPSHOT
        for last in (False, True):  # a connection that was lost while nothing was open: nobody need know
            try:
                connection = self._connected()
                if writes:
                    ok(connection.pgconn.exec_(writing))
                    return b""
                self._changes.note(_seen(ok(connection.pgconn.exec_(_BEGIN_READING + self._changes.statement()))))
            except psycopg.errors.UndefinedTable:
                if self._term is None:
                    raise
                self.rollback()
                raise self._closed(self._open_terms(self._connection)) from None
            except psycopg.Error as error:
                if last or not self._lost_by(error):
                    raise self._translated(error) from None
            else:
                return self._changes.mark
        raise AssertionError("not reached")

    def _closed(self, open_ones: list[int]) -> Broken:
        fault = terms.closed(self._term or 0, open_ones)
        self._broken = str(fault)
        return fault

    def _open_terms(self, connection: psycopg.Connection) -> list[int]:
        return sorted(terms.term_of(name) for (name,) in connection.execute(terms.NAMES).fetchall())

    def _admit(self, connection: psycopg.Connection, term: int) -> None:
        """Rows may be sealed in the term of this storage: it is open, or none ever was. Raises Closed."""
        open_ones = self._open_terms(connection)
        if not open_ones:
            name = terms.table_of(term)
            self._make(
                connection,
                f"SELECT to_regclass('{name}')::text",
                f"CREATE TABLE IF NOT EXISTS {name} (node TEXT NOT NULL)",
            )
        elif term not in open_ones:
            raise self._closed(open_ones)
        connection.execute(terms.NAMED.format(term=term))

    def execute(self, sql: str, params: dict[str, Any]) -> tuple[list[Row], int]:
        text, names, counts, dropped = self._texts.get(sql) or self._learn(sql)
        self.refuse_to_write(counts, sql)
        if dropped:
            self.note_dropped(dropped, params)
        try:
            rows, count = self._statements.do(text, [params[name] for name in names])
        except psycopg.Error as error:
            raise self._translated(error) from None
        return rows, count if counts else 0

    def execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        text, _, counts, dropped = self._texts.get(sql) or self._learn(sql)
        self.refuse_to_write(counts, sql)
        if dropped:
            self.note_dropped(dropped, {})
        try:
            return self._statements.do_many(text, rows)
        except psycopg.Error as error:
            raise self._translated(error) from None

    def commit(self) -> None:
        self._committing, self._warned = True, ""
        text = b"COMMIT"
        if self._drops:
            text = changes.row_of({EVERYTHING} if self.drops_all() else self._drops) + b"; COMMIT"
        try:
            done = self._send(self._connection, text)
        except psycopg.Error as error:
            if self._lost_by(error) or (error.sqlstate or "08")[:2] in _UNDECIDED:
                self._connection.close()
                raise Unknown(f"PostgreSQL was lost during COMMIT: {named(error)}") from None
            raise self._translated(error) from None
        finally:
            self._committing = False
        if self._warned:  # "the transaction has already committed locally, but might not have been replicated"
            raise Unknown(f"PostgreSQL gave up waiting for its standby during COMMIT: {self._warned}")
        if done != "COMMIT":
            raise StorageError(f"PostgreSQL answered COMMIT with {done}: nothing was committed")
        if self._drops:
            self._own_rows += 1
            if self._own_rows % changes.REMOVE_EVERY == 0:
                self._remove_old_rows()

    def rollback(self) -> None:
        status = self._connection.info.transaction_status
        if status == pq.TransactionStatus.IDLE or self._lost():
            return
        try:
            self._send(self._connection, b"ROLLBACK")
        except psycopg.Error:
            self._connection.close()  # the server rolls back what a lost connection leaves behind

    def _learn(self, sql: str) -> tuple[bytes, tuple[str, ...], bool, str]:
        if len(self._texts) >= KEPT_TEXTS:
            self._texts.clear()
        text, names = for_postgres(sql)
        known = self._texts[sql] = (text.encode(), names, changes_rows(sql), drops(sql))
        return known

    def _send(self, connection: psycopg.Connection, text: bytes) -> str:
        """The server's word for what it did last: "BEGIN", "COMMIT", "ROLLBACK"."""
        return (ok(connection.pgconn.exec_(text)).command_status or b"").decode()

    def _remove_old_rows(self) -> None:
        """Of changes. What was committed stays so if this fails, and whoever has written some more tries again."""
        try:
            self._send(self._connection, changes.REMOVE)
        except psycopg.Error:
            self.rollback()

    def _lost(self) -> bool:
        return self._connection.closed

    def _lost_by(self, error: psycopg.Error) -> bool:
        """Whether the connection can no longer be used. An error without SQLSTATE is libpq's own, which may think that it still can."""
        if error.sqlstate is None:
            self._connection.close()
        return self._lost()

    def _connected(self) -> psycopg.Connection:
        if self._lost():
            self._connect()
        return self._connection

    def _connect(self) -> None:
        """Raises StorageError, in a plain sentence, if the server is out of reach or cannot be relied on."""
        try:
            connection = psycopg.connect(self.dsn, autocommit=True, prepare_threshold=None)
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
        except psycopg.Error as error:
            raise StorageError(f"PostgreSQL is out of reach: {error}") from None
        self._connection = connection
        self._statements = Prepared(connection)
        self._changes.forget()

    def _prepare(self, connection: psycopg.Connection) -> None:
        connection.add_notice_handler(self._note_warning)
        if connection.info.server_version < OLDEST_SERVER:
            raise StorageError(
                f"PostgreSQL {connection.info.server_version // 10_000} is too old: 15 or later is needed."
            )
        row = connection.execute(_FACTS).fetchone()
        assert row is not None
        refuse_unsafe_server(*row)
        self._send(connection, _SESSION.format(lock_timeout_ms=self._lock_timeout_ms, idle_ms=IDLE_MS).encode())
        for is_there, table in _TABLES.items():
            self._make(connection, is_there, table)
        if self._term is not None:
            self._admit(connection, self._term)
        ours = connection.execute(changes.IS_OURS).fetchone()
        self._send(connection, changes.REMOVE if ours == (1,) else changes.BEGIN_ANEW)
        self._send(connection, changes.PREPARE_GLANCE.encode())

    def _make(self, connection: psycopg.Connection, is_there: str, table: str) -> None:
        """A table of the storage's own is there. Looked for first: making it needs a right that a running server may lack."""
        row = connection.execute(is_there).fetchone()
        if row is None or row[0] is None:
            try:
                self._send(connection, table.encode())
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
        if state == _OUTDATED:
            self._statements.forget()
        if state in _RETRY or self._lost_by(error):
            return Conflict(says)
        return error if state[:2] == "42" else StorageError(says)


def _seen(result: pq.abc.PGresult) -> list[changes.Seen]:
    """The rows of a glance."""
    return [
        (result.get_value(row, 0) or b"", result.get_value(row, 1) or b"", result.get_value(row, 2))
        for row in range(result.ntuples)
    ]


def open_postgres(dsn: str, *, lock_timeout_ms: int = 5_000, term: int | None = None) -> PostgresStorage:
    """The database that `dsn` names: a libpq connection string or URI.

    `lock_timeout_ms` is how long a statement waits for another transaction to end before it is a Conflict. `term` of the root keys is the
    one in which whoever writes seals; None: nothing is sealed.

    Raises:
        Closed: rows are no longer sealed in `term`.
        StorageError: the server is out of reach, is too old, or would not keep what it acknowledges. Its text is a
        plain
            sentence for the operator.
    """
    return PostgresStorage(dsn, lock_timeout_ms, term)


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
