"""One connection: HTTP/1.1 and 1.0 into requests, answers back in their order, and bounds on everything a client can make us keep.

httptools parses; what it lets pass and two readers could understand in two ways is refused here. What is turned away never was a request:
it gets a bare status line, without a request id, and the connection is closed.
"""

import select
import time
from asyncio import Protocol as AsyncioProtocol
from asyncio import Transport
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Final, Protocol

import httptools
import structlog

from geumgo.edge.shares import Shares
from geumgo.edge.uploads import BYTES_A_SECOND, NoRoom, Upload, Uploads
from geumgo.message import Answer, Request
from geumgo.sealing.random import Uuids

log = structlog.get_logger("geumgo.edge")

PIECE_BYTES: Final = 16 << 10
"""What is parsed at once. Together with `Bounds.head_bytes` the most that one connection makes us keep of an unfinished head."""
HEADS_BYTES: Final = 16 << 20
"""What the heads of all requests that are here may take together."""
HEADER_BYTES: Final = 192
"""What a header takes here beside its own bytes."""
PIPELINED: Final = 16
"""Requests of one connection that may wait for their turn."""
LINGER_SECONDS: Final = 2.0
"""How long we read on after a refusal, so that the client gets to see it: closing at once would reset the connection."""
QUIET_SECONDS: Final = 0.5
"""How long nothing must have come over a connection before a stop closes it. Whoever is asking one thing after the other is told in an
answer, so that he never sends into a connection that is being closed."""
HANDSHAKE_SECONDS: Final = 1.0
"""How long a stop waits for a handshake that has begun. Nobody has asked for anything yet."""
FRAMING: Final = frozenset({b"host", b"content-length", b"transfer-encoding"})
REST_SECONDS: Final = 0.005
"""For how long nothing must have been asked over a connection, so that its next request is of somebody who asks now and then.

Time in which nobody looked does not count: else all who never pause would have rested when this process had stood in line for a core."""
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
BUSY: Final = Answer(
    503,
    ((b"content-type", b"text/plain"), (b"retry-after", b"1")),
    b"Too many requests are arriving at once. Try again in a second.\n",
)
_STATUS: Final = {each.value: f"HTTP/1.1 {each.value} {each.phrase}\r\n".encode() for each in HTTPStatus}


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one connection may ask for. Sizes in bytes; `seconds` from a request's first byte to its last, and for an answer to be taken."""

    head_bytes: int
    head_count: int
    body_bytes: int
    seconds: float
    idle_seconds: float
    connections: int
    connections_each: int  # of one address

    @property
    def kept_head_bytes(self) -> int:
        """What the largest head takes here."""
        return self.head_bytes + HEADER_BYTES * self.head_count

    @property
    def raw_bytes(self) -> int:
        """What is read of one request at most. The body is counted decoded elsewhere; this bounds what framing adds to it."""
        return self.head_bytes + 4 * self.body_bytes


class Handle(Protocol):
    """Who answers requests: `done` is called with the answer, now or later in this thread."""

    def __call__(self, request: Request, done: Callable[[Answer], None]) -> None: ...


@dataclass(slots=True)
class Site:
    """What the connections of one listener share. `room` is how many bytes of bodies may still be kept, of all of them together.

    `head_room` is the same of heads.
    """

    handle: Handle
    bounds: Bounds
    room: int
    seen_as: Callable[[str, bool, list[tuple[bytes, bytes]]], tuple[str, bool]]
    shares: Shares
    uploads: Uploads | None = None
    head_room: int = HEADS_BYTES
    connections: set["Connection"] = field(default_factory=set)
    left: Callable[[], None] = lambda: None  # is called when one of them has
    looked_at: Callable[[], float] = time.monotonic  # when all that had arrived had been read (monotonic seconds)
    stopped_at: float = 0.0  # monotonic seconds; 0: it goes on
    shaking: int = 0  # handshakes that have begun, and have not ended well
    shaking_since: float = 0.0  # when the last one began, in monotonic seconds
    ids: Uuids = field(default_factory=Uuids)  # of requests
    _date: bytes = b""
    _second: int = 0

    def date(self) -> bytes:
        """The header line Date, with its end."""
        now = int(time.time())
        if now != self._second:
            self._second, self._date = now, f"date: {formatdate(now, usegmt=True)}\r\n".encode()
        return self._date

    def sweep(self, now: float) -> None:
        """Whoever is late at `now` (monotonic seconds) is dealt with."""
        for connection in list(self.connections):
            connection.look_at_the_clock(now)

    @property
    def sweep_seconds(self) -> float:
        """How often `sweep` should be called: bounds are kept to a quarter of themselves, or a quarter of a second."""
        return max(0.02, min(0.25, self.bounds.seconds / 4, self.bounds.idle_seconds / 4))

    def stop(self) -> None:
        """From now on an answer is the last one on its connection. `sweep` closes those over which nothing more comes."""
        self.stopped_at = time.monotonic()

    def in_use(self, now: float) -> bool:
        """Whether somebody may still be waiting for something, at `now` (monotonic seconds)."""
        return bool(self.connections) or (self.shaking > 0 and now < self.shaking_since + HANDSHAKE_SECONDS)


