"""A house behind a real socket: for clients that cannot be handed a pipeline, where a whole server would have a clock of its own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from tests.house import House


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
