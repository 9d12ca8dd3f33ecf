"""HTTP: raw bytes in, raw bytes out.

Nothing is interpreted here but lengths: the request target, the headers and the body reach the core as they came over the wire.
"""

import asyncio
import contextlib
import errno
import ipaddress
import json
import os
import resource
import signal
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, ParamSpec, Protocol, TypeVar

import structlog
import uvloop

from geumgo.edge import batch
from geumgo.edge.admission import Admission
from geumgo.edge.balance import Balance, Load, alone
from geumgo.edge.batch import Batcher, Done
from geumgo.edge.collecting import Collector
from geumgo.edge.connection import Bounds, Connection, Site
from geumgo.edge.metrics import Board, Page
from geumgo.edge.shares import Shares
from geumgo.edge.tls import Certificate, certificate_of
from geumgo.edge.uploads import Uploads
from geumgo.message import Answer, Request
from geumgo.settings import Settings
from geumgo.storage import Broken

log = structlog.get_logger("geumgo.edge")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Asked = ParamSpec("Asked")
Found = TypeVar("Found")

FAILED = 70
"""Exit status of a process that must not acknowledge anything more (EX_SOFTWARE)."""
TICK_SECONDS = 0.5
PROBES = (b"/healthz", b"/readyz")
JSON = (b"content-type", b"application/json")
PROMETHEUS = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")
LEAVES_SECONDS = 0.002
"""For how long a process that has more connections than another one leaves a new one to that."""
SOME = 8
"""How many it takes then."""
FORGETS_SECONDS = 0.05
"""After this somebody else is left to the others: he who was has been taken."""
AGAIN_SECONDS = 1.0
"""After how long it is tried again to accept somebody when there were no descriptors left."""


class Door(batch.Door, Protocol):
    """The pipeline, as the edge sees it."""

    def largest_body(self, head: Request) -> tuple[int, bool]: ...


class Core(Protocol):
    """What the edge needs of the app."""

    @property
    def pipeline(self) -> Door: ...

    def ready(self) -> list[str]:
        """Raises storage.Broken."""
        ...

    def tick(self) -> None: ...


class Front:
    """The API's requests to the core, its answers back. `/healthz` and `/readyz` are answered here."""

    def __init__(self, core: Core, settings: Settings, page: Page) -> None:
        self._core = core
        self._asked = True
        self._trusted: list[Network] = [ipaddress.ip_network(each) for each in settings.trusted_proxies]
        self._batcher = Batcher(
            core.pipeline,
            most=settings.batch_requests,
            admission=Admission(most=settings.max_waiting_requests, seconds=settings.max_waiting_seconds),
            fatal=give_up,
            observer=page,
            outside=ThreadPoolExecutor(settings.waiting_outside, thread_name_prefix="outside"),
        )

    def looked_at(self) -> float:
        """When all that had arrived had been read (monotonic seconds)."""
        return self._batcher.looked_at()

    def at_rest(self) -> bool:
        """Whether nobody has asked the core anything since this was called last."""
        asked, self._asked = self._asked, False
        return not asked

    def handle(self, request: Request, done: Done) -> None:
        if request.target in PROBES and request.method in ("GET", "HEAD"):
            done(health(self._core, request.target))
        else:
            self._asked = True
            self._batcher.add(request, done)

    def seen_as(self, peer: str, secure: bool, headers: Sequence[tuple[bytes, bytes]]) -> tuple[str, bool]:
        """Who is at the other end, and whether the way from there is encrypted.

        Where a trusted proxy connects it is what the proxy says: the rightmost address of X-Forwarded-For that is no trusted proxy.
        """
        if not self.stands_for_many(peer):
            return peer, secure
        named = {name: b",".join(value for each, value in headers if each == name) for name in FORWARDED}
        secure = secure or named[b"x-forwarded-proto"].strip().lower() == b"https"
        for hop in reversed(named[b"x-forwarded-for"].decode("latin-1").split(",")):
            try:
                address = str(ipaddress.ip_address(hop.strip()))
            except ValueError:
                break  # whoever wrote this is not the proxy we trust: what stands further left is worth nothing
            if not self.stands_for_many(address):
                return address, secure
        return peer, secure

    def stands_for_many(self, peer: str) -> bool:
        """Whether it is a proxy that is trusted."""
        return bool(self._trusted) and any(ipaddress.ip_address(peer) in network for network in self._trusted)


class Scrape:
    """What the other listener answers: /metrics and nothing else."""

    def __init__(self, core: Core, board: Board) -> None:
        self._core = core
        self._board = board

    def handle(self, request: Request, done: Done) -> None:
        if request.method == "GET" and request.target == b"/metrics":
            text = self._board.text(ready=not or_end(self._core.ready)())
            done(Answer(200, (PROMETHEUS,), text.encode()))
        else:
            done(Answer(404, ((b"content-type", b"text/plain"),), b"There is only /metrics here.\n"))

    def seen_as(self, peer: str, secure: bool, _headers: Sequence[tuple[bytes, bytes]]) -> tuple[str, bool]:
        return peer, secure

    def stands_for_many(self, _peer: str) -> bool:
        return False


