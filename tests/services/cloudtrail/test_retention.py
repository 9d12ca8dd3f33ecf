"""The setting `trail_days`: what is older goes once the index and every sink have it, and everything else goes on."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from geumgo import app
from geumgo.app import retention
from geumgo.app.directory import open_root, open_storage
from geumgo.app.operators import verify_trail
from geumgo.audit.floor import Floor, floor_of
from geumgo.sealing.root import RootKeys
from geumgo.services.cloudtrail.feeder import Feeder
from geumgo.services.cloudtrail.sinks import sink_of
from tests.cli.test_commands import geumgo
from tests.clock import TurnedClock
from tests.house import House, turn_botocore
from tests.promises.test_new_root_keys import rekeyed
from tests.services.cloudtrail.test_sinks import Numbers, outbound

DAYS = 5


@pytest.fixture
def old_house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """A house whose trail has a segment for each of some days."""
    clock = TurnedClock(time.time_ns() // 1_000_000)
    turn_botocore(monkeypatch, clock)
    house = House.build(tmp_path, clock, history_days=2, trail_days=2)
    for day in range(DAYS):
        house.client("secretsmanager").create_secret(Name=f"of-day-{day}", SecretString="x")
        house.app.tick()
        house.app.trail._end_segment()
        clock.turn(ms=86_400_000 + 1)
    house.client("secretsmanager").list_secrets()
    house.app.tick()
    yield house
    house.close()


def applied(house: House, *sinks: str) -> int:
    settings = replace(house.settings, trail_sinks=sinks)
    numbers = Numbers()
    gone = retention.apply(settings, open_root(settings), house.clock, house.app.storage, numbers)
    assert numbers.kept == {"geumgo_trail_pruned_segments_total": gone}
    return gone


def names(house: House) -> set[str]:
    found = (record.get("requestParameters") or {} for record in house.trail())
    return {each["name"] for each in found if "name" in each}


def test_what_is_older_than_the_setting_goes_once_it_is_indexed(old_house: House):
    assert applied(old_house) == 0  # the index has read nothing yet
    old_house.index()
    assert applied(old_house) == 3
    assert names(old_house) == {"of-day-3", "of-day-4"}
    report = verify_trail(old_house.settings)
    assert report.ok, report.problems
    assert report.pruned > 0
    found = old_house.client("cloudtrail").lookup_events(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "CreateSecret"}]
    )["Events"]
    assert len(found) == 2


def test_what_a_sink_has_not_taken_is_kept(old_house: House, tmp_path: Path):
    entry = f"file:{tmp_path / 'sink'}"
    old_house.index()
    assert applied(old_house, entry) == 0
    sink = sink_of(entry, outbound(), "")
    Feeder(1, entry, sink, old_house.app.indexer.files, old_house.clock, Numbers()).feed(old_house.app.storage)
    assert applied(old_house, entry) == 3
    assert (tmp_path / "sink").read_text().count('"eventName":"CreateSecret"') == DAYS


def test_the_thread_prunes_at_once_and_ends_when_it_is_told_to(old_house: House):
    old_house.index()
    stop = threading.Event()
    stop.set()
    settings = old_house.settings
    storage = open_storage(settings)
    retention.applying(settings, open_root(settings), old_house.clock, storage, stop, Numbers())
    assert names(old_house) == {"of-day-3", "of-day-4"}


def test_a_floor_of_a_root_key_that_was_dropped_is_proven_and_the_next_one_is_of_the_new_one(
    old_house: House, monkeypatch: pytest.MonkeyPatch
):
    settings = old_house.settings
    old_house.index()
    assert applied(old_house) == 3
    old_house.app.close()
    (before,) = floors(old_house)
    rekeyed(settings)
    root = open_root(settings)
    assert root.terms == (2,)
    assert before.public_key in root.trail_keys_of_old()
    report = verify_trail(settings)
    assert report.ok, report.problems
    assert report.pruned == before.seq
    assert geumgo("audit", "verify", "--data", str(settings.data)).returncode == 0
    with monkeypatch.context() as mutant:  # the public keys of terms that were dropped are not kept
        mutant.setattr(RootKeys, "trail_keys_of_old", lambda _: ())
        assert not verify_trail(settings).ok
    house = replace(old_house, app=app.build(settings, slot="api-0", clock=old_house.clock), clients={})
    for _ in range(3):
        house.client("secretsmanager").list_secrets()
        house.app.tick()
        house.app.trail._end_segment()
        house.clock.turn(ms=86_400_000 + 1)
    house.client("secretsmanager").list_secrets()
    house.app.tick()
    house.index()
    assert applied(house) > 0
    (after,) = floors(house)
    assert (after.public_key, after.segment > before.segment) == (root.audit_keys().signer.public_key, True)
    report = verify_trail(settings)
    assert report.ok, report.problems
    house.close()


def floors(house: House) -> list[Floor]:
    found = (floor_of(place) for place in house.settings.audit.iterdir() if place.is_dir())
    return [each for each in found if each is not None]
