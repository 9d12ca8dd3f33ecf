"""The refusals of CloudTrail. Sources: the errors of each operation in botocore's model 2013-11-01."""

from geumgo.errors import ServiceError


class InvalidLookupAttributes(ServiceError):
    """Source: InvalidLookupAttributesException, API reference. Unverified: the messages."""

    code = "InvalidLookupAttributesException"


class InvalidTimeRange(ServiceError):
    """Source: InvalidTimeRangeException, API reference. Unverified: the message."""

    code = "InvalidTimeRangeException"

    def __init__(self) -> None:
        super().__init__("The start time must be before the end time.")


class InvalidMaxResults(ServiceError):
    """Source: InvalidMaxResultsException, API reference. Unverified: the message."""

    code = "InvalidMaxResultsException"

    def __init__(self, most: int, said: object) -> None:
        super().__init__(f"A max results value of {said} is invalid. Specify max results between 1 and {most}.")


class InvalidNextToken(ServiceError):
    """Source: InvalidNextTokenException, API reference. Unverified: the message."""

    code = "InvalidNextTokenException"

    def __init__(self) -> None:
        super().__init__("The next token is invalid, or it was made for a request with other parameters.")


class InvalidEventCategory(ServiceError):
    """Source: InvalidEventCategoryException, API reference. Unverified: the message."""

    code = "InvalidEventCategoryException"

    def __init__(self, said: object) -> None:
        super().__init__(f"The event category {said} is not valid. Specify insight, or none for management events.")


# -- trails ---------------------------------------------------------------------------------------------------------------


class InvalidTrailName(ServiceError):
    """Source: InvalidTrailNameException, API reference."""

    code = "InvalidTrailNameException"


class InvalidArn(ServiceError):
    """Source: CloudTrailARNInvalidException, API reference. Unverified: the message."""

    code = "CloudTrailARNInvalidException"

    def __init__(self, arn: str) -> None:
        super().__init__(f"Invalid trail ARN: {arn}")


class TrailNotFound(ServiceError):
    """Source: TrailNotFoundException, API reference; the message was seen on AWS by others."""

    code = "TrailNotFoundException"

    def __init__(self, arn: str, account: str) -> None:
        super().__init__(f"Unknown trail: {arn} for the user: {account}")


class TrailAlreadyExists(ServiceError):
    """Source: TrailAlreadyExistsException, API reference; the message was seen on AWS by others."""

    code = "TrailAlreadyExistsException"

    def __init__(self, name: str, account: str) -> None:
        super().__init__(f"Trail {name} already exists for customer: {account}")


class TooManyTrails(ServiceError):
    """Source: MaximumNumberOfTrailsExceededException, API reference. Unverified: the message."""

    code = "MaximumNumberOfTrailsExceededException"

    def __init__(self, account: str, region: str, most: int) -> None:
        super().__init__(f"User: {account} already has {most} trails in {region}.")


class InvalidHomeRegion(ServiceError):
    """Source: InvalidHomeRegionException, API reference. Unverified: the message."""

    code = "InvalidHomeRegionException"

    def __init__(self, arn: str, region: str) -> None:
        super().__init__(f"The trail {arn} can be changed in its home Region only: {region}.")


class InvalidBucketName(ServiceError):
    """Source: InvalidS3BucketNameException, API reference. Unverified: the message."""

    code = "InvalidS3BucketNameException"

    def __init__(self, name: str) -> None:
        super().__init__(f"Bucket name is invalid: {name}")


class InvalidPrefix(ServiceError):
    """Source: InvalidS3PrefixException, API reference. Unverified: the message."""

    code = "InvalidS3PrefixException"

    def __init__(self, prefix: str) -> None:
        super().__init__(f"The S3 prefix is invalid: {prefix}")


class InvalidCombination(ServiceError):
    """Source: InvalidParameterCombinationException, API reference."""

    code = "InvalidParameterCombinationException"


class Unsupported(ServiceError):
    """What is not served here is refused, not kept and forgotten. Source of the code: UnsupportedOperationException, API reference."""

    code = "UnsupportedOperationException"


class NoOrganization(ServiceError):
    """Source: OrganizationsNotInUseException, API reference. Unverified: the message."""

    code = "OrganizationsNotInUseException"

    def __init__(self) -> None:
        super().__init__("Your account is not a member of an organization.")


class InvalidEventSelectors(ServiceError):
    """Source: InvalidEventSelectorsException, API reference. Unverified: the messages."""

    code = "InvalidEventSelectorsException"


class InvalidTags(ServiceError):
    """Source: InvalidTagParameterException, API reference. Unverified: the messages."""

    code = "InvalidTagParameterException"


class TooManyTags(ServiceError):
    """Source: TagsLimitExceededException, API reference. Unverified: the message."""

    code = "TagsLimitExceededException"


class InvalidToken(ServiceError):
    """Source: InvalidTokenException, API reference. Unverified: the message."""

    code = "InvalidTokenException"

    def __init__(self) -> None:
        super().__init__("The token is invalid.")


class TypeNotSupported(ServiceError):
    """Source: ResourceTypeNotSupportedException, API reference. Unverified: the message."""

    code = "ResourceTypeNotSupportedException"

    def __init__(self, arn: str) -> None:
        super().__init__(f"The resource type of {arn} is not supported.")
