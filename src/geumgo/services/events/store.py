# ruff: noqa: S608 - what is put into the texts are names of columns, which are constants
"""The SQL of buses, rules and targets. Rows that decide what is sent where are vouched for when written and checked when read."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from geumgo.context import Place
from geumgo.sealing import Plaintext, Sealing, Unsealable, random
from geumgo.services.events.records import DEFAULT_BUS, Bus, Listener, Rule
from geumgo.storage import Row, Tx

Cell = str | int | bytes | None

BUS: Final = (
    "partition_name", "account", "region", "name", "description", "policy", "tags", "created_at_ms", "changed_at_ms",
)  # fmt: skip
RULE: Final = (
    "partition_name", "account", "region", "bus", "name", "pattern", "schedule", "state", "description", "role_arn", "tags",
    "created_by", "scheduled_at_ms",
)  # fmt: skip
TARGET: Final = ("account", "region", "bus", "rule", "id", "arn", "document")


def dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def sealed(sealing: Sealing, context: Mapping[str, str], event: Mapping[str, Any]) -> bytes:
    """An event as it is kept: nobody reads it out of the database."""
    return sealing.wrap("events", context, Plaintext(dumped(event).encode()))


def opened(sealing: Sealing, context: Mapping[str, str], text: str, kept: bytes | None) -> dict[str, Any]:
    """The event that was kept, sealed or (in rows from before) as a text."""
    found: dict[str, Any] = json.loads(text if kept is None else sealing.unwrap("events", context, kept).reveal())
    return found


def sealed_anew(sealing: Sealing, context: Mapping[str, str], kept: bytes) -> bytes:
    """The same event under the newest root key. Raises Unsealable."""
    return sealing.wrap("events", context, sealing.unwrap("events", context, kept))


def check(sealing: Sealing, table: str, columns: tuple[str, ...], row: Row) -> dict[str, Any]:
    """The cells of a row that ends with its MAC. A row that somebody forged or moved fails closed, as a fault of ours."""
    cells = dict(zip(columns, row, strict=False))
    sealing.check(table, cells, row[len(columns)])
    return cells


def put(tx: Tx, sealing: Sealing, table: str, key: str, cells: Mapping[str, Cell]) -> None:
    """The row with these cells, new or changed. `key` are the columns of its primary key."""
    own = key.split(", ")
    changes = ", ".join(f"{name} = excluded.{name}" for name in (*cells, "mac") if name not in own)
    tx.run(
        f"INSERT INTO {table} ({', '.join(cells)}, mac) VALUES ({', '.join(f':{name}' for name in cells)}, :mac)"
        f" ON CONFLICT ({key}) DO UPDATE SET {changes}",
        **cells,
        mac=sealing.vouch(table, cells),
    )


def _selected(columns: tuple[str, ...]) -> str:
    return ", ".join(columns) + ", mac"


def _place(cells: Mapping[str, Any]) -> Place:
    return Place(cells["account"], cells["region"], cells["partition_name"])


# -- the generation ---------------------------------------------------------------------------------------------------


def generation(tx: Tx, place: Place) -> str | None:
    """A text that differs after every change of what events are matched against; None while nothing ever was."""
    row = tx.one(
        "SELECT generation FROM event_generation WHERE account = :account AND region = :region",
        account=place.account,
        region=place.region,
    )
    return None if row is None else str(row[0])


def changed(tx: Tx, place: Place) -> None:
    """What was compiled from the rows of this place is not used any more. It is random, so a change that is taken back leaves no trace."""
    tx.run(
        "INSERT INTO event_generation (account, region, generation) VALUES (:account, :region, :generation)"
        " ON CONFLICT (account, region) DO UPDATE SET generation = excluded.generation",
        account=place.account,
        region=place.region,
        generation=random.uuid(),
    )


# -- buses ------------------------------------------------------------------------------------------------------------


def _as_bus(sealing: Sealing, row: Row) -> Bus:
    cells = check(sealing, "event_bus", BUS, row)
    return Bus(
        _place(cells),
        cells["name"],
        cells["description"],
        cells["policy"],
        json.loads(cells["tags"]),
        cells["created_at_ms"],
        cells["changed_at_ms"],
    )


def find_bus(tx: Tx, sealing: Sealing, place: Place, name: str) -> Bus | None:
    """The bus called `name`. The default bus is always there."""
    row = tx.one(
        f"SELECT {_selected(BUS)} FROM event_bus WHERE account = :account AND region = :region AND name = :name",
        account=place.account,
        region=place.region,
        name=name,
    )
    if row is not None:
        return _as_bus(sealing, row)
    return Bus(place, name) if name == DEFAULT_BUS else None


def save_bus(tx: Tx, sealing: Sealing, bus: Bus) -> None:
    """Keep a bus, new or changed."""
    cells: dict[str, Cell] = {
        "partition_name": bus.place.partition,
        "account": bus.place.account,
        "region": bus.place.region,
        "name": bus.name,
        "description": bus.description,
        "policy": bus.policy,
        "tags": dumped(dict(bus.tags)),
        "created_at_ms": bus.created_at_ms,
        "changed_at_ms": bus.changed_at_ms,
    }
    put(tx, sealing, "event_bus", "account, region, name", cells)


def drop_bus(tx: Tx, bus: Bus) -> None:
    tx.run(
        "DELETE FROM event_bus WHERE account = :account AND region = :region AND name = :name",
        account=bus.place.account,
        region=bus.place.region,
        name=bus.name,
    )


def list_buses(tx: Tx, sealing: Sealing, place: Place) -> list[Bus]:
    """Every bus of a place that has a row, by name."""
    rows = tx.all(
        f"SELECT {_selected(BUS)} FROM event_bus WHERE account = :account AND region = :region ORDER BY name",
        account=place.account,
        region=place.region,
    )
    return [_as_bus(sealing, row) for row in rows]


# -- rules ------------------------------------------------------------------------------------------------------------


def _as_rule(sealing: Sealing, row: Row) -> Rule:
    cells = check(sealing, "event_rule", RULE, row)
    place = _place(cells)
    rest = {name: cells[name] for name in RULE[3:]}
    return Rule(place, **{**rest, "tags": json.loads(rest["tags"])})


def find_rule(tx: Tx, sealing: Sealing, place: Place, bus: str, name: str) -> Rule | None:
    row = tx.one(
        f"SELECT {_selected(RULE)} FROM event_rule"
        " WHERE account = :account AND region = :region AND bus = :bus AND name = :name",
        account=place.account,
        region=place.region,
        bus=bus,
        name=name,
    )
    return None if row is None else _as_rule(sealing, row)


def save_rule(tx: Tx, sealing: Sealing, rule: Rule) -> None:
    """Keep a rule, new or changed."""
    cells: dict[str, Cell] = {
        "partition_name": rule.place.partition,
        "account": rule.place.account,
        "region": rule.place.region,
        "bus": rule.bus,
        "name": rule.name,
        "pattern": rule.pattern,
        "schedule": rule.schedule,
        "state": rule.state,
        "description": rule.description,
        "role_arn": rule.role_arn,
        "tags": dumped(dict(rule.tags)),
        "created_by": rule.created_by,
        "scheduled_at_ms": rule.scheduled_at_ms,
    }
    put(tx, sealing, "event_rule", "account, region, bus, name", cells)
    changed(tx, rule.place)


def drop_rule(tx: Tx, rule: Rule) -> None:
    """The rule is gone. It has no targets any more."""
    tx.run(
        "DELETE FROM event_rule WHERE account = :account AND region = :region AND bus = :bus AND name = :name",
        **_names(rule),
    )
    changed(tx, rule.place)


def list_rules(
    tx: Tx, sealing: Sealing, place: Place, bus: str, *, prefix: str = "", after: str = "", limit: int = 1_000_000
) -> list[Rule]:
    """The rules of a bus whose names begin with `prefix`, behind `after`, by name."""
    rows = tx.all(
        f"SELECT {_selected(RULE)} FROM event_rule WHERE account = :account AND region = :region AND bus = :bus"
        " AND name > :after AND name >= :prefix AND name < :end ORDER BY name LIMIT :limit",
        account=place.account,
        region=place.region,
        bus=bus,
        after=after,
        prefix=prefix,
        end=f"{prefix}~",  # behind every character of a name
        limit=limit,
    )
    return [_as_rule(sealing, row) for row in rows]


def every_rule(tx: Tx, sealing: Sealing, place: Place) -> Iterator[Rule | None]:
    """The rules of all buses of a place; None in place of one whose row was changed from outside."""
    rows = tx.all(
        f"SELECT {_selected(RULE)} FROM event_rule WHERE account = :account AND region = :region ORDER BY bus, name",
        account=place.account,
        region=place.region,
    )
    for row in rows:
        try:
            yield _as_rule(sealing, row)
        except Unsealable:
            yield None


def count_rules(tx: Tx, place: Place, bus: str) -> int:
    row = tx.one(
        "SELECT COUNT(*) FROM event_rule WHERE account = :account AND region = :region AND bus = :bus",
        account=place.account,
        region=place.region,
        bus=bus,
    )
    assert row is not None
    return int(row[0])


def _names(rule: Rule) -> dict[str, Any]:
    return {"account": rule.place.account, "region": rule.place.region, "bus": rule.bus, "name": rule.name}


# -- targets ----------------------------------------------------------------------------------------------------------


def _as_target(sealing: Sealing, row: Row) -> Listener:
    cells = check(sealing, "event_target", TARGET, row)
    return Listener(cells["id"], cells["arn"], json.loads(cells["document"]))


def find_target(tx: Tx, sealing: Sealing, rule: Rule, target_id: str) -> Listener | None:
    row = tx.one(
        f"SELECT {_selected(TARGET)} FROM event_target"
        " WHERE account = :account AND region = :region AND bus = :bus AND rule = :name AND id = :id",
        **_names(rule),
        id=target_id,
    )
    return None if row is None else _as_target(sealing, row)


def list_targets(tx: Tx, sealing: Sealing, rule: Rule) -> list[Listener]:
    """The targets of a rule, by id."""
    rows = tx.all(
        f"SELECT {_selected(TARGET)} FROM event_target"
        " WHERE account = :account AND region = :region AND bus = :bus AND rule = :name ORDER BY id",
        **_names(rule),
    )
    return [_as_target(sealing, row) for row in rows]


def save_target(tx: Tx, sealing: Sealing, rule: Rule, target: Listener) -> None:
    cells: dict[str, Cell] = {
        "account": rule.place.account,
        "region": rule.place.region,
        "bus": rule.bus,
        "rule": rule.name,
        "id": target.id,
        "arn": target.arn,
        "document": dumped(dict(target.document)),
    }
    put(tx, sealing, "event_target", "account, region, bus, rule, id", cells)
    changed(tx, rule.place)


def drop_target(tx: Tx, rule: Rule, target_id: str) -> bool:
    """Whether there was such a target; it is gone."""
    gone = tx.run(
        "DELETE FROM event_target"
        " WHERE account = :account AND region = :region AND bus = :bus AND rule = :name AND id = :id",
        **_names(rule),
        id=target_id,
    )
    changed(tx, rule.place)
    return bool(gone)


def rules_with_target(tx: Tx, place: Place, bus: str, arn: str, *, after: str, limit: int) -> list[str]:
    """Names of the rules of a bus that have `arn` as a target, behind `after`, in order."""
    rows = tx.all(
        "SELECT DISTINCT rule FROM event_target WHERE account = :account AND region = :region AND bus = :bus"
        " AND arn = :arn AND rule > :after ORDER BY rule LIMIT :limit",
        account=place.account,
        region=place.region,
        bus=bus,
        arn=arn,
        after=after,
        limit=limit,
    )
    return [row[0] for row in rows]
