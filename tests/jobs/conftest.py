"""A room that promises jobs, and workers that a test runs by hand."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from geumgo.context import Params, Place
from geumgo.jobs import TABLES, promise
from geumgo.jobs.worker import Failure, Handler, Worker
from geumgo.sealing import Sealing
from geumgo.storage import Storage
from geumgo.storage.migrate import migrate
from tests.clock import TurnedClock

NO_SEALING = cast("Sealing", object())  # the jobs of these tests seal nothing
HERE = Place("123456789012", "eu-west-1")


@dataclass
class Bench:
    """A storage with the table of jobs, and what workers on it said."""

    storage: Storage
    clock: TurnedClock
    handlers: dict[str, Handler] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    events: list[tuple[Place, str, Params]] = field(default_factory=list)

    def worker(self, owner: str = "here", *, storage: Storage | None = None) -> Worker:
        return Worker(
            storage or self.storage,
            self.handlers,
            self.clock,
            NO_SEALING,
            owner=owner,
            event=lambda _kind, place, name, details: self.events.append((place, name, details)),
            note=self.failures.append,
        )

    def promise(self, kind: str = "work", payload: Params | None = None, *, after_ms: int = 0, **names: Any) -> None:
        with self.storage.writing() as tx:
            promise(tx, kind, HERE, payload or {}, run_at_ms=self.clock.now_ms() + after_ms, **names)

    def rows(self, columns: str = "state") -> list[Any]:
        with self.storage.reading() as tx:
            rows = tx.all(f"SELECT {columns} FROM job ORDER BY run_at_ms, id")
        return [row[0] for row in rows] if "," not in columns else rows

    def handles(self, kind: str) -> Callable[[Handler], Handler]:
        def mark(handler: Handler) -> Handler:
            self.handlers[kind] = handler
            return handler

        return mark


@pytest.fixture
def bench(storage: Storage, clock: TurnedClock) -> Bench:
    migrate(storage, [TABLES])
    return Bench(storage, clock)
