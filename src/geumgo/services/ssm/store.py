# ruff: noqa: S608 - what is put into the texts are names of columns and conditions, which are constants
"""The only SQL of Parameter Store. Rows that decide rights or meaning are vouched for when written and checked when read."""

import hashlib
import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final, NamedTuple, cast

from geumgo.context import Place
from geumgo.sealing import Sealing, Unsealable
from geumgo.services.ssm.records import Parameter, Policy, Setting, Version
from geumgo.storage import Row, Tx

Cell = str | int | bytes | None

PARAMETER: Final = (
    "id",
    "partition",
    "account",
    "region",
    "name",
    "path",
    "parent",
    "version",
    "labels",
    "tags",
    "policies",
    "expires_at_ms",
    "changed_at_ms",
    "policy_id",
    "policy_hash",
    "revision",
)
VERSION: Final = (
    "number",
    "kind",
    "tier",
    "data_type",
    "description",
    "allowed_pattern",
    "key_id",
    "policies",
    "sealed",
    "wrapped",
    "modified_at_ms",
    "modified_by",
)
SETTING: Final = ("account", "region", "id", "value", "modified_at_ms", "modified_by")
_P: Final = ", ".join(f"p.{name}" for name in PARAMETER) + ", p.mac"
_V: Final = ", ".join(f"v.{name}" for name in VERSION) + ", v.mac"
_WIDTH: Final = len(PARAMETER) + 1
_HIGHEST: Final = "\U0010ffff"
_POLICY: Final = "LEFT JOIN ssm_resource_policy r ON r.parameter_id = p.id"


class Found(NamedTuple):
    """A parameter with the resource policy attached to it (a document, or None)."""

    parameter: Parameter
    policy: str | None


class Listed(NamedTuple):
    """A parameter with its newest version."""

    parameter: Parameter
    version: Version


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def digest(content: bytes | str | None) -> str:
    """SHA-256 in hexadecimal; empty for nothing."""
    if content is None:
        return ""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def _policies_text(policies: Iterable[Policy]) -> str:
    return _dumped([[policy.text, policy.status] for policy in policies])


def _policies(text: str) -> tuple[Policy, ...]:
    return tuple(Policy(said, status) for said, status in json.loads(text)) if text != "[]" else ()


# -- parameters -------------------------------------------------------------------------------------------------------


def _as_row(parameter: Parameter) -> dict[str, Cell]:
    row: dict[str, Any] = {name: getattr(parameter, name) for name in PARAMETER}
    row["labels"], row["tags"] = _dumped(dict(parameter.labels)), _dumped(dict(parameter.tags))
    row["policies"] = _policies_text(parameter.policies)
    return row


def _as_parameter(sealing: Sealing, row: Row) -> Parameter:
    cells: dict[str, Any] = dict(zip(PARAMETER, row, strict=False))
    sealing.check("ssm_parameter", cells, row[_WIDTH - 1])
    cells["labels"], cells["tags"] = json.loads(cells["labels"]), json.loads(cells["tags"])
    cells["policies"] = _policies(cells["policies"])
    return Parameter(**cells)


def _as_found(sealing: Sealing, row: Row) -> Found:
    """`row`: the columns of a parameter, and the document of its policy."""
    parameter, document = _as_parameter(sealing, row), row[_WIDTH]
    if digest(document) != parameter.policy_hash:
        raise Unsealable("a row of ssm_resource_policy was changed from outside")
    return Found(parameter, document)


_AT: Final = "p.account = :account AND p.region = :region AND p.path = :path"


def find(tx: Tx, sealing: Sealing, account: str, region: str, path: str) -> Found | None:
    """The parameter at `path`."""
    row = tx.one(
        f"SELECT {_P}, r.document FROM ssm_parameter p {_POLICY} WHERE {_AT}", account=account, region=region, path=path
    )
    if row is None:
        _as_found(sealing, _nobodys(cast("Any", sealing)))  # what is not there takes as long as what is
        return None
    return _as_found(sealing, row)


@lru_cache(maxsize=4)
def _nobodys(sealing: Any) -> Row:
    """The row of a parameter that is not there, vouched for."""
    row = _as_row(Parameter("0" * 32, "aws", "0" * 12, "us-east-1", "nobodys", "/nobodys", "/", 1, 0))
    return (*(row[name] for name in PARAMETER), sealing.vouch("ssm_parameter", row), None)


def find_with_version(
    tx: Tx, sealing: Sealing, account: str, region: str, path: str, number: int | None
) -> tuple[Found, Version | None] | None:
    """The parameter at `path` with one of its versions, by default the newest, in one query. The path that every read takes."""
    row = tx.one(
        f"""
        SELECT {_P}, r.document, {_V} FROM ssm_parameter p {_POLICY}
        LEFT JOIN ssm_parameter_version v ON v.parameter_id = p.id AND v.number = COALESCE(:number, p.version)
        WHERE {_AT}
        """,
        account=account,
        region=region,
        path=path,
        number=number,
    )
    if row is None:
        return None
    found = _as_found(sealing, row)
    there = row[_WIDTH + 1] is not None
    if not there and number is None:
        raise Unsealable("a row of ssm_parameter_version was removed from outside")
    return found, as_version(sealing, found.parameter, row[_WIDTH + 1 :]) if there else None


