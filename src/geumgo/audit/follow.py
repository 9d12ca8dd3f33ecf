"""The trail as those read it who come back for more: from a kept position on, while it is being written, and one record by where it stands.

A position is behind whole lines only. A write is told when its outcome is read, so the intents that still wait for theirs are part of
the position; wherever a reader stops, it goes on there and tells every record once.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import structlog

from geumgo.audit.line import CHAIN_NAME, TAIL_BYTES, UNREADABLE, Line, encode_record, take_apart
from geumgo.audit.reader import inner_event_id
from geumgo.audit.segment import lines_in, numbers_in, path_of

log = structlog.get_logger("geumgo.audit")

CHUNK_BYTES: Final = 256 << 10
"""How much is read at once."""
LONGEST_BYTES: Final = 1 << 20
"""More than the longest line."""
ITSELF: Final = -1
"""The place of a record that is not inside another one."""


class Where(NamedTuple):
    """Where a record stands: in the line at `start` (`size` bytes without its newline) of a segment; `place`: in its service events."""

    chain: str
    segment: int
    start: int
    size: int
    place: int = ITSELF


class Found(NamedTuple):
    """A record: where it stands, when it was noted (Unix milliseconds), its eventID, and itself as it is written there."""

    where: Where
    at_ms: int
    event_id: str
    raw: bytes

    @property
    def record(self) -> dict[str, Any]:
        """The record with its eventID, decoded. Raises msgspec.DecodeError."""
        record: dict[str, Any] = msgspec.json.decode(self.raw, type=dict)
        record.pop("serviceEvents", None)  # these are records of their own
        record["eventID"] = self.event_id
        return record

    @property
    def encoded(self) -> bytes:
        """The record with its eventID as JSON, ASCII on one line."""
        if b'"serviceEvents":' in self.raw:
            return encode_record(self.record)
        assert self.raw[-1:] == b"}" != self.raw[1:2], "a record says at least when it was"
        return b'%b,"eventID":"%b"}' % (self.raw[:-1], self.event_id.encode())


class _Intent(msgspec.Struct):
    """What is inside the record of a write."""

    serviceEvents: list[msgspec.Raw] = []  # noqa: N815 - as the record has it; msgspec makes each a list of its own


@dataclass(frozen=True, slots=True)
class Position:
    """How far a chain was read. `open`: the intents without an outcome so far, each with segment, start and size of its line."""

    segment: int = 0
    offset: int = 0
    open: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)


def pass_over(found: Found) -> None:
    """What was found cannot be read, and the reader goes on behind it."""
    log.error(
        "a record of the trail cannot be read",
        chain=found.where.chain,
        segment=found.where.segment,
        at_byte=found.where.start,
        next="`geumgo audit verify` names it, if it is not what was written",
    )


class TrailFiles:
    """The chains of this machine, read beside their writers."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def chains(self) -> list[str]:
        """The names of all chains, in order."""
        if not self._directory.is_dir():
            return []
        found = (path.name for path in self._directory.iterdir() if path.is_dir() and not path.is_symlink())
        return sorted(name for name in found if CHAIN_NAME.fullmatch(name))

    def follow(self, chain: str, position: Position, most: int) -> tuple[list[Found], Position]:
        """About `most` records behind `position`, in the order of the chain, and the position behind them.

        Nothing found and the same position: there is no more for now. Raises OSError.
        """
        found: list[Found] = []
        place = self._directory / chain
        numbers = numbers_in(place)  # before any segment is read: one that is followed by another does not grow
        while len(found) < most:
            here = next((number for number in numbers if number >= position.segment), None)
            if here is None:
                break
            if here != position.segment:
                position = Position(here, 0, position.open)
            data = _next(path_of(place, here), position.offset)
            before = position
            position = self._walk(chain, data, position, found, most)
            if position != before:
                continue
            if here == numbers[-1]:
                break
            following = numbers[numbers.index(here) + 1]
            position = Position(following, 0, position.open)
        return found, position

    def record(self, where: Where) -> dict[str, Any] | None:
        """The record that stands there, with its eventID; None if there is none any more."""
        if not CHAIN_NAME.fullmatch(where.chain) or not 0 < where.size <= LONGEST_BYTES or where.start < 0:
            return None
        try:
            raw = _read(f"{self._directory}/{where.chain}/{where.segment:08}.trail", where.start, where.size)
        except OSError:
            return None
        line = take_apart(raw)
        if line is None or line.chain != where.chain:
            return None
        try:
            told = _told(line, where.segment, where.start)
            return next((each.record for each in told if each.where.place == where.place), None)
        except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
            return None

    def _walk(self, chain: str, data: bytes, position: Position, found: list[Found], most: int) -> Position:
        """The position after the whole lines of `data`, or after enough of them; what they tell joins `found`."""
        waiting = dict(position.open)
        behind = position.offset
        for start, stop, line in lines_in(data):
            if len(found) >= most:
                break
            at = position.offset + start
            behind = position.offset + stop
            if line is None or line.chain != chain:
                continue
            if line.kind == "intent":
                waiting[line.id] = (position.segment, at, len(line.raw))
            elif line.kind in ("call", "event"):
                found.extend(_told(line, position.segment, at))
            elif line.kind == "outcome":
                with suppress(*UNREADABLE):
                    said = line.record()
                    intent = waiting.pop(said["intent"], None)
                    if intent is not None and said["committed"]:
                        found.extend(self._announced(chain, *intent))
        return Position(position.segment, behind, waiting)

    def _announced(self, chain: str, segment: int, start: int, size: int) -> Iterator[Found]:
        line = take_apart(_read(path_of(self._directory / chain, segment), start, size))
        if line is not None:
            yield from _told(line, segment, start)


def _told(line: Line, segment: int, start: int) -> Iterator[Found]:
    """The record of a line, and behind it its service events."""
    size, raw = len(line.raw), line.raw[line.record_at : -TAIL_BYTES]
    yield Found(Where(line.chain, segment, start, size), line.at_ms, line.id, raw)
    if line.kind == "intent":
        for place, event in enumerate(msgspec.json.decode(raw, type=_Intent).serviceEvents):
            where = Where(line.chain, segment, start, size, place)
            yield Found(where, line.at_ms, inner_event_id(line.id, place), bytes(event))


def _next(path: Path, offset: int) -> bytes:
    """What stands behind `offset`, a whole line of it at least, if there is one. Zeros are where nothing was written yet."""
    data = _read(path, offset, CHUNK_BYTES)
    if data[:1] in (b"", b"\0") or b"\n" in data:
        return data
    return _read(path, offset, LONGEST_BYTES)


def _read(path: Path | str, offset: int, size: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return os.pread(descriptor, size, offset)
    finally:
        os.close(descriptor)
