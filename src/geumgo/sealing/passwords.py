"""Passwords of people: kept as salted, memory-hard hashes, compared by trying."""

import os
from base64 import b64decode, b64encode
from typing import Final

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from geumgo.sealing.plaintext import Plaintext

_MEMORY_KIB: Final = 19 * 1024
_PASSES: Final = 2
_LANES: Final = 1
_LENGTH_BYTES: Final = 32
_SALT_BYTES: Final = 16


class WrongPassword(Exception):
    """The password is not the one that was hashed."""


def hash_password(password: Plaintext) -> str:
    """Argon2id of `password` with a new salt: `argon2id$memory in KiB$passes$lanes$salt$hash`.

    19 MiB and two passes, about 40 ms here. Source: OWASP Password Storage Cheat Sheet.
    """
    salt = os.urandom(_SALT_BYTES)
    derived = _argon2id(salt, _MEMORY_KIB, _PASSES, _LANES).derive(password.reveal())
    return "$".join(
        ("argon2id", str(_MEMORY_KIB), str(_PASSES), str(_LANES), b64encode(salt).decode(), b64encode(derived).decode())
    )


def verify_password(password: Plaintext, hashed: str) -> None:
    """Raises WrongPassword unless `hashed` was made of `password`."""
    _, memory, passes, lanes, salt, derived = hashed.split("$")
    try:
        _argon2id(b64decode(salt), int(memory), int(passes), int(lanes)).verify(password.reveal(), b64decode(derived))
    except InvalidKey:
        raise WrongPassword from None


def _argon2id(salt: bytes, memory_kib: int, passes: int, lanes: int) -> Argon2id:
    return Argon2id(salt=salt, length=_LENGTH_BYTES, iterations=passes, lanes=lanes, memory_cost=memory_kib)
