"""The refusals of RDS, in the words of the query protocol.

Unverified: the messages that name no source.
"""

from geumgo.errors import ServiceError
from geumgo.services.rds.records import Kind


class InvalidParameterValue(ServiceError):
    """A parameter is not what it may be. Source: common errors, RDS API reference."""

    code = "InvalidParameterValue"


class InvalidParameterCombination(ServiceError):
    """Parameters that do not go together. Source: common errors, RDS API reference."""

    code = "InvalidParameterCombination"


class InstanceAlreadyExists(ServiceError):
    """Source: DBInstanceAlreadyExists, API reference. Unverified: the message."""

    code = "DBInstanceAlreadyExists"


class ClusterAlreadyExists(ServiceError):
    """Source: DBClusterAlreadyExistsFault, API reference. Unverified: the message."""

    code = "DBClusterAlreadyExistsFault"


class InstanceNotFound(ServiceError):
    """Source: DBInstanceNotFound, API reference. Unverified: the message."""

    code = "DBInstanceNotFound"
    status = 404


class ClusterNotFound(ServiceError):
    """Source: DBClusterNotFoundFault, API reference. Unverified: the message."""

    code = "DBClusterNotFoundFault"
    status = 404


class InvalidInstanceState(ServiceError):
    """Source: InvalidDBInstanceState, API reference."""

    code = "InvalidDBInstanceState"


class InvalidClusterState(ServiceError):
    """Source: InvalidDBClusterStateFault, API reference."""

    code = "InvalidDBClusterStateFault"


class ClusterStillHasInstances(InvalidClusterState):
    """Unverified: the message."""

    def __init__(self) -> None:
        super().__init__("Cluster cannot be deleted, it still contains DB instances in non-deleting state.")


def already_exists(kind: Kind) -> ServiceError:
    return (
        InstanceAlreadyExists("DB instance already exists")
        if kind == "db"
        else ClusterAlreadyExists("DB Cluster already exists")
    )


def not_found(kind: Kind, identifier: str) -> ServiceError:
    if kind == "db":
        return InstanceNotFound(f"DBInstance {identifier} not found.")
    return ClusterNotFound(f"DBCluster {identifier} not found.")


def not_available(kind: Kind, status: str) -> ServiceError:
    if kind == "db":
        return InvalidInstanceState(f"Database instance is not in available state. It is {status}.")
    return InvalidClusterState(f"DB cluster is not available for modification with status {status}.")
