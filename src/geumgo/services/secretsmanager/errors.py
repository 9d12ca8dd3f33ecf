"""The refusals of Secrets Manager. All of them are HTTP 400."""

from geumgo.errors import AccessDenied, ServiceError, ValidationFailed

__all__ = ["AccessDenied", "ValidationFailed"]


class DecryptionFailed(ServiceError):
    """The KMS key behind a value is not usable. Source: DecryptionFailure, API reference."""

    code = "DecryptionFailure"

    def __init__(self) -> None:
        super().__init__("Secrets Manager can't decrypt the protected secret text using the provided KMS key.")


class EncryptionFailed(ServiceError):
    """The KMS key that should protect a value is not usable. Source: EncryptionFailure, API reference."""

    code = "EncryptionFailure"

    def __init__(self) -> None:
        super().__init__(
            "Secrets Manager can't encrypt the protected secret text using the provided KMS key. "
            "Check that the KMS key is available, enabled, and not in an invalid state."
        )


class InvalidNextToken(ServiceError):
    """The token is not one that this listing gave. Unverified: the message."""

    code = "InvalidNextTokenException"

    def __init__(self) -> None:
        super().__init__("The NextToken is invalid.")


class InvalidParameter(ServiceError):
    """A parameter, or a combination of them, makes no sense."""

    code = "InvalidParameterException"


class InvalidRequest(ServiceError):
    """The request is well formed, but the secret is in the wrong state for it."""

    code = "InvalidRequestException"


class LimitExceeded(ServiceError):
    """A quota is used up."""

    code = "LimitExceededException"


class MalformedPolicyDocument(ServiceError):
    """The resource policy is not one, or names somebody who does not exist."""

    code = "MalformedPolicyDocumentException"


class PublicPolicy(ServiceError):
    """The resource policy grants broad access, and the request forbade that."""

    code = "PublicPolicyException"


class ResourceExists(ServiceError):
    """A secret of that name, or a version with that token and another value, is there already."""

    code = "ResourceExistsException"


class ResourceNotFound(ServiceError):
    """There is no such secret, version or label. Source: recorded on AWS (the three messages)."""

    code = "ResourceNotFoundException"


def no_such_secret() -> ResourceNotFound:
    return ResourceNotFound("Secrets Manager can't find the specified secret.")


def no_such_version(version_id: str) -> ResourceNotFound:
    return ResourceNotFound(f"Secrets Manager can't find the specified secret value for VersionId: {version_id}")


def no_such_label(label: str) -> ResourceNotFound:
    return ResourceNotFound(f"Secrets Manager can't find the specified secret value for staging label: {label}")
