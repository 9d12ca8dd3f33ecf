"""Does the database hold the changes that the trail says were committed? If not, somebody has brought back an older one.

A change leaves its row (`applied_request`) in the transaction that makes it, and its outcome in the trail once that has committed. So a
database that lacks the row is of a moment before the change. A restore accepts what its database lacks.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from geumgo.audit.line import Line
from geumgo.audit.segment import lines_in, numbers_in, path_of
from geumgo.audit.store import KEEP_APPLIED_MS, is_settled, was_applied
from geumgo.audit.verify import Problem
from geumgo.storage import Tx

__all__ = ["Change", "Newest", "accept_lack", "lacking", "newest_changes"]

NEWEST: Final = 1_000
"""How many changes of a chain are asked for, at most: the newest are the first that an older database lacks."""
SEGMENTS: Final = 4
"""In how many segments of a chain they are looked for, at most."""
MARGIN_MS: Final = 3_600_000
"""Rows are pruned by the clock of whoever prunes: those that soon will be are not missed."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change that was committed, and the line that says so. `intent` is its event id."""

    intent: str
    chain: str
    segment: int
    line: int
    seq: int
    at_ms: int


@dataclass(slots=True)
class Newest:
    """The newest changes of each chain, the oldest of them first, and the latest time in the files that they were found in."""

    changes: list[Change] = field(default_factory=list)
    latest_ms: int = 0


def newest_changes(directory: Path) -> Newest:
    """The newest changes of the chains in `directory`. Read them before the database is looked at."""
    found = Newest()
    for place in sorted(path for path in directory.iterdir() if path.is_dir()) if directory.is_dir() else []:
        found.changes += _newest_of(place, found)
    return found


def lacking(newest: Newest, tx: Tx, now_ms: int) -> list[Problem]:
    """For each chain of whose `newest` changes the database lacks some: from where on.

    Not asked for are those whose rows are pruned: by the clock, which may have been ahead for a while. Then the trail has later times.
    """
    by_chain: dict[str, list[Change]] = defaultdict(list)
    since_ms = max(newest.latest_ms, now_ms) - KEEP_APPLIED_MS + MARGIN_MS
    for change in newest.changes:
        if change.at_ms >= since_ms and not is_settled(tx, change.intent):
            by_chain[change.chain].append(change)
    return [_problem(lost) for lost in by_chain.values()]


def accept_lack(newest: Newest, tx: Tx) -> None:
    """What the database lacks of the `newest` changes is known, and no problem any more: as far as it goes, they never were committed."""
    for change in newest.changes:
        was_applied(tx, change.intent, change.at_ms)


def _problem(lost: list[Change]) -> Problem:
    first = lost[0]
    return Problem(
        first.chain,
        first.segment,
        first.line,
        first.seq,
        first.intent,
        f"the database is of an older moment: it lacks this change, which was committed, and {len(lost) - 1} later ones",
    )


def _newest_of(place: Path, found: Newest) -> list[Change]:
    """Those of one chain; the times of its lines are in `found`."""
    changes: list[Change] = []
    for number in reversed(numbers_in(place)[-SEGMENTS:]):
        changes = [*_changes_in(place, number, found), *changes]
        if len(changes) >= NEWEST:
            break
    return changes[-NEWEST:]


def _changes_in(place: Path, number: int, found: Newest) -> Iterator[Change]:
    for row, (_, _, line) in enumerate(lines_in(path_of(place, number).read_bytes()), 1):
        if line is None:
            continue
        found.latest_ms = max(found.latest_ms, line.at_ms)
        if line.kind != "outcome":
            continue
        said = _said(line)
        if said.get(
            "resolved"
        ):  # found out by a start: its row is as old as the change, which may have been long before
            continue
        if said.get("committed") is True and isinstance(said.get("intent"), str):
            yield Change(said["intent"], place.name, number, row, line.seq, line.at_ms)


def _said(line: Line) -> dict[str, Any]:
    """What an outcome says. Nothing, if it cannot be read: `verify` names such a line."""
    try:
        return line.record()
    except msgspec.DecodeError:
        return {}
