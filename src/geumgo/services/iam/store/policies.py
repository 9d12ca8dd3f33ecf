"""Managed policies and their versions. AWS's own come from the program and are found through the same functions."""

import json
from dataclasses import replace
from typing import Any

from geumgo.sealing import Sealing, Unsealable
from geumgo.services.iam import builtin
from geumgo.services.iam.domain import AWS_ACCOUNT, digest, name_key, parse_iam_arn
from geumgo.services.iam.records import ManagedPolicy, PolicyVersion
from geumgo.services.iam.store.memory import remembered
from geumgo.services.iam.store.principals import dump_tags
from geumgo.storage import Row, Tx

_COLUMNS = (
    "id, account_id, name, name_key, path, description, tags, default_version, next_version, digest, created_at_ms, "
    "updated_at_ms, revision"
)
_NAMES = tuple(_COLUMNS.split(", "))
_SELECT = f"SELECT {_COLUMNS}, mac FROM iam_policy"  # noqa: S608 - column names of our own
_VERSION = ("policy_id", "number", "document", "created_at_ms")


def by_arn(tx: Tx, sealing: Sealing, account: str, arn: str) -> ManagedPolicy | None:
    """The policy with exactly this ARN, if it is AWS's own or of `account`."""
    named = parse_iam_arn(arn, "policy")
    if named is None or named.account not in {account, AWS_ACCOUNT}:
        return None
    if named.account == AWS_ACCOUNT:
        found = builtin.by_name(named.name)
        return found if found is not None and (found.path, found.name) == (named.path, named.name) else None
    policy = by_name(tx, sealing, account, named.name)
    return policy if policy is not None and (policy.path, policy.name) == (named.path, named.name) else None


def by_name(tx: Tx, sealing: Sealing, account: str, name: str) -> ManagedPolicy | None:
    """The customer managed policy of `account` called `name`, in any case."""
    row = tx.one(f"{_SELECT} WHERE account_id = :account AND name_key = :key", account=account, key=name_key(name))
    return _checked(sealing, row) if row is not None else None


def by_id(tx: Tx, sealing: Sealing, policy_id: str) -> ManagedPolicy | None:
    own = builtin.by_id(policy_id)
    if own is not None:
        return own
    row = tx.one(f"{_SELECT} WHERE id = :id", id=policy_id)
    return _checked(sealing, row) if row is not None else None


def of_account(tx: Tx, sealing: Sealing, account: str) -> list[ManagedPolicy]:
    """The customer managed policies of `account`, by name."""
    rows = tx.all(f"{_SELECT} WHERE account_id = :account ORDER BY name_key", account=account)
    return [_checked(sealing, row) for row in rows]


def count(tx: Tx, account: str) -> int:
    row = tx.one("SELECT COUNT(*) FROM iam_policy WHERE account_id = :account", account=account)
    assert row is not None
    return int(row[0])


def count_versions(tx: Tx, account: str) -> int:
    row = tx.one(
        "SELECT COUNT(*) FROM iam_policy_version v JOIN iam_policy p ON p.id = v.policy_id WHERE p.account_id = :account",
        account=account,
    )
    assert row is not None
    return int(row[0])


def attachments(tx: Tx, account: str, policy_id: str) -> int:
    """How many principals of `account` have the policy attached."""
    row = tx.one(
        "SELECT COUNT(*) FROM iam_attachment a JOIN iam_principal p ON p.id = a.owner_id "
        "WHERE a.policy_id = :id AND p.account_id = :account",
        id=policy_id,
        account=account,
    )
    assert row is not None
    return int(row[0])


def boundaries(tx: Tx, account: str, policy_id: str) -> int:
    """How many principals of `account` have the policy as their boundary."""
    row = tx.one(
        "SELECT COUNT(*) FROM iam_principal WHERE boundary_id = :id AND account_id = :account",
        id=policy_id,
        account=account,
    )
    assert row is not None
    return int(row[0])


def insert(tx: Tx, sealing: Sealing, policy: ManagedPolicy, document: str) -> None:
    """Write a new policy with its first version. Its name must be free."""
    columns = _columns(policy)
    tx.run(
        f"INSERT INTO iam_policy ({_COLUMNS}, mac) VALUES (:id, :account_id, :name, :name_key, :path, :description, "  # noqa: S608
        ":tags, :default_version, :next_version, :digest, :created_at_ms, :updated_at_ms, :revision, :mac)",
        **columns,
        mac=sealing.vouch("iam_policy", columns),
    )
    add_version(tx, sealing, PolicyVersion(policy.id, policy.default_version, document, policy.created_at_ms))


