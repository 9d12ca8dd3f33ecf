"""`geumgo functions`: the ready-made functions, for rotation and for what Config finds."""

from pathlib import Path

import click

from geumgo.automation_functions import catalog as automation
from geumgo.rotation_functions import catalog as rotation

CATALOGS = {
    **dict.fromkeys(rotation.FUNCTIONS, rotation),
    **dict.fromkeys(automation.FUNCTIONS, automation),
}


@click.group()
def functions() -> None:
    """Ready-made functions: for rotation, under the names of AWS's templates, and for secrets that nobody uses."""


@functions.command("list")
def list_functions() -> None:
    """Print the name of each function."""
    for name in sorted(CATALOGS):
        click.echo(name)


@functions.command("zip")
@click.argument("name", type=click.Choice(sorted(CATALOGS)), metavar="NAME")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The zip to write."
)
def zip_function(name: str, output: Path) -> None:
    """Write the zip that Lambda's CreateFunction takes; the same bytes each time."""
    with output.open("wb") as file:
        CATALOGS[name].write_zip(name, file)
    click.echo(f"{output}: handler {rotation.HANDLER}")
