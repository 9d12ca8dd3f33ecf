"""What ten thousand schedules cost: how long it takes to find what is due, and how it is spread over the windows.

    python -m tests.bench.bench_schedules              # SQLite
    python -m tests.bench.bench_schedules postgres     # a PostgreSQL of its own

Every scheduled secret is one waiting job, so what is measured is what each worker does at each of its turns: it looks for the next job,
and takes one that is due.
"""

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from geumgo.jobs import lease
from geumgo.sealing import random
from geumgo.services.secretsmanager import domain, store
from geumgo.services.secretsmanager.domain_rotation import Rotation
from geumgo.services.secretsmanager.rotation_plan import Plan
from tests.clock import TurnedClock
from tests.house import House
from tests.storage.postgres_server import private_server

SECRETS = 10_000
DUE = 200  # of one hour
LOOKS = 200
BATCH = 500
DAY_MS = 86_400_000
MINUTE_MS = 60_000


def nothing_said(*_: Any, **__: Any) -> None:
    """The trail is not what is measured."""


def schedule(house: House) -> None:
    """SECRETS secrets with a rate of ten days, the DUE first ones with a window of an hour tomorrow at eight."""
    client = house.client("secretsmanager")
    arn = client.create_secret(Name="first", SecretString="x")["ARN"]
    storage, sealing, now_ms = house.app.storage, house.app.pipeline._parts.sealing, house.clock.now_ms()
    with storage.reading() as tx:
        found = store.find(tx, sealing, domain.parse_secret_id(arn, account="", region=""))
    assert found is not None
    hourly = {"ScheduleExpression": "cron(0 8 * * ? *)", "Duration": "1h"}
    for first in range(0, SECRETS, BATCH):
        with storage.writing() as tx:
            plan = Plan(tx, sealing, now_ms, nothing_said)
            for number in range(first, first + BATCH):
                secret = replace(found.secret, id=random.uuid().replace("-", ""), name=f"app/{number}", revision=1)
                store.add(tx, sealing, secret)
                rules = hourly if number < DUE else {"AutomaticallyAfterDays": 10}
                plan.keep(plan.await_window(secret, Rotation(secret.id, now_ms, lambda_arn="arn", rules=rules)))
        with storage.writing() as tx:
            tx.run("ANALYZE")  # as the database does by itself, when it is not a test's


def milliseconds(deed: Callable[[], object], times: int = LOOKS) -> tuple[float, float]:
    """(median, slowest) of `times` times `deed`."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        deed()
        taken.append((time.perf_counter() - started) * 1000)
    taken.sort()
    return taken[times // 2], taken[-1]


def look(house: House) -> None:
    with house.app.storage.reading() as tx:
        lease.next_at_ms(tx, owner="bench")


def take(house: House) -> None:
    """A due job is taken and put aside, so that the next one is the next."""
    with house.app.storage.writing() as tx:
        taken = lease.take(tx, owner="bench", lane=0, now_ms=house.clock.now_ms())
        assert taken is not None
        lease.finish(tx, taken)


def spread(house: House) -> Counter[int]:
    """How many rotations begin in each minute of the hour in which DUE are due."""
    with house.app.storage.reading() as tx:
        moments = [row[0] for row in tx.all("SELECT run_at_ms FROM job WHERE kind = 'secretsmanager.rotate'")]
    opens_ms = min(moments) - min(moments) % (60 * MINUTE_MS)
    return Counter((at - opens_ms) // MINUTE_MS for at in moments if at < opens_ms + 60 * MINUTE_MS)


def main() -> None:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        engine = "PostgreSQL" if "postgres" in sys.argv[1:] else "SQLite"
        more = {}
        if engine == "PostgreSQL":
            server = stack.enter_context(private_server())
            more["database"] = stack.enter_context(server.database())
        clock = TurnedClock(int(time.time() * 1000))
        house = House.build(directory, clock, **more)
        stack.callback(house.close)
        started = time.perf_counter()
        schedule(house)
        print(f"# {engine}, {SECRETS:,} scheduled secrets, made in {time.perf_counter() - started:.1f} s")
        minutes = spread(house)
        report("to see that nothing is due", milliseconds(lambda: look(house)))
        clock.turn(ms=DAY_MS + 12 * 60 * MINUTE_MS)
        report(f"to take one of the {DUE} that are due", milliseconds(lambda: take(house), DUE))
        print(
            f"{f'of {sum(minutes.values())} due in one hour, begun in a minute':<44}"
            f"{max(minutes.values()):>8} at most, in {len(minutes)} minutes"
        )


def report(name: str, figures: tuple[float, float]) -> None:
    print(f"{name:<44}{figures[0]:>8.2f} ms (median), {figures[1]:.2f} ms at most", flush=True)


if __name__ == "__main__":
    main()
