"""Master passwords that RDS manages, of real databases."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from geumgo.context import Place
from geumgo.jobs import promise
from geumgo.jobs.worker import Held
from geumgo.outbound.databases import Databases
from geumgo.sealing.random import uuid
from geumgo.services.rds.steps import STEPS
from tests.house import House
from tests.rotation_functions.targets import Target
from tests.services.rds.attached import Attached

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
    """After each call that the job makes, and after the database has changed, it dies once. One of the labels always logs in."""
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

    def set_password(self: Databases, server: Any, username: str, password: str, new: str) -> None:
        really_set(self, server, username, password, new)
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
        assert any(map(attached.logs_in, known))
        if attached.status() == "available":
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


def test_the_steps_that_secrets_manager_asks_for_are_done_and_told(house: House, postgres: Target) -> None:
    """The seam of managed rotation, from the side of the owner."""
    attached = Attached(house, postgres, "db")
    attached.create_managed()
    arn, before = attached.describe()["MasterUserSecret"]["SecretArn"], attached.value()["password"]
    told: list[dict[str, Any]] = []

    def rotation_step_done(work: Any, payload: dict[str, Any]) -> None:
        told.append(payload)
        with work.finishing():
            pass

    house.app.worker._handlers = {**house.app.worker._handlers, "secretsmanager.rotation_step_done": rotation_step_done}
    token = uuid()
    for step in (*STEPS, "nonsense"):
        with house.app.storage.writing() as tx:
            payload = {"secret": arn, "token": token, "step": step}
            promise(tx, "rds.rotate_step", Place(house.account, "us-east-1"), payload, run_at_ms=house.clock.now_ms())
        house.run_jobs()
    assert [each["error"] for each in told] == ["", "", "", "", "There is no step nonsense."]
    assert [each["step"] for each in told[:4]] == list(STEPS)
    assert attached.value()["password"] != before
    assert attached.logs_in(attached.value()["password"])
