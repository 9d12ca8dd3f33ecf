"""The site that identities are tried in."""

import pytest

from geumgo.storage import Storage
from tests.clock import TurnedClock
from tests.services.iam.world import World


@pytest.fixture
def world(sqlite_storage: Storage, clock: TurnedClock) -> World:
    return World(sqlite_storage, clock)


@pytest.fixture
def world_on_each_engine(storage: Storage, clock: TurnedClock) -> World:
    return World(storage, clock)
