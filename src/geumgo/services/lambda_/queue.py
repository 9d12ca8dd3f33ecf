"""Events that nobody waits for: kept with the answer, run by a job, tried again when the function fails.

Source: "Asynchronous invocation", developer guide: two more tries, one minute and two minutes later; six hours at most.
"""

from collections.abc import Callable
from typing import Final

import structlog

from geumgo.context import Context, Params, Work
from geumgo.errors import ServiceError
from geumgo.functions import Busy, Functions, NotRun
from geumgo.jobs.queue import promise
from geumgo.jobs.retry import TryLater
from geumgo.services.lambda_ import lookup, running, store, store_events
from geumgo.services.lambda_.environment import question
from geumgo.services.lambda_.records import LATEST, Function, Version
from geumgo.services.lambda_.store_events import Queued
from geumgo.storage import Tx

log = structlog.get_logger("geumgo.lambda")

KIND: Final = "lambda.run_event"
MOST_AGE_MS: Final = 21_600_000
WAITS_MS: Final = (60_000, 120_000)  # before the second and the third try
BUSY_MS: Final = 1_000  # while too many functions run
REFUSED_MS: Final = 60_000  # while functions do not run here, or the role cannot be assumed


def enqueue(ctx: Context, function: Function, qualifier: str, event: bytes, client_context: str) -> None:
    """The function runs with this event, if this transaction commits."""
    queued = Queued(ctx.request_id, function.id, qualifier, ctx.clock.now_ms(), event, client_context)
    store_events.add(ctx.tx, ctx.sealing, queued)
    place = ctx.place
    promise(ctx.tx, KIND, place, {"event": queued.id}, run_at_ms=queued.asked_at_ms, dedup=f"{KIND} {queued.id}")


class Runner:
    """Runs what waits. Who runs functions is given by app."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions

    def jobs(self) -> dict[str, Callable[[Work, Params], None]]:
        return {KIND: self.run}

    def run(self, work: Work, payload: Params) -> None:
        """One try. An event whose function or version is gone is dropped, as is one that is too old."""
        with work.storage.reading() as tx:
            queued = store_events.find(tx, work.sealing, payload["event"])
            function = None if queued is None else store.find_by_id(tx, work.sealing, queued.function_id)
            patience = None if queued is None else _patience(tx, queued)
        if queued is None or function is None or patience is None:
            self._end(work, payload["event"])
            return
        retries, age_ms = patience
        if work.clock.now_ms() - queued.asked_at_ms > age_ms:
            log.warning(
                "event dropped", function=function.arn, why="it has waited for too long", seconds=age_ms // 1000
            )
            self._end(work, queued.id)
            return
        if function.concurrency == 0:
            raise TryLater(REFUSED_MS)
        if self._succeeds(work, function, queued):
            self._end(work, queued.id)
        elif queued.tries >= retries:
            log.warning(
                "event dropped", function=function.arn, why="the function has failed with it", times=queued.tries + 1
            )
            self._end(work, queued.id)
        else:
            with work.writing() as tx:
                store_events.has_failed(tx, queued)
            raise TryLater(WAITS_MS[queued.tries])

    def _succeeds(self, work: Work, function: Function, queued: Queued) -> bool:
        """Raises TryLater if the function did not run."""
        with work.storage.reading() as tx:
            version = lookup.version_behind(tx, work.sealing, function, queued.qualifier)
        if version is None:
            return True  # there is nothing that could run
        try:
            session = running.session_of(function, version)
            credentials = work.call("sts", "AssumeRole", source_arn=function.arn, **session)["Credentials"]
            opened = _opened(work, function, version)
            with work.storage.reading() as tx:
                task = running.task_of(
                    tx, work.sealing, function, version, qualifier=queued.qualifier, request_id=queued.id, event=queued.event,
                    client_context=queued.client_context, credentials=credentials, ask=lambda _asked: opened,
                )  # fmt: skip
            return not self._functions.run(task).failed
        except Busy:
            raise TryLater(BUSY_MS) from None
        except (NotRun, ServiceError) as refusal:
            log.warning(
                "function not run", function=function.arn, why=str(refusal), next="it is tried again in a minute"
            )
            raise TryLater(REFUSED_MS) from None

    def _end(self, work: Work, event_id: str) -> None:
        with work.finishing() as tx:
            store_events.remove(tx, event_id)


def _patience(tx: Tx, queued: Queued) -> tuple[int, int]:
    """How often the function is tried again, and for how long (milliseconds)."""
    qualifier = "" if queued.qualifier == LATEST else queued.qualifier
    kept = store_events.patience(tx, queued.function_id, qualifier)
    retries = kept.retries if kept is not None and kept.retries is not None else len(WAITS_MS)
    age_ms = kept.age_s * 1000 if kept is not None and kept.age_s is not None else MOST_AGE_MS
    return min(retries, len(WAITS_MS)), age_ms


def _opened(work: Work, function: Function, version: Version) -> Params:
    """What KMS answers about the data key of the environment, asked before a transaction is open. Raises KMS's refusals."""
    if not version.wrapped_key:
        return {}
    return work.call("kms", "Decrypt", source_arn=function.arn, **question(function, version))
