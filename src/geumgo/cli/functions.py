"""`geumgo functions`: the ready-made functions, for rotation and for what Config finds."""

import glob
import json
import os
from pathlib import Path

import click

from geumgo.automation_functions import catalog as automation
from geumgo.cli.client import from_environment
from geumgo.cli.install import Installer, Wanted
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


@functions.command("install")
@click.argument("names", nargs=-1, required=True, type=click.Choice(sorted(rotation.FUNCTIONS)), metavar="NAME...")
@click.option("--role", default="", metavar="ARN", help="The execution role; none: one of the function's name is made.")
@click.option(
    "--master-secret", "masters", multiple=True, metavar="ARN", help="A secret that masterarn names; again for more."
)
@click.option("--user", "users", multiple=True, help="An IAM user whose access keys it may change; again for more.")
@click.option(
    "--kms-key", "keys", multiple=True, metavar="ARN", help="The key of a secret that it rotates; again for more."
)
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def install(
    names: tuple[str, ...],
    role: str,
    masters: tuple[str, ...],
    users: tuple[str, ...],
    keys: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make the rotation function NAME in Lambda, with a role and Secrets Manager's permission to invoke it.

    What is there already is brought up to date. The function is made in the account and region of the access key, which is found as AWS's
    tools find it (AWS_ENDPOINT_URL and so on).
    """
    installer = Installer(*(from_environment(each, os.environ) for each in ("iam", "sts", "lambda")))
    done = {}
    for wanted in [Wanted(name, masters, users, keys, role) for name in dict.fromkeys(names)]:
        made = installer.install(wanted)
        done[wanted.name] = {"arn": made.arn, "changed": made.changed}
        if not as_json:
            click.echo(f"{made.arn}: {', '.join(made.changed) or 'as it was'}")
    if as_json:
        click.echo(json.dumps(done, indent=2))


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
