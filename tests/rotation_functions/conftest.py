import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rotation_functions.rotating import Rotating
from tests.server import Server
from tests.storage.postgres_server import PrivateServer, private_server


@pytest.fixture(scope="session")
def database() -> Iterator[PrivateServer]:
    """A PostgreSQL that asks whoever comes over TCP for a password."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with private_server(port, listen_addresses="127.0.0.1", password_encryption="scram-sha-256") as server:
        rules = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        (server.data / "pg_hba.conf").write_text(rules)
        server.command("SELECT pg_reload_conf()")
        server.command("CREATE ROLE chief SUPERUSER LOGIN PASSWORD 'chief-password'")
        yield server


@pytest.fixture(scope="session")
def geumgo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(Path(tmp_path_factory.mktemp("rotation")) / "data") as server:
        yield server


@pytest.fixture
def rotating(geumgo: Server, database: PrivateServer, monkeypatch: pytest.MonkeyPatch) -> Rotating:
    identity, secret = geumgo.credentials()
    monkeypatch.setenv("SECRETS_MANAGER_ENDPOINT", geumgo.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", identity)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return Rotating(geumgo.client("secretsmanager"), database)
