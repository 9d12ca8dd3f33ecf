"""The host: how many functions run at a time, what they are run with, and whether they may run at all."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Final

import structlog

from geumgo.functions import Busy, NotRun, Outcome, Seats, Task, runtimes
from geumgo.functions.invocation import Invocation, Surroundings
from geumgo.functions.log_files import LogFiles
from geumgo.functions.network import Connect
from geumgo.functions.probing import refuse_open_walls
from geumgo.functions.reach import Rules
from geumgo.functions.sandbox import Tools, find_tools

log = structlog.get_logger("geumgo.functions")

CONNECT_SECONDS: Final = 5.0


class Host:
    """Runs functions in sandboxes, `most` at a time. Safe for threads.

    `directory` is the server's own: nothing in it is seen by a function, and logs of functions are kept in it. `tools`: what sandboxes are
    made with; None: what this machine has, after it was tried whether they hold. `node` is where Node.js is; empty: it is looked for.
    `seats` counts what has reserved concurrency; None: it is not counted. `still_wanted` says, in the thread that runs a function, whether
    it may go on.
    """

    def __init__(
        self,
        server: Connect,
        rules: Rules,
        *,
        directory: Path,
        most: int,
        memory_mb: int = 1_024,
        tools: Tools | None = None,
        node: str = "",
        seats: Seats | None = None,
        still_wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        self._server, self._rules, self._directory = server, rules, directory
        self._memory_mb, self._node = memory_mb, node
        self._most, self._running, self._counting = most, 0, threading.Lock()
        self._seats = seats
        self._still_wanted = still_wanted
        self._tools = tools
        self._logs = LogFiles(directory / "functions")

    def run(self, task: Task) -> Outcome:
        """As `Functions.run` says. What the function printed is kept."""
        if task.memory_mb > self._memory_mb:
            raise NotRun(
                f"The function has a MemorySize of {task.memory_mb} MB; at most {self._memory_mb} MB run here."
            )
        with self._place(), self._seats.held(task) if self._seats is not None else nullcontext():
            around = Surroundings(self._found(), self._rules, self._server, self._node, self._still_wanted)
            outcome = Invocation(task, around).run()
        try:
            self._logs.append(task.function_arn, outcome.log)
        except OSError as fault:  # the function has run, and its answer counts
            log.warning("log of a function not kept", function=task.function_arn, fault=str(fault))
        return outcome

    def refuse(self, runtime: str) -> None:
        """As `Functions.refuse` says. Whether sandboxes hold is not tried for it."""
        runtimes.refuse(runtime, self._node)

    @contextmanager
    def _place(self) -> Iterator[None]:
        """One of those that this process has. Raises Busy. Source: TooManyRequestsException, API reference (the reason)."""
        with self._counting:
            if self._running >= self._most:
                raise Busy("ConcurrentInvocationLimitExceeded")
            self._running += 1
        try:
            yield
        finally:
            with self._counting:
                self._running -= 1

    def _found(self) -> Tools:
        """Raises NotRun. What is missing may be installed while the server runs: it is looked for again."""
        with _TRYING:
            if self._tools is None:
                tools = find_tools([self._directory])
                if tools.privileged not in _HOLDS:
                    refuse_open_walls(tools, self._directory)
                    _HOLDS.add(tools.privileged)
                self._tools = tools
            return self._tools


_TRYING: Final = threading.Lock()
_HOLDS: Final[set[bool]] = set()
"""The kinds of sandbox that this process has tried: they are the machine's, and the same for every host in it."""


def working_tools(directory: Path) -> Tools:
    """What sandboxes are made with on this machine, after it was tried. Raises NotRun."""
    tools = find_tools([directory])
    refuse_open_walls(tools, directory)
    return tools


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
