"""The only SQL of CloudWatch."""

from geumgo.context import Place
from geumgo.services.cloudwatch.domain import Point
from geumgo.storage import Tx


def keep(tx: Tx, place: Place, metric: str, at_ms: int, value: int) -> None:
    """The value of that moment; one that was kept before is replaced."""
    tx.run(
        """
        INSERT INTO cloudwatch_datapoint (account, region, metric, at_ms, value)
        VALUES (:account, :region, :metric, :at_ms, :value)
        ON CONFLICT (account, region, metric, at_ms) DO UPDATE SET value = excluded.value
        """,
        account=place.account,
        region=place.region,
        metric=metric,
        at_ms=at_ms,
        value=value,
    )


def prune(tx: Tx, place: Place, metric: str, before_ms: int) -> None:
    tx.run(
        """
        DELETE FROM cloudwatch_datapoint
        WHERE account = :account AND region = :region AND metric = :metric AND at_ms < :before_ms
        """,
        account=place.account,
        region=place.region,
        metric=metric,
        before_ms=before_ms,
    )


def points(tx: Tx, place: Place, metric: str, *, from_ms: int, to_ms: int, limit: int) -> list[Point]:
    """What was measured from `from_ms` on and before `to_ms`, oldest first."""
    rows = tx.all(
        """
        SELECT at_ms, value FROM cloudwatch_datapoint
        WHERE account = :account AND region = :region AND metric = :metric AND at_ms >= :from_ms AND at_ms < :to_ms
        ORDER BY at_ms LIMIT :limit
        """,
        account=place.account,
        region=place.region,
        metric=metric,
        from_ms=from_ms,
        to_ms=to_ms,
        limit=limit,
    )
    return [(at_ms, value) for at_ms, value in rows]


def newest_ms(tx: Tx, place: Place, metric: str) -> int | None:
    row = tx.one(
        """
        SELECT MAX(at_ms) FROM cloudwatch_datapoint
        WHERE account = :account AND region = :region AND metric = :metric
        """,
        account=place.account,
        region=place.region,
        metric=metric,
    )
    return None if row is None else row[0]
