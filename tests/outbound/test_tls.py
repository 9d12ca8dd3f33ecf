"""https to a pinned address: the certificate is that of the name, not of the address."""

import contextlib
import socket
import ssl
import threading
from pathlib import Path

import pytest

from geumgo.outbound import Allowed, Failed, Outbound
from tests.certificates import certificate

NAME = "hooks.internal"


@contextlib.contextmanager
def listening(files: tuple[Path, Path], names: list[str | None]):
    """One TLS connection is answered. `names` keeps which server name was asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.settimeout(5)
            with context.wrap_socket(connection, server_side=True) as secured:
                secured.recv(65_536)
                secured.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
                while secured.recv(65_536):
                    pass  # closing with something unread would reset the connection under the answer

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        thread.join()
        listener.close()


def sender(trusted: Path | None) -> Outbound:
    return Outbound(
        Allowed.of(["127.0.0.1"]),
        resolve=lambda host, port: ["127.0.0.1"],
        tls=None if trusted is None else ssl.create_default_context(cafile=str(trusted)),
    )


def test_the_name_of_the_url_is_asked_for_and_verified(tmp_path):
    files = certificate(tmp_path, NAME)
    names: list[str | None] = []
    with listening(files, names) as port:
        assert sender(files[0]).send("POST", f"https://{NAME}:{port}/", {}, b"x").status == 204
    assert names == [NAME]


def test_a_certificate_of_another_name_is_refused(tmp_path):
    files = certificate(tmp_path, NAME)
    with listening(files, []) as port, pytest.raises(Failed):
        sender(files[0]).send("GET", f"https://other.internal:{port}/", {})


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path):
    files = certificate(tmp_path, NAME)
    with listening(files, []) as port, pytest.raises(Failed):
        sender(None).send("GET", f"https://{NAME}:{port}/", {})
