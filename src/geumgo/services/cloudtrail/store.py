"""The room's SQL on the index of the trail."""

import json
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any, Final, NamedTuple

from geumgo.audit.follow import Found, Position, Where
from geumgo.services.cloudtrail.briefs import Brief
from geumgo.services.cloudtrail.domain import MOMENT_BITS, end_of_moment, span_of
from geumgo.storage import Tx
from geumgo.storage.text import unkept

PRUNED_AT_ONCE: Final = 500
MOST_NUMBERS: Final = 64  # that are tried for one event
SHARED: Final = 64  # events of one row of postings, at most
ASKED_AT_ONCE: Final = 250  # numbers of one statement

_FOUND: Final = "event, chain, segment, start_at, size_bytes, place, copy"


class Entry(NamedTuple):
    """A record that is to be found. `copy` is a vouched copy of it, where files are not shared by all who answer."""

    found: Found
    brief: Brief
    copy: bytes | None


Posting = tuple[int, int, int, bytes | None]
"""A row: span, topic, the newest event, and others of the same moment."""


@dataclass(frozen=True, slots=True)
class Row:
    """Where the record of an event stands, and its copy, if there is one."""

    event: int
    where: Where
    copy: bytes | None


# -- writing ------------------------------------------------------------------------------------------------------------


def numbered(entries: Iterable[tuple[int, Entry]]) -> dict[int, Entry]:
    """The entries, each under its number or one of the next, if another one of them has that."""
    found: dict[int, Entry] = {}
    for number, entry in entries:
        free = number
        while free in found:
            free += 1
        assert free < number + MOST_NUMBERS, "many records of one chain were noted at one moment and place"
        found[free] = entry
    return found


def postings_of(entries: Mapping[int, Entry]) -> list[Posting]:
    """What is to be kept so that the entries are found by their topics, in the order of the table."""
    rows: list[Posting] = []
    alike: dict[tuple[int, int], tuple[tuple[int, ...], list[int]]] = {}  # many have all of these topics in common
    for event, entry in entries.items():
        brief, moment = entry.brief, event >> MOMENT_BITS
        for topics in (brief.who.topics, brief.touched):
            known = alike.get((id(topics), moment))
            if known is None:
                alike[id(topics), moment] = (topics, [event])
            else:
                known[1].append(event)
        rows += [(span_of(event), topic, event, None) for topic in brief.own]
    together: dict[tuple[int, int], list[list[int]]] = {}
    for (_, moment), (topics, events) in alike.items():
        for topic in topics:
            together.setdefault((topic, moment), []).append(events)
    for (topic, _), parts in together.items():
        if len(parts) == len(parts[0]) == 1:
            (event,) = parts[0]
            rows.append((span_of(event), topic, event, None))
            continue
        every = sorted(set(chain.from_iterable(parts)), reverse=True)
        for newest, *others in _pieces(every, SHARED):
            rows.append((span_of(newest), topic, newest, struct.pack(f">{len(others)}q", *others) if others else None))
    rows.sort()
    return rows


def add(tx: Tx, entries: Mapping[int, Entry], postings: Sequence[Posting]) -> Mapping[int, Entry]:
    """The entries are found by their topics now, those that were not before. Answers these, under the numbers that they have got.

    `postings` are those of the `entries`: made before the transaction, as that is more work than all the rest.
    """
    if any(_there(tx, numbers) for numbers in _pieces(list(entries), ASKED_AT_ONCE)):
        entries = _numbered_anew(tx, entries)
        postings = postings_of(entries)
    tx.many(
        unkept(
            "INSERT INTO cloudtrail_record (event, chain, segment, start_at, size_bytes, place, copy) "
            "VALUES (:event, :chain, :segment, :start_at, :size_bytes, :place, :copy)"
        ),
        [(event, *entry.found.where, entry.copy) for event, entry in entries.items()],
    )
    tx.many(
        unkept("INSERT INTO cloudtrail_posting (span, topic, newest, others) VALUES (:span, :topic, :newest, :others)"),
        postings,
    )
    return entries


def _there(tx: Tx, numbers: Sequence[int]) -> bool:
    row = tx.one(_among("SELECT COUNT(*) FROM cloudtrail_record", len(numbers)), **_numbers(numbers))
    return row is not None and row[0] > 0


def _numbered_anew(tx: Tx, entries: Mapping[int, Entry]) -> dict[int, Entry]:
    """Without those that are in the index already; none has a number that another record has there."""
    found: dict[int, Entry] = {}
    for number, entry in entries.items():
        for event in range(number, number + MOST_NUMBERS):
            if event in found:
                continue
            there = find(tx, event)
            if there is None:
                found[event] = entry
            if there is None or there.where == entry.found.where:
                break
        else:
            raise AssertionError(f"{MOST_NUMBERS} records of several chains were noted at one moment and place")
    return found


def prune(tx: Tx, before: int) -> int:
    """Some of the oldest events below the number `before` are found no more. Answers how many rows are gone; 0 if none is left.

    A span's postings go when all of it is too old. Until then some lead to no record, which `newest` passes over.
    """
    last = tx.one(
        "SELECT MAX(event) FROM (SELECT event FROM cloudtrail_record WHERE event < :before ORDER BY event LIMIT :most) AS old",
        before=before,
        most=PRUNED_AT_ONCE,
    )
    gone = 0
    if last is not None and last[0] is not None:
        gone = tx.run(unkept("DELETE FROM cloudtrail_record WHERE event <= :last"), last=last[0])
    return gone + _prune_postings(tx, span_of(before))


