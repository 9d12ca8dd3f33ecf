"""Those who read while others write, in the process for jobs: the index of the trail, what feeds each sink, who counts. A thread for each.

None of them is waited for by an answer or a job, and none ends the process unless the database sees an I/O error.
"""

import threading
from dataclasses import dataclass
from typing import Any

import structlog

from geumgo.app import census
from geumgo.app.directory import open_storage
from geumgo.app.outgoing import sinks_of
from geumgo.audit.follow import TrailFiles
from geumgo.audit.trail import Trail
from geumgo.context import Clock
from geumgo.sealing.root import RootKeys
from geumgo.services.cloudtrail.feeder import Feeder, Meter, NoMeter
from geumgo.services.cloudtrail.indexer import Indexer
from geumgo.services.events.publisher import DefaultBus
from geumgo.settings import Settings
from geumgo.storage import Broken, Conflict, Storage, StorageError

log = structlog.get_logger("geumgo.app")

END_SECONDS = 6.0  # how long the end of the process waits for a sink that is being sent to


@dataclass(frozen=True, slots=True)
class SharedMeter:
    """A page of numbers for several threads."""

    meter: Meter
    lock: Any  # threading.Lock

    def add(self, key: str, amount: int = 1) -> None:
        with self.lock:
            self.meter.add(key, amount)

    def set(self, key: str, value: int) -> None:
        with self.lock:
            self.meter.set(key, value)


def indexer_of(settings: Settings, root: RootKeys, clock: Clock) -> Indexer:
    """What makes the chains of this machine findable, and tells EventBridge of them."""
    return Indexer(
        TrailFiles(settings.audit),
        root,
        DefaultBus(root),
        clock,
        settings.partition,
        settings.history_days,
        copies=bool(settings.database),
    )


def start(
    settings: Settings, root: RootKeys, clock: Clock, trail: Trail, stop: threading.Event, meter: Meter | None = None
) -> list[threading.Thread]:
    """The threads, started; they end soon after `stop` is set. Raises SettingsError, StorageError."""
    shared = SharedMeter(meter or NoMeter(), threading.Lock())
    indexer = indexer_of(settings, root, clock)
    threads = [
        threading.Thread(
            target=indexing, args=(indexer, trail, open_storage(settings), stop, shared), name="index", daemon=True
        )
    ]
    for number, (entry, sink) in enumerate(sinks_of(settings), 1):
        feeder = Feeder(number, entry, sink, TrailFiles(settings.audit), clock, shared)
        threads.append(
            threading.Thread(
                target=feeding, args=(feeder, trail, open_storage(settings), stop), name=f"sink {number}", daemon=True
            )
        )
    threads.append(
        threading.Thread(
            target=census.counting, args=(open_storage(settings), clock, stop, shared), name="census", daemon=True
        )
    )
    for thread in threads:
        thread.start()
    return threads


def indexing(indexer: Indexer, trail: Trail, storage: Storage, stop: threading.Event, meter: Meter) -> None:
    """Once a second until `stop` is set, what is new in the trail is indexed; not in the space that is held back for a full disk.

    A database that sees I/O errors ends the process: `stop` is set, and the fault is raised.
    """
    current_ms = indexer.clock.now_ms()
    try:
        while not stop.wait(1.0):
            began_ms = indexer.clock.now_ms()
            meter.set("geumgo_trail_index_lag_seconds", max(began_ms - current_ms, 0) // 1000)
            if trail.on_reserve:
                continue
            try:
                indexer.run(storage)
                current_ms = began_ms
            except Broken:
                stop.set()
                raise
            except Conflict:
                continue
            except (StorageError, OSError) as fault:
                log.warning("the trail is not indexed", fault=str(fault), next="it is tried again in a second")
            except Exception:  # a fault of ours: jobs go on, and the index waits for a newer program
                log.exception("fault", next="the trail is not indexed behind this record")
    finally:
        storage.close()


def feeding(feeder: Feeder, trail: Trail, storage: Storage, stop: threading.Event) -> None:
    """One sink is fed until `stop` is set."""
    try:
        feeder.run(storage, stop, lambda: trail.on_reserve)
    finally:
        storage.close()


def end(threads: list[threading.Thread]) -> None:
    """They have ended, but for one that waits for the other side of a sink: it ends with the process."""
    for thread in threads:
        thread.join(END_SECONDS)
