"""JSON 1.0 and 1.1: bounded reading, and both directions along a shape."""

import binascii
import json
import re
from datetime import datetime
from functools import cache
from typing import Any

import msgspec

from geumgo.errors import TooLarge, Unreadable
from geumgo.protocol import timestamps
from geumgo.protocol.limits import Limits
from geumgo.protocol.shapes import Member, Shape
from geumgo.protocol.tree import Reader, Writer, check, wrong_type

# Possessive, so that a body full of quotes costs one pass. A string that never ends swallows the rest.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def read(body: bytes, limits: Limits) -> Any:
    """The value that `body` holds: dicts, lists, str, int, float, bool, None.

    Raises:
        TooLarge: more bytes than `limits.size`.
        Unreadable: not exactly one JSON value in UTF-8 (without a message, as recorded on AWS), a key twice in one
            object, a lone surrogate, NaN or an infinity, or any of the other limits.

    """
    if len(body) > limits.size:
        raise TooLarge(f"The request must not be larger than {limits.size} bytes.")
    flat = _flat(body, limits)
    if flat is not None:
        return flat
    _bound(body, limits)
    try:
        value = _decoder(limits).decode(body.decode("utf-8"))
        if _SURROGATE.search(body):
            _refuse_surrogates(value)
    except ValueError:  # JSONDecodeError and UnicodeError are ValueErrors; their texts quote the body
        raise Unreadable from None
    return value


def read_object(body: bytes, limits: Limits) -> dict[str, Any]:
    """The JSON object that `body` holds.

    Raises:
        TooLarge, Unreadable: as `read` does, and for any other value. Source: recorded on AWS, where only a list has a
            message.

    """
    value = read(body, limits)
    if type(value) is list:
        raise wrong_type(value, "Expected null")
    if type(value) is not dict:
        raise Unreadable
    return value


_encode = msgspec.json.Encoder().encode
_TEXTS = msgspec.json.Decoder(dict[str, str])


def _flat(body: bytes, limits: Limits) -> dict[str, str] | None:
    """An object of texts without escapes, as most requests are. None: look more closely.

    Four quotes stand for each member, so one that stands twice shows in their number.
    """
    if b"\\" in body or body.count(b"{") != 1 or not limits.depth or body.count(b",") + 1 >= limits.nodes:
        return None
    try:
        texts = _TEXTS.decode(body)
    except ValueError:
        return None
    return texts if body.count(b'"') == 4 * len(texts) else None


def _bound(body: bytes, limits: Limits) -> None:
    """Refuse what is too deep or has too many values, before anything is built from it."""
    opens = body.count(b"{") + body.count(b"[")
    if opens <= limits.depth and opens + body.count(b",") < limits.nodes:
        return  # cannot be too deep or too many, whatever stands in strings
    bare = _STRING.sub(b"", body)
    opens = bare.count(b"{") + bare.count(b"[")
    if opens + bare.count(b",") >= limits.nodes:
        raise Unreadable(f"The request body holds more than {limits.nodes} values.")
    depth = 0
    for bracket in re.findall(rb"[\[\]{}]", bare):
        depth += 1 if bracket in b"[{" else -1
        if depth > limits.depth:
            raise Unreadable(f"The request body is nested deeper than {limits.depth} levels.")


@cache
def _decoder(limits: Limits) -> json.JSONDecoder:
    return json.JSONDecoder(
        object_pairs_hook=_object,
        parse_int=lambda digits: _integer(digits, limits),
        parse_float=lambda digits: _fraction(digits, limits),
        parse_constant=_constant,
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise Unreadable("A key stands twice in one object.")
    return made


def _integer(digits: str, limits: Limits) -> int:
    if len(digits) > limits.digits + (digits[0] == "-"):
        raise Unreadable(f"A number has more than {limits.digits} digits.")
    return int(digits)


def _fraction(digits: str, limits: Limits) -> float:
    value = float(digits) if len(digits) <= limits.number else float("inf")
    if value in (float("inf"), float("-inf")):
        raise Unreadable("A number is too long or too large.")
    return value


def _constant(_: str) -> Any:
    raise Unreadable("NaN and infinities are not JSON.")


def _refuse_surrogates(value: Any) -> None:
    if isinstance(value, str):
        value.encode("utf-8")
    elif isinstance(value, list):
        for item in value:
            _refuse_surrogates(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            key.encode("utf-8")
            _refuse_surrogates(item)


def from_base64(value: str) -> bytes:
    """The bytes of strict base64: padded, nothing but its alphabet.

    Raises:
        Unreadable: it is not.

    """
    try:
        return binascii.a2b_base64(value, strict_mode=True)
    except ValueError:
        raise Unreadable("STRING_VALUE can not be converted to a Blob") from None


def _read_blob(_: Member, value: Any) -> bytes:
    if type(value) is not str:
        raise wrong_type(value, "a Blob")
    return from_base64(value)


def _read_timestamp(member: Member, value: Any) -> datetime:
    if type(value) is int or type(value) is float:
        return timestamps.from_epoch(value)
    if type(value) is str and member.timestamp_format == "iso8601":
        return timestamps.from_iso(value)
    if type(value) is str and member.timestamp_format == "rfc822":
        return timestamps.from_http(value)
    raise wrong_type(value, "milliseconds since epoch")


def _write_blob(value: bytes) -> str:
    return binascii.b2a_base64(value, newline=False).decode("ascii")


def _write_timestamp(member: Member, value: datetime) -> float | str:
    if member.timestamp_format == "iso8601":
        return timestamps.to_iso(value)
    if member.timestamp_format == "rfc822":
        return timestamps.to_http(value)
    return timestamps.to_epoch(value)


READER = Reader(blob=_read_blob, timestamp=_read_timestamp)
WRITER = Writer(blob=_write_blob, timestamp=_write_timestamp)


def decode(shape: Shape | None, body: bytes, limits: Limits) -> dict[str, Any]:
    """The typed values of a request body, which must be a JSON object even where the operation takes nothing."""
    value = read_object(body, limits)
    return {} if shape is None else READER.structure(shape, value)


def encode(shape: Shape | None, answer: Any) -> bytes:
    """The body of an answer; empty where the operation gives nothing.

    Raises:
        NotInModel: `answer` is not what `shape` describes.

    """
    if shape is None:
        check(not answer, "answers nothing")
        return b""
    return _encode(WRITER.structure(shape, answer))
