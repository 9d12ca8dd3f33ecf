"""The connections of the runtime to its API: what it asks goes to the invocation, what that says goes back."""

import selectors
import socket
from collections.abc import Callable
from typing import Final

from geumgo.functions.carrying import Loop
from geumgo.functions.runtime_api import Asked, Requests

MOST: Final = 8  # connections at a time; the runtime has one

Answer = Callable[[Asked], bytes | None]
"""What is said to a request; None: nothing, and nothing more."""


class RuntimeLink:
    """Accepts what connects to the API, and has each request answered."""

    def __init__(self, loop: Loop, answer: Answer) -> None:
        self._loop, self._answer = loop, answer
        self._listener: socket.socket | None = None
        self._connections: list[socket.socket] = []

    def listen(self, listener: socket.socket) -> None:
        self._listener = listener
        self._loop.watch(listener, selectors.EVENT_READ, lambda _: self._accept(listener))

    def close(self) -> None:
        for each in [*self._connections, *([self._listener] if self._listener is not None else [])]:
            each.close()

    def _accept(self, listener: socket.socket) -> None:
        try:
            made, _ = listener.accept()
        except OSError:
            return
        if len(self._connections) >= MOST:
            made.close()
            return
        made.setblocking(False)
        self._connections.append(made)
        self._read(made)

    def _read(self, connection: socket.socket) -> None:
        requests = Requests()

        def ready(_: int) -> None:
            try:
                chunk = connection.recv(65_536)
            except BlockingIOError:
                return
            except OSError:
                chunk = b""
            asked = requests.feed(chunk) if chunk else None
            said = self._answer(asked) if asked is not None else None
            if not chunk or requests.broken:
                self._hang_up(connection)
            elif said is not None:
                self._say(connection, said)

        self._loop.watch(connection, selectors.EVENT_READ, ready)

    def _say(self, connection: socket.socket, text: bytes) -> None:
        """`text` goes out as fast as it is taken. The event may be longer than the socket holds."""
        waiting = bytearray(text)

        def ready(_: int) -> None:
            try:
                while waiting:
                    del waiting[: connection.send(waiting)]
            except BlockingIOError:
                return
            except OSError:
                waiting.clear()
            self._loop.forget(connection)
            self._read(connection)

        self._loop.watch(connection, selectors.EVENT_WRITE, ready)

    def _hang_up(self, connection: socket.socket) -> None:
        self._loop.forget(connection)
        self._connections.remove(connection)
        connection.close()
