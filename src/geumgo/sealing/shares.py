"""Shamir's secret sharing of a key of 32 bytes: any `threshold` of its shares give the key back, fewer say nothing of it.

Each byte of the key is the value at 0 of a polynomial over GF(2^8) whose other coefficients are uniformly random, 0 included: a highest
coefficient that is never 0 would tell something. Shares stand at distinct points that are not 0.

As text a share is `geumgo-share-1-SET-THRESHOLD-POINT-VALUE-CHECK`: the set that it belongs to (8 bytes), how many are needed, its point,
its value (32 bytes), and a CRC-32 against slips of the pen; all but the two counts in hexadecimal digits.

Source: A. Shamir, "How to share a secret", 1979; the field is that of AES (FIPS 197, section 4).
"""

import os
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from geumgo.sealing.plaintext import Plaintext

KEY_BYTES: Final = 32
MOST_SHARES: Final = 255
_TEXT: Final = re.compile(r"geumgo-share-1-([0-9a-f]{16})-([0-9]{1,3})-([0-9]{1,3})-([0-9a-f]{64})-([0-9a-f]{8})")


class BadShare(Exception):
    """A share cannot be read, or does not belong to the others. Its text is a sentence that holds nothing secret."""


@dataclass(frozen=True, slots=True)
class Share:
    """One share: of the set `of` (16 hexadecimal digits), the value of the polynomials at `point` (1 to 255)."""

    of: str
    threshold: int
    point: int
    value: bytes = field(repr=False)

    def text(self) -> str:
        """As somebody keeps it: to be shown once, and only to him."""
        front = f"geumgo-share-1-{self.of}-{self.threshold}-{self.point}-{self.value.hex()}"
        return f"{front}-{zlib.crc32(front.encode()):08x}"


def read(text: str) -> Share:
    """The share that `text` says; white space around it does not count. Raises BadShare."""
    found = _TEXT.fullmatch(text.strip().lower())
    if found is None:
        raise BadShare("This is not a share: one begins with geumgo-share-1-.")
    share = Share(found[1], int(found[2]), int(found[3]), bytes.fromhex(found[4]))
    if share.text() != found[0]:
        raise BadShare("The share was not copied correctly: its last eight digits do not fit the rest.")
    if not (2 <= share.threshold <= MOST_SHARES and 1 <= share.point <= MOST_SHARES):
        raise BadShare("The share says of itself what cannot be.")
    return share


def split(key: Plaintext, *, threshold: int, count: int, of: str) -> list[Share]:
    """`count` shares of `key` (32 bytes), any `threshold` of which give it back. `of` names the set."""
    secret = key.reveal()
    assert len(secret) == KEY_BYTES, "a key has 32 bytes"
    assert 2 <= threshold <= count <= MOST_SHARES, "at least two of at most 255"
    coefficients = [secret, *(os.urandom(KEY_BYTES) for _ in range(threshold - 1))]
    return [Share(of, threshold, point, _at(coefficients, point)) for point in range(1, count + 1)]


def combine(shares: Sequence[Share]) -> Plaintext:
    """The key that these shares are of, if they are shares of one key; whether it is that key, only its use can tell.

    Raises BadShare: they are of several sets, two are the same, or there are too few.
    """
    if len({(share.of, share.threshold) for share in shares}) > 1:
        raise BadShare("The shares are of different sets.")
    if not shares or len(shares) < shares[0].threshold:
        raise BadShare("There are too few shares.")
    chosen = shares[: shares[0].threshold]
    points = [share.point for share in chosen]
    if len(set(points)) != len(points):
        raise BadShare("The same share was given twice.")
    key = bytearray(KEY_BYTES)
    for share in chosen:
        weight = 1
        for other in points:
            if other != share.point:
                weight = _multiply(weight, _divide(other, other ^ share.point))
        for place, byte in enumerate(share.value):
            key[place] ^= _multiply(weight, byte)
    return Plaintext(bytes(key))


# -- GF(2^8) --------------------------------------------------------------------------------------------------------------


def _tables() -> tuple[list[int], list[int]]:
    """Powers of the generator 3, and their logarithms."""
    powers, logarithms, value = [0] * 255, [0] * 256, 1
    for exponent in range(255):
        powers[exponent], logarithms[value] = value, exponent
        value ^= value << 1
        if value & 0x100:
            value ^= 0x11B
    return powers, logarithms


_POWERS, _LOGARITHMS = _tables()


def _multiply(left: int, right: int) -> int:
    return _POWERS[(_LOGARITHMS[left] + _LOGARITHMS[right]) % 255] if left and right else 0


def _divide(left: int, right: int) -> int:
    assert right, "division by zero"
    return _POWERS[(_LOGARITHMS[left] - _LOGARITHMS[right]) % 255] if left else 0


def _at(coefficients: Sequence[bytes], point: int) -> bytes:
    """The values at `point` of the polynomials whose coefficients, lowest first, are the columns (Horner's scheme)."""
    values = bytes(KEY_BYTES)
    for row in reversed(coefficients):
        values = bytes(_multiply(value, point) ^ byte for value, byte in zip(values, row, strict=True))
    return values
