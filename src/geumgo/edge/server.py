"""HTTP: raw bytes in, raw bytes out. Only this module and `guard` know uvicorn.

Nothing is interpreted here but lengths: the request target, the headers and the body reach the core as they came over the wire.
"""

import asyncio
import contextlib
import ipaddress
import json
import os
import resource
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import structlog
import uvicorn

from geumgo.edge.batch import Batcher
from geumgo.edge.guard import GuardedProtocol
from geumgo.edge.metrics import Board, Page
from geumgo.message import Answer, Fetched, Request
from geumgo.sealing.random import uuid
from geumgo.settings import Settings

log = structlog.get_logger("geumgo.edge")

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

FAILED = 70
"""Exit status of a process that must not acknowledge anything more (EX_SOFTWARE)."""
TICK_SECONDS = 0.5
PROBES = (b"/healthz", b"/readyz")
JSON = (b"content-type", b"application/json")
PROMETHEUS = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")
BUSY = Answer(
    503,
    ((b"content-type", b"text/plain"), (b"retry-after", b"1"), (b"connection", b"close")),
    b"Too many requests are arriving at once. Try again in a second.\n",
)


class Door(Protocol):
    """The pipeline, as the edge sees it."""

    def handle_batch(self, requests: Sequence[Request | Fetched]) -> list[Answer]: ...


class Core(Protocol):
    """What the edge needs of the app."""

    @property
    def pipeline(self) -> Door: ...
    def ready(self) -> list[str]: ...
    def tick(self) -> None: ...


