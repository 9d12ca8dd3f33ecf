# ruff: noqa: S608 - what is put into the texts are names of columns and conditions, which are constants
"""The only SQL of Secrets Manager. Rows that decide rights or meaning are vouched for when written and checked when read."""

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple, cast

from geumgo.sealing import Sealing, Unsealable
from geumgo.services.secretsmanager.records import CURRENT, Address, Secret, Version, Wrapping
from geumgo.storage import Row, Tx
from geumgo.storage.text import kept_under, unkept

Cell = str | int | bytes | None

MOST_WRAPPINGS: Final = 10
"""Keys under which one version can be opened. The oldest wrapping goes when there are more."""

ROWS_KEPT: Final = 2_048
"""Rows of secrets that one process remembers to have been vouched for, with what they say."""
KEPT_ROW_LENGTH: Final = 2_048  # characters of labels, description and tags together; longer rows are not remembered

COLUMNS: Final = (
    "id",
    "partition",
    "account",
    "region",
    "name",
    "suffix",
    "description",
    "kms_key_id",
    "created_token",
    "created_at_ms",
    "changed_at_ms",
    "deleted_at_ms",
    "purge_at_ms",
    "owning_service",
    "secret_type",
    "stages",
    "tags",
    "policy_hash",
    "revision",
)
SECRET: Final = ", ".join(f"s.{name}" for name in COLUMNS) + ", s.mac"
WIDTH: Final = len(COLUMNS) + 1
_STAGES, _DESCRIPTION, _TAGS = (COLUMNS.index(name) for name in ("stages", "description", "tags"))
_VERSION: Final = (
    "v.version_id, v.kind, v.ciphertext, v.created_at_ms, v.mac, k.key_arn, k.is_default, k.wrapped, r.day_ms"
)
_WITH_KEY: Final = """
    LEFT JOIN secret_version_key k ON k.secret_id = v.secret_id AND k.version_id = v.version_id AND k.place = 0
    LEFT JOIN secret_read r ON r.secret_id = v.secret_id AND r.version_id = v.version_id
"""
_AT: Final = """
    s.account = :account AND s.region = :region AND s.name = :name AND (s.suffix = :suffix OR :any_suffix = 1)
"""


class Found(NamedTuple):
    """A secret with the resource policy attached to it (a document, or None)."""

    secret: Secret
    policy: str | None


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _digest(content: bytes | None) -> str:
    return "" if content is None else hashlib.sha256(content).hexdigest()


def policy_hash(document: str | None) -> str:
    return _digest(None if document is None else document.encode())


# -- secrets ----------------------------------------------------------------------------------------------------------


def _as_row(secret: Secret) -> dict[str, Cell]:
    row: dict[str, Any] = {name: getattr(secret, name) for name in COLUMNS}
    row["stages"] = _dumped(dict(secret.stages))
    row["tags"] = None if secret.tags is None else _dumped(dict(secret.tags))
    return row


def as_secret(sealing: Sealing, row: Row) -> Secret:
    """The secret that `row` tells of; it begins with the columns SECRET. Raises Unsealable unless it is vouched for."""
    row = row[:WIDTH]
    free = len(row[_STAGES]) + len(row[_DESCRIPTION]) + len(row[_TAGS] or "")
    return (_remembered if free <= KEPT_ROW_LENGTH else _vouched)(sealing, row)


def _vouched(sealing: Sealing, row: Row) -> Secret:
    cells: dict[str, Any] = dict(zip(COLUMNS, row, strict=False))
    sealing.check("secret", cells, row[WIDTH - 1])
    cells["stages"] = json.loads(cells["stages"])
    if cells["tags"] is not None:
        cells["tags"] = json.loads(cells["tags"])
    return Secret(**cells)


# It follows from the root keys, the row and its MAC alone: what was vouched for once still is, as long as it is the same to the last bit.
_remembered = cast("Callable[[Sealing, Row], Secret]", lru_cache(maxsize=ROWS_KEPT)(_vouched))


