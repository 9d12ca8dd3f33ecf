"""The trail as CloudTrail shows it: records with their event ids, of a write only if it was committed."""

import hashlib
import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geumgo.audit.line import UNREADABLE, Line
from geumgo.audit.segment import lines_in, numbers_in, path_of


@dataclass(frozen=True, slots=True)
class Entry:
    """A record, and where it was found. `at_ms` is when it was noted (Unix milliseconds); `record` has its eventID."""

    chain: str
    segment: int
    seq: int
    at_ms: int
    record: dict[str, Any]


def records(directory: Path) -> Iterator[dict[str, Any]]:
    """Every record of every chain in `directory`, oldest first as far as the clocks of their writers agree."""
    chains = [entries(place) for place in sorted(directory.iterdir()) if place.is_dir()] if directory.is_dir() else []
    for entry in heapq.merge(*chains, key=lambda entry: entry.at_ms):
        yield entry.record


def entries(place: Path, first_segment: int = 1) -> Iterator[Entry]:
    """The records of the chain in `place`, in its order; a write and its service events stand where its outcome does.

    A reader that goes on from where it stopped begins one segment earlier than that and knows records again by their eventID: the
    outcome of a write may stand in the segment behind the write.
    """
    waiting: dict[str, Line] = {}
    for number in numbers_in(place):
        if number < first_segment:
            continue
        for _, _, line in lines_in(path_of(place, number).read_bytes()):
            if line is None:
                continue
            if line.kind == "intent":
                waiting[line.id] = line
            else:
                yield from _told(line, number, waiting)


def _told(line: Line, number: int, waiting: dict[str, Line]) -> list[Entry]:
    """What a line tells that is no intent. Nothing, if it cannot be read: see `line.UNREADABLE`."""
    try:
        if line.kind in ("call", "event"):
            return [_entry(line, number, line, {**line.record(), "eventID": line.id})]
        if line.kind == "outcome":
            said = line.record()
            intent = waiting.pop(said["intent"], None)
            if intent is not None and said["committed"]:
                return list(_committed(intent, line, number))
    except UNREADABLE:
        return []
    return []


def _committed(intent: Line, outcome: Line, number: int) -> Iterator[Entry]:
    record = intent.record()
    events = record.pop("serviceEvents", [])
    yield _entry(intent, number, outcome, {**record, "eventID": intent.id})
    for place, event in enumerate(events):
        yield _entry(intent, number, outcome, {**event, "eventID": inner_event_id(intent.id, place)})


def _entry(line: Line, number: int, stands: Line, record: dict[str, Any]) -> Entry:
    return Entry(line.chain, number, stands.seq, line.at_ms, record)


def inner_event_id(event_id: str, place: int) -> str:
    """The event id of the service event at `place` inside a write: the same whenever it is read."""
    digits = bytearray(hashlib.sha256(f"{event_id}/{place}".encode()).digest()[:16])
    digits[6] = digits[6] & 0x0F | 0x80  # a UUID of version 8: made by rule
    digits[8] = digits[8] & 0x3F | 0x80
    text = digits.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
