"""`geumgo functions`: the ready-made rotation functions."""

from pathlib import Path

import click

from geumgo.rotation_functions import catalog


@click.group()
def functions() -> None:
    """Ready-made rotation functions, under the names of AWS's templates."""


@functions.command("list")
def list_functions() -> None:
    """Print the name of each function."""
    for name in sorted(catalog.FUNCTIONS):
        click.echo(name)


@functions.command("zip")
@click.argument("name", type=click.Choice(sorted(catalog.FUNCTIONS)), metavar="NAME")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The zip to write."
)
def zip_function(name: str, output: Path) -> None:
    """Write the zip that Lambda's CreateFunction takes; the same bytes each time."""
    with output.open("wb") as file:
        catalog.write_zip(name, file)
    click.echo(f"{output}: handler {catalog.HANDLER}")
