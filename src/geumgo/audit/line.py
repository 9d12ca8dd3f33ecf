"""One line of a segment: its form, its hash, what a head signs. Pure.

    {"chain":"n1-api-0","seq":7,"prev":"<64 hex>","at":1790000000000,"kind":"call","id":"<uuid>","record":{...},
     "mac":"<32 hex>","hash":"<64 hex>"}

`prev` is the hash of the line before. `mac` is a keyed hash of everything in front of it, so that whoever holds the key can check the
newest lines too, which no signature covers yet. `hash` covers everything in front of it, `mac` included.

A line is ASCII: whatever a caller sends, it can neither break out of its line nor steer a terminal that shows it.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec

from geumgo.sealing.keyed import Mac, keyed

ORIGIN: Final = "0" * 64
"""What the first line of a chain names as the hash before it."""
MAC_HEX: Final = 32
HASH_HEX: Final = 64
_HASH_PART: Final = len(',"hash":""}') + HASH_HEX
_MAC_PART: Final = len(',"mac":""') + MAC_HEX
TAIL_BYTES: Final = _MAC_PART + _HASH_PART
DEEPEST: Final = 64
"""How deep a record may nest that holds half of a surrogate pair."""
CHAIN_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")

_FORM = re.compile(
    rb'\{"chain":"([a-z0-9._-]{1,128})","seq":(\d{1,18}),"prev":"([0-9a-f]{64})","at":(-?\d{1,18}),'
    rb'"kind":"([a-z]{1,16})","id":"([0-9a-f-]{36})","record":'
)
_TAIL = re.compile(rb'\},"mac":"[0-9a-f]{32}","hash":"([0-9a-f]{64})"\}')
_ENCODER = msgspec.json.Encoder()

UNREADABLE: Final = (msgspec.DecodeError, RecursionError, AttributeError, KeyError, TypeError, ValueError)
"""What a line raises whose record is not one of ours: whoever reads on passes over it, as over any line that was changed."""


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain stood when it was signed. `signature` is Ed25519 over `head_message`, in hexadecimal digits."""

    chain: str
    seq: int
    hash: str
    at_ms: int
    signature: str


class Line(NamedTuple):
    """One line, taken apart. `raw` is without its newline; `record` is not decoded."""

    chain: str
    seq: int
    prev: str
    at_ms: int
    kind: str
    id: str
    hash: str
    raw: bytes
    record_at: int

    def record(self) -> dict[str, Any]:
        """The record itself. Raises msgspec.DecodeError if it is not JSON, or nests deeper than anything that was ever noted."""
        try:
            decoded: dict[str, Any] = msgspec.json.decode(self.raw[self.record_at : -TAIL_BYTES], type=dict)
        except RecursionError as fault:
            raise msgspec.DecodeError("the record nests too deep") from fault
        return decoded


def encode_record(record: Mapping[str, Any]) -> bytes:
    """`record` as ASCII JSON on one line, without control characters. Halves of surrogate pairs become U+FFFD.

    Raises RecursionError or ValueError if it nests deeper than anything that is ever noted (see `record.plain`).
    """
    try:
        encoded = _ENCODER.encode(record)
    except UnicodeEncodeError:
        return encode_record(_whole(record))
    if not encoded.isascii():
        encoded = json.dumps(msgspec.json.decode(encoded), separators=(",", ":"), ensure_ascii=True).encode("ascii")
    return encoded.replace(b"\x7f", b"\\u007f")


def _whole(value: Any, depth: int = DEEPEST) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if not isinstance(value, Mapping | list | tuple):
        return value
    if not depth:  # compiled, nothing else would end this
        raise ValueError("the record nests too deep")
    if isinstance(value, Mapping):
        return {_whole(str(name)): _whole(inner, depth - 1) for name, inner in value.items()}
    return [_whole(inner, depth - 1) for inner in value]


def build(
    *, chain: str, seq: int, prev: str, at_ms: int, kind: str, event_id: str, record: bytes, mac_key: bytes
) -> tuple[bytes, str]:
    """A line with its newline, and its hash. `record` is what `encode_record` made."""
    return build_with(keyed(mac_key), chain.encode(), seq, prev, at_ms, kind, event_id, record)


def build_with(
    mac: Mac, chain: bytes, seq: int, prev: str, at_ms: int, kind: str, event_id: str, record: bytes
) -> tuple[bytes, str]:
    """As `build`, for whoever builds many."""
    front = b'{"chain":"%b","seq":%d,"prev":"%b","at":%d,"kind":"%b","id":"%b","record":%b' % (
        chain,
        seq,
        prev.encode(),
        at_ms,
        kind.encode(),
        event_id.encode(),
        record,
    )
    digest = hashlib.sha256(front).digest()
    shown = mac(digest).hex().encode()[:MAC_HEX]
    hash_ = hashlib.sha256(digest + shown).hexdigest()
    return b'%b,"mac":"%b","hash":"%b"}\n' % (front, shown, hash_.encode()), hash_


def take_apart(raw: bytes) -> Line | None:
    """The parts of a line without its newline, or None if it does not have the form of one, or its hash is not its own."""
    front, tail = _FORM.match(raw), _TAIL.match(raw, max(len(raw) - TAIL_BYTES - 1, 0))
    if front is None or tail is None or tail.end() != len(raw) or hash_of(raw) != tail[1]:
        return None
    chain, seq, prev, at_ms, kind, id_ = front.groups()
    return Line(
        chain=chain.decode(),
        seq=int(seq),
        prev=prev.decode(),
        at_ms=int(at_ms),
        kind=kind.decode(),
        id=id_.decode(),
        hash=tail[1].decode(),
        raw=raw,
        record_at=front.end(),
    )


def hash_of(raw: bytes) -> bytes:
    """The hash that a line without its newline must end with, in hexadecimal digits."""
    digest, shown = _digest_and_mac(raw)
    return hashlib.sha256(digest + shown).hexdigest().encode()


def is_ours(line: Line, mac_key: bytes) -> bool:
    """Whether a holder of `mac_key` wrote this line."""
    digest, shown = _digest_and_mac(line.raw)
    return hmac.compare_digest(_mac(mac_key, digest), shown)


def _digest_and_mac(raw: bytes) -> tuple[bytes, bytes]:
    """The digest of what stands in front of a line's MAC, and the MAC that it shows, in hexadecimal digits."""
    mac_at = max(len(raw) - _HASH_PART - 1 - MAC_HEX, 0)
    return hashlib.sha256(raw[:-TAIL_BYTES]).digest(), raw[mac_at : mac_at + MAC_HEX]


def head_message(chain: str, seq: int, hash_: str) -> bytes:
    """What is signed of a head. Names hold no newline, so no two heads have one message."""
    return f"geumgo/1/audit-head\n{chain}\n{seq}\n{hash_}".encode()


def _mac(mac_key: bytes, digest: bytes) -> bytes:
    return hmac.digest(mac_key, digest, "sha256").hex().encode()[:MAC_HEX]
