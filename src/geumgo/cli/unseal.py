"""`geumgo unseal`: enter one share at a server that waits for its root keys."""

import sys
from pathlib import Path

import click

from geumgo.cli.plain import data_option, settings_of


@click.command()
@data_option
def unseal(data: Path | None, config: Path | None) -> None:
    """Enter a share: hidden at the prompt, or one line of standard input. It is never an argument, where others would see it."""
    from geumgo.app import unsealing

    settings = settings_of(config, data=data)
    text = click.prompt("Share", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()
    told = unsealing.offer(settings, text)
    if told["open"]:
        click.echo("The root keys are open; the server starts.")
    else:
        click.echo(f"{told['given']} of {told['needed']} shares are entered.")
