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
