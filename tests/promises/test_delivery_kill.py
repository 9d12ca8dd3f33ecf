"""P3 for events: what was acknowledged is delivered, `kill -9` of the whole server between commit and delivery or not.

A receiver that knows the key of a request sees each event exactly once.
"""

import json
import os
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.server import Server
from tests.services.events.endpoint import LISTED, Call, Endpoint

KILLS = int(os.environ.get("DELIVERY_KILLS", "2"))
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
EVENTS = 8  # before each kill
PATIENCE_S = 20.0
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sts:AssumeRole",
        },
    }
)
MAY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Action": "events:InvokeApiDestination", "Resource": "*"},
    }
)


def listen(server: Server, url: str) -> None:
    """A rule for what "app" tells, with a webhook and a log group as its targets."""
    iam, events = server.client("iam"), server.client("events")
    role = iam.create_role(RoleName="invoker", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    iam.put_role_policy(RoleName="invoker", PolicyName="may", PolicyDocument=MAY)
    key = {"ApiKeyAuthParameters": {"ApiKeyName": "X-Key", "ApiKeyValue": "k"}}
    connection = events.create_connection(Name="hook", AuthorizationType="API_KEY", AuthParameters=key)
    made = events.create_api_destination(
        Name="hook", ConnectionArn=connection["ConnectionArn"], InvocationEndpoint=url, HttpMethod="POST"
    )
    account = role.split(":")[4]
    events.put_rule(Name="rule", EventPattern='{"source": ["app"]}')
    events.put_targets(
        Rule="rule",
        Targets=[
            {"Id": "hook", "Arn": made["ApiDestinationArn"], "RoleArn": role},
            {"Id": "log", "Arn": f"arn:aws:logs:us-east-1:{account}:log-group:heard"},
        ],
    )


def tell(server: Server) -> list[str]:
    """Some events, acknowledged. Answers their ids."""
    entries = [{"Source": "app", "DetailType": "Told", "Detail": json.dumps({"n": n})} for n in range(EVENTS)]
    answer = server.client("events").put_events(Entries=entries)
    return [entry["EventId"] for entry in answer["Entries"]]


def test_what_was_acknowledged_is_delivered_once_by_its_key(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    told: list[str] = []
    on_their_way = 0
    with Endpoint() as endpoint:
        server = Server(
            tmp_path / "data",
            arguments=("--workers", "1"),
            environment={"GEUMGO_OUTGOING_HOSTS": ",".join(LISTED)},
        )
        with server:
            listen(server, endpoint.url)
            for _ in range(KILLS):
                told += tell(server)
                time.sleep(chance.random() * 0.05)
                server.kill()
                on_their_way += len(told) - len(delivered(endpoint))
                server.start()
            deadline = time.monotonic() + PATIENCE_S
            while time.monotonic() < deadline and not (delivered(endpoint) >= set(told) <= logged(server)):
                time.sleep(0.05)
    message = f"SEED={SEED}"
    assert on_their_way, "no kill came between commit and delivery"
    assert delivered(endpoint) == set(told), message
    assert logged(server) == set(told), message
    keys: dict[str, set[str]] = {}
    for call in heard(endpoint):
        keys.setdefault(call.json["id"], set()).add(call.headers["idempotency-key"])
    assert all(len(found) == 1 for found in keys.values()), message
    assert Counter(len(found) for found in keys.values()) == {1: len(told)}, message


def heard(endpoint: Endpoint) -> list[Call]:
    """The calls that arrived whole: a kill may cut one short."""
    return [call for call in list(endpoint.calls) if _id_of(call.body.decode("utf-8", "replace"))]


def delivered(endpoint: Endpoint) -> set[str]:
    return {call.json["id"] for call in heard(endpoint)}


def logged(server: Server) -> set[str]:
    found: set[str] = set()
    for path in server.data.glob("events/*/us-east-1/heard.jsonl"):
        for line in path.read_text().splitlines():
            found |= _id_of(line)
    return found


def _id_of(line: str) -> set[str]:
    """A line that a kill cut short has none."""
    try:
        event: Any = json.loads(line)
    except ValueError:
        return set()
    return {event["id"]}
