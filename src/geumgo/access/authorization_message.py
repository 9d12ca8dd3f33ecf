"""What a denial tells an administrator and nobody else: the message that DecodeAuthorizationMessage opens.

It is sealed for the account that was denied, it grows old, and every one has the same length, so that not even that tells anything. It
holds what the caller sent and who he is, and the statement that denied him; nothing of the resource, of which he may not know whether it
exists.

Source: DecodeAuthorizationMessage, API reference; the members of the decoded message as the CLI shows them.
"""

import base64
import binascii
import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from geumgo.access.demand import Demand
from geumgo.context import Caller
from geumgo.domain.policy import Decision, Statement
from geumgo.sealing import Sealing, Unsealable

HEADER: Final = b"x-geumgo-authorization-message"
ROOM_BYTES: Final = 1_536
"""What is sealed, filled up with zeros. With sealing and base64 about 2,200 characters: one header of an answer."""
LIFETIME_MS: Final = 3_600_000
"""How long a message can be opened (milliseconds). Unverified: AWS says that messages expire, not when."""
SHOWN_CHARACTERS: Final = 512

_SHORTER: Final = (
    (True, True, SHOWN_CHARACTERS),
    (False, True, SHOWN_CHARACTERS),
    (False, False, SHOWN_CHARACTERS),
    (False, False, 64),
    (False, False, 0),
)

Values = Mapping[str, tuple[str, ...]]
_HEAD: Final = struct.Struct(">QH")  # when it was made (Unix milliseconds), length of what follows


class NoMessage(Exception):
    """The text is no message of ours for this account, or it is too old."""


@dataclass(frozen=True, slots=True)
class Denied:
    """One denial: who, what, the decision, the statement that made it if the caller's account may know it, and what was sent."""

    caller: Caller
    demand: Demand
    decision: Decision
    statement: Statement | None
    sent: Values


def sealed(sealing: Sealing, denied: Denied, now_ms: int) -> bytes:
    """The message about `denied`, as a header's value (base64)."""
    packed = _packed(denied)
    claims = (_HEAD.pack(now_ms, len(packed)) + packed).ljust(ROOM_BYTES, b"\0")
    return base64.b64encode(sealing.seal_token(claims, _context(denied.caller.account)))


def opened(sealing: Sealing, message: str, account: str, now_ms: int) -> str:
    """The decoded message (JSON). Raises NoMessage."""
    try:
        claims = sealing.open_token(base64.b64decode(message, validate=True), _context(account)).reveal()
    except (Unsealable, binascii.Error, ValueError):
        raise NoMessage from None
    made_at_ms, length = _HEAD.unpack_from(claims)
    if now_ms - made_at_ms >= LIFETIME_MS:
        raise NoMessage
    return zlib.decompress(claims[_HEAD.size : _HEAD.size + length]).decode()


def decoded(
    denied: Denied, *, conditions: bool = True, statements: bool = True, shown_characters: int = SHOWN_CHARACTERS
) -> dict[str, Any]:
    """What the message says, under AWS's member names."""
    caller, demand = denied.caller, denied.demand
    shown = demand.target.shown if demand.target is not None else None
    who = {"id": caller.unique_id, "name": caller.name, "arn": caller.arn}
    return {
        "allowed": False,
        "explicitDeny": bool(denied.decision.statement),
        "matchedStatements": _items(_matched(denied) if statements else ()),
        "failures": _items(()),
        "context": {
            "principal": {name: value for name, value in who.items() if value},
            "action": demand.action,
            "resource": (shown or "*")[:shown_characters],
            "conditions": _items(_conditions(denied) if conditions else ()),
        },
    }


def _packed(denied: Denied) -> bytes:
    """As much of the message as there is room for: left out are the conditions first, then the statement, then the resource."""
    packed = b""
    for conditions, statements, characters in _SHORTER:
        said = decoded(denied, conditions=conditions, statements=statements, shown_characters=characters)
        packed = zlib.compress(json.dumps(said, separators=(",", ":")).encode(), 9)
        if len(packed) <= ROOM_BYTES - _HEAD.size:
            break
    assert len(packed) <= ROOM_BYTES - _HEAD.size, "a principal and an action always fit"
    return packed


def _matched(denied: Denied) -> Iterator[dict[str, Any]]:
    statement = denied.statement
    if statement is not None:
        yield {
            "statementId": statement.sid,
            "effect": "DENY",
            "principals": _values((denied.caller.unique_id.partition(":")[0],)),
            "principalGroups": _items(()),
            "actions": _values(statement.action_names),
            "resources": _values(statement.resource_names),
        }


def _conditions(denied: Denied) -> Iterator[dict[str, Any]]:
    """The keys that the request and the caller carry. What a service says of its resource is not among them."""
    asked = {
        key: values
        for key, values in denied.demand.keys.items()
        if key.startswith("aws:") and not key.lower().startswith("aws:resource")
    }
    for key, values in sorted({**denied.sent, **asked}.items()):
        yield {"key": key, "values": _values(values)}


def _values(values: tuple[str, ...]) -> dict[str, Any]:
    return _items({"value": value} for value in values)


def _items(items: Any) -> dict[str, Any]:
    return {"items": list(items)}


def _context(account: str) -> dict[str, str]:
    return {"label": "authorization message", "account": account}
