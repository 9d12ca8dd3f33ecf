"""The room's refusals. Source of codes and statuses: botocore model 2011-06-15."""

from geumgo.errors import ServiceError


class ValidationError(ServiceError):
    """A value that the model lets through and the service does not."""

    code = "ValidationError"


class InvalidParameterValue(ServiceError):
    """Tags that contradict each other. Source: recorded on AWS; the model does not name it."""

    code = "InvalidParameterValue"


class MalformedPolicyDocument(ServiceError):
    """The session policy is no policy."""

    code = "MalformedPolicyDocument"


class PackedPolicyTooLarge(ServiceError):
    """Session policies and tags together do not fit into a token."""

    code = "PackedPolicyTooLarge"


class InvalidIdentityToken(ServiceError):
    """The web identity token cannot be accepted."""

    code = "InvalidIdentityToken"


class WebTokenExpired(ServiceError):
    """The web identity token is over."""

    code = "ExpiredTokenException"


class Denied(ServiceError):
    """What no policy could allow: the caller is of the wrong kind."""

    code = "AccessDenied"
    status = 403


class InvalidAuthorizationMessage(ServiceError):
    """The message is not one of ours for the caller's account, or it is too old."""

    code = "InvalidAuthorizationMessageException"
