"""The function host: runs other people's code where it can reach nothing but what it was given. See docs/operate/functions.md.

`Functions` is what rooms see of it. Every invocation has a sandbox of its own, made for it and gone with it; see `sandbox` for the walls,
`inside` for what is in there, `reach` for whom a function may talk to.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Final, Protocol


class NotRun(Exception):
    """The function was not started. The message says why, in a sentence for the caller; nothing of it ran."""


class Busy(NotRun):
    """As many functions run as may run at a time. `reason` is Lambda's word for which limit it was."""

    def __init__(self, reason: str) -> None:
        super().__init__("Rate Exceeded.")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Task:
    """One invocation. `code` and `layers` are zip packages that `package.read` has accepted; `event` is JSON, at most 6 MiB.

    `environment` has the function's own variables, `credentials` those of its role: neither they, nor event and code, are ever printed.
    """

    request_id: str
    function_arn: str  # as it was invoked, with its qualifier
    name: str
    version: str
    handler: str
    region: str
    memory_mb: int
    timeout_s: int
    storage_mb: int  # of /tmp
    code: bytes = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)
    credentials: Mapping[str, str] = field(repr=False)  # AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
    event: bytes = field(repr=False)
    layers: tuple[bytes, ...] = field(default=(), repr=False)
    client_context: str = field(default="", repr=False)
    runtime: str = "python3.12"  # as CreateFunction was told
    most_at_once: int | None = (
        None  # invocations of this function anywhere, whatever its version; None: as many as run at all
    )

    @property
    def function(self) -> str:
        """The ARN of the function, without a qualifier."""
        return ":".join(self.function_arn.split(":")[:7])


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it went. `payload` is JSON: what the function answered, or the error that it ended with (`failed`).

    `log` is what it printed, between the lines that Lambda adds, without the values that it fetched; at most about 1 MiB.
    """

    payload: bytes = field(repr=False)
    failed: bool
    log: bytes = field(repr=False)


class Functions(Protocol):
    """Whoever runs functions: app joins the host."""

    def run(self, task: Task) -> Outcome:
        """`task` has run and everything that it started is gone. May take `timeout_s` and some seconds.

        Raises NotRun: it was not started.
        """
        ...

    def refuse(self, runtime: str) -> None:
        """Raises NotRun if no function of this runtime runs here; the message says why."""
        ...


class Seats(Protocol):
    """Who counts the invocations of functions with reserved concurrency: app joins the room."""

    def held(self, task: Task) -> AbstractContextManager[None]:
        """While it lasts the invocation counts. Raises Busy when there is no seat for it."""
        ...


class NoFunctions:
    """Nobody runs functions: what a Context has that was not told otherwise."""

    def run(self, task: Task) -> Outcome:  # noqa: ARG002
        raise NotRun("Functions do not run here.")

    def refuse(self, runtime: str) -> None:  # noqa: ARG002
        raise NotRun("Functions do not run here.")


NO_FUNCTIONS: Final = NoFunctions()
"""For a `Context` that was not told otherwise."""
