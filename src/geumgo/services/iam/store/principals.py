"""Users, groups and roles."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from geumgo.sealing import Sealing
from geumgo.services.iam.domain import name_key
from geumgo.services.iam.records import Kind, Principal
from geumgo.services.iam.store.memory import remembered
from geumgo.storage import Row, Tx

_COLUMNS = (
    "id, account_id, kind, name, name_key, path, created_at_ms, tags, boundary_id, trust, description, max_session_s, "
    "serves, holdings, not_before_ms, revision"
)
_NAMES = tuple(_COLUMNS.split(", "))
_SELECT = f"SELECT {_COLUMNS}, mac FROM iam_principal"  # noqa: S608 - column names of our own
_SELECT_JOINED = f"SELECT {', '.join('p.' + name for name in _NAMES)}, p.mac FROM iam_principal p"  # noqa: S608


def insert(tx: Tx, sealing: Sealing, principal: Principal) -> None:
    """Write a new principal. Its name must be free."""
    columns = _columns(principal)
    tx.run(
        f"INSERT INTO iam_principal ({_COLUMNS}, mac) VALUES (:id, :account_id, :kind, :name, :name_key, :path, "  # noqa: S608
        ":created_at_ms, :tags, :boundary_id, :trust, :description, :max_session_s, :serves, :holdings, :not_before_ms, "
        ":revision, :mac)",
        **columns,
        mac=sealing.vouch("iam_principal", columns),
    )


def save(tx: Tx, sealing: Sealing, principal: Principal) -> Principal:
    """Write a changed principal, and answer it with its new revision. Its revision must still be the one that was read."""
    saved = replace(principal, revision=principal.revision + 1)
    columns = _columns(saved)
    changed = tx.run(
        "UPDATE iam_principal SET name = :name, name_key = :name_key, path = :path, tags = :tags, "
        "boundary_id = :boundary_id, trust = :trust, description = :description, max_session_s = :max_session_s, "
        "serves = :serves, holdings = :holdings, not_before_ms = :not_before_ms, revision = :revision, mac = :mac "
        "WHERE id = :id AND revision = :read",
        **{key: columns[key] for key in columns if key not in {"account_id", "kind", "created_at_ms"}},
        mac=sealing.vouch("iam_principal", columns),
        read=principal.revision,
    )
    assert changed == 1, f"principal {principal.id} changed under an open transaction"
    return saved


def delete(tx: Tx, principal: Principal) -> None:
    """The principal and its date of use are gone. What it held must have been taken from it before."""
    changed = tx.run(
        "DELETE FROM iam_principal WHERE id = :id AND revision = :revision",
        id=principal.id,
        revision=principal.revision,
    )
    assert changed == 1, f"principal {principal.id} changed under an open transaction"
    tx.run("DELETE FROM iam_last_used WHERE id = :id", id=principal.id)


def by_id(tx: Tx, sealing: Sealing, principal_id: str) -> Principal | None:
    row = tx.one(f"{_SELECT} WHERE id = :id", id=principal_id)
    return _checked(sealing, row) if row is not None else None


def by_name(tx: Tx, sealing: Sealing, account: str, kind: Kind, name: str) -> Principal | None:
    """The principal called `name`, in any case."""
    row = tx.one(
        f"{_SELECT} WHERE account_id = :account AND kind = :kind AND name_key = :name_key",
        account=account,
        kind=kind,
        name_key=name_key(name),
    )
    return _checked(sealing, row) if row is not None else None


def under(
    tx: Tx, sealing: Sealing, account: str, kind: Kind, *, prefix: str = "/", after: str = "", limit: int = 10_000
) -> list[Principal]:
    """At most `limit` principals whose path begins with `prefix`, in the order of their name keys, from beyond `after`."""
    rows = tx.all(
        f"{_SELECT} WHERE account_id = :account AND kind = :kind AND name_key > :after "
        "AND substr(path, 1, length(:prefix)) = :prefix ORDER BY name_key LIMIT :limit",
        account=account,
        kind=kind,
        after=after,
        prefix=prefix,
        limit=limit,
    )
    return [_checked(sealing, row) for row in rows]


def members(tx: Tx, sealing: Sealing, group_id: str) -> list[Principal]:
    """The users whom the index of memberships names. Only a user's own holdings decide; `holdings.read` checks them."""
    rows = tx.all(
        f"{_SELECT_JOINED} JOIN iam_membership m ON m.user_id = p.id WHERE m.group_id = :group_id ORDER BY p.name_key",
        group_id=group_id,
    )
    return [_checked(sealing, row) for row in rows]


def groups_of(tx: Tx, sealing: Sealing, user_id: str) -> list[Principal]:
    """The groups whom the index of memberships names for a user, by name."""
    rows = tx.all(
        f"{_SELECT_JOINED} JOIN iam_membership m ON m.group_id = p.id WHERE m.user_id = :user_id ORDER BY p.name_key",
        user_id=user_id,
    )
    return [_checked(sealing, row) for row in rows]


def attached_to(tx: Tx, sealing: Sealing, policy_id: str) -> list[Principal]:
    """The principals that have a managed policy attached, in every account."""
    rows = tx.all(
        f"{_SELECT_JOINED} JOIN iam_attachment a ON a.owner_id = p.id WHERE a.policy_id = :policy_id ORDER BY p.name_key",
        policy_id=policy_id,
    )
    return [_checked(sealing, row) for row in rows]


def bounded_by(tx: Tx, sealing: Sealing, policy_id: str) -> list[Principal]:
    """The principals that have a managed policy as their permissions boundary, in every account."""
    rows = tx.all(f"{_SELECT} WHERE boundary_id = :policy_id ORDER BY name_key", policy_id=policy_id)
    return [_checked(sealing, row) for row in rows]


def count(tx: Tx, account: str, kind: Kind) -> int:
    row = tx.one(
        "SELECT COUNT(*) FROM iam_principal WHERE account_id = :account AND kind = :kind", account=account, kind=kind
    )
    assert row is not None
    return int(row[0])


def _columns(principal: Principal) -> dict[str, str | int | None]:
    return {
        "id": principal.id,
        "account_id": principal.account,
        "kind": principal.kind,
        "name": principal.name,
        "name_key": name_key(principal.name),
        "path": principal.path,
        "created_at_ms": principal.created_at_ms,
        "tags": dump_tags(principal.tags),
        "boundary_id": principal.boundary_id,
        "trust": principal.trust,
        "description": principal.description,
        "max_session_s": principal.max_session_s,
        "serves": principal.serves,
        "holdings": principal.holdings,
        "not_before_ms": principal.not_before_ms,
        "revision": principal.revision,
    }


@remembered
def _checked(sealing: Sealing, row: Row) -> Principal:
    columns: dict[str, Any] = dict(zip(_NAMES, row[:-1], strict=True))
    sealing.check("iam_principal", columns, bytes(row[-1]))
    return Principal(
        id=columns["id"],
        account=columns["account_id"],
        kind=columns["kind"],
        name=columns["name"],
        path=columns["path"],
        created_at_ms=columns["created_at_ms"],
        tags=json.loads(columns["tags"]),
        boundary_id=columns["boundary_id"],
        trust=columns["trust"],
        description=columns["description"],
        max_session_s=columns["max_session_s"],
        serves=columns["serves"],
        holdings=columns["holdings"],
        not_before_ms=columns["not_before_ms"],
        revision=columns["revision"],
    )


def dump_tags(tags: Mapping[str, str]) -> str:
    return json.dumps(dict(tags), ensure_ascii=False, separators=(",", ":"))
