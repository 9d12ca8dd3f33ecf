"""How many events one core matches against a hundred rules in a second: `python -m tests.bench.bench_events`."""

import json
import time

from geumgo.domain.event_pattern import compile_pattern

RULES = 100
EVENTS = 10_000


def main() -> None:
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
    started = time.perf_counter()
    matched = sum(pattern.matches(event) for event in events for pattern in patterns)
    seconds = time.perf_counter() - started
    print(f"{EVENTS / seconds:,.0f} events/s against {RULES} rules; {matched} matches")


if __name__ == "__main__":
    main()
