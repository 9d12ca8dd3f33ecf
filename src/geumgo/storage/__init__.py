"""Where rows are kept: one interface, two engines, one SQL text.

    with storage.reading() as tx:   # a snapshot; always rolled back, so a write in it is lost and its test fails
        row = tx.one("SELECT name FROM secret WHERE id = :id", id=secret_id)
    with storage.writing() as tx:   # commits on the way out; any exception rolls back
        changed = tx.run("UPDATE ...", ...)

SQL is the common part of SQLite and PostgreSQL: `:name` parameters, TEXT, BIGINT and BYTEA columns, `ON CONFLICT`,
`RETURNING`, partial indexes. Ids and times are made by the program. A column that is sorted or searched by prefix says
`COLLATE "C"`. Booleans are BIGINT 0 or 1. Times are Unix milliseconds in columns called `*_at_ms`. A table of narrow rows that is found
by its primary key alone may say `WITHOUT ROWID`: on SQLite its rows lie in the order of the key, PostgreSQL does not see it.
"""

from collections.abc import Callable, Collection, Hashable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

Row = tuple[Any, ...]
Made = TypeVar("Made")


class StorageError(Exception):
    """The engine failed: no space, I/O error, out of reach. Unless it is `Unknown` or `Broken`, nothing was kept."""


class Conflict(StorageError):
    """Another transaction came first; nothing was committed. The whole transaction may be tried again."""


class Taken(Conflict):
    """A unique value is there already. A race, or a programmer's error: see ON CONFLICT."""


class Violated(StorageError):
    """A row would break the schema: a missing value, a foreign key, a check, a type. A programmer's error."""


class Full(StorageError):
    """No space is left; nothing was committed. Reading still works."""


class Unknown(StorageError):
    """The connection broke during COMMIT: only the database knows the outcome. Never acknowledge, never repeat."""


class Broken(StorageError):
    """An I/O error was seen. This process must not acknowledge anything more; it should exit and be started again."""


class Tx(Protocol):
    """An open transaction. Its verbs take one SQL text, and parameters by name.

    Parameters are str, bytes, int of 64 bit, bool (kept as 0 or 1) and None. A text with NUL or half of a surrogate
    pair is a ValueError, as is a larger integer. After any error the transaction is spent: its block must be left with
    that error.
    """

    def one(self, sql: str, /, **params: Any) -> Row | None:
        """The only row of the answer, or None. More than one row is a programmer's error (AssertionError)."""
        ...

    def all(self, sql: str, /, **params: Any) -> list[Row]:
        """Every row of the answer."""
        ...

    def run(self, sql: str, /, **params: Any) -> int:
        """How many rows were inserted, changed or deleted."""
        ...

    def many(self, sql: str, rows: Sequence[Sequence[Any]], /) -> int:
        """`run` for each of `rows`: the values of the parameters in the order in which they first stand in the text. Answers the sum.

        The text drops nothing (`storage.text.unkept`), or all that is kept.
        """
        ...

    def derived(
        self, key: Hashable, make: Callable[[], Made | None], *, under: Callable[[Made], str] | None = None
    ) -> Made | None:
        """What `make` makes of the rows of this transaction and of nothing else; None if there is nothing.

        It may have been made before under the same `key`, from the same rows: see storage.derived. So it is never changed, and holds no
        plaintext value, data key or secret of an access key. The first part of `key` is the name of whoever keeps it.
        """
        ...

    @property
    def mark(self) -> bytes:
        """The `Storage.mark` of the snapshot that a reading transaction sees.

        Equal to one taken before if what was kept then still holds.
        """
        ...


class Storage(Protocol):
    """An engine. One is opened per process (or thread), after any fork; it has one transaction at a time."""

    def reading(self) -> AbstractContextManager[Tx]:
        """A snapshot in which nothing changes. Rolled back on the way out, always."""
        ...

    def writing(self, *, serializable: bool = True, alone: bool = False) -> AbstractContextManager[Tx]:
        """A serializable transaction, durable on disk when the block has been left without an exception.

        `alone=True`: it waits for the serializable transactions that are under way and keeps others from beginning, so that none can
        overtake it. For one that lost again and again.

        `serializable=False`: a snapshot is enough, because each decision rests on a row that this transaction changes
        or on a unique index. It is still a Conflict if another one changed that row, but not if it merely read near it.

        Raises: Conflict, Full, Unknown, Broken on the way out or inside.
        """
        ...

    def mark(self) -> bytes:
        """A value that differs after every commit, by any process since the last call, that may have changed what is kept.

        Equal values mean that nothing was committed but changes that say they leave it alone (`storage.text.unkept`).
        Compared only with marks of the same open storage. Take the mark
        first, read afterwards: what was read under a mark holds as long as the mark does.
        """
        ...

    def dropped(self, before: bytes) -> Collection[str] | None:
        """The ids under which something was dropped between the mark `before` and the newest one that this storage has told.

        None: all that was kept then may be untrue now.
        """
        ...

    def close(self) -> None: ...
