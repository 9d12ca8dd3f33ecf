"""How a delivery may fail."""

from typing import Final

from geumgo.errors import ServiceError

NO_PERMISSIONS: Final = "NO_PERMISSIONS"
NO_RESOURCE: Final = "NO_RESOURCE"
THROTTLING: Final = "THROTTLING"
TIMEOUT: Final = "TIMEOUT"
"""Source of these four: ERROR_CODE, "Using dead-letter queues", user guide. Unverified: the codes that are not among them."""


class Undeliverable(Exception):
    """The event will never arrive. The message holds nothing of the event."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Unreached(Exception):
    """The event has not arrived, and may later; not before `after_ms` if the other side said so. The message holds nothing of the event."""

    def __init__(self, code: str, message: str, *, after_ms: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.after_ms = after_ms


def meaning_of(refusal: ServiceError) -> Undeliverable | Unreached:
    """What a refusal by the target's service means for the delivery."""
    message = f"{refusal.code}: {refusal.message}"
    if refusal.code.startswith("AccessDenied"):
        return Undeliverable(NO_PERMISSIONS, message)
    if refusal.code.startswith("ResourceNotFound"):
        return Undeliverable(NO_RESOURCE, message)
    if refusal.code.startswith(("Throttling", "TooManyRequests")):
        return Unreached(THROTTLING, message)
    if refusal.status >= 500:
        return Unreached("SDK_SERVER_ERROR", message)
    return Undeliverable("SDK_CLIENT_ERROR", message)