def _prune_postings(tx: Tx, before: int) -> int:
    oldest = tx.one("SELECT MIN(span) FROM cloudtrail_posting WHERE span < :before", before=before)
    if oldest is None or oldest[0] is None:
        return 0
    last = tx.one(
        "SELECT topic, newest FROM cloudtrail_posting WHERE span = :span ORDER BY topic, newest LIMIT 1 OFFSET :most",
        span=oldest[0],
        most=PRUNED_AT_ONCE,
    )
    if last is None:
        return tx.run(unkept("DELETE FROM cloudtrail_posting WHERE span = :span"), span=oldest[0])
    return tx.run(
        unkept("DELETE FROM cloudtrail_posting WHERE span = :span AND (topic, newest) < (:topic, :newest)"),
        span=oldest[0],
        topic=last[0],
        newest=last[1],
    )


# -- finding ------------------------------------------------------------------------------------------------------------


def find(tx: Tx, event: int) -> Row | None:
    row = tx.one(f"SELECT {_FOUND} FROM cloudtrail_record WHERE event = :event", event=event)  # noqa: S608 - columns of ours
    return _row(row) if row is not None else None


def newest(tx: Tx, topic: int, *, first: int, before: int, most: int) -> list[Row]:
    """At most `most` events with this topic, with numbers from `first` on and below `before`, newest first."""
    spans = tx.one("SELECT (SELECT MIN(span) FROM cloudtrail_posting), (SELECT MAX(span) FROM cloudtrail_posting)")
    if spans is None or spans[0] is None:
        return []
    events: list[int] = []
    span, last = min(span_of(before - 1), spans[1]), max(span_of(first), spans[0])
    while span >= last and len(events) < most:
        events += _of_span(tx, span, topic, first, before, most - len(events))
        span -= 1
    if not events:
        return []
    found = tx.all(_among(f"SELECT {_FOUND} FROM cloudtrail_record", len(events)), **_numbers(events))  # noqa: S608
    by_number = {row.event: row for row in map(_row, found)}
    return [by_number[event] for event in events if event in by_number]


def _of_span(tx: Tx, span: int, topic: int, first: int, before: int, most: int) -> list[int]:
    """The same, in one span: numbers alone.

    Rows of one moment may overlap, as each chain has rows of its own: so reading begins at the end of the moment of `before`, and what is
    older than the last row that was read waits for the next ones.
    """
    found: set[int] = set()
    top = end_of_moment(before - 1)
    while True:
        rows = tx.all(
            "SELECT newest, others FROM cloudtrail_posting WHERE span = :span AND topic = :topic AND newest >= :first "
            "AND newest <= :top ORDER BY newest DESC LIMIT :most",
            span=span,
            topic=topic,
            first=first,
            top=top,
            most=most,
        )
        for event, others in rows:
            found.update(each for each in _events_of(event, others) if first <= each < before)
        if len(rows) < most:
            return sorted(found, reverse=True)[:most]
        top = rows[-1][0] - 1
        certain = sorted((each for each in found if each > top), reverse=True)
        if len(certain) >= most:
            return certain[:most]


def _events_of(event: int, others: bytes | None) -> tuple[int, ...]:
    return (event,) if others is None else (event, *struct.unpack(f">{len(others) // 8}q", others))


def _pieces(numbers: list[int], most: int) -> Iterator[list[int]]:
    return (numbers[at : at + most] for at in range(0, len(numbers), most))


@lru_cache(maxsize=1024)
def _among(select: str, count: int) -> str:
    return f"{select} WHERE event IN ({', '.join(f':event_{at}' for at in range(count))})"


def _numbers(events: Sequence[int]) -> dict[str, int]:
    return {f"event_{at}": event for at, event in enumerate(events)}


def _row(row: Sequence[Any]) -> Row:
    event, chain, segment, start, size, place, copy = row
    return Row(event, Where(chain, segment, start, size, place), copy)


# -- positions ----------------------------------------------------------------------------------------------------------


def position(tx: Tx, reader: str, chain: str) -> Position:
    """How far `reader` has read `chain`."""
    row = tx.one(
        "SELECT segment, offset_bytes, open_intents FROM cloudtrail_position WHERE reader = :reader AND chain = :chain",
        reader=reader,
        chain=chain,
    )
    if row is None:
        return Position()
    waiting = {intent: (at[0], at[1], at[2]) for intent, at in json.loads(row[2]).items()}
    return Position(row[0], row[1], waiting)


def keep_position(tx: Tx, reader: str, chain: str, behind: Position) -> None:
    tx.run(
        unkept(
            "INSERT INTO cloudtrail_position (reader, chain, segment, offset_bytes, open_intents) "
            "VALUES (:reader, :chain, :segment, :offset_bytes, :open_intents) ON CONFLICT (reader, chain) DO UPDATE SET "
            "segment = excluded.segment, offset_bytes = excluded.offset_bytes, open_intents = excluded.open_intents"
        ),
        reader=reader,
        chain=chain,
        segment=behind.segment,
        offset_bytes=behind.offset,
        open_intents=json.dumps(dict(behind.open), separators=(",", ":")),
    )
