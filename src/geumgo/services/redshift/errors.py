"""The refusals of Redshift, in the words of the query protocol.

Unverified: the messages that name no source.
"""

from geumgo.errors import ServiceError


class InvalidParameterValue(ServiceError):
    """A parameter is not what it may be. Source: common errors, Redshift API reference."""

    code = "InvalidParameterValue"


class InvalidParameterCombination(ServiceError):
    """Parameters that do not go together. Source: common errors, Redshift API reference."""

    code = "InvalidParameterCombination"


class ClusterAlreadyExists(ServiceError):
    """Source: ClusterAlreadyExistsFault, service model."""

    code = "ClusterAlreadyExists"

    def __init__(self) -> None:
        super().__init__("Cluster already exists")


class ClusterNotFound(ServiceError):
    """Source: ClusterNotFoundFault, service model; the message as users report it."""

    code = "ClusterNotFound"
    status = 404

    def __init__(self, identifier: str) -> None:
        super().__init__(f"Cluster {identifier} not found.")


class InvalidClusterState(ServiceError):
    """Source: InvalidClusterStateFault, service model."""

    code = "InvalidClusterState"


class ResourceNotFound(ServiceError):
    """Source: ResourceNotFoundFault, service model."""

    code = "ResourceNotFoundFault"
    status = 404


class InvalidTag(ServiceError):
    """Source: InvalidTagFault, service model."""

    code = "InvalidTagFault"


class TagLimitExceeded(ServiceError):
    """Source: TagLimitExceededFault, service model."""

    code = "TagLimitExceededFault"
