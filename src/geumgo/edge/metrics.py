"""Numbers of all processes in one piece of shared memory, and how Prometheus reads them.

The supervisor makes the board before it forks. Each process writes its own page and nobody else's, so there is no lock; any process can
add all pages up. A process that is started again goes on with the page of the one before, so that a counter never falls. What stands here
are names of operations and of errors, which come from AWS's models, and ARNs of users and roles: no name of a secret or of a session.
"""

import mmap
import os
import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from geumgo.context import Caller
from geumgo.edge.metrics_principals import BYTES as PRINCIPALS_BYTES
from geumgo.edge.metrics_principals import Principals

ENTRIES: Final = 4_096
"""Of a page. What does not fit any more is counted under OVERFLOW."""
ENTRY_BYTES: Final = 256
KEY_BYTES: Final = ENTRY_BYTES - 8
MICRO: Final = 1_000_000
BUCKETS: Final[tuple[float, ...]] = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
"""Upper bounds of the histogram of request times, in seconds."""
OPERATION_BUCKETS: Final[tuple[float, ...]] = (0.005, 0.025, 0.1, 0.5, 2.5)
"""Those of each operation's own histogram."""
PAGE_BYTES: Final = ENTRIES * ENTRY_BYTES + PRINCIPALS_BYTES

OVERFLOW: Final = "geumgo_uncounted_total"

HELP: Final = {
    "geumgo_requests_total": ("counter", "Requests that were answered, by service, operation and error code."),
    "geumgo_request_seconds": (
        "histogram",
        "From a request's last byte to its answer, the sync of the trail included.",
    ),
    "geumgo_operation_seconds": ("histogram", "The same by service and operation."),
    "geumgo_principal_requests_total": (
        "counter",
        "Requests that were answered, by the ARN of the user or role; those of whoever asks least are under `other`.",
    ),
    "geumgo_principal_errors_total": ("counter", "Those of them that were answered with an error."),
    "geumgo_throttled_requests_total": ("counter", "Requests that were refused because too many were waiting."),
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
    "geumgo_trail_pruned_segments_total": (
        "counter",
        "Segments of the trail that were older than `trail_days`, and are gone.",
    ),
    "geumgo_jobs": ("gauge", "Jobs in the database, by state; parked: given up until somebody looks."),
    "geumgo_jobs_late_seconds": ("gauge", "How long the job that has waited longest has been due; 0: none is."),
    "geumgo_rotations": ("gauge", "Rotations that fail at present, and those whose NextRotationDate has passed."),
    OVERFLOW: ("counter", "What was not counted elsewhere, because there are too many different things to count."),
    "geumgo_ready": ("gauge", "1 if the process that answers this finds nothing that keeps it from serving."),
}
_NAME: Final = re.compile(r"[A-Za-z0-9_.:-]{0,64}")
_SECONDS: Final = "geumgo_request_seconds"
_OPERATION: Final = "geumgo_operation_seconds"


