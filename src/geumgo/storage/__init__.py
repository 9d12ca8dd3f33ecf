"""Where rows are kept: one interface, two engines, one SQL text.

    with storage.reading() as tx:   # a snapshot; always rolled back, so a write in it is lost and its test fails
        row = tx.one("SELECT name FROM secret WHERE id = :id", id=secret_id)
    with storage.writing() as tx:   # commits on the way out; any exception rolls back
        changed = tx.run("UPDATE ...", ...)

SQL is the common part of SQLite and PostgreSQL: `:name` parameters, TEXT, BIGINT and BYTEA columns, `ON CONFLICT`, `RETURNING`, partial
indexes. Ids and times are made by the program. A column that is sorted or searched by prefix says `COLLATE "C"`. Booleans are BIGINT
0 or 1. Times are Unix milliseconds in columns called `*_at_ms`.
"""

from contextlib import AbstractContextManager
from typing import Any, Protocol

Row = tuple[Any, ...]


class StorageError(Exception):
    """The engine failed: no space, I/O error, out of reach. Nothing was committed unless the exception is `Unknown`."""


class Conflict(StorageError):
    """Another transaction came first; nothing was committed. The whole transaction may be tried again."""


class Full(StorageError):
    """No space is left; nothing was committed. Reading still works."""


class Unknown(StorageError):
    """The connection broke during COMMIT: whether it was committed is known only to the database. Never acknowledge, never repeat blindly."""


class Broken(StorageError):
    """An I/O error was seen. This process must not acknowledge anything more; it should exit and be started again."""


class Tx(Protocol):
    """An open transaction. Its three verbs take one SQL text and parameters by name."""

    def one(self, sql: str, /, **params: Any) -> Row | None:
        """The only row of the answer, or None. More than one row is a programmer's error (AssertionError)."""
        ...

    def all(self, sql: str, /, **params: Any) -> list[Row]:
        """Every row of the answer."""
        ...

    def run(self, sql: str, /, **params: Any) -> int:
        """How many rows were inserted, changed or deleted."""
        ...


class Storage(Protocol):
    """An engine. One is opened per process, after any fork."""

    def reading(self) -> AbstractContextManager[Tx]:
        """A snapshot in which nothing changes. Rolled back on the way out, always."""
        ...

    def writing(self) -> AbstractContextManager[Tx]:
        """A serializable transaction, durable on disk when the block has been left without an exception.

        Raises: Conflict, Full, Unknown, Broken on the way out or inside.
        """
        ...

    def mark(self) -> bytes:
        """A value that differs after every commit by any process since the last call; equal values mean that nothing was committed."""
        ...

    def close(self) -> None: ...
