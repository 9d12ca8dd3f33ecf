"""What the tests of every room may ask for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clock import TurnedClock
from tests.house import House, house_on


@pytest.fixture(params=["sqlite", "postgres"])
def house_on_each(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """The whole product on each engine in turn, from a fixed moment on."""
    with house_on(request, tmp_path, monkeypatch, TurnedClock()) as made:
        yield made
