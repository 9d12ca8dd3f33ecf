"""Bounds that uvicorn has no switch for, and framing that must not be guessed at.

Beside `server`, the only module that knows uvicorn. What is turned away here never was a request: it gets a bare status line, without a
request id, and the connection is closed.
"""

from asyncio import TimerHandle, Transport
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from geumgo.settings import Settings

PIECE_BYTES: Final = 16 << 10
"""What is parsed at once. Together with `Bounds.head_bytes` the most that one connection makes us keep of an unfinished head."""
PIPELINED: Final = 16
"""Requests of one connection that may wait for their turn."""
LINGER_SECONDS: Final = 2.0
"""How long we read on after a refusal, so that the client gets to see it: closing at once would reset the connection."""


class _Refused(Exception):
    """Ends the parser: raised in its callbacks, after `GuardedProtocol.refusal` was set."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one connection may ask for. Sizes in bytes; `seconds` from a request's first byte to its last, and for an answer to be taken."""

    head_bytes: int
    head_count: int
    body_bytes: int
    seconds: float
    connections: int

    @property
    def raw_bytes(self) -> int:
        """What is read of one request at most. The body is counted decoded elsewhere; this bounds what framing adds to it."""
        return self.head_bytes + 4 * self.body_bytes


class InOnePiece:
    """The transport as uvicorn's cycle sees it: the head of an answer waits for the first bytes of the body, so that both are one write.

    A head without a body leaves with `flush`, or when the transport is closed.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._head = b""

    def write(self, data: bytes) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head + data)
        elif data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 100"):
            self._head = data
        else:
            self._transport.write(data)

    def flush(self) -> None:
        if self._head:
            self.write(b"")

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a budget for each request: bytes and number of headers, seconds to arrive, seconds to be read.

    Refused with 400 are: a length that is said twice or in two ways, trailers (uvicorn would append them to the headers after they were
    looked at), a target that is not a path, another version than 1.0 and 1.1, anything but one Host.
    """

    bounds: ClassVar[Bounds]

    @classmethod
    def bounded_by(cls, settings: Settings) -> type["GuardedProtocol"]:
        bounds = Bounds(
            settings.max_header_bytes,
            settings.max_headers,
            settings.max_body_bytes,
            settings.request_seconds,
            settings.max_connections,
        )
        return cast("type[GuardedProtocol]", type("BoundedProtocol", (cls,), {"bounds": bounds}))

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.refusal = HTTPStatus.BAD_REQUEST
        self._deaf = False  # what still arrives is thrown away
        self._in_head = self._in_body = False
        self._head_spent = self._raw = 0
        self._running: RequestResponseCycle | None = None
        self._arriving: TimerHandle | None = None
        self._leaving: TimerHandle | None = None

    # -- the connection -----------------------------------------------------------------------------------------------

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.bounds.connections:
            self._turn_away(HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            self._await_the_rest()

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrived()
        self._left()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        for start in range(0, len(data), PIECE_BYTES):
            if self._deaf:
                self._raw += len(data) - start
                if self._leaving is not None and self._raw > 2 * self.bounds.raw_bytes:
                    self.transport.abort()
                return
            if self.transport.is_closing():
                return
            self._take(data[start : start + PIECE_BYTES])

    def _take(self, piece: bytes) -> None:
        if self._arriving is None and not self._unanswered():
            self._await_the_rest()
        self._raw += len(piece)
        super().data_received(piece)
        if self._in_head and self._raw > self.bounds.head_bytes + PIECE_BYTES:
            self._turn_away(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif self._in_body and self._raw > self.bounds.raw_bytes:
            self._turn_away(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)

    def eof_received(self) -> bool:  # type: ignore[override]
        """A client that has said all may still listen: what it asked for is answered, then the connection is closed."""
        last = self._last_unanswered()
        if last is None or self._in_head or self._in_body or self._deaf or self.scheme == "https":
            return False
        last.keep_alive = False
        return True

    def timeout_keep_alive_handler(self) -> None:
        self.transport.abort()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._leave_soon(self.bounds.seconds)

    def resume_writing(self) -> None:
        self._left()
        super().resume_writing()

    # -- the parser's callbacks ---------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._in_head, self._head_spent, self._raw = True, 0, 0
        if self._arriving is None:
            self._await_the_rest()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._spend(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            self._refuse(HTTPStatus.BAD_REQUEST)
        self._spend(len(name) + len(value) + 4)
        if len(self.headers) >= self.bounds.head_count:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._check_head()
        if len(self.pipeline) >= PIPELINED:
            self._refuse(HTTPStatus.TOO_MANY_REQUESTS)
        self.scope["target"] = self.url  # type: ignore[typeddict-unknown-key]
        super().on_headers_complete()
        self.cycle.transport = cast("Transport", InOnePiece(self.transport))
        self._in_head, self._in_body = False, True
        if self.parser.should_upgrade():  # we never do; what follows such a request is not ours to parse
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        self._in_body = False
        self._arrived()
        super().on_message_complete()
        if (
            self.cycle.response_complete
        ):  # refused before all of it was there; uvicorn's own clock was stopped by the rest
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        if self._running is not None:
            cast("InOnePiece", self._running.transport).flush()
        super().on_response_complete()
        if self.transport.is_closing() and self._leaving is None:
            self._leave_soon(self.bounds.seconds)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    # -- what is refused ----------------------------------------------------------------------------------------------

    def _spend(self, size: int) -> None:
        self._head_spent += size
        if self._head_spent > self.bounds.head_bytes:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _check_head(self) -> None:
        version = self.parser.get_http_version()
        values = [value for name, value in self.headers if name == b"transfer-encoding"]
        lengths = [value for name, value in self.headers if name == b"content-length"]
        hosts = sum(name == b"host" for name, _ in self.headers)
        chunked = [value.lower() for value in values] == [b"chunked"] and version == "1.1"
        if (
            version not in ("1.0", "1.1")
            or not self.url.startswith(b"/")
            or b"#" in self.url
            or (values and not chunked)
            or len(lengths) + len(values) > 1
            or hosts > 1
            or (version == "1.1" and not hosts)
        ):
            self._refuse(HTTPStatus.BAD_REQUEST)

    def _refuse(self, status: HTTPStatus) -> None:
        self.refusal = status
        raise _Refused

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        """The parser has ended, by itself or by `_refuse`."""
        self._turn_away(self.refusal)

    def _turn_away(self, status: HTTPStatus) -> None:
        """Nothing more is read. Requests that came before are answered; only if there are none, `status` is."""
        self._arrived()
        self._deaf = True
        broken = self.cycle if self._in_body else None
        self._in_head = self._in_body = False
        if broken is not None:
            queued = [pair for pair in self.pipeline if pair[0] is not broken]
            self.pipeline.clear()
            self.pipeline.extend(queued)
        earlier = self._last_unanswered()
        if earlier is not None and earlier is not broken:
            earlier.keep_alive = False
        elif broken is not None and broken.response_started:
            self.transport.abort()
        else:
            if broken is not None:  # whoever reads this request's body finds that it is over
                broken.disconnected = True
                broken.message_event.set()
            self._say(status)

    def _say(self, status: HTTPStatus) -> None:
        fields = [*self.server_state.default_headers, (b"content-length", b"0"), (b"connection", b"close")]
        head = b"".join(name + b": " + value + b"\r\n" for name, value in fields)
        self.transport.write(f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() + head + b"\r\n")
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self._leave_soon(LINGER_SECONDS)
        else:
            self.transport.close()

    # -- whose turn it is ---------------------------------------------------------------------------------------------

    def _unanswered(self) -> bool:
        return self._running is not None and not self._running.response_complete

    def _last_unanswered(self) -> RequestResponseCycle | None:
        """The newest request that waits for its answer."""
        if self.pipeline:
            return self.pipeline[0][0]
        return self._running if self._unanswered() else None

    # -- clocks -------------------------------------------------------------------------------------------------------

    def _await_the_rest(self) -> None:
        self._arriving = self.loop.call_later(self.bounds.seconds, self._late)

    def _arrived(self) -> None:
        if self._arriving is not None:
            self._arriving.cancel()
            self._arriving = None

    def _late(self) -> None:
        self._turn_away(HTTPStatus.REQUEST_TIMEOUT)

    def _leave_soon(self, seconds: float) -> None:
        self._left()
        self._leaving = self.loop.call_later(seconds, self.transport.abort)

    def _left(self) -> None:
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None