def _as_found(sealing: Sealing, row: Row) -> Found:
    """`row`: the columns of a secret, and the document of its policy."""
    secret, document = as_secret(sealing, row), row[WIDTH]
    if policy_hash(document) != secret.policy_hash:
        raise Unsealable("a row of secret_policy was changed from outside")
    return Found(secret, document)


def _place(at: Address) -> dict[str, Any]:
    return {
        "account": at.account,
        "region": at.region,
        "name": at.name,
        "suffix": at.suffix or "",
        "any_suffix": at.suffix is None,
    }


def find(tx: Tx, sealing: Sealing, at: Address) -> Found | None:
    """The secret at `at`."""
    row = tx.one(
        f"SELECT {SECRET}, p.document FROM secret s LEFT JOIN secret_policy p ON p.secret_id = s.id WHERE {_AT}",
        **_place(at),
    )
    return None if row is None else _as_found(sealing, row)


def find_with_value(
    tx: Tx, sealing: Sealing, at: Address, version_id: str | None
) -> tuple[Found, Version | None] | None:
    """The secret at `at` with one of its versions, by default the current one, in one query. The path that every read takes."""
    row = tx.one(
        f"""
        SELECT {SECRET}, p.document, {_VERSION} FROM secret s
        LEFT JOIN secret_policy p ON p.secret_id = s.id
        LEFT JOIN secret_version v ON v.secret_id = s.id AND v.version_id = COALESCE(:version_id, s.current_version)
        {_WITH_KEY} WHERE {_AT}
        """,
        **_place(at),
        version_id=version_id,
    )
    if row is None:
        return None
    found = _as_found(sealing, row)
    version = None if row[WIDTH + 1] is None else _as_version(sealing, found.secret.arn, row[WIDTH + 1 :])
    asked = version_id or found.secret.stages.get(CURRENT)
    if version is not None and version.id != asked:
        raise Unsealable("a row of secret was changed from outside")
    if version is None and version_id is None and asked is not None:
        raise Unsealable("a row of secret_version was removed from outside")
    return found, version


def count_secrets(tx: Tx, account: str, region: str) -> int:
    """How many there are, those that wait for their deletion included."""
    row = tx.one(
        "SELECT COUNT(*) FROM secret WHERE account = :account AND region = :region", account=account, region=region
    )
    assert row is not None
    count: int = row[0]
    return count


def find_by_id(tx: Tx, sealing: Sealing, secret_id: str) -> Secret | None:
    row = tx.one(f"SELECT {SECRET} FROM secret s WHERE s.id = :id", id=secret_id)
    return None if row is None else as_secret(sealing, row)


def add(tx: Tx, sealing: Sealing, secret: Secret) -> None:
    """A new secret. Raises storage.Taken if another transaction has taken its name."""
    row = _as_row(secret)
    row["mac"] = sealing.vouch("secret", row)
    row["current_version"] = secret.stages.get(CURRENT)
    names = ", ".join(row)
    tx.run(kept_under("id", f"INSERT INTO secret ({names}) VALUES ({', '.join(f':{name}' for name in row)})"), **row)


def save(tx: Tx, sealing: Sealing, secret: Secret) -> None:
    """Write a changed secret. `secret.revision` must be the one that was read; the row then has the next one."""
    row = {**_as_row(secret), "revision": secret.revision + 1}
    row["mac"] = sealing.vouch("secret", row)
    row["current_version"] = secret.stages.get(CURRENT)
    changes = ", ".join(f"{name} = :{name}" for name in row if name != "id")
    changed = tx.run(
        kept_under("id", f"UPDATE secret SET {changes} WHERE id = :id AND revision = :read"),
        **row,
        read=secret.revision,
    )
    assert changed == 1, f"secret {secret.id} changed under an open transaction"


def keep_policy(tx: Tx, secret: Secret, document: str | None) -> None:
    """The policy of a secret whose `policy_hash` the same transaction saves. None: it has none."""
    tx.run(kept_under("id", "DELETE FROM secret_policy WHERE secret_id = :id"), id=secret.id)
    if document is not None:
        tx.run(
            kept_under("id", "INSERT INTO secret_policy (secret_id, document) VALUES (:id, :document)"),
            id=secret.id,
            document=document,
        )


