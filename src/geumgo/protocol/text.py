"""Scalars that travel as text: in form fields, XML elements, headers, labels and query strings."""

import math
import re
from datetime import datetime
from typing import Any

from geumgo.errors import Unreadable
from geumgo.protocol import json, timestamps
from geumgo.protocol.limits import Limits
from geumgo.protocol.shapes import Member
from geumgo.protocol.tree import in_range, scalar

_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


def read(member: Member, text: str, limits: Limits, timestamp_format: str) -> Any:
    """The typed value of `text`. `timestamp_format` counts where the model names none.

    Raises:
        Unreadable: it is not of the member's type.

    """
    match member.shape.kind:
        case "string":
            return text
        case "integer" | "long" as kind:
            if len(text) > limits.digits + 1 or not _INTEGER.fullmatch(text) or not in_range(kind, int(text)):
                raise Unreadable(
                    f"STRING_VALUE can not be converted to {'an Integer' if kind == 'integer' else 'a Long'}"
                )
            return int(text)
        case "float" | "double":
            value = float(text) if len(text) <= limits.number and _NUMBER.fullmatch(text) else math.inf
            if not math.isfinite(value):
                raise Unreadable("STRING_VALUE can not be converted to a Double")
            return value
        case "boolean":
            if text.lower() not in ("true", "false"):
                raise Unreadable("STRING_VALUE can not be converted to a Boolean")
            return text.lower() == "true"
        case "blob":
            return json.from_base64(text)
        case "timestamp":
            return _moment(text, member.timestamp_format or timestamp_format)
    raise Unreadable("STRING_VALUE found where a structure, a list or a map is expected")


def _moment(text: str, timestamp_format: str) -> datetime:
    if timestamp_format == "rfc822":
        return timestamps.from_http(text)
    if timestamp_format == "unixtimestamp":
        if len(text) > 32 or not _NUMBER.fullmatch(text):
            raise Unreadable("STRING_VALUE can not be converted to a Timestamp.")
        return timestamps.from_epoch(float(text))
    return timestamps.from_iso(text)


def write(member: Member, value: Any, timestamp_format: str) -> str:
    """`value` as text.

    Raises:
        NotInModel: it is not of the member's type.

    """
    value = scalar(member, value)
    match member.shape.kind:
        case "boolean":
            return "true" if value else "false"
        case "blob":
            return json.WRITER.member(member, value)  # type: ignore[no-any-return]
        case "timestamp":
            chosen = member.timestamp_format or timestamp_format
            if chosen == "rfc822":
                return timestamps.to_http(value)
            return repr(timestamps.to_epoch(value)) if chosen == "unixtimestamp" else timestamps.to_iso(value)
        case "float" | "double":
            return repr(value)
    return str(value)
