import pytest

from geumgo.storage import Storage
from tests.clock import TurnedClock
from tests.services.kms.house import Kms


@pytest.fixture
def kms(sqlite_storage: Storage, clock: TurnedClock) -> Kms:
    """An empty KMS on SQLite."""
    return Kms.build(sqlite_storage, clock)


@pytest.fixture
def kms_on_each(storage: Storage, clock: TurnedClock) -> Kms:
    """An empty KMS on each engine in turn."""
    return Kms.build(storage, clock)
