"""CloudTrail as people use it: the real AWS CLI against a real server, whose process for jobs indexes the trail."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from geumgo.cli.client import from_environment
from geumgo.cli.report import TRAIL, of_history
from tests.clients.test_iam_cli import Cli
from tests.server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("trail-cli") / "data", arguments=("--workers", "1")) as running:
        yield running


@pytest.fixture(scope="module")
def aws(server: Server) -> Cli:
    return Cli(server, *server.credentials())


def test_who_read_the_secret_is_found_within_seconds(server: Server, aws: Cli) -> None:
    sm = server.client("secretsmanager")
    sm.create_secret(Name="app/db", SecretString="hidden-value-6")
    sm.get_secret_value(SecretId="app/db")
    until = time.monotonic() + 30
    found: Any = []
    while len(found) < 2 and time.monotonic() < until:
        found = aws("cloudtrail", "lookup-events", "--lookup-attributes", "AttributeKey=ResourceName,AttributeValue=app/db")["Events"]  # fmt: skip
    assert [event["EventName"] for event in found] == ["GetSecretValue", "CreateSecret"]
    record = json.loads(found[0]["CloudTrailEvent"])
    assert record["eventID"] == found[0]["EventId"]
    assert record["userIdentity"]["userName"] == found[0]["Username"] == "admin"
    assert "hidden-value-6" not in json.dumps(found)
    paged = aws("cloudtrail", "lookup-events", "--max-items", "3", "--page-size", "2")
    assert len(paged["Events"]) == 3
    identity, secret = server.credentials()
    said = {"AWS_ENDPOINT_URL": server.endpoint, "AWS_ACCESS_KEY_ID": identity, "AWS_SECRET_ACCESS_KEY": secret}
    client = from_environment("cloudtrail", {**said, "AWS_DEFAULT_REGION": "us-east-1"}, target=TRAIL)
    assert of_history(client)("", "app/db").endswith(":user/admin")  # as `geumgo report unused` asks


def test_a_trail_from_the_command_line(aws: Cli) -> None:
    made = aws("cloudtrail", "create-trail", "--name", "main", "--s3-bucket-name", "audit-bucket",
               "--enable-log-file-validation", "--tags-list", "Key=team,Value=a")  # fmt: skip
    assert made["LogFileValidationEnabled"] is True
    aws("cloudtrail", "start-logging", "--name", "main")
    assert aws("cloudtrail", "get-trail-status", "--name", made["TrailARN"])["IsLogging"] is True
    selectors = json.dumps([{"ReadWriteType": "WriteOnly", "IncludeManagementEvents": True}])
    put = aws("cloudtrail", "put-event-selectors", "--trail-name", "main", "--event-selectors", selectors)
    assert put["EventSelectors"][0]["ReadWriteType"] == "WriteOnly"
    assert aws("cloudtrail", "describe-trails")["trailList"][0]["HasCustomEventSelectors"] is True
    assert aws("cloudtrail", "list-tags", "--resource-id-list", made["TrailARN"])["ResourceTagList"][0]["TagsList"]
    aws("cloudtrail", "stop-logging", "--name", "main")
    aws("cloudtrail", "delete-trail", "--name", "main")
    assert aws("cloudtrail", "list-trails")["Trails"] == []
