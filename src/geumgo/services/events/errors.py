"""The refusals of EventBridge."""

from geumgo.errors import ServiceError, ValidationFailed


class InvalidEventPattern(ServiceError):
    """The text is no event pattern. Source: InvalidEventPatternException, API reference."""

    code = "InvalidEventPatternException"

    def __init__(self, reason: str) -> None:
        super().__init__(f"Event pattern is not valid. Reason: {reason}")


class InvalidEvent(ValidationFailed):
    """The event to be tested is no event. Unverified: code and message; the model names no error for it."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Parameter Event is not valid. Reason: {reason}")
