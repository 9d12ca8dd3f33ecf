"""Where a listing goes on: tokens that say it to us alone, and only for the very same question."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any, Final

from geumgo.context import Context
from geumgo.sealing import Unsealable
from geumgo.services.secretsmanager.errors import InvalidNextToken

Position = tuple[str | int, str]

_PURPOSE: Final = "secretsmanager_page"


def make_token(ctx: Context, operation: str, asked: Mapping[str, Any], position: Position) -> str:
    """A token that leads behind `position` in the answer to `asked`."""
    mac = ctx.sealing.vouch(_PURPOSE, _claim(ctx, operation, asked, list(position)))
    return urlsafe_b64encode(json.dumps([*position, mac.hex()]).encode()).decode()


def read_token(ctx: Context, operation: str, asked: Mapping[str, Any], token: str | None) -> Position | None:
    """Where the token leads; None if there is none.

    Raises InvalidNextToken unless it was made here for this account, operation and question.
    """
    if token is None:
        return None
    try:
        value, key, mac = json.loads(urlsafe_b64decode(token.encode("ascii")))
        ctx.sealing.check(_PURPOSE, _claim(ctx, operation, asked, [value, key]), bytes.fromhex(mac))
    except (ValueError, TypeError, Unsealable, RecursionError):
        raise InvalidNextToken from None
    return value, key


def _claim(ctx: Context, operation: str, asked: Mapping[str, Any], position: list[Any]) -> dict[str, str | int | None]:
    return {
        "account": ctx.place.account,
        "region": ctx.place.region,
        "operation": operation,
        "asked": json.dumps(asked, sort_keys=True),
        "position": json.dumps(position),
    }
