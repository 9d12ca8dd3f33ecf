"""EventBridge as people use it: the real AWS CLI against a real server."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.clients.test_iam_cli import Cli
from tests.server import Server
from tests.services.events.endpoint import LISTED, Endpoint

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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("events-cli") / "data"
    listed = {"GEUMGO_OUTGOING_HOSTS": ",".join(LISTED)}
    with Server(data, arguments=("--workers", "1"), environment=listed) as running:
        yield running


@pytest.fixture(scope="module")
def aws(server: Server) -> Cli:
    return Cli(server, *server.credentials())


@pytest.fixture(scope="module")
def account(aws: Cli) -> str:
    found: str = aws("sts", "get-caller-identity")["Account"]
    return found


def soon(found: Any, seconds: float = 10.0) -> Any:
    """What `found` answers as soon as it is something."""
    deadline = time.monotonic() + seconds
    while not (answer := found()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return answer


def test_a_secret_that_changes_is_seen_in_a_log_group_and_by_a_webhook(aws: Cli, server: Server, account: str) -> None:
    pattern = json.dumps({"source": ["aws.secretsmanager"], "detail": {"name": [{"prefix": "app/"}]}})
    rule = aws("events", "put-rule", "--name", "moved", "--event-pattern", pattern)["RuleArn"]
    assert rule == f"arn:aws:events:us-east-1:{account}:rule/moved"
    aws("iam", "create-role", "--role-name", "invoker", "--assume-role-policy-document", TRUST)
    aws("iam", "put-role-policy", "--role-name", "invoker", "--policy-name", "may", "--policy-document", MAY)
    with Endpoint() as endpoint:
        key = json.dumps({"ApiKeyAuthParameters": {"ApiKeyName": "X-Key", "ApiKeyValue": "k"}})
        connection = aws(
            "events", "create-connection", "--name", "hook", "--authorization-type", "API_KEY", "--auth-parameters", key
        )  # fmt: skip
        assert connection["ConnectionState"] == "AUTHORIZED"
        asked = {
            "Name": "hook",
            "ConnectionArn": connection["ConnectionArn"],
            "HttpMethod": "POST",
            "InvocationEndpoint": f"{endpoint.url}/in",
        }  # as an option of its own the CLI would fetch the URL
        destination = aws("events", "create-api-destination", "--cli-input-json", json.dumps(asked))
        targets = [
            {"Id": "log", "Arn": f"arn:aws:logs:us-east-1:{account}:log-group:/aws/events/moved"},
            {
                "Id": "hook",
                "Arn": destination["ApiDestinationArn"],
                "RoleArn": f"arn:aws:iam::{account}:role/invoker",
                "InputTransformer": {
                    "InputPathsMap": {"name": "$.detail.name"},
                    "InputTemplate": '{"text": "<name> has a new value"}',
                },
            },
        ]
        done = aws("events", "put-targets", "--rule", "moved", "--targets", json.dumps(targets))
        assert done == {"FailedEntryCount": 0, "FailedEntries": []}
        aws("secretsmanager", "create-secret", "--name", "app/db", "--secret-string", "first")
        (call,) = soon(lambda: endpoint.calls)
    assert call.json == {"text": "app/db has a new value"}
    path = server.data / "events" / account / "us-east-1" / "%2Faws%2Fevents%2Fmoved.jsonl"
    assert soon(path.exists)
    assert json.loads(path.read_text())["detail"]["labelUpdated"] == "AWSCURRENT"
    assert [each["Id"] for each in aws("events", "list-targets-by-rule", "--rule", "moved")["Targets"]] == [
        "hook",
        "log",
    ]
    named = aws("events", "list-rule-names-by-target", "--target-arn", destination["ApiDestinationArn"])
    assert named["RuleNames"] == ["moved"]


def test_rules_are_listed_tagged_switched_and_deleted(aws: Cli, account: str) -> None:
    aws("events", "put-rule", "--name", "nightly", "--schedule-expression", "cron(0 3 * * ? *)", "--state", "DISABLED")
    arn = aws("events", "describe-rule", "--name", "nightly")["Arn"]
    aws("events", "tag-resource", "--resource-arn", arn, "--tags", "Key=team,Value=red")
    assert aws("events", "list-tags-for-resource", "--resource-arn", arn)["Tags"] == [{"Key": "team", "Value": "red"}]
    aws("events", "enable-rule", "--name", "nightly")
    (rule,) = aws("events", "list-rules", "--name-prefix", "night")["Rules"]
    assert (rule["State"], rule["ScheduleExpression"]) == ("ENABLED", "cron(0 3 * * ? *)")
    aws("events", "delete-rule", "--name", "nightly")
    assert aws("events", "list-rules", "--name-prefix", "night")["Rules"] == []
    refused = aws.run("events", "put-rule", "--name", "x", "--schedule-expression", "rate(1 minutes)")
    assert "Parameter ScheduleExpression is not valid." in refused.stderr
    assert account in arn


def test_a_bus_its_archive_and_a_replay(aws: Cli, server: Server, account: str) -> None:
    bus = aws("events", "create-event-bus", "--name", "mine")["EventBusArn"]
    source = aws("events", "create-archive", "--archive-name", "kept", "--event-source-arn", bus)["ArchiveArn"]
    entry = {"Source": "my.app", "DetailType": "Deployed", "Detail": '{"version": 7}', "EventBusName": "mine"}
    told = aws("events", "put-events", "--entries", json.dumps([entry]))
    assert told["FailedEntryCount"] == 0
    assert aws("events", "describe-archive", "--archive-name", "kept")["EventCount"] == 1
    pattern = '{"source": ["my.app"], "replay-name": [{"exists": true}]}'
    aws("events", "put-rule", "--name", "again", "--event-bus-name", "mine", "--event-pattern", pattern)
    log = f"Id=log,Arn=arn:aws:logs:us-east-1:{account}:log-group:again"
    aws("events", "put-targets", "--rule", "again", "--event-bus-name", "mine", "--targets", log)
    now = datetime.now(UTC)
    aws(
        "events", "start-replay", "--replay-name", "r", "--event-source-arn", source, "--destination", json.dumps({"Arn": bus}),
        "--event-start-time", (now - timedelta(hours=1)).isoformat(), "--event-end-time", (now + timedelta(hours=1)).isoformat(),
    )  # fmt: skip
    path = server.data / "events" / account / "us-east-1" / "again.jsonl"
    assert soon(path.exists)
    event = json.loads(path.read_text())
    assert (event["id"], event["replay-name"], event["detail"]) == (
        told["Entries"][0]["EventId"],
        "r",
        {"version": 7},
    )
    assert aws("events", "list-replays")["Replays"][0]["State"] == "COMPLETED"


def test_the_policy_of_a_bus(aws: Cli, account: str) -> None:
    aws(
        "events", "put-permission", "--action", "events:PutEvents", "--principal", account, "--statement-id", "us"
    )  # fmt: skip
    told = json.loads(aws("events", "describe-event-bus")["Policy"])
    assert told["Statement"][0]["Principal"] == {"AWS": f"arn:aws:iam::{account}:root"}
    aws("events", "remove-permission", "--statement-id", "us")
    assert "Policy" not in aws("events", "describe-event-bus")
