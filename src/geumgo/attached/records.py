"""What is kept of an attached database."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from geumgo.context import Place
from geumgo.outbound.databases import Dialect

Kind = Literal["db", "cluster"]
Task = Literal["", "attach", "manage", "rotate", "change", "unmanage", "delete"]

CREATING: Final = "creating"
AVAILABLE: Final = "available"
RESETTING: Final = "resetting-master-credentials"
DELETING: Final = "deleting"
FAILED: Final = "failed"


@dataclass(frozen=True, slots=True)
class Database:
    """A database ("db") or a cluster of them that runs elsewhere, and whose master user is looked after. Times are Unix milliseconds.

    `task` is what is to be done to it, `token` names that very asking. `secret_arn` is empty unless the master password is managed.
    `password` and `next_password` are sealed: what its master user logs in with where that is not managed, and what he is to log in with.
    """

    partition: str
    account: str
    region: str
    kind: Kind
    identifier: str
    resource_id: str
    engine: str
    host: str
    port: int
    tls: bool
    database_name: str
    username: str
    created_at_ms: int
    kept: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    status: str = CREATING
    message: str = ""
    task: Task = ""
    token: str = ""
    asked_at_ms: int = 0
    secret_arn: str = ""
    secret_status: str = ""
    secret_key: str = ""
    password: bytes | None = None
    next_password: bytes | None = None
    revision: int = 1

    @property
    def place(self) -> Place:
        return Place(self.account, self.region, self.partition)

    @property
    def arn(self) -> str:
        raise NotImplementedError  # each service names its own

    @property
    def dialect(self) -> Dialect:
        """What it is spoken to in."""
        raise NotImplementedError  # each service knows its own engines