FORWARDED = (b"x-forwarded-for", b"x-forwarded-proto")


def health(core: Core, path: bytes) -> Answer:
    """Alive is whoever answers; ready is who finds no problem."""
    problems = or_end(core.ready)() if path == b"/readyz" else []
    body = {"status": "not ready", "problems": problems} if problems else {"status": "ok"}
    return Answer(503 if problems else 200, (JSON, (b"cache-control", b"no-store")), json.dumps(body).encode())


def give_up(fault: BaseException) -> None:
    """End this process at once: after an I/O error nothing more may be acknowledged. The supervisor starts another one."""
    log.critical(
        "process ends",
        fault=type(fault).__name__,
        detail=str(fault),
        next="see the log above; the supervisor starts it again",
    )
    os._exit(FAILED)


def or_end(asks: Callable[Asked, Found]) -> Callable[Asked, Found]:
    """`asks`, for what is asked outside of a batch: this process ends if it comes upon a database that has seen an I/O error.

    It is asked where a request is parsed, and whatever is raised there becomes a refusal of that request alone.
    """

    def asked(*args: Asked.args, **kwargs: Asked.kwargs) -> Found:
        try:
            return asks(*args, **kwargs)
        except Broken as fault:
            give_up(fault)
            raise

    return asked


# -- serving -----------------------------------------------------------------------------------------------------------


class Answers(Protocol):
    """Who answers the requests of a listener."""

    def handle(self, request: Request, done: Done) -> None: ...
    def seen_as(self, peer: str, secure: bool, headers: Sequence[tuple[bytes, bytes]]) -> tuple[str, bool]: ...
    def stands_for_many(self, peer: str) -> bool: ...


def serve(
    core: Core,
    settings: Settings,
    listener: socket.socket,
    started: Callable[[], None],
    *,
    board: Board,
    slot: str,
    balance: Balance,
    metrics: socket.socket | None = None,
) -> None:
    """Serve on `listener` until SIGTERM; returns when what was under way is answered, or the grace is over.

    `slot` names this process's page on the `board`, and its connections in the `balance`. `metrics` is the listener of /metrics.
    """
    allow_descriptors(settings.max_connections)
    page = board.page(slot)
    certificate = certificate_of(settings)
    uploads = Uploads(or_end(core.pipeline.largest_body), settings.data, settings.uploads_at_once)
    answers = Front(core, settings, page)
    front = site_of(answers, settings, uploads)
    front.looked_at = answers.looked_at
    tls = certificate.context if certificate else None
    entrances = [Entrance(front, listener, tls, settings.request_seconds, balance.of(slot))]
    if metrics is not None:
        entrances.append(Entrance(site_of(Scrape(core, board), settings), metrics))

    async def run() -> None:
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
        for entrance in entrances:
            entrance.open()
        beside = [
            asyncio.create_task(
                tick(core, page, front, slot, certificate, Collector(answers.at_rest, time.monotonic()))
            ),
            *(asyncio.create_task(sweep(each.site)) for each in entrances),
        ]
        started()
        try:
            await stopped.wait()
            await drain(entrances, settings.grace_seconds)
        finally:
            for task in beside:
                task.cancel()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def site_of(answers: Answers, settings: Settings, uploads: Uploads | None = None) -> Site:
    bounds = Bounds(
        settings.max_header_bytes,
        settings.max_headers,
        settings.max_body_bytes,
        settings.request_seconds,
        settings.idle_seconds,
        settings.max_connections,
        settings.connections_each,
    )
    shares = Shares(bounds.connections_each, answers.stands_for_many)
    return Site(answers.handle, bounds, settings.max_waiting_bytes, answers.seen_as, shares, uploads)


