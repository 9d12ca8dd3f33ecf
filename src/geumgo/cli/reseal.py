"""`geumgo reseal`: put another seal on the root keys, then take the old one off."""

import sys
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
@click.option("--shares", type=int, metavar="N", help="Split a new key into N shares, which are printed once.")
@click.option("--threshold", type=int, metavar="K", help="So many of them are needed.")
@click.option("--entered-shares", is_flag=True, help="For --drop: the shares, a line each, on standard input.")
def reseal(
    data: Path | None,
    config: Path | None,
    step: str | None,
    seal_file: Path | None,
    passphrase_file: Path | None,
    shares: int | None,
    threshold: int | None,
    entered_shares: bool,
) -> None:
    """Change what opens the root keys. Nothing that they sealed is touched."""
    from geumgo.app import seals

    named_so = [seal_file is not None, passphrase_file is not None, shares is not None, entered_shares]
    if step is None or sum(named_so) != 1 or (shares is None) != (threshold is None):
        raise click.UsageError(
            "say --add or --drop, and one of --seal-file, --passphrase-file, --shares with --threshold, --entered-shares"
        )
    settings = existing(config, data=data)
    if shares is not None and threshold is not None:
        if step != "add":
            raise click.UsageError("--shares is for --add; to drop such a seal, enter its shares with --entered-shares")
        made = seals.add_shares(settings, threshold=threshold, count=shares)
        click.echo(
            f"Any {threshold} of these open the root keys. They are shown this once; give each to somebody else.\n"
        )
        click.echo("\n".join(made))
        click.echo('\nSet seal = "shares", restart, enter them with `geumgo unseal`, then --drop the old one.')
        return
    if entered_shares:
        if step != "drop":
            raise click.UsageError("--entered-shares is for --drop")
        seals.drop_shares(settings, [line for line in sys.stdin.read().splitlines() if line.strip()])
        click.echo("Those shares open these root keys no more. Backups made before still open with them.")
        return
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
