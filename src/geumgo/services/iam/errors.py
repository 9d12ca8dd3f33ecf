"""The room's refusals. Source of codes and statuses: botocore model 2010-05-08."""

from geumgo.errors import ServiceError


class NoSuchEntity(ServiceError):
    """What is named does not exist."""

    code = "NoSuchEntity"
    status = 404


class EntityAlreadyExists(ServiceError):
    """The name is taken."""

    code = "EntityAlreadyExists"
    status = 409


class DeleteConflict(ServiceError):
    """Something still hangs on what should go."""

    code = "DeleteConflict"
    status = 409


class LimitExceeded(ServiceError):
    """A quota of the account is used up."""

    code = "LimitExceeded"
    status = 409


class MalformedPolicyDocument(ServiceError):
    """The document is no policy."""

    code = "MalformedPolicyDocument"


class InvalidInput(ServiceError):
    """A value makes no sense here."""

    code = "InvalidInput"


class PasswordPolicyViolation(ServiceError):
    """The password does not satisfy the account's rules."""

    code = "PasswordPolicyViolation"


class InvalidUserType(ServiceError):
    """Only an IAM user may do this for himself."""

    code = "InvalidUserType"


class EntityTemporarilyUnmodifiable(ServiceError):
    """It cannot be changed now; later it can."""

    code = "EntityTemporarilyUnmodifiable"
    status = 409


class UnmodifiableEntity(ServiceError):
    """Only the service that it belongs to may change it."""

    code = "UnmodifiableEntity"


class PolicyNotAttachable(ServiceError):
    """The policy is of a kind that cannot be attached to this."""

    code = "PolicyNotAttachable"


class ReportNotPresent(ServiceError):
    """No credential report was made."""

    code = "ReportNotPresent"
    status = 410


class ReportExpired(ServiceError):
    """The credential report is older than four hours."""

    code = "ReportExpired"
    status = 410


class ValidationError(ServiceError):
    """A value that the model lets through and the service does not."""

    code = "ValidationError"


class InvalidAuthenticationCode(ServiceError):
    """The codes are not those of the device."""

    code = "InvalidAuthenticationCode"
    status = 403
