"""One HTTP request to a checked and pinned address.

The name is resolved once; every address it has is checked; the connection goes to one of exactly these, under the name for TLS and Host.
So a name that answers differently the second time gains nothing. Redirects are answers like others: nothing follows them. Proxies that the
environment names are not asked.
"""

import http.client
import io
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from geumgo.outbound.addresses import Address, Allowed, Refused, Target, check, read_url

Resolve = Callable[[str, int], Sequence[str]]

MAX_HEAD: Final = 64 << 10  # bytes of status line and headers, and of the frames of a chunked body
_OURS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection", "expect", "upgrade"})


class Failed(Exception):
    """The request may have been sent, and no whole answer came: name, connection, TLS, time or size. The message names no internals."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the other side said. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def system_resolve(host: str, port: int) -> list[str]:
    """The addresses of `host`, as the machine's resolver gives them. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


class Outbound:
    """Sends HTTP. One value serves all threads: it keeps no connection and changes nothing of itself.

    `seconds` bounds a request from connect to the last byte of the answer (the resolver's time is its own, see resolv.conf);
    `max_body_bytes` bounds the answer.
    """

    def __init__(
        self,
        allowed: Allowed,
        *,
        resolve: Resolve = system_resolve,
        seconds: float = 5.0,
        max_body_bytes: int = 1 << 20,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._allowed = allowed
        self._resolve = resolve
        self._seconds = seconds
        self._max_body_bytes = max_body_bytes
        self._tls = tls

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """The answer to one request, whatever its status.

        Raises:
            Refused: nothing was sent, and nothing was connected to.
            Failed: no whole answer came within time and size.
        """
        if any(name.lower() in _OURS for name in headers):
            raise Refused("A header of the request is one that the sender sets.")
        target = read_url(url, self._allowed)
        addresses = addresses_of(target.host, target.port, self._allowed, self._resolve)
        until = time.monotonic() + self._seconds
        try:
            connected = self._connect(target, addresses, until)
            with connected:
                return self._exchange(connected, target, method, headers, body, until)
        except (OSError, http.client.HTTPException) as fault:
            raise Failed(f"The request failed: {type(fault).__name__}.") from fault
        except (ValueError, UnicodeError) as fault:
            raise Refused("A header or the method of the request cannot be sent.") from fault

    def _connect(self, target: Target, addresses: Sequence[Address], until: float) -> socket.socket:
        last: OSError = OSError("no address")
        for address in addresses:
            family = socket.AF_INET if address.version == 4 else socket.AF_INET6
            plain = socket.socket(family, socket.SOCK_STREAM)
            try:
                plain.settimeout(_left(until))
                plain.connect((str(address), target.port))
                if not target.secure:
                    return plain
                plain.settimeout(_left(until))
                context = self._tls or ssl.create_default_context()
                return context.wrap_socket(plain, server_hostname=target.host)
            except OSError as fault:
                plain.close()
                last = fault
        raise last

    def _exchange(
        self,
        connected: socket.socket,
        target: Target,
        method: str,
        headers: Mapping[str, str],
        body: bytes,
        until: float,
    ) -> Answer:
        connection = http.client.HTTPConnection(target.host, target.port)
        connection.auto_open = 0  # a connection of its own would ask the resolver again
        bounded: Any = _Bounded(connected, until, self._max_body_bytes + MAX_HEAD)
        connection.sock = bounded
        connection.request(
            method, target.path, body=body, headers={**headers, "Host": target.authority, "Connection": "close"}
        )
        with connection.getresponse() as answer:
            content = answer.read(self._max_body_bytes + 1)
            if len(content) > self._max_body_bytes:
                raise Failed("The answer is too large.")
            if answer.length:
                raise Failed("The answer ended early.")
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, content)


def addresses_of(host: str, port: int, allowed: Allowed, resolve: Resolve) -> list[Address]:
    """The addresses of `host`, all of them checked: a name with one forbidden address is refused whole. Raises Refused, Failed."""
    try:
        addresses: list[Address] = [ipaddress.ip_address(host)]
    except ValueError:
        try:
            addresses = [ipaddress.ip_address(each) for each in resolve(host, port)]
        except (OSError, UnicodeError) as fault:
            raise Failed("The host has no address.") from fault
        except ValueError as fault:
            raise Refused("The host has an address with a zone.") from fault
    if not addresses:
        raise Failed("The host has no address.")
    for address in addresses:
        check(host, address, allowed)
    return addresses


def _left(until: float) -> float:
    """Seconds until the deadline. Raises TimeoutError when it is over."""
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class _Bounded:
    """A socket, as http.client uses one, whose every step ends at one deadline: an answer that drips byte by byte gains no time."""

    def __init__(self, connected: socket.socket, until: float, most: int) -> None:
        self._connected = connected
        self._until = until
        self._most = most

    def sendall(self, data: bytes) -> None:
        waiting = memoryview(data)
        while waiting:  # sendall of a TLS socket would begin its time anew with every piece that the other side takes
            self._connected.settimeout(_left(self._until))
            waiting = waiting[self._connected.send(waiting) :]

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._connected, self._until, self._most))

    def close(self) -> None:
        """Nothing: whoever connected closes."""


class _Reader(io.RawIOBase):
    def __init__(self, connected: socket.socket, until: float, most: int) -> None:
        self._connected = connected
        self._until = until
        self._most = most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connected.settimeout(_left(self._until))
        got = self._connected.recv_into(buffer)
        self._most -= got
        if self._most < 0:
            raise Failed("The answer is too large.")
        return got
