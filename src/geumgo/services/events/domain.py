"""The rules of EventBridge that need nothing but values."""

import json
from typing import Any, Final, NoReturn

# Source: TestEventPattern, API reference: what an event must have
MANDATORY: Final = ("id", "account", "source", "time", "region", "resources", "detail-type")


class InvalidEnvelope(Exception):
    """The text is no event. The message says why, in a plain sentence without what the text holds."""


def read_event(text: str) -> dict[str, Any]:
    """The event that `text` is, with all that an event must have. Raises InvalidEnvelope."""
    try:
        event = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise InvalidEnvelope("it is not JSON.") from None
    if not isinstance(event, dict):
        raise InvalidEnvelope("it is not a JSON object.")
    missing = [name for name in MANDATORY if name not in event]
    if missing:
        raise InvalidEnvelope(f"it has no {', '.join(missing)}.")
    return event


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
