"""What is done with unused secrets: by the events that Config really publishes, and taken back."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from geumgo.automation_functions import secrets as actions
from tests.house import House
from tests.services.config.conftest import Watched, furnished
from tests.serving import house_ago, serving


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    with house_ago(tmp_path, monkeypatch, 40) as made:
        yield made


@pytest.fixture
def place(house: House, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    """A house forty days ago, whose door a function finds as Lambda would show it."""
    made = furnished(house)
    with serving(house) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", house.admin.identity)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", house.admin.secret)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it remembers the credentials of another test
        yield made


def unused(place: Watched, **given: Any) -> dict[str, Any]:
    """A secret that nobody read for forty days, and the event that says so."""
    place.secrets.create_secret(Name="old", SecretString="x", **given)
    place.house.clock.turn(days=40)
    place.rule("SECRETSMANAGER_SECRET_UNUSED", parameters={"unusedForDays": "30"})
    place.house.run_jobs()
    return next_event(place)


def next_event(place: Watched) -> dict[str, Any]:
    event = place.listener.heard.pop(0)
    return {"source": event.source, "detail-type": event.detail_type, "detail": event.detail}


def tags(place: Watched) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in place.secrets.describe_secret(SecretId="old").get("Tags", [])}


def test_a_tag_comes_and_goes(place: Watched) -> None:
    event = unused(place)
    assert actions.tag_handler(event, None)["done"].startswith("tagged unused-since=")
    assert list(tags(place)) == ["unused-since"]
    assert actions.tag_handler(event, None)["done"] == "it was so already"  # delivered twice
    place.secrets.get_secret_value(SecretId="old")
    place.evaluate()
    assert actions.tag_handler(next_event(place), None)["done"] == "untagged"
    assert tags(place) == {}


@pytest.mark.parametrize("before", [None, {"Sid": "Mine", "Effect": "Allow", "Principal": "ADMIN", "Action": "secretsmanager:DescribeSecret", "Resource": "*"}])  # fmt: skip
def test_a_denial_stands_beside_the_policy_and_is_taken_back_by_hand(place: Watched, before: Any) -> None:
    event = unused(place)
    secrets = place.secrets
    if before is not None:
        statement = {**before, "Principal": {"AWS": f"arn:aws:iam::{place.house.account}:root"}}
        policy = json.dumps({"Version": "2012-10-17", "Statement": statement})
        secrets.put_resource_policy(SecretId="old", ResourcePolicy=policy)
    assert actions.deny_handler(event, None)["done"] == "denied to everybody"
    assert actions.deny_handler(event, None)["done"] == "it was so already"
    with pytest.raises(ClientError, match="explicit deny"):
        secrets.get_secret_value(SecretId="old")
    arn = event["detail"]["resourceId"]
    assert actions.deny_handler({"undo": arn}, None) == {"secret": arn, "done": "allowed again"}
    assert actions.deny_handler({"undo": arn}, None)["done"] == "it was so already"
    assert secrets.get_secret_value(SecretId="old")["SecretString"] == "x"
    left = secrets.get_resource_policy(SecretId="old").get("ResourcePolicy")
    assert (left is None) == (before is None)
    assert left is None or [each["Sid"] for each in json.loads(left)["Statement"]] == ["Mine"]
    assert tags(place) == {}


def test_a_deletion_has_a_window_in_which_it_is_taken_back(place: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    event = unused(place)
    monkeypatch.setenv("WINDOW_DAYS", "7")
    assert actions.deletion_handler(event, None)["done"] == "to be deleted in 7 days"
    assert actions.deletion_handler(event, None)["done"] == "it was so already"
    assert "DeletedDate" in place.secrets.describe_secret(SecretId="old")
    arn = event["detail"]["resourceId"]
    assert actions.deletion_handler({"undo": arn}, None)["done"] == "restored"
    assert place.secrets.get_secret_value(SecretId="old")["SecretString"] == "x"
    assert tags(place) == {}


def test_a_secret_that_was_read_since_is_left_alone(place: Watched) -> None:
    event = unused(place)
    place.secrets.get_secret_value(SecretId="old")
    for handler in (actions.tag_handler, actions.deny_handler, actions.deletion_handler):
        assert handler(event, None)["done"].startswith("left alone: it was read")
    assert place.secrets.get_secret_value(SecretId="old")["SecretString"] == "x"


def test_a_secret_that_shall_be_kept_is_left_alone(place: Watched) -> None:
    event = unused(place, Tags=[{"Key": "keep-when-unused", "Value": "the vault of last resort"}])
    assert "keep-when-unused" in actions.deletion_handler(event, None)["done"]


def test_a_secret_that_is_gone_is_left_alone(place: Watched) -> None:
    event = unused(place)
    place.secrets.delete_secret(SecretId="old", ForceDeleteWithoutRecovery=True)
    assert actions.tag_handler(event, None)["done"] == "left alone: it is gone"


def test_other_things_and_other_verdicts_are_left_alone(place: Watched) -> None:
    event = unused(place)
    other = {"detail": {**event["detail"], "resourceType": "AWS::KMS::Key"}}
    assert actions.tag_handler(other, None)["done"] == "left alone: it is no secret"
    event["detail"]["newEvaluationResult"]["complianceType"] = "NOT_APPLICABLE"
    assert actions.tag_handler(event, None)["done"] == "left alone: no verdict"
