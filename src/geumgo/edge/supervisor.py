"""`geumgo serve` is one command: a parent that listens, API processes that answer, one process for jobs.

The parent forks after everything is imported, so the processes share that memory and start at once. Storage and trail are opened in the
children, never before a fork. A child that dies is started again; a parent that dies takes its children with it.
"""

import ctypes
import errno
import gc
import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Final

import structlog

from geumgo.edge.metrics import Page
from geumgo.settings import SettingsError, address

log = structlog.get_logger("geumgo.supervisor")

PR_SET_PDEATHSIG: Final = 1
PR_SET_DUMPABLE: Final = 4
BACK_OFF_SECONDS: Final = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)  # before the n-th start of a child that dies young
YOUNG_SECONDS: Final = 10.0
START_SECONDS: Final = 60.0
BACKLOG: Final = 2_048

Run = Callable[[Callable[[], None]], None]  # what a child does; it calls its argument when it is ready


@dataclass
class Child:
    """One process. `name` is its slot, `api-0` or `worker`."""

    name: str
    run: Run
    pid: int = 0
    started_at: float = 0.0
    deaths: int = 0
    due_at: float = 0.0


@dataclass
class Supervisor:
    """Keeps its children running until it is told to stop."""

    children: list[Child]
    grace_seconds: float
    listeners: list[socket.socket] = field(default_factory=list)
    page: Page | None = None
    changed: Callable[[], bool] = lambda: False  # asked about once a second: whether every child must be started anew
    stopping: bool = False
    waiting: set[str] = field(default_factory=set)
    wake: tuple[int, int] = (-1, -1)
    renewing: list[Child] = field(
        default_factory=list
    )  # to be started anew, one after the other; the first one is under way
    asked: bool = False  # whether the first one was asked to end

    def run(self, ready: Callable[[], None]) -> int:
        """Start all, call `ready` when all are, keep them running. Answers the exit status once all have ended."""
        harden()
        self.wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(self.wake[1], warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores SIGHUP, and means it
                signal.signal(number, self._stop)
        signal.signal(signal.SIGUSR1, self._renew)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.waiting = {child.name for child in self.children}
        gc.collect()
        give_back_memory()
        gc.freeze()  # what is here stays: the collector of a child need not touch, and so copy, what all share
        reading, writing = os.pipe2(os.O_CLOEXEC)
        for child in self.children:
            self._start(child, reading, writing)
        status = self._watch(reading, writing, ready)
        signal.set_wakeup_fd(-1)
        return status

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stopping = True

    def _renew(self, _number: int, _frame: FrameType | None) -> None:
        """Every child is started anew, one after the other: the others go on answering. Asked for meanwhile, it begins again behind."""
        self.renewing += [child for child in self.children if child not in self.renewing[1:]]

    def _go_on_renewing(self, ready: set[str]) -> None:
        """The child whose turn it is is asked to end; when it is `ready` again it is the next one's turn."""
        if not self.renewing or self.waiting:
            return
        child = self.renewing[0]
        if not self.asked:
            if child.pid:
                log.info("process is renewed", process=child.name)
                os.kill(child.pid, signal.SIGTERM)
                self.asked = True
        elif child.name in ready:
            self.renewing.pop(0)
            self.asked = False
            self._go_on_renewing(set())

    def _watch(self, reading: int, writing: int, ready: Callable[[], None]) -> int:
        failed = False
        deadline = time.monotonic() + START_SECONDS
        while not self.stopping and not failed:
            timeout = self._restart_due(reading, writing)
            for source in select.select([reading, self.wake[0]], [], [], timeout)[0]:
                said = os.read(source, 4096)
                if source == reading:
                    names = set(said.decode().split())
                    if self.waiting:
                        self.waiting -= names
                        if not self.waiting:
                            ready()
                    else:
                        self._go_on_renewing(names)
            if self.changed():
                log.info("root keys were changed", next="every process is started anew, one after the other")
                self._renew(0, None)
            self._go_on_renewing(set())
            self._bury()
            failed = bool(self.waiting) and (
                time.monotonic() > deadline or any(child.deaths >= 3 for child in self.children)
            )
        if failed:
            log.critical("not ready", waiting=sorted(self.waiting), next="the log above says why the processes ended")
        self._end()
        return 1 if failed else 0

    def _restart_due(self, reading: int, writing: int) -> float:
        """Start what is due; answers the seconds until the next look."""
        now = time.monotonic()
        for child in self.children:
            if child.pid == 0 and now >= child.due_at:
                self._start(child, reading, writing)
        return min([child.due_at - now for child in self.children if child.pid == 0] + [1.0])

    def _bury(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for child in self.children:
                if child.pid == pid:
                    self._ended(child, status)

    def _ended(self, child: Child, status: int) -> None:
        now = time.monotonic()
        if self.asked and self.renewing and child is self.renewing[0] and not self.stopping:
            child.deaths, child.pid, child.due_at = 0, 0, now
            return
        child.deaths = child.deaths + 1 if now - child.started_at < YOUNG_SECONDS else 1
        child.pid, child.due_at = 0, now + BACK_OFF_SECONDS[min(child.deaths - 1, len(BACK_OFF_SECONDS) - 1)]
        if not self.stopping:
            log.error(
                "process ended",
                process=child.name,
                status=os.waitstatus_to_exitcode(status),
                next="it is started again",
            )

    def _start(self, child: Child, reading: int, writing: int) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        child.started_at = time.monotonic()
        if self.page is not None:
            self.page.add(f'geumgo_process_starts_total{{process="{child.name}"}}')
        child.pid = os.fork()
        if child.pid:
            return
        status = 1
        try:
            os.close(reading)
            self._become(child, parent)
            child.run(lambda: say(writing, child.name))
            status = 0
        except KeyboardInterrupt:
            status = 130
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 1
        except BaseException as fault:
            log.critical(
                "process cannot run", process=child.name, fault=type(fault).__name__, detail=str(fault), exc_info=fault
            )
        finally:
            os._exit(status)

    def _become(self, child: Child, parent: int) -> None:
        """A child: it dies with its parent, cannot be dumped, and takes its own signals."""
        signal.set_wakeup_fd(-1)
        for descriptor in self.wake:
            os.close(descriptor)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # it is for the parent
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a terminal tells everybody that it closes; the parent decides
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        prctl(PR_SET_DUMPABLE, 0)
        prctl(15, ctypes.c_char_p(f"geumgo {child.name}".encode()[:15]))  # PR_SET_NAME

    def _end(self) -> None:
        """Accept nothing more, ask every child to finish, wait for the grace, then insist."""
        self.stopping = True
        for listener in self.listeners:
            listener.close()
        deadline = time.monotonic() + self.grace_seconds + 2
        for child in self.children:
            if child.pid:
                os.kill(child.pid, signal.SIGTERM)
        while any(child.pid for child in self.children):
            self._bury()
            if time.monotonic() > deadline:
                for child in self.children:
                    if child.pid:
                        log.error("process killed", process=child.name, why="it did not end within its grace")
                        os.kill(child.pid, signal.SIGKILL)
                deadline = float("inf")
            if select.select([self.wake[0]], [], [], 0.05)[0]:
                os.read(self.wake[0], 4096)


def say(writing: int, name: str) -> None:
    os.write(writing, f"{name} ".encode())


def listen(name: str, where: str) -> socket.socket:
    """A listening socket, which the processes share. `name` is the setting that says `where`. Raises SettingsError."""
    host, port = address(name, where)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.create_server(found[4][:2], family=found[0], backlog=BACKLOG)
    except OSError as fault:
        why = fault.strerror if isinstance(fault, socket.gaierror) else os.strerror(fault.errno or errno.EINVAL)
        raise SettingsError(
            f"Cannot listen on {where}: {why}. End what listens there, or set {name!r} to another HOST:PORT."
        ) from fault
    listener.setblocking(False)
    return listener


def harden() -> None:
    """No core dump of this process or its children: memory holds keys."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    prctl(PR_SET_DUMPABLE, 0)


def give_back_memory() -> None:
    """What imports and models needed on their way is the system's again: every process would keep it otherwise."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc; others have no such call
    if trim is not None:
        trim(0)


def prctl(option: int, argument: Any) -> None:
    """Raises OSError."""
    if ctypes.CDLL(None, use_errno=True).prctl(option, argument, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
