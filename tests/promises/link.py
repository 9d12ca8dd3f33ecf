"""The way from a server, or from a function of its, to a database: it can be cut, and it knows when a password is being changed."""

import contextlib
import re
import select
import socket
import threading
from collections.abc import Callable
from typing import Final

BEGINS: Final = (b"ALTER ROLE", b"CREATE ROLE", b"SET PASSWORD", b"ALTER USER", b"CREATE USER", b"SETUSER")
CHANGES: Final = re.compile(
    rb"ALTER ROLE|CREATE ROLE|SET PASSWORD|ALTER USER .*(IDENTIFIED|PASSWORD)|SETUSER", re.DOTALL
)
"""The statements with which a password begins to change, and those after which it has changed: those of MariaDB copy a user before."""
PREPARES: Final = b"password_encryption"  # what is asked of PostgreSQL right before it is sent a verifier; whoever asks waits for ever


class Link:
    """A port on loopback that leads to `port`.

    `reached` is told "about to change" when PostgreSQL has told how verifiers are made, before whoever asked hears of that; "changing" when a
    statement that changes a password has come from the server, before the database sees it; "changed" when the database has answered it,
    before anybody hears of that. What it answers says whether the connection goes on.
    """

    def __init__(self, port: int, reached: Callable[[str], bool] = lambda _: True) -> None:
        self._to, self._reached = port, reached
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._cut = False
        self.drops_after_a_change = False
        self.dropped = 0
        self.changes = 0  # that the database was sent
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        with self._lock:
            self._cut = True
            for each in self._open:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self._cut = False

    def close(self) -> None:
        self.cut()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        with near, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._to)) as far:
            with self._lock:
                if self._cut:
                    return
                self._open |= {near, far}
            try:
                self._exchange(near, far)
            finally:
                with self._lock:
                    self._open -= {near, far}

    def _exchange(self, near: socket.socket, far: socket.socket) -> None:
        prepares = begun = in_transaction = changes = awaits_answer = False
        while True:
            ready, _, _ = select.select([near, far], [], [])
            for each in ready:
                data = each.recv(65_536)
                if not data:
                    return
                if each is far:
                    if prepares and not self._reached("about to change"):
                        return
                    prepares = False
                    if awaits_answer:
                        awaits_answer = changes = False
                        if not self._reached("changed"):
                            return
                    near.sendall(data)
                    continue
                prepares = PREPARES in data
                in_transaction |= b"BEGIN" in data
                if not begun and any(word in data for word in BEGINS):
                    begun = True
                    if not self._reached("changing"):
                        return
                changes |= CHANGES.search(data) is not None
                awaits_answer = changes and (not in_transaction or b"COMMIT" in data)
                self.changes += awaits_answer
                far.sendall(data)
                if self.drops_after_a_change and awaits_answer:
                    select.select([far], [], [], 5)  # it has answered, and nobody will hear it
                    self.dropped += 1
                    return
