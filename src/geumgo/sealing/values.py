"""A value under its own data key. Its length is hidden: up to 1 KiB in steps of 64 bytes, beyond in steps of 256."""

from collections.abc import Mapping

from geumgo.sealing import dkgcm
from geumgo.sealing.failure import Unsealable
from geumgo.sealing.keyed import keyed
from geumgo.sealing.plaintext import Plaintext

_KEY_ID = b"geumgo data key\0"  # a data key is used for one value; the blob need not say which key it is
_KEY_VERSION = 1


def seal_value(data_key: Plaintext, context: Mapping[str, str], value: Plaintext) -> bytes:
    """`value`, padded, sealed under `data_key` (32 bytes) and bound to `context`."""
    return dkgcm.encrypt(data_key.reveal(), _KEY_ID, _KEY_VERSION, context, _padded(value.reveal()))


def open_value(data_key: Plaintext, context: dkgcm.Bound, sealed: bytes) -> Plaintext:
    """What was sealed, without its padding. Raises Unsealable if a bit, the key or the context differs."""
    return open_prepared(data_key, prepare(context, sealed))


def prepare(context: dkgcm.Bound, sealed: bytes) -> dkgcm.Prepared:
    """A sealed value, to be opened again and again. Raises Unsealable if it is none."""
    return dkgcm.prepare(_KEY_ID, _KEY_VERSION, context, sealed)


def open_prepared(data_key: Plaintext, sealed: dkgcm.Prepared) -> Plaintext:
    """As `open_value`."""
    padded = dkgcm.open_prepared(keyed(data_key.reveal()), sealed).rstrip(b"\0")
    if padded[-1:] != b"\x80":
        raise Unsealable
    return Plaintext(padded[:-1])


def _padded(value: bytes) -> bytes:
    """`value`, a mark, and zeros up to the next step. Source: ISO/IEC 7816-4 padding."""
    marked = len(value) + 1
    step = 64 if marked <= 1024 else 256
    return value + b"\x80" + b"\0" * (-marked % step)
