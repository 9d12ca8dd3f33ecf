"""How many secrets an account has in a region: counted at each full hour, and handed to CloudWatch.

Secrets that wait for their deletion count. Source: "Monitoring with Amazon CloudWatch", Secrets Manager User Guide (ResourceCount, hourly).
"""

from typing import Final

from geumgo.context import Params, Place, Work
from geumgo.jobs import promise
from geumgo.room import job
from geumgo.services.secretsmanager import store
from geumgo.storage import Tx

COUNT: Final = "secretsmanager.count_secrets"
HOUR_MS: Final = 3_600_000


def promise_count(tx: Tx, place: Place, now_ms: int) -> None:
    """The secrets of `place` are counted at the next full hour, and from then on at each."""
    at_ms = now_ms - now_ms % HOUR_MS + HOUR_MS
    name = f"{COUNT}:{place.account}:{place.region}"
    promise(tx, COUNT, place, {}, run_at_ms=at_ms, lock=name, dedup=name)


@job(COUNT)
def count_secrets(work: Work, payload: Params) -> None:  # noqa: ARG001
    """The count of this hour is on its way to CloudWatch. Where there is no secret any more, 0 is the last one."""
    with work.finishing() as tx:
        now_ms, place = work.clock.now_ms(), work.place
        count = store.count_secrets(tx, place.account, place.region)
        told = {"metric": "secrets", "at_ms": now_ms - now_ms % HOUR_MS, "value": count}
        promise(tx, "cloudwatch.keep_datapoint", place, told, run_at_ms=now_ms)
        if count:
            promise_count(tx, place, now_ms)
