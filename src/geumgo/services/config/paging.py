"""Where a listing goes on: tokens that say it to us alone, and only for the very same question."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any, Final

from geumgo.context import Context
from geumgo.sealing import Unsealable
from geumgo.services.config.errors import InvalidNextToken

_PURPOSE: Final = "config_page"


def make_token(ctx: Context, operation: str, asked: Mapping[str, Any], position: Sequence[str]) -> str:
    """A token that leads behind `position` in the answer to `asked`."""
    mac = ctx.sealing.vouch(_PURPOSE, _claim(ctx, operation, asked, list(position)))
    return urlsafe_b64encode(json.dumps([*position, mac.hex()]).encode()).decode()


def read_token(ctx: Context, operation: str, asked: Mapping[str, Any], token: str | None, width: int) -> list[str]:
    """Where the token leads: `width` texts, which are empty if there is none.

    Raises InvalidNextToken unless it was made here for this account, operation and question.
    """
    if not token:
        return [""] * width
    try:
        *position, mac = json.loads(urlsafe_b64decode(token.encode("ascii")))
        ctx.sealing.check(_PURPOSE, _claim(ctx, operation, asked, position), bytes.fromhex(mac))
    except (ValueError, TypeError, Unsealable, RecursionError):
        raise InvalidNextToken from None
    told: list[str] = position
    return told


def _claim(ctx: Context, operation: str, asked: Mapping[str, Any], position: list[Any]) -> dict[str, str | int | None]:
    return {
        "account": ctx.place.account,
        "region": ctx.place.region,
        "operation": operation,
        "asked": json.dumps(asked, sort_keys=True),
        "position": json.dumps(position),
    }
