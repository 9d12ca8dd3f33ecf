"""The worker: takes what is due, runs it, and records how it went."""

import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from geumgo.clock import seconds_since_start
from geumgo.context import Clock, NobodyListens, Params, Place, Publisher, Work
from geumgo.context import Event as Published
from geumgo.jobs import lease
from geumgo.jobs.lease import Lease, LeaseLost
from geumgo.jobs.retry import TryLater
from geumgo.sealing import Sealing
from geumgo.storage import Broken, Conflict, Full, Storage, StorageError, Taken, Tx, Violated

POLL_MS = 250  # how long a promise made by another process may go unseen
CONFLICT_WAIT_MS = 50  # before a job that lost a race runs again: its handler did nothing wrong
LONGEST_POLL_MS = 1_000  # while the storage is out of reach
AWAY_MS = 2_000  # before a job that met the storage out of reach runs again: that was none of its doing
TRIES = 5  # of a transaction of our own that met a conflict

_doing = threading.local()  # `worker`: whose job this thread runs

T = TypeVar("T")
Handler = Callable[[Work, Params], None]
Note = Callable[["Failure"], None]
Event = Callable[[str, Place, str, Params], None]
"""(kind of the job, where, name of the event, its details)."""


class Ask(Protocol):
    """How a job reaches another room: a request of its own, made by `asking` (a service) for itself."""

    def __call__(
        self,
        place: Place,
        asking: str,
        service: str,
        operation: str,
        params: Params,
        /,
        *,
        source_arn: str,
        role_arn: str,
    ) -> Params: ...


class Check(Protocol):
    """How a job asks the gate whether it may: as `asking` (a service), or as a role that trusts it. Raises AccessDenied."""

    def __call__(
        self, place: Place, asking: str, demands: Sequence[Any], /, *, source_arn: str, role_arn: str
    ) -> None: ...


class NoHandler(Exception):
    """A job of a kind that this program does not know. A newer program on another machine may."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A job that went wrong, for the log. Log the error with care: its text may quote what was worked on."""

    kind: str
    place: Place
    attempt: int
    error: Exception


@dataclass(slots=True)
class Held:
    """The `Work` of one run of one job: what its handler sees."""

    place: Place
    clock: Clock
    sealing: Sealing
    storage: Storage
    attempt: int
    _lease: Lease
    _event: Event
    _ask: "Ask"
    _publisher: Publisher
    _check: "Check"
    finished: bool = False

    @contextmanager
    def writing(self) -> Iterator[Tx]:
        assert not self.finished, f"{self._lease.kind}: the job is finished already"
        with self.storage.writing() as tx:
            lease.hold(tx, self._lease, now_ms=self.clock.now_ms())
            yield tx

    @contextmanager
    def finishing(self) -> Iterator[Tx]:
        assert not self.finished, f"{self._lease.kind}: the job is finished already"
        with self.storage.writing() as tx:
            lease.finish(tx, self._lease)
            yield tx
        self.finished = True

    def event(self, name: str, /, **details: Any) -> None:
        self._event(self._lease.kind, self.place, name, details)

    def call(
        self, service: str, operation: str, /, *, source_arn: str = "", role_arn: str = "", **params: Any
    ) -> Params:
        asking = self._lease.kind.partition(".")[0]
        return self._ask(self.place, asking, service, operation, params, source_arn=source_arn, role_arn=role_arn)

    def check(self, demands: Sequence[Any], /, *, source_arn: str = "", role_arn: str = "") -> None:
        self._check(self.place, self._lease.kind.partition(".")[0], demands, source_arn=source_arn, role_arn=role_arn)

    def publish(self, tx: Tx, source: str, detail_type: str, resources: Sequence[str], detail: Params) -> None:
        event = Published(source, detail_type, tuple(resources), detail)
        self._publisher.publish(tx, self.place, event, self.clock.now_ms())


