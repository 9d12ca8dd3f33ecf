"""OpenID Connect providers."""

import json
from typing import Any

from geumgo.sealing import Sealing
from geumgo.services.iam.records import Provider
from geumgo.services.iam.store.principals import dump_tags
from geumgo.storage import Row, Tx

_NAMES = ("account_id", "issuer", "audiences", "thumbprints", "tags", "jwks", "created_at_ms")
_SELECT = "SELECT account_id, issuer, audiences, thumbprints, tags, jwks, created_at_ms, mac FROM iam_provider"


def save(tx: Tx, sealing: Sealing, provider: Provider) -> None:
    """Write a provider, new or changed."""
    columns = _columns(provider)
    tx.run(
        "INSERT INTO iam_provider (account_id, issuer, audiences, thumbprints, tags, jwks, created_at_ms, mac) "
        "VALUES (:account_id, :issuer, :audiences, :thumbprints, :tags, :jwks, :created_at_ms, :mac) "
        "ON CONFLICT (account_id, issuer) DO UPDATE SET audiences = excluded.audiences, "
        "thumbprints = excluded.thumbprints, tags = excluded.tags, jwks = excluded.jwks, mac = excluded.mac",
        **columns,
        mac=sealing.vouch("iam_provider", columns),
    )


def delete(tx: Tx, account: str, issuer: str) -> None:
    tx.run("DELETE FROM iam_provider WHERE account_id = :account AND issuer = :issuer", account=account, issuer=issuer)


def find(tx: Tx, sealing: Sealing, account: str, issuer: str) -> Provider | None:
    row = tx.one(f"{_SELECT} WHERE account_id = :account AND issuer = :issuer", account=account, issuer=issuer)
    return _checked(sealing, row) if row is not None else None


def of_account(tx: Tx, sealing: Sealing, account: str) -> list[Provider]:
    rows = tx.all(f"{_SELECT} WHERE account_id = :account ORDER BY issuer", account=account)
    return [_checked(sealing, row) for row in rows]


def _columns(provider: Provider) -> dict[str, str | int | None]:
    return {
        "account_id": provider.account,
        "issuer": provider.issuer,
        "audiences": json.dumps(provider.audiences),
        "thumbprints": json.dumps(provider.thumbprints),
        "tags": dump_tags(provider.tags),
        "jwks": provider.jwks,
        "created_at_ms": provider.created_at_ms,
    }


def _checked(sealing: Sealing, row: Row) -> Provider:
    columns: dict[str, Any] = dict(zip(_NAMES, row[:-1], strict=True))
    sealing.check("iam_provider", columns, bytes(row[-1]))
    return Provider(
        account=columns["account_id"],
        issuer=columns["issuer"],
        audiences=tuple(json.loads(columns["audiences"])),
        thumbprints=tuple(json.loads(columns["thumbprints"])),
        tags=json.loads(columns["tags"]),
        jwks=columns["jwks"],
        created_at_ms=columns["created_at_ms"],
    )
