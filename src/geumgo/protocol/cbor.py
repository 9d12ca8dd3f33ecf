"""smithy-rpc-v2-cbor: bounded reading, and both directions along a shape.

The reader is our own and knows a small part of CBOR only: what the protocol uses. A general one offers tags, shared
references and numbers without end to whoever can sign a request.
"""

import math
import struct
from datetime import datetime
from typing import Any, NamedTuple

import cbor2

from geumgo.errors import TooLarge, Unreadable
from geumgo.protocol import timestamps
from geumgo.protocol.limits import Limits
from geumgo.protocol.shapes import Member, Shape
from geumgo.protocol.tree import Reader, Writer, check, wrong_type

_EPOCH_TAG = 1
_INDEFINITE = 31
_FLOATS = {25: ">e", 26: ">f", 27: ">d"}
_SIMPLE: dict[int, bool | None] = {20: False, 21: True, 22: None, 23: None}  # 23 is `undefined`


class Moment(NamedTuple):
    """A tagged number: seconds after 1970."""

    seconds: float


def read(body: bytes, limits: Limits) -> Any:
    """The value that `body` holds: dicts, lists, str, bytes, int, float, bool, None, Moment.

    Raises:
        TooLarge: more bytes than `limits.size`.
        Unreadable: not exactly one value, a tag beside that of time, a key twice or not text, text that is not UTF-8, a
            float that is not finite, or any of the other limits.

    """
    if len(body) > limits.size:
        raise TooLarge(f"The request must not be larger than {limits.size} bytes.")
    source = _Source(body, limits)
    value = source.value(0)
    if source.at != len(body):
        raise Unreadable("The request body goes on after its end.")
    return value


class _Source:
    """Bytes and how far they are read. Raises `Unreadable` at whatever it does not know."""

    def __init__(self, body: bytes, limits: Limits) -> None:
        self.body = body
        self.at = 0
        self.limits = limits
        self.nodes = 0

    def take(self, length: int) -> bytes:
        end = self.at + length
        if end > len(self.body):
            raise Unreadable("The request body ends too early.")
        taken, self.at = self.body[self.at : end], end
        return taken

    def breaks(self) -> bool:
        """Whether an indefinite value ends here; if so, behind its end now."""
        ends = self.body[self.at : self.at + 1] == b"\xff"
        self.at += ends
        return ends

    def value(self, depth: int) -> Any:
        self.nodes += 1
        if self.nodes > self.limits.nodes:
            raise Unreadable(f"The request body holds more than {self.limits.nodes} values.")
        if depth > self.limits.depth:
            raise Unreadable(f"The request body is nested deeper than {self.limits.depth} levels.")
        major, extra = divmod(self.take(1)[0], 32)
        match major:
            case 0:
                return self.number(extra)
            case 1:
                return -1 - self.number(extra)
            case 2:
                return self.string(2, extra)
            case 3:
                return self.text(extra)
            case 4:
                return self.sequence(extra, depth)
            case 5:
                return self.mapping(extra, depth)
            case 6:
                return self.moment(extra, depth)
        return self.simple(extra)

    def number(self, extra: int) -> int:
        if extra < 24:
            return extra
        if extra > 27:
            raise Unreadable("The request body is not valid CBOR.")
        return int.from_bytes(self.take(1 << (extra - 24)), "big")

    def string(self, major: int, extra: int) -> bytes:
        if extra != _INDEFINITE:
            return self.take(self.number(extra))
        chunks = []
        while not self.breaks():
            self.nodes += 1
            kind, size = divmod(self.take(1)[0], 32)
            if kind != major or self.nodes > self.limits.nodes:
                raise Unreadable("The request body is not valid CBOR, or in too many pieces.")
            chunks.append(self.take(self.number(size)))
        return b"".join(chunks)

    def text(self, extra: int) -> str:
        try:
            return self.string(3, extra).decode("utf-8")
        except UnicodeDecodeError:
            raise Unreadable("The request body holds text that is not UTF-8.") from None

    def sequence(self, extra: int, depth: int) -> list[Any]:
        if extra == _INDEFINITE:
            found = []
            while not self.breaks():
                found.append(self.value(depth + 1))
            return found
        return [self.value(depth + 1) for _ in range(self.number(extra))]

    def mapping(self, extra: int, depth: int) -> dict[str, Any]:
        left = -1 if extra == _INDEFINITE else self.number(extra)
        found: dict[str, Any] = {}
        while left > 0 or (left < 0 and not self.breaks()):
            left -= 1 if left > 0 else 0
            key = self.value(depth + 1)
            if type(key) is not str:
                raise Unreadable("A key is not text.")
            if key in found:
                raise Unreadable("A key stands twice in one map.")
            found[key] = self.value(depth + 1)
        return found

    def moment(self, extra: int, depth: int) -> Moment:
        tag, value = self.number(extra), self.value(depth + 1)
        if tag != _EPOCH_TAG or type(value) not in (int, float):
            raise Unreadable("The request body holds a tag that is not understood.")
        return Moment(value)

    def simple(self, extra: int) -> Any:
        if extra in _SIMPLE:
            return _SIMPLE[extra]
        if extra not in _FLOATS:
            raise Unreadable("The request body is not valid CBOR.")
        (value,) = struct.unpack(_FLOATS[extra], self.take(1 << (extra - 24)))
        if not math.isfinite(value):
            raise Unreadable("NUMBER_VALUE must be finite")
        return value


def _read_blob(_: Member, value: Any) -> bytes:
    if type(value) is not bytes:
        raise wrong_type(value, "a Blob")
    return value


def _read_timestamp(_: Member, value: Any) -> datetime:
    if type(value) is not Moment:
        raise wrong_type(value, "a Timestamp")
    return timestamps.from_epoch(value.seconds)


READER = Reader(blob=_read_blob, timestamp=_read_timestamp)
WRITER = Writer(
    blob=lambda value: value, timestamp=lambda _, moment: cbor2.CBORTag(_EPOCH_TAG, timestamps.to_epoch(moment))
)


def decode(shape: Shape | None, body: bytes, limits: Limits) -> dict[str, Any]:
    """The typed values of a request body."""
    value = read(body, limits) if body else {}
    return {} if shape is None else READER.structure(shape, value)


def encode(shape: Shape | None, answer: Any) -> bytes:
    """The body of an answer; empty where the operation gives nothing.

    Raises:
        NotInModel: `answer` is not what `shape` describes.

    """
    if shape is None:
        check(not answer, "answers nothing")
        return b""
    return cbor2.dumps(WRITER.structure(shape, answer))
