"""Seals: what wraps the root keys at rest. By file, by passphrase, or by shares of several people."""

import hashlib
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, final

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from geumgo.sealing import dkgcm, random
from geumgo.sealing.files import read_private, write_private
from geumgo.sealing.plaintext import Plaintext
from geumgo.sealing.shares import MOST_SHARES, BadShare, Share, combine, split

PASSPHRASE_FLOOR_BITS = 80
PASSPHRASE_FLOOR_WORDS = 12
PASSPHRASE_LIMIT_BYTES = 4096


class SealError(Exception):
    """The root keys cannot be opened or kept. The message is one sentence for the operator; it holds nothing secret."""


class Seal(Protocol):
    """Something that turns into a key of 32 bytes, the same one each time it is given the same parameters."""

    kind: ClassVar[str]

    def prepare(self) -> dict[str, Any]:
        """Fresh parameters (plain JSON values) to be kept beside the wrapped keys: with them, `key` works."""
        ...

    def key(self, parameters: Mapping[str, Any]) -> Plaintext:
        """The sealing key. Raises SealError if it cannot be had."""
        ...


@final
class FileSeal:
    """Seal by a file of 32 random bytes:

    guards backups and a stolen database, not the disk that holds the file as well.
    """

    kind: ClassVar[str] = "file"

    def __init__(self, path: Path) -> None:
        self.path = path

    def prepare(self) -> dict[str, Any]:
        """Make the file. One that is there already is used as it is."""
        try:
            write_private(self.path, os.urandom(dkgcm.KEY_BYTES), replace=False)
        except FileExistsError:
            self._read()
        return {}

    def key(self, parameters: Mapping[str, Any]) -> Plaintext:  # noqa: ARG002 - a file needs none
        return self._read()

    def _read(self) -> Plaintext:
        try:
            key = read_private(self.path, at_most=dkgcm.KEY_BYTES)
        except FileNotFoundError:
            raise SealError(f"The seal file {self.path} is missing.") from None
        if len(key) != dkgcm.KEY_BYTES:
            raise SealError(f"The seal file {self.path} does not have {dkgcm.KEY_BYTES} bytes.")
        return Plaintext(key)


@final
class PassphraseSeal:
    """Seal by a passphrase, stretched with Argon2id.

    Source: RFC 9106, section 4, second recommended option: t=3, p=4, m=64 MiB.
    """

    kind: ClassVar[str] = "passphrase"

    def __init__(self, passphrase: Plaintext) -> None:
        """`passphrase` is UTF-8; white space around it (the line's end in a file) is not part of it."""
        self._passphrase = passphrase

    def prepare(self) -> dict[str, Any]:
        """Raises SealError if the passphrase is guessed too easily."""
        refuse_weak(self._passphrase)
        return {"salt": os.urandom(16).hex(), "iterations": 3, "lanes": 4, "memory_kib": 64 * 1024}

    def key(self, parameters: Mapping[str, Any]) -> Plaintext:
        stretched = Argon2id(
            salt=bytes.fromhex(parameters["salt"]),
            length=dkgcm.KEY_BYTES,
            iterations=_within(parameters, "iterations", 1, 100),
            lanes=_within(parameters, "lanes", 1, 64),
            memory_cost=_within(parameters, "memory_kib", 8 * 64, 4 * 1024 * 1024),
        )
        return Plaintext(stretched.derive(self._passphrase.reveal().strip()))


@final
class SharesSeal:
    """Seal by a random key that nobody keeps: any `threshold` of the shares of it give it back.

    `given` are the shares that people have entered. `made` are those of a seal that was just prepared: to be shown once.
    """

    kind: ClassVar[str] = "shares"

    def __init__(self, given: Sequence[Share] = (), *, threshold: int = 0, count: int = 0) -> None:
        """`threshold` and `count` are for a new seal."""
        self.given = list(given)
        self.made: list[Share] = []
        self._threshold, self._count = threshold, count

    def prepare(self) -> dict[str, Any]:
        """A new key is split."""
        if not 2 <= self._threshold <= self._count <= MOST_SHARES:
            raise SealError(f"The key is split into 2 to {MOST_SHARES} shares, of which at least 2 are needed.")
        of = os.urandom(8).hex()
        self.made = split(random.key(), threshold=self._threshold, count=self._count, of=of)
        return {"set": of, "threshold": self._threshold, "count": self._count}

    def key(self, parameters: Mapping[str, Any]) -> Plaintext:
        """Raises SealError: too few of the shares are given, or they are of another seal."""
        own = [share for share in self.given or self.made if share.of == parameters["set"]]
        needed = _within(parameters, "threshold", 2, MOST_SHARES)
        if len({share.point for share in own}) < needed or any(share.threshold != needed for share in own):
            raise SealError(f"These root keys open with {needed} shares; give them with `geumgo unseal`.")
        try:
            return combine(list({share.point: share for share in own}.values()))
        except BadShare as fault:
            raise SealError(str(fault)) from None


def read_passphrase(descriptor: int) -> Plaintext:
    """The passphrase that can be read from an open file descriptor, to its end; the descriptor is closed."""
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(PASSPHRASE_LIMIT_BYTES + 1)
    if len(content) > PASSPHRASE_LIMIT_BYTES:
        raise SealError(f"The passphrase is longer than {PASSPHRASE_LIMIT_BYTES} bytes.")
    return Plaintext(content)


def refuse_weak(passphrase: Plaintext) -> None:
    """Raises SealError unless the passphrase has 12 different words, or an estimate of 80 bits."""
    try:
        text = passphrase.reveal().strip().decode()
    except UnicodeDecodeError:
        raise SealError("The passphrase is not UTF-8 text.") from None
    if len(set(text.lower().split())) < PASSPHRASE_FLOOR_WORDS and _estimated_bits(text) < PASSPHRASE_FLOOR_BITS:
        raise SealError(
            f"The passphrase is too easy to guess: use {PASSPHRASE_FLOOR_WORDS} random words, or characters worth "
            f"{PASSPHRASE_FLOOR_BITS} bits (14 of mixed kinds)."
        )


def _estimated_bits(text: str) -> float:
    """An upper estimate: characters that repeat or continue the one before them count for nothing."""
    counted = [here for before, here in zip("\0" + text, text, strict=False) if abs(ord(here) - ord(before)) > 1]
    kinds = ((str.islower, 26), (str.isupper, 26), (str.isdigit, 10), (lambda c: not c.isalnum(), 32))
    pool = sum(size for is_kind, size in kinds if any(is_kind(c) for c in counted))
    if not counted or not pool:
        return 0.0
    return min(len(counted) * math.log2(pool), len(set(counted)) * 8.0)


def _within(parameters: Mapping[str, Any], name: str, least: int, most: int) -> int:
    value = parameters[name]
    if not isinstance(value, int) or not least <= value <= most:
        raise SealError(f"The keyring file is damaged: {name} is out of range.")
    return value


def seal_id(kind: str, parameters: Mapping[str, Any]) -> bytes:
    """The 16 bytes by which a wrapped copy names its seal."""
    return hashlib.sha256(dkgcm.canonical({"kind": kind, **{k: str(v) for k, v in parameters.items()}})).digest()[:16]
