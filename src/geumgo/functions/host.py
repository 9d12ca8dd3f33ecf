"""The host: how many functions run at a time, what they are run with, and whether they may run at all."""

import socket
import ssl
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from geumgo.functions import Busy, NotRun, Outcome, Task
from geumgo.functions.invocation import Connect, Invocation, Surroundings
from geumgo.functions.reach import Rules
from geumgo.functions.sandbox import Tools, find_tools

CONNECT_SECONDS: Final = 5.0


class Host:
    """Runs functions in sandboxes, `most` at a time. Safe for threads."""

    def __init__(
        self, server: Connect, rules: Rules, *, hidden: Sequence[Path], most: int, tools: Tools | None = None
    ) -> None:
        self._server, self._rules, self._hidden = server, rules, hidden
        self._places = threading.BoundedSemaphore(most)
        self._tools = tools

    def run(self, task: Task) -> Outcome:
        """As `Functions.run` says."""
        if not self._places.acquire(blocking=False):
            raise Busy("Rate Exceeded.")
        try:
            return Invocation(task, Surroundings(self._found(), self._rules, self._server)).run()
        finally:
            self._places.release()

    def _found(self) -> Tools:
        """Raises NotRun."""
        if self._tools is None:
            self._tools = find_tools(self._hidden)
        return self._tools


def to_server(listen: tuple[str, int], certificate: str) -> Connect:
    """How a function's connection reaches the server, which listens on `listen`; `certificate`: the PEM file that it shows, or empty."""
    host, port = listen
    if host in ("0.0.0.0", ""):  # noqa: S104
        host = "127.0.0.1"
    elif host == "::":
        host = "::1"

    def connect() -> socket.socket:
        plain = socket.create_connection((host, port), CONNECT_SECONDS)
        if not certificate:
            return plain
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # it is this very certificate, whatever its name is
        context.load_verify_locations(certificate)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return context.wrap_socket(plain)

    return connect


__all__ = ["Host", "NotRun", "to_server"]
