"""How much the processes of a sandbox use, seen from outside."""

import contextlib
import os
from pathlib import Path


def size_of(agent: int) -> tuple[int, int]:
    """The memory that the processes below the agent use (bytes), and their number."""
    total, count, page = 0, 0, os.sysconf("SC_PAGE_SIZE")
    waiting = children(agent)
    while waiting:
        pid = waiting.pop()
        count += 1
        with contextlib.suppress(OSError, ValueError, IndexError):
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page
        waiting += children(pid)
    return total, count


def children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found
