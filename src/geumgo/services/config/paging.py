"""The tokens of this room's listings: `geumgo.paging` under our name, with our refusal."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from geumgo import paging
from geumgo.context import Context
from geumgo.services.config.errors import InvalidNextToken

_SERVICE: Final = "config"


def make_token(ctx: Context, operation: str, asked: Mapping[str, Any], position: Sequence[str]) -> str:
    """A token that leads behind `position` in the answer to `asked`."""
    return paging.make_token(ctx, _SERVICE, operation, asked, tuple(position))


def read_token(ctx: Context, operation: str, asked: Mapping[str, Any], token: str | None, width: int) -> list[str]:
    """Where the token leads: `width` texts, which are empty if there is none.

    Raises InvalidNextToken unless it was made here for this account, operation and question.
    """
    try:
        position = paging.read_token(ctx, _SERVICE, operation, asked, token or None)
    except paging.NotOurs:
        raise InvalidNextToken from None
    return [""] * width if position is None else [str(part) for part in position]
