from typing import Any

import pytest

from tests.house import House


@pytest.fixture
def ssm(house: House) -> Any:
    """The administrator's client of Systems Manager."""
    return house.client("ssm")


@pytest.fixture
def ssm_on_each(house_on_each: House) -> Any:
    """The administrator's client of Systems Manager on each engine in turn."""
    return house_on_each.client("ssm")
