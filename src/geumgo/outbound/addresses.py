"""Where a request may go: how a URL is read, which addresses are public, what the operator listed."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_URL: Final = 2_048  # characters

_HOST: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.(?!-)[a-z0-9_-]{1,63})*")
_NUMERIC: Final = re.compile(r"(0x[0-9a-f]*|[0-9]+)")
_VISIBLE: Final = re.compile(r"[!-~]+")
# What Python calls global and is not: it carries another address inside, or answers for the machine's own cloud.
_TRAPS: Final[tuple[Network, ...]] = tuple(
    map(
        ipaddress.ip_network,
        (
            "::/96",  # IPv4-compatible
            "64:ff9b::/96",  # NAT64
            "64:ff9b:1::/48",  # NAT64, local
            "2001::/32",  # Teredo
            "2002::/16",  # 6to4
            "192.88.99.0/24",  # 6to4 relays
            "168.63.129.16/32",  # the platform address of Azure
        ),
    )
)


class Refused(Exception):
    """The request was not sent: its target is not one that this server talks to. The message says why, and may be shown to the caller."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the operator listed beside the public internet.

    `hosts` are names, `plain` those that may also be spoken to without TLS, `networks` are addresses.
    """

    hosts: frozenset[str] = frozenset()
    plain: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = field(default=())

    @classmethod
    def of(cls, entries: Iterable[str]) -> "Allowed":
        """From the setting: host names, addresses, networks (10.1.0.0/16), and `http://HOST` where plain HTTP is wanted.

        Raises:
            ValueError: an entry is none of these.
        """
        hosts: set[str] = set()
        plain: set[str] = set()
        networks: list[Network] = []
        for entry in entries:
            name = entry.strip().lower()
            bare = name.removeprefix("http://")
            if bare != name:
                plain.add(bare.strip("[]"))
            try:
                networks.append(ipaddress.ip_network(bare.strip("[]")))
            except ValueError:
                if not _HOST.fullmatch(bare) or _looks_numeric(bare):
                    raise ValueError(f"{entry!r} is no host name, address or network") from None
                hosts.add(bare)
        return cls(frozenset(hosts), frozenset(plain), tuple(networks))


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that was taken apart. `host` is lower case, without brackets and final dot."""

    secure: bool
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """What the Host header says: without the port that the scheme has anyway."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


def read_url(url: str, allowed: Allowed) -> Target:
    """`url` as a target. There is one spelling for each part; whatever could be read in two ways is refused.

    Raises:
        Refused: no URL of that kind is called.
    """
    if len(url) > MAX_URL or not _VISIBLE.fullmatch(url) or "\\" in url:
        raise Refused("The URL is too long, or has a character that a URL does not have.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Refused("The URL cannot be read.") from None
    if parts.scheme not in ("https", "http") or not url.lower().startswith(f"{parts.scheme}://"):
        raise Refused("Only https URLs are called.")
    if "@" in parts.netloc or parts.fragment:
        raise Refused("A URL has neither a user name nor a fragment here.")
    host = _host(parts.netloc, parts.hostname or "")
    if port == 0:
        raise Refused("The port of the URL cannot be used.")
    secure = parts.scheme == "https"
    if not secure and host not in allowed.plain:
        raise Refused("Only https URLs are called.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(secure, host, port or (443 if secure else 80), path)


def _host(netloc: str, hostname: str) -> str:
    if netloc.startswith("["):
        try:
            address = ipaddress.IPv6Address(hostname)
        except ValueError:
            raise Refused("The host of the URL cannot be read.") from None
        if address.scope_id is not None:
            raise Refused("An address with a zone is not called.")
        return str(address)
    host = hostname.lower().removesuffix(".")
    if len(host) > 253 or not _HOST.fullmatch(host):
        raise Refused("The host of the URL cannot be read.")
    if _looks_numeric(host):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise Refused("An address is written as four decimal numbers.") from None
    return host


def _looks_numeric(host: str) -> bool:
    """Whether a C library would take `host` for an IPv4 address (127.1, 0x7f.1, 2130706433). Source: WHATWG URL, "ends in a number"."""
    return _NUMERIC.fullmatch(host.rsplit(".", 1)[-1]) is not None


def check(host: str, address: Address, allowed: Allowed) -> None:
    """Nothing, when a request for `host` may go to `address`.

    Raises:
        Refused: the address is not public, and neither it nor the host is listed.
    """
    if host in allowed.hosts or any(address in network for network in allowed.networks):
        return
    inner = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    if inner is not None:
        check(host, inner, allowed)
        return
    if host == "localhost" or host.endswith(".localhost") or not _is_public(address):
        raise Refused("The host has an address that is not public, and is not among those that the operator listed.")


def _is_public(address: Address) -> bool:
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.is_site_local:
        return False
    return not any(address in network for network in _TRAPS)
