"""How long a server stood in line for a core that others had. On a machine that does much else, that is no time of the server's.

Source: proc(5), schedstat (sched-stats.rst of the kernel: the second number is the time on the run queue, in nanoseconds). What a thread does
itself, or sleeps, or waits for a disk or a database, is not in it.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path


def lines(pids: Iterable[int]) -> dict[int, int]:
    """For each thread of these processes, how long it has stood in line since it began (nanoseconds)."""
    found = {}
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError):
            for thread in Path(f"/proc/{pid}/task").iterdir():
                with suppress(FileNotFoundError, ProcessLookupError):
                    found[int(thread.name)] = int((thread / "schedstat").read_text().split()[1])
    return found


def stood_in_line(before: Mapping[int, int], after: Mapping[int, int], first: int) -> float:
    """Between the two, in seconds: the thread `first`, without which no other is started, and the one of all others that waited longest."""
    waited = {thread: max(0, since - before.get(thread, 0)) for thread, since in after.items()}
    return (waited.pop(first, 0) + max(waited.values(), default=0)) / 1e9
