"""Texts that no database of ours keeps: those with the character NUL."""

from collections.abc import Container, Iterator, Mapping
from typing import Any


def member_with_nul(params: Mapping[str, Any], but: Container[str] = ()) -> str | None:
    """The first member of a request that holds NUL, at any depth, or None. `but` are members that are kept as bytes."""
    for member, value in params.items():
        if member not in but and any("\0" in text for text in _texts(value)):
            return member
    return None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