def save(tx: Tx, sealing: Sealing, policy: ManagedPolicy) -> ManagedPolicy:
    """Write a changed policy, and answer it with its new revision. Its revision must still be the one that was read."""
    saved = replace(policy, revision=policy.revision + 1)
    columns = _columns(saved)
    changed = tx.run(
        "UPDATE iam_policy SET tags = :tags, default_version = :default_version, next_version = :next_version, "
        "digest = :digest, updated_at_ms = :updated_at_ms, revision = :revision, mac = :mac "
        "WHERE id = :id AND revision = :read",
        id=saved.id,
        tags=columns["tags"],
        default_version=saved.default_version,
        next_version=saved.next_version,
        digest=saved.digest,
        updated_at_ms=saved.updated_at_ms,
        revision=saved.revision,
        mac=sealing.vouch("iam_policy", columns),
        read=policy.revision,
    )
    assert changed == 1, f"policy {policy.id} changed under an open transaction"
    return saved


def delete(tx: Tx, policy: ManagedPolicy) -> None:
    """The policy and all of its versions are gone."""
    changed = tx.run(
        "DELETE FROM iam_policy WHERE id = :id AND revision = :revision", id=policy.id, revision=policy.revision
    )
    assert changed == 1, f"policy {policy.id} changed under an open transaction"
    tx.run("DELETE FROM iam_policy_version WHERE policy_id = :id", id=policy.id)


def add_version(tx: Tx, sealing: Sealing, version: PolicyVersion) -> None:
    columns = {name: getattr(version, name) for name in _VERSION}
    tx.run(
        "INSERT INTO iam_policy_version (policy_id, number, document, created_at_ms, mac) "
        "VALUES (:policy_id, :number, :document, :created_at_ms, :mac)",
        **columns,
        mac=sealing.vouch("iam_policy_version", columns),
    )


def delete_version(tx: Tx, version: PolicyVersion) -> None:
    tx.run(
        "DELETE FROM iam_policy_version WHERE policy_id = :policy_id AND number = :number",
        policy_id=version.policy_id,
        number=version.number,
    )


def versions(tx: Tx, sealing: Sealing, policy: ManagedPolicy) -> list[PolicyVersion]:
    """Every version of the policy, newest first."""
    own = builtin.version(policy.id)
    if own is not None:
        return [own]
    rows = tx.all(
        "SELECT policy_id, number, document, created_at_ms, mac FROM iam_policy_version "
        "WHERE policy_id = :id ORDER BY number DESC",
        id=policy.id,
    )
    return [_checked_version(sealing, row) for row in rows]


def document(tx: Tx, policy: ManagedPolicy) -> str:
    """The default version's document. Raises Unsealable if it is not the one that the policy's row vouches for."""
    own = builtin.version(policy.id)
    if own is not None:
        return own.document
    row = tx.one(
        "SELECT document FROM iam_policy_version WHERE policy_id = :id AND number = :number",
        id=policy.id,
        number=policy.default_version,
    )
    if row is None or digest(str(row[0])) != policy.digest:
        raise Unsealable
    return str(row[0])


def _columns(policy: ManagedPolicy) -> dict[str, str | int | None]:
    return {
        "id": policy.id,
        "account_id": policy.account,
        "name": policy.name,
        "name_key": name_key(policy.name),
        "path": policy.path,
        "description": policy.description,
        "tags": dump_tags(policy.tags),
        "default_version": policy.default_version,
        "next_version": policy.next_version,
        "digest": policy.digest,
        "created_at_ms": policy.created_at_ms,
        "updated_at_ms": policy.updated_at_ms,
        "revision": policy.revision,
    }


@remembered
def _checked(sealing: Sealing, row: Row) -> ManagedPolicy:
    columns: dict[str, Any] = dict(zip(_NAMES, row[:-1], strict=True))
    sealing.check("iam_policy", columns, bytes(row[-1]))
    return ManagedPolicy(
        id=columns["id"],
        account=columns["account_id"],
        name=columns["name"],
        path=columns["path"],
        description=columns["description"],
        tags=json.loads(columns["tags"]),
        default_version=columns["default_version"],
        next_version=columns["next_version"],
        digest=columns["digest"],
        created_at_ms=columns["created_at_ms"],
        updated_at_ms=columns["updated_at_ms"],
        revision=columns["revision"],
    )


def _checked_version(sealing: Sealing, row: Row) -> PolicyVersion:
    columns: dict[str, Any] = dict(zip(_VERSION, row[:-1], strict=True))
    sealing.check("iam_policy_version", columns, bytes(row[-1]))
    return PolicyVersion(**columns)
