"""`geumgo functions`: the ready-made functions, for rotation and for what Config finds."""

import glob
from pathlib import Path

import click

from geumgo.automation_functions import catalog as automation
from geumgo.cli.plain import data_option, settings_of
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


@functions.command("log")
@data_option
@click.argument("name")
@click.option(
    "--account", help="The account's id; needed where functions of several accounts or regions have that name."
)
@click.option("--region", help="The region; likewise.")
def print_log(data: Path | None, config: Path | None, name: str, account: str | None, region: str | None) -> None:
    """Print what the function NAME has printed, oldest first, without the secrets that it has read."""
    directory = settings_of(config, data=data).data / "functions"
    places = sorted(
        {
            path.parent
            for pattern in (f"{name}.log", f"{name}.log.1")
            for path in directory.glob(f"*/*/{glob.escape(pattern)}")
        }
    )
    found = [each for each in places if account in (None, each.parent.name) and region in (None, each.name)]
    if not found:
        raise click.ClickException(f"No function {name} has run here.")
    if len(found) > 1:
        where = ", ".join(f"{each.parent.name} in {each.name}" for each in found)
        raise click.ClickException(f"There are several: {where}. Name one with --account and --region.")
    for file in (f"{name}.log.1", f"{name}.log"):
        path = found[0] / file
        if path.exists():
            click.echo(path.read_bytes(), nl=False)


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
