"""Bytes carried between a connection in the sandbox and one outside, one loop for all connections of an invocation."""

import contextlib
import selectors
import socket
import ssl
from collections.abc import Callable
from typing import Final

CHUNK: Final = 65_536
MOST_WAITING: Final = 262_144  # bytes that one direction holds while the other end does not take them

Readiness = Callable[[int], None]
Observe = Callable[[bytes], None]
NOT_NOW: Final = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Loop:
    """Who is told when a file is ready."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def watch(self, file: socket.socket | int, events: int, ready: Readiness) -> None:
        """`ready` is called with the events that are there; 0 events: it is not called for now."""
        known = self._selector.get_map()
        if (file if isinstance(file, int) else file.fileno()) in known:
            if events:
                self._selector.modify(file, events, ready)
            else:
                self._selector.unregister(file)
        elif events:
            self._selector.register(file, events, ready)

    def forget(self, file: socket.socket | int) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(file)

    def turn(self, seconds: float, goes_on: Callable[[], bool] = lambda: True) -> None:
        """Whoever waits for a file that is ready within `seconds` is told, if it `goes_on` then."""
        found = self._selector.select(max(0.0, seconds))
        if not goes_on():
            return
        for key, events in found:
            if key.fd in self._selector.get_map() and self._selector.get_map()[key.fd].data is key.data:
                key.data(events)

    def close(self) -> None:
        self._selector.close()


class Carrier:
    """Two connections, each of which is told what the other says. `observe` sees what comes from outside before it is passed on.

    While `held` is set nothing is passed on to the inside.
    """

    def __init__(
        self, loop: Loop, inside: socket.socket, outside: socket.socket, observe: Observe | None = None
    ) -> None:
        self._loop, self._inside, self._outside, self._observe = loop, inside, outside, observe
        self._waiting: dict[socket.socket, bytearray] = {inside: bytearray(), outside: bytearray()}
        self._ended: set[socket.socket] = set()  # they say nothing more
        self._told: set[socket.socket] = set()  # they know that the other one says nothing more
        self.held = False
        self.closed = False
        for each in (inside, outside):
            each.setblocking(False)
        self._watch()

    def release(self) -> None:
        self.held = False
        if not self.closed:
            self._write(self._inside)
            self._watch()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            for each in self._waiting:
                self._loop.forget(each)
                each.close()

    def _other(self, one: socket.socket) -> socket.socket:
        return self._outside if one is self._inside else self._inside

    def _watch(self) -> None:
        """Each is read while there is room for what it says, and written to while there is something for it."""
        if self.closed:
            return
        for each in (self._inside, self._outside):
            events = 0
            if each not in self._ended and len(self._waiting[self._other(each)]) < MOST_WAITING:
                events |= selectors.EVENT_READ
            if self._waiting[each] and not (self.held and each is self._inside):
                events |= selectors.EVENT_WRITE
            self._loop.watch(each, events, self._ready(each))

    def _ready(self, one: socket.socket) -> Readiness:
        def ready(events: int) -> None:
            if events & selectors.EVENT_WRITE:
                self._write(one)
            if events & selectors.EVENT_READ and not self.closed:
                self._read(one)
            if len(self._told) == 2:
                self.close()
            self._watch()

        return ready

    def _read(self, one: socket.socket) -> None:
        other = self._other(one)
        while len(self._waiting[other]) < MOST_WAITING:
            try:
                chunk = one.recv(CHUNK)
            except NOT_NOW:
                break
            except OSError:
                self.close()
                return
            if not chunk:
                self._ended.add(one)
                break
            if one is self._outside and self._observe is not None:
                self._observe(chunk)
            self._waiting[other] += chunk
            if not isinstance(one, ssl.SSLSocket):
                break
        self._write(other)

    def _write(self, one: socket.socket) -> None:
        """What waits for `one` goes to it; when nothing more will come it is told so."""
        if self.closed or (self.held and one is self._inside):
            return
        waiting = self._waiting[one]
        try:
            while waiting:
                del waiting[: one.send(waiting)]
        except NOT_NOW:
            return
        except OSError:
            self.close()
            return
        other = self._other(one)
        if other in self._ended and one not in self._told:
            self._told.add(one)
            if isinstance(one, ssl.SSLSocket):  # cannot be ended in one direction
                self.close()
                return
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_WR)
