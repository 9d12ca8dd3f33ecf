# ruff: noqa: S608 - what is put into the texts are names of tables and columns, which are constants
"""The SQL of archives, what is in them, and replays."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, Final

from geumgo.context import Place
from geumgo.sealing import Sealing, Unsealable
from geumgo.services.events.records import Archive, Replay
from geumgo.services.events.store import changed, check, dumped, opened, put, sealed
from geumgo.storage import Row, Tx
from geumgo.storage.text import unkept

_WHERE: Final = ("partition_name", "account", "region")
ARCHIVE: Final = (*_WHERE, *(field.name for field in fields(Archive) if field.name != "place"))
REPLAY: Final = (*_WHERE, *(field.name for field in fields(Replay) if field.name != "place"))
_OF_PLACE: Final = "account = :account AND region = :region"


def _cells(thing: Archive | Replay, columns: tuple[str, ...]) -> dict[str, Any]:
    place = thing.place
    where = {"partition_name": place.partition, "account": place.account, "region": place.region}
    return {**where, **{name: getattr(thing, name) for name in columns[3:]}}


def _parts(cells: dict[str, Any]) -> dict[str, Any]:
    place = Place(cells.pop("account"), cells.pop("region"), cells.pop("partition_name"))
    return {"place": place, **cells}


def _at(place: Place) -> dict[str, str]:
    return {"account": place.account, "region": place.region}


# -- archives ---------------------------------------------------------------------------------------------------------


def _as_archive(sealing: Sealing, row: Row) -> Archive:
    return Archive(**_parts(check(sealing, "event_archive", ARCHIVE, row)))


def find_archive(tx: Tx, sealing: Sealing, place: Place, name: str) -> Archive | None:
    row = tx.one(
        f"SELECT {', '.join(ARCHIVE)}, mac FROM event_archive WHERE {_OF_PLACE} AND name = :name",
        **_at(place),
        name=name,
    )
    return None if row is None else _as_archive(sealing, row)


def _rows_of_archives(tx: Tx, place: Place) -> list[Row]:
    return tx.all(f"SELECT {', '.join(ARCHIVE)}, mac FROM event_archive WHERE {_OF_PLACE} ORDER BY name", **_at(place))


def every_archive(tx: Tx, sealing: Sealing, place: Place) -> list[Archive]:
    """The archives of a place, by name."""
    return [_as_archive(sealing, row) for row in _rows_of_archives(tx, place)]


def each_archive(tx: Tx, sealing: Sealing, place: Place) -> Iterator[Archive | None]:
    """The archives of a place; None in place of one whose row was changed from outside."""
    for row in _rows_of_archives(tx, place):
        try:
            yield _as_archive(sealing, row)
        except Unsealable:
            yield None


def save_archive(tx: Tx, sealing: Sealing, archive: Archive) -> None:
    put(tx, sealing, "event_archive", "account, region, name", _cells(archive, ARCHIVE))
    changed(tx, archive.place)


def drop_archive(tx: Tx, archive: Archive) -> None:
    """The archive is gone with all that is in it."""
    tx.run(f"DELETE FROM event_archived WHERE {_OF_PLACE} AND archive = :name", **_at(archive.place), name=archive.name)
    tx.run(f"DELETE FROM event_archive WHERE {_OF_PLACE} AND name = :name", **_at(archive.place), name=archive.name)
    changed(tx, archive.place)


# -- what is in them --------------------------------------------------------------------------------------------------


def context_of(place: Place, archive: str, event_id: str) -> dict[str, str]:
    """What an event in an archive is bound to."""
    return {"account": place.account, "region": place.region, "archive": archive, "id": event_id}


def archive_event(tx: Tx, sealing: Sealing, archive: Archive, event: Mapping[str, Any], at_ms: int) -> None:
    """The event is kept, once."""
    event_id = str(event["id"])
    tx.run(
        unkept(
            "INSERT INTO event_archived (account, region, archive, at_ms, id, bytes, event, sealed)"
            " VALUES (:account, :region, :archive, :at_ms, :id, :bytes, '', :sealed)"
            " ON CONFLICT (account, region, archive, at_ms, id) DO NOTHING"
        ),
        **_at(archive.place),
        archive=archive.name,
        at_ms=at_ms,
        id=event_id,
        bytes=len(dumped(event).encode()),
        sealed=sealed(sealing, context_of(archive.place, archive.name, event_id), event),
    )


def contents(tx: Tx, archive: Archive) -> tuple[int, int]:
    """How many events are in the archive, and how many bytes they have."""
    row = tx.one(
        f"SELECT COUNT(*), CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM event_archived WHERE {_OF_PLACE} AND archive = :name",
        **_at(archive.place),
        name=archive.name,
    )
    assert row is not None
    return int(row[0]), int(row[1])


def archived(
    tx: Tx, sealing: Sealing, place: Place, archive: str, *, after: tuple[int, str], to_ms: int, limit: int
) -> list[tuple[int, str, dict[str, Any]]]:
    """Events of an archive behind `after` (when, id) and before `to_ms`, oldest first."""
    rows = tx.all(
        f"SELECT at_ms, id, event, sealed FROM event_archived WHERE {_OF_PLACE} AND archive = :archive"
        " AND (at_ms, id) > (:at_ms, :id) AND at_ms < :to_ms ORDER BY at_ms, id LIMIT :limit",
        **_at(place),
        archive=archive,
        at_ms=after[0],
        id=after[1],
        to_ms=to_ms,
        limit=limit,
    )
    return [
        (at_ms, id_, opened(sealing, context_of(place, archive, id_), text, kept)) for at_ms, id_, text, kept in rows
    ]


def expire(tx: Tx, archive: Archive, before_ms: int, *, limit: int) -> int:
    """Up to `limit` events that came before `before_ms` are gone. Answers how many."""
    return tx.run(
        unkept(
            f"DELETE FROM event_archived WHERE {_OF_PLACE} AND archive = :archive AND (at_ms, id) IN (SELECT at_ms, id"
            f" FROM event_archived WHERE {_OF_PLACE} AND archive = :archive AND at_ms < :before_ms"
            " ORDER BY at_ms, id LIMIT :limit)"
        ),
        **_at(archive.place),
        archive=archive.name,
        before_ms=before_ms,
        limit=limit,
    )


# -- replays ----------------------------------------------------------------------------------------------------------


def _as_replay(sealing: Sealing, row: Row) -> Replay:
    cells = check(sealing, "event_replay", REPLAY, row)
    only = cells["only_rules"]
    return Replay(**_parts({**cells, "only_rules": None if only is None else tuple(json.loads(only))}))


def find_replay(tx: Tx, sealing: Sealing, place: Place, name: str) -> Replay | None:
    row = tx.one(
        f"SELECT {', '.join(REPLAY)}, mac FROM event_replay WHERE {_OF_PLACE} AND name = :name",
        **_at(place),
        name=name,
    )
    return None if row is None else _as_replay(sealing, row)


def every_replay(tx: Tx, sealing: Sealing, place: Place) -> Sequence[Replay]:
    """The replays of a place, by name."""
    rows = tx.all(f"SELECT {', '.join(REPLAY)}, mac FROM event_replay WHERE {_OF_PLACE} ORDER BY name", **_at(place))
    return [_as_replay(sealing, row) for row in rows]


def save_replay(tx: Tx, sealing: Sealing, replay: Replay) -> None:
    cells = _cells(replay, REPLAY)
    cells["only_rules"] = None if replay.only_rules is None else dumped(list(replay.only_rules))
    put(tx, sealing, "event_replay", "account, region, name", cells)


def forget_replays(tx: Tx, place: Place, ended_before_ms: int) -> None:
    """Replays that ended long ago are no longer told of."""
    tx.run(
        f"DELETE FROM event_replay WHERE {_OF_PLACE} AND ended_at_ms < :before", **_at(place), before=ended_before_ms
    )
