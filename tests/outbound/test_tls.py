"""https to a pinned address: the certificate is that of the name, not of the address."""

import contextlib
import datetime
import socket
import ssl
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from geumgo.outbound import Allowed, Failed, Outbound

NAME = "hooks.internal"


def certificate(directory: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = directory / "hooks.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


@contextlib.contextmanager
def listening(file: Path, names: list[str | None]):
    """One TLS connection is answered. `names` keeps which server name was asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
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
    file = certificate(tmp_path)
    names: list[str | None] = []
    with listening(file, names) as port:
        assert sender(file).send("POST", f"https://{NAME}:{port}/", {}, b"x").status == 204
    assert names == [NAME]


def test_a_certificate_of_another_name_is_refused(tmp_path):
    file = certificate(tmp_path)
    with listening(file, []) as port, pytest.raises(Failed):
        sender(file).send("GET", f"https://other.internal:{port}/", {})


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path):
    file = certificate(tmp_path)
    with listening(file, []) as port, pytest.raises(Failed):
        sender(None).send("GET", f"https://{NAME}:{port}/", {})
