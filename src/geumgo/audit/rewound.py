"""Does the database hold the changes that the trail says were committed? If not, somebody has brought back an older one.

A change leaves its row (`applied_request`) in the transaction that makes it, and its outcome in the trail once that has committed. So a
database that lacks the row is of a moment before the change. A restore accepts what its database lacks.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from geumgo.audit.line import Line
from geumgo.audit.segment import lines_in, numbers_in, path_of
from geumgo.audit.store import KEEP_APPLIED_MS, is_settled, was_applied
from geumgo.audit.verify import Problem
from geumgo.storage import Tx

__all__ = ["Change", "accept_lack", "lacking", "newest_changes"]

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


def newest_changes(directory: Path) -> list[Change]:
    """The newest changes of each chain in `directory`, the oldest of them first. Read them before the database is looked at."""
    places = sorted(path for path in directory.iterdir() if path.is_dir()) if directory.is_dir() else []
    return [change for place in places for change in _newest_of(place)]


def lacking(changes: Iterable[Change], tx: Tx, now_ms: int) -> list[Problem]:
    """For each chain of whose `changes` the database lacks some: from where on."""
    by_chain: dict[str, list[Change]] = defaultdict(list)
    for change in _kept(changes, now_ms):
        if not is_settled(tx, change.intent):
            by_chain[change.chain].append(change)
    return [_problem(lost) for lost in by_chain.values()]


def accept_lack(changes: Iterable[Change], tx: Tx) -> None:
    """What the database lacks of `changes` is known, and no problem any more: it never was committed, as far as this database goes."""
    for change in changes:
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


def _kept(changes: Iterable[Change], now_ms: int) -> Iterator[Change]:
    """Those whose rows nobody has pruned. A clock that was ahead for a while has left later times in the trail."""
    known = list(changes)
    latest = max((change.at_ms for change in known), default=now_ms)
    since = max(latest, now_ms) - KEEP_APPLIED_MS + MARGIN_MS
    return (change for change in known if change.at_ms >= since)


def _newest_of(place: Path) -> list[Change]:
    found: list[Change] = []
    for number in reversed(numbers_in(place)[-SEGMENTS:]):
        found = [*_changes_in(place, number), *found]
        if len(found) >= NEWEST:
            break
    return found[-NEWEST:]


def _changes_in(place: Path, number: int) -> Iterator[Change]:
    for row, (_, _, line) in enumerate(lines_in(path_of(place, number).read_bytes()), 1):
        if line is None or line.kind != "outcome":
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
