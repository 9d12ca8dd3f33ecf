"""What events cost: `python -m tests.bench.bench_events`.

How many of them one core matches against a hundred rules in a second; what an event costs the write that makes it, where nobody listens and
where a hundred rules do that do not want it; how many deliveries a lane brings to a log group.
"""

import json
import tempfile
import time
from pathlib import Path

from geumgo.context import Event, Place
from geumgo.domain.event_pattern import compile_pattern
from geumgo.services.events.publisher import DefaultBus
from tests.clock import TurnedClock
from tests.house import House

RULES = 100
EVENTS = 10_000


PUBLISHED = 5_000
DELIVERED = 200


def main() -> None:
    match()
    with tempfile.TemporaryDirectory(prefix="geumgo-bench-") as directory:
        house = House.build(Path(directory), TurnedClock(time.time_ns() // 1_000_000))
        try:
            publish(house, "nobody listens")
            listen(house)
            publish(house, f"{RULES} rules do not want it")
            deliver(house)
        finally:
            house.close()


def listen(house: House) -> None:
    events = house.client("events")
    for at in range(RULES):
        pattern = json.dumps({"source": ["aws.kms"], "detail": {"key-id": [{"prefix": f"{at}-"}]}})
        events.put_rule(Name=f"rule{at}", EventPattern=pattern)
        log = f"arn:aws:logs:us-east-1:{house.account}:log-group:heard"
        events.put_targets(Rule=f"rule{at}", Targets=[{"Id": "t", "Arn": log}])


def publish(house: House, who: str) -> None:
    bus = DefaultBus(house.app.pipeline._parts.sealing)
    place = Place(house.account, "us-east-1")
    event = Event("aws.kms", "KMS CMK Rotation", ("arn:key",), {"key-id": "none"})
    with house.app.storage.writing() as tx:
        bus.publish(tx, place, event, house.clock.now_ms())
        started = time.process_time()
        for _ in range(PUBLISHED):
            bus.publish(tx, place, event, house.clock.now_ms())
        seconds = time.process_time() - started
    print(f"{seconds / PUBLISHED * 1e6:.1f} us of CPU for an event, {who}")


def deliver(house: House) -> None:
    bus = DefaultBus(house.app.pipeline._parts.sealing)
    place = Place(house.account, "us-east-1")
    with house.app.storage.writing() as tx:
        for _ in range(DELIVERED):
            bus.publish(tx, place, Event("aws.kms", "KMS CMK Rotation", (), {"key-id": "7-x"}), house.clock.now_ms())
    started = time.perf_counter()
    house.app.worker.run_due(DELIVERED)
    seconds = time.perf_counter() - started
    print(f"{DELIVERED / seconds:,.0f} deliveries/s to a log group, one lane, each synced")


def match() -> None:
    patterns = [
        compile_pattern(
            json.dumps(
                {
                    "source": ["aws.secretsmanager" if at % 10 == 0 else f"app.{at}"],
                    "detail": {
                        "eventName": ["RotationFailed", {"prefix": f"Delete{at}"}],
                        "name": [{"wildcard": f"app{at}/*"}],
                    },
                }
            )
        )
        for at in range(RULES)
    ]
    events = [
        {
            "source": "aws.secretsmanager",
            "detail-type": "AWS Service Event via CloudTrail",
            "detail": {"eventName": "RotationFailed", "name": f"app{at % RULES}/db"},
        }
        for at in range(EVENTS)
    ]
    started = time.process_time()
    matched = sum(pattern.matches(event) for event in events for pattern in patterns)
    seconds = time.process_time() - started
    print(f"{EVENTS / seconds:,.0f} events/s against {RULES} rules, each asked; {matched} matches")


if __name__ == "__main__":
    main()
