"""What follows from rows, kept for as long as no row has changed.

    derived = Derived(storage, most=20_000)
    derived.look()                      # once, after the requests of a batch have arrived
    with derived.reading() as tx:       # nothing is asked of the database yet
        secret = tx.derived(("secret", name), lambda: read(tx, name))

An entry was made from the rows of one snapshot. It is used only while `Storage.mark` says that nothing has been committed since, by any
process on any machine, but changes that say they leave what is kept alone (dates of use, leases of jobs, heads of the trail; on
PostgreSQL these count too). One commit that does not say so drops everything. So a request that begins after a write was acknowledged
never meets what was true before: the write was committed before it was acknowledged, and the mark is taken after the request arrived.

Inside one transaction all is from one state of the database. The snapshot is taken when the first statement needs it, and has a mark of its
own. If that is not the mark that the entries hold for, somebody committed in between: entries that this transaction has used already would
not fit the rows that it is about to see, so it ends with a Conflict and is tried again; if it has used none, the old ones are dropped.

What is kept is bounded in number and never holds a plaintext value, a data key or the secret of an access key.
"""

from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self, TypeVar

from geumgo.storage import Broken, Conflict, Row, Storage, StorageError, Tx

Made = TypeVar("Made")


class Derived:
    """The entries of one process, and the transactions that use them. Not for several threads."""

    def __init__(self, storage: Storage, *, most: int) -> None:
        self._storage = storage
        self._most = most
        self._mark = b""  # no storage has this mark
        self._stale = True
        self.entries: dict[Hashable, Any] = {}
        self.touched: list[Hashable] = []  # what was used or made since `begin`

    def look(self) -> None:
        """What is kept holds for the database as it is now.

        A database that cannot be asked leaves nothing kept: whoever reads meets the fault himself. Raises Broken.
        """
        try:
            mark = self._storage.mark()
        except Broken:
            raise
        except StorageError:
            mark = b""
        self.holds_for(mark)
        self._stale = not mark

    def begin(self) -> None:
        """A new request: nothing was touched for it yet."""
        self.touched.clear()

    def forget_touched(self) -> None:
        """What this request has used is made anew for the next one: dates in it were moved by a change that drops nothing."""
        for key in self.touched:
            self.entries.pop(key, None)

    def reading(self) -> "Glance":
        """A snapshot that is taken when it is needed. It sees at least what was committed before the last `look`."""
        if self._stale:
            self.look()
        return Glance(self, self._storage)

    def writing(self, *, alone: bool = False) -> AbstractContextManager[Tx]:
        """`Storage.writing`, after which everything is looked at anew. What it reads is never kept."""
        self._stale = True
        return self._storage.writing(alone=alone)

    def holds_for(self, mark: bytes) -> bool:
        """Whether what is kept was made under `mark`. If not, it is dropped, and what is made from now on is."""
        if mark == self._mark:
            return True
        self.entries.clear()
        self._mark = mark
        return False

    def keep(self, key: Hashable, made: object) -> None:
        """The oldest entry goes when there are too many."""
        if len(self.entries) >= self._most:
            del self.entries[next(iter(self.entries))]
        self.entries[key] = made


class Glance:
    """A reading transaction that begins with its first statement, as a `with` block. See `Tx`."""

    __slots__ = ("_block", "_entries", "_from", "_over", "_storage", "_tx", "_used")

    def __init__(self, derived: Derived, storage: Storage) -> None:
        self._from, self._storage, self._entries = derived, storage, derived.entries
        self._block: AbstractContextManager[Tx] | None = None
        self._tx: Tx | None = None
        self._used = self._over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        block, self._block, self._over = self._block, None, True
        if block is not None:
            block.__exit__(kind, error, trace)

    @property
    def mark(self) -> bytes:
        return self._opened().mark

    def one(self, sql: str, /, **params: Any) -> Row | None:
        return self._opened().one(sql, **params)

    def all(self, sql: str, /, **params: Any) -> list[Row]:
        return self._opened().all(sql, **params)

    def run(self, sql: str, /, **params: Any) -> int:
        return self._opened().run(sql, **params)

    def derived(self, key: Hashable, make: Callable[[], Made | None]) -> Made | None:
        self._from.touched.append(key)
        known: Made | None = self._entries.get(key)
        if known is not None:
            self._used = True
            return known
        made = make()
        if made is not None:
            self._from.keep(key, made)
        return made

    def _opened(self) -> Tx:
        if self._tx is not None:
            return self._tx
        assert not self._over, "this transaction is over"
        block = self._storage.reading()
        tx = block.__enter__()
        self._block, self._tx = block, tx
        if not self._from.holds_for(tx.mark) and self._used:
            raise Conflict("somebody has written since this transaction began to look at what was kept")
        return tx
