"""The command line. Each command is a module, imported when it is called: `geumgo serve` need not load what `geumgo run` needs."""

import importlib
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from typing import Any

import click

COMMANDS = {
    "serve": "geumgo.cli.serve:serve",
    "init": "geumgo.cli.serve:init",
    "status": "geumgo.cli.inspect:status",
    "audit": "geumgo.cli.inspect:audit",
    "doctor": "geumgo.cli.doctor:doctor",
    "backup": "geumgo.cli.backup:backup",
    "restore": "geumgo.cli.backup:restore",
    "verify": "geumgo.cli.backup:verify",
    "unseal": "geumgo.cli.unseal:unseal",
    "reseal": "geumgo.cli.reseal:reseal",
    "rekey": "geumgo.cli.rekey:rekey",
    "account": "geumgo.cli.account:account",
    "iam": "geumgo.cli.iam:iam",
    "run": "geumgo.cli.run:run",
    "functions": "geumgo.cli.functions:functions",
    "rotation": "geumgo.cli.rotation:rotation",
    "report": "geumgo.cli.report:report",
}


_PIPELINE = find_spec("geumgo.pipeline")
HOW = "compiled" if _PIPELINE and (_PIPELINE.origin or "").endswith(tuple(EXTENSION_SUFFIXES)) else "interpreted"
"""Whether the hot path is compiled. See docs/operate/running.md."""


class Lazy(click.Group):
    """A group whose commands are imported when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].split(":")
        found: click.Command = getattr(importlib.import_module(module), name)
        return found


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="geumgo", message=f"%(prog)s, version %(version)s, {HOW}")
def group() -> None:
    """Geumgo: a self-hosted secrets manager that speaks AWS's wire protocols."""


def main(arguments: list[str] | None = None) -> Any:
    """Run a command. What the operator must know is one plain sentence on stderr, and exit status 1."""
    try:
        return group.main(args=arguments, prog_name="geumgo", standalone_mode=True)
    except OSError as fault:  # the disk is full, cannot be written, is not ours
        where = f"{fault.filename}: " if fault.filename is not None else ""
        click.echo(f"geumgo: {where}{fault.strerror or fault}.", err=True)
        sys.exit(1)
    except Exception as fault:
        from geumgo.cli.plain import PLAIN

        if not isinstance(fault, PLAIN):
            raise
        click.echo(f"geumgo: {fault}", err=True)
        sys.exit(1)
