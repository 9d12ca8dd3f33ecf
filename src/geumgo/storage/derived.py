"""What follows from rows, kept for as long as no row has changed.

    derived = Derived(storage, most=32_000)
    derived.look()                      # once, after the requests of a batch have arrived
    with derived.reading() as tx:       # nothing is asked of the database yet
        secret = tx.derived(("secret", name), lambda: read(tx, name))

An entry was made from the rows of one snapshot. It is used only while `Storage.mark` says that nothing has been committed since, by any
process on any machine, that concerns it. Changes that say they leave what is kept alone (dates of use, leases of jobs, heads of the trail)
concern nothing; changes that say `storage.text.kept_under` an id concern the entries that were kept under it; any other change concerns
all. So a request that begins after a write was acknowledged never meets what was true before: the write was committed before it was
acknowledged, and the mark is taken after the request arrived.

Inside one transaction all is from one state of the database. The snapshot is taken when the first statement needs it, and has a mark of its
own. If that is not the mark that the entries hold for, somebody committed in between: if that drops entries, those that this transaction
has used already may not fit the rows that it is about to see, so it ends with a Conflict and is tried again.

What is kept is bounded in number and never holds a plaintext value, a data key or the secret of an access key.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
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
        self._under: dict[str, set[Hashable]] = {}  # the keys of the entries that are kept under an id
        self._ids: dict[Hashable, tuple[str, ...]] = {}  # and the other way round
        self._upon: dict[Hashable, tuple[Hashable, ...]] = {}  # what entries rest upon, for those that were kept so
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

    def forget(self, keys: Iterable[Hashable], ids: Iterable[str] = ()) -> None:
        """What is kept under these keys, with what it rests upon, and under these ids, is made anew for the next request.

        For dates in it that were moved by a change that drops nothing.
        """
        self._drop_under(ids)
        for key in keys:
            for below in self._upon.get(key, ()):
                self._drop(below)
            self._drop(key)

    def kept(self, key: Hashable) -> Any:
        """What is kept under `key`, if it holds; None if there is nothing."""
        if self._stale:
            self.look()
        known = self.entries.get(key)
        if known is not None:
            self.touched.append(key)
        return known

    def keep_upon(self, key: Hashable, made: object, *, since: int = 0) -> bool:
        """Whether `made` is kept: it goes with the first of the entries that a change concerns of those that were touched since `begin`.

        For what follows from them alone; those from `touched[since]` on. It is not kept if one of them has gone already.
        """
        below = tuple(self.touched[since:])
        if self._stale or not all(each in self.entries for each in below):
            return False
        self._keep(key, made, {id_ for each in below for id_ in self._ids.get(each, ())})
        self._upon[key] = below
        return True

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
        """Whether all that is kept holds under `mark`, the newest one. If not, what does not is dropped; what is made from now on does."""
        if mark == self._mark:
            return True
        ids = self._storage.dropped(self._mark) if mark and self._mark else None
        self._mark = mark
        if ids is None:
            self.entries.clear()
            self._under.clear()
            self._ids.clear()
            self._upon.clear()
            return False
        return not self._drop_under(ids)

    def keep(self, key: Hashable, made: object, under: str = "") -> None:
        """The oldest entry goes when there are too many."""
        self._keep(key, made, (under,) if under else ())

    def _keep(self, key: Hashable, made: object, under: Iterable[str]) -> None:
        self._drop(key)
        if len(self.entries) >= self._most:
            self._drop(next(iter(self.entries)))
        self.entries[key] = made
        ids = tuple(under)
        if ids:
            self._ids[key] = ids
            for id_ in ids:
                self._under.setdefault(id_, set()).add(key)

    def _drop_under(self, ids: Iterable[str]) -> bool:
        """What is kept under these ids is dropped. Answers whether there was anything."""
        concerned = [key for id_ in ids for key in self._under.get(id_, ())]
        for key in concerned:
            self._drop(key)
        return bool(concerned)

    def _drop(self, key: Hashable) -> None:
        self.entries.pop(key, None)
        self._upon.pop(key, None)
        for id_ in self._ids.pop(key, ()):
            keys = self._under[id_]
            keys.discard(key)
            if not keys:
                del self._under[id_]


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

    @property
    def has_asked(self) -> bool:
        """Whether it has asked the database anything. If not, all that it gave was kept already."""
        return self._tx is not None

    def one(self, sql: str, /, **params: Any) -> Row | None:
        return self._opened().one(sql, **params)

    def all(self, sql: str, /, **params: Any) -> list[Row]:
        return self._opened().all(sql, **params)

    def run(self, sql: str, /, **params: Any) -> int:
        return self._opened().run(sql, **params)

    def many(self, sql: str, rows: Sequence[Sequence[Any]], /) -> int:
        return self._opened().many(sql, rows)

    def kept(self, key: Hashable) -> Any:
        """What is kept under `key`, for the state that this transaction sees; None if there is nothing."""
        known = self._entries.get(key)
        if known is not None:
            self._used = True
            self._from.touched.append(key)
        return known

    def derived(
        self, key: Hashable, make: Callable[[], Made | None], *, under: Callable[[Made], str] | None = None
    ) -> Made | None:
        known: Made | None = self.kept(key)
        if known is not None:
            return known
        self._from.touched.append(key)
        made = make()
        if made is not None:
            self._from.keep(key, made, under(made) if under is not None else "")
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
