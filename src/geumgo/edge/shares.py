"""What one address may have of what all connections share, so that nobody alone has all of it.

A proxy that is trusted stands for many: it is bound by what all are bound by, and by nothing else.
"""

from collections.abc import Callable
from typing import Final, final

NOBODY: Final[Callable[[str], bool]] = lambda _address: False  # noqa: E731


@final
class Share:
    """What one address has: connections, and bytes of bodies and heads that are kept for it."""

    __slots__ = ("address", "bodies", "connections", "heads", "many")

    def __init__(self, address: str, *, many: bool) -> None:
        self.address, self.many = address, many
        self.connections = self.bodies = self.heads = 0

    def may_have(self, held: int, more: int, free: int, least: int) -> bool:
        """Whether `more` bytes may join the `held` ones, where `free` are free: `least` always, and as long as others find as much."""
        held += more
        return more <= free and (self.many or held <= least or held <= free - more)


@final
class Shares:
    """Those of one listener. `most` connections an address; `many` says which addresses stand for many."""

    def __init__(self, most: int, many: Callable[[str], bool] = NOBODY) -> None:
        self._most, self._many = most, many
        self._shares: dict[str, Share] = {}

    def joined(self, address: str) -> tuple[Share, bool]:
        """One more connection; whether it may stay. `left` is called at its end, either way."""
        share = self._shares.get(address)
        if share is None:
            share = self._shares[address] = Share(address, many=self._many(address))
        share.connections += 1
        return share, share.many or share.connections <= self._most

    def left(self, share: Share) -> None:
        share.connections -= 1
        if not share.connections:
            del self._shares[share.address]
