"""What every test may ask for: a storage on each engine, a PostgreSQL server of our own, a clock that is turned."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from geumgo.cli import HOW
from geumgo.storage import Storage
from geumgo.storage.postgres import PostgresStorage, open_postgres
from geumgo.storage.sqlite import SqliteStorage, open_sqlite
from tests.clock import TurnedClock
from tests.storage.postgres_server import PrivateServer, private_server

if TYPE_CHECKING:
    from tests.house import House


# How fast a machine is decides nothing: a slow one runs the same examples for longer.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("unhurried")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What a test puts into a compiled module does nothing there: a test that does so says nothing of it. See test_compiled.py."""
    if HOW == "compiled":
        left = [
            each
            for each in items
            if "monkeypatch" in getattr(each, "fixturenames", ()) or each.get_closest_marker("interpreted")
        ]
        config.hook.pytest_deselected(items=left)
        items[:] = [each for each in items if each not in left]


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PrivateServer]:
    """One PostgreSQL server for the whole session (for each worker of pytest-xdist)."""
    with private_server() as server:
        yield server


@pytest.fixture
def sqlite_storage(tmp_path: Path) -> Iterator[SqliteStorage]:
    """An empty SQLite database."""
    storage = open_sqlite(tmp_path / "geumgo.db")
    yield storage
    storage.close()


@pytest.fixture
def postgres_storage(postgres_server: PrivateServer) -> Iterator[PostgresStorage]:
    """An empty PostgreSQL database."""
    with postgres_server.database() as dsn:
        storage = open_postgres(dsn)
        yield storage
        storage.close()


@pytest.fixture(params=["sqlite", "postgres"])
def storage(request: pytest.FixtureRequest) -> Storage:
    """An empty database, on each engine in turn."""
    found: Storage = request.getfixturevalue(f"{request.param}_storage")
    return found


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator["House"]:
    """The whole product in this process, on SQLite, with a clock that is turned. See tests/house.py."""
    from tests.house import house_in

    with house_in(tmp_path, monkeypatch, TurnedClock()) as made:
        yield made


@pytest.fixture(params=["sqlite", "postgres"])
def house_on_each(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator["House"]:
    """The same on each engine in turn."""
    from tests.house import house_on

    with house_on(request, tmp_path, monkeypatch, TurnedClock()) as made:
        yield made
