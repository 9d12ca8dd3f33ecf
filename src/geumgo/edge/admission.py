"""Who may still stand in line when more requests arrive than are answered.

A process answers what it has taken on, and refuses the rest at once, before anything of it is read: a queue that only grows makes every
caller wait until he has given up, and his request is worked on nevertheless. The line is as long as can be answered in time, and never
longer than its bound. Whoever has many requests in it leaves room for others: a source may add one as long as it has fewer in the line
than there are places free. So one source alone gets half of the line at most, two a third each, and a newcomer always finds a place.
Where more wait than one batch takes, sources have their turns one after the other: he need not wait for all that others had in the line
before him.

A source is a peer's address, together with the access key id once a request from there with that key was answered: whoever cannot sign
shares one place with all who cannot from his address, however many keys he invents, and a key that is used elsewhere is not held up by him.

Source: A. K. Choudhury, E. L. Hahne, "Dynamic queue length thresholds for shared-memory packet switches", 1998.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, final

from geumgo.access.signature import claimed_key
from geumgo.domain.bounded import keep
from geumgo.message import Fetched, Request

LEAST: Final = 128
"""The line is never shorter for being slow: one disk that pauses is no reason to refuse anybody."""
REMEMBERS: Final = 0.9
"""How much of what is known of the speed counts on with each batch: about the last ten batches decide."""
KNOWN: Final = 4_096
"""Pairs of address and access key id that are remembered to have been answered."""

Source = tuple[str, str]


@final
class Admission:
    """Decides for one process. `most` requests wait at once, none of which would wait longer than `seconds`, going by the last batches."""

    def __init__(self, *, most: int, seconds: float) -> None:
        self._most, self._seconds = most, seconds
        self._places = most  # in the line, as fast as it moves now
        self._busy = self._done = 0.0
        self._known: dict[Source, None] = {}
        self._held: Counter[Source] | None = None  # of those that wait, while it is worth counting

    def admits(self, request: Request, waiting: int, those: Callable[[], Iterable[Request]]) -> bool:
        """Whether `request` may join the `waiting` ones, which `those` answers."""
        if 2 * waiting < self._places:  # whoever they are, none of them has as much as is free
            return True
        if self._held is None:
            self._held = Counter(map(self.source, those()))
        source = self.source(request)
        if self._held[source] >= self._places - waiting:
            return False
        self._held[source] += 1
        return True

    def in_turn(self, those: Iterable[Request | Fetched]) -> list[int]:
        """The places of `those` in the order of their turns: the first of each source, then the second of each, and so on.

        What was fetched for a request that has waited already comes first.
        """
        found: Counter[Source] = Counter()
        turns = []
        for each in those:
            turn = 0
            if isinstance(each, Request):
                source = self.source(each)
                found[source] += 1
                turn = found[source]
            turns.append(turn)
        return sorted(range(len(turns)), key=turns.__getitem__)

    def taken(self) -> None:
        """Some of those that waited are answered now: who waits is counted anew."""
        self._held = None

    def took(self, seconds: float, requests: int) -> None:
        """A batch of `requests` was answered in `seconds`."""
        self._busy = self._busy * REMEMBERS + seconds
        self._done = self._done * REMEMBERS + requests
        self._places = (
            min(self._most, max(LEAST, int(self._seconds * self._done / self._busy))) if self._busy else self._most
        )

    def answered(self, request: Request) -> None:
        """The request's signature held, if it has one."""
        source = request.peer, claimed_key(request)
        if source not in self._known:
            keep(self._known, source, None, KNOWN)

    def source(self, request: Request) -> Source:
        """Who is behind it, as far as that is known before anything of it is proven."""
        named = request.peer, claimed_key(request)
        return named if named in self._known else (request.peer, "")
