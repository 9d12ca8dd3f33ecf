"""The oldest segments of a chain are taken away when they are old enough, and nobody has yet to read them.

Only whole segments go, the newest one stays, and none goes that `verify` finds anything wrong with: what was tampered with is evidence.
What is kept begins at a signed floor (see `audit.floor`), which is on the disk before the first segment is gone; so whatever dies in
between leaves segments below the floor, which the next pass takes away. A process that has older root keys than those a chain is
written under signs no floor of it: that would look like one of somebody who has kept them.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from geumgo.audit.floor import Floor, floor_of, keep_floor, message, standing, sync_directory
from geumgo.audit.line import Head, Line, head_message
from geumgo.audit.segment import CHECKPOINT, SEGMENT, lines_in, numbers_in, path_of, term_of
from geumgo.audit.trail import TrailKeys
from geumgo.audit.verify import Problem, verify_below
from geumgo.sealing.failure import Unsealable
from geumgo.sealing.plaintext import Plaintext
from geumgo.sealing.root import verify_signature

__all__ = ["AT_ONCE", "Pruned", "prune"]

AT_ONCE: Final = 16
"""Segments of one chain that go in one pass: a clock that jumps ahead does not take everything away before somebody looks."""
_OPENING_BYTES: Final = 2 << 20  # more than the two lines that open a segment


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a pass did to one chain: how many segments are gone; or what is wrong with those that should go, so that none is."""

    segments: int = 0
    problems: tuple[Problem, ...] = ()


def prune(
    place: Path, *, before_ms: int, below: int, keys: TrailKeys, trusted: Mapping[bytes, Plaintext | None], now_ms: int
) -> Pruned:
    """Segments of the chain in `place` are gone whose records are all older than `before_ms`, if their number is less than `below`.

    `keys` sign the floor; `trusted` are the keys of every term, as `verify` takes them. Raises OSError, ValueError (an unreadable floor).
    """
    floor = floor_of(place)
    first = floor.segment if floor is not None else 1
    gone = _take_away(place, first) if floor is not None and floor.is_signed({keys.public_key}) else 0
    kept = _first_kept(place, first, before_ms, below, trusted)
    if kept is None:
        return Pruned(gone)
    number, after = kept
    problems = verify_below(place, trusted, number)
    if problems:
        return Pruned(gone, tuple(problems))
    said = message(place.name, number, after.seq, after.hash, now_ms)
    signature = keys.sign(said).hex()
    with standing(place, changes=True) as alone:
        if not alone or term_of(place) > keys.term:
            return Pruned(gone)
        keep_floor(place, Floor(place.name, number, after.seq, after.hash, now_ms, keys.public_key, signature))
    return Pruned(gone + _take_away(place, number))


def _first_kept(
    place: Path, first: int, before_ms: int, below: int, trusted: Collection[bytes]
) -> tuple[int, Head] | None:
    """The segment that what is kept should begin with, and the head before it; None: nothing is to go."""
    found = None
    for number in [each for each in numbers_in(place) if each > first][:AT_ONCE]:
        opened = _opening(path_of(place, number), place.name, trusted)
        if number > below or opened is None or opened.at_ms >= before_ms:
            break
        found = number, opened
    return found


def _opening(path: Path, chain: str, trusted: Collection[bytes]) -> Head | None:
    """The head behind which a segment was opened, and when: all before it is older. None if it is not signed by one of ours."""
    with path.open("rb") as file:
        data = file.read(_OPENING_BYTES)
    lines: list[Line | None] = []
    for _, _, line in lines_in(data):
        lines.append(line)
        if len(lines) == 2:
            break
    opening, signing = (*lines, None, None)[:2]
    if opening is None or signing is None or (opening.kind, signing.kind) != (SEGMENT, CHECKPOINT):
        return None
    try:
        said, signed = opening.record(), signing.record()
        key = bytes.fromhex(said["publicKey"])
        if opening.chain != chain or key not in trusted or not _signs(signed, opening):
            return None
        verify_signature(key, bytes.fromhex(signed["signature"]), head_message(chain, opening.seq, opening.hash))
    except (msgspec.DecodeError, KeyError, TypeError, ValueError, Unsealable):
        return None
    return Head(chain, opening.seq - 1, opening.prev, opening.at_ms, "")


def _signs(signed: dict[str, Any], opening: Line) -> bool:
    return (signed["seq"], signed["hash"]) == (opening.seq, opening.hash)


def _take_away(place: Path, kept: int) -> int:
    """Every segment below `kept` is gone, the oldest first."""
    gone = [number for number in numbers_in(place) if number < kept]
    for number in gone:
        path_of(place, number).unlink()
    if gone:
        sync_directory(place)
    return len(gone)
