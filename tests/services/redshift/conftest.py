from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.clock import TurnedClock
from tests.house import House, turn_botocore
from tests.rotation_functions.servers import password_postgres
from tests.rotation_functions.targets import Target, postgres_target
from tests.services.redshift.as_redshift import AsRedshift


@pytest.fixture(scope="session")
def postgres() -> Iterator[Target]:
    with password_postgres() as server:
        server.command("CREATE DATABASE dev")
        yield postgres_target(server.port)


@pytest.fixture(params=["as itself", "as Redshift"])
def link(request: pytest.FixtureRequest, postgres: Target) -> Iterator[AsRedshift]:
    """The way to a real PostgreSQL, which says what it is, or says what Redshift says."""
    with ExitStack() as stack:
        made = AsRedshift(postgres.port, pretends=request.param == "as Redshift")
        stack.callback(made.close)
        yield made


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    clock = TurnedClock()
    turn_botocore(monkeypatch, clock)
    with ExitStack() as stack:
        built = House.build(tmp_path, clock, outgoing_hosts=("127.0.0.1",))
        stack.callback(built.close)
        yield built


@pytest.fixture
def redshift(house: House) -> Any:
    return house.client("redshift")


@pytest.fixture
def sm(house: House) -> Any:
    return house.client("secretsmanager")
