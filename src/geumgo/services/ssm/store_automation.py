# ruff: noqa: S608 - what is put into the texts are names of columns and conditions, which are constants
"""Rows of ssm_automation: what decides is vouched for when written and checked when read; how it went is not."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from geumgo.context import Place
from geumgo.sealing import Sealing
from geumgo.storage import Row, Tx

VOUCHED: Final = (
    "id",
    "partition",
    "account",
    "region",
    "document",
    "parameters",
    "executed_by",
    "client_token",
    "started_at_ms",
)
_ALL: Final = ", ".join((*VOUCHED, "status", "steps", "ended_at_ms", "mac"))
_TABLE: Final = "ssm_automation"


@dataclass(frozen=True, slots=True)
class Execution:
    """An execution of a document. Times are Unix milliseconds. `steps` are as `domain.automation.walk` has them."""

    id: str
    place: Place
    document: str
    parameters: Mapping[str, Sequence[str]]
    executed_by: str
    client_token: str | None
    started_at_ms: int
    status: str = "Pending"
    steps: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    ended_at_ms: int | None = None


def _vouched(execution: Execution) -> dict[str, str | int | None]:
    place = execution.place
    return {
        "id": execution.id,
        "partition": place.partition,
        "account": place.account,
        "region": place.region,
        "document": execution.document,
        "parameters": json.dumps({name: list(values) for name, values in execution.parameters.items()}),
        "executed_by": execution.executed_by,
        "client_token": execution.client_token,
        "started_at_ms": execution.started_at_ms,
    }


def _read(sealing: Sealing, row: Row) -> Execution:
    cells: dict[str, Any] = dict(zip(VOUCHED, row, strict=False))
    status, steps, ended_at_ms, mac = row[len(VOUCHED) :]
    sealing.check(_TABLE, cells, mac)
    return Execution(
        cells["id"],
        Place(cells["account"], cells["region"], cells["partition"]),
        cells["document"],
        json.loads(cells["parameters"]),
        cells["executed_by"],
        cells["client_token"],
        cells["started_at_ms"],
        status,
        json.loads(steps),
        ended_at_ms,
    )


def add(tx: Tx, sealing: Sealing, execution: Execution) -> None:
    row = _vouched(execution)
    more = {
        "status": execution.status,
        "steps": json.dumps(list(execution.steps)),
        "ended_at_ms": execution.ended_at_ms,
    }
    columns = [*row, *more, "mac"]
    tx.run(
        f"INSERT INTO {_TABLE} ({', '.join(columns)}) VALUES ({', '.join(f':{name}' for name in columns)})",
        **row,
        **more,
        mac=sealing.vouch(_TABLE, row),
    )


def went(tx: Tx, execution_id: str, status: str, steps: Sequence[Mapping[str, Any]], ended_at_ms: int | None) -> None:
    tx.run(
        f"UPDATE {_TABLE} SET status = :status, steps = :steps, ended_at_ms = :ended_at_ms WHERE id = :id",
        id=execution_id,
        status=status,
        steps=json.dumps(list(steps)),
        ended_at_ms=ended_at_ms,
    )


def find(tx: Tx, sealing: Sealing, place: Place, execution_id: str) -> Execution | None:
    row = tx.one(
        f"SELECT {_ALL} FROM {_TABLE} WHERE id = :id AND account = :account AND region = :region",
        id=execution_id,
        account=place.account,
        region=place.region,
    )
    return None if row is None else _read(sealing, row)


def by_token(tx: Tx, sealing: Sealing, place: Place, client_token: str) -> Execution | None:
    row = tx.one(
        f"SELECT {_ALL} FROM {_TABLE} WHERE account = :account AND region = :region AND client_token = :token",
        account=place.account,
        region=place.region,
        token=client_token,
    )
    return None if row is None else _read(sealing, row)


def newest(
    tx: Tx,
    sealing: Sealing,
    place: Place,
    *,
    before: tuple[int, str] | None,
    limit: int,
    document: str = "",
    status: str | None = None,
    execution_id: str | None = None,
) -> list[Execution]:
    """The executions of a place, the newest first, behind the position `before` (started at, id). `document`: of their names a prefix."""
    conditions = ["account = :account", "region = :region"]
    params: dict[str, Any] = {"account": place.account, "region": place.region, "limit": limit}
    if before is not None:
        conditions.append("(started_at_ms, id) < (:at_ms, :id)")
        params.update(at_ms=before[0], id=before[1])
    if document:
        conditions.append("document >= :document AND document < :beyond")
        params.update(document=document, beyond=document + "\U0010ffff")
    for column, value in (("status", status), ("id", execution_id)):
        if value is not None:
            conditions.append(f"{column} = :{column}_is")
            params[f"{column}_is"] = value
    rows = tx.all(
        f"SELECT {_ALL} FROM {_TABLE} WHERE {' AND '.join(conditions)} ORDER BY started_at_ms DESC, id DESC LIMIT :limit",
        **params,
    )
    return [_read(sealing, row) for row in rows]


def prune(tx: Tx, place: Place, before_ms: int) -> None:
    tx.run(
        f"DELETE FROM {_TABLE} WHERE account = :account AND region = :region AND ended_at_ms < :before_ms",
        account=place.account,
        region=place.region,
        before_ms=before_ms,
    )
