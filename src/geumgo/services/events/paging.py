"""Where a listing goes on: tokens that say it to us alone, and only for the very same question."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from geumgo.context import Context, Params
from geumgo.errors import ValidationFailed
from geumgo.sealing import Unsealable

Item = TypeVar("Item")

PAGE: Final = 100  # things on a page. Source: Limit, API reference

_PURPOSE: Final = "events_page"


def asked_of(request: Params) -> Mapping[str, Any]:
    """What makes a question the same one."""
    return {name: value for name, value in request.items() if name not in ("NextToken", "Limit")}


def after(ctx: Context, operation: str, request: Params) -> str:
    """The name behind which this page begins; empty: the first page.

    Raises ValidationFailed unless the token was made here for this account, operation and question. Unverified: the message.
    """
    token = request.get("NextToken")
    if token is None:
        return ""
    try:
        name, mac = json.loads(urlsafe_b64decode(token.encode("ascii")))
        ctx.sealing.check(_PURPOSE, _claim(ctx, operation, request, name), bytes.fromhex(mac))
    except (ValueError, TypeError, Unsealable, RecursionError):
        raise ValidationFailed("Parameter NextToken is not valid.") from None
    return str(name)


def page(
    ctx: Context, operation: str, request: Params, found: Sequence[Item], name: Callable[[Item], str]
) -> tuple[Sequence[Item], Params]:
    """The first of `found` (one more than fits, if there are more), and the token that leads to the rest."""
    limit = limit_of(request)
    if len(found) <= limit:
        return found, {}
    shown = found[:limit]
    last = name(shown[-1])
    mac = ctx.sealing.vouch(_PURPOSE, _claim(ctx, operation, request, last))
    token = urlsafe_b64encode(json.dumps([last, mac.hex()]).encode()).decode()
    return shown, {"NextToken": token}


def limit_of(request: Params) -> int:
    return int(request.get("Limit", PAGE))


def _claim(ctx: Context, operation: str, request: Params, name: Any) -> dict[str, str | int | None]:
    return {
        "account": ctx.place.account,
        "region": ctx.place.region,
        "operation": operation,
        "asked": json.dumps(asked_of(request), sort_keys=True, default=str),
        "position": str(name),
    }
