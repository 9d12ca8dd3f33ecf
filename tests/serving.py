"""A house behind a real socket: for clients that cannot be handed a pipeline, where a whole server would have a clock of its own."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.clock import DAY_MS, TurnedClock
from tests.house import House, turn_botocore


@contextmanager
def house_ago(directory: Path, patch: pytest.MonkeyPatch, days: int) -> Iterator[House]:
    """A house that was founded so many days ago. Turn its clock on by as many, and it is now."""
    clock = TurnedClock(time.time_ns() // 1_000_000 - days * DAY_MS)
    turn_botocore(patch, clock)
    made = House.build(directory, clock)
    yield made
    made.close()


@contextmanager
def serving(house: House) -> Iterator[str]:
    """The endpoint of the house, until the block ends. One request at a time; nobody else may use the house meanwhile."""

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            headers = [(name.encode(), value.encode()) for name, value in self.headers.items()]
            answer = house.send("POST", self.path.encode(), headers, body)
            self.send_response(answer.status)
            for name, value in answer.headers:
                self.send_header(name.decode(), value.decode())
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: Any) -> None:
            """Nothing is printed."""

    server = HTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