class Front:
    """The ASGI application: bounded bytes to the core, its answers back. `/healthz` and `/readyz` are answered here."""

    def __init__(self, core: Core, settings: Settings, page: Page) -> None:
        self._core = core
        self._body_bytes = settings.max_body_bytes
        self._room = settings.max_waiting_bytes  # what bodies that are being read or worked on may still take
        self._trusted: list[Network] = [ipaddress.ip_network(each) for each in settings.trusted_proxies]
        self._batcher = Batcher(
            core.pipeline.handle_batch,
            most=settings.batch_requests,
            fatal=give_up,
            observe=page.waited,
            outside=ThreadPoolExecutor(settings.waiting_outside, thread_name_prefix="outside"),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        if scope["method"] in ("GET", "HEAD") and scope["target"] in PROBES:
            await reply(send, health(self._core, scope["target"]))
            return
        with self._body(scope) as body:
            try:
                arrived = await body.read(receive)
            except NoRoom:
                await reply(send, BUSY)
                return
            if arrived:
                await reply(send, await self._batcher.answer(self._request(scope, body)))

    @contextlib.contextmanager
    def _body(self, scope: Scope) -> Iterator["Body"]:
        body = Body(self, announced(scope), self._body_bytes)
        try:
            yield body
        finally:
            self._room += body.size

    def take(self, size: int) -> None:
        """Raises NoRoom."""
        if size > self._room:
            raise NoRoom
        self._room -= size

    def _request(self, scope: Scope, body: "Body") -> Request:
        peer, secure = self._peer(scope)
        return Request(
            method=scope["method"],
            target=scope["target"],
            headers=tuple((name, value.strip(b" \t")) for name, value in scope["headers"]),
            body=b"" if body.oversized else b"".join(body.chunks),
            peer=peer,
            secure=secure,
            id=uuid(),
            received_at_ms=time.time_ns() // 1_000_000,
            oversized=body.oversized,
        )

    def _peer(self, scope: Scope) -> tuple[str, bool]:
        """Who is at the other end, and whether the way from there is encrypted.

        Where a trusted proxy connects it is what the proxy says: the rightmost address of X-Forwarded-For that is no trusted proxy.
        """
        peer = scope["client"][0] if scope["client"] else "127.0.0.1"
        secure = scope["scheme"] == "https"
        if not self._trusts(peer):
            return peer, secure
        named = {name: b",".join(value for each, value in scope["headers"] if each == name) for name in FORWARDED}
        secure = secure or named[b"x-forwarded-proto"].strip().lower() == b"https"
        for hop in reversed(named[b"x-forwarded-for"].decode("latin-1").split(",")):
            try:
                address = str(ipaddress.ip_address(hop.strip()))
            except ValueError:
                break  # whoever wrote this is not the proxy we trust: what stands further left is worth nothing
            if not self._trusts(address):
                return address, secure
        return peer, secure

    def _trusts(self, peer: str) -> bool:
        return bool(self._trusted) and any(ipaddress.ip_address(peer) in network for network in self._trusted)


FORWARDED = (b"x-forwarded-for", b"x-forwarded-proto")


class NoRoom(Exception):
    """Bodies that are being read take all the memory that they may."""


class Body:
    """The body of one request as it arrives. `size` is what it has taken of the room for bodies."""

    def __init__(self, front: Front, announced: int, most: int) -> None:
        self._front = front
        self._most = most
        self.oversized = announced > most
        self.chunks: list[bytes] = []
        self.size = 0

    async def read(self, receive: Receive) -> bool:
        """Whether all of it arrived, or as much as shows that it is too large. False: the client went away.

        A body that was announced as too large is not asked for: `receive` would answer `Expect: 100-continue`.
        """
        while not self.oversized:
            message = await receive()
            if message["type"] == "http.disconnect":
                return False
            chunk = message.get("body", b"")
            if self.size + len(chunk) > self._most:
                self.oversized = True
                self.chunks.clear()
                return True
            self._front.take(len(chunk))
            self.size += len(chunk)
            self.chunks.append(chunk)
            if not message.get("more_body", False):
                return True
        return True


def announced(scope: Scope) -> int:
    """Content-Length. The parser has refused what is no number, or is there twice."""
    return next((int(value) for name, value in scope["headers"] if name == b"content-length"), 0)


def health(core: Core, path: bytes) -> Answer:
    """Alive is whoever answers; ready is who finds no problem."""
    problems = core.ready() if path == b"/readyz" else []
    body = {"status": "not ready", "problems": problems} if problems else {"status": "ok"}
    return Answer(503 if problems else 200, (JSON, (b"cache-control", b"no-store")), json.dumps(body).encode())


async def reply(send: Send, answer: Answer) -> None:
    headers = (*answer.headers, (b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def give_up(fault: BaseException) -> None:
    """End this process at once: after an I/O error nothing more may be acknowledged. The supervisor starts another one."""
    log.critical(
        "process ends",
        fault=type(fault).__name__,
        detail=str(fault),
        next="see the log above; the supervisor starts it again",
    )
    os._exit(FAILED)


# -- serving -----------------------------------------------------------------------------------------------------------


class Server(uvicorn.Server):
    """uvicorn's server, which leaves the signals to us: it would raise them again at the end, and nothing could be closed."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def serve(
    core: Core,
    settings: Settings,
    listener: socket.socket,
    started: Callable[[], None],
    *,
    board: Board,
    slot: str,
    metrics: socket.socket | None = None,
) -> None:
    """Serve on `listener` until SIGTERM; returns when what was under way is answered, or the grace is over.

    `slot` names this process's page on the `board`. `metrics` is the listener of /metrics.
    """
    allow_descriptors(settings.max_connections)
    page = board.page(slot)
    servers = [(Server(config(Front(core, settings, page), settings)), listener)]
    if metrics is not None:
        servers.append((Server(config(Scrape(core, board), settings, tls=False)), metrics))

    def stop() -> None:
        for server, _ in servers:
            server.should_exit = True

    async def run() -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        beside = [
            asyncio.create_task(tick(core, page, servers[0][0], slot)),
            asyncio.create_task(tell_when_started(servers[0][0], started)),
        ]
        try:
            await asyncio.gather(*(server.serve(sockets=[each]) for server, each in servers))
        finally:
            for task in beside:
                task.cancel()

    with asyncio.Runner(loop_factory=servers[0][0].config.get_loop_factory()) as runner:
        runner.run(run())


def config(application: Any, settings: Settings, *, tls: bool = True) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        loop="uvloop",
        http=GuardedProtocol.bounded_by(settings),
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_keep_alive=int(settings.idle_seconds),
        timeout_graceful_shutdown=int(settings.grace_seconds),
        ssl_certfile=(settings.tls_certificate or None) if tls else None,
        ssl_keyfile=(settings.tls_key or None) if tls else None,
    )


class Scrape:
    """The ASGI application of the other listener: /metrics and nothing else."""

    def __init__(self, core: Core, board: Board) -> None:
        self._core = core
        self._board = board

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["method"] == "GET" and scope["target"] == b"/metrics":
            text = self._board.text(ready=not self._core.ready())
            await reply(send, Answer(200, (PROMETHEUS,), text.encode()))
        else:
            await reply(send, Answer(404, ((b"content-type", b"text/plain"),), b"There is only /metrics here.\n"))


async def tick(core: Core, page: Page, server: uvicorn.Server, slot: str) -> None:
    """What must happen about once a second though nobody asks: the head of the trail goes into the database."""
    while True:
        await asyncio.sleep(TICK_SECONDS)
        try:
            core.tick()
            page.set(f'geumgo_connections{{process="{slot}"}}', len(server.server_state.connections))
            page.set(f'geumgo_process_resident_bytes{{process="{slot}"}}', resident_bytes())
        except BaseException as fault:
            if not isinstance(fault, asyncio.CancelledError):
                give_up(fault)
            raise


async def tell_when_started(server: uvicorn.Server, started: Callable[[], None]) -> None:
    while not server.started:  # noqa: ASYNC110  uvicorn has no event for it
        await asyncio.sleep(0.001)
    started()


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
