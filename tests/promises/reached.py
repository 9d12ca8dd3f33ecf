"""How far a long form has come, said while it runs and kept in a file, so that parts of it add up to the whole.

    REACHED=FILE KILLS=100 SEED=7 pytest -s tests/promises/test_kill_nine.py -k kills_under     # as often as wanted, with other seeds
    python -m tests.promises.reached FILE                                                       # all of it together

A line of the file is a run as it stood at some moment; the last line of a run counts. A run that was broken off counts for what it had looked at
by then. One that found something says what, and counts for nothing.
"""

import json
import math
import os
import sys
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

SAID_SECONDS: Final = 30.0  # between two lines of one run


class SoFar:
    """The figures of one run: `counts` add up, `seconds` are kept one by one. Of no promise, it keeps them to itself."""

    def __init__(self, promise: str, seed: int | str) -> None:
        self.promise, self.seed, self.run = promise, seed, uuid.uuid4().hex
        self.counts = Counter[str]()
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.loads: list[float] = []
        self.began = self._said = time.monotonic()
        self._lock = threading.Lock()

    def add(self, **counts: int) -> None:
        with self._lock:
            self.counts.update(counts)
            if time.monotonic() - self._said >= SAID_SECONDS:
                self.say()

    def took(self, **seconds: float) -> None:
        for name, value in seconds.items():
            self.seconds[name].append(round(value, 3))

    def say(self, found: str = "") -> None:
        """Print the figures, and keep them if there is a file for them."""
        self._said = time.monotonic()
        if not self.promise:
            return
        self.loads.append(os.getloadavg()[0])
        line = {
            "promise": self.promise, "run": self.run, "seed": self.seed, "counts": dict(self.counts), "seconds": dict(self.seconds),
            "loads": [min(self.loads), max(self.loads)], "lasted": round(self._said - self.began), "found": found,
        }  # fmt: skip
        print(f"\n{told([line])}", end="", flush=True)
        if os.environ.get("REACHED"):
            with Path(os.environ["REACHED"]).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")


@contextmanager
def reaching(promise: str, seed: int | str) -> Iterator[SoFar]:
    """A run of the test of `promise`. Whatever is raised within is what the run found."""
    so_far = SoFar(promise, seed)
    try:
        yield so_far
    except BaseException as fault:
        broken_off = isinstance(fault, KeyboardInterrupt)
        so_far.say(found="" if broken_off else " ".join(f"{type(fault).__name__}: {fault}".split())[:500])
        raise
    so_far.say()


def told(lines: list[dict[str, Any]]) -> str:
    """Runs of one promise together, in a line."""
    sound = [line for line in lines if not line["found"]]
    counts = Counter[str]()
    seconds: dict[str, list[float]] = defaultdict(list)
    for line in sound:
        counts.update(line["counts"])
        for name, values in line["seconds"].items():
            seconds[name] += values
    parts = [f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items()]
    parts += [f"{name.replace('_', ' ')}: {spread(values)}" for name, values in seconds.items() if values]
    loads = [load for line in lines for load in line["loads"]]
    seeds = ", ".join(str(line["seed"]) for line in sound)
    said = f"{lines[0]['promise']}: {'; '.join(parts)} (seed {seeds}; load {min(loads):.0f} to {max(loads):.0f})"
    return said + "".join(f"\n  seed {line['seed']} FOUND {line['found']}" for line in lines if line["found"])


def spread(values: list[float]) -> str:
    """The middle, the 99th of 100 and the most of `values`, which are seconds."""
    return f"p50 {at_most(values, 0.5):.2f} s, p99 {at_most(values, 0.99):.2f} s, most {max(values):.2f} s"


def at_most(values: list[float], share: float) -> float:
    """The least of `values` that this share of them does not exceed."""
    return sorted(values)[math.ceil(len(values) * share) - 1]


def main(file: Path) -> None:
    runs: dict[str, dict[str, Any]] = {}
    for text in file.read_text("utf-8").splitlines():
        line = json.loads(text)
        runs[line["run"]] = line
    together: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in runs.values():
        together[line["promise"]].append(line)
    for lines in together.values():
        print(told(lines))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
