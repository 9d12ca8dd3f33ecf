"""Everything that must not be guessed. All of it comes from the operating system's generator."""

import os
import secrets
from collections.abc import Sequence
from typing import TypeVar

from geumgo.sealing.plaintext import Plaintext

Item = TypeVar("Item")

_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_TABLE = bytes(_LETTERS[byte % 62] for byte in range(256))
_BIASED = bytes(
    range(248, 256)
)  # 248 is the largest multiple of 62 that a byte can hold: what is above would favour some letters
_DRAWN = 64  # UUIDs for which randomness is drawn at a time
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
_DICE = secrets.SystemRandom()


def key() -> Plaintext:
    """A new key of 256 bits."""
    return Plaintext(os.urandom(32))


def uuid() -> str:
    """A random UUID (version 4) as text, lower case."""
    return _as_uuid(os.urandom(16).hex())


class Uuids:
    """Random UUIDs (version 4) of one process, drawn many at a time. Not for several threads, and never to be taken across a fork."""

    def __init__(self) -> None:
        self._digits = ""
        self._at = 0

    def next(self) -> str:
        """One more, as text, lower case."""
        if self._at == len(self._digits):
            self._digits, self._at = os.urandom(16 * _DRAWN).hex(), 0
        at, self._at = self._at, self._at + 32
        return _as_uuid(self._digits[at : self._at])


def _as_uuid(digits: str) -> str:
    """32 random hexadecimal digits as a UUID of version 4. Source: RFC 9562."""
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{_VARIANT[digits[16]]}{digits[17:20]}-{digits[20:]}"


def letters(count: int) -> str:
    """`count` characters of A-Z, a-z and 0-9, each as likely as any other."""
    found = b""
    while len(found) < count:
        found += os.urandom(count + count // 16 + 4).translate(_TABLE, _BIASED)
    return found[:count].decode()


def choice(of: Sequence[Item]) -> Item:
    """One of the items, each as likely as any other."""
    return secrets.choice(of)


def shuffle(items: Sequence[Item]) -> list[Item]:
    """The same items in a new order, each order as likely as any other."""
    shuffled = list(items)
    _DICE.shuffle(shuffled)
    return shuffled