class Clock:
    """The places of one histogram on a page: a bucket each for what fits below a bound, one for what fits below none, the sum."""

    __slots__ = ("bounds", "buckets", "total")

    def __init__(self, page: "Page", name: str, labels: str, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.buckets = [page.at(f'{name}_bucket{{{labels}le="{bound}"}}') for bound in (*bounds, "+Inf")]
        self.total = page.at(f"{name}_sum{{{labels.rstrip(',')}}}")


class Page:
    """The numbers of one process. Whole numbers only."""

    def __init__(self, memory: memoryview) -> None:
        self._memory = memory
        self._numbers = memory.cast("Q")
        self._principals = Principals(memory[ENTRIES * ENTRY_BYTES :])
        self._places: dict[str, int] = {key: place for place, key in enumerate(self._keys())}
        if not self._places:
            self._new(OVERFLOW)
        self._answers: dict[tuple[str, str, str], int] = {}
        self._clocks: dict[tuple[str, str], Clock] = {}
        self._all = Clock(self, _SECONDS, "", BUCKETS)
        self._timed: list[tuple[str, str]] = []  # the operations that were answered since `worked`

    def add(self, key: str, amount: int = 1) -> None:
        self._numbers[self.at(key)] += amount

    def set(self, key: str, value: int) -> None:
        self._numbers[self.at(key)] = value

    def items(self) -> Iterable[tuple[str, int]]:
        for place, key in enumerate(self._keys()):
            yield key, self._numbers[place * ENTRY_BYTES // 8]

    def at(self, key: str) -> int:
        """Where the number of `key` stands."""
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

    def answered(self, service: str, operation: str, code: str, caller: Caller) -> None:
        """One answer. What is not a plain name is counted as `other`."""
        place = self._answers.get((service, operation, code))
        if place is None:
            place = self._answer(service, operation, code)
        self._numbers[place] += 1
        self._timed.append((service, operation))
        session = caller.session
        self._principals.count(caller.arn if session is None else session.issuer_arn, failed=code != "")

    def worked(self) -> list[tuple[str, str]]:
        """The operations that `answered` was told of since the last call."""
        timed, self._timed = self._timed, []
        return timed

    def waited(self, operations: Sequence[tuple[str, str]], seconds: Sequence[float], surplus: int) -> None:
        """Requests that have shared a sync and waited so long; `surplus` more were refused. `operations` are theirs, as `worked` said."""
        self.add("geumgo_batches_total")
        if surplus:
            self.add("geumgo_throttled_requests_total", surplus)
        for each in seconds:
            self._time(self._all, each)
        if len(operations) == len(seconds):  # else the trail found no space among them
            for operation, each in zip(operations, seconds, strict=True):
                clock = self._clocks.get(operation) or self._clock(*operation)
                if clock is not None:
                    self._time(clock, each)

    def _time(self, clock: Clock, seconds: float) -> None:
        numbers = self._numbers
        numbers[clock.buckets[bisect_left(clock.bounds, seconds)]] += 1
        numbers[clock.total] += int(seconds * MICRO)

    def _answer(self, service: str, operation: str, code: str) -> int:
        plain = (plainly(service), plainly(operation), plainly(code))
        place = self.at('geumgo_requests_total{{service="{}",operation="{}",code="{}"}}'.format(*plain))
        if len(self._answers) < ENTRIES:
            self._answers[service, operation, code] = place
        return place

    def _clock(self, service: str, operation: str) -> Clock | None:
        """None: there is no room for another one."""
        if len(self._places) + len(OPERATION_BUCKETS) + 2 > ENTRIES:
            return None
        labels = f'service="{plainly(service)}",operation="{plainly(operation)}",'
        clock = self._clocks[service, operation] = Clock(self, _OPERATION, labels, OPERATION_BUCKETS)
        return clock


def plainly(text: str) -> str:
    return text if _NAME.fullmatch(text) else "other"


class Board:
    """A page for each process. Make it before the fork."""

    def __init__(self, names: Sequence[str]) -> None:
        self._memory = memoryview(mmap.mmap(-1, PAGE_BYTES * len(names)))
        self._pages = {
            name: self._memory[number * PAGE_BYTES : (number + 1) * PAGE_BYTES] for number, name in enumerate(names)
        }
        self._made: dict[tuple[int, str], Page] = {}
        for name in names:
            self.page(name)

    def page(self, name: str) -> Page:
        """The one Page that this process writes under that name: two would each give the same place to something else."""
        ours = os.getpid(), name
        if ours not in self._made:
            self._made[ours] = Page(self._pages[name])
        return self._made[ours]

    def text(self, *, ready: bool) -> str:
        """Everything, in the text format that Prometheus scrapes."""
        found = {"geumgo_ready": int(ready)}
        for memory in self._pages.values():
            for key, value in (*Page(memory).items(), *Principals(memory[ENTRIES * ENTRY_BYTES :]).items()):
                found[key] = found.get(key, 0) + value
        lines = []
        for name, (kind, says) in HELP.items():
            lines += [f"# HELP {name} {says}", f"# TYPE {name} {kind}"]
            lines += histograms(name, found) if kind == "histogram" else plain(name, found)
        return "\n".join([*lines, ""])


def plain(name: str, found: Mapping[str, int]) -> list[str]:
    return [f"{key} {value}" for key, value in sorted(found.items()) if key.partition("{")[0] == name]


_BUCKET: Final = re.compile(r'(?P<labels>.*?)le="(?P<bound>[^"]+)"\}')


def histograms(name: str, found: Mapping[str, int]) -> list[str]:
    """Each histogram of that name. Buckets are kept apart, and shown as Prometheus wants them: each with all that are smaller."""
    start = f"{name}_bucket{{"
    kept: dict[str, dict[float, int]] = {}
    for key, value in found.items():
        if key.startswith(start) and (bucket := _BUCKET.fullmatch(key, len(start))):
            kept.setdefault(bucket["labels"], {})[float(bucket["bound"])] = value
    lines = []
    for labels, buckets in sorted(kept.items()):
        below = 0
        for bound, value in sorted(buckets.items()):
            below += value
            shown = "+Inf" if bound == float("inf") else bound
            lines.append(f'{start}{labels}le="{shown}"}} {below}')
        whose = f"{{{labels.rstrip(',')}}}"
        total = found.get(f"{name}_sum{whose}", 0)
        shown = whose if labels else ""
        lines += [f"{name}_sum{shown} {total / MICRO}", f"{name}_count{shown} {below}"]
    return lines
