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


class LimitExceeded(ServiceError):
    """A quota is used up. Source: LimitExceededException, API reference. Unverified: the message."""

    code = "LimitExceededException"

    def __init__(self, message: str = "The requested resource exceeds the maximum number allowed.") -> None:
        super().__init__(message)


class ResourceNotFound(ServiceError):
    """What the request names is not there. Source of the messages about buses and rules: recorded on AWS."""

    code = "ResourceNotFoundException"


class ResourceAlreadyExists(ServiceError):
    """There is one of that name. Source: recorded on AWS (the message about a bus)."""

    code = "ResourceAlreadyExistsException"


class PolicyLengthExceeded(ServiceError):
    """The policy of a bus would be too long. Source: PolicyLengthExceededException, API reference."""

    code = "PolicyLengthExceededException"


class IllegalStatus(ServiceError):
    """A replay is not in a state that allows this. Source: IllegalStatusException, API reference."""

    code = "IllegalStatusException"


def no_such_bus(name: str) -> ResourceNotFound:
    return ResourceNotFound(f"Event bus {name} does not exist.")


def no_such_rule(rule: str, bus: str) -> ResourceNotFound:
    return ResourceNotFound(f"Rule {rule} does not exist on EventBus {bus}.")


def not_valid(member: str, reason: str) -> ValidationFailed:
    """A parameter makes no sense. Source of the form: recorded on AWS."""
    return ValidationFailed(f"Parameter {member} is not valid. Reason: {reason}")
