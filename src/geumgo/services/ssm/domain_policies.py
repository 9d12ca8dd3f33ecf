"""Policies of parameters: what they may say, and when they are due.

Source: "Assigning parameter policies in Parameter Store", user guide; PutParameter, API reference. Unverified: the messages; that an
ExpirationNotification needs an Expiration beside it; that a notification which is already late when it is put is sent at once.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from geumgo.services.ssm.errors import (
    IncompatiblePolicy,
    InvalidPolicyAttribute,
    InvalidPolicyType,
    PoliciesLimitExceeded,
)
from geumgo.services.ssm.records import PENDING, Policy

EXPIRATION: Final = "Expiration"
EXPIRATION_NOTIFICATION: Final = "ExpirationNotification"
NO_CHANGE: Final = "NoChangeNotification"
MOST_POLICIES: Final = 10

_HOUR_MS: Final = 3_600_000
_UNITS_MS: Final = {"Days": 24 * _HOUR_MS, "Hours": _HOUR_MS}
_MOST_UNITS: Final = 1_000_000
_ATTRIBUTES: Final = {
    EXPIRATION: frozenset({"Timestamp"}),
    EXPIRATION_NOTIFICATION: frozenset({"Before", "Unit"}),
    NO_CHANGE: frozenset({"After", "Unit"}),
}


class Said(NamedTuple):
    """What a policy says: a moment (Expiration) or a length of time, in Unix milliseconds or milliseconds."""

    kind: str
    at_ms: int


def parse_policies(text: str) -> tuple[Policy, ...]:
    """The policies of a request, none of them applied yet. `[{}]` and `[]` are no policies.

    Raises IncompatiblePolicy, InvalidPolicyAttribute, InvalidPolicyType, PoliciesLimitExceeded.
    """
    try:
        listed = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidPolicyAttribute("The policies are not a JSON array.") from None
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise InvalidPolicyAttribute("The policies are not a JSON array of objects.")
    listed = [each for each in listed if each]
    if len(listed) > MOST_POLICIES:
        raise PoliciesLimitExceeded
    kinds = [_read(each).kind for each in listed]
    for once in (EXPIRATION, NO_CHANGE):
        if kinds.count(once) > 1:
            raise IncompatiblePolicy(f"You can't specify more than one {once} policy for a parameter.")
    if EXPIRATION_NOTIFICATION in kinds and EXPIRATION not in kinds:
        raise IncompatiblePolicy(f"An {EXPIRATION_NOTIFICATION} policy requires an {EXPIRATION} policy.")
    return tuple(Policy(json.dumps(each, ensure_ascii=False, separators=(",", ":"))) for each in listed)


def said_by(policy: Policy) -> Said:
    """What a kept policy says."""
    return _read(json.loads(policy.text))


def _read(policy: Mapping[str, Any]) -> Said:
    kind, attributes = policy.get("Type"), policy.get("Attributes")
    if not isinstance(kind, str) or kind not in _ATTRIBUTES:
        raise InvalidPolicyType
    if policy.get("Version") != "1.0" or set(policy) != {"Type", "Version", "Attributes"}:
        raise InvalidPolicyAttribute(f"A policy has the members Type, Version (1.0) and Attributes: {kind}.")
    if not isinstance(attributes, dict) or set(attributes) != _ATTRIBUTES[kind]:
        expected = ", ".join(sorted(_ATTRIBUTES[kind]))
        raise InvalidPolicyAttribute(f"The attributes of a policy of type {kind} are: {expected}.")
    if not all(isinstance(value, str) for value in attributes.values()):
        raise InvalidPolicyAttribute(f"The attributes of a policy of type {kind} are texts.")
    if kind == EXPIRATION:
        return Said(kind, _moment_ms(attributes["Timestamp"]))
    return Said(
        kind, _length_ms(kind, attributes["Before" if kind == EXPIRATION_NOTIFICATION else "After"], attributes["Unit"])
    )


def _moment_ms(text: str) -> int:
    """A moment in ISO 8601, taken for UTC if it names no offset."""
    try:
        found = datetime.fromisoformat(text)
        return int((found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise InvalidPolicyAttribute(
            "The Timestamp of an Expiration policy must be in the format of ISO 8601."
        ) from None


def _length_ms(kind: str, number: str, unit: str) -> int:
    if unit not in _UNITS_MS:
        raise InvalidPolicyAttribute(f"The Unit of a policy of type {kind} is Days or Hours.")
    if not (number.isascii() and number.isdecimal()) or not 0 < int(number[:9]) <= _MOST_UNITS:
        raise InvalidPolicyAttribute(f"A policy of type {kind} counts whole {unit.lower()}, at least one.")
    return int(number) * _UNITS_MS[unit]


def expiration_ms(policies: Iterable[Policy]) -> int | None:
    """When the parameter is to go, or None."""
    return next((said.at_ms for said in map(said_by, policies) if said.kind == EXPIRATION), None)


def refuse_past(policies: Iterable[Policy], now_ms: int) -> None:
    """Raises InvalidPolicyAttribute for an expiration that is over already. Unverified: the message."""
    expires_ms = expiration_ms(policies)
    if expires_ms is not None and expires_ms <= now_ms:
        raise InvalidPolicyAttribute("The Timestamp of an Expiration policy must be in the future.")


def due_at_ms(policy: Policy, policies: Sequence[Policy], changed_at_ms: int) -> int | None:
    """When `policy`, one of `policies`, is to be applied; None if it has been."""
    if policy.status != PENDING:
        return None
    said = said_by(policy)
    match said.kind:
        case "NoChangeNotification":
            return changed_at_ms + said.at_ms
        case "ExpirationNotification":
            expires_ms = expiration_ms(policies)
            return None if expires_ms is None else expires_ms - said.at_ms
    return said.at_ms


def next_due_ms(policies: Sequence[Policy], changed_at_ms: int) -> int | None:
    """When the next of `policies` is to be applied, or None."""
    moments = [due_at_ms(policy, policies, changed_at_ms) for policy in policies]
    return min((moment for moment in moments if moment is not None), default=None)


def after_change(policies: Iterable[Policy]) -> tuple[Policy, ...]:
    """The policies after the parameter has changed: what waits for no change waits anew, the rest goes on."""
    return tuple(Policy(each.text) if said_by(each).kind == NO_CHANGE else each for each in policies)
