"""Master passwords that RDS manages, of real databases."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from geumgo.attached.steps import Steps
from geumgo.jobs.worker import Held
from geumgo.outbound import Failed
from geumgo.outbound.databases import Databases
from geumgo.sealing.random import uuid
from tests.house import House
from tests.rotation_functions.targets import Target
from tests.services.rds.attached import Attached

HONEST = {name: getattr(Steps, name) for name in ("_create", "_set")}
KINDS = ["db", "cluster"]


@pytest.fixture(params=KINDS)
def attached(request: pytest.FixtureRequest, house: House, target: Target) -> Attached:
    return Attached(house, target, request.param)


def test_the_secret_appears_and_the_password_is_changed_at_once(attached: Attached) -> None:
    made = attached.create_managed()
    assert made["MasterUserSecret"]["SecretStatus"] == "creating"
    assert attached.status() == "available"
    shown = attached.describe()["MasterUserSecret"]
    assert shown["SecretStatus"] == "active"
    assert ":key/" in shown["KmsKeyId"]
    value = attached.value()
    assert set(value) == {"username", "password"}
    assert value["username"] == attached.user
    assert attached.logs_in(value["password"])
    assert not attached.logs_in("first")
    assert attached.value("AWSPREVIOUS")["password"] == "first"
    secret = attached.sm.describe_secret(SecretId=shown["SecretArn"])
    kind = "Instance" if attached.kind == "db" else "Cluster"
    assert secret["Name"].startswith(f"rds!{attached.kind}-")
    assert secret["OwningService"] == "rds"
    tags = {tag["Key"]: tag["Value"] for tag in secret["Tags"]}
    arn = attached.describe()["DBInstanceArn" if attached.kind == "db" else "DBClusterArn"]
    assert tags == {f"aws:rds:primaryDB{kind}Arn": arn, "aws:secretsmanager:owningService": "rds"}
    assert sorted(secret["VersionIdsToStages"].values()) == [["AWSCURRENT"], ["AWSPREVIOUS"]]


def test_a_rotation_now_changes_it_again(attached: Attached) -> None:
    attached.create_managed()
    before = attached.value()["password"]
    shown = attached.call("modify", RotateMasterUserPassword=True, ApplyImmediately=True)
    assert shown["MasterUserSecret"]["SecretStatus"] == "rotating"
    attached.house.run_jobs()
    after = attached.value()["password"]
    assert attached.describe()["MasterUserSecret"]["SecretStatus"] == "active"
    assert after != before
    assert attached.logs_in(after)
    assert not attached.logs_in(before)


def test_management_is_turned_on_and_off(attached: Attached) -> None:
    attached.create(MasterUserPassword="first")
    attached.house.run_jobs()
    assert attached.status() == "available"
    assert "MasterUserSecret" not in attached.describe()
    shown = attached.call("modify", MasterUserPassword="second")
    assert shown["PendingModifiedValues"] == {"MasterUserPassword": "****"}
    attached.house.run_jobs()
    assert attached.logs_in("second")
    assert not attached.logs_in("first")
    attached.call("modify", ManageMasterUserPassword=True)
    attached.house.run_jobs()
    arn = attached.describe()["MasterUserSecret"]["SecretArn"]
    managed = attached.value()["password"]
    assert attached.logs_in(managed)
    attached.call("modify", ManageMasterUserPassword=False, MasterUserPassword="third /@\"'")
    attached.house.run_jobs()
    assert attached.logs_in("third /@\"'")
    assert not attached.logs_in(managed)
    assert "MasterUserSecret" not in attached.describe()
    assert "DeletedDate" in attached.sm.describe_secret(SecretId=arn)


def test_a_detached_database_leaves_a_secret_that_can_be_restored(attached: Attached) -> None:
    attached.create_managed()
    arn, password = attached.describe()["MasterUserSecret"]["SecretArn"], attached.value()["password"]
    assert attached.call("delete", SkipFinalSnapshot=True)["MasterUserSecret"]["SecretArn"] == arn
    attached.house.run_jobs()
    with pytest.raises(ClientError, match="not found"):
        attached.describe()
    assert "DeletedDate" in attached.sm.describe_secret(SecretId=arn)
    attached.sm.restore_secret(SecretId=arn)
    assert json.loads(attached.sm.get_secret_value(SecretId=arn)["SecretString"])["password"] == password
    assert attached.logs_in(password)


def test_a_job_that_is_killed_between_two_steps_goes_on_where_it_was(
    attached: Attached, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotate_under_kills(attached, monkeypatch)


def test_a_password_that_is_written_down_after_the_database_has_it_is_caught(
    house: House, postgres: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant of P16 for managed rotation."""
    really_create = Steps._create

    def nothing_yet(self: Steps) -> None:
        """The new password is only thought of."""

    def set_first(self: Steps) -> None:
        new, known = uuid(), self.known()
        self._databases.set_password(self._server, self._database.username, known[0], new)
        really_create(self)

    monkeypatch.setattr(Steps, "_create", nothing_yet)
    monkeypatch.setattr(Steps, "_set", set_first)
    with pytest.raises(AssertionError, match="no label logs in"):
        rotate_under_kills(Attached(house, postgres, "db"), monkeypatch)


