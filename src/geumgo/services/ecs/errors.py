"""The refusals of ECS. Source: ECS API reference, and the messages as users report them. Unverified: those that are ours."""

from geumgo.errors import ServiceError


class InvalidParameter(ServiceError):
    """A parameter is not what it may be."""

    code = "InvalidParameterException"


class ClusterNotFound(ServiceError):
    """There is no such cluster."""

    code = "ClusterNotFoundException"

    def __init__(self) -> None:
        super().__init__("Cluster not found.")


class ClusterContainsServices(ServiceError):
    """A cluster with services stays."""

    code = "ClusterContainsServicesException"

    def __init__(self) -> None:
        super().__init__("The Cluster cannot be deleted while Services are active.")


class ServiceNotFound(ServiceError):
    """There is no such service."""

    code = "ServiceNotFoundException"

    def __init__(self) -> None:
        super().__init__("Service not found.")


class ServiceNotActive(ServiceError):
    """The service is deleted already."""

    code = "ServiceNotActiveException"

    def __init__(self) -> None:
        super().__init__("Service was not ACTIVE.")
