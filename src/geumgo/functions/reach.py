"""Whom a function may talk to: the server, what the operator listed, and the hosts of the secrets that it has read.

A host of a secret must have an address that is public, or that the operator listed among `outgoing_hosts`: whoever may write a secret
could otherwise send a function into the operator's network.
"""

import ipaddress
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from geumgo.outbound.addresses import Allowed, Refused, check

Resolve = Callable[[str], list[str]]

MOST_HOSTS: Final = 32  # that one invocation may learn of


def resolve(host: str) -> list[str]:
    """The addresses of `host`, IPv4 first. Raises OSError."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    addresses = {entry[4][0].partition("%")[0]: None for entry in found if isinstance(entry[4][0], str)}
    return sorted(addresses, key=lambda each: ":" in each)


def read_listed(entries: Iterable[str]) -> frozenset[tuple[str, int]]:
    """`HOST:PORT` of each entry. Raises ValueError."""
    found = set()
    for entry in entries:
        host, colon, port = entry.rpartition(":")
        if not colon or not host.strip("[]") or not port.isdigit() or not 0 < int(port) <= 65_535:
            raise ValueError(f"{entry!r} is not HOST:PORT")
        found.add((host.strip("[]").lower(), int(port)))
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator decided. `listed`: every function may talk to these. `allowed`: addresses that are not public and may be used."""

    listed: frozenset[tuple[str, int]] = frozenset()
    allowed: Allowed = field(default_factory=Allowed)
    resolve: Resolve = resolve


@dataclass(slots=True)
class Reach:
    """Whom one invocation may talk to. The address of a host is looked up once, and is the same until the end."""

    rules: Rules
    hosts: set[tuple[str, int]] = field(default_factory=set)
    pinned: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.hosts |= self.rules.listed

    def learn(self, hosts: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
        """The invocation may talk to these too, as far as their addresses are allowed. Answers those that are new."""
        new = [each for each in sorted(hosts) if each not in self.hosts]
        new = new[: max(0, MOST_HOSTS - len(self.hosts))]
        self.hosts |= set(new)
        return new

    def ports(self, host: str) -> list[int]:
        return sorted(port for name, port in self.hosts if name == host)

    def addresses(self, host: str) -> list[str]:
        """Where `host` is, as far as a function may go there. May take long: a name server is asked.

        Raises OSError: it has no such address.
        """
        if host not in self.pinned:
            self.pinned[host] = [each for each in self._look_up(host) if self._is_permitted(host, each)]
        if not self.pinned[host]:
            raise PermissionError(f"{host} has no address that functions may talk to")
        return self.pinned[host]

    def _look_up(self, host: str) -> list[str]:
        try:
            return [str(ipaddress.ip_address(host))]
        except ValueError:
            return self.rules.resolve(host)

    def _is_permitted(self, host: str, address: str) -> bool:
        if any(name == host for name, _ in self.rules.listed):
            return True
        try:
            check(host, ipaddress.ip_address(address), self.rules.allowed)
        except Refused:
            return False
        return True
