"""`geumgo status` and `geumgo audit`: one screen each, exit status 0 only when all is well."""

import json
import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import click

from geumgo.cli.plain import data_option, existing


@click.command()
@data_option
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def status(data: Path | None, config: Path | None, as_json: bool) -> None:
    """Say how the data directory is."""
    from geumgo import app

    found = app.status(existing(config, data=data))
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        for name, value in found.items():
            click.echo(
                f"{name.replace('_', ' '):<24} {value if not isinstance(value, list) else '; '.join(value) or 'none'}"
            )
    sys.exit(1 if found["problems"] else 0)


@click.group()
def audit() -> None:
    """The trail."""


@audit.command("verify")
@data_option
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def verify(data: Path | None, config: Path | None, as_json: bool) -> None:
    """Check every chain of the trail: any edit, loss or reordering is named."""
    from geumgo import app

    report = app.verify_trail(existing(config, data=data))
    if as_json:
        click.echo(json.dumps(asdict(report), indent=2, default=str))
    else:
        for problem in report.problems:
            click.echo(str(problem))
        click.echo(
            f"{report.records} records in {report.chains} chains{f', {report.pruned} older ones pruned' if report.pruned else ''}: "
            f"{'all is well' if not report.problems else 'NOT well'}"
        )
    sys.exit(1 if report.problems else 0)


@audit.command("tail")
@data_option
@click.option("--lines", "-n", type=int, default=20, show_default=True)
def tail(data: Path | None, config: Path | None, lines: int) -> None:
    """Print the newest records, one JSON object a line."""
    from geumgo import app

    for record in app.read_trail(existing(config, data=data))[-lines:]:
        click.echo(json.dumps(record, ensure_ascii=True))


@audit.command("export")
@data_option
@click.option("--since", type=click.DateTime(), help="Only records from this time on (UTC).")
@click.option("--until", type=click.DateTime(), help="Only records before this time (UTC).")
def export(data: Path | None, config: Path | None, since: datetime | None, until: datetime | None) -> None:
    """Print records as CloudTrail keeps them, one JSON object a line, oldest first."""
    from geumgo import app

    first, end = (moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else "" for moment in (since, until))
    for record in app.read_trail(existing(config, data=data)):
        at = record.get("eventTime", "")  # `verify` names a line that has none
        if at >= first and (not end or at < end):
            click.echo(json.dumps(record, ensure_ascii=True))
