"""A real HTTP endpoint on loopback, that answers as it is told and remembers what it was sent; and a tripwire that nobody may touch."""

import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from geumgo.outbound import Allowed, Outbound
from geumgo.services.events.delivery import Carrier
from geumgo.services.events.log_files import LogFiles
from tests.house import House

LISTED = ("http://127.0.0.1",)


@dataclass
class Call:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Endpoint:
    """`answers` are given one after the other; then 200."""

    calls: list[Call] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)

    def __enter__(self) -> Self:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                endpoint.calls.append(Call(self.command, self.path, headers, body))
                status, more, content = endpoint.answers.pop(0) if endpoint.answers else (200, {}, b"")
                self.send_response(status)
                for name, value in {**more, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _answer  # noqa: N815

            def log_message(self, *_: Any) -> None:
                """Nothing is printed."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        port: int = self._server.server_address[1]
        return port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Tripwire:
    """A listener that accepts connections and counts them."""

    def __init__(self) -> None:
        self.touched = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.touched += 1
            connection.close()

    def close(self) -> None:
        self._socket.close()


def carried_by(
    house: House, listed: tuple[str, ...] = LISTED, resolve: Callable[[str, int], list[str]] | None = None
) -> None:
    """The house sends through an Outbound with these settings, and this resolver."""
    more: dict[str, Any] = {} if resolve is None else {"resolve": resolve}
    carrier = Carrier(Outbound(Allowed.of(listed), **more), LogFiles(house.settings.data / "events"))
    house.app.worker._handlers = {**house.app.worker._handlers, **carrier.jobs()}
