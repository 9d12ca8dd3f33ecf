"""The refusals of KMS. All of them are HTTP 400."""

from geumgo.errors import AccessDenied, ServiceError, ValidationFailed

__all__ = ["AccessDenied", "ValidationFailed"]


class AlreadyExists(ServiceError):
    """Something of that name or in that region is there already."""

    code = "AlreadyExistsException"


class Disabled(ServiceError):
    """The key is disabled."""

    code = "DisabledException"


class DryRunSucceeded(ServiceError):
    """The request was a dry run, and would have succeeded."""

    code = "DryRunOperationException"

    def __init__(self) -> None:
        super().__init__("The request would have succeeded, but the DryRun option is set.")


class ExpiredImportToken(ServiceError):
    """The import token is older than 24 hours."""

    code = "ExpiredImportTokenException"


class IncorrectKey(ServiceError):
    """The key that was named is not the one that encrypted."""

    code = "IncorrectKeyException"

    def __init__(self) -> None:
        super().__init__("The key ID in the request does not identify a CMK that can perform this operation.")


class IncorrectKeyMaterial(ServiceError):
    """The key material does not fit the key, or is not the material that the key had before."""

    code = "IncorrectKeyMaterialException"


class InvalidArn(ServiceError):
    """A principal is named by something that is no ARN."""

    code = "InvalidArnException"


class InvalidAliasName(ServiceError):
    """The alias cannot be called that."""

    code = "InvalidAliasNameException"


class InvalidCiphertext(ServiceError):
    """The ciphertext, its key or its encryption context is not the one that was encrypted. Says nothing about which.

    Source: recorded on AWS (the message is empty).
    """

    code = "InvalidCiphertextException"


class InvalidGrantId(ServiceError):
    """No grant of that id is on this key."""

    code = "InvalidGrantIdException"


class InvalidGrantToken(ServiceError):
    """The grant token was not made here, or its grant is gone."""

    code = "InvalidGrantTokenException"


class InvalidImportToken(ServiceError):
    """The import token was not made here, or for another key."""

    code = "InvalidImportTokenException"


class InvalidKeyUsage(ServiceError):
    """The key is not for this operation, or not for this algorithm."""

    code = "InvalidKeyUsageException"


class InvalidMac(ServiceError):
    """The HMAC does not verify. Source: recorded on AWS (the message is empty)."""

    code = "KMSInvalidMacException"


class InvalidMarker(ServiceError):
    """The marker is not one that a listing gave."""

    code = "InvalidMarkerException"


class InvalidSignature(ServiceError):
    """The signature does not verify. Source: recorded on AWS (the message is empty)."""

    code = "KMSInvalidSignatureException"


class InvalidState(ServiceError):
    """The key is in the wrong state for this."""

    code = "KMSInvalidStateException"


class LimitExceeded(ServiceError):
    """A quota is used up."""

    code = "LimitExceededException"


class MalformedPolicyDocument(ServiceError):
    """The key policy is not one, or locks its author out."""

    code = "MalformedPolicyDocumentException"


class NotAuthorized(ServiceError):
    """The name belongs to AWS. Not in the service model. Unverified: the message."""

    code = "NotAuthorizedException"


class NotFound(ServiceError):
    """There is no such key, alias or grant."""

    code = "NotFoundException"


class TagRefused(ServiceError):
    """A tag is not allowed, or there are too many."""

    code = "TagException"


class UnsupportedOperation(ServiceError):
    """Nothing of that kind can be done with keys of this kind."""

    code = "UnsupportedOperationException"