def remove(tx: Tx, secret: Secret) -> None:
    """The secret is gone with everything that belongs to it; its data keys first."""
    for table in ("secret_version_key", "secret_version", "secret_policy", "secret_read"):
        tx.run(kept_under("id", f"DELETE FROM {table} WHERE secret_id = :id"), id=secret.id)
    tx.run(kept_under("id", "DELETE FROM secret WHERE id = :id"), id=secret.id)


# -- versions ---------------------------------------------------------------------------------------------------------


def vouched_version(
    arn: str, version_id: str, kind: str, ciphertext: bytes | None, created_at_ms: int
) -> dict[str, Cell]:
    """What the MAC of a version is over."""
    return {
        "secret": arn,
        "version_id": version_id,
        "kind": kind,
        "ciphertext": _digest(ciphertext),
        "created_at_ms": created_at_ms,
    }


def _version_row(arn: str, version: Version) -> dict[str, Cell]:
    return vouched_version(arn, version.id, version.kind, version.ciphertext, version.created_at_ms)


def _as_version(sealing: Sealing, arn: str, row: Row) -> Version:
    version_id, kind, ciphertext, created_at_ms, mac, key_arn, is_default, wrapped, day_ms = row
    wrapping = None if key_arn is None else Wrapping(key_arn, bool(is_default), wrapped)
    version = Version(version_id, kind, ciphertext, created_at_ms, wrapping, day_ms)
    sealing.check("secret_version", _version_row(arn, version), mac)
    return version


def find_version(tx: Tx, sealing: Sealing, secret: Secret, version_id: str) -> Version | None:
    row = tx.one(
        f"SELECT {_VERSION} FROM secret_version v {_WITH_KEY} WHERE v.secret_id = :id AND v.version_id = :version_id",
        id=secret.id,
        version_id=version_id,
    )
    return None if row is None else _as_version(sealing, secret.arn, row)


def list_versions(
    tx: Tx, sealing: Sealing, secret: Secret, *, after: tuple[int, str] = (-1, ""), limit: int
) -> list[Version]:
    """Versions in the order of their creation, from the one behind `after` (created at, id) on."""
    rows = tx.all(
        f"""
        SELECT {_VERSION} FROM secret_version v {_WITH_KEY}
        WHERE v.secret_id = :id AND (v.created_at_ms, v.version_id) > (:created_at_ms, :version_id)
        ORDER BY v.created_at_ms, v.version_id LIMIT :limit
        """,
        id=secret.id,
        created_at_ms=after[0],
        version_id=after[1],
        limit=limit,
    )
    return [_as_version(sealing, secret.arn, row) for row in rows]


def version_ages(tx: Tx, secret: Secret) -> list[tuple[str, int]]:
    """Every version with the time of its creation, oldest first."""
    rows = tx.all(
        "SELECT version_id, created_at_ms FROM secret_version WHERE secret_id = :id ORDER BY created_at_ms, version_id",
        id=secret.id,
    )
    return [(version_id, created_at_ms) for version_id, created_at_ms in rows]


def count_versions(tx: Tx, secret: Secret) -> int:
    row = tx.one("SELECT COUNT(*) FROM secret_version WHERE secret_id = :id", id=secret.id)
    assert row is not None
    count: int = row[0]
    return count


def keep_version(tx: Tx, sealing: Sealing, secret: Secret, version: Version) -> None:
    """A new version, or the value of one that waited for it."""
    tx.run(
        kept_under(
            "id",
            """
        INSERT INTO secret_version (secret_id, version_id, kind, ciphertext, created_at_ms, mac)
        VALUES (:id, :version_id, :kind, :ciphertext, :created_at_ms, :mac)
        ON CONFLICT (secret_id, version_id) DO UPDATE SET
            kind = excluded.kind, ciphertext = excluded.ciphertext, mac = excluded.mac
        WHERE secret_version.kind = 'none'
        """,
        ),
        id=secret.id,
        version_id=version.id,
        kind=version.kind,
        ciphertext=version.ciphertext,
        created_at_ms=version.created_at_ms,
        mac=sealing.vouch("secret_version", _version_row(secret.arn, version)),
    )
    if version.wrapping is not None:
        _keep_wrappings(tx, secret, version.id, [version.wrapping])


