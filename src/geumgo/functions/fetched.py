"""What a function is told by the server: the values that its log must not show, and the databases that it may talk to. Pure.

A rotation function may reach the hosts of the secrets that it was allowed to read, and nothing tells better which those are than the
answers that it gets. They are read as they pass by.
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

LARGEST_HEAD: Final = 65_536
LARGEST_BODY: Final = 4 << 20
SHORTEST_VALUE: Final = 4  # what is shorter stands in every second line
SHORTEST_LINE: Final = 12  # of a value of several lines, which a log may show one by one

# Source: "JSON structure of Secrets Manager secrets", user guide, and the defaults of AWS's rotation functions
PORTS: Final = {
    "postgres": 5432,
    "mysql": 3306,
    "mariadb": 3306,
    "sqlserver": 1433,
    "oracle": 1521,
    "mongo": 27017,
    "redshift": 5439,
    "db2": 50000,
    "redis": 6379,
}


@dataclass
class Answers:
    """The answers on one connection to the server, fed as they arrive."""

    _head: bytes = b""
    _left: int = -1  # bytes of the body that are missing; -1: a head is read
    _body: list[bytes] = field(default_factory=list)
    _kept: bool = False
    _lost: bool = False  # this is no HTTP that we understand: nothing more is learned

    def feed(self, chunk: bytes) -> list[bytes]:
        """The bodies that are complete with `chunk`."""
        complete = []
        while chunk and not self._lost:
            if self._left < 0:
                chunk = self._read_head(chunk)
            else:
                part, chunk = chunk[: self._left], chunk[self._left :]
                self._left -= len(part)
                if self._kept:
                    self._body.append(part)
            if self._left == 0:
                if self._kept:
                    complete.append(b"".join(self._body))
                self._body, self._left = [], -1
        return complete

    def _read_head(self, chunk: bytes) -> bytes:
        head, end, rest = (self._head + chunk).partition(b"\r\n\r\n")
        if not end:
            self._head = head
            self._lost = len(head) > LARGEST_HEAD
            return b""
        self._head = b""
        lines = head.split(b"\r\n")
        status = lines[0].split(b" ")[1:2]
        lengths = [line.partition(b":")[2].strip() for line in lines if line.lower().startswith(b"content-length:")]
        if status and status[0].startswith(b"1"):
            return rest
        if len(lengths) != 1 or not lengths[0].isdigit() or len(lengths[0]) > 12:
            self._lost = True
            return b""
        self._left = int(lengths[0])
        self._kept = self._left <= LARGEST_BODY
        return rest


@dataclass(frozen=True, slots=True)
class Learned:
    """What one answer told. `values` are not for the log; `hosts` are names or addresses with a port."""

    values: frozenset[str] = field(default=frozenset(), repr=False)
    hosts: frozenset[tuple[str, int]] = frozenset()


def learn(body: bytes) -> Learned:
    """What the answer of Secrets Manager, KMS or Parameter Store in `body` tells; nothing, if it is none."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return Learned()
    values: set[str] = set()
    hosts: set[tuple[str, int]] = set()
    for said in _secrets(answer):
        values.add(said)
        inner = _as_object(said)
        if inner is not None:
            values |= {text for text in _texts(inner) if not text.isdigit() or len(text) > 5}
            values -= _public(inner)
            hosts |= _hosts(inner)
    return Learned(frozenset(_forms(values)), frozenset(hosts))


def _secrets(answer: Any) -> Iterator[str]:
    if not isinstance(answer, dict):
        return
    for name in ("SecretString", "SecretBinary", "RandomPassword", "Plaintext", "PrivateKeyPlaintext"):
        if isinstance(answer.get(name), str):
            yield answer[name]
    for each in _listed(answer.get("SecretValues")):
        yield from _secrets(each)
    for each in [answer.get("Parameter"), *_listed(answer.get("Parameters"))]:
        if isinstance(each, dict) and each.get("Type") == "SecureString" and isinstance(each.get("Value"), str):
            yield each["Value"]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _as_object(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(each)


_PUBLIC: Final = (
    "engine",
    "host",
    "port",
    "dbname",
    "username",
    "dbInstanceIdentifier",
    "dbClusterIdentifier",
    "masterarn",
)


def _public(inner: dict[str, Any]) -> set[str]:
    """Members of a database secret that are no secret: a log without them tells nothing."""
    return {inner[name] for name in _PUBLIC if isinstance(inner.get(name), str)}


def _hosts(inner: dict[str, Any]) -> set[tuple[str, int]]:
    host = inner.get("host")
    given = inner.get("port", PORTS.get(str(inner.get("engine", ""))))
    try:
        port = int(str(given))
    except ValueError:
        return set()
    if not isinstance(host, str) or not 0 < len(host) <= 253 or not 0 < port <= 65_535:
        return set()
    return {(host.lower().rstrip("."), port)}


def _forms(values: set[str]) -> Iterator[str]:
    """The values as they may stand in a log: plain, as JSON, Python and Node.js write them, base64; and each of several lines."""
    for value in values:
        if len(value) >= SHORTEST_VALUE:
            yield from _written(value)
            yield base64.b64encode(value.encode()).decode()
            for line in value.splitlines():
                if line != value and len(line) >= SHORTEST_LINE:
                    yield from _written(line)


def _written(value: str) -> Iterator[str]:
    yield value
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield repr(value)[1:-1]
    for quote in ("'", '"', "`"):
        yield _inspected(value, quote)


def _inspected(value: str, quote: str) -> str:
    """As `util.inspect` of Node.js writes a text between `quote`s. Source: its strEscape."""
    return "".join(
        _ESCAPED.get(each, f"\\x{ord(each):02X}")
        if ord(each) < 0x20 or 0x7F <= ord(each) < 0xA0
        else f"\\{each}"
        if each in ("\\", quote)
        else each
        for each in value
    )


_ESCAPED: Final = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}
