"""The server process of these tests, and raw sockets that speak to it byte by byte."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from geumgo.edge.batch import Done
from geumgo.message import Request

DEADLINE_SECONDS = 20.0
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Echo:
    """`tests.edge.echo` in a process of its own."""

    def __init__(self, problems: Path | None = None, **settings: Any) -> None:
        command = [
            sys.executable,
            "-m",
            "tests.edge.echo",
            json.dumps(settings),
            *([str(problems)] if problems else []),
        ]
        self.log = tempfile.TemporaryFile("a+")  # noqa: SIM115  closed with the process
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True)
        assert self.process.stdout is not None
        said = self.process.stdout.readline().split()
        if not said:
            raise AssertionError(self.said())
        self.port, self.metrics_port = int(said[1]), int(said[2])
        self.wires: list[Wire] = []

    def connect(self, port: int | None = None, address: str = "127.0.0.1") -> "Wire":
        """From `address`: all of 127.0.0.0/8 is this machine."""
        where = ("127.0.0.1", port or self.port)
        wire = Wire(socket.create_connection(where, timeout=DEADLINE_SECONDS, source_address=(address, 0)))
        self.wires.append(wire)
        return wire

    def ask(self, data: bytes) -> "Reply":
        with self.connect() as wire:
            wire.send(data)
            return wire.reply()

    def scrape(self) -> str:
        with self.connect(self.metrics_port) as wire:
            wire.send(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
            return wire.reply().body.decode()

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def said(self) -> str:
        """What it has logged."""
        self.log.seek(0)
        return self.log.read()

    def end(self) -> tuple[int, str, str]:
        """The exit status, the rest of what it printed, and what it logged."""
        out, _ = self.process.communicate(timeout=DEADLINE_SECONDS)
        return self.process.returncode, out, self.said()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for wire in self.wires:
            wire.sock.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        self.log.close()


@dataclass(frozen=True, slots=True)
class Handing:
    """In place of `edge.server.Front`, in this process: hands every request to `handle`, and knows of no proxies."""

    handle: Callable[[Request, Done], None]

    def seen_as(self, peer: str, secure: bool, _headers: object) -> tuple[str, bool]:
        return peer, secure

    def stands_for_many(self, _peer: str) -> bool:
        return False


class Reply:
    """One answer as it came."""

    def __init__(self, head: bytes, body: bytes) -> None:
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1])
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        self.names = [line.partition(":")[0].lower() for line in lines[1:]]
        self.body = body

    @property
    def seen(self) -> dict[str, Any]:
        """What the core was asked."""
        found: dict[str, Any] = json.loads(self.body)
        return found


class Wire:
    """One connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buffer = b""

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def reply(self, *, head: bool = False) -> Reply:
        """The next answer (of a HEAD request: without a body). Raises ConnectionError if the server closes first."""
        while b"\r\n\r\n" not in self.buffer:
            self._more()
        start, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        reply = Reply(start, b"")
        if reply.status == 100 or head:
            return reply
        size = int(reply.headers["content-length"])
        while len(self.buffer) < size:
            self._more()
        reply.body, self.buffer = self.buffer[:size], self.buffer[size:]
        return reply

    def _more(self) -> None:
        data = self.sock.recv(65_536)
        if not data:
            raise ConnectionError(f"closed after {self.buffer!r}")
        self.buffer += data

    def rest(self) -> bytes:
        """Everything until the server closes. A reset is an end as well."""
        found = self.buffer
        with contextlib.suppress(ConnectionError):
            while data := self.sock.recv(65_536):
                found += data
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()


def until(true: Any, seconds: float = DEADLINE_SECONDS) -> None:
    """Wait for a condition, up to the deadline."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.005)
