"""The process for the index of the trail: behind everybody else, and up to date as soon as there is time.

It gives way to those who answer and to jobs. But whoever waits for the database must not wait for somebody who gets no time: so
transactions have a thread of their own, which gives way to nobody, and all the rest is done before them.
"""

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import structlog

from geumgo.app import rings
from geumgo.app.directory import open_storage
from geumgo.audit.follow import TrailFiles
from geumgo.audit.trail import reserve_given_up
from geumgo.clock import SystemClock
from geumgo.context import Clock
from geumgo.sealing.root import RootKeys
from geumgo.services.cloudtrail.feeder import Meter, NoMeter
from geumgo.services.cloudtrail.indexer import Did, Indexer, Turn, at_once
from geumgo.services.events.publisher import DefaultBus
from geumgo.settings import Settings
from geumgo.storage import Broken, Conflict, Storage, StorageError

log = structlog.get_logger("geumgo.app")

EVERY_SECONDS: Final = 1.0
REST: Final = 30
"""While others want the cores: how much longer it rests than it worked, at most `EVERY_SECONDS`."""
NICENESS: Final = 15
"""By how much it gives way, on the scale of nice(2): to one that asks for a whole core it leaves 96 % of it."""


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


def work(settings: Settings, stop: threading.Event, meter: Meter | None = None) -> None:
    """Indexes until `stop` is set. `meter`: the page of numbers of this process.

    Raises SettingsError, StorageError; Broken if the database sees an I/O error: the process must end then.
    """
    with rings.held(settings) as root, ThreadPoolExecutor(1, thread_name_prefix="transaction") as other:
        indexer = indexer_of(settings, root, SystemClock())

        def turn(what: Callable[[], Did], /) -> Did:
            return other.submit(what).result()

        storage = turn(
            lambda: open_storage(settings, root)
        )  # the thread begins here, with the priority that this one gives up
        try:
            os.nice(NICENESS)  # of this thread, on Linux
            indexing(
                indexer,
                storage,
                stop,
                meter or NoMeter(),
                lambda: reserve_given_up(settings.audit),
                turn,
                Rest().seconds,
            )
        finally:
            turn(storage.close)


class Rest:
    """How long the calling thread should rest between two pieces of work, so that others who want the cores have them.

    Priority alone does not give way enough: transactions have none to give away, and who comes back from the disk finds his core taken.
    """

    def __init__(self) -> None:
        self._place = f"/proc/self/task/{threading.get_native_id()}/schedstat"
        self._ran_ns, self._waited_ns = self._so_far()
        self._worked = time.process_time()

    def seconds(self) -> float:
        """0 if this thread found a core whenever it wanted one since the last call."""
        (ran, waited), worked = self._so_far(), time.process_time()
        crowded = waited - self._waited_ns > (ran - self._ran_ns) / 4
        rest = (worked - self._worked) * REST if crowded else 0.0
        self._ran_ns, self._waited_ns, self._worked = ran, waited, worked
        return min(rest, EVERY_SECONDS)

    def _so_far(self) -> tuple[int, int]:
        """Nanoseconds that this thread has run, and has waited for a core. A kernel that does not count them says 0: nobody rests then.

        Source: Documentation/scheduler/sched-stats.rst, Linux.
        """
        try:
            with open(self._place, encoding="ascii") as file:  # noqa: PTH123  (no path is needed)
                ran, waited, _ = file.read().split()
        except OSError:
            return 0, 0
        return int(ran), int(waited)


def no_rest() -> float:
    return 0.0


def indexing(
    indexer: Indexer,
    storage: Storage,
    stop: threading.Event,
    meter: Meter,
    scarce: Callable[[], bool],
    turn: Turn = at_once,
    rest: Callable[[], float] = no_rest,
) -> None:
    """Once a second until `stop` is set, what is new in the trail is indexed; if much is, after as many seconds as `rest` says.

    Nothing is while `scarce`: not in the space that is held back for a full disk. Raises Broken.
    """
    current_ms = indexer.clock.now_ms()
    more = False
    while not stop.wait(rest() if more else EVERY_SECONDS):
        more = False
        began_ms = indexer.clock.now_ms()
        meter.set("geumgo_trail_index_lag_seconds", max(began_ms - current_ms, 0) // 1000)
        if scarce():
            continue
        try:
            more = indexer.step(storage, turn).more
            if not more:
                current_ms = began_ms
        except Broken:
            raise
        except Conflict:
            continue
        except (StorageError, OSError) as fault:
            log.warning("the trail is not indexed", fault=str(fault), next="it is tried again in a second")
        except Exception:  # a fault of ours: the index waits for a newer program
            log.exception("fault", next="the trail is not indexed behind this record")
