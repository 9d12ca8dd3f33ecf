"""What the engines share: one transaction at a time, spent after its first error, committed when nothing failed."""

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from types import TracebackType
from typing import Any, Final

from geumgo.storage import Broken, Made, Row
from geumgo.storage.text import EVERYTHING, checked, checked_rows

RECENT: Final = 100  # ids under which something was dropped: whoever has missed more of them drops all
_ID: Final = re.compile(r"[0-9a-f]{32}")


class OpenTx:
    """An open transaction. See `Tx`."""

    __slots__ = ("_engine", "failed")

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self.failed = False

    def one(self, sql: str, /, **params: Any) -> Row | None:
        rows = self._do(sql, params)[0]
        assert len(rows) < 2, f"more than one row answers: {sql}"
        return rows[0] if rows else None

    def all(self, sql: str, /, **params: Any) -> list[Row]:
        return self._do(sql, params)[0]

    def run(self, sql: str, /, **params: Any) -> int:
        return self._do(sql, params)[1]

    def many(self, sql: str, rows: Sequence[Sequence[Any]], /) -> int:
        assert not self.failed, "this transaction has failed: leave its block"
        self.failed = True  # until the last row is through
        done = self._engine.execute_many(sql, checked_rows(rows)) if rows else 0
        self.failed = False
        return done

    def derived(
        self,
        key: Hashable,  # noqa: ARG002 - nothing is kept here
        make: Callable[[], Made | None],
        *,
        under: Callable[[Made], str] | None = None,  # noqa: ARG002
    ) -> Made | None:
        return make()

    @property
    def mark(self) -> bytes:
        assert self._engine.snapshot_mark, "only a reading transaction has a mark"
        return self._engine.snapshot_mark

    def _do(self, sql: str, params: dict[str, Any]) -> tuple[list[Row], int]:
        assert not self.failed, "this transaction has failed: leave its block"
        self.failed = True  # until the statement is through
        done = self._engine.execute(sql, checked(params))
        self.failed = False
        return done


class Block:
    """A transaction as a `with` block: commits (when it writes) if nothing was raised, and rolls back otherwise."""

    __slots__ = ("_alone", "_engine", "_serializable", "_tx", "_writes")

    def __init__(self, engine: "Engine", *, writes: bool, serializable: bool, alone: bool = False) -> None:
        self._engine = engine
        self._alone = alone
        self._writes = writes
        self._serializable = serializable
        self._tx = OpenTx(engine)

    def __enter__(self) -> OpenTx:
        self._engine.enter(writes=self._writes, serializable=self._serializable, alone=self._alone)
        return self._tx

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        failed, self._tx.failed = self._tx.failed, True  # it is over: nobody may go on using it
        try:
            if self._writes and error is None:
                assert not failed, "an error in this transaction was swallowed: it cannot commit"
                self._engine.commit()
        finally:
            self._engine.leave()


class Engine(ABC):
    """An open database. The core is synchronous: it needs one transaction at a time, and more is refused.

    A thread of its own opens an engine of its own, and so does the child of a fork.
    """

    def __init__(self) -> None:
        self._process = os.getpid()
        self._busy = False
        self._writes = False
        self._broken = ""  # what was seen, once an I/O error was
        self.snapshot_mark = b""  # of the open reading transaction; empty in a writing one
        self._drops: set[str] = (
            set()
        )  # the ids under which the open transaction has changed what others may keep, or EVERYTHING

    def reading(self) -> Block:
        return Block(self, writes=False, serializable=False)

    def writing(self, *, serializable: bool = True, alone: bool = False) -> Block:
        assert serializable or not alone, "a transaction that only needs a snapshot need not be alone"
        return Block(self, writes=True, serializable=serializable, alone=alone)

    def enter(self, *, writes: bool, serializable: bool, alone: bool) -> None:
        """A transaction is open, or an exception says why none is."""
        self.refuse_if_unusable()
        self._busy, self._writes = True, writes
        self._drops.clear()
        try:
            self.snapshot_mark = self.begin(writes=writes, serializable=serializable, alone=alone)
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        """No transaction is open any more. What was not committed is lost."""
        self._busy = False
        self.rollback()

    def refuse_if_unusable(self) -> None:
        assert os.getpid() == self._process, "a storage is opened after the fork, never carried over it"
        assert not self._busy, "a transaction is open already: a storage has one at a time"
        if self._broken:
            raise Broken(self._broken)

    def refuse_to_write(self, changes: bool, sql: str) -> None:
        assert self._writes or not changes, f"a reading transaction does not write: {sql}"

    def note_dropped(self, dropped: str, params: dict[str, Any]) -> None:
        """A statement is about to drop what is kept: see `text.drops`."""
        if dropped == EVERYTHING:
            self._drops.add(EVERYTHING)
            return
        assert dropped in params, "rows of many ids drop everything, or nothing"
        under = params[dropped]
        assert isinstance(under, str), "what is kept under something is kept under an id"
        assert _ID.fullmatch(under), "an id has 32 hexadecimal digits"
        self._drops.add(under)

    def drops_all(self) -> bool:
        """Whether the open transaction has changed what anybody may keep, or too much to name it."""
        return EVERYTHING in self._drops or len(self._drops) > RECENT

    @abstractmethod
    def begin(self, *, writes: bool, serializable: bool, alone: bool) -> bytes:
        """A transaction is open, and if it reads, its snapshot is taken. Answers the mark of the snapshot, empty if it writes."""

    @abstractmethod
    def execute(self, sql: str, params: dict[str, Any]) -> tuple[list[Row], int]:
        """The rows of the answer, and how many rows were inserted, changed or deleted (0 for other statements)."""

    @abstractmethod
    def execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        """How many rows were inserted, changed or deleted by all of it. There is one row at least."""

    @abstractmethod
    def commit(self) -> None: ...

    @abstractmethod
    def rollback(self) -> None:
        """Nothing of the open transaction remains, if one is open. Raises nothing but what `begin` may raise."""
