"""The room's only SQL."""

from geumgo.services.geumgo.domain import Attempts
from geumgo.storage import Tx

SWEPT_AT_ONCE = 20  # more than an attempt adds, so that the table shrinks to what still counts


def attempts(tx: Tx, key: str) -> Attempts:
    row = tx.one("SELECT failures, last_at_ms, trusted_until_ms FROM sign_in_attempt WHERE id = :id", id=key)
    return Attempts(*row) if row is not None else Attempts()


def save(tx: Tx, key: str, kept: Attempts) -> None:
    tx.run(
        "INSERT INTO sign_in_attempt (id, failures, last_at_ms, trusted_until_ms, keep_until_ms) "
        "VALUES (:id, :failures, :last_at_ms, :trusted_until_ms, :keep_until_ms) "
        "ON CONFLICT (id) DO UPDATE SET failures = excluded.failures, last_at_ms = excluded.last_at_ms, "
        "trusted_until_ms = excluded.trusted_until_ms, keep_until_ms = excluded.keep_until_ms",
        id=key,
        failures=kept.failures,
        last_at_ms=kept.last_at_ms,
        trusted_until_ms=kept.trusted_until_ms,
        keep_until_ms=kept.keep_until_ms(),
    )


def sweep(tx: Tx, now_ms: int) -> None:
    """Some of the rows that count no more are gone."""
    tx.run(
        "DELETE FROM sign_in_attempt WHERE id IN "
        "(SELECT id FROM sign_in_attempt WHERE keep_until_ms <= :now_ms ORDER BY keep_until_ms LIMIT :most)",
        now_ms=now_ms,
        most=SWEPT_AT_ONCE,
    )
