"""How long somebody must wait after failed sign-ins. Pure. All times are milliseconds."""

import ipaddress
from dataclasses import dataclass
from typing import Final

SESSION_S: Final = 3600  # seconds; DurationSeconds if it is not given
FORGOTTEN_MS: Final = 3_600_000  # failures count until an hour has passed without one
TRUSTED_MS: Final = 30 * 86_400_000  # how long an address counts as the user's own after he has signed in from there
_LONGEST_MS: Final = 900_000


@dataclass(frozen=True, slots=True)
class Limit:
    """`free` failures cost nothing; after them the wait is a second and doubles with each, up to `longest_ms`."""

    free: int
    longest_ms: int

    def wait_ms(self, failures: int) -> int:
        if failures < self.free:
            return 0
        return min(self.longest_ms, 1000 << min(failures - self.free, 20))


PAIR: Final = Limit(free=5, longest_ms=_LONGEST_MS)
"""One user from one address: somebody who guesses, or who has forgotten."""
ADDRESS: Final = Limit(free=20, longest_ms=_LONGEST_MS)
"""Any user from one address: somebody who tries one password on many users."""
USER: Final = Limit(free=50, longest_ms=30_000)
"""One user from anywhere: many machines guess together. The wait is short and spares the user's own addresses, so he is not locked out."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """What is kept of failures: how many that still count, when the last one was, and until when the address counts as the user's own."""

    failures: int = 0
    last_at_ms: int = 0
    trusted_until_ms: int = 0

    def now(self, now_ms: int) -> "Attempts":
        """The same as far as it still counts. A clock that was turned, either way, locks nobody out."""
        trusted = self.trusted_until_ms if 0 < self.trusted_until_ms - now_ms <= TRUSTED_MS else 0
        if abs(now_ms - self.last_at_ms) >= FORGOTTEN_MS:
            return Attempts(0, now_ms, trusted)
        return Attempts(self.failures, self.last_at_ms, trusted)

    def failed(self, now_ms: int) -> "Attempts":
        return Attempts(self.failures + 1, now_ms, self.trusted_until_ms)

    def taken_back(self) -> "Attempts":
        """As if the last one had not failed."""
        return Attempts(max(0, self.failures - 1), self.last_at_ms, self.trusted_until_ms)

    def keep_until_ms(self) -> int:
        return max(self.last_at_ms + FORGOTTEN_MS, self.trusted_until_ms)


def waiting_ms(pair: Attempts, address: Attempts, user: Attempts, now_ms: int) -> int:
    """How long from now nobody may try this user from this address; 0: he may try. Each is as of now (`Attempts.now`)."""
    limits = [(pair, PAIR), (address, ADDRESS)]
    if not pair.trusted_until_ms:
        limits.append((user, USER))
    return max(max(0, limit.wait_ms(each.failures) - abs(now_ms - each.last_at_ms)) for each, limit in limits)


def network_of(peer: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 that a single host of IPv6 may have as its own."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
