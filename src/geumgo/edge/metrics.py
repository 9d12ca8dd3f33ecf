"""Numbers of all processes in one piece of shared memory, and how Prometheus reads them.

The supervisor makes the board before it forks. Each process writes its own page and nobody else's, so there is no lock; any process can
add all pages up. A process that is started again goes on with the page of the one before, so that a counter never falls. What stands here
are names of operations and of errors, which come from AWS's models: never the name of a secret.
"""

import mmap
import re
from collections.abc import Iterable, Sequence
from typing import Final

ENTRIES: Final = 1_024
"""Of a page. What does not fit any more is counted under OVERFLOW."""
ENTRY_BYTES: Final = 256
KEY_BYTES: Final = ENTRY_BYTES - 8
MICRO: Final = 1_000_000
BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
"""Upper bounds of the histogram of request times, in seconds."""

OVERFLOW: Final = "geumgo_uncounted_total"

HELP: Final = {
    "geumgo_requests_total": ("counter", "Requests that were answered, by service, operation and error code."),
    "geumgo_request_seconds": (
        "histogram",
        "From a request's last byte to its answer, the sync of the trail included.",
    ),
    "geumgo_batches_total": ("counter", "Batches; the requests of a batch share one sync of the trail."),
    "geumgo_connections": ("gauge", "Open connections of an API process."),
    "geumgo_process_resident_bytes": ("gauge", "Resident memory of an API process."),
    "geumgo_process_starts_total": ("counter", "How often a process was started; more than once: it had died."),
    "geumgo_trail_sink_records_total": ("counter", "Records that a sink of the trail has taken."),
    "geumgo_trail_sink_failures_total": ("counter", "Times that a sink of the trail took nothing."),
    "geumgo_trail_sink_lag_seconds": (
        "gauge",
        "Age of the oldest record that a sink of the trail has not taken; 0: none waits.",
    ),
    "geumgo_trail_index_lag_seconds": ("gauge", "For how long the trail has not been indexed up to its end."),
    "geumgo_jobs": ("gauge", "Jobs in the database, by state; parked: given up until somebody looks."),
    "geumgo_jobs_late_seconds": ("gauge", "How long the job that has waited longest has been due; 0: none is."),
    "geumgo_rotations": ("gauge", "Rotations that fail at present, and those whose NextRotationDate has passed."),
    OVERFLOW: ("counter", "What was not counted elsewhere, because there are too many different things to count."),
    "geumgo_ready": ("gauge", "1 if the process that answers this finds nothing that keeps it from serving."),
}
_NAME: Final = re.compile(r"[A-Za-z0-9_.:-]{0,64}")
_SECONDS: Final = "geumgo_request_seconds"
_BOUNDS: Final = tuple(f'{_SECONDS}_bucket{{le="{bound}"}}' for bound in BUCKETS)


class Page:
    """The numbers of one process. Whole numbers only."""

    def __init__(self, memory: memoryview) -> None:
        self._memory = memory
        self._numbers = memory.cast("Q")
        self._places: dict[str, int] = {key: place for place, key in enumerate(self._keys())}
        if not self._places:
            self._new(OVERFLOW)

    def add(self, key: str, amount: int = 1) -> None:
        self._numbers[self._at(key)] += amount

    def set(self, key: str, value: int) -> None:
        self._numbers[self._at(key)] = value

    def items(self) -> Iterable[tuple[str, int]]:
        for place, key in enumerate(self._keys()):
            yield key, self._numbers[place * ENTRY_BYTES // 8]

    def _at(self, key: str) -> int:
        place = self._places.get(key)
        if place is None:
            place = self._new(key)
        return place * ENTRY_BYTES // 8

    def _new(self, key: str) -> int:
        place = len(self._places)
        encoded = key.encode()
        if place >= ENTRIES or len(encoded) >= KEY_BYTES:
            return self._places[OVERFLOW]
        start = place * ENTRY_BYTES + 8
        self._memory[start + 1 : start + 1 + len(encoded)] = encoded
        self._memory[start] = len(encoded)  # last: a reader sees the whole key or none
        self._places[key] = place
        return place

    def _keys(self) -> Iterable[str]:
        for start in range(8, ENTRIES * ENTRY_BYTES, ENTRY_BYTES):
            size = self._memory[start]
            if size == 0:
                return
            yield bytes(self._memory[start + 1 : start + 1 + size]).decode()

    # -- what is counted ----------------------------------------------------------------------------------------------

    def answered(self, service: str, operation: str, code: str) -> None:
        """One answer. What is not a plain name is counted as `other`."""
        service, operation, code = (text if _NAME.fullmatch(text) else "other" for text in (service, operation, code))
        self.add(f'geumgo_requests_total{{service="{service}",operation="{operation}",code="{code}"}}')

    def waited(self, seconds: list[float]) -> None:
        """One batch, whose requests waited so long."""
        self.add("geumgo_batches_total")
        self.add(f"{_SECONDS}_count", len(seconds))
        self.add(f"{_SECONDS}_sum", int(sum(seconds) * MICRO))
        for each in seconds:
            for bound, key in zip(BUCKETS, _BOUNDS, strict=True):
                if each <= bound:
                    self.add(key)
                    break


class Board:
    """A page for each process. Make it before the fork."""

    def __init__(self, names: Sequence[str]) -> None:
        size = ENTRIES * ENTRY_BYTES
        self._memory = memoryview(mmap.mmap(-1, size * len(names)))
        self._pages = {name: self._memory[number * size : (number + 1) * size] for number, name in enumerate(names)}
        for name in names:
            self.page(name)

    def page(self, name: str) -> Page:
        return Page(self._pages[name])

    def text(self, *, ready: bool) -> str:
        """Everything, in the text format that Prometheus scrapes."""
        found = {"geumgo_ready": int(ready)}
        for memory in self._pages.values():
            for key, value in Page(memory).items():
                found[key] = found.get(key, 0) + value
        lines = []
        for name, (kind, says) in HELP.items():
            lines += [f"# HELP {name} {says}", f"# TYPE {name} {kind}"]
            lines += histogram(found) if kind == "histogram" else plain(name, found)
        return "\n".join([*lines, ""])


def plain(name: str, found: dict[str, int]) -> list[str]:
    return [f"{key} {value}" for key, value in sorted(found.items()) if key.partition("{")[0] == name]


def histogram(found: dict[str, int]) -> list[str]:
    """The one histogram there is. Buckets are kept apart, and shown as Prometheus wants them: each with all that are smaller."""
    lines, below = [], 0
    for key in _BOUNDS:
        below += found.get(key, 0)
        lines.append(f"{key} {below}")
    count, total = found.get(f"{_SECONDS}_count", 0), found.get(f"{_SECONDS}_sum", 0)
    lines.append(f'{_SECONDS}_bucket{{le="+Inf"}} {count}')
    return [*lines, f"{_SECONDS}_sum {total / MICRO}", f"{_SECONDS}_count {count}"]
