# ruff: noqa: S608 - what is put into the texts are names of columns, which are constants
"""The only SQL of KMS. Rows that decide rights are vouched for when they are written and checked when they are read."""

import json
from dataclasses import astuple, fields, replace
from typing import Any

from geumgo.sealing import Sealing
from geumgo.services.kms.records import Alias, Grant, Key, Material, Usage
from geumgo.storage import Row, Tx
from geumgo.storage.text import unkept

KEPT_KEYS = 4096  # rows of keys that are kept as they were checked; none of them holds a secret

MOST_GRANTS = 50_000  # on one key

Cell = str | int | bytes | None

KEY = tuple(f.name for f in fields(Key) if f.init)
_KEY_COLUMNS = ", ".join(f"k.{name}" for name in KEY) + ", k.mac"
_MATERIAL = tuple(f.name for f in fields(Material))
_MATERIAL_COLUMNS = ", ".join(f"m.{name}" for name in _MATERIAL)
_ALIAS_COLUMNS = "account, region, name, key_id, created_at_ms, updated_at_ms"
_GRANT_COLUMNS = (
    "id, region, key_id, issuer, grantee, retiring, name, operations, equals, subset, source_arn, created_at_ms"
)
ALIAS = tuple(_ALIAS_COLUMNS.split(", "))
GRANT = tuple(_GRANT_COLUMNS.split(", "))
_WIDTH = len(KEY) + 1


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


# -- keys -------------------------------------------------------------------------------------------------------------


def _as_row(key: Key) -> dict[str, Cell]:
    row: dict[str, Any] = {name: getattr(key, name) for name in KEY}
    row["multi_region"] = int(key.multi_region)
    row["tags"], row["aliases"] = _dumped(dict(key.tags)), _dumped(key.aliases)
    return row


_known: dict[bytes, tuple[Sealing, Row, Key]] = {}


def _as_key(sealing: Sealing, row: Row) -> Key:
    """The key in a row, which was checked. A row that is the same to the last bit as one that was checked is not checked again."""
    mac = row[_WIDTH - 1]
    known = _known.get(mac)
    if known is not None and known[0] is sealing and known[1] == row[:_WIDTH]:
        return known[2]
    key = _read_key(sealing, row)
    if len(_known) >= KEPT_KEYS:
        _known.clear()
    _known[mac] = (sealing, row[:_WIDTH], key)
    return key


def _read_key(sealing: Sealing, row: Row) -> Key:
    cells: dict[str, Any] = dict(zip(KEY, row, strict=False))
    sealing.check("kms_key", cells, row[_WIDTH - 1])
    cells["multi_region"] = bool(cells["multi_region"])
    cells["tags"], cells["aliases"] = json.loads(cells["tags"]), tuple(json.loads(cells["aliases"]))
    return Key(**cells)


def find(tx: Tx, sealing: Sealing, region: str, key_id: str) -> Key | None:
    """The key with this id (32 hexadecimal digits) in `region`, whoever owns it."""
    row = tx.one(
        f"SELECT {_KEY_COLUMNS} FROM kms_key k WHERE k.region = :region AND k.id = :id", region=region, id=key_id
    )
    return None if row is None else _as_key(sealing, row)


def find_with_material(
    tx: Tx, sealing: Sealing, region: str, key_id: str, version: int | None
) -> tuple[Key, Material | None, int] | None:
    """The key and, in the same row, one version of its material (None: the one that encrypts) and when it was used (0:

    never).
    """
    row = tx.one(
        f"SELECT {_KEY_COLUMNS}, {_MATERIAL_COLUMNS}, u.at_ms FROM kms_key k LEFT JOIN kms_material m"
        " ON m.region = k.region AND m.key_id = k.id AND m.version = COALESCE(CAST(:version AS BIGINT), k.version)"
        " LEFT JOIN kms_usage u ON u.region = k.region AND u.key_id = k.id"
        " WHERE k.region = :region AND k.id = :id",
        region=region,
        id=key_id,
        version=version,
    )
    if row is None:
        return None
    return _as_key(sealing, row), None if row[_WIDTH] is None else Material(*row[_WIDTH:-1]), row[-1] or 0


def add(tx: Tx, sealing: Sealing, key: Key) -> None:
    """Keep a new key."""
    row = _as_row(key)
    names = ", ".join(row)
    values = ", ".join(f":{name}" for name in row)
    tx.run(f"INSERT INTO kms_key ({names}, mac) VALUES ({values}, :mac)", **row, mac=sealing.vouch("kms_key", row))


def save(tx: Tx, sealing: Sealing, key: Key) -> None:
    """Write a changed key. Its revision must still be the one that was read."""
    row = _as_row(replace(key, revision=key.revision + 1))
    changes = ", ".join(f"{name} = :{name}" for name in row if name not in ("region", "id"))
    changed = tx.run(
        f"UPDATE kms_key SET {changes}, mac = :mac WHERE region = :region AND id = :id AND revision = :revision - 1",
        **row,
        mac=sealing.vouch("kms_key", row),
    )
    assert changed == 1, f"key {key.id} changed under an open transaction"


