"""`geumgo account`: tenants of one server, who cannot see each other but through resource policies."""

import json
import re
from pathlib import Path

import click

from geumgo.cli.plain import data_option, existing


@click.group()
def account() -> None:
    """Accounts of this site."""


@account.command("create")
@data_option
@click.argument("account_id")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def create(data: Path | None, config: Path | None, account_id: str, as_json: bool) -> None:
    """Make an account with its administrator, and print its access key once."""
    from geumgo import app

    if not re.fullmatch(r"\d{12}", account_id):
        raise click.BadParameter("an account id is twelve digits")
    try:
        first = app.create_account(existing(config, data=data), account_id)
    except app.AccountExists:
        raise click.ClickException(f"The account {account_id} is there already; nothing was changed.") from None
    if as_json:
        click.echo(
            json.dumps(
                {
                    "Account": first.account,
                    "AccessKeyId": first.access_key_id,
                    "SecretAccessKey": first.secret_access_key,
                }
            )
        )
        return
    click.echo(f"Account {first.account}, user admin. This key is shown once:\n")
    click.echo(
        f"    export AWS_ACCESS_KEY_ID={first.access_key_id}\n    export AWS_SECRET_ACCESS_KEY={first.secret_access_key}"
    )
