"""A request and an answer as bytes: what the edge hands to the core and gets back. Knows nothing of AWS."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol


class Upload(Protocol):
    """A body that is not in memory. `sha256` in hexadecimal."""

    @property
    def sha256(self) -> str: ...
    def read(self) -> bytes: ...


@dataclass(slots=True, init=False)
class Request:
    """One HTTP request, as it came over the wire. Never changed once it is made (frozen, it would take twice as long to make).

    `target` is the raw request target, path and query, undecoded. `headers` keep their order; names are lower case, values raw and
    stripped of surrounding white space; a name may occur twice. `peer` is the address of the other end of the connection (or what a
    trusted proxy says it is), never taken from a header otherwise. `received_at_ms` is Unix milliseconds. `oversized`: the body was
    larger than the server reads, and is not here. `upload`: the body is there, and the core alone takes it into `body` when it knows
    who sent it, and lets go of it again. `rested`: nothing had been asked over its connection for a while.
    """

    method: str
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    peer: str
    secure: bool
    id: str
    received_at_ms: int
    oversized: bool
    upload: Upload | None
    rested: bool
    _first: dict[bytes, bytes] = field(init=False, repr=False, compare=False)

    def __init__(
        self,
        method: str,
        target: bytes,
        headers: tuple[tuple[bytes, bytes], ...],
        body: bytes,
        peer: str,
        secure: bool,
        id: str,  # noqa: A002
        received_at_ms: int,
        oversized: bool = False,
        upload: Upload | None = None,
        rested: bool = False,
    ) -> None:
        self.method, self.target, self.headers, self.body = method, target, headers, body
        self.peer, self.secure, self.id, self.received_at_ms = peer, secure, id, received_at_ms
        self.oversized, self.upload, self.rested = oversized, upload, rested
        self._first = dict(reversed(headers))  # of twins the first one stays

    @property
    def first_values(self) -> dict[bytes, bytes]:
        """Every header's name with the value of the first one of that name. Not to be changed."""
        return self._first

    def header(self, name: bytes) -> bytes | None:
        """The value of the first header called `name` (lower case), or None."""
        return self._first.get(name)

    def all_of(self, name: bytes) -> list[bytes]:
        """Every value of the header called `name` (lower case), in order."""
        first = self._first.get(name)
        if first is None:
            return []
        if not self.has_twins:
            return [first]
        return [value for key, value in self.headers if key == name]

    def body_sha256(self) -> str:
        """In hexadecimal."""
        return hashlib.sha256(self.body).hexdigest() if self.upload is None else self.upload.sha256

    @property
    def has_twins(self) -> bool:
        """Whether some header stands more than once."""
        return len(self._first) != len(self.headers)

    @property
    def path(self) -> bytes:
        return self.target.partition(b"?")[0]

    @property
    def query(self) -> bytes:
        return self.target.partition(b"?")[2]


@dataclass(slots=True, init=False)
class Answer:
    """One HTTP answer, never changed once it is made. `headers` are without Date and Content-Length, which the edge adds.

    `fetch`: this is no answer yet. It lies outside: whoever holds this calls `fetch` where nobody is kept waiting by it, and hands what it
    gives to the core again, which then has the answer.
    """

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    fetch: "Callable[[], Fetched] | None"

    def __init__(
        self,
        status: int,
        headers: tuple[tuple[bytes, bytes], ...],
        body: bytes,
        fetch: "Callable[[], Fetched] | None" = None,
    ) -> None:
        self.status, self.headers, self.body, self.fetch = status, headers, body, fetch


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came from outside for a request that waits: `found`, or the `fault` in place of it. `waits` is the core's own note of it."""

    waits: Any
    found: dict[str, Any] | None = None
    fault: Exception | None = None


@dataclass(frozen=True, slots=True)
class Surplus:
    """A request that came while more were waiting than can be answered in time: it is to be refused, and not to be read."""

    request: Request
