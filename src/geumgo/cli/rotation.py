"""`geumgo rotation`: what a schedule of rotation means before a secret has it, and how rotations stand."""

import json
import re
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geumgo.cli.plain import data_option, existing
from geumgo.domain.schedule import Schedule, ScheduleInvalid, after_days, parse_schedule

if TYPE_CHECKING:
    from geumgo.services.secretsmanager.rotation_report import Report

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


@rotation.command("status")
@click.argument("secret", required=False)
@data_option
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def status(secret: str | None, data: Path | None, config: Path | None, as_json: bool) -> None:
    """Say how the rotation of SECRET (a name or an ARN) stands, or that of every secret.

    Exit status 0 only when none fails, is overdue or was given up.
    """
    from geumgo import app
    from geumgo.services.secretsmanager.rotation_report import WRONG

    found = app.rotations(existing(config, data=data), secret)
    if as_json:
        click.echo(json.dumps([_for_machines(each) for each in found], indent=2))
    elif secret is None:
        for each in found:
            click.echo(f"{each.state:<10} {_shown(each.due_by_ms) or '-':<21} {each.name}  {each.last_error}".rstrip())
    else:
        for each in found:
            _show(each)
    if not found and not as_json:
        click.echo("No rotation was ever set up." if secret is None else f"{secret} was never set up for rotation.")
    sys.exit(1 if any(each.state in WRONG for each in found) or (secret is not None and not found) else 0)


def _show(report: "Report") -> None:
    lines = {
        "secret": report.arn,
        "state": report.state,
        "rotated by": report.rotator,
        "last rotation": _shown(report.rotated_at_ms),
        "next rotation by": _shown(report.due_by_ms),
        "next attempt": "runs now" if report.attempt_runs else _shown(report.next_attempt_at_ms),
        "step": report.step,
        "version in the making": report.version,
        "failures in a row": str(report.failures),
        "last error": f"{_shown(report.failed_at_ms)} {report.last_error}" if report.last_error else "",
    }
    for name, value in lines.items():
        click.echo(f"{name:<24} {value or 'none'}")


def _for_machines(report: "Report") -> dict[str, Any]:
    """Times as in ISO 8601."""
    return {
        name.removesuffix("_ms"): _shown(value) if name.endswith("_ms") else value
        for name, value in asdict(report).items()
    }


def _shown(at_ms: int | None) -> str | None:
    return None if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC).strftime(_FORM)


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
