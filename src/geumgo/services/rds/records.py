"""What RDS keeps of an attached database."""

from typing import Final

from geumgo.attached import records as attached
from geumgo.attached.records import AVAILABLE, CREATING, DELETING, FAILED, RESETTING, Kind, Task
from geumgo.outbound.databases import Dialect
from geumgo.services.rds import domain

__all__ = ["AVAILABLE", "CLUSTER", "CREATING", "DELETING", "FAILED", "RESETTING", "Database", "Kind", "Task"]

CLUSTER: Final = "DBClusterIdentifier"
"""Among what is kept of an instance: the cluster that it belongs to."""


class Database(attached.Database):
    """A DB instance ("db") or a DB cluster."""

    __slots__ = ()

    @property
    def arn(self) -> str:
        return self.place.arn("rds", f"{self.kind}:{self.identifier}")

    @property
    def dialect(self) -> Dialect:
        return domain.DIALECTS[self.kind][self.engine]

    @property
    def is_member(self) -> bool:
        """Whether it is an instance of a cluster, which has the master user."""
        return CLUSTER in self.kept

    @property
    def is_protected(self) -> bool:
        return bool(self.kept.get("DeletionProtection"))
