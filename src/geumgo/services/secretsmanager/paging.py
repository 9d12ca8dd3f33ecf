"""The tokens of this room's listings: `geumgo.paging` under our name, with our refusal."""

from collections.abc import Mapping
from typing import Any, Final

from geumgo import paging
from geumgo.context import Context
from geumgo.services.secretsmanager.errors import InvalidNextToken

Position = tuple[str | int, str]

_SERVICE: Final = "secretsmanager"


def make_token(ctx: Context, operation: str, asked: Mapping[str, Any], position: Position) -> str:
    """A token that leads behind `position` in the answer to `asked`."""
    return paging.make_token(ctx, _SERVICE, operation, asked, position)


def read_token(ctx: Context, operation: str, asked: Mapping[str, Any], token: str | None) -> Position | None:
    """Where the token leads; None if there is none. Raises InvalidNextToken."""
    try:
        position = paging.read_token(ctx, _SERVICE, operation, asked, token)
    except paging.NotOurs:
        raise InvalidNextToken from None
    return None if position is None else (position[0], str(position[1]))
