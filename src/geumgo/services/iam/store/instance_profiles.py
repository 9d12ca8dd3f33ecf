"""Instance profiles."""

import json
from typing import Any

from geumgo.sealing import Sealing
from geumgo.services.iam.domain import name_key
from geumgo.services.iam.records import InstanceProfile
from geumgo.services.iam.store.principals import dump_tags
from geumgo.storage import Row, Tx

_NAMES = ("id", "account_id", "name", "name_key", "path", "tags", "role_id", "created_at_ms")
_SELECT = "SELECT id, account_id, name, name_key, path, tags, role_id, created_at_ms, mac FROM iam_instance_profile"


def insert(tx: Tx, sealing: Sealing, profile: InstanceProfile) -> None:
    """Write a new profile. Its name must be free."""
    columns = _columns(profile)
    tx.run(
        "INSERT INTO iam_instance_profile (id, account_id, name, name_key, path, tags, role_id, created_at_ms, mac) "
        "VALUES (:id, :account_id, :name, :name_key, :path, :tags, :role_id, :created_at_ms, :mac)",
        **columns,
        mac=sealing.vouch("iam_instance_profile", columns),
    )


def save(tx: Tx, sealing: Sealing, profile: InstanceProfile) -> None:
    """Write the tags and the role of `profile`: all that changes in one."""
    columns = _columns(profile)
    changed = tx.run(
        "UPDATE iam_instance_profile SET tags = :tags, role_id = :role_id, mac = :mac WHERE id = :id",
        id=profile.id,
        tags=columns["tags"],
        role_id=profile.role_id,
        mac=sealing.vouch("iam_instance_profile", columns),
    )
    assert changed == 1, f"instance profile {profile.id} went away under an open transaction"


def delete(tx: Tx, profile: InstanceProfile) -> None:
    tx.run("DELETE FROM iam_instance_profile WHERE id = :id", id=profile.id)


def by_name(tx: Tx, sealing: Sealing, account: str, name: str) -> InstanceProfile | None:
    row = tx.one(f"{_SELECT} WHERE account_id = :account AND name_key = :key", account=account, key=name_key(name))
    return _checked(sealing, row) if row is not None else None


def of_account(tx: Tx, sealing: Sealing, account: str) -> list[InstanceProfile]:
    rows = tx.all(f"{_SELECT} WHERE account_id = :account ORDER BY name_key", account=account)
    return [_checked(sealing, row) for row in rows]


def of_role(tx: Tx, sealing: Sealing, role_id: str) -> list[InstanceProfile]:
    rows = tx.all(f"{_SELECT} WHERE role_id = :role_id ORDER BY name_key", role_id=role_id)
    return [_checked(sealing, row) for row in rows]


def _columns(profile: InstanceProfile) -> dict[str, str | int | None]:
    return {
        "id": profile.id,
        "account_id": profile.account,
        "name": profile.name,
        "name_key": name_key(profile.name),
        "path": profile.path,
        "tags": dump_tags(profile.tags),
        "role_id": profile.role_id,
        "created_at_ms": profile.created_at_ms,
    }


def _checked(sealing: Sealing, row: Row) -> InstanceProfile:
    columns: dict[str, Any] = dict(zip(_NAMES, row[:-1], strict=True))
    sealing.check("iam_instance_profile", columns, bytes(row[-1]))
    return InstanceProfile(
        id=columns["id"],
        account=columns["account_id"],
        name=columns["name"],
        path=columns["path"],
        tags=json.loads(columns["tags"]),
        role_id=columns["role_id"],
        created_at_ms=columns["created_at_ms"],
    )