def related(tx: Tx, sealing: Sealing, key: Key) -> list[Key]:
    """Every key with the same id in any region, itself included, sorted by region."""
    rows = tx.all(f"SELECT {_KEY_COLUMNS} FROM kms_key k WHERE k.id = :id ORDER BY k.region", id=key.id)
    return [_as_key(sealing, row) for row in rows]


def list_keys(tx: Tx, account: str, region: str, *, after: str, limit: int) -> list[tuple[str, bool]]:
    """Ids (and whether they are multi-Region) behind `after`, sorted, `limit` at most."""
    rows = tx.all(
        "SELECT id, multi_region FROM kms_key WHERE account = :account AND region = :region AND id > :after"
        " ORDER BY id LIMIT :limit",
        account=account,
        region=region,
        after=after,
        limit=limit,
    )
    return [(row[0], bool(row[1])) for row in rows]


def destroy(tx: Tx, key: Key) -> None:
    """The key, its aliases, grants and dates are gone; its material was overwritten before it was deleted."""
    where = {"region": key.region, "id": key.id}
    for material in list_material(tx, key):
        overwrite(tx, key, material)
    tx.run("DELETE FROM kms_material WHERE region = :region AND key_id = :id", **where)
    tx.run("DELETE FROM kms_alias WHERE region = :region AND key_id = :id", **where)
    tx.run("DELETE FROM kms_grant WHERE region = :region AND key_id = :id", **where)
    tx.run("DELETE FROM kms_usage WHERE region = :region AND key_id = :id", **where)
    changed = tx.run(
        "DELETE FROM kms_key WHERE region = :region AND id = :id AND revision = :revision",
        **where,
        revision=key.revision,
    )
    assert changed == 1, f"key {key.id} changed under an open transaction"


# -- material ---------------------------------------------------------------------------------------------------------


def find_material(tx: Tx, key: Key, version: int) -> Material | None:
    """One version of the key's material."""
    row = tx.one(
        f"SELECT {_MATERIAL_COLUMNS} FROM kms_material m WHERE m.region = :region AND m.key_id = :id AND m.version = :version",
        region=key.region,
        id=key.id,
        version=version,
    )
    return None if row is None else Material(*row)


def list_material(tx: Tx, key: Key) -> list[Material]:
    """Every version, oldest first."""
    rows = tx.all(
        f"SELECT {_MATERIAL_COLUMNS} FROM kms_material m WHERE m.region = :region AND m.key_id = :id ORDER BY m.version",
        region=key.region,
        id=key.id,
    )
    return [Material(*row) for row in rows]


def keep_material(tx: Tx, key: Key, material: Material) -> None:
    """Write a version of the key's material, new or changed."""
    row: dict[str, Cell] = dict(zip(_MATERIAL, astuple(material), strict=True))
    changes = ", ".join(f"{name} = excluded.{name}" for name in row if name != "version")
    tx.run(
        f"INSERT INTO kms_material (region, key_id, {', '.join(row)}) VALUES (:region, :key_id, {', '.join(f':{n}' for n in row)})"
        f" ON CONFLICT (region, key_id, version) DO UPDATE SET {changes}",
        region=key.region,
        key_id=key.id,
        **row,
    )


def overwrite(tx: Tx, key: Key, material: Material) -> None:
    """The sealed bytes of this version are zeros now. What follows in the same transaction may delete them."""
    tx.run(
        "UPDATE kms_material SET sealed = :zeros WHERE region = :region AND key_id = :id AND version = :version",
        zeros=b"\0" * len(material.sealed or b""),
        region=key.region,
        id=key.id,
        version=material.version,
    )


# -- aliases ----------------------------------------------------------------------------------------------------------


def _as_alias(sealing: Sealing, row: Row) -> Alias:
    cells = dict(zip(ALIAS, row, strict=False))
    sealing.check("kms_alias", cells, row[6])
    return Alias(*row[:6])


def find_alias(tx: Tx, sealing: Sealing, account: str, region: str, name: str) -> Alias | None:
    """The alias called `name` (with its prefix)."""
    row = tx.one(
        f"SELECT {_ALIAS_COLUMNS}, mac FROM kms_alias WHERE account = :account AND region = :region AND name = :name",
        account=account,
        region=region,
        name=name,
    )
    return None if row is None else _as_alias(sealing, row)


def keep_alias(tx: Tx, sealing: Sealing, alias: Alias) -> None:
    """Write an alias, new or changed."""
    row: dict[str, Cell] = dict(zip(ALIAS, astuple(alias), strict=True))
    tx.run(
        f"INSERT INTO kms_alias ({_ALIAS_COLUMNS}, mac)"
        " VALUES (:account, :region, :name, :key_id, :created_at_ms, :updated_at_ms, :mac)"
        " ON CONFLICT (account, region, name) DO UPDATE SET key_id = excluded.key_id,"
        " updated_at_ms = excluded.updated_at_ms, mac = excluded.mac",
        **row,
        mac=sealing.vouch("kms_alias", row),
    )


