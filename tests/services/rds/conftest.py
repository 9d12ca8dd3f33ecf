from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.clock import TurnedClock
from tests.house import House, turn_botocore
from tests.rotation_functions.servers import CHIEF, free_port, mariadb_server
from tests.rotation_functions.targets import Target, mariadb_target, postgres_target
from tests.storage.postgres_server import private_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Target]:
    with private_server(free_port(), listen_addresses="127.0.0.1", password_encryption="scram-sha-256") as server:
        (server.data / "pg_hba.conf").write_text("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
        server.command("SELECT pg_reload_conf()")
        server.command("CREATE ROLE {} SUPERUSER LOGIN PASSWORD '{}'".format(*CHIEF))
        yield postgres_target(server.port)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Target]:
    with mariadb_server() as port:
        yield mariadb_target(port)


@pytest.fixture(params=["postgres", "mariadb"])
def target(request: pytest.FixtureRequest) -> Target:
    """Each database in turn."""
    found: Target = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    clock = TurnedClock()
    turn_botocore(monkeypatch, clock)
    with ExitStack() as stack:
        built = House.build(tmp_path, clock, outgoing_hosts=("127.0.0.1",))
        stack.callback(built.close)
        yield built


@pytest.fixture
def rds(house: House) -> Any:
    return house.client("rds")


@pytest.fixture
def sm(house: House) -> Any:
    return house.client("secretsmanager")
