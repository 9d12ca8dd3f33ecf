"""Who asks how often: a part of a process's page that holds a bounded number of principals, those who ask most.

A principal who is not among them is counted under OTHER. When he has asked more often than the one of them who asks least, he takes that
one's place, whose numbers join OTHER: all of them together never fall, and nobody can make this part larger by making users.
"""

import struct
from collections.abc import Iterable
from typing import Final, final

PLACES: Final = 256
PLACE_BYTES: Final = 768
"""Of which an ARN takes up to 688: a path has at most 512 characters, a name 64."""
BYTES: Final = PLACES * PLACE_BYTES
CANDIDATES: Final = 1_024
OTHER: Final = "other"
NOBODY: Final = "anonymous"

_LENGTH: Final = struct.Struct(">H")
_KEY: Final = 16 + _LENGTH.size
_WORDS: Final = PLACE_BYTES // 8


@final
class Principals:
    """Two numbers for each: requests, and those of them that failed. One process writes; whoever reads may see one place change."""

    def __init__(self, memory: memoryview) -> None:
        self._memory = memory
        self._numbers = memory.cast("Q")
        self._places = {name: place for place, name in enumerate(self._names()) if name}
        self._before = [0] * PLACES  # what the one in a place had asked for before he had it
        self._candidates: dict[str, int] = {}
        if not self._places:
            self._write(0, OTHER)
            self._write(1, NOBODY)

    def count(self, arn: str, *, failed: bool) -> None:
        """`arn` is of a user or role, or empty for nobody."""
        place = self._places.get(arn or NOBODY)
        if place is None:
            place = self._place(arn)
        at = place * _WORDS
        self._numbers[at] += 1
        if failed:
            self._numbers[at + 1] += 1

    def items(self) -> Iterable[tuple[str, int]]:
        for place, name in enumerate(self._names()):
            if name:
                at = place * _WORDS
                label = name.replace("\\", "\\\\").replace('"', '\\"')
                yield f'geumgo_principal_requests_total{{principal="{label}"}}', self._numbers[at]
                yield f'geumgo_principal_errors_total{{principal="{label}"}}', self._numbers[at + 1]

    def _place(self, arn: str) -> int:
        if len(arn.encode()) > PLACE_BYTES - _KEY:
            return 0
        if len(self._places) < PLACES:
            place = len(self._places)
            self._write(place, arn)
            return place
        if arn not in self._candidates and len(self._candidates) >= CANDIDATES:
            self._candidates.clear()
        asked = self._candidates[arn] = self._candidates.get(arn, 0) + 1
        if asked & (asked - 1):  # looked at after 1, 2, 4, 8 ... requests
            return 0
        least = min(range(2, PLACES), key=self._asked)
        if asked <= self._asked(least):
            return 0
        self._give_way(least, arn, asked)
        return least

    def _asked(self, place: int) -> int:
        return self._before[place] + self._numbers[place * _WORDS]

    def _give_way(self, place: int, arn: str, asked: int) -> None:
        at = place * _WORDS
        gone = next(name for name, its in self._places.items() if its == place)
        del self._places[gone], self._candidates[arn]
        _LENGTH.pack_into(self._memory, place * PLACE_BYTES + 16, 0)
        self._numbers[0] += self._numbers[at]
        self._numbers[1] += self._numbers[at + 1]
        self._numbers[at] = self._numbers[at + 1] = 0
        self._before[place] = asked - 1
        self._write(place, arn)

    def _write(self, place: int, name: str) -> None:
        start, encoded = place * PLACE_BYTES, name.encode()
        self._memory[start + _KEY : start + _KEY + len(encoded)] = encoded
        _LENGTH.pack_into(self._memory, start + 16, len(encoded))  # last: a reader sees the whole name or none
        self._places[name] = place

    def _names(self) -> Iterable[str]:
        for start in range(0, BYTES, PLACE_BYTES):
            (size,) = _LENGTH.unpack_from(self._memory, start + 16)
            yield bytes(self._memory[start + _KEY : start + _KEY + size]).decode("utf-8", "replace")
