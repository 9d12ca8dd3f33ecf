from collections.abc import Iterator
from pathlib import Path

import pytest

from geumgo.rotation_functions.steps import alternating_users, single_user
from tests.rotation_functions.mongo_server import SECANTUS, fake_mongo, secantus_server
from tests.rotation_functions.rotating import Rotating, Strategy
from tests.rotation_functions.servers import CHIEF, free_port, mariadb_server, redis_server
from tests.rotation_functions.targets import (
    Target,
    mariadb_target,
    mongo_target,
    postgres_target,
    redis_target,
    redshift_target,
)
from tests.server import Server
from tests.services.redshift.as_redshift import AsRedshift
from tests.storage.postgres_server import private_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Target]:
    """A PostgreSQL that asks whoever comes over TCP for a password."""
    with private_server(free_port(), listen_addresses="127.0.0.1", password_encryption="scram-sha-256") as server:
        rules = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        (server.data / "pg_hba.conf").write_text(rules)
        server.command("SELECT pg_reload_conf()")
        server.command("CREATE ROLE {} SUPERUSER LOGIN PASSWORD '{}'".format(*CHIEF))
        yield postgres_target(server.port)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Target]:
    with mariadb_server() as port:
        yield mariadb_target(port)


@pytest.fixture(scope="session")
def redis() -> Iterator[Target]:
    with redis_server() as (port, _):
        yield redis_target(port)


@pytest.fixture(scope="session")
def as_redshift(postgres: Target) -> Iterator[Target]:
    relay = AsRedshift(postgres.port)
    yield redshift_target(postgres.port, relay.port)
    relay.close()


@pytest.fixture(scope="session")
def mongo() -> Iterator[Target]:
    with fake_mongo() as (port, _):
        yield mongo_target(port)


@pytest.fixture(scope="session")
def secantus() -> Iterator[Target]:
    with secantus_server() as port:
        yield mongo_target(port)


@pytest.fixture(params=["postgres", "as_redshift", "mariadb", "redis", "mongo", *(["secantus"] if SECANTUS else [])])
def target(request: pytest.FixtureRequest) -> Target:
    """Each database in turn."""
    found: Target = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def geumgo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    environment = {"GEUMGO_OUTGOING_HOSTS": "127.0.0.1"}
    with Server(Path(tmp_path_factory.mktemp("rotation")) / "data", environment=environment) as server:
        yield server


@pytest.fixture
def function_environment(geumgo: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Lambda gives a function; the role is the administrator."""
    identity, secret = geumgo.credentials()
    monkeypatch.setenv("SECRETS_MANAGER_ENDPOINT", geumgo.endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL", geumgo.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", identity)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture
def rotating(geumgo: Server, target: Target, function_environment: None) -> Rotating:
    return Rotating(geumgo.client("secretsmanager"), target)


@pytest.fixture(params=[single_user, alternating_users], ids=lambda strategy: strategy.__name__)
def strategy(request: pytest.FixtureRequest) -> Strategy:
    found: Strategy = request.param
    return found
