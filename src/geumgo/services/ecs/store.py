# ruff: noqa: S608 - what is put into the texts are names of tables and of columns, which are constants
"""The only SQL of ECS. Rows that say as whom a secret is made, and who signs, are vouched for when written and checked when read."""

import json
from dataclasses import fields
from typing import Any, Final

from geumgo.context import Place
from geumgo.sealing import Plaintext, Sealing
from geumgo.services.ecs.records import Authority, Cluster, Endpoint, Service
from geumgo.storage import Row, Tx

PURPOSE: Final = "ecs"
CLUSTER: Final = tuple(each.name for each in fields(Cluster))
SERVICE: Final = tuple(each.name for each in fields(Service))
ENDPOINT: Final = tuple(each.name for each in fields(Endpoint))
AUTHORITY: Final = tuple(each.name for each in fields(Authority))
_JSON: Final = ("kept", "tags", "names")


def _as_row(record: object, columns: tuple[str, ...]) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(record, name) for name in columns}
    for name in _JSON:
        if name in row:
            row[name] = json.dumps(row[name], ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
    if "is_leaving" in row:
        row["is_leaving"] = int(row["is_leaving"])
    return row


def _cells(columns: tuple[str, ...], row: Row) -> dict[str, Any]:
    cells: dict[str, Any] = dict(zip(columns, row, strict=False))
    for name in _JSON:
        if name in cells:
            cells[name] = json.loads(cells[name])
    if "is_leaving" in cells:
        cells["is_leaving"] = bool(cells["is_leaving"])
    return cells


def _put(tx: Tx, table: str, key: tuple[str, ...], row: dict[str, Any]) -> None:
    changes = ", ".join(f"{name} = excluded.{name}" for name in row if name not in key)
    tx.run(
        f"""
        INSERT INTO {table} ({", ".join(row)}) VALUES ({", ".join(f":{name}" for name in row)})
        ON CONFLICT ({", ".join(key)}) DO UPDATE SET {changes}
        """,
        **row,
    )


# -- clusters ---------------------------------------------------------------------------------------------------------


def find_cluster(tx: Tx, place: Place, name: str) -> Cluster | None:
    row = tx.one(
        f"SELECT {', '.join(CLUSTER)} FROM ecs_cluster WHERE account = :account AND region = :region AND name = :name",
        account=place.account,
        region=place.region,
        name=name,
    )
    return None if row is None else Cluster(**_cells(CLUSTER, row))


def clusters_after(tx: Tx, place: Place, after: str, limit: int) -> list[Cluster]:
    """By name, from the one behind `after` on."""
    rows = tx.all(
        f"""
        SELECT {", ".join(CLUSTER)} FROM ecs_cluster
        WHERE account = :account AND region = :region AND name > :after ORDER BY name LIMIT :limit
        """,
        account=place.account,
        region=place.region,
        after=after,
        limit=limit,
    )
    return [Cluster(**_cells(CLUSTER, row)) for row in rows]


def add_cluster(tx: Tx, cluster: Cluster) -> None:
    _put(tx, "ecs_cluster", ("account", "region", "name"), _as_row(cluster, CLUSTER))


def remove_cluster(tx: Tx, cluster: Cluster) -> None:
    tx.run(
        "DELETE FROM ecs_cluster WHERE account = :account AND region = :region AND name = :name",
        account=cluster.account,
        region=cluster.region,
        name=cluster.name,
    )


# -- services ---------------------------------------------------------------------------------------------------------


def find_service(tx: Tx, place: Place, cluster: str, name: str) -> Service | None:
    row = tx.one(
        f"""
        SELECT {", ".join(SERVICE)} FROM ecs_service
        WHERE account = :account AND region = :region AND cluster = :cluster AND name = :name
        """,
        account=place.account,
        region=place.region,
        cluster=cluster,
        name=name,
    )
    return None if row is None else Service(**_cells(SERVICE, row))


def services_after(tx: Tx, place: Place, cluster: str, after: str, limit: int) -> list[Service]:
    """Of a cluster, by name, from the one behind `after` on."""
    rows = tx.all(
        f"""
        SELECT {", ".join(SERVICE)} FROM ecs_service
        WHERE account = :account AND region = :region AND cluster = :cluster AND name > :after ORDER BY name LIMIT :limit
        """,
        account=place.account,
        region=place.region,
        cluster=cluster,
        after=after,
        limit=limit,
    )
    return [Service(**_cells(SERVICE, row)) for row in rows]


def count_services(tx: Tx, place: Place, cluster: str) -> int:
    row = tx.one(
        "SELECT COUNT(*) FROM ecs_service WHERE account = :account AND region = :region AND cluster = :cluster",
        account=place.account,
        region=place.region,
        cluster=cluster,
    )
    assert row is not None, "an aggregate has a row"
    return int(row[0])


def put_service(tx: Tx, service: Service) -> None:
    _put(tx, "ecs_service", ("account", "region", "cluster", "name"), _as_row(service, SERVICE))


def remove_service(tx: Tx, service: Service) -> None:
    tx.run("DELETE FROM ecs_service WHERE id = :id", id=service.id)


# -- endpoints --------------------------------------------------------------------------------------------------------


def find_endpoint(tx: Tx, sealing: Sealing, endpoint_id: str) -> Endpoint | None:
    row = tx.one(f"SELECT {', '.join(ENDPOINT)}, mac FROM ecs_endpoint WHERE id = :id", id=endpoint_id)
    return None if row is None else _as_endpoint(sealing, row)


def find_by_secret(tx: Tx, sealing: Sealing, secret_arn: str) -> Endpoint | None:
    row = tx.one(f"SELECT {', '.join(ENDPOINT)}, mac FROM ecs_endpoint WHERE secret_arn = :arn", arn=secret_arn)
    return None if row is None else _as_endpoint(sealing, row)


def endpoints_of(tx: Tx, sealing: Sealing, service: Service) -> list[Endpoint]:
    """By the name of their port, those that leave too."""
    rows = tx.all(
        f"""
        SELECT {", ".join(ENDPOINT)}, mac FROM ecs_endpoint
        WHERE account = :account AND region = :region AND cluster = :cluster AND service = :service ORDER BY port, id
        """,
        account=service.account,
        region=service.region,
        cluster=service.cluster,
        service=service.name,
    )
    return [_as_endpoint(sealing, row) for row in rows]


def _as_endpoint(sealing: Sealing, row: Row) -> Endpoint:
    sealing.check("ecs_endpoint", dict(zip(ENDPOINT, row, strict=False)), row[len(ENDPOINT)])
    cells = _cells(ENDPOINT, row)
    return Endpoint(**{**cells, "names": tuple(cells["names"])})


def put_endpoint(tx: Tx, sealing: Sealing, endpoint: Endpoint) -> None:
    row = _as_row(endpoint, ENDPOINT)
    row["mac"] = sealing.vouch("ecs_endpoint", row)
    _put(tx, "ecs_endpoint", ("id",), row)


def remove_endpoint(tx: Tx, endpoint: Endpoint) -> None:
    tx.run("DELETE FROM ecs_endpoint WHERE id = :id", id=endpoint.id)


# -- authorities ------------------------------------------------------------------------------------------------------


def find_authority(tx: Tx, sealing: Sealing, arn: str) -> Authority | None:
    row = tx.one(f"SELECT {', '.join(AUTHORITY)}, mac FROM ecs_authority WHERE arn = :arn", arn=arn)
    if row is None:
        return None
    cells: dict[str, Any] = dict(zip(AUTHORITY, row, strict=False))
    sealing.check("ecs_authority", cells, row[len(AUTHORITY)])
    return Authority(**cells)


def add_authority(tx: Tx, sealing: Sealing, authority: Authority) -> None:
    row = {name: getattr(authority, name) for name in AUTHORITY}
    row["mac"] = sealing.vouch("ecs_authority", row)
    _put(tx, "ecs_authority", ("arn",), row)


def seal(sealing: Sealing, arn: str, private_key: Plaintext) -> bytes:
    return sealing.wrap(PURPOSE, {"authority": arn}, private_key)


def unseal(sealing: Sealing, arn: str, sealed: bytes) -> Plaintext:
    return sealing.unwrap(PURPOSE, {"authority": arn}, sealed)
