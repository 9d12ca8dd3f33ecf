"""`geumgo run --path app/prod -- CMD`: a command with secrets in its environment, and nowhere else."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import click

from geumgo.cli.client import Client, from_environment

PAGE: Final = 100
BATCH: Final = 20  # secrets of one BatchGetSecretValue. Source: SecretIdListType of the service model
SECRETS: Final = 1_000
STEERS: Final = re.compile(
    r"PATH|IFS|ENV|BASH_ENV|BASH_FUNC.*|SHELL|SHELLOPTS|BASHOPTS|HOME|PS4|PROMPT_COMMAND|EDITOR|VISUAL|PAGER|TMPDIR"
    r"|LD_.*|DYLD_.*|GCONV_PATH|GLIBC_TUNABLES|HOSTALIASES|LOCALDOMAIN|RES_OPTIONS|NLSPATH|LOCPATH|MALLOC_.*"
    r"|PYTHON.*|PERL5.*|PERLLIB|RUBY.*|NODE_OPTIONS|NODE_PATH|GIT_.*|SSH_ASKPASS|CLASSPATH|.*JAVA_OPTIONS|JAVA_TOOL_OPTIONS"
)
"""Variables that say what a program runs or loads. Whoever may write a secret shall not become who runs the command."""
NOT_FOUND: Final = 127
NOT_RUNNABLE: Final = 126


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--path", required=True, metavar="NAME", help="Secrets named NAME, and all whose names begin with NAME/.")
@click.option("--prefix", default="", metavar="TEXT", help="What each variable's name begins with.")
@click.option("--only", multiple=True, metavar="VARIABLE", help="Only this variable; may be repeated.")
@click.option("--upper", is_flag=True, help="Names of variables in capitals.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(path: str, prefix: str, only: tuple[str, ...], upper: bool, command: tuple[str, ...]) -> None:
    """Run COMMAND with secrets in its environment.

    A secret that is a JSON object becomes one variable for each of its keys, any other secret one variable that has the last part of
    its name. Endpoint, region and access key are taken from AWS_ENDPOINT_URL and so on, as AWS's tools do.
    """
    client = from_environment("secretsmanager", os.environ)
    variables = variables_of(fetch(client, path.rstrip("/")), prefix, upper=upper)
    missing = sorted(set(only) - variables.keys())
    if missing:
        raise click.ClickException(f"No secret under {path} gives the variable {', '.join(missing)}. Nothing was run.")
    chosen = {name: value for name, value in variables.items() if not only or name in only}
    try:
        os.execvpe(command[0], command, {**os.environ, **chosen})  # noqa: S606  to run it is what was asked for
    except OSError as fault:
        click.echo(f"geumgo: {command[0]} cannot be run: {fault.strerror}.", err=True)
        raise SystemExit(NOT_FOUND if isinstance(fault, FileNotFoundError) else NOT_RUNNABLE) from None


def fetch(client: Client, path: str) -> Iterator[tuple[str, str]]:
    """Name and value of each secret. Raises ClientError, and ClickException if one of them cannot be had: all or nothing."""
    names = list(listed(client, path))
    if not names:
        raise click.ClickException(f"There is no secret under {path}. Nothing was run.")
    for start in range(0, len(names), BATCH):
        answer = client.ask("BatchGetSecretValue", {"SecretIdList": names[start : start + BATCH]})
        for error in answer.get("Errors", []):
            raise click.ClickException(
                f"{error.get('SecretId')} cannot be read: {error.get('ErrorCode')}: {error.get('Message')} Nothing was run."
            )
        for value in answer["SecretValues"]:
            yield value["Name"], value.get("SecretString", value.get("SecretBinary", ""))


def listed(client: Client, path: str) -> Iterator[str]:
    token: dict[str, str] = {}
    count = 0
    while True:
        filters = [{"Key": "name", "Values": [path]}]
        answer = client.ask("ListSecrets", {"Filters": filters, "MaxResults": PAGE, **token})
        for secret in answer["SecretList"]:
            name = secret["Name"]
            if name == path or name.startswith(f"{path}/"):
                count += 1
                if count > SECRETS:
                    raise click.ClickException(f"More than {SECRETS} secrets are under {path}. Name a longer path.")
                yield name
        if "NextToken" not in answer:
            return
        token = {"NextToken": answer["NextToken"]}


def variables_of(secrets: Iterator[tuple[str, str]], prefix: str, *, upper: bool) -> dict[str, str]:
    """The environment that the secrets make. Raises ClickException if a name steers programs or is there twice."""
    found: dict[str, str] = {}
    origin: dict[str, str] = {}
    for secret, text in secrets:
        for key, value in parts(secret, text).items():
            name = re.sub(r"[^A-Za-z0-9_]", "_", prefix + key)
            name = name.upper() if upper else name
            refuse_name(name, secret, origin)
            if "\0" in value:
                raise click.ClickException(f"The secret {secret} has a zero byte, which no variable can hold.")
            found[name], origin[name] = value, secret
    return found


def refuse_name(name: str, secret: str, origin: Mapping[str, str]) -> None:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise click.ClickException(
            f"The secret {secret} would set a variable {name!r}, which is no name. Use --prefix."
        )
    if STEERS.fullmatch(name.upper()):
        raise click.ClickException(
            f"The secret {secret} would set {name}, which says what programs run or load. Rename it, or use --prefix."
        )
    if name in origin:
        raise click.ClickException(
            f"The secrets {origin[name]} and {secret} both set {name}. Rename one, or name a longer path."
        )


def parts(secret: str, text: str) -> dict[str, str]:
    """What one secret says: by key if it is a JSON object, else under the last part of its name."""
    try:
        found: Any = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        return {secret.rpartition("/")[2]: text}
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in found.items()}
