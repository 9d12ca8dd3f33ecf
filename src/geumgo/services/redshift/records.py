"""What Redshift keeps of an attached cluster."""

from typing import Final

from geumgo.attached import records as attached
from geumgo.outbound.databases import Dialect

KIND: Final[attached.Kind] = "cluster"
ENGINE: Final = "redshift"


class Cluster(attached.Database):
    """A cluster, by its admin user."""

    __slots__ = ()

    @property
    def arn(self) -> str:
        return self.place.arn("redshift", f"cluster:{self.identifier}")

    @property
    def dialect(self) -> Dialect:
        return "redshift"
