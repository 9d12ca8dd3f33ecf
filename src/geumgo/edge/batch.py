"""Group commit without a thread: requests that arrive in one turn of the event loop are answered together.

One sync of the trail covers a batch. At rest a batch is one request; under load it is as many as arrived while the last batch was worked
on, so the cost of the sync is shared exactly when it matters. What is more than can be answered in time is refused with the next batch.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor

from geumgo.edge.admission import Admission
from geumgo.message import Answer, Fetched, Request, Surplus

HandleBatch = Callable[[Sequence[Request | Fetched | Surplus]], list[Answer]]
Done = Callable[[Answer], None]
Waiting = tuple[Request | Fetched, Done, float]
"""A request that waits, whom to tell of its answer, and since when it waits."""
Observe = Callable[[list[float], int], None]
"""Told of a batch once it is answered: how long each of its requests waited that has its answer now, in seconds; how many were surplus."""


class Batcher:
    """Collects requests and hands them to `handle_batch` once in a turn of the loop, at most `most` at a time, and all that are surplus.

    What lies outside is fetched in a thread of `outside` (None: one of the loop's own), so that nobody else waits for it.

    `fatal` is called with what `handle_batch` raised: the process must not acknowledge anything more, and `fatal` does not return.
    """

    def __init__(
        self,
        handle_batch: HandleBatch,
        *,
        most: int,
        admission: Admission,
        fatal: Callable[[BaseException], None],
        observe: Observe | None = None,
        outside: Executor | None = None,
    ) -> None:
        self._outside = outside
        self._handle_batch = handle_batch
        self._most = most
        self._admission = admission
        self._fatal = fatal
        self._observe = observe
        self._waiting: list[Waiting] = []
        self._surplus: list[tuple[Surplus, Done, float]] = []

    def add(self, request: Request | Fetched, done: Done) -> None:
        """`done` is called with the answer to `request`, after the record of it is on disk."""
        waiting, now = self._waiting, time.perf_counter()
        if not waiting and not self._surplus:
            asyncio.get_running_loop().call_soon(self._run)
        if isinstance(request, Fetched) or self._admission.admits(request, len(waiting), self._who_waits):
            waiting.append((request, done, now))
        else:
            self._surplus.append((Surplus(request), done, now))

    def _who_waits(self) -> Iterable[Request]:
        return (request for request, _, _ in self._waiting if isinstance(request, Request))

    def _next(self) -> tuple[list[Waiting], list[Waiting]]:
        """Those whose turn it is, and those who wait on, in the order in which they came."""
        waiting, most = self._waiting, self._most
        if len(waiting) <= most:
            return waiting, []
        order = self._admission.in_turn([request for request, _, _ in waiting])
        return [waiting[place] for place in order[:most]], [waiting[place] for place in sorted(order[most:])]

    def _run(self) -> None:
        taken, self._waiting = self._next()
        surplus, self._surplus = self._surplus, []
        self._admission.taken()
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._run)
        batch = [*taken, *surplus]
        began = time.perf_counter()
        try:
            answers = self._handle_batch([request for request, _, _ in batch])
            assert len(answers) == len(batch), f"{len(answers)} answers to {len(batch)} requests"
        except BaseException as fault:
            self._fatal(fault)
            raise
        now = time.perf_counter()
        self._admission.took(now - began, len(taken))
        for (_, done, _), answer in zip(batch, answers, strict=True):
            if answer.fetch is None:
                done(answer)
            else:
                self._fetch(answer.fetch, done)
        self._learn(taken, answers)
        if self._observe is not None:
            told = zip(taken, answers, strict=False)  # the surplus ones stand behind
            self._observe([now - since for (_, _, since), answer in told if answer.fetch is None], len(surplus))

    def _learn(self, taken: Sequence[Waiting], answers: Sequence[Answer]) -> None:
        """Whose requests are answered is remembered: of the last one of each batch, so that it costs next to nothing under load."""
        if taken and answers[len(taken) - 1].status < 300:
            request = taken[-1][0]
            if isinstance(request, Request):
                self._admission.answered(request)

    def _fetch(self, fetch: Callable[[], Fetched], done: Done) -> None:
        """What lies outside is fetched, and becomes a request of a later batch."""

        def fetched(future: "asyncio.Future[Fetched]") -> None:
            if not future.cancelled():  # the process ends
                self.add(future.result(), done)

        asyncio.get_running_loop().run_in_executor(self._outside, fetch).add_done_callback(fetched)
