"""Where every record goes besides: a file, standard output, syslog, a webhook.

A sink is fed beside the answers, never before them: by a thread of the process for jobs, behind a position of its own in each chain. What
it does not take is sent again, so it may see a record twice (know it again by its eventID), and never misses one.
"""

import hashlib
import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from geumgo.audit.line import encode_record
from geumgo.outbound import Failed, Outbound, Refused

Record = Mapping[str, Any]

SECONDS: Final = 5.0  # for a connection, and for what is sent over it
DATAGRAM_BYTES: Final = 60_000
PRIORITY: Final = 16 * 8 + 6  # local0, informational. Source: RFC 5424, 6.2.1
SYSLOG_PORT: Final = 514
_SHORT: Final = ("eventTime", "eventSource", "eventName", "awsRegion", "eventID", "requestID", "recipientAccountId")


class NotTaken(Exception):
    """The sink did not take the records. The message is a sentence for the log, and names no record."""


class Sink(Protocol):
    """Takes records, in order."""

    def send(self, records: Sequence[Record]) -> None:
        """The sink has taken all of them. Raises NotTaken or OSError if it may not have."""
        ...


class BadSink(ValueError):
    """An entry of the setting that names no sink. The message is a sentence."""


def sink_of(entry: str, outbound: Outbound, token_file: str) -> Sink:
    """The sink that an entry of the setting `trail_sinks` names. Raises BadSink."""
    if entry == "stdout":
        return Stdout()
    kind, _, rest = entry.partition(":")
    if kind == "file" and rest.startswith("/"):
        return LinesFile(Path(rest))
    if kind in ("syslog", "syslog+tcp"):
        return _syslog(entry, kind, rest)
    if kind in ("https", "http") and rest.startswith("//") and urlsplit(entry).hostname:
        return Webhook(outbound, entry, token_file)
    raise BadSink(
        f"{entry!r} is no sink: write stdout, file:/PATH, syslog:/dev/log, syslog://HOST:PORT, syslog+tcp://HOST:PORT "
        "or https://HOST/PATH"
    )


def _syslog(entry: str, kind: str, rest: str) -> Sink:
    if kind == "syslog" and rest.startswith("/") and not rest.startswith("//"):
        return Syslog(socket.AF_UNIX, rest)
    try:
        parts = urlsplit(entry)
        host, port = parts.hostname, parts.port or SYSLOG_PORT
    except ValueError:
        raise BadSink(f"{entry!r} names no port") from None
    if not host or not rest.startswith("//") or parts.path.strip("/"):
        raise BadSink(f"{entry!r} names no host: write {kind}://HOST:PORT")
    return SyslogStream(host, port) if kind == "syslog+tcp" else Syslog(socket.AF_INET, host, port)


# -- lines ------------------------------------------------------------------------------------------------------------------


def _lines(records: Sequence[Record]) -> bytes:
    return b"".join(encode_record(record) + b"\n" for record in records)


def _write_all(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


@dataclass(frozen=True, slots=True)
class Stdout:
    """One JSON object a line on the server's standard output."""

    descriptor: int = 1

    def send(self, records: Sequence[Record]) -> None:
        _write_all(self.descriptor, _lines(records))


@dataclass(frozen=True, slots=True)
class LinesFile:
    """One JSON object a line, appended and synced. The file is opened anew each time, so it may be moved away at any time."""

    path: Path

    def send(self, records: Sequence[Record]) -> None:
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"  # a line that a crash cut short stays alone
            _write_all(descriptor, (b"\n" if torn else b"") + _lines(records))
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)


# -- syslog -----------------------------------------------------------------------------------------------------------------


def message(record: Record) -> bytes:
    """A record as a message of syslog. A record that is too long for a datagram is cut to what it is about. Source: RFC 5424, 6."""
    head = f"<{PRIORITY}>1 {record.get('eventTime', '-')} {socket.gethostname()} geumgo - trail - ".encode()
    body = encode_record(record)
    if len(head) + len(body) > DATAGRAM_BYTES:
        body = encode_record({**{name: record[name] for name in _SHORT if name in record}, "omitted": True})
    return head + body


@dataclass(frozen=True, slots=True)
class Syslog:
    """Datagrams, to a socket of this machine (`host` is its path, `port` 0) or over UDP: nobody says whether they arrived."""

    family: int
    host: str
    port: int = 0

    def send(self, records: Sequence[Record]) -> None:
        address: Any = self.host
        family = self.family
        if self.port:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_DGRAM)[0]
            family, address = found[0], found[4]
        with socket.socket(family, socket.SOCK_DGRAM) as out:
            out.settimeout(SECONDS)
            out.connect(address)
            for record in records:
                out.send(message(record))


@dataclass(frozen=True, slots=True)
class SyslogStream:
    """Messages over TCP, each behind its length. Source: RFC 6587, 3.4.1 (octet counting)."""

    host: str
    port: int

    def send(self, records: Sequence[Record]) -> None:
        with socket.create_connection((self.host, self.port), timeout=SECONDS) as out:
            out.settimeout(SECONDS)
            for record in records:
                said = message(record)
                out.sendall(b"%d %b" % (len(said), said))
            out.shutdown(socket.SHUT_WR)
            out.recv(1)  # an orderly end: whoever broke off did not take them


# -- webhook ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Webhook:
    """A POST of `{"Records": [...]}`, under the rules of outgoing HTTP. An answer of 2xx takes the records.

    `token_file` is the path of a file whose content is sent as a bearer token, or empty. It is read for each request.
    """

    outbound: Outbound
    url: str
    token_file: str = field(default="", repr=False)

    def send(self, records: Sequence[Record]) -> None:
        ids = "\n".join(str(record.get("eventID")) for record in records)
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": hashlib.sha256(ids.encode()).hexdigest(),
            "User-Agent": "geumgo-trail",
        }
        if self.token_file:
            headers["Authorization"] = f"Bearer {Path(self.token_file).read_text('utf-8').strip()}"
        body = b'{"Records":[' + b",".join(map(encode_record, records)) + b"]}"
        try:
            status = self.outbound.send("POST", self.url, headers, body).status
        except (Failed, Refused) as fault:
            raise NotTaken(str(fault)) from None
        if not 200 <= status < 300:
            raise NotTaken(f"The webhook answered with status {status}.")


def batches(records: Sequence[Record], most: int, most_bytes: int) -> Iterator[list[Record]]:
    """`records` in pieces of at most `most`, each of about `most_bytes` at most, in order; a longer record stands alone."""
    piece: list[Record] = []
    size = 0
    for record in records:
        length = len(json.dumps(record))
        if piece and (len(piece) >= most or size + length > most_bytes):
            yield piece
            piece, size = [], 0
        piece.append(record)
        size += length
    if piece:
        yield piece
