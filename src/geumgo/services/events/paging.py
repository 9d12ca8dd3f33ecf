"""Where a listing of EventBridge goes on: by name, a hundred on a page at most."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from geumgo.context import Context, Params
from geumgo.errors import ValidationFailed
from geumgo.paging import NotOurs, make_token, read_token

Item = TypeVar("Item")

PAGE: Final = 100  # things on a page. Source: Limit, API reference


def after(ctx: Context, operation: str, request: Params) -> str:
    """The name behind which this page begins; empty: the first page. Raises ValidationFailed. Unverified: the message."""
    try:
        position = read_token(ctx, "events", operation, _asked(request), request.get("NextToken"))
    except NotOurs:
        raise ValidationFailed("Parameter NextToken is not valid.") from None
    return "" if position is None else str(position[0])


def page(
    ctx: Context, operation: str, request: Params, found: Sequence[Item], name: Callable[[Item], str]
) -> tuple[Sequence[Item], Params]:
    """The first of `found` (one more than fits, if there are more), and the token that leads to the rest."""
    limit = limit_of(request)
    if len(found) <= limit:
        return found, {}
    shown = found[:limit]
    return shown, {"NextToken": make_token(ctx, "events", operation, _asked(request), (name(shown[-1]),))}


def limit_of(request: Params) -> int:
    return int(request.get("Limit", PAGE))


def _asked(request: Params) -> Mapping[str, Any]:
    """What makes a question the same one."""
    return {name: value for name, value in request.items() if name not in ("NextToken", "Limit")}
