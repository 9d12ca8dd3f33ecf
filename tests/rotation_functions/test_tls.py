"""TLS to databases that offer it: the certificate must be of a known authority and of the host that the secret names."""

import os
import pwd
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from geumgo.outbound import Allowed, Failed
from geumgo.outbound.databases import Databases, Server
from geumgo.rotation_functions import mariadb, postgresql, redis
from tests.certificates import certificate
from tests.rotation_functions.servers import CHIEF, free_port, mariadb_server, redis_server
from tests.storage.postgres_server import private_server


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("tls"), "localhost")


@pytest.fixture(scope="session", params=["postgres", "mariadb", "redis"])
def secured(request: pytest.FixtureRequest, certificates: tuple[Path, Path]) -> Iterator[tuple[Any, int]]:
    """A module, and the port where its database speaks TLS with a certificate for localhost."""
    cert, key = certificates
    readable = {"postgres": "postgres", "mariadb": "mysql", "redis": "redis"}[request.param]
    with ExitStack() as stack:
        if os.geteuid() == 0:
            place = Path(stack.enter_context(_readable_by(readable)))
            cert, key = (Path(shutil.copy(file, place)) for file in (cert, key))
            for file in (place, cert, key):
                shutil.chown(file, readable if readable in {entry.pw_name for entry in pwd.getpwall()} else "nobody")
        key.chmod(0o600)
        if request.param == "postgres":
            files = {"ssl": "on", "ssl_cert_file": str(cert), "ssl_key_file": str(key)}
            server = stack.enter_context(private_server(free_port(), listen_addresses="127.0.0.1", **files))
            server.command("CREATE ROLE {} SUPERUSER LOGIN PASSWORD '{}'".format(*CHIEF))
            yield postgresql, server.port
        elif request.param == "mariadb":
            yield mariadb, stack.enter_context(mariadb_server(f"--ssl-cert={cert}", f"--ssl-key={key}"))
        else:
            port = free_port()
            options = ["--tls-port", str(port), "--tls-cert-file", str(cert), "--tls-key-file", str(key)]
            options += ["--tls-ca-cert-file", str(cert), "--tls-auth-clients", "no"]
            stack.enter_context(redis_server(*options))
            yield redis, port


def _readable_by(user: str) -> Any:
    import tempfile

    return tempfile.TemporaryDirectory(prefix=f"geumgo-tls-{user}-")


@pytest.mark.parametrize(
    ("host", "known", "logs_in"),
    [("localhost", True, True), ("localhost", False, False), ("127.0.0.1", True, False)],
    ids=["of the host, by a known authority", "by an unknown authority", "of another host"],
)
def test_only_a_certificate_of_the_host_by_a_known_authority_is_taken(
    secured: tuple[Any, int], certificates: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    host: str, known: bool, logs_in: bool,
) -> None:  # fmt: skip
    module, port = secured
    authority = certificates[0] if known else certificate(tmp_path, "localhost")[0]
    monkeypatch.setenv("SSL_ROOT_CERT", str(authority))
    secret = {"host": host, "port": port, "username": CHIEF[0], "password": CHIEF[1]}
    for ssl in ({}, {"ssl": True}):
        connection = module.connect({**secret, **ssl})
        assert (connection is not None) == logs_in
        if connection is not None:
            connection.close()


def test_the_server_itself_takes_the_same_certificates(
    secured: tuple[Any, int], certificates: tuple[Path, Path], tmp_path: Path
) -> None:
    """For databases that are attached; the address was checked before, and the certificate is that of the name."""
    module, port = secured
    if module is redis:
        pytest.skip("Redis is not attached")
    dialect: Any = "postgresql" if module is postgresql else "mysql"
    allowed, unknown = Allowed.of(["127.0.0.1"]), certificate(tmp_path, "localhost")[0]

    def logs_in(host: str, authority: Path) -> bool:
        databases = Databases(allowed, authorities=str(authority), resolve=lambda *_: ["127.0.0.1"])
        return databases.logs_in(Server(dialect, host, port), *CHIEF)

    assert logs_in("localhost", certificates[0])
    for host, authority in (("localhost", unknown), ("127.0.0.1", certificates[0]), ("db.localhost", certificates[0])):
        with pytest.raises(Failed, match="certificate"):
            logs_in(host, authority)
