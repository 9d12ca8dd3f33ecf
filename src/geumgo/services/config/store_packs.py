# ruff: noqa: S608 - what is put into the texts are names of columns, which are constants
"""The SQL of conformance packs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from geumgo.context import Place
from geumgo.sealing import Sealing
from geumgo.storage import Row, Tx

COLUMNS: Final = (
    "id",
    "account",
    "region",
    "partition",
    "name",
    "settings",
    "rules",
    "tags",
    "state",
    "updated_at_ms",
)


@dataclass(frozen=True, slots=True)
class Pack:
    """A conformance pack. `rules` maps the names that its template gives to the ids of its rules."""

    id: str
    account: str
    region: str
    partition: str
    name: str
    settings: Mapping[str, Any]
    rules: Mapping[str, str]
    tags: Mapping[str, str]
    state: str
    updated_at_ms: int

    @property
    def arn(self) -> str:
        return f"arn:{self.partition}:config:{self.region}:{self.account}:conformance-pack/{self.name}/{self.id}"


def _as_pack(sealing: Sealing, row: Row) -> Pack:
    cells: dict[str, Any] = dict(zip(COLUMNS, row, strict=False))
    sealing.check("config_pack", cells, row[len(COLUMNS)])
    for name in ("settings", "rules", "tags"):
        cells[name] = json.loads(cells[name])
    return Pack(**cells)


def find(tx: Tx, sealing: Sealing, place: Place, name: str) -> Pack | None:
    row = tx.one(
        f"""
        SELECT {", ".join(COLUMNS)}, mac FROM config_pack
        WHERE account = :account AND region = :region AND name = :name
        """,
        account=place.account,
        region=place.region,
        name=name,
    )
    return None if row is None else _as_pack(sealing, row)


def packs(tx: Tx, sealing: Sealing, place: Place, *, after: str = "", limit: int = 1_000) -> list[Pack]:
    """The packs of this place by name, from the one behind `after` on."""
    rows = tx.all(
        f"""
        SELECT {", ".join(COLUMNS)}, mac FROM config_pack
        WHERE account = :account AND region = :region AND name > :after ORDER BY name LIMIT :limit
        """,
        account=place.account,
        region=place.region,
        after=after,
        limit=limit,
    )
    return [_as_pack(sealing, row) for row in rows]


def put(tx: Tx, sealing: Sealing, pack: Pack) -> None:
    """The pack, in place of the one of its id. Raises storage.Taken if another transaction has taken its name."""
    row: dict[str, Any] = {name: getattr(pack, name) for name in COLUMNS}
    for name in ("settings", "rules", "tags"):
        row[name] = json.dumps(dict(row[name]), ensure_ascii=False, separators=(",", ":"))
    row["mac"] = sealing.vouch("config_pack", row)
    remove(tx, pack)
    names = ", ".join(row)
    tx.run(f"INSERT INTO config_pack ({names}) VALUES ({', '.join(f':{name}' for name in row)})", **row)


def remove(tx: Tx, pack: Pack) -> None:
    tx.run("DELETE FROM config_pack WHERE id = :id", id=pack.id)
