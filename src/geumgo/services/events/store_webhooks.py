# ruff: noqa: S608 - what is put into the texts are names of tables and columns, which are constants
"""The SQL of connections and API destinations."""

import json
from dataclasses import fields
from typing import Any, Final

from geumgo.context import Place
from geumgo.sealing import Sealing
from geumgo.services.events.records import ApiDestination, Connection
from geumgo.services.events.store import check, dumped, put
from geumgo.storage import Row, Tx
from geumgo.storage.text import unkept

_WHERE: Final = ("partition_name", "account", "region")
CONNECTION: Final = (*_WHERE, *(field.name for field in fields(Connection) if field.name != "place"))
DESTINATION: Final = (*_WHERE, *(field.name for field in fields(ApiDestination) if field.name != "place"))


def _cells(thing: Connection | ApiDestination, columns: tuple[str, ...]) -> dict[str, Any]:
    place = thing.place
    where = {"partition_name": place.partition, "account": place.account, "region": place.region}
    return {**where, **{name: getattr(thing, name) for name in columns[3:]}}


def _parts(cells: dict[str, Any]) -> dict[str, Any]:
    place = Place(cells.pop("account"), cells.pop("region"), cells.pop("partition_name"))
    return {"place": place, **cells}


def _select(table: str, columns: tuple[str, ...], where: str) -> str:
    return f"SELECT {', '.join(columns)}, mac FROM {table} WHERE account = :account AND region = :region AND {where}"


# -- connections ------------------------------------------------------------------------------------------------------


def _as_connection(sealing: Sealing, row: Row) -> Connection:
    cells = check(sealing, "event_connection", CONNECTION, row)
    return Connection(**_parts({**cells, "parameters": json.loads(cells["parameters"])}))


def find_connection(tx: Tx, sealing: Sealing, place: Place, name: str) -> Connection | None:
    row = tx.one(
        _select("event_connection", CONNECTION, "name = :name"), account=place.account, region=place.region, name=name
    )
    return None if row is None else _as_connection(sealing, row)


def connection_with_arn(tx: Tx, sealing: Sealing, place: Place, arn: str) -> Connection | None:
    """The connection that has exactly this ARN; one that was made again under its name has another."""
    found = find_connection(tx, sealing, place, arn.rpartition(":connection/")[2].partition("/")[0])
    return found if found is not None and found.arn == arn else None


def save_connection(tx: Tx, sealing: Sealing, connection: Connection) -> None:
    cells = _cells(connection, CONNECTION)
    cells["parameters"] = dumped(connection.parameters)
    put(tx, sealing, "event_connection", "account, region, name", cells)


def drop_connection(tx: Tx, connection: Connection) -> None:
    _drop(tx, "event_connection", connection)


def list_connections(
    tx: Tx, sealing: Sealing, place: Place, *, prefix: str, state: str | None, after: str, limit: int
) -> list[Connection]:
    """Connections behind `after`, by name."""
    rows = tx.all(
        _select("event_connection", CONNECTION, _PAGE.format("(CAST(:state AS TEXT) IS NULL OR state = :state)")),
        account=place.account,
        region=place.region,
        after=after,
        prefix=prefix,
        end=f"{prefix}~",
        state=state,
        limit=limit,
    )
    return [_as_connection(sealing, row) for row in rows]


_PAGE: Final = "name > :after AND name >= :prefix AND name < :end AND {} ORDER BY name LIMIT :limit"


def _drop(tx: Tx, table: str, thing: Connection | ApiDestination) -> None:
    tx.run(
        f"DELETE FROM {table} WHERE account = :account AND region = :region AND name = :name",
        account=thing.place.account,
        region=thing.place.region,
        name=thing.name,
    )


# -- API destinations -------------------------------------------------------------------------------------------------


def _as_destination(sealing: Sealing, row: Row) -> ApiDestination:
    return ApiDestination(**_parts(check(sealing, "event_api_destination", DESTINATION, row)))


def find_destination(tx: Tx, sealing: Sealing, place: Place, name: str) -> ApiDestination | None:
    row = tx.one(
        _select("event_api_destination", DESTINATION, "name = :name"),
        account=place.account,
        region=place.region,
        name=name,
    )
    return None if row is None else _as_destination(sealing, row)


def save_destination(tx: Tx, sealing: Sealing, destination: ApiDestination) -> None:
    put(tx, sealing, "event_api_destination", "account, region, name", _cells(destination, DESTINATION))


def drop_destination(tx: Tx, destination: ApiDestination) -> None:
    _drop(tx, "event_api_destination", destination)
    tx.run(unkept("DELETE FROM event_pace WHERE arn = :arn"), arn=destination.arn)


def list_destinations(
    tx: Tx, sealing: Sealing, place: Place, *, prefix: str, connection_arn: str | None, after: str, limit: int
) -> list[ApiDestination]:
    """API destinations behind `after`, by name."""
    rows = tx.all(
        _select(
            "event_api_destination",
            DESTINATION,
            _PAGE.format("(CAST(:connection AS TEXT) IS NULL OR connection_arn = :connection)"),
        ),
        account=place.account,
        region=place.region,
        after=after,
        prefix=prefix,
        end=f"{prefix}~",
        connection=connection_arn,
        limit=limit,
    )
    return [_as_destination(sealing, row) for row in rows]


# -- pace -------------------------------------------------------------------------------------------------------------


LONGEST_REST_MS: Final = 60_000  # of a destination that does not answer


def wait_ms(tx: Tx, arn: str, now_ms: int) -> int:
    """How long to wait before the destination is called; 0: it may be called now."""
    row = tx.one("SELECT free_at_ms FROM event_pace WHERE arn = :arn", arn=arn)
    return 0 if row is None else max(0, int(row[0]) - now_ms)


def is_called(tx: Tx, destination: ApiDestination, now_ms: int) -> None:
    """It is not called again within its pace."""
    assert destination.per_second is not None, "a destination without a rate has no pace"
    _keep(tx, destination.arn, now_ms + -(-1_000 // destination.per_second), "event_pace.failures")


def did_not_answer(tx: Tx, arn: str, now_ms: int) -> None:
    """It rests for a second, and for twice as long after each further time, a minute at most: what waits for it must not hold up others."""
    row = tx.one("SELECT failures FROM event_pace WHERE arn = :arn", arn=arn)
    failures = 1 if row is None else int(row[0]) + 1
    _keep(
        tx, arn, now_ms + min(1_000 << min(failures - 1, 20), LONGEST_REST_MS), "excluded.failures", failures=failures
    )


def answered(tx: Tx, arn: str) -> None:
    """It answers again."""
    tx.run(unkept("UPDATE event_pace SET failures = 0 WHERE arn = :arn"), arn=arn)


def has_failed(tx: Tx, arn: str) -> bool:
    row = tx.one("SELECT failures FROM event_pace WHERE arn = :arn", arn=arn)
    return row is not None and bool(row[0])


def _keep(tx: Tx, arn: str, free_at_ms: int, count: str, failures: int = 0) -> None:
    tx.run(
        unkept(
            "INSERT INTO event_pace (arn, free_at_ms, failures) VALUES (:arn, :free_at_ms, :failures)"
            f" ON CONFLICT (arn) DO UPDATE SET free_at_ms = excluded.free_at_ms, failures = {count}"
        ),
        arn=arn,
        free_at_ms=free_at_ms,
        failures=failures,
    )
