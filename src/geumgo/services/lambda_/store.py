# ruff: noqa: S608 - what is put into the texts are names of columns, which are constants
"""The only SQL of Lambda. Rows that decide what runs as whom are vouched for when written and checked when read."""

import hashlib
import json
from dataclasses import fields
from typing import Any, Final

from geumgo.sealing import Plaintext, Sealing, Unsealable
from geumgo.services.lambda_.records import Alias, Function, Version
from geumgo.storage import Row, Tx

Cell = str | int | bytes | None

FUNCTION: Final = (
    "id", "partition", "account", "region", "name", "next_version", "policies", "tags", "concurrency",
)  # fmt: skip
_COLUMNS: Final = f"{', '.join(FUNCTION)}, revision, mac"
_CONFIGURED: Final = tuple(
    each.name for each in fields(Version) if each.name not in ("function_id", "number", "environment")
)
ALIAS: Final = ("function_id", "name", "number", "description", "revision_id")
VERSION: Final = ("function_id", "number", "configuration", "environment")
_VERSION: Final = ", ".join((*VERSION, "mac"))


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


# -- functions ---------------------------------------------------------------------------------------------------------


def _function_row(function: Function) -> dict[str, Cell]:
    row: dict[str, Any] = {name: getattr(function, name) for name in FUNCTION}
    row["policies"] = _dumped(dict(function.policies))
    row["tags"] = _dumped(dict(function.tags))
    return row


def _as_function(sealing: Sealing, row: Row) -> Function:
    cells: dict[str, Any] = dict(zip(FUNCTION, row, strict=False))
    sealing.check("lambda_function", cells, row[-1])
    cells["policies"] = {qualifier: tuple(each) for qualifier, each in json.loads(cells["policies"]).items()}
    cells["tags"] = json.loads(cells["tags"])
    return Function(**cells, revision=row[-2])


def find(tx: Tx, sealing: Sealing, account: str, region: str, name: str) -> Function | None:
    row = tx.one(
        f"SELECT {_COLUMNS} FROM lambda_function WHERE account = :account AND region = :region AND name = :name",
        account=account,
        region=region,
        name=name,
    )
    return None if row is None else _as_function(sealing, row)


def find_by_id(tx: Tx, sealing: Sealing, function_id: str) -> Function | None:
    row = tx.one(f"SELECT {_COLUMNS} FROM lambda_function WHERE id = :id", id=function_id)
    return None if row is None else _as_function(sealing, row)


def page(tx: Tx, sealing: Sealing, account: str, region: str, *, after: str, limit: int) -> list[Function]:
    """The functions of a place whose names stand behind `after`, by name."""
    rows = tx.all(
        f"""
        SELECT {_COLUMNS} FROM lambda_function
        WHERE account = :account AND region = :region AND name > :after ORDER BY name LIMIT :limit
        """,
        account=account,
        region=region,
        after=after,
        limit=limit,
    )
    return [_as_function(sealing, row) for row in rows]


def add(tx: Tx, sealing: Sealing, function: Function) -> None:
    row = _function_row(function)
    columns = ", ".join(FUNCTION)
    places = ", ".join(f":{name}" for name in FUNCTION)
    tx.run(
        f"INSERT INTO lambda_function ({columns}, revision, mac) VALUES ({places}, 0, :mac)",
        **row,
        mac=sealing.vouch("lambda_function", row),
    )


def save(tx: Tx, sealing: Sealing, function: Function) -> None:
    """Write a changed function. Its revision must still be the one that was read."""
    row = _function_row(function)
    changes = ", ".join(f"{name} = :{name}" for name in FUNCTION if name != "id")
    changed = tx.run(
        f"UPDATE lambda_function SET {changes}, revision = revision + 1, mac = :mac WHERE id = :id AND revision = :revision",
        **row,
        revision=function.revision,
        mac=sealing.vouch("lambda_function", row),
    )
    assert changed == 1, f"function {function.id} changed under an open transaction"


def remove(tx: Tx, function: Function) -> None:
    """The function is gone with everything about it."""
    for table in ("lambda_code", "lambda_version", "lambda_alias", "lambda_event", "lambda_event_config"):
        tx.run(f"DELETE FROM {table} WHERE function_id = :id", id=function.id)
    changed = tx.run(
        "DELETE FROM lambda_function WHERE id = :id AND revision = :revision",
        id=function.id,
        revision=function.revision,
    )
    assert changed == 1, f"function {function.id} changed under an open transaction"


# -- versions ----------------------------------------------------------------------------------------------------------


def _version_row(version: Version) -> dict[str, Cell]:
    return {
        "function_id": version.function_id,
        "number": version.number,
        "configuration": _dumped({name: getattr(version, name) for name in _CONFIGURED}),
        "environment": version.environment,
    }


def as_version(sealing: Sealing, row: Row) -> Version:
    """`row`: the columns of a version and its MAC. Raises Unsealable if it is not the one we wrote."""
    cells: dict[str, Any] = dict(zip(VERSION, row, strict=False))
    sealing.check("lambda_version", cells, row[-1])
    configured = json.loads(cells.pop("configuration"))
    configured["layers"] = tuple(
        configured.get("layers", ())
    )  # rows that were written before there were layers have none
    return Version(**cells, **configured)


def find_version(tx: Tx, sealing: Sealing, function: Function, number: int) -> Version | None:
    row = tx.one(
        f"SELECT {_VERSION} FROM lambda_version WHERE function_id = :id AND number = :number",
        id=function.id,
        number=number,
    )
    return None if row is None else as_version(sealing, row)


