"""What is kept of attempts, on both engines; and what may happen while a password is looked at."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from geumgo import app
from geumgo.app import App
from geumgo.message import Request
from geumgo.sealing import Plaintext, random
from geumgo.sealing.passwords import verify_password
from geumgo.sealing.root import RootKeys
from geumgo.services.geumgo import attempts, store
from geumgo.services.geumgo.domain import FORGOTTEN_MS, PAIR, Attempts
from geumgo.storage import Storage
from geumgo.storage.migrate import migrate
from tests.clock import TurnedClock
from tests.house import House
from tests.services.geumgo.conftest import PASSWORD, Desk
from tests.storage.postgres_server import PrivateServer

ACCOUNT = "123456789012"


@pytest.fixture
def kept(storage: Storage) -> Storage:
    migrate(storage, [("geumgo", "geumgo.services.geumgo.tables")])
    return storage


def meanwhile(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], Any]) -> None:
    """Let something happen while a password is looked at."""

    def verified(password: Plaintext, hashed: str) -> None:
        happens()
        verify_password(password, hashed)

    monkeypatch.setattr(attempts, "verify_password", verified)


def test_what_is_kept_is_found_again(kept: Storage) -> None:
    with kept.writing() as tx:
        assert store.attempts(tx, "a") == Attempts()
        store.save(tx, "a", Attempts(1, 2, 3))
        store.save(tx, "a", Attempts(4, 5, 6))
        assert store.attempts(tx, "a") == Attempts(4, 5, 6)


def test_only_what_counts_no_more_is_swept_some_rows_at_a_time(kept: Storage) -> None:
    with kept.writing() as tx:
        for number in range(store.SWEPT_AT_ONCE + 1):
            store.save(tx, f"old{number}", Attempts(1, 0, 0))
        store.save(tx, "trusted", Attempts(0, 0, FORGOTTEN_MS + 1))
        store.save(tx, "new", Attempts(1, 1, 0))
        store.sweep(tx, FORGOTTEN_MS - 1)
        assert tx.one("SELECT count(*) FROM sign_in_attempt") == (store.SWEPT_AT_ONCE + 3,)
        for left in (3, 2, 2):
            store.sweep(tx, FORGOTTEN_MS)
            assert tx.one("SELECT count(*) FROM sign_in_attempt") == (left,)
        assert {row[0] for row in tx.all("SELECT id FROM sign_in_attempt")} == {"trusted", "new"}


def test_a_row_does_not_tell_who_was_tried() -> None:
    sealing, other = RootKeys({1: random.key()}), RootKeys({1: random.key()})
    keys = attempts.keys_of(sealing, "123456789012", "Ann", "192.0.2.1")
    assert keys == attempts.keys_of(sealing, "123456789012", "ann", "192.0.2.1")
    assert len({keys.pair, keys.address, keys.user}) == 3
    assert keys.user != attempts.keys_of(other, "123456789012", "ann", "192.0.2.1").user


def test_no_transaction_is_open_while_a_password_is_looked_at(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []

    def write() -> None:
        with desk.house.app.storage.writing() as tx:
            opened.append(tx.one("SELECT 1"))

    meanwhile(monkeypatch, write)
    desk.sign_in()
    assert desk.code("nobody") == "SignInFailedException"
    assert opened == [(1,), (1,)]


def test_a_password_that_is_changed_meanwhile_opens_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    iam = desk.house.client("iam")
    meanwhile(monkeypatch, lambda: iam.update_login_profile(UserName="ann", Password="Another-Horse-9"))
    assert desk.code("ann", PASSWORD) == "SignInFailedException"


def test_an_attempt_counts_even_if_the_process_ends_in_the_middle_of_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def look() -> None:
        with desk.house.app.storage.reading() as tx:
            seen.append(tx.all("SELECT failures FROM sign_in_attempt"))

    meanwhile(monkeypatch, look)
    desk.sign_in()
    assert seen == [[(1,), (1,), (1,)]]
    with desk.house.app.storage.reading() as tx:
        assert tx.all("SELECT failures FROM sign_in_attempt") == [(0,), (0,), (0,)]


def test_guesses_at_several_machines_are_all_counted(
    tmp_path: Path, clock: TurnedClock, postgres_server: PrivateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four processes' pipelines on one PostgreSQL, all at once, at a time that stands still: exactly the free guesses are looked at."""
    monkeypatch.setattr(attempts, "_PACE", attempts.Pace(1_000))
    body = json.dumps({"Account": ACCOUNT, "UserName": "ann", "Password": "wrong"}).encode()
    headers = ((b"host", b"geumgo.test"), (b"x-amz-target", b"Geumgo.CreateConsoleSession"))
    said: list[str] = []

    def guess(machine: App) -> None:
        for number in range(6):
            asked = Request("POST", b"/", headers, body, "203.0.113.5", False, f"r{number}", clock.now_ms())
            said.append(json.loads(machine.pipeline.handle_batch([asked])[0].body)["__type"])

    with postgres_server.database() as dsn:
        house = House.build(tmp_path, clock, database=dsn, account=ACCOUNT)
        machines = [app.build(house.settings, slot=f"api-{number}", clock=clock) for number in range(1, 5)]
        threads = [Thread(target=guess, args=(machine,)) for machine in machines]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for machine in machines:
            machine.close()
        house.close()
    assert Counter(said) == {"SignInFailedException": PAIR.free, "ThrottlingException": 24 - PAIR.free}
