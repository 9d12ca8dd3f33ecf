from typing import Any

import pytest

from tests.house import House


@pytest.fixture
def sm(house: House) -> Any:
    """The administrator's client of Secrets Manager."""
    return house.client("secretsmanager")
