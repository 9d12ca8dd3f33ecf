from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.clock import TurnedClock
from tests.house import House, turn_botocore


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    clock = TurnedClock()
    turn_botocore(monkeypatch, clock)
    with ExitStack() as stack:
        built = House.build(tmp_path, clock)
        stack.callback(built.close)
        yield built


@pytest.fixture
def ecs(house: House) -> Any:
    return house.client("ecs")