def find_by_id(tx: Tx, sealing: Sealing, parameter_id: str) -> Parameter | None:
    row = tx.one(f"SELECT {_P} FROM ssm_parameter p WHERE p.id = :id", id=parameter_id)
    return None if row is None else _as_parameter(sealing, row)


def add(tx: Tx, sealing: Sealing, parameter: Parameter) -> None:
    """A new parameter. Raises storage.Taken if another transaction has taken its name."""
    row = _as_row(parameter)
    row["mac"] = sealing.vouch("ssm_parameter", row)
    tx.run(f"INSERT INTO ssm_parameter ({', '.join(row)}) VALUES ({', '.join(f':{name}' for name in row)})", **row)


def save(tx: Tx, sealing: Sealing, parameter: Parameter) -> None:
    """Write a changed parameter. Its revision must be the one that was read; the row then has the next one."""
    row = {**_as_row(parameter), "revision": parameter.revision + 1}
    row["mac"] = sealing.vouch("ssm_parameter", row)
    changes = ", ".join(f"{name} = :{name}" for name in row if name != "id")
    changed = tx.run(
        f"UPDATE ssm_parameter SET {changes} WHERE id = :id AND revision = :read", **row, read=parameter.revision
    )
    assert changed == 1, f"parameter {parameter.id} changed under an open transaction"


def keep_policy(tx: Tx, parameter: Parameter, document: str | None) -> None:
    """The policy of a parameter whose `policy_hash` the same transaction saves. None: it has none."""
    tx.run("DELETE FROM ssm_resource_policy WHERE parameter_id = :id", id=parameter.id)
    if document is not None:
        tx.run(
            "INSERT INTO ssm_resource_policy (parameter_id, document) VALUES (:id, :document)",
            id=parameter.id,
            document=document,
        )


def remove(tx: Tx, parameter: Parameter) -> None:
    """The parameter is gone with everything that belongs to it."""
    for table in ("ssm_parameter_version", "ssm_resource_policy"):
        tx.run(f"DELETE FROM {table} WHERE parameter_id = :id", id=parameter.id)
    tx.run("DELETE FROM ssm_parameter WHERE id = :id", id=parameter.id)


# -- versions ---------------------------------------------------------------------------------------------------------


def _version_row(parameter: Parameter, version: Version) -> dict[str, Cell]:
    row: dict[str, Any] = {name: getattr(version, name) for name in VERSION}
    row["policies"] = _policies_text(version.policies)
    row["sealed"], row["wrapped"] = digest(version.sealed), digest(version.wrapped)
    return {"parameter": parameter.id, **row}


def as_version(sealing: Sealing, parameter: Parameter, row: Row) -> Version:
    """`row`: the columns of a version and its MAC. Raises Unsealable if it is not the one we wrote."""
    cells: dict[str, Any] = dict(zip(VERSION, row, strict=False))
    cells["policies"] = _policies(cells["policies"])
    version = Version(**cells)
    sealing.check("ssm_parameter_version", _version_row(parameter, version), row[len(VERSION)])
    return version


def vouch_version(sealing: Sealing, parameter: Parameter, version: Version) -> bytes:
    return sealing.vouch("ssm_parameter_version", _version_row(parameter, version))


def find_version(tx: Tx, sealing: Sealing, parameter: Parameter, number: int) -> Version | None:
    row = tx.one(
        f"SELECT {_V} FROM ssm_parameter_version v WHERE v.parameter_id = :id AND v.number = :number",
        id=parameter.id,
        number=number,
    )
    return None if row is None else as_version(sealing, parameter, row)


def list_versions(tx: Tx, sealing: Sealing, parameter: Parameter, *, after: int, limit: int) -> list[Version]:
    """Versions in their order, from the one behind number `after` on."""
    rows = tx.all(
        f"""
        SELECT {_V} FROM ssm_parameter_version v
        WHERE v.parameter_id = :id AND v.number > :after ORDER BY v.number LIMIT :limit
        """,
        id=parameter.id,
        after=after,
        limit=limit,
    )
    return [as_version(sealing, parameter, row) for row in rows]


def add_version(tx: Tx, sealing: Sealing, parameter: Parameter, version: Version) -> None:
    row: dict[str, Any] = {name: getattr(version, name) for name in VERSION}
    row["policies"] = _policies_text(version.policies)
    row["parameter_id"] = parameter.id
    row["mac"] = vouch_version(sealing, parameter, version)
    names = ", ".join(row)
    tx.run(f"INSERT INTO ssm_parameter_version ({names}) VALUES ({', '.join(f':{name}' for name in row)})", **row)


