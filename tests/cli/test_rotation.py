"""`geumgo rotation preview`: the windows of a schedule before a secret has it."""

import json

import pytest
from click.testing import CliRunner, Result

from geumgo.cli import group


def preview(*arguments: str) -> Result:
    return CliRunner().invoke(group, ["rotation", "preview", *arguments])


def test_a_preview_shows_the_next_ten_windows() -> None:
    shown = preview("cron(0 2 29 2 ? *)", "--duration", "3h", "--from", "2026-11-29T12:00:00Z")
    assert shown.exit_code == 0
    lines = shown.output.splitlines()
    assert len(lines) == 10
    assert lines[0] == "2028-02-29T02:00:00Z  2028-02-29T05:00:00Z"


def test_a_preview_for_machines_says_the_same() -> None:
    shown = preview("rate(10 days)", "--json", "--from", "2026-11-29T12:00:00Z")
    windows = json.loads(shown.output)
    assert len(windows) == 10
    assert windows[0] == {"opens": "2026-12-09T00:00:00Z", "closes": "2026-12-10T00:00:00Z"}


def test_a_number_is_a_number_of_days() -> None:
    since = ("--from", "2026-11-29T12:00:00Z")
    assert preview("10", *since).output == preview("rate(10 days)", *since).output


def test_without_a_time_the_windows_are_those_to_come() -> None:
    assert len(preview("rate(12 hours)").output.splitlines()) == 10


def test_a_schedule_without_moments_says_so() -> None:
    assert preview("cron(0 0 31 2 ? *)").output == "The schedule names no moment to come.\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["rate(3 hours)"], "a rate is at least 4 hours and at most 999 days."),
        (["rate(1000 days)"], "a rate is at least 4 hours and at most 999 days."),
        (["1001"], "the days between rotations are 1 to 1000."),
        (["cron(30 8 * * ? *)"], "a rotation window opens at a full hour"),
        (["tomorrow"], "a schedule is rate(N hours), rate(N days) or cron(fields)."),
        (["rate(1 day)", "--duration", "25h"], "a duration is 1h to 24h."),
        (["rate(1 day)", "--from", "tomorrow"], "tomorrow is no time like 2026-11-29T12:00:00Z."),
    ],
)
def test_what_secrets_manager_would_not_accept_is_refused_in_a_sentence(arguments: list[str], sentence: str) -> None:
    shown = preview(*arguments)
    assert shown.exit_code == 2
    assert sentence in " ".join(shown.output.split())
