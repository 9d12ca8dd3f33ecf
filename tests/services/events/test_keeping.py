"""What was done outside is written down, whoever is in the way."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from geumgo.services.events.keeping import TRIES, keep
from geumgo.storage import Conflict, Tx
from tests.house import House
from tests.services.events.conftest import Log, listen, tell, waiting


class Busy:
    """Opens transactions of which the first ones lose."""

    def __init__(self, losing: int) -> None:
        self.losing = losing
        self.changes = 0

    @contextmanager
    def open(self) -> Iterator[Any]:
        yield None
        self.losing -= 1
        if self.losing >= 0:
            raise Conflict

    def change(self, _tx: Tx) -> None:
        self.changes += 1


@pytest.mark.parametrize("losing", [0, 1, TRIES - 1])
def test_a_change_is_tried_until_it_is_kept(losing: int) -> None:
    busy = Busy(losing)
    keep(busy.open, busy.change)
    assert busy.changes == losing + 1


def test_a_change_that_never_comes_through_is_the_jobs_to_tell() -> None:
    busy = Busy(TRIES)
    with pytest.raises(Conflict):
        keep(busy.open, busy.change)


def test_an_event_is_sent_once_though_the_end_of_its_job_lost_a_race(house: House, events: Any, log: Log) -> None:
    listen(events, log.arn)
    tell(events)
    storage = house.app.storage
    writing, losses = storage.writing, [0]

    @contextmanager
    def losing(**how: Any) -> Iterator[Tx]:
        with writing(**how) as tx:
            yield tx
            if log.lines() and losses[0] < 3:
                losses[0] += 1
                raise Conflict

    storage.writing = losing  # type: ignore[method-assign]
    house.run_jobs()
    storage.writing = writing  # type: ignore[method-assign]
    assert losses == [3]
    assert len(log.lines()) == 1
    assert list(waiting(house)) == []