def remove_versions(tx: Tx, parameter: Parameter, *, up_to: int) -> None:
    """The versions with this number and lower ones are gone."""
    tx.run(
        "DELETE FROM ssm_parameter_version WHERE parameter_id = :id AND number <= :up_to",
        id=parameter.id,
        up_to=up_to,
    )


# -- listing ----------------------------------------------------------------------------------------------------------


def list_below(
    tx: Tx,
    sealing: Sealing,
    place: Place,
    *,
    level: str,
    recursive: bool,
    after: str,
    limit: int,
) -> list[Listed]:
    """Parameters under the path `level`, in the order of their paths, behind the path `after`. Not `recursive`: of this level only."""
    if not recursive:
        return _listed(tx, sealing, place, "p.parent = :parent", {"parent": level}, after=after, limit=limit)
    beginning = level if level == "/" else f"{level}/"
    return list_prefixed(tx, sealing, place, prefix=beginning, after=after, limit=limit)


def list_prefixed(tx: Tx, sealing: Sealing, place: Place, *, prefix: str, after: str, limit: int) -> list[Listed]:
    """Parameters whose paths begin with `prefix`, in their order, behind the path `after`."""
    condition = "p.path >= :prefix AND p.path < :beyond"
    bounds = {"prefix": prefix, "beyond": prefix + _HIGHEST}
    return _listed(tx, sealing, place, condition, bounds, after=after, limit=limit)


def _listed(
    tx: Tx, sealing: Sealing, place: Place, condition: str, more: dict[str, str], *, after: str, limit: int
) -> list[Listed]:
    rows = tx.all(
        f"""
        SELECT {_P}, {_V} FROM ssm_parameter p
        JOIN ssm_parameter_version v ON v.parameter_id = p.id AND v.number = p.version
        WHERE p.account = :account AND p.region = :region AND {condition} AND p.path > :after
        ORDER BY p.path LIMIT :limit
        """,
        account=place.account,
        region=place.region,
        after=after,
        limit=limit,
        **more,
    )
    found = []
    for row in rows:
        parameter = _as_parameter(sealing, row)
        found.append(Listed(parameter, as_version(sealing, parameter, row[_WIDTH:])))
    return found


def list_shared(tx: Tx, sealing: Sealing, place: Place, *, after: str, limit: int) -> list[tuple[Listed, str]]:
    """Parameters of other accounts that have a resource policy, with its document, by their ids, behind the id `after`."""
    rows = tx.all(
        f"""
        SELECT {_P}, r.document, {_V} FROM ssm_parameter p
        JOIN ssm_parameter_version v ON v.parameter_id = p.id AND v.number = p.version {_POLICY}
        WHERE p.region = :region AND p.policy_hash <> '' AND p.account <> :account AND p.id > :after
        ORDER BY p.id LIMIT :limit
        """,
        account=place.account,
        region=place.region,
        after=after,
        limit=limit,
    )
    shared = []
    for row in rows:
        found = _as_found(sealing, row)
        assert found.policy is not None, "a hash without a document was checked"
        version = as_version(sealing, found.parameter, row[_WIDTH + 1 :])
        shared.append((Listed(found.parameter, version), found.policy))
    return shared


# -- settings ---------------------------------------------------------------------------------------------------------


def find_setting(tx: Tx, sealing: Sealing, place: Place, setting_id: str) -> Setting | None:
    row = tx.one(
        """
        SELECT value, modified_at_ms, modified_by, mac FROM ssm_setting
        WHERE account = :account AND region = :region AND id = :id
        """,
        account=place.account,
        region=place.region,
        id=setting_id,
    )
    if row is None:
        return None
    setting = Setting(setting_id, *row[:3])
    sealing.check("ssm_setting", _setting_row(place, setting), row[3])
    return setting


def _setting_row(place: Place, setting: Setting) -> dict[str, Cell]:
    return {
        "account": place.account,
        "region": place.region,
        "id": setting.id,
        "value": setting.value,
        "modified_at_ms": setting.modified_at_ms,
        "modified_by": setting.modified_by,
    }


def keep_setting(tx: Tx, sealing: Sealing, place: Place, setting: Setting) -> None:
    row = _setting_row(place, setting)
    tx.run(
        """
        INSERT INTO ssm_setting (account, region, id, value, modified_at_ms, modified_by, mac)
        VALUES (:account, :region, :id, :value, :modified_at_ms, :modified_by, :mac)
        ON CONFLICT (account, region, id) DO UPDATE SET value = excluded.value,
            modified_at_ms = excluded.modified_at_ms, modified_by = excluded.modified_by, mac = excluded.mac
        """,
        **row,
        mac=sealing.vouch("ssm_setting", row),
    )


def remove_setting(tx: Tx, place: Place, setting_id: str) -> None:
    tx.run(
        "DELETE FROM ssm_setting WHERE account = :account AND region = :region AND id = :id",
        account=place.account,
        region=place.region,
        id=setting_id,
    )
