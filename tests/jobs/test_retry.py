"""How long a failed job waits."""

from hypothesis import given
from hypothesis.strategies import integers

from geumgo.jobs.retry import FIRST_WAIT_MS, LONGEST_WAIT_MS, MOST_ATTEMPTS, is_hopeless, wait_ms


def test_the_wait_doubles_and_has_an_end() -> None:
    assert [wait_ms(attempts) for attempts in (1, 2, 3, 4)] == [1_000, 2_000, 4_000, 8_000]
    assert wait_ms(1_000_000) == LONGEST_WAIT_MS


@given(integers(1, 10_000))
def test_the_wait_never_shrinks(attempts: int) -> None:
    assert FIRST_WAIT_MS <= wait_ms(attempts) <= wait_ms(attempts + 1) <= LONGEST_WAIT_MS


def test_a_job_is_hopeless_after_its_last_attempt() -> None:
    assert not is_hopeless(MOST_ATTEMPTS - 1)
    assert is_hopeless(MOST_ATTEMPTS)
