"""Bytes that wait on a disk until it is known who sent them: in a file without a name, under a key that this process alone has.

Whoever gets at the disk finds nothing he can read, and when the process ends, however it ends, the file is gone.
"""

import hashlib
import hmac
import tempfile
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR

from geumgo.sealing import random

NONCE: Final = bytes(16)  # the key is used for one file
PIECE: Final = 1 << 20


class Changed(Exception):
    """The file does not hold what was written to it."""


class Spool:
    """One file in `directory`. Raises OSError where the disk does. Not for several threads."""

    def __init__(self, directory: Path) -> None:
        self._cipher = Cipher(AES256(random.key().reveal()), CTR(NONCE))
        self._sealing = self._cipher.encryptor()
        self._hash = hashlib.sha256()
        self._file = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115  closed by `close`
        self.size = 0

    def add(self, piece: bytes) -> None:
        """`piece` stands behind what was added before."""
        self._hash.update(piece)
        self.size += len(piece)
        self._file.write(self._sealing.update(piece))

    @property
    def sha256(self) -> str:
        """Of what was added so far, in hexadecimal."""
        return self._hash.hexdigest()

    def read(self) -> bytes:
        """All that was added. Raises Changed."""
        self._file.seek(0)
        opening, found = self._cipher.decryptor(), hashlib.sha256()
        content = bytearray()
        while sealed := self._file.read(PIECE):
            piece = opening.update(sealed)
            found.update(piece)
            content += piece
        if not hmac.compare_digest(found.digest(), self._hash.digest()):
            raise Changed("what was received and what is in its file differ")
        return bytes(content)

    def close(self) -> None:
        """The file is gone."""
        self._file.close()
