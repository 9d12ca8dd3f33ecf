"""Which process takes the next connection: one that has hardly more of them than any other.

All processes that answer share a listener, and whoever looks at it first could take everybody who waits. Clients keep their connections:
what is divided badly once stays so, and one core has nothing to do while the other one's clients stand in line.
"""

import mmap
from collections.abc import Sequence
from typing import Final

MORE: Final = 8
"""One may have an eighth more than another: whoever has many need not look whether others are quicker each time."""


class Balance:
    """How many connections each of these processes has. It is made before they are forked."""

    def __init__(self, slots: Sequence[str]) -> None:
        self._places = {slot: place for place, slot in enumerate(slots)}
        self._counts = memoryview(mmap.mmap(-1, 8 * len(slots))).cast("Q")

    def of(self, slot: str) -> "Load":
        """What the process `slot` has: nothing yet."""
        load = Load(self._counts, self._places[slot])
        load.is_now(0)
        return load


class Load:
    """How many connections one process has, beside the others."""

    def __init__(self, counts: memoryview, place: int) -> None:
        self._counts, self._place = counts, place

    def is_now(self, connections: int) -> None:
        self._counts[self._place] = connections

    def may_take(self) -> bool:
        """Whether no other process has fewer, or so few fewer that it makes no difference."""
        fewest = min(self._counts)
        return self._counts[self._place] <= fewest + fewest // MORE


def alone() -> Load:
    """That of a process that shares its listener with nobody."""
    return Balance(["alone"]).of("alone")
