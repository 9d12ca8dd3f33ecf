"""The one family of refusals that a caller may see.

A `ServiceError` is raised where the refusal is known and rendered once, by `protocol`. Anything else that is raised is our fault: it is
logged in full and answered as an internal error with no detail. This module imports nothing of ours.
"""

from typing import Any, ClassVar


class ServiceError(Exception):
    """A refusal in AWS's words.

    `code` is the wire name of the error for JSON and REST services. A few front-end errors carry another name and status where the
    service speaks the query protocol (IAM, STS, RDS ...): `query_code`, `query_status`. `members` are the further members that some
    modelled errors have beside their message, by their wire names.
    """

    code: ClassVar[str]
    status: ClassVar[int] = 400
    query_code: ClassVar[str | None] = None
    query_status: ClassVar[int | None] = None

    def __init__(self, message: str = "", **members: Any) -> None:
        super().__init__(message)
        self.message = message
        self.members = members


class InternalFailure(ServiceError):
    """Our fault. The caller learns the request id and nothing else; the log has the rest."""

    code = "InternalServiceError"
    status = 500
    query_code = "InternalFailure"


class ServiceUnavailable(ServiceError):
    """The request was refused before anything happened: sealed, storage out of reach, disk full, draining."""

    code = "ServiceUnavailable"
    status = 503


class Throttled(ServiceError):
    """Too much at once. Source: the generic JSON-service form, HTTP 400."""

    code = "ThrottlingException"
    query_code = "Throttling"


class AccessDenied(ServiceError):
    """Policy says no. Source: AccessDeniedException, HTTP 400 on JSON services; AccessDenied, HTTP 403 on query services."""

    code = "AccessDeniedException"
    query_code = "AccessDenied"
    query_status = 403


class ValidationFailed(ServiceError):
    """The request does not fit the service model."""

    code = "ValidationException"
    query_code = "ValidationError"


class Unreadable(ServiceError):
    """The body is not what the protocol demands: broken JSON, twin keys, too deep, not UTF-8."""

    code = "SerializationException"
    query_code = "MalformedQueryString"


class TooLarge(ServiceError):
    """The request is larger than the server reads."""

    code = "RequestEntityTooLargeException"
    status = 413
    query_status = 413


class UnknownOperation(ServiceError):
    """No operation of that name is served here."""

    code = "UnknownOperationException"
    query_code = "InvalidAction"


class NothingThere(UnknownOperation):
    """A plain GET of `/`, as people probe whether an endpoint is reachable. Source: "VPC endpoints", Secrets Manager user guide."""

    status = 404
    query_status = 404


class MissingToken(ServiceError):
    """The request is not signed at all."""

    code = "MissingAuthenticationTokenException"
    query_code = "MissingAuthenticationToken"
    query_status = 403


class IncompleteSignature(ServiceError):
    """The request carries a signature that cannot be read."""

    code = "IncompleteSignatureException"
    query_code = "IncompleteSignature"


class InvalidSignature(ServiceError):
    """The signature, its date or its scope is wrong."""

    code = "InvalidSignatureException"
    query_code = "SignatureDoesNotMatch"
    query_status = 403


class UnrecognizedClient(ServiceError):
    """The access key is unknown or inactive, or its session token is not the one that belongs to it."""

    code = "UnrecognizedClientException"
    query_code = "InvalidClientTokenId"
    query_status = 403


class ExpiredToken(ServiceError):
    """The session behind this token is over."""

    code = "ExpiredTokenException"
    query_code = "ExpiredToken"
    query_status = 403
