"""Lambda's Runtime API, as one invocation speaks it: one event to fetch, one answer to give.

Source: "Using the Lambda runtime API", developer guide, version 2018-06-01. Bytes in, bytes out; what is asked comes from hostile code.
"""

from dataclasses import dataclass, field
from typing import Final

LARGEST_HEAD: Final = 1_114_112  # bytes: an X-Ray cause may take 1 MiB
LARGEST_ANSWER: Final = 6_291_556  # bytes; source: "Lambda quotas" (6 MB), and the message that AWS gives
_PREFIX: Final = b"/2018-06-01/runtime/"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of the runtime."""

    method: bytes
    path: bytes
    body: bytes = field(repr=False)
    too_large: bool = False


@dataclass
class Requests:
    """The requests on one connection, fed as they arrive."""

    _read: bytearray = field(default_factory=bytearray)
    broken: bool = False

    def feed(self, chunk: bytes) -> Asked | None:
        """The request that is complete with `chunk`; the runtime waits for its answer before it sends another one."""
        self._read += chunk
        end = self._read.find(b"\r\n\r\n")
        if end < 0:
            self.broken = len(self._read) > LARGEST_HEAD
            return None
        lines = bytes(self._read[:end]).split(b"\r\n")
        words = lines[0].split(b" ")
        headers = dict(map(_header, lines[1:]))
        length = headers.get(b"content-length", b"0")
        chunked = b"transfer-encoding" in headers
        if len(words) != 3 or not length.isdigit() or len(length) > 9 or chunked:
            self.broken = True
            return None
        size = int(length)
        if size > LARGEST_ANSWER:
            self.broken = True
            return Asked(words[0], words[1], b"", too_large=True)
        if len(self._read) < end + 4 + size:
            return None
        body = bytes(self._read[end + 4 : end + 4 + size])
        self._read.clear()
        return Asked(words[0], words[1], body)


def _header(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name.strip().lower(), value.strip()


def is_next(asked: Asked) -> bool:
    return asked.method == b"GET" and asked.path == _PREFIX + b"invocation/next"


def verdict(asked: Asked, request_id: str) -> str | None:
    """What the runtime says about the invocation: `response`, `error`, `init error`; None: something else."""
    if asked.method != b"POST":
        return None
    if asked.path == _PREFIX + b"init/error":
        return "init error"
    for kind in ("response", "error"):
        if asked.path == _PREFIX + f"invocation/{request_id}/{kind}".encode():
            return kind
    return None


def event(request_id: str, function_arn: str, deadline_ms: int, client_context: str, body: bytes) -> bytes:
    """The answer to `next`."""
    head = [
        "HTTP/1.1 200 OK",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        f"Lambda-Runtime-Aws-Request-Id: {request_id}",
        f"Lambda-Runtime-Deadline-Ms: {deadline_ms}",
        f"Lambda-Runtime-Invoked-Function-Arn: {function_arn}",
    ]
    if client_context:
        head.append(f"Lambda-Runtime-Client-Context: {client_context}")
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


ACCEPTED: Final = (
    b'HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{"status":"OK"}\n'
)
REFUSED: Final = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
