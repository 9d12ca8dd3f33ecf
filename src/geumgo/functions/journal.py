"""The log of one invocation: the newest of what it printed, without the values that it fetched."""

import re
from collections.abc import Iterable
from typing import Final

MOST: Final = 1 << 20  # bytes that are kept
SLACK: Final = 131_072  # longer than any value: what is cut off may begin inside one
HIDDEN: Final = b"***"
MASK: Final = b"\0"
_MASKED: Final = re.compile(rb"\0+")


class Journal:
    """Takes what a function prints, and gives it redacted."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._cut = False
        self._values: set[bytes] = set()

    def write(self, text: bytes) -> None:
        self._kept += text
        if len(self._kept) > MOST + 2 * SLACK:
            self._cut = True
            del self._kept[: len(self._kept) - MOST - SLACK]

    def hide(self, values: Iterable[str]) -> None:
        """From now on, and in what was printed before, these are not shown."""
        self._values |= {value.encode("utf-8", "surrogatepass") for value in values}

    def text(self) -> bytes:
        """The log. Of one that is too long the end, from the beginning of a line."""
        shown = bytes(self._kept).replace(MASK, b" ")
        for value in sorted(self._values, key=len, reverse=True):
            shown = shown.replace(value, MASK * len(value))  # as long as it was: what is cut off is counted in bytes
        if self._cut:
            shown = shown[SLACK:]
            shown = shown[shown.find(b"\n") + 1 :]
        return _MASKED.sub(HIDDEN, shown)
