"""Where a listing goes on: tokens that say it to us alone, and only for the very same question of the same account."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any, Final

from geumgo.context import Context
from geumgo.sealing import Unsealable

Position = tuple[str | int, ...]
"""What tells the place of an item in its order."""

_PURPOSE: Final = "page"


class NotOurs(ValueError):
    """The token was not made here, or not for this account, operation and question. Each room has its own refusal for it."""


def make_token(ctx: Context, service: str, operation: str, asked: Mapping[str, Any], position: Position) -> str:
    """A token that leads behind `position` in the answer of `service` to `asked`."""
    mac = ctx.sealing.vouch(_PURPOSE, _claim(ctx, service, operation, asked, position))
    return urlsafe_b64encode(json.dumps([*position, mac.hex()]).encode()).decode()


def read_token(
    ctx: Context, service: str, operation: str, asked: Mapping[str, Any], token: str | None
) -> Position | None:
    """Where the token leads; None if there is none. Raises NotOurs."""
    if token is None:
        return None
    try:
        *position, mac = json.loads(urlsafe_b64decode(token.encode("ascii")))
        ctx.sealing.check(_PURPOSE, _claim(ctx, service, operation, asked, position), bytes.fromhex(mac))
    except (ValueError, TypeError, Unsealable, RecursionError):
        raise NotOurs from None
    return tuple(position)


def _claim(
    ctx: Context, service: str, operation: str, asked: Mapping[str, Any], position: Sequence[Any]
) -> dict[str, str | int | bytes | None]:
    return {
        "account": ctx.place.account,
        "region": ctx.place.region,
        "service": service,
        "operation": operation,
        "asked": json.dumps(asked, sort_keys=True),
        "position": json.dumps(list(position)),
    }
