# ruff: noqa: S608 - what is put into the texts are names of columns and parameters, which are made here
"""The SQL of configuration items."""

import json
from collections.abc import Sequence
from typing import Any, Final

from geumgo.context import Place
from geumgo.services.config.domain_items import DELETED, Item, Seen
from geumgo.storage import Row, Tx
from geumgo.storage.text import unkept

_COLUMNS: Final = "resource_type, resource_id, captured_at_ms, status, name, created_at_ms, tags, configuration"


def as_item(row: Row) -> Item:
    """The item that a row of `current` is."""
    kind, resource_id, captured_at_ms, status, name, created_at_ms, tags, configuration = row
    seen = Seen(kind, resource_id, name, created_at_ms, json.loads(tags), json.loads(configuration))
    return Item(seen, status, captured_at_ms)


def latest(tx: Tx, place: Place, resource_type: str, resource_ids: Sequence[str]) -> dict[str, Item]:
    """The newest item of each of these resources (not many at once), by resource."""
    if not resource_ids:
        return {}
    named = {f"id_{number}": resource_id for number, resource_id in enumerate(resource_ids)}
    rows = tx.all(
        f"""
        SELECT {_COLUMNS} FROM config_item
        WHERE account = :account AND region = :region AND resource_type = :type AND latest = 1
        AND resource_id IN ({", ".join(f":{name}" for name in named)})
        """,
        account=place.account,
        region=place.region,
        type=resource_type,
        **named,
    )
    return {row[1]: as_item(row) for row in rows}


def ids(tx: Tx, place: Place, resource_type: str) -> list[str]:
    """The resources of this type that are there."""
    rows = tx.all(
        """
        SELECT resource_id FROM config_item
        WHERE account = :account AND region = :region AND resource_type = :type AND latest = 1 AND status <> :deleted
        """,
        account=place.account,
        region=place.region,
        type=resource_type,
        deleted=DELETED,
    )
    return [resource_id for (resource_id,) in rows]


def current(tx: Tx, place: Place, resource_type: str | None) -> list[Row]:
    """The resources that are there, by type and id: rows for `as_item`, which takes longer than to read them."""
    return tx.all(
        f"""
        SELECT {_COLUMNS} FROM config_item
        WHERE account = :account AND region = :region AND latest = 1 AND status <> :deleted
        AND (resource_type = :type OR :any_type = 1) ORDER BY resource_type, resource_id
        """,
        account=place.account,
        region=place.region,
        deleted=DELETED,
        type=resource_type or "",
        any_type=resource_type is None,
    )


def discovered(tx: Tx, place: Place, resource_type: str, *, after: str, deleted_too: bool, limit: int) -> list[Item]:
    """The newest items of resources of a type, by resource, from the one behind `after` on."""
    rows = tx.all(
        f"""
        SELECT {_COLUMNS} FROM config_item
        WHERE account = :account AND region = :region AND resource_type = :type AND latest = 1
        AND resource_id > :after AND (status <> :deleted OR :deleted_too = 1) ORDER BY resource_id LIMIT :limit
        """,
        account=place.account,
        region=place.region,
        type=resource_type,
        after=after,
        deleted=DELETED,
        deleted_too=deleted_too,
        limit=limit,
    )
    return [as_item(row) for row in rows]


def counts(tx: Tx, place: Place) -> dict[str, int]:
    """How many resources of each type are there."""
    rows: list[Any] = tx.all(
        """
        SELECT resource_type, COUNT(*) FROM config_item
        WHERE account = :account AND region = :region AND latest = 1 AND status <> :deleted GROUP BY resource_type
        """,
        account=place.account,
        region=place.region,
        deleted=DELETED,
    )
    return dict(rows)


def history(
    tx: Tx,
    place: Place,
    resource_type: str,
    resource_id: str,
    *,
    first_ms: int,
    last_ms: int,
    forward: bool,
    limit: int,
) -> list[Item]:
    """Items of a resource that were captured from `first_ms` to `last_ms`, newest first unless `forward`."""
    rows = tx.all(
        f"""
        SELECT {_COLUMNS} FROM config_item
        WHERE account = :account AND region = :region AND resource_type = :type AND resource_id = :id
        AND captured_at_ms >= :first AND captured_at_ms <= :last
        ORDER BY captured_at_ms {"ASC" if forward else "DESC"} LIMIT :limit
        """,
        account=place.account,
        region=place.region,
        type=resource_type,
        id=resource_id,
        first=first_ms,
        last=last_ms,
        limit=limit,
    )
    return [as_item(row) for row in rows]


def is_known(tx: Tx, place: Place, resource_type: str, resource_id: str) -> bool:
    row = tx.one(
        """
        SELECT COUNT(*) FROM config_item
        WHERE account = :account AND region = :region AND resource_type = :type AND resource_id = :id AND latest = 1
        """,
        account=place.account,
        region=place.region,
        type=resource_type,
        id=resource_id,
    )
    return row is not None and row[0] > 0


def add(tx: Tx, place: Place, item: Item) -> None:
    """The newest item of its resource. One of the same millisecond is replaced."""
    named = {
        "account": place.account,
        "region": place.region,
        "resource_type": item.seen.resource_type,
        "resource_id": item.seen.resource_id,
    }
    tx.run(
        unkept("""
        UPDATE config_item SET latest = 0 WHERE account = :account AND region = :region
        AND resource_type = :resource_type AND resource_id = :resource_id AND latest = 1
        """),
        **named,
    )
    tx.run(
        unkept(f"""
        INSERT INTO config_item (account, region, latest, {_COLUMNS})
        VALUES (:account, :region, 1, :resource_type, :resource_id, :captured_at_ms, :status, :name, :created_at_ms,
                :tags, :configuration)
        ON CONFLICT (account, region, resource_type, resource_id, captured_at_ms) DO UPDATE SET
            latest = 1, status = excluded.status, name = excluded.name, tags = excluded.tags,
            configuration = excluded.configuration
        """),
        **named,
        captured_at_ms=item.captured_at_ms,
        status=item.status,
        name=item.seen.name,
        created_at_ms=item.seen.created_at_ms,
        tags=json.dumps(dict(item.seen.tags), ensure_ascii=False, separators=(",", ":")),
        configuration=json.dumps(dict(item.seen.configuration), ensure_ascii=False, separators=(",", ":")),
    )
