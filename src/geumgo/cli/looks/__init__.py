"""What `geumgo doctor` looks at, one module for each kind of thing: files, the machine, the processes of the server."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "advice", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `next` says what to do; empty if nothing."""

    what: str
    level: Level
    detail: str
    next: str = ""
