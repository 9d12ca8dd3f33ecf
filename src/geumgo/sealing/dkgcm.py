"""DKGCM version 1: the one authenticated encryption that everything is sealed with.

    blob   = header || commitment(32) || ciphertext || tag(16)
    header = version(1) || algorithm(1) || key_id(16) || key_version(4) || N(16) || IV(12)
    K || C = KBKDF-CTR-HMAC-SHA256(key, label "dkgcm1/enc", context N || SHA-256(header), 64 bytes)
    K encrypts with AES-256-GCM under IV; its associated data is header || the context in canonical form
    C is the commitment: a blob opens under one key only

Each message has a key of its own, derived with 128 fresh random bits, so the 2^32 limit of random nonces does not
bind the key and a machine that is restored from a snapshot does not repeat a nonce under a key. Numbers are
big-endian.

Source: NIST SP 800-108 (counter mode, 32-bit counter before the fixed input, 32-bit length), NIST SP 800-38D.
"""

import hashlib
import hmac
import os
import struct
from collections.abc import Mapping
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from geumgo.sealing.failure import Unsealable
from geumgo.sealing.keyed import Mac, keyed

VERSION = 1
AES_256_GCM = 1
KEY_BYTES = 32
HEADER_BYTES = 50
OVERHEAD_BYTES = HEADER_BYTES + 32 + 16
"""How many bytes a blob is longer than what was sealed in it."""

_HEADER = struct.Struct(">BB16sI16s12s")
_NAMED = struct.Struct(">BB16sI")
_U16 = struct.Struct(">H").pack
_LENGTHS = tuple(_U16(length).decode("latin-1") for length in range(1_024))  # a length as the characters of its bytes
_LABEL = b"dkgcm1/enc"
_LENGTH_IN_BITS = struct.pack(">I", 512)


class Header(NamedTuple):
    """What a blob says of the key that sealed it. Nothing of it is authentic before the blob has been decrypted."""

    key_id: bytes
    key_version: int


def encrypt(key: bytes, key_id: bytes, key_version: int, context: Mapping[str, str], plaintext: bytes) -> bytes:
    """`plaintext` sealed under `key` (32 bytes), bound to `context`.

    The blob names the key as `key_id` (16 bytes) and `key_version`.
    """
    return _encrypt(key, key_id, key_version, context, plaintext, os.urandom(28))


Bound = Mapping[str, str] | bytes
"""What a blob is bound to: its context, or that in canonical form, for whoever opens it again and again."""


def decrypt(key: bytes, key_id: bytes, key_version: int, context: Bound, blob: bytes) -> bytes:
    """What was sealed.

    Raises Unsealable if a bit of the blob, the key, its id, its version or the context is not the one that was sealed.
    """
    return decrypt_with(keyed(key), key_id, key_version, context, blob)


def decrypt_with(mac: Mac, key_id: bytes, key_version: int, context: Bound, blob: bytes) -> bytes:
    """As `decrypt`, for a key that opens many blobs. `mac` is `keyed(key)`."""
    return open_prepared(mac, prepare(key_id, key_version, context, blob))


class Prepared(NamedTuple):
    """A blob, ready to be opened again and again: what of that work needs no key."""

    key_block: bytes
    commitment_block: bytes
    commitment: bytes
    iv: bytes
    sealed: bytes
    bound: bytes


def prepare(key_id: bytes, key_version: int, context: Bound, blob: bytes) -> Prepared:
    """`blob`, to be opened with `open_prepared`. Raises Unsealable if it does not name the key as `key_id` and `key_version`."""
    if len(blob) < OVERHEAD_BYTES or blob[:22] != _NAMED.pack(VERSION, AES_256_GCM, key_id, key_version):
        raise Unsealable
    head = blob[:HEADER_BYTES]
    bound = context if isinstance(context, bytes) else canonical(context)
    sealed_at = HEADER_BYTES + 32
    return Prepared(*_blocks(head), blob[HEADER_BYTES:sealed_at], head[38:], blob[sealed_at:], head + bound)


def open_prepared(mac: Mac, blob: Prepared) -> bytes:
    """What was sealed. `mac` is `keyed(key)`. Raises Unsealable as `decrypt` does."""
    key_block, commitment_block, commitment, iv, sealed, bound = blob
    if not hmac.compare_digest(mac(commitment_block), commitment):
        raise Unsealable
    try:
        return AESGCM(mac(key_block)).decrypt(iv, sealed, bound)
    except InvalidTag:
        raise Unsealable from None


def read_header(blob: bytes) -> Header:
    """Which key a blob says it was sealed under. Raises Unsealable if it is no blob of this version at all."""
    if len(blob) < OVERHEAD_BYTES:
        raise Unsealable
    version, algorithm, key_id, key_version, _n, _iv = _HEADER.unpack_from(blob)
    if version != VERSION or algorithm != AES_256_GCM:
        raise Unsealable
    return Header(key_id, key_version)


def canonical(context: Mapping[str, str]) -> bytes:
    """`context` as bytes that no other context has.

    How many names (u16), then names and values in UTF-8, each behind its length (u16), sorted by the names' bytes.
    Raises ValueError if a name or a value is longer than 65,535 bytes, or cannot be encoded as UTF-8.
    """
    names = sorted(context)  # by code points, which is the order of the bytes
    said = [text for name in names for text in (name, context[name])]
    if "".join(said).isascii():
        try:
            return (_LENGTHS[len(names)] + "".join([_LENGTHS[len(text)] + text for text in said])).encode("latin-1")
        except IndexError:  # something is long
            pass
    try:
        parts = [_U16(len(names))]
        for text in said:
            raw = text.encode()
            parts += (_U16(len(raw)), raw)
    except struct.error:
        raise ValueError("the context has more than 65,535 names, or one longer than 65,535 bytes") from None
    return b"".join(parts)


def _encrypt(
    key: bytes, key_id: bytes, key_version: int, context: Mapping[str, str], plaintext: bytes, randomness: bytes
) -> bytes:
    """As `encrypt`, with N and IV given (28 bytes): recorded vectors are made with it, and nothing else may call it."""
    assert len(key) == KEY_BYTES, "a key has 32 bytes"
    assert len(key_id) == 16, "a key id has 16 bytes"
    head = _HEADER.pack(VERSION, AES_256_GCM, key_id, key_version, randomness[:16], randomness[16:])
    encryption_key, commitment = map(keyed(key), _blocks(head))
    sealed = AESGCM(encryption_key).encrypt(head[38:], plaintext, head + canonical(context))
    return b"".join((head, commitment, sealed))


def _blocks(head: bytes) -> tuple[bytes, bytes]:
    """What the KDF makes of the message with this header, under a key: the encryption key and the commitment, a block each."""
    fixed = b"".join((_LABEL, b"\0", head[22:38], hashlib.sha256(head).digest(), _LENGTH_IN_BITS))
    return b"\0\0\0\x01" + fixed, b"\0\0\0\x02" + fixed
