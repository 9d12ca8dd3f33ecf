"""The process for the index of the trail: behind everybody else, and up to date as soon as there is time.

It gives way to those who answer and to jobs. But whoever waits for the database must not wait for somebody who gets no time: so
transactions have a thread of their own, which gives way to nobody, and all the rest is done before them.
"""

import os
import threading
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
            lambda: open_storage(settings)
        )  # the thread begins here, with the priority that this one gives up
        try:
            os.nice(NICENESS)  # of this thread, on Linux
            indexing(indexer, storage, stop, meter or NoMeter(), lambda: reserve_given_up(settings.audit), turn)
        finally:
            turn(storage.close)


def indexing(
    indexer: Indexer,
    storage: Storage,
    stop: threading.Event,
    meter: Meter,
    scarce: Callable[[], bool],
    turn: Turn = at_once,
) -> None:
    """Once a second until `stop` is set, what is new in the trail is indexed, at once if much is.

    Nothing is while `scarce`: not in the space that is held back for a full disk. Raises Broken.
    """
    current_ms = indexer.clock.now_ms()
    more = False
    while not stop.wait(0 if more else EVERY_SECONDS):
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
