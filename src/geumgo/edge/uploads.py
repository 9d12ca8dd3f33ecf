"""Bodies that are larger than those of other requests, and of which few are let in: they are received into files, not into memory.

Whether a body may be so large is asked when its head is there. That is answered before anybody's signature was verified, because the
signature covers the body; so nothing is kept in memory for it, and no more files are open than a number.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from geumgo.message import Request
from geumgo.sealing.spool import Spool

BYTES_A_SECOND: Final = 512 << 10
"""Slower than that a body need not be waited for, beside the time that every request has."""


class NoRoom(Exception):
    """As many bodies as may are being received, or there is no place for another one."""


@dataclass(slots=True)
class Upload:
    """A body that is being received. What nobody may send is thrown away as it comes: who sent it learns no sooner than others."""

    spool: Spool | None
    given_back: Callable[[], None]

    @property
    def sha256(self) -> str:
        return self.spool.sha256 if self.spool is not None else ""

    def add(self, piece: bytes) -> None:
        """Raises OSError."""
        if self.spool is not None:
            self.spool.add(piece)

    def read(self) -> bytes:
        assert self.spool is not None, "nobody has signed what was thrown away"
        return self.spool.read()

    def close(self) -> None:
        if self.spool is not None:
            self.spool.close()
            self.spool = None
            self.given_back()


Largest = Callable[[Request], tuple[int, bool]]
"""How large (bytes) the body of a request may be whose head is here, and whether whoever claims to send it exists. 0: as any other's."""


@dataclass(slots=True)
class Uploads:
    """Those of one process: `most` at a time, in `directory`."""

    largest: Largest
    directory: Path
    most: int
    _open: int = field(default=0, init=False)

    def begin(self, head: Request, length: int) -> Upload | None:
        """Where the body of `length` bytes goes that belongs to `head`; None: it is too large. Raises NoRoom."""
        largest, known = self.largest(head)
        if length >= largest:
            return None
        if not known:
            return Upload(None, self._give_back)
        if self._open >= self.most:
            raise NoRoom
        try:
            spool = Spool(self.directory)
        except OSError as fault:
            raise NoRoom from fault
        self._open += 1
        return Upload(spool, self._give_back)

    def _give_back(self) -> None:
        self._open -= 1
