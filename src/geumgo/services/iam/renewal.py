"""Everything the room keeps under the root key, under its newest term: what must happen before an old term is dropped."""

from typing import Any, Final

from geumgo.sealing import Sealing
from geumgo.services.iam.store import devices, keys
from geumgo.storage import Tx

# Tables whose rows carry a MAC and no ciphertext, with the columns that it covers; the first ones are the primary key.
VOUCHED: Final[dict[str, tuple[int, tuple[str, ...]]]] = {
    "iam_principal": (
        1,
        (
            "id",
            "account_id",
            "kind",
            "name",
            "name_key",
            "path",
            "created_at_ms",
            "tags",
            "boundary_id",
            "trust",
            "description",
            "max_session_s",
            "serves",
            "holdings",
            "not_before_ms",
            "revision",
        ),
    ),
    "iam_policy": (
        1,
        (
            "id",
            "account_id",
            "name",
            "name_key",
            "path",
            "description",
            "tags",
            "default_version",
            "next_version",
            "digest",
            "created_at_ms",
            "updated_at_ms",
            "revision",
        ),
    ),
    "iam_policy_version": (2, ("policy_id", "number", "document", "created_at_ms")),
    "iam_account": (1, ("id", "alias", "password_rules", "created_at_ms", "revision")),
    "iam_login": (1, ("user_id", "hashed", "earlier", "reset_required", "created_at_ms", "changed_at_ms")),
    "iam_instance_profile": (
        1,
        ("id", "account_id", "name", "name_key", "path", "tags", "role_id", "created_at_ms"),
    ),
    "iam_provider": (
        2,
        ("account_id", "issuer", "audiences", "thumbprints", "tags", "jwks", "created_at_ms"),
    ),
}


def renew(tx: Tx, sealing: Sealing) -> int:
    """Every row is vouched for, and every secret sealed, in the newest term. Answers how many rows there are.

    Raises Unsealable, and changes nothing if the transaction is left with it, when a row is not the one we wrote: what was forged is
    never made good by a renewal.
    """
    done = sum(_vouch_anew(tx, sealing, table, length, columns) for table, (length, columns) in VOUCHED.items())
    return done + keys.renew(tx, sealing) + devices.renew(tx, sealing)


def _vouch_anew(tx: Tx, sealing: Sealing, table: str, key_length: int, columns: tuple[str, ...]) -> int:
    rows = tx.all(f"SELECT {', '.join(columns)}, mac FROM {table}")  # noqa: S608 - names of our own
    where = " AND ".join(f"{column} = :{column}" for column in columns[:key_length])
    for row in rows:
        values: dict[str, Any] = dict(zip(columns, row[:-1], strict=True))
        sealing.check(table, values, bytes(row[-1]))
        tx.run(
            f"UPDATE {table} SET mac = :mac WHERE {where}",  # noqa: S608 - names of our own
            mac=sealing.vouch(table, values),
            **{column: values[column] for column in columns[:key_length]},
        )
    return len(rows)
