"""The name server of a sandbox: a question in, an answer out. Pure; nothing is asked of any other name server here.

Source: RFC 1035, sections 4.1 and 4.2.1.
"""

import ipaddress
import struct
from dataclasses import dataclass
from typing import Final

A: Final = 1
AAAA: Final = 28
NO_ERROR, NO_SUCH_NAME = 0, 3
SECONDS: Final = 60  # how long an answer may be kept

_HEADER: Final = struct.Struct(">6H")
_TWO: Final = struct.Struct(">HH")


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked. `name` is lower case, without the last dot; `raw` is the question as it came."""

    number: int
    name: str
    kind: int
    raw: bytes


def read(message: bytes) -> Question | None:
    """The question, or None if it is not one that is answered here."""
    if len(message) < _HEADER.size or len(message) > 512:
        return None
    number, flags, questions, *_ = _HEADER.unpack_from(message)
    if flags & 0xF800 or questions != 1:  # an answer, or another kind of request
        return None
    labels, at = [], _HEADER.size
    while at < len(message) and message[at]:
        size = message[at]
        if size > 63 or at + 1 + size >= len(message):
            return None
        labels.append(message[at + 1 : at + 1 + size])
        at += 1 + size
    if at + 5 > len(message):
        return None
    try:
        name = b".".join(labels).decode("ascii").lower()
    except UnicodeDecodeError:
        return None
    kind, family = _TWO.unpack_from(message, at + 1)
    return Question(number, name, kind, message[_HEADER.size : at + 5]) if family == 1 else None


def answer(question: Question, addresses: list[str] | None) -> bytes:
    """The answer: those of `addresses` that are of the kind that was asked for. None: there is no such name."""
    records = []
    for each in addresses or []:
        address = ipaddress.ip_address(each)
        if question.kind == (A if address.version == 4 else AAAA):
            packed = address.packed
            records.append(struct.pack(">HHHIH", 0xC00C, question.kind, 1, SECONDS, len(packed)) + packed)
    status = NO_SUCH_NAME if addresses is None else NO_ERROR
    head = _HEADER.pack(question.number, 0x8580 | status, 1, len(records), 0, 0)
    return head + question.raw + b"".join(records)
