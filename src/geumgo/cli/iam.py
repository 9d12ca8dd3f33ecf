"""`geumgo iam`: what the policies of this site come to."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from geumgo.cli.plain import data_option, settings_of


@click.group()
def iam() -> None:
    """Rights."""


@iam.command("explain")
@data_option
@click.option("--principal", required=True, help="ARN of a user, a role, a session of a role, or an account's root.")
@click.option("--action", required=True, help='Such as "secretsmanager:GetSecretValue".')
@click.option("--resource", default="*", show_default=True, help="ARN of what it would be done to.")
@click.option("--context", "given", multiple=True, metavar="KEY=VALUE", help="A condition key; again for more values.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def explain(
    data: Path | None,
    config: Path | None,
    principal: str,
    action: str,
    resource: str,
    given: tuple[str, ...],
    as_json: bool,
) -> None:
    """Say whether somebody may do something, and which statement of which policy says so.

    Asks the same code as the server's gate, with the policies that are stored now. Exit status 0: allowed; 1: denied.
    """
    from geumgo import app

    if ":" not in action:
        raise click.BadParameter("an action has a service and a name: secretsmanager:GetSecretValue")
    try:
        found = app.explain(settings_of(config, data=data), principal, action, resource, keys_of(given))
    except app.NoSuchPrincipal as fault:
        raise click.UsageError(str(fault)) from None
    if as_json:
        click.echo(json.dumps(asdict(found), indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(told(found)))
    sys.exit(0 if found.allowed else 1)


def keys_of(given: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """The condition keys of the command line. Raises click.BadParameter."""
    keys: dict[str, tuple[str, ...]] = {}
    for each in given:
        key, equals, value = each.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"{each!r} is not KEY=VALUE")
        keys[key] = (*keys.get(key, ()), value)
    return keys


def told(found: Any) -> list[str]:
    """An explanation as lines."""
    lines = [
        f"{'ALLOWED' if found.allowed else 'DENIED'}  {found.action}",
        f"  principal        {found.principal}",
        f"  resource         {found.resource}",
        f"  reason           {found.reason}",
    ]
    if found.statement:
        lines.append(f"  decided by       statement {found.statement} of {found.policy or 'a grant'}")
    if found.text:
        lines.append(f"                   {found.text}")
    lines += [
        f"  identity         {', '.join(found.identity_policies) or 'no policy'}",
        f"  boundary         {found.boundary or 'none'}",
        f"  resource policy  {'yes' if found.resource_policy else 'none'}",
    ]
    if found.missing:
        lines.append(f"  not given        {', '.join(found.missing)} (see --context)")
    return lines
