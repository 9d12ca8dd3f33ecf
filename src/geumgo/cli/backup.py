"""`geumgo backup`, `geumgo verify` and `geumgo restore`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from geumgo.cli.plain import data_option, existing, settings_of

file_argument = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
key_option = click.option(
    "--key", type=click.Path(path_type=Path), required=True, help="The file that --new-recipient wrote."
)
seal_option = click.option(
    "--seal-file", type=click.Path(path_type=Path), help="The seal of the server that was backed up."
)
json_option = click.option("--json", "as_json", is_flag=True, help="For machines.")


@click.command()
@data_option
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option(
    "--new-recipient", type=click.Path(path_type=Path), help="Make a key that opens backups; keep it elsewhere."
)
@json_option
def backup(
    data: Path | None, config: Path | None, file: Path | None, new_recipient: Path | None, as_json: bool
) -> None:
    """Write FILE: everything that this server keeps, as of one moment, encrypted and signed. The server may run."""
    from geumgo.app import backups

    settings = existing(config, data=data)
    if file is None and new_recipient is None:
        raise click.UsageError("name the file to write, or a key file with --new-recipient")
    if new_recipient is not None:
        backups.add_recipient(settings, new_recipient)
        click.echo(f"The key that opens backups is in {new_recipient}. Keep it away from this machine.", err=True)
    if file is not None:
        _show(backups.backup(settings, file), as_json, f"Backed up to {file}")


@click.command()
@data_option
@file_argument
@key_option
@seal_option
@json_option
def verify(
    data: Path | None, config: Path | None, file: Path, key: Path, seal_file: Path | None, as_json: bool
) -> None:
    """Check every byte of the backup FILE with the recipient's key and the seal. Keeps nothing."""
    from geumgo.app import backups

    settings = settings_of(config, data=data, seal_file=str(seal_file) if seal_file else None)
    _show(backups.verify_backup(settings, file, key), as_json, f"{file} is whole and signed")


@click.command()
@data_option
@file_argument
@key_option
@seal_option
@click.option(
    "--trail", type=click.Path(path_type=Path, file_okay=False), help="A newer audit directory of that server."
)
@json_option
def restore(
    data: Path | None,
    config: Path | None,
    file: Path,
    key: Path,
    seal_file: Path | None,
    trail: Path | None,
    as_json: bool,
) -> None:
    """Put the backup FILE into an empty data directory, and name the access keys that were revoked after it was made."""
    from geumgo.app import backups

    settings = settings_of(config, data=data, seal_file=str(seal_file) if seal_file else None)
    found = backups.restore(settings, file, key)
    since = found.made_at_ms
    revoked = sorted(
        {line for place in (settings.audit, trail) if place for line in backups.revoked_since(place, since)}
    )
    _show(found, as_json, f"Restored to {settings.data}", revoked=revoked)
    if revoked and not as_json:
        click.echo("Revoked since the backup, and valid again unless you revoke them now:")
        for line in revoked:
            click.echo(f"    {line}")


def _show(found: Any, as_json: bool, sentence: str, **more: Any) -> None:
    if as_json:
        click.echo(json.dumps({**asdict(found), **more}, indent=2))
    else:
        click.echo(f"{sentence}: {sum(found.rows.values())} rows, {len(found.members)} files.")