def rotate_under_kills(attached: Attached, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each call that the job makes, and after the database has changed, it dies once. One of the labels always logs in."""
    with pytest.MonkeyPatch.context() as honest:
        honest.setattr(Steps, "_create", HONEST["_create"])
        honest.setattr(Steps, "_set", HONEST["_set"])
        attached.create_managed()
    died: set[tuple[Any, ...]] = set()
    real = Held.call

    def call(self: Held, *args: Any, **params: Any) -> Any:
        answer = real(self, *args, **params)
        asked = (*args, params.get("VersionStage"), "VersionId" in params, "MoveToVersionId" in params)
        if asked not in died:
            died.add(asked)
            raise ConnectionError("killed")
        return answer

    really_set = Databases.set_password
    changed: list[str] = []

    def set_password(self: Databases, server: Any, username: str, password: str, new: str, **more: Any) -> None:
        really_set(self, server, username, password, new, **more)
        changed.append(new)
        if len(changed) == 1:
            raise ConnectionError("killed")

    monkeypatch.setattr(Held, "call", call)
    monkeypatch.setattr(Databases, "set_password", set_password)
    before = attached.value()["password"]
    attached.call("modify", RotateMasterUserPassword=True, ApplyImmediately=True)
    for _ in range(40):
        attached.house.run_jobs()
        known = [
            value["password"]
            for stage in ("AWSCURRENT", "AWSPENDING", "AWSPREVIOUS")
            if (value := _there(attached, stage))
        ]
        assert any(map(attached.logs_in, known)), "no label logs in"
        if attached.describe()["MasterUserSecret"]["SecretStatus"] == "active":
            break
        attached.house.clock.turn(ms=601_000)
    assert attached.status() == "available"
    assert len(died) == 7
    assert len(changed) == 1
    assert attached.value()["password"] != before
    assert attached.logs_in(attached.value()["password"])
    assert _there(attached, "AWSPENDING") is None


def _there(attached: Attached, stage: str) -> dict[str, str] | None:
    try:
        return attached.value(stage)
    except ClientError:
        return None


def test_a_key_of_ones_own_encrypts_it(house: House, postgres: Target) -> None:
    key = house.client("kms").create_key()["KeyMetadata"]["Arn"]
    attached = Attached(house, postgres, "db")
    attached.create_managed(MasterUserSecretKmsKeyId=key)
    assert attached.describe()["MasterUserSecret"]["KmsKeyId"] == key
    assert attached.logs_in(attached.value()["password"])


def test_it_is_rotated_every_seven_days_and_whenever_anybody_who_may_asks(house: House, target: Target) -> None:
    attached = Attached(house, target, "db")
    attached.create_managed()
    arn = attached.describe()["MasterUserSecret"]["SecretArn"]
    shown = attached.sm.describe_secret(SecretId=arn)
    assert shown["RotationEnabled"] is True
    assert shown["RotationRules"]["AutomaticallyAfterDays"] == 7
    assert "RotationLambdaARN" not in shown
    seen = [attached.value()["password"]]
    for _ in range(8 * 24):
        house.clock.turn(ms=3_600_000)
        house.run_jobs()
    seen.append(attached.value()["password"])
    attached.sm.rotate_secret(SecretId=arn)
    house.run_jobs()
    seen.append(attached.value()["password"])
    assert len(set(seen)) == 3
    assert [attached.logs_in(each) for each in seen] == [False, False, True]
    assert sorted(attached.sm.describe_secret(SecretId=arn)["VersionIdsToStages"].values()) == [
        ["AWSCURRENT"],
        ["AWSPREVIOUS"],
    ]
    function = f"arn:aws:lambda:us-east-1:{house.account}:function:x"
    with pytest.raises(ClientError, match=r"InvalidRequestException.*rotated by rds"):
        attached.sm.rotate_secret(SecretId=arn, RotationLambdaARN=function)
    events = [record["eventName"] for record in house.trail() if record["eventName"].startswith("Rotation")]
    assert events == ["RotationStarted", "RotationSucceeded"] * 3


def test_a_database_that_is_away_makes_the_secret_impaired_until_it_is_back(
    house: House, postgres: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    attached = Attached(house, postgres, "cluster")
    attached.create_managed()
    before = attached.value()["password"]

    def away(*_: Any) -> bool:
        raise Failed("The database cannot be reached.")

    with monkeypatch.context() as patched:
        patched.setattr(Databases, "logs_in", away)
        attached.call("modify", RotateMasterUserPassword=True, ApplyImmediately=True)
        house.run_jobs()
        shown = attached.describe()
        assert shown["MasterUserSecret"]["SecretStatus"] == "impaired"
        assert shown["StatusInfos"][0]["Message"] == "The database cannot be reached."
        assert attached.value()["password"] == before
    house.clock.turn(ms=3_600_000)
    house.run_jobs()
    assert attached.describe()["MasterUserSecret"]["SecretStatus"] == "active"
    assert "StatusInfos" not in attached.describe()
    assert attached.logs_in(attached.value()["password"])
    assert not attached.logs_in(before)


def test_what_is_restored_after_detaching_is_rotated_no_more(house: House, postgres: Target) -> None:
    attached = Attached(house, postgres, "db")
    attached.create_managed()
    arn = attached.describe()["MasterUserSecret"]["SecretArn"]
    attached.call("delete", SkipFinalSnapshot=True)
    house.run_jobs()
    attached.sm.restore_secret(SecretId=arn)
    house.clock.turn(days=20)
    house.run_jobs()
    assert attached.sm.describe_secret(SecretId=arn)["RotationEnabled"] is False


def test_what_is_restored_after_detaching_is_the_customers_own(house: House, postgres: Target) -> None:
    """It can be tagged, changed and deleted, and the database can be attached again with what it holds."""
    attached = Attached(house, postgres, "db")
    attached.create_managed()
    arn, password = attached.describe()["MasterUserSecret"]["SecretArn"], attached.value()["password"]
    attached.call("delete", SkipFinalSnapshot=True)
    house.run_jobs()
    attached.sm.restore_secret(SecretId=arn)
    restored = attached.sm.describe_secret(SecretId=arn)
    assert "OwningService" not in restored
    assert restored["Tags"] == []
    attached.sm.tag_resource(SecretId=arn, Tags=[{"Key": "a", "Value": "b"}])
    attached.create(MasterUserPassword=password)
    house.run_jobs()
    attached.call("modify", ManageMasterUserPassword=True)
    house.run_jobs()
    assert attached.describe()["MasterUserSecret"]["SecretArn"] != arn
    assert attached.logs_in(attached.value()["password"])
    attached.sm.put_secret_value(SecretId=arn, SecretString="no longer of use")
    attached.sm.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
