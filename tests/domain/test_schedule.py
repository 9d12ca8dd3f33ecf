"""When a secret rotates: windows, what was missed, and how many secrets share a window."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geumgo.domain.schedule import Schedule, ScheduleInvalid, Window, after_days, parse_schedule

NOW = datetime(2026, 11, 29, 12, 30, tzinfo=UTC)


def shown(window: Window | None) -> tuple[str, str] | None:
    return (
        None if window is None else (window.opens_at.strftime("%m-%d %H:%M"), window.closes_at.strftime("%m-%d %H:%M"))
    )


@pytest.mark.parametrize(
    ("expression", "duration", "opens", "closes"),
    [
        ("rate(10 days)", None, "12-09 00:00", "12-10 00:00"),
        ("rate(1 day)", None, "11-30 00:00", "12-01 00:00"),
        ("rate(10 days)", "3h", "12-09 00:00", "12-09 03:00"),
        ("rate(4 hours)", None, "11-29 16:00", "11-29 17:00"),
        ("rate(8 hours)", "2h", "11-29 16:00", "11-29 18:00"),
        ("cron(0 8 * * ? *)", None, "11-30 08:00", "12-01 00:00"),
        ("cron(0 8 * * ? *)", "2h", "11-30 08:00", "11-30 10:00"),
        ("cron(0 /8 * * ? *)", None, "11-29 16:00", "11-29 17:00"),
        ("cron(0 16 1,15 * ? *)", "2h", "12-01 16:00", "12-01 18:00"),
    ],
)
def test_the_next_window(expression: str, duration: str | None, opens: str, closes: str) -> None:
    assert shown(parse_schedule(expression, duration).next_window(NOW, NOW)) == (opens, closes)


def test_late_and_early_hours_of_days_that_do_not_follow_each_other_are_far_apart() -> None:
    assert shown(parse_schedule("cron(0 2,23 15 * ? *)").next_window(NOW, NOW)) == ("12-15 02:00", "12-15 03:00")


def test_days_open_their_window_at_midnight() -> None:
    assert shown(after_days(30).next_window(NOW, NOW)) == ("12-29 00:00", "12-30 00:00")


@pytest.mark.parametrize(
    ("expression", "duration"),
    [
        ("rate(3 hours)", None),
        ("rate(0 days)", None),
        ("rate(1000 days)", None),
        ("rate(24000 hours)", None),
        ("rate(1.5 days)", None),
        ("rate(10 weeks)", None),
        ("rate(10days)", None),
        ("Rate(10 days)", None),
        ("rate(٣ days)", None),
        ("cron(15 8 * * ? *)", None),
        ("cron(0 8 * * ? 2027)", None),
        ("cron(0 8 * * * *)", None),
        ("cron(0 /3 * * ? *)", None),
        ("cron(0 2,23 * * ? *)", None),  # three hours, across midnight
        ("cron(0 8 * * ? *", None),
        ("at(2026-11-29T12:00)", None),
        ("", None),
        ("rate(10 days)", "0h"),
        ("rate(10 days)", "25h"),
        ("rate(10 days)", "3"),
        ("rate(4 hours)", "5h"),
        ("cron(0 /8 * * ? *)", "9h"),
        ("cron(0 22 * * ? *)", "3h"),
    ],
)
def test_what_is_no_schedule_is_refused(expression: str, duration: str | None) -> None:
    with pytest.raises(ScheduleInvalid):
        parse_schedule(expression, duration)


@pytest.mark.parametrize("days", [0, -1, 1001])
def test_the_days_between_rotations_have_a_range(days: int) -> None:
    with pytest.raises(ScheduleInvalid):
        after_days(days)


def test_a_server_that_was_down_for_a_week_owes_one_rotation() -> None:
    daily = parse_schedule("cron(0 8 * * ? *)", "2h")
    back = NOW + timedelta(days=7)
    owed = daily.next_window(NOW, back)
    assert shown(owed) == ("12-07 08:00", "12-07 10:00")
    assert owed is not None
    assert shown(daily.next_window(owed.opens_at, back)) == ("12-08 08:00", "12-08 10:00")


@pytest.mark.parametrize("expression", ["cron(0 8 * * ? *)", "rate(1 day)"])
def test_a_window_that_is_open_is_still_to_be_used(expression: str) -> None:
    schedule, in_it = parse_schedule(expression), datetime(2026, 12, 2, 9, tzinfo=UTC)
    window = schedule.next_window(NOW, in_it)
    assert window is not None
    assert window.opens_at <= in_it < window.closes_at


def test_a_schedule_that_names_no_moment_has_no_window() -> None:
    assert parse_schedule("cron(0 8 31 2 ? *)").next_window(NOW, NOW) is None


def test_the_next_dates_are_shown_in_order() -> None:
    windows = parse_schedule("cron(0 16 1,15 * ? *)").windows(NOW, 10)
    assert len(windows) == 10
    assert windows == sorted(windows, key=lambda each: each.opens_at)
    assert [each.opens_at.day for each in windows[:4]] == [1, 15, 1, 15]


def test_many_secrets_with_one_schedule_do_not_rotate_at_once() -> None:
    window = Window(NOW.replace(minute=0), NOW.replace(minute=0) + timedelta(hours=1))
    moments = [window.moment(f"arn:aws:secretsmanager:us-east-1:123456789012:secret:{n}") for n in range(200)]
    assert all(window.opens_at <= each < window.closes_at for each in moments)
    minutes = Counter(each.minute for each in moments)
    assert len(minutes) == 30, "the first half of the hour is used, every minute of it"
    assert max(minutes.values()) < 25


def test_a_secret_keeps_its_moment() -> None:
    window = Window(NOW, NOW + timedelta(hours=1))
    assert window.moment("db") == window.moment("db")


SCHEDULES = st.one_of(
    st.integers(4, 500).map(lambda hours: parse_schedule(f"rate({hours} hours)")),
    st.integers(1, 999).map(lambda days: parse_schedule(f"rate({days} days)")),
    st.integers(0, 23).map(lambda hour: parse_schedule(f"cron(0 {hour} ? * MON,THU *)")),
)


@given(
    schedule=SCHEDULES,
    since=st.timedeltas(timedelta(0), timedelta(days=3650)),
    later=st.timedeltas(timedelta(0), timedelta(days=3650)),
)
def test_a_window_is_never_over_and_never_one_that_was_used(
    schedule: Schedule, since: timedelta, later: timedelta
) -> None:
    rotated = datetime(2020, 1, 1, tzinfo=UTC) + since
    window = schedule.next_window(rotated, rotated + later)
    assert window is not None
    assert window.opens_at > rotated
    assert window.closes_at > rotated + later
    assert window.opens_at < window.closes_at
    assert window.closes_at - window.opens_at <= timedelta(days=1)
    assert rotated < window.opens_at <= window.moment("db") < window.closes_at
