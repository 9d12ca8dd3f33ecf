"""Group commit without a thread: requests that arrive in one turn of the event loop are answered together.

One sync of the trail covers a batch. At rest a batch is one request; under load it is as many as arrived while the last batch was worked
on, so the cost of the sync is shared exactly when it matters.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

from geumgo.message import Answer, Fetched, Request

HandleBatch = Callable[[Sequence[Request | Fetched]], list[Answer]]
Done = Callable[[Answer], None]
Observe = Callable[[list[float]], None]
"""Told of a batch once it is answered: how long each of its requests waited, in seconds."""


class Batcher:
    """Collects requests and hands them to `handle_batch` once in a turn of the loop, at most `most` at a time.

    What lies outside is fetched in a thread of `outside` (None: one of the loop's own), so that nobody else waits for it.

    `fatal` is called with what `handle_batch` raised: the process must not acknowledge anything more, and `fatal` does not return.
    """

    def __init__(
        self,
        handle_batch: HandleBatch,
        *,
        most: int,
        fatal: Callable[[BaseException], None],
        observe: Observe | None = None,
        outside: Executor | None = None,
    ) -> None:
        self._outside = outside
        self._handle_batch = handle_batch
        self._most = most
        self._fatal = fatal
        self._observe = observe
        self._waiting: list[tuple[Request | Fetched, Done, float]] = []

    def add(self, request: Request | Fetched, done: Done) -> None:
        """`done` is called with the answer to `request`, after the record of it is on disk."""
        self._waiting.append((request, done, time.perf_counter()))
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._run)
        try:
            answers = self._handle_batch([request for request, _, _ in batch])
            assert len(answers) == len(batch), f"{len(answers)} answers to {len(batch)} requests"
        except BaseException as fault:
            self._fatal(fault)
            raise
        for (_, done, _), answer in zip(batch, answers, strict=True):
            if answer.fetch is None:
                done(answer)
            else:
                self._fetch(answer.fetch, done)
        if self._observe is not None:
            now = time.perf_counter()
            self._observe([now - since for _, _, since in batch])

    def _fetch(self, fetch: Callable[[], Fetched], done: Done) -> None:
        """What lies outside is fetched, and becomes a request of a later batch."""

        def fetched(future: "asyncio.Future[Fetched]") -> None:
            if not future.cancelled():  # the process ends
                self.add(future.result(), done)

        asyncio.get_running_loop().run_in_executor(self._outside, fetch).add_done_callback(fetched)