@dataclass(slots=True)
class Entrance:
    """A listener, and what its connections share. `tls`: what they speak; `shake_seconds`: how long a handshake may take.

    `load`: how many connections this process has beside the others that share the listener.
    """

    site: Site
    listener: socket.socket
    tls: ssl.SSLContext | None = None
    shake_seconds: float | None = None
    load: Load = field(default_factory=alone)
    _taking: set[asyncio.Task[None]] = field(default_factory=set, init=False)  # those that become connections
    _left_since: float = field(default=0.0, init=False)  # somebody is left to the others (monotonic seconds)
    _later: asyncio.TimerHandle | None = field(default=None, init=False)

    def open(self) -> None:
        """From now on connections are accepted. Call it once, in the loop."""
        self.site.left = self._weigh
        self._listen()

    def _listen(self) -> None:
        asyncio.get_running_loop().add_reader(self.listener, self._look)

    def _look(self) -> None:
        """Somebody waits, or another process has taken him. The loop calls this in every turn for as long as somebody does.

        Whoever has fewer connections was told too, and has his turn first.
        """
        now = time.monotonic()
        if self.load.may_take():
            self._left_since = 0.0
            self._accept(self.load.may_take)
        elif now > self._left_since + FORGETS_SECONDS:
            self._left_since = now
        elif now >= self._left_since + LEAVES_SECONDS:  # whoever has fewer is busy, or stands still
            self._left_since = 0.0
            some = iter(range(SOME))
            self._accept(lambda: next(some, None) is not None)

    def _accept(self, goes_on: Callable[[], bool]) -> None:
        try:
            while goes_on() and (accepted := accepted_from(self.listener)) is not None:
                self._take(accepted)
        except OSError as fault:
            say_lost(fault)
            loop = asyncio.get_running_loop()
            loop.remove_reader(self.listener)
            self._later = loop.call_later(AGAIN_SECONDS, self._listen)

    def close(self) -> list[asyncio.Task[None]]:
        """Nothing more is accepted. Whoever had connected before is served: closing a listener resets those that it still holds.

        Answers what makes those into connections.
        """
        last = self.listener.dup()
        self.shut()
        with last:
            for each in waiting_at(last):
                self._take(each)
        return list(self._taking)

    def shut(self) -> None:
        """The listener is closed; what waits there is left to whoever else has it."""
        asyncio.get_running_loop().remove_reader(self.listener)
        if self._later is not None:
            self._later.cancel()
        self.listener.close()

    def _take(self, accepted: socket.socket) -> None:
        taking = asyncio.get_running_loop().create_task(self._connect(accepted))
        self._taking.add(taking)
        taking.add_done_callback(self._taken)
        self._weigh()

    def _taken(self, taking: asyncio.Task[None]) -> None:
        self._taking.discard(taking)
        self._weigh()

    def _weigh(self) -> None:
        self.load.is_now(len(self.site.connections) + len(self._taking))

    async def _connect(self, accepted: socket.socket) -> None:
        with contextlib.suppress(OSError):  # whoever breaks off his handshake has asked for nothing
            await asyncio.get_running_loop().connect_accepted_socket(self._connection, accepted, **self._speaking())

    def _connection(self) -> Connection:
        return Connection(self.site, secure=self.tls is not None)

    def _speaking(self) -> dict[str, Any]:
        return {"ssl": self.tls, "ssl_handshake_timeout": self.shake_seconds} if self.tls is not None else {}


def accepted_from(listener: socket.socket) -> socket.socket | None:
    """Who has connected first of those that were not accepted yet. None: nobody waits. Raises OSError: there are no descriptors left."""
    while True:
        try:
            found, _ = listener.accept()
        except OSError as fault:
            if fault.errno == errno.ECONNABORTED:  # he has left
                continue
            if fault.errno in (errno.EAGAIN, errno.EWOULDBLOCK):
                return None
            raise
        found.setblocking(False)
        return found


def waiting_at(listener: socket.socket) -> Iterator[socket.socket]:
    """Those that have connected, and were not accepted yet."""
    try:
        while (found := accepted_from(listener)) is not None:
            yield found
    except OSError as fault:
        say_lost(fault)


def say_lost(fault: OSError) -> None:
    log.warning("connections are lost", detail=str(fault), next="raise the limit on open files")


async def drain(entrances: Sequence[Entrance], grace_seconds: float) -> None:
    """Nothing more is accepted; who has connected is answered, for at most `grace_seconds`."""
    for each in entrances:
        each.site.stop()
    taken = [task for each in entrances for task in each.close()]
    end = time.monotonic() + grace_seconds
    while (now := time.monotonic()) < end and (  # noqa: ASYNC110  there is no event for it
        any(each.site.in_use(now) for each in entrances) or not all(task.done() for task in taken)
    ):
        await asyncio.sleep(0.01)


async def sweep(site: Site) -> None:
    """Clients that are too slow are ended."""
    while True:
        await asyncio.sleep(site.sweep_seconds)
        site.sweep(time.monotonic())


async def look_after(certificate: Certificate) -> None:
    """A certificate that is replaced is shown from then on."""
    while True:
        await asyncio.sleep(TICK_SECONDS)
        certificate.look()


async def tick(
    core: Core, page: Page, site: Site, slot: str, certificate: Certificate | None, collector: Collector
) -> None:
    """What must happen about once a second though nobody asks: the head of the trail goes into the database."""
    while True:
        await asyncio.sleep(TICK_SECONDS)
        try:
            core.tick()
            if certificate is not None:
                certificate.look()
            page.set(f'geumgo_connections{{process="{slot}"}}', len(site.connections))
            collector.look(time.monotonic())
            page.set(f'geumgo_process_resident_bytes{{process="{slot}"}}', resident_bytes())
        except BaseException as fault:
            if not isinstance(fault, asyncio.CancelledError):
                give_up(fault)
            raise


def resident_bytes() -> int:
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * resource.getpagesize()


def allow_descriptors(connections: int) -> None:
    """Every connection is a file descriptor: the soft limit grows to what is needed, as far as the hard one lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + 256
    if soft != resource.RLIM_INFINITY and soft < needed:
        wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        if wanted < needed:
            log.warning(
                "few file descriptors",
                limit=wanted,
                needed=needed,
                next="raise the limit (systemd: LimitNOFILE), or lower max_connections",
            )
