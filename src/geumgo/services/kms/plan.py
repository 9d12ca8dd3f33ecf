"""When a key rotates by itself: one waiting job per key; a multi-Region key has one, at its primary."""

from geumgo.context import Place
from geumgo.jobs import promise, withdraw
from geumgo.services.kms.records import Key
from geumgo.storage import Tx


def plan_rotation(tx: Tx, key: Key, next_at_ms: int | None) -> None:
    """The next automatic rotation runs at `next_at_ms` (Unix milliseconds; None: never), whatever was planned before."""
    region = key.primary_region or key.region
    dedup = f"kms.rotate_key:{key.arn_in(region)}"
    withdraw(tx, dedup)
    if next_at_ms is not None:
        place = Place(key.account, region, key.partition)
        promise(tx, "kms.rotate_key", place, {"id": key.id}, run_at_ms=next_at_ms, lock=key.arn_in(region), dedup=dedup)
