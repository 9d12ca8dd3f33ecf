"""`geumgo rotation`: what a schedule of rotation means, before a secret has it."""

import json
import re
import time
from datetime import UTC, datetime

import click

from geumgo.domain.schedule import Schedule, ScheduleInvalid, after_days, parse_schedule

DATES = 10  # that a preview shows
_FORM = "%Y-%m-%dT%H:%M:%SZ"
_DAYS = re.compile(r"[0-9]{1,4}")


@click.group()
def rotation() -> None:
    """Rotation of secrets."""


@rotation.command("preview")
@click.argument("schedule")
@click.option("--duration", help="How long a window lasts, in hours: 3h.")
@click.option("--from", "start", metavar="TIME", help="The last rotation, as 2026-11-29T12:00:00Z (default now).")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def preview(schedule: str, duration: str | None, start: str | None, as_json: bool) -> None:
    """Print the next ten windows of SCHEDULE, all in UTC.

    SCHEDULE is 'rate(10 days)', 'cron(0 8 1 * ? *)', or a number of days as in AutomaticallyAfterDays. Each window is printed as the
    moment when it opens and the moment when it has closed, which is NextRotationDate. Nothing is asked of a server.
    """
    windows = _read(schedule, duration).windows(_moment(start), DATES)
    shown = [(each.opens_at.strftime(_FORM), each.closes_at.strftime(_FORM)) for each in windows]
    if as_json:
        click.echo(json.dumps([{"opens": opens, "closes": closes} for opens, closes in shown]))
        return
    for opens, closes in shown:
        click.echo(f"{opens}  {closes}")
    if not shown:
        click.echo("The schedule names no moment to come.")


def _read(schedule: str, duration: str | None) -> Schedule:
    try:
        return after_days(int(schedule), duration) if _DAYS.fullmatch(schedule) else parse_schedule(schedule, duration)
    except ScheduleInvalid as fault:
        raise click.UsageError(f"{fault}.") from None


def _moment(text: str | None) -> datetime:
    if text is None:
        return datetime.fromtimestamp(int(time.time()), UTC)
    try:
        return datetime.strptime(text, _FORM).replace(tzinfo=UTC)
    except ValueError:
        raise click.UsageError(f"{text} is no time like 2026-11-29T12:00:00Z.") from None
