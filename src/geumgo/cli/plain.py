"""What every command shares: its settings, and the exceptions that are sentences for the operator."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from geumgo.audit import TrailBroken, TrailFull
from geumgo.sealing.envelope import BackupError
from geumgo.sealing.files import UnsafeFile
from geumgo.sealing.seals import SealError
from geumgo.sealing.shares import BadShare
from geumgo.settings import Settings, SettingsError, load
from geumgo.storage import StorageError

PLAIN = (BackupError, BadShare, SettingsError, SealError, UnsafeFile, StorageError, TrailBroken, TrailFull)

Command = TypeVar("Command", bound=Callable[..., Any])


def data_option(command: Command) -> Command:
    """`--data` and `--config`, which every command that looks at a data directory has."""
    command = click.option(
        "--data", type=click.Path(path_type=Path), help="The data directory (default ./geumgo-data)."
    )(command)
    return click.option(
        "--config", type=click.Path(path_type=Path), help="Settings file (default geumgo.toml in the data directory)."
    )(command)


def existing(config: Path | None, **flags: Any) -> Settings:
    """The settings of a data directory that is there. Raises SettingsError if it is not."""
    from geumgo import app

    settings = settings_of(config, **flags)
    if not app.initialised(settings):
        raise SettingsError(
            f"There is nothing of Geumgo in {settings.data}."
            f" Name its directory with --data, or make one: geumgo init --data {settings.data}"
        )
    return settings


def settings_of(config: Path | None, **flags: Any) -> Settings:
    return load(flags, os.environ, config)
