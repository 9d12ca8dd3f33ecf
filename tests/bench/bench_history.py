"""LookupEvents over a million records: `python -m tests.bench.bench_history [RECORDS] [postgres]`.

The records are written through a trail and indexed by the indexer, as they are in a server. Then each attribute is looked up through the
whole pipeline, with a real client's signed requests; what is measured is the pipeline's time for one request, record and sync included.

BENCH_DAYS: over how many days the records are spread (60). BENCH_USERS, BENCH_NAMES: by how many users they are, of how many secrets.
"""

import os
import random
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from geumgo.app.directory import open_root, trail_keys
from geumgo.audit.record import api_call
from geumgo.audit.trail import Trail
from geumgo.clock import SystemClock
from geumgo.context import Caller
from geumgo.storage import Storage
from tests.house import House
from tests.storage.postgres_server import private_server

USERS, SECRETS = int(os.environ.get("BENCH_USERS", "500")), int(os.environ.get("BENCH_NAMES", "20000"))
OPERATIONS = ("GetSecretValue",) * 8 + ("DescribeSecret", "PutSecretValue")
LOOKS = 200  # of each kind
DAYS = float(os.environ.get("BENCH_DAYS", "60"))  # over which the records are spread


class Past:
    """A clock that the bench sets."""

    def __init__(self) -> None:
        self.at_ms = 0

    def now_ms(self) -> int:
        return self.at_ms


def write(house: House, records: int) -> None:
    """`records` records of calls on secrets, in a chain of their own, as time went by."""
    root = open_root(house.settings)
    clock, chance = Past(), random.Random(7)
    now_ms = SystemClock().now_ms()
    trail = Trail.open(house.settings.audit, node="bench", keys=trail_keys(root), clock=clock, reserve_bytes=0)
    account = house.account
    callers = [
        Caller("IAMUser", account, f"arn:aws:iam::{account}:user/u{at}", f"AIDA{at:016}", f"u{at}", f"AKIA{at:016}")
        for at in range(USERS)
    ]
    for number in range(records):
        clock.at_ms = now_ms - int(DAYS * 86_400_000 * (records - number) / records)
        secret, name = chance.randrange(SECRETS), chance.choice(OPERATIONS)
        arn = f"arn:aws:secretsmanager:us-east-1:{account}:secret:app/s{secret}-a1B2c3"
        trail.note(
            "call",
            api_call(
                caller=chance.choice(callers), claimed_key="", service="secretsmanager.amazonaws.com", name=name,
                region="us-east-1", source_ip="198.51.100.7", user_agent="Boto3/1.40 md/Botocore#1.40",
                request_parameters={"SecretId": f"app/s{secret}"}, response_elements={}, error_code="", error_message="",
                request_id="3d1ffeb1-94cd-4b9c-a83c-161f6eeea990", at_ms=clock.at_ms, read_only=name != "PutSecretValue",
                secure=True, resources=({"ARN": arn, "accountId": account, "type": "AWS::SecretsManager::Secret"},),
            ),
        )  # fmt: skip
        if number % 500 == 499:
            trail.settle()
    trail.close()


class Stopwatch:
    """Times what goes through the pipeline."""

    def __init__(self, house: House) -> None:
        self.seconds: list[float] = []
        self.cpu: list[float] = []
        pipeline: Any = house.app.pipeline
        handle = pipeline.handle_batch

        def timed(requests: Any) -> Any:
            started, cpu = time.perf_counter(), time.process_time()
            answers = handle(requests)
            self.seconds.append(time.perf_counter() - started)
            self.cpu.append(time.process_time() - cpu)
            return answers

        pipeline.handle_batch = timed


def look(house: House, records: int) -> None:
    client, chance = house.client("cloudtrail"), random.Random(8)
    watch = Stopwatch(house)
    now_s = SystemClock().now_ms() // 1000

    def attribute(key: str, value: str) -> dict[str, Any]:
        return {"LookupAttributes": [{"AttributeKey": key, "AttributeValue": value}]}

    first = client.lookup_events()
    page_of_reads = client.lookup_events(**attribute("EventName", "GetSecretValue"))
    kinds: dict[str, Any] = {
        "the last minute": lambda: {"StartTime": datetime.fromtimestamp(now_s - 60, UTC)},
        "an hour, some weeks ago": lambda: {
            "StartTime": datetime.fromtimestamp(at_s := now_s - chance.uniform(0, DAYS * 86_400), UTC),
            "EndTime": datetime.fromtimestamp(at_s + 3_600, UTC),
        },
        "everything, newest first": dict,
        "EventName": lambda: attribute("EventName", chance.choice(("GetSecretValue", "PutSecretValue"))),
        "EventName, a later page": lambda: (
            attribute("EventName", "GetSecretValue") | {"NextToken": page_of_reads["NextToken"]}
        ),
        "EventSource": lambda: attribute("EventSource", "secretsmanager.amazonaws.com"),
        "ReadOnly": lambda: attribute("ReadOnly", "false"),
        "Username": lambda: attribute("Username", f"u{chance.randrange(USERS)}"),
        "AccessKeyId": lambda: attribute("AccessKeyId", f"AKIA{chance.randrange(USERS):016}"),
        "ResourceName": lambda: attribute("ResourceName", f"app/s{chance.randrange(SECRETS)}"),
        "ResourceType": lambda: attribute("ResourceType", "AWS::SecretsManager::Secret"),
        "EventId": lambda: attribute("EventId", chance.choice(first["Events"])["EventId"]),
    }
    print(
        f"\n| LookupEvents over {records:,} records by | p50 ms | p99 ms | ms of CPU | events |\n|---|---:|---:|---:|---:|"
    )
    for kind, asked in kinds.items():
        watch.seconds.clear()
        watch.cpu.clear()
        shown = [len(client.lookup_events(**asked())["Events"]) for _ in range(LOOKS)]
        times = sorted(1000 * each for each in watch.seconds)
        slow = times[int(0.99 * len(times))]
        cpu = 1000 * statistics.mean(watch.cpu)
        print(
            f"| {kind} | {statistics.median(times):.1f} | {slow:.1f} | {cpu:.1f} | {statistics.mean(shown):.0f} |",
            flush=True,
        )


def database_bytes(house: House, storage: Storage) -> int:
    if house.settings.database:
        with storage.reading() as tx:
            row = tx.one(
                "SELECT pg_total_relation_size('cloudtrail_record') + pg_total_relation_size('cloudtrail_posting')"
            )
        assert row is not None
        return int(row[0])
    return sum(path.stat().st_size for path in house.settings.data.glob("geumgo.db*"))


def main() -> None:
    records = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with ExitStack() as stack:
        settings: dict[str, Any] = {}
        if "postgres" in sys.argv[2:]:
            settings["database"] = stack.enter_context(stack.enter_context(private_server()).database())
        directory = stack.enter_context(tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIRECTORY")))
        house: Any = House.build(Path(directory), SystemClock(), **settings)  # type: ignore[arg-type]
        stack.callback(house.close)
        write(house, records)
        before = database_bytes(house, house.app.storage)
        started, cpu = time.perf_counter(), time.process_time()
        indexed = house.index()
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        size = database_bytes(house, house.app.storage) - before
        print(f"indexed {indexed:,} records in {seconds:.0f} s: {indexed / seconds:,.0f} a second, "
              f"{1e6 * cpu / indexed:.0f} us CPU and {size / indexed:.0f} bytes each", flush=True)  # fmt: skip
        look(house, records)


if __name__ == "__main__":
    main()
