"""Whoever keeps the head of the trail in the database waits for nobody who waits for the trail."""

import threading
from contextlib import AbstractContextManager
from typing import cast

from geumgo.app.process import Anchor, SharedTrail
from geumgo.storage import Storage, Tx
from geumgo.storage.sqlite import open_sqlite
from tests.house import House


class Telling:
    """A storage that says when somebody is about to write."""

    def __init__(self, storage: Storage) -> None:
        self._storage, self.writes = storage, threading.Event()

    def writing(self, **how: bool) -> AbstractContextManager[Tx]:
        self.writes.set()
        return self._storage.writing(**how)


def test_a_lane_that_writes_and_notes_is_not_held_up_by_who_keeps_the_head(house: House) -> None:
    """The lane has the only writing transaction when the head is to be kept, and asks for the trail then."""
    trail, database = house.app.trail, house.settings.data / "geumgo.db"
    shared = SharedTrail(trail, threading.Lock())
    anchor = Anchor(shared, "node", house.app.anchor.clock, house.app.anchor.root)
    mine = open_sqlite(database, busy_timeout_ms=60_000)
    telling, began = Telling(mine), threading.Event()
    noted: list[str] = []

    def lane() -> None:
        other = open_sqlite(database)
        with other.writing():
            began.set()
            assert telling.writes.wait(60)
            noted.append(shared.note("event", {"eventName": "Event"}))
            shared.settle()
        other.close()

    thread = threading.Thread(target=lane)
    thread.start()
    assert began.wait(60)
    house.clock.turn(ms=1_500)
    anchor.keep(cast("Storage", telling))
    thread.join(60)
    mine.close()
    assert noted
    assert anchor.kept in trail.heads()