def nobody_to_ask(place: Place, asking: str, service: str, operation: str, params: Params, **_how: str) -> Params:  # noqa: ARG001
    """How a worker asks that was given no door."""
    raise AssertionError(f"a job of {asking} asked {service} to {operation} where there is no door")


def nobody_to_check(place: Place, asking: str, demands: Sequence[Any], **_how: str) -> None:  # noqa: ARG001
    """How a worker asks the gate that was given none."""
    raise AssertionError(f"a job of {asking} asked a gate where there is none")


def still_held() -> bool:
    """Whether the job that this thread runs is still its own, as far as can be told without the database; True where it runs none."""
    worker: Worker | None = getattr(_doing, "worker", None)
    return worker is None or worker.is_held()


class Worker:
    """One lane: runs one job at a time. Give each thread or process a worker, and a storage, of its own.

    `handlers` are the rooms' jobs by kind. `event` puts a service event into the trail and returns when it is durable;
    `note` is told of every failure. `owner` names the process, `lane` the worker in it: no two living ones are called
    alike.
    """

    def __init__(
        self,
        storage: Storage,
        handlers: Mapping[str, Handler],
        clock: Clock,
        sealing: Sealing,
        *,
        owner: str,
        event: Event,
        note: Note,
        lane: int = 0,
        ask: Ask = nobody_to_ask,
        publisher: Publisher | None = None,
        check: Check = nobody_to_check,
    ) -> None:
        self._ask = ask
        self._check = check
        self._publisher = publisher or NobodyListens()
        self._storage = storage
        self._handlers = handlers
        self._clock = clock
        self._sealing = sealing
        self._owner = owner
        self._lane = lane
        self._event = event
        self._note = note
        self._leftovers = True  # there may be jobs under our name that nobody runs
        self._began = False  # until then these are another process's, which was killed, by one of them maybe
        self.current: Lease | None = None  # read by the thread that beats
        self._held_at = 0.0  # when the lease of that one was ours for sure, in seconds since the machine was started

    def run_due(self, limit: int = 1_000) -> int:
        """Everything that is due, and what becomes due by it, has run. Answers how many runs, at most `limit`.

        A programmer's error (AssertionError) of a handler is raised, after the failure was recorded.
        """
        for done in range(limit):
            taken = self._take()
            if taken is None:
                return done
            error = self._run(taken)
            if isinstance(error, AssertionError):
                raise error
        return limit

    def run(self, stop: threading.Event) -> None:
        """Runs jobs until `stop` is set; the job that runs then is finished first.

        Raises:
            Broken: the storage saw an I/O error. The process must end.
        """
        while not stop.is_set():
            try:
                taken = self._take()
                if taken is not None:
                    self._run(taken)
                    continue
                idle_ms = self._idle_ms()
            except Broken:
                raise
            except Conflict:
                idle_ms = CONFLICT_WAIT_MS
            except StorageError as error:  # out of reach or full: what we hold meanwhile is adopted when it is back
                self._leftovers = True
                self._note(Failure("worker", Place("", ""), 0, error))
                idle_ms = LONGEST_POLL_MS
            stop.wait(idle_ms / 1000)

    def beat(self, storage: Storage) -> None:
        """The job that runs now, if one does, stays ours a while longer. For another thread, with a storage of its own.

        A lease that is lost is not for this thread to tell: the next transaction of the job finds out, and commits
        nothing. Nor may it get there for long: what it lets run outside asks `is_held`.
        """
        held, held_at = self.current, seconds_since_start()
        if held is None:
            return
        try:
            with storage.writing(serializable=False) as tx:
                lease.hold(tx, held, now_ms=self._clock.now_ms())
        except LeaseLost:
            held_at = -math.inf
        if self.current is held:
            self._held_at = held_at

    def is_held(self) -> bool:
        """Whether no other worker can have the job that runs: its lease was kept, and two beats since have not gone missing."""
        return seconds_since_start() - self._held_at <= lease.LEASE_MS * 2 / 3_000

    def _take(self) -> Lease | None:
        now_ms, self._held_at = self._clock.now_ms(), seconds_since_start()
        with self._storage.reading() as tx:
            at_ms = lease.next_at_ms(tx, owner=self._owner)
        if not self._leftovers and (at_ms is None or at_ms > now_ms):
            return None
        taken = patiently(self._storage, lambda tx: self._take_in(tx, now_ms))
        self._leftovers, self._began = False, True
        return taken

    def _take_in(self, tx: Tx, now_ms: int) -> Lease | None:
        if self._leftovers:
            lease.adopt(tx, owner=self._owner, lane=self._lane, now_ms=now_ms, counts=not self._began)
        return lease.take(tx, owner=self._owner, lane=self._lane, now_ms=now_ms)

    def _idle_ms(self) -> int:
        with self._storage.reading() as tx:
            at_ms = lease.next_at_ms(tx, owner=self._owner)
        return POLL_MS if at_ms is None else max(1, min(POLL_MS, at_ms - self._clock.now_ms()))

    def _run(self, taken: Lease) -> Exception | None:
        """Runs the job and records how it went. Answers what went wrong, or None."""
        self.current, _doing.worker = taken, self
        work = Held(
            taken.place,
            self._clock,
            self._sealing,
            self._storage,
            taken.attempt,
            taken,
            self._event,
            self._ask,
            self._publisher,
            self._check,
        )
        try:
            self._handler(taken.kind)(work, taken.payload)
            assert work.finished, f"{taken.kind}: the handler returned without finishing()"
        except Broken:
            raise
        except TryLater as later:
            self._put_off(taken, later.after_ms)
            return None
        except Exception as error:  # noqa: BLE001 - whatever a handler raises is recorded with its job
            if isinstance(error, Conflict) and not isinstance(error, Taken):
                self._put_off(taken, CONFLICT_WAIT_MS)
                return None
            if isinstance(error, StorageError) and not isinstance(error, Taken | Violated | Full) and not work.finished:
                self._note(Failure(taken.kind, taken.place, taken.attempt, error))
                self._put_off(taken, AWAY_MS)
                return error
            self._fail(taken, error, done=work.finished)
            return error
        finally:
            self.current = _doing.worker = None
        return None

    def _handler(self, kind: str) -> Handler:
        if kind not in self._handlers:
            raise NoHandler(f"no room of this program has jobs of the kind {kind}")
        return self._handlers[kind]

    def _put_off(self, taken: Lease, after_ms: int) -> None:
        until_ms = self._clock.now_ms() + after_ms
        self._record(lambda tx: lease.put_off(tx, taken, until_ms=until_ms))

    def _fail(self, taken: Lease, error: Exception, *, done: bool) -> None:
        self._note(Failure(taken.kind, taken.place, taken.attempt, error))
        if not done and not isinstance(error, LeaseLost):
            name = type(error).__name__
            lasts = isinstance(
                error, Full
            )  # until there is space: what the job does outside need not be done again all the while
            self._record(lambda tx: lease.fail(tx, taken, error=name, now_ms=self._clock.now_ms(), for_ever=lasts))

    def _record(self, change: Callable[[Tx], None]) -> None:
        self._leftovers = True  # unless the change is kept, the job stays under our name
        patiently(self._storage, change)
        self._leftovers = False


def patiently(storage: Storage, change: Callable[[Tx], T]) -> T:
    """What `change` answers, in a transaction that is tried again when another one was in its way.

    Only for changes of jobs themselves: what they decide rests on the row and its fence, so a snapshot is enough.

    Raises:
        Conflict: it was in the way each time.
    """
    for left in reversed(range(TRIES)):
        try:
            with storage.writing(serializable=False) as tx:
                return change(tx)
        except Conflict:
            if not left:
                raise
    raise AssertionError("not reached")