def remove_versions(tx: Tx, secret: Secret, version_ids: Sequence[str]) -> None:
    for version_id in version_ids:
        for table in ("secret_version_key", "secret_version", "secret_read"):
            tx.run(
                kept_under("id", f"DELETE FROM {table} WHERE secret_id = :id AND version_id = :version_id"),
                id=secret.id,
                version_id=version_id,
            )


# -- data keys --------------------------------------------------------------------------------------------------------


def wrappings(tx: Tx, secret: Secret, version_id: str) -> list[Wrapping]:
    """The data key of a version under every key that opens it, newest first."""
    rows = tx.all(
        """
        SELECT key_arn, is_default, wrapped FROM secret_version_key
        WHERE secret_id = :id AND version_id = :version_id ORDER BY place
        """,
        id=secret.id,
        version_id=version_id,
    )
    return [Wrapping(key_arn, bool(is_default), wrapped) for key_arn, is_default, wrapped in rows]


def wrapping_keys(tx: Tx, secret: Secret) -> dict[str, list[Wrapping]]:
    """The wrappings of every version of a secret, newest first."""
    rows = tx.all(
        """
        SELECT version_id, key_arn, is_default, wrapped FROM secret_version_key
        WHERE secret_id = :id ORDER BY version_id, place
        """,
        id=secret.id,
    )
    found: dict[str, list[Wrapping]] = {}
    for version_id, key_arn, is_default, wrapped in rows:
        found.setdefault(version_id, []).append(Wrapping(key_arn, bool(is_default), wrapped))
    return found


def add_wrapping(tx: Tx, secret: Secret, version_id: str, newest: Wrapping) -> None:
    """The data key is also wrapped under another key from now on; an older wrapping under the same key is replaced."""
    older = [wrapping for wrapping in wrappings(tx, secret, version_id) if wrapping.key_arn != newest.key_arn]
    _keep_wrappings(tx, secret, version_id, [newest, *older][:MOST_WRAPPINGS])


def _keep_wrappings(tx: Tx, secret: Secret, version_id: str, listed: Sequence[Wrapping]) -> None:
    tx.run(
        kept_under("id", "DELETE FROM secret_version_key WHERE secret_id = :id AND version_id = :version_id"),
        id=secret.id,
        version_id=version_id,
    )
    for place, wrapping in enumerate(listed):
        tx.run(
            kept_under(
                "id",
                """
            INSERT INTO secret_version_key (secret_id, version_id, place, key_arn, is_default, wrapped)
            VALUES (:id, :version_id, :place, :key_arn, :is_default, :wrapped)
            """,
            ),
            id=secret.id,
            version_id=version_id,
            place=place,
            key_arn=wrapping.key_arn,
            is_default=wrapping.is_default,
            wrapped=wrapping.wrapped,
        )


# -- days of use ------------------------------------------------------------------------------------------------------


def mark_read(tx: Tx, secret_id: str, version_id: str, day_ms: int) -> None:
    """The version, and with it the secret, was read on this day. Nothing happens if the version is gone by now."""
    for marked in (version_id, ""):
        tx.run(
            unkept("""
            INSERT INTO secret_read (secret_id, version_id, day_ms)
            SELECT v.secret_id, :marked, :day_ms FROM secret_version v
            WHERE v.secret_id = :id AND v.version_id = :version_id
            ON CONFLICT (secret_id, version_id) DO UPDATE SET day_ms = excluded.day_ms
            WHERE secret_read.day_ms < excluded.day_ms
            """),
            id=secret_id,
            version_id=version_id,
            marked=marked,
            day_ms=day_ms,
        )


def read_day(tx: Tx, secret: Secret) -> int | None:
    """The day (its midnight, UTC) when a value of the secret was read last."""
    row = tx.one("SELECT day_ms FROM secret_read WHERE secret_id = :id AND version_id = ''", id=secret.id)
    return None if row is None else row[0]
