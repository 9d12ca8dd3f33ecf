"""The network of one invocation: its connections are carried to the server and to the hosts that it may talk to, its names looked up."""

import contextlib
import ipaddress
import selectors
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import structlog

from geumgo.functions import names
from geumgo.functions.carrying import Carrier, Loop
from geumgo.functions.environment import API, ENDPOINT
from geumgo.functions.fetched import Answers, learn
from geumgo.functions.journal import Journal
from geumgo.functions.reach import Reach, Rules

log = structlog.get_logger("geumgo.functions")

CONNECT_SECONDS: Final = 10.0
MOST_CONNECTIONS: Final = 64  # to the server and to hosts together, those that are about to be made included
MOST_QUESTIONS: Final = 256  # of names, in one invocation

Connect = Callable[[], socket.socket]
Elsewhere = Callable[[Callable[[], Callable[[], None]]], None]
"""Has something done in a thread; what that answers is called in the loop."""


class Network:
    """What the listeners of a sandbox lead to. `connect` reaches the server, `ask` has the agent listen at an address and port."""

    def __init__(
        self,
        loop: Loop,
        journal: Journal,
        rules: Rules,
        *,
        connect: Connect,
        ask: Callable[[str, int], None],
        elsewhere: Elsewhere,
    ) -> None:
        self._loop, self._journal, self._reach = loop, journal, Reach(rules)
        self._connect, self._ask, self._elsewhere = connect, ask, elsewhere
        self._carriers: list[Carrier] = []
        self._sockets: list[socket.socket] = []  # listeners, and connections that have no other end yet
        self._listening: dict[tuple[str, int], socket.socket | None] = {}  # None: asked for
        self._looking: dict[str, list[Callable[[], None]]] = {}  # hosts that are looked up, and what waits for them
        self._unanswered: list[Callable[[], None]] = []  # questions whose listeners are not there yet
        self._connecting = 0
        self._questions = 0
        self._opening = 0  # hosts without a name that are about to be listened for

    def answer_names(self, listener: socket.socket) -> None:
        self._sockets.append(listener)
        self._loop.watch(listener, selectors.EVENT_READ, lambda _: self._name(listener))

    def carry_to_server(self, listener: socket.socket) -> None:
        self._sockets.append(listener)
        self._loop.watch(listener, selectors.EVENT_READ, lambda _: self._accept(listener, self._server))
        for host, _ in sorted(self._reach.rules.listed):
            self._open(host)

    def has_asked_for(self, at: tuple[str, int]) -> bool:
        """Whether a listener there was asked for, and has not come."""
        return at in self._listening and self._listening[at] is None

    def close(self) -> None:
        for carrier in self._carriers:
            carrier.close()
        for each in self._sockets:
            each.close()

    def _accept(self, listener: socket.socket, then: Callable[[socket.socket], None]) -> None:
        try:
            made, _ = listener.accept()
        except OSError:
            return
        self._carriers = [each for each in self._carriers if not each.closed]
        if len(self._carriers) + self._connecting >= MOST_CONNECTIONS:
            made.close()
            return
        then(made)

    def _server(self, connection: socket.socket) -> None:
        answers = Answers()

        def observe(chunk: bytes) -> None:
            for body in answers.feed(chunk):
                learned = learn(body)
                self._journal.hide(learned.values)
                for host, _ in self._reach.learn(learned.hosts):
                    self._open(host)
                carrier.held = self._expects()

        try:
            outside = self._connect()
        except OSError:
            log.exception("a function cannot reach the server", next="is the server listening?")
            connection.close()
            return
        carrier = Carrier(self._loop, connection, outside, observe)
        self._carriers.append(carrier)

    def _open(self, host: str) -> None:
        """The invocation may connect to `host`: listeners take its place. The function learns nothing more until they are there."""
        if host in self._reach.pinned:
            self._listen(host)
            return
        try:
            ipaddress.ip_address(host)
        except ValueError:
            if host != "localhost":
                return  # it is looked up when its name is asked for
        self._opening += 1

        def found() -> None:
            self._opening -= 1
            self._listen(host)

        self._look_up(host, found)

    def _look_up(self, host: str, then: Callable[[], None]) -> None:
        """`then` is called when it is known where `host` is. Several questions about one host are one look."""
        waiting = self._looking.setdefault(host, [])
        waiting.append(then)
        if len(waiting) > 1:
            return

        def found() -> None:
            for each in self._looking.pop(host):
                each()

        def work() -> Callable[[], None]:
            try:
                self._reach.addresses(host)
            except OSError as fault:
                told = str(fault)
                return lambda: self._refused(host, told, found)
            return found

        self._elsewhere(work)

    def _refused(self, host: str, why: str, then: Callable[[], None]) -> None:
        self._reach.pinned.setdefault(host, [])
        self._journal.write(f"geumgo: no connection to {host}: {why}\n".encode())
        then()

    def _listen(self, host: str) -> None:
        for address in self._reach.pinned.get(host, []):
            for port in self._reach.ports(host):
                if (address, port) not in self._listening and (address, port) not in (API, ENDPOINT):
                    self._listening[address, port] = None
                    self._ask(address, port)
        self._release()

    def settle(self, at: tuple[str, int], listener: socket.socket | None = None) -> None:
        """What was asked for is there, or cannot be."""
        if listener is None:
            self._listening.pop(at, None)
        else:
            self._listening[at] = listener
            self._sockets.append(listener)
            self._loop.watch(
                listener, selectors.EVENT_READ, lambda _: self._accept(listener, lambda each: self._host(each, at))
            )
        self._release()

    def _expects(self) -> bool:
        return self._opening > 0 or any(listener is None for listener in self._listening.values())

    def _release(self) -> None:
        if not self._expects():
            for each in self._carriers:
                each.release()
            waiting, self._unanswered = self._unanswered, []
            for then in waiting:
                then()

    def _host(self, connection: socket.socket, at: tuple[str, int]) -> None:
        """A connection in there to a host: the same one is made outside, to the address that was looked up for it."""

        def work() -> Callable[[], None]:
            try:
                outside = socket.create_connection(at, CONNECT_SECONDS)
            except OSError as fault:
                return partial(self._unreachable, connection, at, str(fault))
            return partial(self._reached, connection, outside)

        self._connecting += 1
        self._sockets.append(connection)
        self._elsewhere(work)

    def _reached(self, connection: socket.socket, outside: socket.socket) -> None:
        self._connecting -= 1
        self._sockets.remove(connection)
        self._carriers.append(Carrier(self._loop, connection, outside))

    def _unreachable(self, connection: socket.socket, at: tuple[str, int], why: str) -> None:
        self._journal.write(f"geumgo: no connection to {at[0]} port {at[1]}: {why}\n".encode())
        self._connecting -= 1
        self._sockets.remove(connection)
        connection.close()

    def _name(self, listener: socket.socket) -> None:
        try:
            message, sender = listener.recvfrom(512)
        except OSError:
            return
        question = names.read(message)
        self._questions += 1
        if self._questions > MOST_QUESTIONS:
            self._loop.forget(listener)
            return
        if question is None:
            return
        if not self._reach.ports(question.name):
            self._reply(listener, sender, names.answer(question, None))
            return

        def told() -> None:
            self._listen(question.name)
            self._when_open(
                lambda: self._reply(listener, sender, names.answer(question, self._reach.pinned[question.name]))
            )

        if question.name in self._reach.pinned:
            told()
        else:
            self._look_up(question.name, told)

    def _when_open(self, then: Callable[[], None]) -> None:
        """`then` is done when every listener that was asked for is there."""
        if self._expects():
            self._unanswered.append(then)
        else:
            then()

    def _reply(self, listener: socket.socket, sender: Any, text: bytes) -> None:
        with contextlib.suppress(OSError):
            listener.sendto(text, sender)
