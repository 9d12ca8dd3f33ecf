"""The refusals of Parameter Store. All of them are HTTP 400.

Messages come from the botocore model and the user guide, from AWS's answers as its users report them, or (marked) from moto.
"""

from typing import Any

from geumgo.errors import AccessDenied, ServiceError, ValidationFailed

__all__ = ["AccessDenied", "ValidationFailed"]


class HierarchyLevelLimitExceeded(ServiceError):
    """More than 15 levels. Source: the error, botocore model 2014-11-06."""

    code = "HierarchyLevelLimitExceededException"

    def __init__(self) -> None:
        super().__init__(
            "A hierarchy can have a maximum of 15 levels. For more information, see Requirements and constraints for "
            "parameter names in the AWS Systems Manager User Guide."
        )


class IncompatiblePolicy(ServiceError):
    """Policies that contradict one another."""

    code = "IncompatiblePolicyException"


class InvalidAllowedPattern(ServiceError):
    """The pattern is none, or not one that is understood here."""

    code = "InvalidAllowedPatternException"


class InvalidFilterKey(ServiceError):
    """A filter that this operation does not have. The model gives it no message; AWS sends one all the same (moto)."""

    code = "InvalidFilterKey"


class InvalidFilterOption(ServiceError):
    code = "InvalidFilterOption"


class InvalidFilterValue(ServiceError):
    code = "InvalidFilterValue"


class InvalidKeyId(ServiceError):
    """The KMS key is not there or cannot be used."""

    code = "InvalidKeyId"


class InvalidNextToken(ServiceError):
    """The token is not one that this listing gave. Source: the error, botocore model 2014-11-06."""

    code = "InvalidNextToken"

    def __init__(self) -> None:
        super().__init__("The specified token isn't valid.")


class InvalidPolicyAttribute(ServiceError):
    """A policy says something that cannot be. Unverified: the messages."""

    code = "InvalidPolicyAttributeException"


class InvalidPolicyType(ServiceError):
    """Source: the error, botocore model 2014-11-06. Unverified: that this is the message."""

    code = "InvalidPolicyTypeException"

    def __init__(self) -> None:
        super().__init__(
            "The policy type isn't supported. Parameter Store supports the following policy types: Expiration, "
            "ExpirationNotification, and NoChangeNotification."
        )


class InvalidResourceId(ServiceError):
    """There is no parameter of that name to be tagged. Source: the error, botocore model 2014-11-06 (it has no message)."""

    code = "InvalidResourceId"

    def __init__(self) -> None:
        super().__init__("The resource ID isn't valid. Verify that you entered the correct ID and try again.")


class InvalidResourceType(ServiceError):
    """Only parameters are served here. Source: the error, botocore model 2014-11-06 (it has no message)."""

    code = "InvalidResourceType"

    def __init__(self) -> None:
        super().__init__("The resource type isn't valid.")


class MalformedResourcePolicy(ServiceError):
    code = "MalformedResourcePolicyDocumentException"


class ParameterAlreadyExists(ServiceError):
    """Source: users of AWS report the message."""

    code = "ParameterAlreadyExists"

    def __init__(self) -> None:
        super().__init__(
            "The parameter already exists. To overwrite this value, set the overwrite option in the request to true."
        )


class ParameterMaxVersionLimitExceeded(ServiceError):
    """The oldest of 100 versions wears a label. Source: the error, botocore model 2014-11-06."""

    code = "ParameterMaxVersionLimitExceeded"

    def __init__(self, name: str, oldest: int) -> None:
        super().__init__(
            f"You attempted to create a new version of {name} by calling the PutParameter API with the overwrite flag. "
            f"Version {oldest}, the oldest version, can't be deleted because it has a label associated with it. Move the "
            "label to another version of the parameter, and try again."
        )


class ParameterNotFound(ServiceError):
    """Unverified: the message, which AWS has sent empty and, lately, in this form."""

    code = "ParameterNotFound"


