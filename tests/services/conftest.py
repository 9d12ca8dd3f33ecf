"""What the tests of every room may ask for."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.clock import TurnedClock
from tests.house import House, turn_botocore


@pytest.fixture(params=["sqlite", "postgres"])
def house_on_each(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """The whole product on each engine in turn."""
    clock = TurnedClock()
    turn_botocore(monkeypatch, clock)
    with ExitStack() as stack:
        settings: dict[str, Any] = {}
        if request.param == "postgres":
            settings["database"] = stack.enter_context(request.getfixturevalue("postgres_server").database())
        house = House.build(tmp_path, clock, **settings)
        stack.callback(house.close)
        yield house
