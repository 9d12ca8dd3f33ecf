"""A bounded dictionary never holds more, and the oldest goes first."""

from geumgo.domain.bounded import keep


def test_the_oldest_one_goes_when_there_are_as_many_as_may_be() -> None:
    kept: dict[str, int] = {}
    for number, key in enumerate("abcd"):
        keep(kept, key, number, most=3)
        assert len(kept) <= 3
    assert kept == {"b": 1, "c": 2, "d": 3}
