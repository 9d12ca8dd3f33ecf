"""Group commit: requests that arrive in one turn of the event loop are worked on together, and share a sync of the trail.

While the disk syncs, what has arrived meanwhile is worked on; it goes to the disk when the disk has answered. So at most one sync is under
way, and its cost is shared exactly when that matters: at rest a batch is a few requests, which wait for their sync themselves. What is more
than can be answered in time is refused with the next batch.

Many that wait are worked on in pieces that take about PIECE_SECONDS, and between two of them whatever has arrived is read, and what the
disk has answered leaves. Half of a piece is for requests over connections that have rested, one of each source: whoever asks now and then
does not stand in line behind those who never pause. Once in a while those go to the disk alone, and need not wait for the rest of their
piece either.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final, Protocol

from geumgo.edge.admission import Admission, Source
from geumgo.message import Answer, Fetched, Request, Surplus

Done = Callable[[Answer], None]
Waiting = tuple[Request | Fetched, Done, float]
"""A request that waits, whom to tell of its answer, and since when it waits."""
Operation = tuple[str, str]
"""A service and what was asked of it."""
FEW: Final = 16
"""Fewer requests than these wait for their sync themselves: a thread costs more than it saves. See docs/performance.md."""
PIECE_SECONDS: Final = 0.001
"""How long requests are worked on, about, before what has arrived meanwhile is looked at. See docs/performance.md."""
LEAST: Final = 2
"""No piece is smaller than this many requests, however long they take."""
HURRIES_SECONDS: Final = 0.01
"""How often at most those who have rested are worked on and synced without the others who wait: a sync of its own each time."""
REMEMBERS: Final = 0.9
"""How much of what is known of the time that a request takes counts on with each piece."""


class Batch(Protocol):
    """Requests that were worked on. Until they may leave, an answer may become another one."""

    @property
    def answers(self) -> list[Answer]: ...


class Door(Protocol):
    """The pipeline. Every method raises what ends the process: it must not acknowledge anything more."""

    def work(self, requests: Sequence[Request | Fetched | Surplus]) -> Batch: ...
    def settle(self) -> None: ...
    def launch(self, woken: Callable[[], None]) -> bool: ...
    def land(self) -> None: ...


class Observer(Protocol):
    """Who counts."""

    def worked(self) -> list[Operation]:
        """What was asked in the batch that was worked on just now, in the order in which it was answered."""
        ...

    def waited(self, operations: Sequence[Operation], seconds: Sequence[float], surplus: int) -> None:
        """Those have their answers now that shared a sync: how long each of them waited, and how many more were surplus."""
        ...


@dataclass(frozen=True, slots=True)
class Worked:
    """A batch whose answers have not left yet. Behind `taken` stand the surplus ones."""

    batch: Batch
    taken: list[Waiting]
    surplus: list[tuple[Surplus, Done, float]]
    operations: list[Operation]
    began: float

    @property
    def rested(self) -> bool:
        """Whether one of them came over a connection that had rested."""
        return any(isinstance(request, Request) and request.rested for request, _, _ in self.taken)


class Batcher:
    """Collects requests and hands them to `door` once in a turn of the loop, at most `most` at a time, and all that are surplus.

    When that many are worked on and wait for a disk that syncs what was before, the others wait in line.

    What lies outside is fetched in a thread of `outside` (None: one of the loop's own), so that nobody else waits for it.

    `fatal` is called with what `door` raised, and with what fetching raised, in its thread: the process must not acknowledge anything more,
    and `fatal` does not return.
    """

    def __init__(
        self,
        door: Door,
        *,
        most: int,
        admission: Admission,
        fatal: Callable[[BaseException], None],
        observer: Observer | None = None,
        outside: Executor | None = None,
    ) -> None:
        self._outside = outside
        self._door = door
        self._most = most
        self._admission = admission
        self._fatal = fatal
        self._observer = observer
        self._waiting: list[Waiting] = []
        self._due: list[Waiting] = []  # those whose turn has come
        self._ahead: list[Source] = []  # whose requests at the front of the line have rested
        self._each_seconds = 0.0  # that a request takes, going by the last pieces
        self._surplus: list[tuple[Surplus, Done, float]] = []
        self._worked: list[Worked] = []  # and not on its way to the disk
        self._flying: list[Worked] = []
        self._answered_at = 0.0
        self._looked_at = time.monotonic()
        self._hurried_at = time.perf_counter()
        self._scheduled = False

    def looked_at(self) -> float:
        """When all that had arrived had been read, the last time that anything had (monotonic seconds)."""
        return self._looked_at

    def add(self, request: Request | Fetched, done: Done) -> None:
        """`done` is called with the answer to `request`, after the record of it is on disk."""
        now = time.perf_counter()
        self._schedule()
        if isinstance(request, Fetched):
            self._waiting.append((request, done, now))
        elif not self._admission.admits(request, len(self._due) + len(self._waiting), self._who_waits):
            self._surplus.append((Surplus(request), done, now))
        elif request.rested and self._goes_ahead(request):
            (self._due or self._waiting).insert(len(self._ahead) - 1, (request, done, now))
        else:
            self._waiting.append((request, done, now))

    def _goes_ahead(self, request: Request) -> bool:
        """Whether a request that has rested may stand at the front of the line, behind those that do already; if so, it is one of them."""
        source = self._admission.source(request)
        if len(self._ahead) >= self._piece // 2 or source in self._ahead:
            return False
        self._ahead.append(source)
        return True

    @property
    def _piece(self) -> int:
        """How many requests are worked on together: never more than `most`."""
        fitting = int(PIECE_SECONDS / self._each_seconds) if self._each_seconds else self._most
        return min(self._most, max(LEAST, fitting))

    def _schedule(self) -> None:
        """Those that wait have their turn in the next turn of the loop."""
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._run)

    def _who_waits(self) -> Iterable[Request]:
        return (request for request, _, _ in (*self._due, *self._waiting) if isinstance(request, Request))

    def _take(self) -> list[Waiting]:
        """The next piece of those whose turn it is."""
        if not self._due:
            self._due, self._waiting = self._next()
        piece = len(self._ahead) if self._hurries() else self._piece
        taken, self._due = self._due[:piece], self._due[piece:]
        del self._ahead[:piece]
        return taken

    def _hurries(self) -> bool:
        """Whether those at the front of the line who have rested are worked on without the others behind them."""
        if not self._ahead or self._flying or self._worked or len(self._due) - len(self._ahead) < FEW:
            return False
        now = time.perf_counter()
        if now < self._hurried_at + HURRIES_SECONDS:
            return False
        self._hurried_at = now
        return True

    def _next(self) -> tuple[list[Waiting], list[Waiting]]:
        """Those whose turn it is, and those who wait on, in the order in which they came."""
        waiting, most = self._waiting, self._most
        if len(waiting) <= most:
            return waiting, []
        order = self._admission.in_turn([request for request, _, _ in waiting])
        return [waiting[place] for place in order[:most]], [waiting[place] for place in sorted(order[most:])]

    def _run(self) -> None:
        self._scheduled = False
        self._looked_at = time.monotonic()
        if self._flying and self._held() >= self._most:
            return  # it goes on when the disk has answered: no more answers are held than that
        taken = self._take()
        surplus, self._surplus = self._surplus, []
        self._admission.taken()
        if self._due or self._waiting:
            self._schedule()
        began = time.perf_counter()
        with self._ending():
            batch = self._door.work([request for request, _, _ in (*taken, *surplus)])
        if taken:
            took = (time.perf_counter() - began) / len(taken)
            took = min(took, PIECE_SECONDS)  # a slow one says nothing of the others
            self._each_seconds += (took - self._each_seconds) * (1 - REMEMBERS)
        operations = self._observer.worked() if self._observer is not None else []
        self._worked.append(Worked(batch, taken, surplus, operations, began))
        if not self._flying:
            self._depart()

    def _held(self) -> int:
        """How many were worked on and are not on their way to the disk."""
        return sum(len(each.taken) for each in self._worked)

    def _depart(self) -> None:
        """What was worked on is on its way to the disk, or is answered.

        Unless it is little, more is worked on in a moment, and nobody waits for it who asks now and then.
        """
        few, more = self._held() < FEW, bool(self._due or self._waiting)
        if few and more and not any(each.rested for each in self._worked):
            return
        worked, self._worked = self._worked, []
        loop = asyncio.get_running_loop()

        def woken() -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(self._landed)

        with self._ending():
            if few and not more:
                self._door.settle()
            elif self._door.launch(woken):
                self._flying = worked
                return
        self._answer(worked)

    def _landed(self) -> None:
        with self._ending():
            self._door.land()
        flying, self._flying = self._flying, []
        self._answer(flying)  # first: if the next sync fails, nothing is acknowledged after it
        if self._worked:
            self._depart()
        if self._due or self._waiting or self._surplus:
            self._schedule()

    @contextmanager
    def _ending(self) -> Iterator[None]:
        """Whatever is raised inside ends the process."""
        try:
            yield
        except BaseException as fault:
            self._fatal(fault)
            raise

    def _answer(self, worked: Sequence[Worked]) -> None:
        """The answers leave: the records of these are on the disk."""
        now = time.perf_counter()
        self._admission.took(now - max(self._answered_at, worked[0].began), sum(len(each.taken) for each in worked))
        self._answered_at = now
        operations: list[Operation] = []
        seconds: list[float] = []
        for each in worked:
            answers, asked = each.batch.answers, [*each.taken, *each.surplus]
            assert len(answers) == len(asked), f"{len(answers)} answers to {len(asked)} requests"
            for (_, done, _), answer in zip(asked, answers, strict=True):
                if answer.fetch is None:
                    done(answer)
                else:
                    self._fetch(answer.fetch, done)
            self._learn(each.taken, answers)
            operations += each.operations
            told = zip(each.taken, answers, strict=False)  # the surplus ones stand behind
            seconds += [now - since for (_, _, since), answer in told if answer.fetch is None]
        if self._observer is not None:
            self._observer.waited(operations, seconds, sum(len(each.surplus) for each in worked))

    def _learn(self, taken: Sequence[Waiting], answers: Sequence[Answer]) -> None:
        """Whose requests are answered is remembered: of the last one of each batch, so that it costs next to nothing under load."""
        if taken and answers[len(taken) - 1].status < 300:
            request = taken[-1][0]
            if isinstance(request, Request):
                self._admission.answered(request)

    def _fetch(self, fetch: Callable[[], Fetched], done: Done) -> None:
        """What lies outside is fetched, and becomes a request of a later batch. What `fetch` raises ends the process, in its thread."""

        def fetching() -> Fetched:
            with self._ending():
                return fetch()

        def fetched(future: "asyncio.Future[Fetched]") -> None:
            if not future.cancelled():  # the process ends
                self.add(future.result(), done)

        asyncio.get_running_loop().run_in_executor(self._outside, fetching).add_done_callback(fetched)
