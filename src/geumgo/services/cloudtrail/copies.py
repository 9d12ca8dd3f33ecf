"""Copies of records for those who do not have the files of the machine that wrote them: packed, under a MAC."""

import hashlib
import json
import zlib
from collections.abc import Mapping
from typing import Any, Final

from geumgo.audit.line import encode_record
from geumgo.context import Params
from geumgo.sealing import Sealing

_MAC: Final = "cloudtrail_event"
_MAC_BYTES: Final = 36


def copy_of(sealing: Sealing, record: Mapping[str, Any]) -> bytes:
    return _vouched(sealing, zlib.compress(encode_record(record), 6))


def read_copy(sealing: Sealing, copy: bytes) -> Params:
    """The record. Raises Unsealable if the copy was changed."""
    record: Params = json.loads(zlib.decompress(_packed(sealing, copy)))
    return record


def vouched_anew(sealing: Sealing, copy: bytes) -> bytes:
    """The same copy with a MAC of the newest root key. Raises Unsealable if it was changed."""
    return _vouched(sealing, _packed(sealing, copy))


def _vouched(sealing: Sealing, packed: bytes) -> bytes:
    return sealing.vouch(_MAC, {"record": hashlib.sha256(packed).digest()}) + packed


def _packed(sealing: Sealing, copy: bytes) -> bytes:
    mac, packed = copy[:_MAC_BYTES], copy[_MAC_BYTES:]
    sealing.check(_MAC, {"record": hashlib.sha256(packed).digest()}, mac)
    return packed
