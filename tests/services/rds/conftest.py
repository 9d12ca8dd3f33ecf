from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.clock import TurnedClock
from tests.house import House, turn_botocore
from tests.rotation_functions.servers import mariadb_server, password_postgres
from tests.rotation_functions.targets import Target, mariadb_target, postgres_target


@pytest.fixture(scope="session")
def postgres() -> Iterator[Target]:
    with password_postgres() as server:
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
