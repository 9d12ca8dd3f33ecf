"""Secrets that another service owns are rotated by it: what passes between the two, and what comes too late."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

import pytest
from botocore.exceptions import ClientError

from geumgo.context import Params, Place, Work
from geumgo.jobs import promise
from geumgo.services.secretsmanager import store
from geumgo.services.secretsmanager.domain import parse_secret_id
from geumgo.services.secretsmanager.domain_rotation import STEPS
from tests.house import House

DONE: Final = "secretsmanager.rotation_step_done"
DAILY: Final = {"ScheduleExpression": "cron(0 4 * * ? *)", "Duration": "2h"}
HOUR_MS: Final = 3_600_000


@dataclass
class Owner:
    """RDS, as far as a rotation sees it: it is asked for steps, does them with its own rights, and tells how it went.

    With `silent` it does nothing for the time being. `errors` are what it says, once, instead of doing a step.
    """

    house: House
    arn: str
    asked: list[tuple[str, str]] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    silent: bool = False

    def rotate_step(self, work: Work, payload: Params) -> None:
        self.asked.append((payload["step"], payload["token"]))
        if self.silent:
            with work.finishing():
                return
        error = self.errors.pop(payload["step"], "")
        if not error:
            self._do(work, payload)
        with work.finishing() as tx:
            promise(tx, DONE, work.place, {**payload, "error": error}, run_at_ms=work.clock.now_ms())

    def _do(self, work: Work, payload: Params) -> None:
        arn, token = payload["secret"], payload["token"]

        def ask(operation: str, **params: Any) -> Params:
            return work.call("secretsmanager", operation, SecretId=arn, **params)

        labels = {
            label: version
            for version, worn in ask("DescribeSecret")["VersionIdsToStages"].items()
            for label in worn
        }  # fmt: skip
        if payload["step"] == "createSecret":
            ask(
                "PutSecretValue",
                ClientRequestToken=token,
                SecretString=json.dumps({"username": "admin", "password": token}),
                VersionStages=["AWSPENDING"],
            )
        elif payload["step"] == "finishSecret" and labels["AWSCURRENT"] != token:
            ask(
                "UpdateSecretVersionStage",
                VersionStage="AWSCURRENT",
                MoveToVersionId=token,
                RemoveFromVersionId=labels["AWSCURRENT"],
            )

    def tells(self, token: str, step: str, error: str = "") -> None:
        """An answer, whether it was asked for or not."""
        payload = {"secret": self.arn, "token": token, "step": step, "error": error}
        place = Place(self.house.account, "us-east-1")
        with self.house.app.storage.writing() as tx:
            promise(tx, DONE, place, payload, run_at_ms=self.house.clock.now_ms())
        self.house.run_jobs()

    # -- what a caller sees -------------------------------------------------------------------------------------------

    @property
    def client(self) -> Any:
        return self.house.client("secretsmanager")

    def rotate(self, **more: Any) -> str:
        version: str = self.client.rotate_secret(SecretId=self.arn, **more)["VersionId"]
        return version

    def labels(self) -> dict[str, str]:
        stages = self.client.describe_secret(SecretId=self.arn)["VersionIdsToStages"]
        return {label: version for version, labels in stages.items() for label in labels}

    def events(self) -> list[str]:
        return [each["eventName"] for each in self.house.trail() if "Rotation" in each["eventName"]]


@pytest.fixture
def owner(house_on_each: House) -> Owner:
    house = house_on_each
    arn = house.client("secretsmanager").create_secret(
        Name="db", SecretString='{"username":"admin","password":"first"}'
    )["ARN"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "rds.amazonaws.com"},
        "Action": "secretsmanager:*",
        "Resource": "*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": statement})
    house.client("secretsmanager").put_resource_policy(SecretId=arn, ResourcePolicy=policy)
    sealing = house.app.pipeline._parts.sealing
    with house.app.storage.writing() as tx:  # as CreateSecret does it for RDS
        found = store.find(tx, sealing, parse_secret_id(arn, account="", region=""))
        assert found is not None
        store.save(tx, sealing, replace(found.secret, owning_service="rds"))
    made = Owner(house, arn)
    handlers = cast("Mapping[str, Any]", house.app.worker._handlers)
    house.app.worker._handlers = {**handlers, "rds.rotate_step": made.rotate_step}
    return made


def test_its_owner_is_asked_for_each_step_and_does_it_with_its_own_rights(owner: Owner) -> None:
    before = owner.labels()["AWSCURRENT"]
    token = owner.rotate(RotationRules={"AutomaticallyAfterDays": 7})
    owner.house.run_jobs()
    assert owner.asked == [(step, token) for step in STEPS]
    assert owner.labels() == {"AWSCURRENT": token, "AWSPREVIOUS": before}
    assert owner.events() == ["RotationStarted", "RotationSucceeded"]
    found = owner.client.describe_secret(SecretId=owner.arn)
    assert found["RotationEnabled"] is True
    assert "RotationLambdaARN" not in found
    assert found["LastRotatedDate"]


def test_a_function_cannot_take_its_owners_place(owner: Owner) -> None:
    function = f"arn:aws:lambda:us-east-1:{owner.house.account}:function:f"
    with pytest.raises(ClientError, match="InvalidRequestException"):
        owner.rotate(RotationLambdaARN=function)


def test_what_the_owner_says_of_a_failure_is_in_the_trail_and_all_is_tried_again(owner: Owner) -> None:
    owner.errors["setSecret"] = "The database does not answer."
    token = owner.rotate()
    owner.house.run_jobs()
    assert owner.labels()["AWSPENDING"] == token
    failed = next(each for each in owner.house.trail() if each["eventName"] == "RotationFailed")
    assert failed["errorMessage"] == "The database does not answer."
    owner.house.clock.turn(ms=2_000)
    owner.house.run_jobs()
    assert owner.labels()["AWSCURRENT"] == token
    assert [step for step, _ in owner.asked] == ["createSecret", "setSecret", *STEPS]


@pytest.mark.parametrize("late", ["another version", "another step", "twice"])
def test_an_answer_that_nobody_waits_for_changes_nothing(owner: Owner, late: str) -> None:
    owner.silent = True
    token = owner.rotate()
    owner.house.run_jobs()
    if late == "another version":
        owner.tells("0" * 32, "createSecret")
    elif late == "another step":
        owner.tells(token, "finishSecret")
    else:
        owner.tells(token, "createSecret")
        owner.tells(token, "createSecret", "and then it failed")
    assert [step for step, _ in owner.asked] == (["createSecret", "setSecret"] if late == "twice" else ["createSecret"])
    assert owner.events() == ["RotationStarted"]


def test_an_answer_after_the_secret_was_deleted_is_ignored(owner: Owner) -> None:
    owner.silent = True
    token = owner.rotate()
    owner.house.run_jobs()
    sealing = owner.house.app.pipeline._parts.sealing
    with owner.house.app.storage.writing() as tx:  # as DeleteSecret does it for RDS
        found = store.find(tx, sealing, parse_secret_id(owner.arn, account="", region=""))
        assert found is not None
        store.save(tx, sealing, replace(found.secret, deleted_at_ms=owner.house.clock.now_ms()))
    owner.tells(token, "createSecret")
    assert owner.events() == ["RotationStarted"]
    assert [step for step, _ in owner.asked] == ["createSecret"]


@pytest.mark.unverified
def test_only_its_owner_switches_the_rotation_off(owner: Owner) -> None:
    owner.rotate()
    with pytest.raises(ClientError, match="InvalidRequestException"):
        owner.client.cancel_rotate_secret(SecretId=owner.arn)


def test_a_window_that_opens_while_the_owner_is_at_work_waits_for_it(owner: Owner) -> None:
    token = owner.rotate(RotationRules=DAILY)
    assert owner.house.app.worker.run_due(1) == 1  # the owner is asked, and has not begun
    clock = owner.house.clock
    clock.turn(ms=24 * HOUR_MS - clock.now_ms() % (24 * HOUR_MS) + 5 * HOUR_MS)
    with owner.house.app.storage.writing() as tx:  # the window comes first
        tx.run("UPDATE job SET run_at_ms = 1 WHERE kind = 'secretsmanager.rotate'")
    owner.house.run_jobs()
    assert owner.labels()["AWSCURRENT"] == token
    assert [step for step, _ in owner.asked] == list(STEPS)
    assert owner.events() == ["RotationStarted", "RotationSucceeded"]