def keep_version(tx: Tx, sealing: Sealing, version: Version) -> None:
    """The version is as given, whether it was there or not."""
    row = _version_row(version)
    tx.run(
        f"""
        INSERT INTO lambda_version ({_VERSION}) VALUES (:function_id, :number, :configuration, :environment, :mac)
        ON CONFLICT (function_id, number) DO UPDATE SET
            configuration = excluded.configuration, environment = excluded.environment, mac = excluded.mac
        """,
        **row,
        mac=sealing.vouch("lambda_version", row),
    )


# -- packages ----------------------------------------------------------------------------------------------------------


def _bound_to(function: Function, sha256: str) -> dict[str, str]:
    return {
        "label": "lambda code",
        "account": function.account,
        "region": function.region,
        "function": function.id,
        "sha256": sha256,
    }


def keep_code(tx: Tx, sealing: Sealing, function: Function, sha256: str, content: bytes) -> None:
    tx.run(
        "INSERT INTO lambda_code (function_id, sha256, content) VALUES (:id, :sha256, :content) ON CONFLICT DO NOTHING",
        id=function.id,
        sha256=sha256,
        content=sealing.wrap("lambda", _bound_to(function, sha256), Plaintext(content)),
    )


def code(tx: Tx, sealing: Sealing, function: Function, sha256: str) -> bytes:
    """Raises Unsealable if it is not the package that was kept."""
    row = tx.one(
        "SELECT content FROM lambda_code WHERE function_id = :id AND sha256 = :sha256", id=function.id, sha256=sha256
    )
    if row is None:
        raise Unsealable(f"the code of function {function.id} is missing")
    return sealing.unwrap("lambda", _bound_to(function, sha256), row[0]).reveal()


def code_sealed_anew(sealing: Sealing, function: Function, sha256: str, content: bytes) -> bytes:
    """The same package under the newest root key. Raises Unsealable."""
    context = _bound_to(function, sha256)
    return sealing.wrap("lambda", context, sealing.unwrap("lambda", context, content))


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# -- published versions, and names for them ----------------------------------------------------------------------------


def versions(tx: Tx, sealing: Sealing, function: Function, *, first: int = 0, limit: int = 1_000_000) -> list[Version]:
    """The versions of a function whose number is at least `first`, $LATEST (0) before all others."""
    rows = tx.all(
        f"SELECT {_VERSION} FROM lambda_version WHERE function_id = :id AND number >= :first ORDER BY number LIMIT :limit",
        id=function.id,
        first=first,
        limit=limit,
    )
    return [as_version(sealing, row) for row in rows]


def newest(tx: Tx, sealing: Sealing, function: Function) -> Version | None:
    """The version that was published last, of those that are there."""
    row = tx.one(
        f"SELECT {_VERSION} FROM lambda_version WHERE function_id = :id AND number > 0 ORDER BY number DESC LIMIT 1",
        id=function.id,
    )
    return None if row is None else as_version(sealing, row)


def remove_version(tx: Tx, function: Function, number: int) -> None:
    tx.run("DELETE FROM lambda_version WHERE function_id = :id AND number = :number", id=function.id, number=number)


def drop_unused_code(tx: Tx, sealing: Sealing, function: Function) -> None:
    """Packages that no version has any more are gone."""
    used = {version.code_sha256 for version in versions(tx, sealing, function)}
    for (sha256,) in tx.all("SELECT sha256 FROM lambda_code WHERE function_id = :id", id=function.id):
        if sha256 not in used:
            tx.run(
                "DELETE FROM lambda_code WHERE function_id = :id AND sha256 = :sha256", id=function.id, sha256=sha256
            )


def _alias_row(alias: Alias) -> dict[str, Cell]:
    return {name: getattr(alias, name) for name in ALIAS}


def _as_alias(sealing: Sealing, row: Row) -> Alias:
    cells: dict[str, Any] = dict(zip(ALIAS, row, strict=False))
    sealing.check("lambda_alias", cells, row[-1])
    return Alias(**cells)


def find_alias(tx: Tx, sealing: Sealing, function: Function, name: str) -> Alias | None:
    row = tx.one(
        f"SELECT {', '.join(ALIAS)}, mac FROM lambda_alias WHERE function_id = :id AND name = :name",
        id=function.id,
        name=name,
    )
    return None if row is None else _as_alias(sealing, row)


def aliases(tx: Tx, sealing: Sealing, function: Function, *, after: str = "", limit: int = 1_000_000) -> list[Alias]:
    """The aliases whose names stand behind `after`, by name."""
    rows = tx.all(
        f"""
        SELECT {", ".join(ALIAS)}, mac FROM lambda_alias WHERE function_id = :id AND name > :after
        ORDER BY name LIMIT :limit
        """,
        id=function.id,
        after=after,
        limit=limit,
    )
    return [_as_alias(sealing, row) for row in rows]


def keep_alias(tx: Tx, sealing: Sealing, alias: Alias) -> None:
    """The alias is as given, whether it was there or not."""
    row = _alias_row(alias)
    tx.run(
        f"""
        INSERT INTO lambda_alias ({", ".join(ALIAS)}, mac) VALUES (:function_id, :name, :number, :description, :revision_id, :mac)
        ON CONFLICT (function_id, name) DO UPDATE SET
            number = excluded.number, description = excluded.description, revision_id = excluded.revision_id, mac = excluded.mac
        """,
        **row,
        mac=sealing.vouch("lambda_alias", row),
    )


def remove_alias(tx: Tx, alias: Alias) -> None:
    tx.run("DELETE FROM lambda_alias WHERE function_id = :id AND name = :name", id=alias.function_id, name=alias.name)
