"""kill -9 while records are indexed: each is found once, and EventBridge is told of it once."""

import json
import time
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.server import Server

ROUNDS = 2


def make_some(client: Any, name: str) -> list[str]:
    """Secrets that were made. The second half comes when the first is being indexed."""
    made = [f"{name}-{number}" for number in range(10)]
    for number, each in enumerate(made):
        client.create_secret(Name=each, SecretString="x")
        if number == len(made) // 2:
            time.sleep(0.9)
    return made


def found_by(client: Any) -> list[dict[str, Any]]:
    pages = client.get_paginator("lookup_events").paginate(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "CreateSecret"}]
    )
    return [event for page in pages for event in page["Events"]]


def test_each_record_is_indexed_and_told_once_across_kills(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", arguments=("--workers", "1"))
    server.start()
    made: list[str] = []
    try:
        account = server.client("sts").get_caller_identity()["Account"]
        events = server.client("events")
        pattern = {"source": ["aws.secretsmanager"], "detail": {"eventName": ["CreateSecret"]}}
        events.put_rule(Name="made", EventPattern=json.dumps(pattern))
        arn = f"arn:aws:logs:us-east-1:{account}:log-group:made"
        events.put_targets(Rule="made", Targets=[{"Id": "t", "Arn": arn}])
        for number in range(ROUNDS):
            made += make_some(server.client("secretsmanager"), f"r{number}")
            server.kill()
            server.start()
        client, until = server.client("cloudtrail"), time.monotonic() + 30
        path = server.data / "events" / account / "us-east-1" / "made.jsonl"
        names: list[str] = []
        told: list[dict[str, Any]] = []
        while time.monotonic() < until and not (set(made) <= set(names) and len(told) >= len(made)):
            try:
                records = [json.loads(event["CloudTrailEvent"]) for event in found_by(client)]
            except (BotoCoreError, ClientError):
                continue
            names = [record["requestParameters"]["name"] for record in records]
            told = [json.loads(line) for line in path.read_text().splitlines() if line] if path.exists() else []
            time.sleep(0.3)
        assert set(made) <= set(names)
        assert len(names) == len(set(names))
        envelopes = {(event["id"], event["detail"]["eventID"]) for event in told}
        assert set(made) <= {event["detail"]["requestParameters"]["name"] for event in told}
        assert len(envelopes) == len({event_id for _, event_id in envelopes})
    finally:
        server.kill()
