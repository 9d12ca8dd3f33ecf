"""A backup file: encrypted to whoever may restore it, signed by the site that wrote it.

    file   = magic || length(u32) || header JSON || frames || length(u32) || footer JSON || signature(64)
    frame  = last(u8) || length(u32) || AES-256-GCM(at most 64 KiB), nonce = counter(11 bytes) || last, bound to SHA-256(magic ... header)
    header = what the writer says, and the file's key for each recipient by HPKE (ML-KEM-768 + X25519, HKDF-SHA256, AES-256-GCM)

The key is fresh for each file. The signature (Ed25519) covers the header's hash, the last frame's tag and the footer; it is
checked with the public key of the term that the footer names. Numbers are big-endian. Source: RFC 9180 (HPKE), NIST SP 800-38D.
"""

import base64
import hashlib
import json
import os
import struct
from collections.abc import Sequence
from typing import Any, BinaryIO, Final, final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from geumgo.sealing.failure import Unsealable
from geumgo.sealing.plaintext import Plaintext
from geumgo.sealing.root import Signer, verify_signature

CHUNK_BYTES: Final = 65_536
DOCUMENT_BYTES: Final = 1 << 20  # a header or a footer is never longer

_MAGIC: Final = b"geumgo backup 1\n"
_INFO: Final = b"geumgo/1/backup"
_SUITE: Final = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_RECIPIENT: Final = "geumgo-backup-recipient-1:"
_IDENTITY: Final = "geumgo-backup-key-1:"
_FRAME: Final = struct.Struct(">BI")
_U32: Final = struct.Struct(">I")
_SEED_BYTES: Final = 64
_PUBLIC_BYTES: Final = 1184
_SIGNATURE_BYTES: Final = 64


class BackupError(Exception):
    """The backup cannot be made, or is refused. The message is one sentence for the operator; it holds nothing secret."""


def new_recipient() -> tuple[Plaintext, str]:
    """A key that opens backups, as one line of text, and the recipient (public, one line) that they are encrypted to."""
    mlkem, x25519 = MLKEM768PrivateKey.generate(), X25519PrivateKey.generate()
    secret = mlkem.private_bytes_raw() + x25519.private_bytes_raw()
    public = mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
    return Plaintext(_IDENTITY.encode() + base64.b64encode(secret)), _RECIPIENT + base64.b64encode(public).decode()


@final
class Writer:
    """Writes one backup file. Whoever leaves without `close` leaves a file that nobody can open."""

    def __init__(self, out: BinaryIO, recipients: Sequence[str], facts: dict[str, Any], signer: Signer) -> None:
        """`recipients` as `new_recipient` gives them, at least one. Raises BackupError if one of them is none."""
        if not recipients:
            raise BackupError("A backup needs a recipient; make one with --new-recipient.")
        key = os.urandom(32)
        sealed = [_SUITE.encrypt(key, _public(text), _INFO).hex() for text in recipients]
        header = _framed({**facts, "recipients": sealed})
        out.write(_MAGIC + header)
        self._out, self._signer, self._cipher = out, signer, AESGCM(key)
        self._head = hashlib.sha256(_MAGIC + header).digest()
        self._waiting, self._counter, self._tag = bytearray(), 0, b""

    def write(self, content: bytes) -> None:
        self._waiting += content
        while len(self._waiting) > CHUNK_BYTES:
            self._frame(bytes(self._waiting[:CHUNK_BYTES]), last=False)
            del self._waiting[:CHUNK_BYTES]

    def close(self, facts: dict[str, Any]) -> None:
        """The last frame, and the signed footer with `facts`."""
        self._frame(bytes(self._waiting), last=True)
        footer = _framed({**facts, "term": self._signer.term})
        self._out.write(footer + self._signer.sign(_INFO + self._head + self._tag + footer))

    def _frame(self, content: bytes, *, last: bool) -> None:
        sealed = self._cipher.encrypt(_nonce(self._counter, last), content, self._head)
        self._out.write(_FRAME.pack(last, len(sealed)) + sealed)
        self._counter, self._tag = self._counter + 1, sealed[-16:]


