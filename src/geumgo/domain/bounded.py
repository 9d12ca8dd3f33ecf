"""Dictionaries that hold so much and no more."""

from typing import TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


def keep(kept: dict[Key, Value], key: Key, value: Value, most: int) -> None:
    """`value` is kept under `key`, a new one; if there were `most` already, the oldest one is gone."""
    if len(kept) >= most:
        del kept[next(iter(kept))]
    kept[key] = value
