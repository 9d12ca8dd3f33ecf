"""A real PostgreSQL that introduces itself as Redshift does, and takes no statement that Redshift does not know.

Redshift says that it is PostgreSQL 8.0.2 and, unless it was asked for an encoding, that it speaks UNICODE; its ALTER ROLE knows no password,
and it keeps no verifier of SCRAM. Source: psycopg issue 122; ALTER USER, ALTER ROLE, Redshift Database Developer Guide.
"""

import contextlib
import socket
import struct
import threading

FOREIGN = (b"ALTER ROLE", b"CREATE ROLE", b"SCRAM-SHA-256$")
BROKEN = b"Redshift knows no such statement\0"


class AsRedshift:
    """Between a client and PostgreSQL. `said` are the texts of the statements that went through."""

    def __init__(self, port: int, *, pretends: bool = True) -> None:
        self._to = port
        self.pretends = pretends
        self.said: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()
        for each in self._open:
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._to))
                self._open += [client, server]
                encodings: list[bool] = []
                for relay, source, sink in ((self._asks, client, server), (self._answers, server, client)):
                    threading.Thread(
                        target=self._until_gone, args=(relay, source, sink, encodings), daemon=True
                    ).start()

    @staticmethod
    def _until_gone(relay, source, sink, encodings) -> None:
        with contextlib.suppress(OSError, EOFError):
            relay(source.makefile("rb"), sink, encodings)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _asks(self, source, sink, encodings: list[bool]) -> None:
        size = _exactly(source, 4)
        begin = _exactly(source, struct.unpack("!I", size)[0] - 4)
        encodings.append(b"client_encoding" in begin)
        sink.sendall(size + begin)
        while True:
            kind, body = _message(source)
            if kind in b"QP":
                if self.pretends and any(word in body for word in FOREIGN):
                    body = BROKEN if kind == b"Q" else b"\0" + BROKEN + b"\0\0"
                self.said.append(body)
            sink.sendall(kind + struct.pack("!I", len(body) + 4) + body)

    def _answers(self, source, sink, encodings: list[bool]) -> None:
        while True:
            kind, body = _message(source)
            if kind == b"S" and self.pretends:
                name = body.split(b"\0")[0]
                if name == b"server_version":
                    body = b"server_version\0008.0.2\0"
                if name == b"client_encoding" and not encodings[0]:
                    body = b"client_encoding\0UNICODE\0"
            sink.sendall(kind + struct.pack("!I", len(body) + 4) + body)


def _message(source) -> tuple[bytes, bytes]:
    kind, size = _exactly(source, 1), _exactly(source, 4)
    return kind, _exactly(source, struct.unpack("!I", size)[0] - 4)


def _exactly(source, size: int) -> bytes:
    found: bytes = source.read(size)
    if len(found) != size:
        raise EOFError
    return found
