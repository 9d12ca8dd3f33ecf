"""Garbage that points at itself goes while nobody asks, or after a long time; and never in the middle of requests."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from geumgo.edge.collecting import LONGEST_SECONDS, REST_SECONDS, Collector


class Knot:
    """Points at itself."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def thresholds() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def an_old_knot() -> weakref.ref[Knot]:
    """One that has lasted, and is of no use any more."""
    knot = Knot()
    gc.collect()
    return weakref.ref(knot)


def test_garbage_goes_while_nobody_asks_but_not_all_the_time() -> None:
    collector = Collector(lambda: True, 0.0)
    found = an_old_knot()
    collector.look(REST_SECONDS - 1)
    assert found() is not None
    collector.look(REST_SECONDS)
    assert found() is None
    again = an_old_knot()
    collector.look(REST_SECONDS + 1)
    assert again() is not None
    collector.look(2 * REST_SECONDS)
    assert again() is None


def test_garbage_stays_while_somebody_asks_but_not_for_ever() -> None:
    collector = Collector(lambda: False, 0.0)
    found = an_old_knot()
    collector.look(LONGEST_SECONDS - 1)
    assert found() is not None
    collector.look(LONGEST_SECONDS)
    assert found() is None


def test_however_much_is_kept_python_does_not_stand_still_for_it() -> None:
    Collector(lambda: False, 0.0)
    found = an_old_knot()
    before = gc.get_stats()[2]["collections"]
    kept = [[number] for number in range(400_000)]
    assert gc.get_stats()[2]["collections"] == before
    assert found() is not None
    assert len(kept) == 400_000


def test_what_is_young_goes_as_ever() -> None:
    Collector(lambda: False, 0.0)
    found = weakref.ref(Knot())
    kept = [[number] for number in range(400_000)]
    assert found() is None
    assert len(kept) == 400_000
