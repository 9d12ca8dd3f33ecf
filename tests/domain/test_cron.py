"""Cron fields: which moments they name, and what is refused. The examples are those of AWS's user guides."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geumgo.domain.cron import CronInvalid, parse

START = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)  # a Sunday


def moments(text: str, count: int, start: datetime = START) -> list[str]:
    cron = parse(text)
    found: list[str] = []
    at: datetime | None = start
    while len(found) < count and at is not None and (at := cron.after(at)) is not None:
        found.append(at.strftime("%Y-%m-%d %H:%M"))
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 8 * * ? *", ["2026-11-30 08:00", "2026-12-01 08:00"]),
        ("0 /8 * * ? *", ["2026-11-29 16:00", "2026-11-30 00:00", "2026-11-30 08:00"]),
        ("0 8/8 * * ? *", ["2026-11-29 16:00", "2026-11-30 08:00"]),
        ("0 2/10 * * ? *", ["2026-11-29 22:00", "2026-11-30 02:00", "2026-11-30 12:00"]),
        ("0 0 ? 1/11 2#1 *", ["2026-12-07 00:00", "2027-01-04 00:00", "2027-12-06 00:00"]),
        ("0 1 ? 1/3 SUN#1 *", ["2027-01-03 01:00", "2027-04-04 01:00", "2027-07-04 01:00"]),
        ("0 17 L * ? *", ["2026-11-30 17:00", "2026-12-31 17:00", "2027-01-31 17:00", "2027-02-28 17:00"]),
        ("0 8 ? * MON-FRI *", ["2026-11-30 08:00", "2026-12-01 08:00"]),
        ("0 16 1,15 * ? *", ["2026-12-01 16:00", "2026-12-15 16:00", "2027-01-01 16:00"]),
        ("0 10 ? FEB,MAY,AUG,NOV TUE#2 *", ["2027-02-09 10:00", "2027-05-11 10:00"]),
        ("0 0 SUNL * ? *", ["2026-12-27 00:00", "2027-01-31 00:00"]),
        ("0 9 ? * 6L *", ["2026-12-25 09:00", "2027-01-29 09:00"]),
        ("0 9 ? * L *", ["2026-12-05 09:00", "2026-12-12 09:00"]),
        ("0 18 ? * FRI-MON *", ["2026-11-29 18:00", "2026-11-30 18:00", "2026-12-04 18:00"]),
        ("0 0 29 FEB ? *", ["2028-02-29 00:00", "2032-02-29 00:00"]),
        ("15 12 * * ? *", ["2026-11-29 12:15", "2026-11-30 12:15"]),
        ("0/20 12 * * ? *", ["2026-11-29 12:20", "2026-11-29 12:40", "2026-11-30 12:00"]),
        ("0 12 15W * ? *", ["2026-12-15 12:00", "2027-01-15 12:00", "2027-02-15 12:00"]),
        ("0 12 1W 5,8 ? *", ["2027-05-03 12:00", "2027-08-02 12:00"]),
        ("0 12 LW 1,2 ? *", ["2027-01-29 12:00", "2027-02-26 12:00"]),
        ("0 0 31 2 ? *", []),
        ("0 0 1 1 ? 2026-2027", ["2027-01-01 00:00"]),
        ("0 0 1 1 ? 2030/2", ["2030-01-01 00:00", "2032-01-01 00:00"]),
    ],
)
def test_an_expression_names_its_moments(text: str, expected: list[str]) -> None:
    assert moments(text, max(len(expected), 1)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0 8 * * ?",
        "0 8 * * ? * *",
        "0 8 * * * *",
        "0 8 ? * ? *",
        "60 8 * * ? *",
        "0 24 * * ? *",
        "0 8 0 * ? *",
        "0 8 32 * ? *",
        "0 8 * 13 ? *",
        "0 8 * FOO ? *",
        "0 8 ? * 8 *",
        "0 8 ? * MON#6 *",
        "0 8 ? * MON#0 *",
        "0 8 ? * #2 *",
        "0 8 * * ? 1969",
        "0 8 * * ? 2200",
        "0 /0 * * ? *",
        "0 8, * * ? *",
        "0 -8 * * ? *",
        "0 ١ * * ? *",
        "0 8 XL * ? *",
        "0 8 W * ? *",
        "0 1e1 * * ? *",
        "0 99999999999999999999 * * ? *",
    ],
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(CronInvalid):
        parse(text)


@given(hour=st.integers(0, 23), day=st.integers(1, 28), days=st.integers(0, 30_000), minutes=st.integers(0, 1439))
def test_the_next_moment_is_later_and_none_lies_between(hour: int, day: int, days: int, minutes: int) -> None:
    start = datetime(1999, 1, 1, tzinfo=UTC) + timedelta(days=days, minutes=minutes)
    found = parse(f"0 {hour} {day} * ? *").after(start)
    assert found is not None
    assert found > start
    assert (found.hour, found.minute, found.day) == (hour, 0, day)
    assert found - start <= timedelta(days=31)


def test_summer_time_changes_nothing_since_all_is_utc() -> None:
    assert moments("0 2 * 3 ? *", 3, datetime(2027, 3, 27, 3, tzinfo=UTC)) == [
        "2027-03-28 02:00",
        "2027-03-29 02:00",
        "2027-03-30 02:00",
    ]


def test_the_last_day_of_every_month_is_one_of_them() -> None:
    days = parse("0 0 L * ? *").days
    assert [date(2028, 2, day) for day in (28, 29) if days.hold(date(2028, 2, day))] == [date(2028, 2, 29)]
