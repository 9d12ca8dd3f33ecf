# ruff: noqa: S608 - what is put into the texts are names of columns, which are constants
"""The room's SQL on the index of the trail."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from geumgo.audit.follow import Position, Where
from geumgo.services.cloudtrail.domain import EVERYTHING
from geumgo.storage import Tx
from geumgo.storage.text import unkept

PRUNED_AT_ONCE: Final = 500
MOST_NUMBERS: Final = 64  # that are tried for one event

COLUMNS: Final[Mapping[str, str]] = {
    EVERYTHING: "of_place",
    "EventId": "of_id",
    "EventName": "of_name",
    "EventSource": "of_source",
    "ReadOnly": "of_read_only",
    "Username": "of_user",
    "AccessKeyId": "of_key",
}
"""Where the topic of an attribute stands, of those that every record has once."""

_FOUND: Final = "e.event, e.chain, e.segment, e.start_at, e.size_bytes, e.place, e.copy"


@dataclass(frozen=True, slots=True)
class Row:
    """Where the record of an event stands. `copy` is a vouched copy of it, where files are not shared by all who answer."""

    event: int
    where: Where
    copy: bytes | None


# -- writing ------------------------------------------------------------------------------------------------------------


def add_event(tx: Tx, event: int, where: Where, topics: Mapping[str, int], copy: bytes | None) -> int | None:
    """The number under which the record at `where` is indexed now, `event` or one of the next; None if it was already."""
    for number in range(event, event + MOST_NUMBERS):
        added = tx.run(
            unkept(
                "INSERT INTO cloudtrail_event (event, of_place, of_id, of_name, of_source, of_read_only, of_user, of_key, "
                "chain, segment, start_at, size_bytes, place, copy) VALUES (:event, :of_place, :of_id, :of_name, :of_source, "
                ":of_read_only, :of_user, :of_key, :chain, :segment, :start_at, :size_bytes, :place, :copy) "
                "ON CONFLICT (event) DO NOTHING"
            ),
            event=number,
            **{column: topics.get(key) for key, column in COLUMNS.items()},
            chain=where.chain,
            segment=where.segment,
            start_at=where.start,
            size_bytes=where.size,
            place=where.place,
            copy=copy,
        )
        if added:
            return number
        there = find(tx, number)
        if there is not None and there.where == where:
            return None
    raise AssertionError(f"{MOST_NUMBERS} records of several chains were noted at one moment and place")


def add_topics(tx: Tx, event: int, topics: Sequence[int]) -> None:
    """The event is found by these topics too."""
    if topics:
        values = {f"topic_{at}": topic for at, topic in enumerate(topics)}
        tx.run(_adding(len(topics)), event=event, **values)


@lru_cache(maxsize=1024)
def _adding(count: int) -> str:
    rows = ", ".join(f"(:topic_{at}, :event)" for at in range(count))
    return unkept(f"INSERT INTO cloudtrail_topic (topic, event) VALUES {rows}")


def prune(tx: Tx, before: int) -> int:
    """Some of the oldest events below the number `before` are found no more. Answers how many; 0 if there are none left."""
    last = tx.one(
        "SELECT MAX(event) FROM (SELECT event FROM cloudtrail_event WHERE event < :before ORDER BY event LIMIT :most) AS old",
        before=before,
        most=PRUNED_AT_ONCE,
    )
    if last is None or last[0] is None:
        return 0
    tx.run(unkept("DELETE FROM cloudtrail_topic WHERE event <= :last"), last=last[0])
    return tx.run(unkept("DELETE FROM cloudtrail_event WHERE event <= :last"), last=last[0])


# -- finding ------------------------------------------------------------------------------------------------------------


def find(tx: Tx, event: int) -> Row | None:
    row = tx.one(f"SELECT {_FOUND} FROM cloudtrail_event AS e WHERE e.event = :event", event=event)
    return _row(row) if row is not None else None


def newest(tx: Tx, key: str, topic: int, *, first: int, before: int, most: int) -> list[Row]:
    """At most `most` events with this topic of the attribute `key`, with numbers from `first` on and below `before`, newest first."""
    found = list(_by_topic(tx, topic, first, before, most))
    if key in COLUMNS:
        found += _by_column(tx, COLUMNS[key], topic, first, before, most)
    by_number = {row.event: row for row in found}
    return [by_number[event] for event in sorted(by_number, reverse=True)[:most]]


def _by_column(tx: Tx, column: str, topic: int, first: int, before: int, most: int) -> Iterator[Row]:
    rows = tx.all(
        f"SELECT {_FOUND} FROM cloudtrail_event AS e WHERE e.{column} = :topic AND e.event >= :first AND e.event < :before "
        "ORDER BY e.event DESC LIMIT :most",
        topic=topic,
        first=first,
        before=before,
        most=most,
    )
    yield from map(_row, rows)


def _by_topic(tx: Tx, topic: int, first: int, before: int, most: int) -> Iterator[Row]:
    rows = tx.all(
        f"SELECT {_FOUND} FROM cloudtrail_topic AS t JOIN cloudtrail_event AS e ON e.event = t.event "
        "WHERE t.topic = :topic AND t.event >= :first AND t.event < :before ORDER BY t.event DESC LIMIT :most",
        topic=topic,
        first=first,
        before=before,
        most=most,
    )
    yield from map(_row, rows)


def _row(row: Sequence[object]) -> Row:
    event, chain, segment, start, size, place, copy = row
    assert isinstance(event, int)
    where = Where(str(chain), int(str(segment)), int(str(start)), int(str(size)), int(str(place)))
    return Row(event, where, copy if isinstance(copy, bytes) else None)


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
