"""Reserved concurrency: an invocation of a function that has one holds a seat, and all servers on the database count the same seats.

A seat is a row: taken before the function starts, given back when it has ended, or as soon as the database is there again. The seats of a
process that was killed are given back by the one that is started in its place. What a whole machine has left behind ends with the leases of
its jobs, if it ran for a job (a rotation above all), and with the timeouts of the functions otherwise.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from geumgo.context import Clock
from geumgo.functions import Busy, Task
from geumgo.jobs import lease
from geumgo.sealing import random
from geumgo.storage import Broken, Conflict, Storage, StorageError, Tx
from geumgo.storage.text import unkept

log = structlog.get_logger("geumgo.lambda")

SPARE_S: Final = 60  # that an invocation may take beside its timeout: to start, to end; and clocks of servers differ
ATTEMPTS: Final = 10
ALONE_AFTER: Final = 3  # attempts that others overtook


class Seats:
    """The seats that the functions of one process hold. Safe for threads: it has a connection of its own, opened when it is needed."""

    def __init__(self, opening: Callable[[], Storage], clock: Clock, owner: str) -> None:
        self._opening, self._clock, self._owner = opening, clock, owner
        self._storage: Storage | None = None
        self._lock = threading.Lock()
        self._owed: set[str] = set()  # what nobody sits on any more, and is not given back

    @contextmanager
    def held(self, task: Task) -> Iterator[None]:
        """While this lasts the invocation counts, if its function has reserved concurrency.

        Raises Busy: as many run as may, anywhere; and StorageError: it could not be counted.
        """
        if task.most_at_once is None:
            yield
            return
        seat = random.uuid()
        try:
            self._write(lambda tx: self._take(tx, seat, task))
        except StorageError:
            self._owed.add(seat)  # whether it was taken is not known
            raise
        try:
            yield
        finally:
            self._owed.add(seat)
            self.settle()

    def settle(self) -> None:
        """All seats on which nobody sits any more are given back. What does not work now is tried again at the next call. Raises Broken.

        A rotation that was interrupted because the database was away would wait for its own seat otherwise.
        """
        if not self._owed:
            return
        try:
            self._write(lambda _tx: None)
        except (StorageError, Busy) as fault:
            if isinstance(fault, Broken):
                raise
            log.warning("a seat is not given back", fault=str(fault), next="it is tried again in a second")

    def close(self) -> None:
        with self._lock:
            if self._storage is not None:
                self._storage.close()
                self._storage = None

    def _take(self, tx: Tx, seat: str, task: Task) -> None:
        now_ms = self._clock.now_ms()
        tx.run(
            unkept("DELETE FROM lambda_seat WHERE function_arn = :arn AND until_ms <= :now_ms"),
            arn=task.function,
            now_ms=now_ms,
        )
        assert task.most_at_once is not None, "it is counted"
        if self._taken(tx, task) >= task.most_at_once:
            self._free_what_ended_with_its_job(tx, task, now_ms)
            if self._taken(tx, task) >= task.most_at_once:
                raise Busy("ReservedFunctionConcurrentInvocationLimitExceeded")
        tx.run(
            unkept("""
            INSERT INTO lambda_seat (id, function_arn, owner, until_ms) VALUES (:id, :arn, :owner, :until_ms)
            """),
            id=seat,
            arn=task.function,
            owner=self._owner,
            until_ms=now_ms + (task.timeout_s + SPARE_S) * 1000,
        )

    def _taken(self, tx: Tx, task: Task) -> int:
        row = tx.one("SELECT COUNT(*) FROM lambda_seat WHERE function_arn = :arn", arn=task.function)
        assert row is not None, "a count has one row"
        return int(row[0])

    def _free_what_ended_with_its_job(self, tx: Tx, task: Task, now_ms: int) -> None:
        """A worker runs functions for its jobs alone, and breaks off those whose jobs it cannot keep before it loses them."""
        found = tx.all("SELECT DISTINCT owner FROM lambda_seat WHERE function_arn = :arn", arn=task.function)
        for (owner,) in found:
            is_another_worker = owner != self._owner and owner.endswith(f"-{lease.WORKER}")
            if is_another_worker and not lease.is_at_work(tx, owner, now_ms=now_ms):
                tx.run(
                    unkept("DELETE FROM lambda_seat WHERE function_arn = :arn AND owner = :owner"),
                    arn=task.function,
                    owner=owner,
                )

    def _write(self, write: Callable[[Tx], None]) -> None:
        """What is owed is given back, and `write` is done. Raises StorageError, and Busy while others overtake it again and again."""
        with self._lock:
            if self._storage is None:
                self._storage = self._opening()
            for attempt in range(ATTEMPTS):
                owed = tuple(self._owed)
                try:
                    with self._storage.writing(alone=attempt >= ALONE_AFTER) as tx:
                        for each in owed:
                            give_back(tx, each)
                        write(tx)
                except Conflict:
                    continue
                self._owed.difference_update(owed)
                return
        raise Busy("CallerRateLimitExceeded")


def give_back(tx: Tx, seat: str) -> None:
    tx.run(unkept("DELETE FROM lambda_seat WHERE id = :id"), id=seat)


def give_all_back(storage: Storage, owner: str) -> None:
    """What a process of this name held before it ended: a function does not outlive the process that runs it. Raises StorageError."""
    for attempt in range(ATTEMPTS):
        try:
            with storage.writing(alone=attempt >= ALONE_AFTER) as tx:
                tx.run(unkept("DELETE FROM lambda_seat WHERE owner = :owner"), owner=owner)
        except Conflict:
            continue
        return
