"""What services tell EventBridge of themselves."""

import uuid
from typing import Any

import pytest

from tests.house import House
from tests.services.events.conftest import Log, listen


@pytest.fixture
def secrets(house: House) -> Any:
    return house.client("secretsmanager")


def labels(house: House, log: Log) -> list[tuple[str, str]]:
    house.run_jobs()
    return [(line["detail"]["labelUpdated"], line["detail"]["versionId"]) for line in log.lines()]


def test_a_label_that_moves_is_told(house: House, events: Any, secrets: Any, log: Log) -> None:
    listen(events, log.arn, {"source": ["aws.secretsmanager"], "detail-type": ["Secret Label Updated"]})
    made = secrets.create_secret(Name="app/db", SecretString="canary-one")
    first = made["VersionId"]
    assert labels(house, log) == [("AWSCURRENT", first)]
    (line,) = log.lines()
    assert (line["source"], line["resources"], line["detail"]) == (
        "aws.secretsmanager",
        [made["ARN"]],
        {"name": "app/db", "labelUpdated": "AWSCURRENT", "versionId": first},
    )
    second = secrets.put_secret_value(SecretId="app/db", SecretString="canary-two")["VersionId"]
    pending = str(uuid.uuid4())
    secrets.put_secret_value(
        SecretId="app/db", SecretString="canary-three", ClientRequestToken=pending, VersionStages=["AWSPENDING"]
    )
    secrets.update_secret_version_stage(SecretId="app/db", VersionStage="mine", MoveToVersionId=first)
    third = secrets.update_secret(SecretId="app/db", SecretString="canary-four")["VersionId"]
    secrets.update_secret(SecretId="app/db", Description="nothing moves")
    secrets.tag_resource(SecretId="app/db", Tags=[{"Key": "a", "Value": "b"}])
    secrets.update_secret_version_stage(
        SecretId="app/db", VersionStage="AWSCURRENT", MoveToVersionId=pending, RemoveFromVersionId=third
    )
    expected = [("AWSCURRENT", second), ("mine", first), ("AWSCURRENT", third), ("AWSCURRENT", pending)]
    assert sorted(labels(house, log)[1:]) == sorted(expected)  # what happens in one millisecond has no order
    assert "canary" not in log.path.read_text()


def test_a_write_that_is_refused_tells_nothing(house: House, events: Any, secrets: Any, log: Log) -> None:
    listen(events, log.arn, {"source": ["aws.secretsmanager"]})
    with pytest.raises(secrets.exceptions.ResourceNotFoundException):
        secrets.put_secret_value(SecretId="none", SecretString="x")
    assert labels(house, log) == []


def test_kms_tells_of_rotation_and_deletion(house: House, events: Any, log: Log) -> None:
    kms = house.client("kms")
    listen(events, log.arn, {"source": ["aws.kms"]})
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    key_id = arn.rpartition("/")[2]
    kms.rotate_key_on_demand(KeyId=arn)
    kms.enable_key_rotation(KeyId=arn, RotationPeriodInDays=90)
    house.clock.turn(days=91)
    house.run_jobs()
    kms.schedule_key_deletion(KeyId=arn, PendingWindowInDays=7)
    house.clock.turn(days=8)
    house.run_jobs()
    house.run_jobs()
    assert [(line["detail-type"], line["resources"], line["detail"]) for line in log.lines()] == [
        ("KMS CMK Rotation", [arn], {"key-id": key_id}),
        ("KMS CMK Rotation", [arn], {"key-id": key_id}),
        ("KMS CMK Deletion", [arn], {"key-id": key_id}),
    ]


def test_a_parameter_that_changes_is_told(house: House, events: Any, log: Log) -> None:
    ssm = house.client("ssm")
    listen(events, log.arn, {"source": ["aws.ssm"]})
    ssm.put_parameter(Name="/app/x", Value="canary", Type="String")
    house.clock.turn(ms=1)
    ssm.delete_parameter(Name="/app/x")
    house.run_jobs()
    assert [(line["detail-type"], line["detail"]["operation"]) for line in log.lines()] == [
        ("Parameter Store Change", "Create"), ("Parameter Store Change", "Delete"),
    ]  # fmt: skip
    assert "canary" not in log.path.read_text()


def test_parameter_store_tells_of_changes_and_of_policies(house: House, events: Any, log: Log) -> None:
    ssm = house.client("ssm")
    listen(events, log.arn, {"source": ["aws.ssm"], "detail-type": ["Parameter Store Change"]}, rule="changes")
    wanted = {"source": ["aws.ssm"], "detail": {"parameter-name": [{"prefix": "/app/"}], "policy-type": ["NoChangeNotification"]}}  # fmt: skip
    listen(events, log.arn, wanted, rule="policies")
    policy = '[{"Type":"NoChangeNotification","Version":"1.0","Attributes":{"After":"1","Unit":"Hours"}}]'
    ssm.put_parameter(Name="/app/p", Value="canary", Type="String", Tier="Advanced", Policies=policy)
    house.run_jobs()
    house.clock.turn(ms=3_600_000)
    house.run_jobs()
    house.run_jobs()
    assert [(line["detail-type"], line["detail"].get("operation")) for line in log.lines()] == [
        ("Parameter Store Change", "Create"),
        ("Parameter Store Policy Action", None),
    ]
    assert log.lines()[0]["resources"] == [f"arn:aws:ssm:us-east-1:{house.account}:parameter/app/p"]
    assert "canary" not in log.path.read_text()
