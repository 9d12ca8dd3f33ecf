"""Who counts what is promised and how rotations stand, for /metrics: one thread in the process for jobs."""

import threading
from typing import Final

import structlog

from geumgo.context import Clock
from geumgo.jobs import queue
from geumgo.services.cloudtrail.feeder import Meter
from geumgo.services.secretsmanager import store_rotation
from geumgo.storage import Broken, Storage, StorageError

log = structlog.get_logger("geumgo.app")

EVERY_SECONDS: Final = 10.0


def count(storage: Storage, clock: Clock, meter: Meter) -> None:
    """The numbers are those of now. Raises StorageError."""
    now_ms = clock.now_ms()
    with storage.reading() as tx:
        jobs = queue.counts(tx, now_ms=now_ms)
        failing, overdue = store_rotation.troubled(tx, now_ms)
    for state in ("waiting", "running", "parked"):
        meter.set(f'geumgo_jobs{{state="{state}"}}', getattr(jobs, state))
    oldest_ms = now_ms if jobs.oldest_due_ms is None else jobs.oldest_due_ms
    meter.set("geumgo_jobs_late_seconds", max(now_ms - oldest_ms, 0) // 1000)
    meter.set('geumgo_rotations{state="failing"}', failing)
    meter.set('geumgo_rotations{state="overdue"}', overdue)


def counting(storage: Storage, clock: Clock, stop: threading.Event, meter: Meter) -> None:
    """Every ten seconds until `stop` is set. A database that sees I/O errors ends the process: `stop` is set, and the fault is raised."""
    try:
        while True:
            try:
                count(storage, clock, meter)
            except Broken:
                stop.set()
                raise
            except StorageError as fault:
                log.warning("jobs are not counted", fault=str(fault), next="it is tried again in ten seconds")
            if stop.wait(EVERY_SECONDS):
                return
    finally:
        storage.close()