class ParameterPatternMismatch(ServiceError):
    """Source: "Create a parameter (AWS CLI)", user guide."""

    code = "ParameterPatternMismatchException"

    def __init__(self, pattern: str) -> None:
        super().__init__(f"Parameter value, cannot be validated against allowedPattern: {pattern}")


class ParameterVersionLabelLimitExceeded(ServiceError):
    """Source of the message: moto. (There is no space between its sentences.)"""

    code = "ParameterVersionLabelLimitExceeded"

    def __init__(self) -> None:
        super().__init__(
            "A parameter version can have maximum 10 labels.Move one or more labels to another version and try again."
        )


class ParameterVersionNotFound(ServiceError):
    """Source of the message: moto."""

    code = "ParameterVersionNotFound"


class PoliciesLimitExceeded(ServiceError):
    """Source: the error, botocore model 2014-11-06."""

    code = "PoliciesLimitExceededException"

    def __init__(self) -> None:
        super().__init__(
            "You specified more than the maximum number of allowed policies for the parameter. The maximum is 10."
        )


class ResourceNotFound(ServiceError):
    """Source: the error, botocore model 2014-11-06."""

    code = "ResourceNotFoundException"

    def __init__(self) -> None:
        super().__init__("The specified parameter to be shared could not be found.")


class ResourcePolicyConflict(ServiceError):
    """Source: the error, botocore model 2014-11-06."""

    code = "ResourcePolicyConflictException"

    def __init__(self) -> None:
        super().__init__("The hash provided in the call doesn't match the stored hash.")


class ResourcePolicyInvalidParameter(ServiceError):
    code = "ResourcePolicyInvalidParameterException"

    def __init__(self, message: str, *names: str) -> None:
        members: dict[str, Any] = {"ParameterNames": list(names)} if names else {}
        super().__init__(message, **members)


class ResourcePolicyLimitExceeded(ServiceError):
    code = "ResourcePolicyLimitExceededException"

    def __init__(self, message: str, *, limit: int, kind: str) -> None:
        super().__init__(message, Limit=limit, LimitType=kind)


class ResourcePolicyNotFound(ServiceError):
    """Source: the error, botocore model 2014-11-06."""

    code = "ResourcePolicyNotFoundException"

    def __init__(self) -> None:
        super().__init__("No policies with the specified policy ID and hash could be found.")


class ServiceSettingNotFound(ServiceError):
    """Source: the error, botocore model 2014-11-06."""

    code = "ServiceSettingNotFound"

    def __init__(self) -> None:
        super().__init__(
            "The specified service setting wasn't found. Either the service name or the setting hasn't been provisioned "
            "by the AWS service team."
        )


class TooManyTags(ServiceError):
    """The model gives it no message. Unverified: that AWS sends one."""

    code = "TooManyTagsError"

    def __init__(self) -> None:
        super().__init__("A parameter can't have more than 50 tags.")


class UnsupportedParameterType(ServiceError):
    """A value of this type cannot have this data type."""

    code = "UnsupportedParameterType"


def no_such_parameter(name: str) -> ParameterNotFound:
    return ParameterNotFound(f"Parameter {name} not found.")


def no_such_version(name: str, selector: str) -> ParameterVersionNotFound:
    return ParameterVersionNotFound(
        f"Systems Manager could not find version {selector} of {name}. Verify the version and try again."
    )


class AutomationDefinitionNotFound(ServiceError):
    code = "AutomationDefinitionNotFoundException"


class AutomationDefinitionVersionNotFound(ServiceError):
    code = "AutomationDefinitionVersionNotFoundException"


class AutomationExecutionNotFound(ServiceError):
    code = "AutomationExecutionNotFoundException"


class IdempotentParameterMismatch(ServiceError):
    code = "IdempotentParameterMismatch"


class InvalidAutomationExecutionParameters(ServiceError):
    code = "InvalidAutomationExecutionParametersException"
