"""The refusals of Lambda. Most say whose fault it is in a member of their own. Source: botocore model 2015-03-31."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

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


class KMSAccessDenied(LambdaError):
    code = "KMSAccessDeniedException"
    fault = "Service"


class KMSDisabled(LambdaError):
    code = "KMSDisabledException"
    fault = "Service"


class KMSInvalidState(LambdaError):
    code = "KMSInvalidStateException"
    fault = "Service"


class KMSNotFound(LambdaError):
    code = "KMSNotFoundException"
    fault = "Service"


_OF_KMS: Final[Mapping[str, type[LambdaError]]] = {
    "DisabledException": KMSDisabled,
    "KMSInvalidStateException": KMSInvalidState,
    "NotFoundException": KMSNotFound,
}


def kms_refused(refusal: ServiceError) -> LambdaError:
    """Lambda's refusal when it cannot open the environment. Source: recorded on AWS (the sentence)."""
    kind = _OF_KMS.get(refusal.code, KMSAccessDenied)
    return kind(
        "Lambda was unable to decrypt the environment variables because KMS access was denied. "
        f"Please check the function's KMS key settings. KMS Exception: {refusal.code}"
    )
