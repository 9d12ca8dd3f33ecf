"""`geumgo reseal`: put another seal on the root keys, then take the old one off."""

from dataclasses import replace
from pathlib import Path

import click

from geumgo.cli.plain import data_option, existing
from geumgo.settings import Settings


@click.command()
@data_option
@click.option("--add", "step", flag_value="add", help="Put one more seal on; the present one goes on working.")
@click.option("--drop", "step", flag_value="drop", help="Take a seal off, once the settings name another that works.")
@click.option(
    "--seal-file", type=click.Path(path_type=Path, dir_okay=False), help="Its file; --add makes a missing one."
)
@click.option(
    "--passphrase-file", type=click.Path(path_type=Path, dir_okay=False), help="The file with its passphrase."
)
def reseal(
    data: Path | None, config: Path | None, step: str | None, seal_file: Path | None, passphrase_file: Path | None
) -> None:
    """Change what opens the root keys. Nothing that they sealed is touched."""
    from geumgo.app import seals

    if step is None or (seal_file is None) == (passphrase_file is None):
        raise click.UsageError("say --add or --drop, and either --seal-file or --passphrase-file")
    settings = existing(config, data=data)
    named = _named(settings, seal_file, passphrase_file)
    if step == "add":
        seals.add(settings, named)
        click.echo(f"The new seal works. Set seal = {named.seal!r} and its file, restart, then --drop the old one.")
    else:
        seals.drop(settings, named)
        click.echo("That seal opens these root keys no more. Backups made before still open with it.")


def _named(settings: Settings, seal_file: Path | None, passphrase_file: Path | None) -> Settings:
    if seal_file is not None:
        return replace(settings, seal="file", seal_file=str(seal_file))
    return replace(settings, seal="passphrase", passphrase_file=str(passphrase_file))
