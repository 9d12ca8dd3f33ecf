"""Those who read while others write, in the process for jobs: what feeds each sink of the trail, who counts, who prunes. A thread for each.

None of them is waited for by an answer or a job, and none ends the process unless the database sees an I/O error. Sinks are not fed by the
process for the index: that one gives way to everybody, and an alarm must not come late because there is much to do.
"""

import threading
from dataclasses import dataclass
from typing import Any

from geumgo.app import census, retention
from geumgo.app.directory import open_storage
from geumgo.app.outgoing import sinks_of
from geumgo.audit.follow import TrailFiles
from geumgo.audit.trail import Trail
from geumgo.context import Clock
from geumgo.sealing.root import RootKeys
from geumgo.services.cloudtrail.feeder import Feeder, Meter, NoMeter
from geumgo.settings import Settings
from geumgo.storage import Storage

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


def start(
    settings: Settings, root: RootKeys, clock: Clock, trail: Trail, stop: threading.Event, meter: Meter | None = None
) -> list[threading.Thread]:
    """The threads, started; they end soon after `stop` is set. Raises SettingsError, StorageError."""
    shared = SharedMeter(meter or NoMeter(), threading.Lock())
    threads = []
    for number, (entry, sink) in enumerate(sinks_of(settings), 1):
        feeder = Feeder(number, entry, sink, TrailFiles(settings.audit), clock, shared)
        threads.append(
            threading.Thread(
                target=feeding,
                args=(feeder, trail, open_storage(settings, root), stop),
                name=f"sink {number}",
                daemon=True,
            )
        )
    threads.append(
        threading.Thread(
            target=census.counting, args=(open_storage(settings, root), clock, stop, shared), name="census", daemon=True
        )
    )
    if settings.trail_days:
        pruning = (settings, root, clock, open_storage(settings, root), stop, shared)
        threads.append(threading.Thread(target=retention.applying, args=pruning, name="retention", daemon=True))
    for thread in threads:
        thread.start()
    return threads


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
