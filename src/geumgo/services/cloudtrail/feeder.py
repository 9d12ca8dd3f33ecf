"""Feeds one sink: reads on in every chain of this machine, sends, keeps the position. A thread of its own; see `sinks`."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import structlog

from geumgo.audit.follow import Found, TrailFiles, pass_over
from geumgo.audit.line import UNREADABLE
from geumgo.context import Clock
from geumgo.services.cloudtrail import store
from geumgo.services.cloudtrail.sinks import NotTaken, Sink, batches
from geumgo.storage import Broken, Conflict, Storage, StorageError

log = structlog.get_logger("geumgo.cloudtrail")

BATCH: Final = 200  # records
BATCH_BYTES: Final = 1 << 20
EVERY_SECONDS: Final = 1.0
LONGEST_WAIT_SECONDS: Final = 60.0


class Meter(Protocol):
    """Where numbers go: a page of edge.metrics."""

    def add(self, key: str, amount: int = 1) -> None: ...
    def set(self, key: str, value: int) -> None: ...


class NoMeter:
    """Nobody reads the numbers."""

    def add(self, key: str, amount: int = 1) -> None:
        """Nothing follows."""

    def set(self, key: str, value: int) -> None:
        """Nothing follows."""


def reader_of(entry: str) -> str:
    """The name of the reader that feeds the sink which the setting calls `entry`."""
    return f"sink {hashlib.sha256(entry.encode()).hexdigest()[:16]}"


@dataclass(slots=True)
class Feeder:
    """`number` (from 1) is the place of the sink in the setting, `entry` what stands there."""

    number: int
    entry: str
    sink: Sink
    files: TrailFiles
    clock: Clock
    meter: Meter = field(default_factory=NoMeter)
    failing: bool = False

    @property
    def reader(self) -> str:
        """Under which name the positions are kept: the same wherever the entry stands."""
        return reader_of(self.entry)

    def run(self, storage: Storage, stop: threading.Event, scarce: Callable[[], bool]) -> None:
        """Feeds until `stop` is set. What happens here is nobody else's concern: it is logged, counted and tried again.

        But a database that sees I/O errors ends the process: `stop` is set, and the fault is raised.

        While `scarce` (the disk is nearly full) nothing is sent: the position could not be kept.
        """
        wait = EVERY_SECONDS
        while not stop.wait(wait):
            if scarce():
                continue
            try:
                self.feed(storage, stop)
                wait = EVERY_SECONDS
            except Broken:
                stop.set()
                raise
            except Conflict:
                continue
            except (StorageError, NotTaken, OSError) as fault:
                wait = min(wait * 2, LONGEST_WAIT_SECONDS)
                self._note_failure(fault)
            except Exception:  # a fault of ours: this sink stands still, and says so
                wait = LONGEST_WAIT_SECONDS
                log.exception("fault", sink=self.number)

    def feed(self, storage: Storage, stop: threading.Event | None = None) -> int:
        """What the trail has now, the sink has. Answers how many records it took. Raises what the sink raises, and StorageError."""
        taken = 0
        for chain in self.files.chains():
            while not (stop is not None and stop.is_set()):
                with storage.reading() as tx:
                    before = store.position(tx, self.reader, chain)
                found, behind = self.files.follow(chain, before, BATCH)
                if behind == before or not (found or behind.segment != before.segment or behind.open != before.open):
                    break
                self._send(found)
                with storage.writing(serializable=False) as tx:
                    store.keep_position(tx, self.reader, chain, behind)
                taken += len(found)
        self.meter.set(f'geumgo_trail_sink_lag_seconds{{sink="{self.number}"}}', 0)
        if self.failing:
            self.failing = False
            log.info("the sink takes records again", sink=self.number)
        return taken

    def _send(self, found: list[Found]) -> None:
        told = list(_readable(found))
        sent = 0
        try:
            for piece in batches([record for _, record in told], BATCH, BATCH_BYTES):
                self.sink.send(piece)
                sent += len(piece)
        finally:
            self.meter.add(f'geumgo_trail_sink_records_total{{sink="{self.number}"}}', sent)
            if sent < len(told):
                lag_ms = max(self.clock.now_ms() - told[sent][0].at_ms, 0)
                self.meter.set(f'geumgo_trail_sink_lag_seconds{{sink="{self.number}"}}', lag_ms // 1000)

    def _note_failure(self, fault: Exception) -> None:
        self.meter.add(f'geumgo_trail_sink_failures_total{{sink="{self.number}"}}')
        if not self.failing:
            self.failing = True
            reason = fault.strerror or type(fault).__name__ if isinstance(fault, OSError) else str(fault)
            log.warning(
                "the sink takes no records",
                sink=self.number,
                fault=reason,
                next="it is tried again, at least once a minute; nothing is lost",
            )


def _readable(found: list[Found]) -> Iterator[tuple[Found, dict[str, Any]]]:
    """Each with its record."""
    for each in found:
        try:
            record = each.record
        except UNREADABLE:
            pass_over(each)
        else:
            yield each, record
