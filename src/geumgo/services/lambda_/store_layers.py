# ruff: noqa: S608 - what is put into the texts are names of columns, which are constants
"""Layers and their versions."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from geumgo.sealing import Plaintext, Sealing, Unsealable
from geumgo.storage import Row, Tx

VOUCHED: Final = ("partition", "account", "region", "name", "number", "configuration", "deleted")
_COLUMNS: Final = ", ".join((*VOUCHED, "mac"))
_PLACE: Final = "account = :account AND region = :region"


@dataclass(frozen=True, slots=True)
class Details:
    """What PublishLayerVersion said about it."""

    description: str
    license_info: str
    runtimes: tuple[str, ...]
    architectures: tuple[str, ...]
    code_sha256: str  # hexadecimal
    code_size: int
    unpacked_bytes: int
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class LayerVersion:
    """A version of a layer. It never changes, but it may be deleted."""

    partition: str
    account: str
    region: str
    name: str
    number: int
    details: Details = field(repr=False)
    deleted: bool = False

    @property
    def layer_arn(self) -> str:
        return f"arn:{self.partition}:lambda:{self.region}:{self.account}:layer:{self.name}"

    @property
    def arn(self) -> str:
        return f"{self.layer_arn}:{self.number}"


def _row(layer: LayerVersion) -> dict[str, Any]:
    return {
        "partition": layer.partition,
        "account": layer.account,
        "region": layer.region,
        "name": layer.name,
        "number": layer.number,
        "configuration": json.dumps(asdict(layer.details), sort_keys=True, ensure_ascii=False),
        "deleted": int(layer.deleted),
    }


def _as_layer(sealing: Sealing, row: Row) -> LayerVersion:
    partition, account, region, name, number, configuration, deleted, mac = row
    details: dict[str, Any] = json.loads(configuration)
    details["runtimes"], details["architectures"] = tuple(details["runtimes"]), tuple(details["architectures"])
    layer = LayerVersion(partition, account, region, name, number, Details(**details), bool(deleted))
    sealing.check("lambda_layer_version", {**_row(layer), "configuration": configuration}, mac)
    return layer


def _bound_to(layer: LayerVersion) -> dict[str, str]:
    return {"label": "lambda layer", "arn": layer.arn, "sha256": layer.details.code_sha256}


def next_number(tx: Tx, account: str, region: str, name: str) -> int:
    row = tx.one(
        f"SELECT MAX(number) FROM lambda_layer_version WHERE {_PLACE} AND name = :name",
        account=account,
        region=region,
        name=name,
    )
    return int(row[0]) + 1 if row is not None and row[0] is not None else 1


def add(tx: Tx, sealing: Sealing, layer: LayerVersion, content: bytes) -> None:
    row = _row(layer)
    tx.run(
        f"""
        INSERT INTO lambda_layer_version ({_COLUMNS}, content)
        VALUES (:partition, :account, :region, :name, :number, :configuration, :deleted, :mac, :content)
        """,
        **row,
        mac=sealing.vouch("lambda_layer_version", row),
        content=sealing.wrap("lambda", _bound_to(layer), Plaintext(content)),
    )


def find(tx: Tx, sealing: Sealing, account: str, region: str, name: str, number: int) -> LayerVersion | None:
    """A version, a deleted one too."""
    row = tx.one(
        f"SELECT {_COLUMNS} FROM lambda_layer_version WHERE {_PLACE} AND name = :name AND number = :number",
        account=account,
        region=region,
        name=name,
        number=number,
    )
    return None if row is None else _as_layer(sealing, row)


def versions(
    tx: Tx, sealing: Sealing, account: str, region: str, name: str, *, below: int, limit: int
) -> list[LayerVersion]:
    """The versions that are not deleted and have a number below `below`, the newest first."""
    rows = tx.all(
        f"""
        SELECT {_COLUMNS} FROM lambda_layer_version
        WHERE {_PLACE} AND name = :name AND number < :below AND deleted = 0 ORDER BY number DESC LIMIT :limit
        """,
        account=account,
        region=region,
        name=name,
        below=below,
        limit=limit,
    )
    return [_as_layer(sealing, row) for row in rows]


def names(tx: Tx, account: str, region: str, *, after: str, limit: int) -> list[str]:
    """The names behind `after` of layers that have a version."""
    rows = tx.all(
        f"""
        SELECT DISTINCT name FROM lambda_layer_version
        WHERE {_PLACE} AND name > :after AND deleted = 0 ORDER BY name LIMIT :limit
        """,
        account=account,
        region=region,
        after=after,
        limit=limit,
    )
    return [row[0] for row in rows]


def content(tx: Tx, sealing: Sealing, layer: LayerVersion) -> bytes:
    """Raises Unsealable if it is not what was kept."""
    row = tx.one(
        f"SELECT content FROM lambda_layer_version WHERE {_PLACE} AND name = :name AND number = :number",
        account=layer.account,
        region=layer.region,
        name=layer.name,
        number=layer.number,
    )
    if row is None or not row[0]:
        raise Unsealable(f"the content of {layer.arn} is missing")
    return sealing.unwrap("lambda", _bound_to(layer), row[0]).reveal()


def sealed_anew(sealing: Sealing, row: Mapping[str, Any]) -> dict[str, bytes]:
    """The content of a row under the newest root key, if it is still there, and its MAC. Raises Unsealable."""
    cells = {name: row[name] for name in VOUCHED}
    layer = _as_layer(sealing, (*cells.values(), row["mac"]))
    content = row["content"]
    if content:
        content = sealing.wrap("lambda", _bound_to(layer), sealing.unwrap("lambda", _bound_to(layer), content))
    return {"content": content, "mac": sealing.vouch("lambda_layer_version", cells)}


def mark_deleted(tx: Tx, sealing: Sealing, layer: LayerVersion, *, used: bool) -> None:
    """`layer` (with `deleted` set) is there for nobody but the functions that have it; if none is `used`, its content is gone."""
    row = _row(layer)
    emptied = "" if used else ", content = :nothing"
    tx.run(
        f"""
        UPDATE lambda_layer_version SET deleted = :deleted, mac = :mac{emptied}
        WHERE {_PLACE} AND name = :name AND number = :number
        """,
        deleted=row["deleted"],
        mac=sealing.vouch("lambda_layer_version", row),
        account=layer.account,
        region=layer.region,
        name=layer.name,
        number=layer.number,
        **({} if used else {"nothing": b""}),
    )