@final
class Reader:
    """Reads one backup file, frame by frame: what `take` answers is authentic, but complete and signed only after `close`."""

    def __init__(self, file: BinaryIO, identity: Plaintext) -> None:
        """`identity` as `new_recipient` gave it. Raises BackupError if it does not open this file."""
        self._file = file
        if file.read(len(_MAGIC)) != _MAGIC:
            raise BackupError("This is no backup of Geumgo.")
        header, raw = self._document()
        self._head = hashlib.sha256(_MAGIC + raw).digest()
        self.facts: dict[str, Any] = header
        self._cipher = AESGCM(_file_key(header, _private(identity)))
        self._ready, self._counter, self._tag, self._ended = bytearray(), 0, b"", False

    def take(self, length: int) -> bytes:
        """The next `length` bytes. Raises BackupError if a frame is not the one that was written, or there are not so many."""
        while len(self._ready) < length:
            if self._ended:
                raise damaged()
            self._frame()
        taken = bytes(self._ready[:length])
        del self._ready[:length]
        return taken

    def close(self) -> tuple[dict[str, Any], "Signed"]:
        """The footer and what it signs. Raises BackupError if anything was not taken, or follows."""
        if not self._ended:
            self._frame()
        if self._ready or not self._ended:
            raise damaged()
        footer, raw = self._document()
        signature = self._exactly(_SIGNATURE_BYTES)
        if self._file.read(1):
            raise damaged()
        return footer, Signed(_INFO + self._head + self._tag + raw, signature)

    def _frame(self) -> None:
        last, length = _FRAME.unpack(self._exactly(_FRAME.size))
        if last > 1 or length > CHUNK_BYTES + 16:
            raise damaged()
        sealed = self._exactly(length)
        try:
            self._ready += self._cipher.decrypt(_nonce(self._counter, bool(last)), sealed, self._head)
        except InvalidTag:
            raise damaged() from None
        self._counter, self._tag, self._ended = self._counter + 1, sealed[-16:], bool(last)

    def _document(self) -> tuple[dict[str, Any], bytes]:
        prefix = self._exactly(_U32.size)
        length = _U32.unpack(prefix)[0]
        if length > DOCUMENT_BYTES:
            raise damaged()
        text = self._exactly(length)
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            raise damaged() from None
        if not isinstance(found, dict):
            raise damaged()
        return found, prefix + text

    def _exactly(self, length: int) -> bytes:
        found = self._file.read(length)
        if len(found) != length:
            raise damaged()
        return found


@final
class Signed:
    """What the writer's site signed."""

    def __init__(self, message: bytes, signature: bytes) -> None:
        self._message, self._signature = message, signature

    def check(self, public_key: bytes) -> None:
        """Raises BackupError unless the holder of this Ed25519 key (32 bytes) signed it."""
        try:
            verify_signature(public_key, self._signature, self._message)
        except Unsealable:
            raise damaged() from None


def damaged() -> BackupError:
    return BackupError("The backup is damaged or was altered; nothing was written.")


def _file_key(header: dict[str, Any], private: MLKEM768X25519PrivateKey) -> bytes:
    recipients = header.get("recipients")
    for sealed in recipients if isinstance(recipients, list) else []:
        try:
            key = _SUITE.decrypt(bytes.fromhex(sealed), private, _INFO)
        except (InvalidTag, ValueError, TypeError):
            continue  # for another recipient, or altered
        if len(key) == 32:
            return key
    raise BackupError("The backup was not made for this key, or is damaged.")


def _framed(document: dict[str, Any]) -> bytes:
    text = json.dumps(document, sort_keys=True).encode()
    return _U32.pack(len(text)) + text


def _nonce(counter: int, last: bool) -> bytes:
    return counter.to_bytes(11, "big") + bytes([last])


def _public(text: str) -> MLKEM768X25519PublicKey:
    raw = _decoded(text.strip(), _RECIPIENT, _PUBLIC_BYTES + 32)
    return MLKEM768X25519PublicKey(
        MLKEM768PublicKey.from_public_bytes(raw[:_PUBLIC_BYTES]),
        X25519PublicKey.from_public_bytes(raw[_PUBLIC_BYTES:]),
    )


def _private(identity: Plaintext) -> MLKEM768X25519PrivateKey:
    raw = _decoded(identity.reveal().decode("ascii", "replace").strip(), _IDENTITY, _SEED_BYTES + 32)
    return MLKEM768X25519PrivateKey(
        MLKEM768PrivateKey.from_seed_bytes(raw[:_SEED_BYTES]), X25519PrivateKey.from_private_bytes(raw[_SEED_BYTES:])
    )


def _decoded(text: str, prefix: str, length: int) -> bytes:
    try:
        raw = base64.b64decode(text.removeprefix(prefix), validate=True)
    except ValueError:
        raw = b""
    if not text.startswith(prefix) or len(raw) != length:
        raise BackupError(f"A line that begins with {prefix} was expected.")
    return raw
