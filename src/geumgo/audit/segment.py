"""The files of a chain as they are found on the disk: which there are, and where the last one ends."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from geumgo.audit.line import ORIGIN, Head, Line, is_ours, take_apart

_NAME = re.compile(r"([0-9]{8})\.trail")
CHECKPOINT = "checkpoint"
SEGMENT = "segment"
LONGEST_OPENING_BYTES = 1 << 20


@dataclass(slots=True)
class End:
    """Where a chain ends on the disk.

    `size_bytes` is how much of segment `number` holds whole lines, one after the other; `torn` is what stands behind them, without the
    zeros at the end of the file. `open` maps the id of each intent without an outcome to its time (Unix milliseconds).
    """

    number: int = 0
    seq: int = 0
    hash: str = ORIGIN
    size_bytes: int = 0
    torn: bytes = b""
    open: dict[str, int] = field(default_factory=dict)

    def described(self) -> dict[str, Any]:
        """What the line that opens the next segment says of this end."""
        return {
            "segment": self.number,
            "seq": self.seq,
            "hash": self.hash,
            "bytes": self.size_bytes,
            "tornBytes": len(self.torn),
            "tornSha256": hashlib.sha256(self.torn).hexdigest(),
        }


def path_of(directory: Path, number: int) -> Path:
    return directory / f"{number:08}.trail"


def numbers_in(directory: Path) -> list[int]:
    """The numbers of a chain's segments, in order."""
    found = (_NAME.fullmatch(path.name) for path in directory.iterdir())
    return sorted(int(match[1]) for match in found if match)


def term_of(directory: Path) -> int:
    """In which term the newest segment of a chain says it was begun; 0: there is none that says."""
    for number in reversed(numbers_in(directory)):
        with path_of(directory, number).open("rb") as file:
            first = file.readline(LONGEST_OPENING_BYTES)
        for _, _, line in lines_in(first):
            try:
                return int(line.record()["term"]) if line is not None else 0
            except (msgspec.DecodeError, KeyError, TypeError, ValueError):
                return 0
    return 0


def lines_in(data: bytes, start: int = 0) -> Iterator[tuple[int, int, Line | None]]:
    """(start, end, line) of everything in `data` that ends with a newline. `line` is None where it is not a line."""
    while (newline := data.find(b"\n", start)) >= 0:
        yield start, newline + 1, take_apart(data[start:newline])
        start = newline + 1


def latest_in(directory: Path) -> int | None:
    """When the last whole line of a chain was noted (Unix milliseconds); nothing of it is proven. None: there is no line."""
    for number in reversed(numbers_in(directory)):
        for raw in reversed(path_of(directory, number).read_bytes().rstrip(b"\0").split(b"\n")):
            line = take_apart(raw)
            if line is not None:
                return line.at_ms
    return None


def find_end(directory: Path, chain: str, mac_keys: Mapping[int, bytes]) -> End:
    """Where `chain` ends, or an `End()` if it has no segment yet.

    If the last segment does not even begin with a line, the chain ends where the one before it does, and all of the last is torn. Lines
    of a term that is among `mac_keys`, written without its key, are not counted as lines.
    """
    numbers = numbers_in(directory)
    if not numbers:
        return End()
    for number in reversed(numbers):
        found = _end_of(path_of(directory, number), chain, mac_keys)
        if found is not None:
            break
    else:
        found = End()
    if number == numbers[-1]:
        found.number = number
        return found
    torn = path_of(directory, numbers[-1]).read_bytes().rstrip(b"\0")
    return End(numbers[-1], found.seq, found.hash, 0, torn, found.open)


def _end_of(path: Path, chain: str, mac_keys: Mapping[int, bytes]) -> End | None:
    data = path.read_bytes()
    end: End | None = None
    mac_key: bytes | None = None  # of the term of this segment, if it is known
    for _, stop, line in lines_in(data):
        if line is None or line.chain != chain or (mac_key is not None and not is_ours(line, mac_key)):
            break
        try:
            if end is None:
                opening = line.record()
                mac_key = mac_keys.get(opening["term"])
                if line.kind != SEGMENT or (mac_key is not None and not is_ours(line, mac_key)):
                    return None
                end = End(open=dict(opening["open"]))
            elif (line.seq, line.prev) != (end.seq + 1, end.hash):
                break
            follow(end.open, line)
        except (msgspec.DecodeError, KeyError, TypeError, ValueError):
            break
        end.seq, end.hash, end.size_bytes = line.seq, line.hash, stop
    if end is not None:
        end.torn = data[end.size_bytes :].rstrip(b"\0")
    return end


def follow(open_intents: dict[str, int], line: Line) -> None:
    """The intents without an outcome, after one more line."""
    if line.kind == "intent":
        open_intents[line.id] = line.at_ms
    elif line.kind == "outcome":
        open_intents.pop(line.record()["intent"], None)


def holds(directory: Path, chain: str, head: Head) -> bool:
    """Whether the files of `chain` still hold the line that `head` names, in a row of whole lines."""
    for number in reversed(numbers_in(directory)):
        data = path_of(directory, number).read_bytes()
        rows: Sequence[Line | None] = [line for _, _, line in lines_in(data)]
        first = rows[0] if rows else None
        if first is None or first.seq > head.seq:
            continue
        at = head.seq - first.seq
        line = rows[at] if at < len(rows) else None
        return line is not None and (line.chain, line.seq, line.hash) == (chain, head.seq, head.hash)
    return False
