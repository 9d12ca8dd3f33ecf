"""Guessing passwords: what it tells, what it costs, and whom it holds up."""

import statistics
import time

import pytest
from botocore.exceptions import ClientError

from geumgo.services.geumgo import attempts, domain
from geumgo.services.geumgo.domain import ADDRESS, PAIR, USER, Attempts, network_of, waiting_ms
from tests.house import House
from tests.services.geumgo.conftest import PASSWORD, Desk

THROTTLED = "ThrottlingException"


def elsewhere(desk: Desk, address: str = "203.0.113.9") -> None:
    desk.house.peer = address


# -- what it tells -----------------------------------------------------------------------------------------------------


def test_whatever_is_wrong_the_refusal_is_the_same(desk: Desk) -> None:
    refusals = [
        desk.refused("ann", "wrong"),
        desk.refused("ben", PASSWORD),
        desk.refused("nobody", PASSWORD),
        desk.refused("ann", PASSWORD, account="999999999999"),
        desk.refused("ann", PASSWORD, account="no-such-alias"),
        desk.refused("ann/../ann", PASSWORD),
    ]
    assert all(refusal == refusals[0] for refusal in refusals)
    assert refusals[0]["Error"]["Code"] == "SignInFailedException"


def test_who_does_not_exist_is_made_to_wait_like_who_does(desk: Desk) -> None:
    said = []
    for user, address in (("ann", "192.0.2.1"), ("nobody", "192.0.2.2")):
        elsewhere(desk, address)
        desk.fail(PAIR.free + 1, user)
        said.append(desk.refused(user, "wrong"))
    assert said[0] == said[1]
    assert said[0]["Error"]["Code"] == THROTTLED


def test_a_user_who_is_not_there_costs_the_time_of_one_who_is(desk: Desk) -> None:
    """One hash each. The bound is wide: what it must catch is a hash that is left out, and that is nearly all of the time."""
    desk.fail(1)
    taken: dict[str, list[float]] = {"ann": [], "nobody": []}
    for number in range(8):
        for user, times in taken.items():
            elsewhere(desk, f"192.0.2.{number + 1}")
            started = time.perf_counter()
            desk.code(user, "wrong")
            times.append(time.perf_counter() - started)
    there, absent = (statistics.median(times) for times in taken.values())
    assert 0.5 < there / absent < 2


# -- what it costs -----------------------------------------------------------------------------------------------------


def test_after_some_failures_the_right_password_must_wait_too(desk: Desk) -> None:
    desk.fail(PAIR.free + 2)
    assert desk.code() == THROTTLED
    desk.house.clock.turn(ms=PAIR.wait_ms(PAIR.free + 2))
    desk.sign_in()


def test_asking_while_one_must_wait_makes_the_wait_no_longer(desk: Desk) -> None:
    desk.fail(PAIR.free + 5)
    last = desk.house.clock.now_ms()
    while desk.house.clock.now_ms() + 1_000 < last + PAIR.wait_ms(PAIR.free + 5):
        assert desk.code() == THROTTLED
    desk.sign_in()


def test_who_signs_in_has_his_own_failures_forgotten(desk: Desk) -> None:
    for _ in range(3):
        desk.fail(PAIR.free - 1)
        desk.sign_in()


def test_signing_in_between_guesses_does_not_hide_them(desk: Desk, house: House) -> None:
    """An attacker who has an account of his own cannot wipe his address clean with it."""
    house.client("iam").create_login_profile(UserName="ben", Password=PASSWORD)
    for number in range(ADDRESS.free):
        desk.fail(1, f"user{number}")
        if number % 5 == 0:
            desk.sign_in("ben")
    desk.fail(1, "one-more")
    desk.house.clock.turn(ms=-999)
    assert desk.code("ben") == THROTTLED


def test_failures_are_kept_over_a_restart(desk: Desk) -> None:
    from geumgo import app

    desk.fail(PAIR.free + 4)
    house = desk.house
    house.app.close()
    house.app = app.build(house.settings, slot="api-1", clock=house.clock)
    assert desk.code() == THROTTLED


def test_failures_are_forgotten_after_an_hour_and_their_rows_go(desk: Desk) -> None:
    desk.fail(PAIR.free + 2)
    desk.fail(1, "nobody")
    desk.house.clock.turn(ms=domain.FORGOTTEN_MS)
    desk.fail(PAIR.free)
    with desk.house.app.storage.reading() as tx:
        rows = tx.all("SELECT failures FROM sign_in_attempt")
    assert [row[0] for row in rows] == [PAIR.free] * 3


def test_a_wrong_code_counts_like_a_wrong_password(desk: Desk) -> None:
    desk.device("ann")
    desk.fail(PAIR.free + 2, password=PASSWORD)
    assert desk.code() == THROTTLED


def test_a_process_looks_at_few_passwords_in_a_second(desk: Desk, house: House) -> None:
    client = house.client("geumgo")
    codes = []
    for number in range(attempts.HASHES_PER_SECOND + 3):
        elsewhere(desk, f"192.0.2.{number + 1}")
        with pytest.raises(ClientError) as refusal:
            client.create_console_session(Account=house.account, UserName=f"user{number}", Password="wrong")
        codes.append(refusal.value.response["Error"]["Code"])
    assert codes == ["SignInFailedException"] * attempts.HASHES_PER_SECOND + [THROTTLED] * 3
    house.clock.turn(ms=1_000)
    desk.sign_in()


# -- whom it holds up --------------------------------------------------------------------------------------------------


def test_an_attacker_elsewhere_does_not_hold_up_the_user(desk: Desk) -> None:
    desk.fail(PAIR.free + 4)
    assert desk.code() == THROTTLED
    elsewhere(desk)
    desk.sign_in()


def test_many_attackers_hold_up_a_user_for_seconds_and_not_at_all_where_he_was_before(desk: Desk) -> None:
    desk.sign_in()
    for number in range(USER.free + 12):
        elsewhere(desk, f"2001:db8:0:{number:x}::1")
        desk.code("ann", "wrong")
    desk.house.peer = "198.51.100.7"
    desk.sign_in()
    elsewhere(desk)
    assert desk.code() == THROTTLED
    desk.house.clock.turn(ms=USER.longest_ms)
    desk.sign_in()


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_an_address_is_what_one_host_has(peer: str, network: str) -> None:
    assert network_of(peer) == network


def test_a_clock_that_is_turned_locks_nobody_out() -> None:
    year = 365 * 86_400_000
    locked = Attempts(failures=1_000, last_at_ms=10 * year)
    for now_ms in (0, 9 * year, 11 * year):
        assert waiting_ms(locked.now(now_ms), Attempts(), Attempts(), now_ms) == 0
    assert waiting_ms(locked.now(10 * year), Attempts(), Attempts(), 10 * year) == PAIR.longest_ms


def test_trust_in_an_address_ends() -> None:
    trusted = Attempts(0, 0, domain.TRUSTED_MS)
    assert trusted.now(domain.TRUSTED_MS - 1).trusted_until_ms
    assert not trusted.now(domain.TRUSTED_MS).trusted_until_ms
    assert not Attempts(0, 0, 10 * domain.TRUSTED_MS).now(0).trusted_until_ms
