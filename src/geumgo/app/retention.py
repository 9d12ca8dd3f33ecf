"""Who takes away what of the trail is older than the operator wants to keep: one thread in the process for jobs, once an hour."""

import threading
from typing import Final

import structlog

from geumgo.app.directory import trail_keys, trusted_keys
from geumgo.audit.follow import TrailFiles
from geumgo.audit.retention import Pruned, prune
from geumgo.context import Clock
from geumgo.sealing.root import RootKeys
from geumgo.services.cloudtrail import positions
from geumgo.services.cloudtrail.feeder import Meter
from geumgo.settings import Settings
from geumgo.storage import Broken, Storage, StorageError

log = structlog.get_logger("geumgo.app")

EVERY_SECONDS: Final = 3_600.0
DAY_MS: Final = 86_400_000


def apply(settings: Settings, root: RootKeys, clock: Clock, storage: Storage, meter: Meter) -> int:
    """How many segments are gone: those older than `trail_days` that the index and every sink have read. Raises StorageError, OSError."""
    now_ms = clock.now_ms()
    gone = 0
    for chain in TrailFiles(settings.audit).chains():
        with storage.reading() as tx:
            below = min(positions.earliest(tx, reader, chain) for reader in positions.readers(settings.trail_sinks))
        pruned = prune(
            settings.audit / chain,
            before_ms=now_ms - settings.trail_days * DAY_MS,
            below=below,
            keys=trail_keys(root),
            trusted=trusted_keys(root),
            now_ms=now_ms,
        )
        _tell(chain, pruned)
        gone += pruned.segments
    meter.add("geumgo_trail_pruned_segments_total", gone)
    return gone


def _tell(chain: str, pruned: Pruned) -> None:
    if pruned.segments:
        log.info("old records of the trail are gone", chain=chain, segments=pruned.segments)
    if pruned.problems:
        log.error(
            "old records of the trail are kept",
            chain=chain,
            why=str(pruned.problems[0]),
            next="`geumgo audit verify` names what is wrong with them; move the chain's directory aside once you have looked",
        )


def applying(
    settings: Settings, root: RootKeys, clock: Clock, storage: Storage, stop: threading.Event, meter: Meter
) -> None:
    """Every hour until `stop` is set. A database that sees I/O errors ends the process: `stop` is set, and the fault is raised."""
    try:
        while True:
            try:
                apply(settings, root, clock, storage, meter)
            except Broken:
                stop.set()
                raise
            except (StorageError, OSError, ValueError) as fault:
                log.warning("the trail is not pruned", fault=str(fault), next="it is tried again in an hour")
            if stop.wait(EVERY_SECONDS):
                return
    finally:
        storage.close()
