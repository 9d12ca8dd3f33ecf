"""The refusals of Lambda. Most say whose fault it is in a member of their own. Source: botocore model 2015-03-31."""

from typing import Any, ClassVar

from geumgo.errors import ServiceError


class LambdaError(ServiceError):
    """A refusal with the member Type: "User" or "Service"."""

    fault: ClassVar[str] = "User"

    def __init__(self, message: str, **members: Any) -> None:
        super().__init__(message, **{"Type": self.fault, **members})


class InvalidParameterValue(LambdaError):
    code = "InvalidParameterValueException"


class ResourceConflict(LambdaError):
    code = "ResourceConflictException"


class ResourceNotFound(LambdaError):
    code = "ResourceNotFoundException"


class PreconditionFailed(LambdaError):
    code = "PreconditionFailedException"


class PolicyLengthExceeded(LambdaError):
    code = "PolicyLengthExceededException"


class InvalidRequestContent(LambdaError):
    code = "InvalidRequestContentException"


class TooManyRequests(LambdaError):
    code = "TooManyRequestsException"


class RequestTooLarge(LambdaError):
    code = "RequestTooLargeException"


class ServiceFailed(LambdaError):
    """The function could not be started, for a reason that the operator must remove. Source: ServiceException, API reference."""

    code = "ServiceException"
    fault = "Service"


def no_such_function(arn: str) -> ResourceNotFound:
    """Source: recorded on AWS."""
    return ResourceNotFound(f"Function not found: {arn}")


def revision_differs(call: str) -> PreconditionFailed:
    """Source: recorded on AWS."""
    return PreconditionFailed(
        "The Revision Id provided does not match the latest Revision Id. "
        f"Call the {call} API to retrieve the latest Revision Id"
    )