def drop_alias(tx: Tx, alias: Alias) -> None:
    """The alias is gone."""
    tx.run(
        "DELETE FROM kms_alias WHERE account = :account AND region = :region AND name = :name",
        account=alias.account,
        region=alias.region,
        name=alias.name,
    )


def list_aliases(
    tx: Tx, sealing: Sealing, account: str, region: str, *, key: str | None, after: str, limit: int
) -> list[Alias]:
    """Aliases behind `after`, sorted by name, `limit` at most; of one key only if `key` is given."""
    rows = tx.all(
        f"SELECT {_ALIAS_COLUMNS}, mac FROM kms_alias WHERE account = :account AND region = :region AND name > :after"
        " AND (CAST(:key AS TEXT) IS NULL OR key_id = :key) ORDER BY name LIMIT :limit",
        account=account,
        region=region,
        key=key,
        after=after,
        limit=limit,
    )
    return [_as_alias(sealing, row) for row in rows]


# -- grants -----------------------------------------------------------------------------------------------------------


def _as_grant(sealing: Sealing, row: Row) -> Grant:
    cells: dict[str, Any] = dict(zip(GRANT, row, strict=False))
    sealing.check("kms_grant", cells, row[12])
    equals, subset = (None if cell is None else json.loads(cell) for cell in row[8:10])
    cells.update(key=cells.pop("key_id"), operations=tuple(json.loads(row[7])), equals=equals, subset=subset)
    return Grant(**cells)


def find_grant(tx: Tx, sealing: Sealing, grant_id: str) -> Grant | None:
    """The grant with this id."""
    row = tx.one(f"SELECT {_GRANT_COLUMNS}, mac FROM kms_grant WHERE id = :id", id=grant_id)
    return None if row is None else _as_grant(sealing, row)


def add_grant(tx: Tx, sealing: Sealing, grant: Grant) -> None:
    """Keep a new grant."""
    row: dict[str, Cell] = dict(zip(GRANT, astuple(grant), strict=True))
    row["operations"] = _dumped(grant.operations)
    row["equals"], row["subset"] = (None if c is None else _dumped(dict(c)) for c in (grant.equals, grant.subset))
    tx.run(
        f"INSERT INTO kms_grant ({_GRANT_COLUMNS}, mac) VALUES ({', '.join(f':{name}' for name in row)}, :mac)",
        **row,
        mac=sealing.vouch("kms_grant", row),
    )


def drop_grant(tx: Tx, grant: Grant) -> None:
    """The grant is gone."""
    tx.run("DELETE FROM kms_grant WHERE id = :id", id=grant.id)


def list_grants(tx: Tx, sealing: Sealing, key: Key, *, grantee: str | None, after: str, limit: int) -> list[Grant]:
    """Grants on the key behind `after`, sorted by id, `limit` at most; to one grantee only if `grantee` is given."""
    rows = tx.all(
        f"SELECT {_GRANT_COLUMNS}, mac FROM kms_grant WHERE region = :region AND key_id = :key"
        f"{'' if grantee is None else ' AND grantee = :grantee'} AND id > :after ORDER BY id LIMIT :limit",
        **({} if grantee is None else {"grantee": grantee}),
        region=key.region,
        key=key.id,
        after=after,
        limit=limit,
    )
    return [_as_grant(sealing, row) for row in rows]


def grants_to(tx: Tx, sealing: Sealing, key: Key, grantee: str) -> list[Grant]:
    """Every grant on the key to one grantee."""
    return list_grants(tx, sealing, key, grantee=grantee, after="", limit=MOST_GRANTS)


def list_retirable(tx: Tx, sealing: Sealing, region: str, retiring: str, *, after: str, limit: int) -> list[Grant]:
    """Grants in `region` that `retiring` may retire, behind `after`, sorted by id, `limit` at most."""
    rows = tx.all(
        f"SELECT {_GRANT_COLUMNS}, mac FROM kms_grant WHERE region = :region AND retiring = :retiring AND id > :after"
        " ORDER BY id LIMIT :limit",
        region=region,
        retiring=retiring,
        after=after,
        limit=limit,
    )
    return [_as_grant(sealing, row) for row in rows]


# -- dates of use -----------------------------------------------------------------------------------------------------


def find_usage(tx: Tx, key: Key) -> Usage | None:
    """The last use of the key that was written down."""
    row = tx.one(
        "SELECT operation, at_ms, request_id FROM kms_usage WHERE region = :region AND key_id = :id",
        region=key.region,
        id=key.id,
    )
    return None if row is None else Usage(*row)


def keep_usage(tx: Tx, key: Key, usage: Usage) -> None:
    """Write down a use of the key, unless a later one is there."""
    tx.run(
        unkept(
            "INSERT INTO kms_usage (region, key_id, operation, at_ms, request_id)"
            " VALUES (:region, :key_id, :operation, :at_ms, :request_id)"
            " ON CONFLICT (region, key_id) DO UPDATE SET operation = excluded.operation, at_ms = excluded.at_ms,"
            " request_id = excluded.request_id WHERE kms_usage.at_ms < excluded.at_ms"
        ),
        region=key.region,
        key_id=key.id,
        operation=usage.operation,
        at_ms=usage.at_ms,
        request_id=usage.request_id,
    )