class Refused(Exception):
    """Ends the parser: raised in its callbacks, after `Connection._refusal` was set."""


def _frames_twice(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether a header stands twice that says where a request ends, or for whom it is."""
    framing = [name for name, _ in headers if name in FRAMING]
    return len(framing) != len(set(framing))


class Exchange:
    """A request as it arrives, and its place in the order of answers."""

    __slots__ = ("answered", "body", "busy", "connection", "head", "headers", "keep_alive", "method", "oversized", "ready",
                 "size", "target", "upload", "waits_for_continue")  # fmt: skip

    def __init__(self, connection: "Connection") -> None:
        self.connection = connection
        self.method = ""
        self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.body: list[bytes] = []
        self.head = self.size = 0  # bytes that head and body have taken of their rooms
        self.keep_alive = True
        self.oversized = self.busy = self.answered = False
        self.ready = False  # to be answered: all of it is there, or enough to refuse it
        self.waits_for_continue = False
        self.upload: Upload | None = None  # where the body goes, if it is one of the large ones

    def done(self, answer: Answer) -> None:
        self.connection.answered(self, answer)


class Connection(AsyncioProtocol):
    """The connection of one client. Times are monotonic seconds."""

    __slots__ = ("_arriving", "_arriving_by", "_deaf", "_head_spent", "_headers", "_idle_since", "_in_body", "_in_head",
                 "_leave_by", "_most_head", "_most_headers", "_most_raw", "_parser", "_peer", "_queue", "_raw", "_refusal",
                 "_rested", "_running", "_secure", "_share", "_site", "_transport", "_url")  # fmt: skip

    def __init__(self, site: Site, *, secure: bool) -> None:
        self._site, self._secure = site, secure
        self._parser: Any = httptools.HttpRequestParser(self)
        self._queue: deque[Exchange] = deque()  # what is to be answered, in order; all but the last have arrived
        self._running = False  # the first of them is being answered
        self._arriving: Exchange | None = None
        self._deaf = False  # what still arrives is thrown away
        self._rested = True  # nothing was asked for a while before what is asked next
        self._in_head = self._in_body = False
        self._head_spent = self._raw = 0
        self._most_raw, self._most_head, self._most_headers = (
            site.bounds.raw_bytes,
            site.bounds.head_bytes,
            site.bounds.head_count,
        )
        self._headers: list[tuple[bytes, bytes]] | None = None  # of the head that is arriving
        self._url = b""
        self._refusal = HTTPStatus.BAD_REQUEST
        self._arriving_by = self._leave_by = self._idle_since = 0.0  # 0: no such clock runs
        if secure:
            site.shaking += 1
            site.shaking_since = time.monotonic()

    # -- the connection -----------------------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        self._transport: Transport = transport
        peer = transport.get_extra_info("peername")
        self._peer = peer[0] if isinstance(peer, tuple) else "127.0.0.1"
        self._site.connections.add(self)
        if self._secure:
            self._site.shaking -= 1
        self._share, may_stay = self._site.shares.joined(self._peer)
        if not may_stay or len(self._site.connections) > self._site.bounds.connections:
            self._turn_away(HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            self._await_the_rest()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._site.connections.discard(self)
        self._site.left()
        self._deaf = True
        kept = [each for each in self._queue if each is not self._first_running()]
        for exchange in (*kept, self._arriving):
            if exchange is not None and exchange is not self._first_running():
                self._give_back(exchange)
        self._arriving = None
        self._site.shares.left(self._share)

    def _first_running(self) -> Exchange | None:
        """The exchange that is being answered: its body is given back when it was."""
        return self._queue[0] if self._running else None

    def data_received(self, data: bytes) -> None:
        if len(data) <= PIECE_BYTES and not self._deaf:
            self._take(data)
            return
        for start in range(0, len(data), PIECE_BYTES):
            if self._deaf:
                self._raw += len(data) - start
                if self._leave_by and self._raw > 2 * self._site.bounds.raw_bytes:
                    self._transport.abort()
                return
            if self._transport.is_closing():
                return
            self._take(data[start : start + PIECE_BYTES])

    def _take(self, piece: bytes) -> None:
        if self._idle_since:
            self._rested = self._site.looked_at() >= self._idle_since + REST_SECONDS
            self._idle_since = 0.0
        if not self._arriving_by and not self._queue:
            self._await_the_rest()
        self._raw += len(piece)
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            self._deaf = True  # what follows such a request is not ours to parse
        except httptools.HttpParserError as fault:
            if fault.__context__ is None or isinstance(fault.__context__, Refused):
                self._turn_away(self._refusal)
            else:
                self._fail(fault.__context__)
            return
        if self._in_head and self._raw > self._site.bounds.head_bytes + PIECE_BYTES:
            self._turn_away(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif self._in_body and self._raw > self._most_raw:
            self._turn_away(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        elif self._in_head and self._arriving is not None and not self._keeps_head(self._arriving):
            self._turn_away(HTTPStatus.SERVICE_UNAVAILABLE)

    def eof_received(self) -> bool:
        """A client that has said all may still listen: what it asked for is answered, then the connection is closed."""
        if not self._queue or self._in_head or self._in_body or self._deaf or self._secure:
            return False
        self._queue[-1].keep_alive = False
        return True

    def pause_writing(self) -> None:
        self._leave_by = time.monotonic() + self._site.bounds.seconds
        if not self._deaf:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if not self._transport.is_closing():
            self._leave_by = 0.0
            if not self._deaf:
                self._transport.resume_reading()

    def abort(self) -> None:
        self._transport.abort()

    # -- clocks -------------------------------------------------------------------------------------------------------

    def _await_the_rest(self) -> None:
        self._arriving_by = time.monotonic() + self._site.bounds.seconds

    def look_at_the_clock(self, now: float) -> None:
        if self._leave_by and now >= self._leave_by:
            self._transport.abort()
        elif self._arriving_by and now >= self._arriving_by:
            self._turn_away(HTTPStatus.REQUEST_TIMEOUT)
        elif self._idle_since and now >= self._idle_since + self._site.bounds.idle_seconds:
            self._transport.abort()
        elif self._site.stopped_at and self._is_quiet(now):
            self._close()

    def _is_quiet(self, now: float) -> bool:
        """Whether nothing has come since the stop, or the last answer, for as long as one must wait."""
        if self._queue or self._in_head or self._in_body or self._deaf:
            return False
        begun = self._idle_since or self._arriving_by - self._site.bounds.seconds
        return now >= max(begun, self._site.stopped_at) + QUIET_SECONDS and not self._has_more()

    def _has_more(self) -> bool:
        """Whether bytes have arrived that nobody has read yet: the process may have been busy."""
        waiting = select.poll()
        waiting.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(waiting.poll(0))

    # -- the parser's callbacks ---------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._deaf:  # the connection is being closed behind an answer
            self._refuse(HTTPStatus.BAD_REQUEST)
        self._in_head, self._head_spent, self._raw, self._url = True, 0, 0, b""
        self._most_raw = self._site.bounds.raw_bytes
        if not self._arriving_by:
            self._await_the_rest()
        self._arriving = Exchange(self)
        self._headers = self._arriving.headers

    def on_url(self, url: bytes) -> None:
        self._head_spent += len(url)
        if self._head_spent > self._most_head:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        headers = self._headers
        if headers is None:  # a trailer: it would join the headers after they were looked at
            self._refuse(HTTPStatus.BAD_REQUEST)
            return
        self._head_spent += len(name) + len(value) + 4
        if self._head_spent > self._most_head or len(headers) >= self._most_headers:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        headers.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        exchange, self._headers = self._arriving, None
        assert exchange is not None, "a head was begun"
        parser = self._parser
        length, expects = self._check_head(exchange.headers, parser.get_http_version())
        if len(self._queue) > PIPELINED:
            self._refuse(HTTPStatus.TOO_MANY_REQUESTS)
        exchange.method, exchange.target = parser.get_method().decode("ascii"), self._url
        exchange.keep_alive = (
            parser.should_keep_alive() and not parser.should_upgrade() and parser.get_http_version() == "1.1"
        )
        self._in_head, self._in_body = False, True
        self._queue.append(exchange)
        exchange.oversized = length > self._site.bounds.body_bytes
        exchange.waits_for_continue = expects
        if not self._keeps_head(exchange):
            exchange.busy, exchange.keep_alive, exchange.ready = True, False, True
            exchange.headers = []
        elif exchange.oversized:
            self._begin_upload(exchange, length)
        if exchange.oversized:
            exchange.keep_alive = exchange.keep_alive and not expects  # nobody knows whether the body will come
            exchange.ready = True
        self._go_on()

    def _begin_upload(self, exchange: Exchange, length: int) -> None:
        """A body of `length` bytes is received after all, if its request may have one: there is a file for it, and time."""
        uploads = self._site.uploads
        if uploads is None:
            return
        try:
            exchange.upload = uploads.begin(self._request(exchange), length)
        except NoRoom:
            exchange.oversized = False
            exchange.busy, exchange.keep_alive, exchange.ready = True, False, True
            return
        if exchange.upload is not None:
            exchange.oversized = False
            self._most_raw += length
            self._arriving_by += length / BYTES_A_SECOND

    def on_body(self, body: bytes) -> None:
        exchange = self._arriving
        assert exchange is not None, "a body belongs to a request"
        if exchange.oversized or exchange.busy:
            return
        if exchange.upload is not None:
            self._receive(exchange, exchange.upload, body)
            return
        size = len(body)
        if exchange.size + size > self._site.bounds.body_bytes:
            exchange.oversized = True
        elif not self._share.may_have(self._share.bodies, size, self._site.room, self._site.bounds.body_bytes):
            exchange.busy, exchange.keep_alive = True, False
        else:
            self._site.room -= size
            self._share.bodies += size
            exchange.size += size
            exchange.body.append(body)
            return
        exchange.body.clear()
        exchange.ready = True
        self._go_on()

    def _receive(self, exchange: Exchange, upload: Upload, body: bytes) -> None:
        try:
            upload.add(body)
        except OSError:  # the disk is full
            upload.close()
            exchange.busy, exchange.keep_alive, exchange.ready = True, False, True
            self._go_on()

    def on_message_complete(self) -> None:
        exchange = self._arriving
        assert exchange is not None, "a request was begun"
        self._in_body, self._arriving, self._arriving_by = False, None, 0.0
        exchange.ready = True
        if self._queue:
            self._go_on()
        elif not self._running:  # answered before all of it was there
            self._idle_since = time.monotonic()

    # -- what is refused ----------------------------------------------------------------------------------------------

    def _keeps_head(self, exchange: Exchange) -> bool:
        """Whether there is room for what has arrived of its head; if so, it has taken it."""
        more = self._head_spent + HEADER_BYTES * len(exchange.headers) - exchange.head
        share, site = self._share, self._site
        if not share.may_have(share.heads, more, site.head_room, site.bounds.kept_head_bytes):
            return False
        site.head_room -= more
        share.heads += more
        exchange.head += more
        return True

    def _check_head(self, headers: list[tuple[bytes, bytes]], version: str) -> tuple[int, bool]:
        """The length that was announced (0: none was), and whether the client waits to be told to go on."""
        named = dict(headers)
        said, coding = named.get(b"content-length"), named.get(b"transfer-encoding")
        length = 0 if said is None else int(said) if said.isdigit() else -1
        if (
            version not in ("1.0", "1.1")
            or not self._url.startswith(b"/")
            or b"#" in self._url
            or (coding is not None and (coding.lower() != b"chunked" or version != "1.1" or said is not None))
            or length < 0
            or (b"host" not in named and version == "1.1")
            or (len(named) != len(headers) and _frames_twice(headers))
        ):
            self._refuse(HTTPStatus.BAD_REQUEST)
        return length, version == "1.1" and named.get(b"expect", b"").lower() == b"100-continue"

    def _refuse(self, status: HTTPStatus) -> None:
        self._refusal = status
        raise Refused

    def _turn_away(self, status: HTTPStatus) -> None:
        """Nothing more is read. Requests that came before are answered; only if there are none, `status` is."""
        self._deaf, self._arriving_by = True, 0.0
        broken, self._arriving = self._arriving, None
        self._in_head = self._in_body = False
        if broken is not None and broken is not self._first_running():
            if broken in self._queue:
                self._queue.remove(broken)
            self._give_back(broken)
        if self._queue:
            self._queue[-1].keep_alive = False
        elif broken is not None and broken.answered:
            self._transport.abort()
        elif not self._transport.is_closing():
            self._say(status)

    def _fail(self, fault: BaseException) -> None:
        """A fault of ours, which the parser calls one of the client: it is told, and nobody waits for an answer that never comes."""
        log.error("fault", exc_info=fault, next="the connection was closed; nothing of what it asked last was done")
        self._transport.abort()
        if not isinstance(fault, Exception):
            raise fault

    def _say(self, status: HTTPStatus) -> None:
        self._transport.write(_STATUS[status] + self._site.date() + b"content-length: 0\r\nconnection: close\r\n\r\n")
        if self._transport.can_write_eof():
            self._transport.write_eof()
            self._leave_by = time.monotonic() + LINGER_SECONDS
        else:
            self._close()

    def _close(self) -> None:
        """What was written is sent, for as long as the client takes it; then the connection is closed."""
        self._deaf = True
        self._leave_by = time.monotonic() + self._site.bounds.seconds
        self._transport.close()

    # -- answers ------------------------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """The first in the queue is answered, if it can be; or told to send its body."""
        if self._running or not self._queue:
            return
        first = self._queue[0]
        if first.ready:
            self._running = True
            first.waits_for_continue = False
            if first.busy:
                self.answered(first, BUSY)
            else:
                self._site.handle(self._request(first), first.done)
        elif first.waits_for_continue:
            first.waits_for_continue = False
            if not first.body:
                self._transport.write(CONTINUE)

    def _request(self, exchange: Exchange) -> Request:
        peer, secure = self._site.seen_as(self._peer, self._secure, exchange.headers)
        rested, self._rested = self._rested, False
        body = exchange.body
        return Request(
            method=exchange.method,
            target=exchange.target,
            headers=tuple(exchange.headers),
            body=body[0] if len(body) == 1 else b"".join(body),
            peer=peer,
            secure=secure,
            id=self._site.ids.next(),
            received_at_ms=time.time_ns() // 1_000_000,
            oversized=exchange.oversized,
            upload=exchange.upload,
            rested=rested,
        )

    def answered(self, exchange: Exchange, answer: Answer) -> None:
        """The answer leaves, and the next request is looked at."""
        self._give_back(exchange)
        queue = self._queue
        assert queue[0] is exchange, "answers leave in the order of their requests"
        queue.popleft()
        self._running, exchange.answered = False, True
        transport = self._transport
        if transport.is_closing():
            return
        last = not exchange.keep_alive or (self._site.stopped_at > 0 and not queue and not self._in_head)
        transport.write(self._as_bytes(answer, exchange.method, last))
        if last:
            self._close()
        elif queue:
            self._go_on()
        elif not self._in_head and not self._in_body:
            self._idle_since = time.monotonic()

    def _as_bytes(self, answer: Answer, method: str, last: bool) -> bytes:
        head = [_STATUS[answer.status]]
        for name, value in answer.headers:
            head += (name, b": ", value, b"\r\n")
        head += (
            self._site.date(),
            b"content-length: %d\r\n" % len(answer.body),
            b"connection: close\r\n\r\n" if last else b"\r\n",
        )
        if method != "HEAD":
            head.append(answer.body)
        return b"".join(head)

    def _give_back(self, exchange: Exchange) -> None:
        self._site.room += exchange.size
        self._site.head_room += exchange.head
        self._share.bodies -= exchange.size
        self._share.heads -= exchange.head
        exchange.head = exchange.size = 0
        exchange.body = []
        if exchange.upload is not None:
            exchange.upload.close()
