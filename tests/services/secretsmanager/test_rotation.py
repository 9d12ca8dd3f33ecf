"""Rotation: what RotateSecret starts, how it moves on, what goes wrong and heals, and what the calendar does."""

import json
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from geumgo.storage import Tx
from tests.house import House, Key
from tests.services.secretsmanager import functions
from tests.services.secretsmanager.functions import Functions, Template

DAILY = {"ScheduleExpression": "cron(0 4 * * ? *)", "Duration": "2h"}
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
OLD = {"username": "app", "password": "old"}


@dataclass
class World:
    """A house with one secret, a function that rotates it, and the database that it is for."""

    house: House
    functions: Functions
    template: Template
    function: str
    arn: str

    @property
    def client(self) -> Any:
        return self.house.client("secretsmanager")

    @property
    def logins(self) -> dict[str, str]:
        return self.template.logins

    def described(self) -> dict[str, Any]:
        found: dict[str, Any] = self.client.describe_secret(SecretId="db")
        return found

    def labels(self) -> dict[str, str]:
        stages = self.described()["VersionIdsToStages"]
        return {label: version for version, labels in stages.items() for label in labels}

    def rotate(self, **more: Any) -> str:
        asked = {"RotationLambdaARN": self.function, "RotationRules": {"AutomaticallyAfterDays": 30}, **more}
        version: str = self.client.rotate_secret(SecretId="db", **asked)["VersionId"]
        return version

    def password(self) -> str:
        found: str = json.loads(self.client.get_secret_value(SecretId="db")["SecretString"])["password"]
        return found

    def events(self) -> list[str]:
        return [each["eventName"] for each in self.house.trail() if "Rotation" in each["eventName"]]

    def turn(self, ms: int) -> None:
        """Time goes on, and what is due meanwhile happens at its time."""
        end_ms = self.house.clock.now_ms() + ms
        while self.house.clock.now_ms() < end_ms:
            self.house.run_jobs()
            due_ms = self._next_due_ms()
            at_ms = min(end_ms, max(due_ms or end_ms, self.house.clock.now_ms() + 1))
            self.house.clock.turn(ms=at_ms - self.house.clock.now_ms())
        self.house.run_jobs()

    def _next_due_ms(self) -> int | None:
        with self.house.app.storage.reading() as tx:
            row = tx.one("SELECT MIN(run_at_ms) FROM job WHERE state = 'waiting'")
        return None if row is None else row[0]


@pytest.fixture
def world(house_on_each: House) -> World:
    house = house_on_each
    joined = functions.join(house)
    key = house.user("rotator", {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"})
    template = Template(house, key, {"app": "old"})
    arn = house.client("secretsmanager").create_secret(Name="db", SecretString=json.dumps(OLD))["ARN"]
    return World(house, joined, template, joined.add("rotator", template), arn)


# -- one rotation -----------------------------------------------------------------------------------------------------


def test_a_rotation_goes_through_its_four_steps_and_leaves_a_new_password(world: World) -> None:
    before = world.labels()["AWSCURRENT"]
    token = world.rotate()
    assert world.labels() == {"AWSCURRENT": before, "AWSPENDING": token}
    assert world.described()["RotationEnabled"] is True
    with pytest.raises(world.client.exceptions.ResourceNotFoundException, match="for VersionId"):
        world.client.get_secret_value(SecretId="db", VersionId=token, VersionStage="AWSPENDING")
    world.house.run_jobs()
    assert world.functions.steps == ["createSecret", "setSecret", "testSecret", "finishSecret"]
    assert {call["ClientRequestToken"] for call in world.functions.calls} == {token}
    assert {call["SecretId"] for call in world.functions.calls} == {world.arn}
    assert world.labels() == {"AWSCURRENT": token, "AWSPREVIOUS": before}
    assert world.password() == world.logins["app"] != "old"
    found = world.described()
    assert found["RotationLambdaARN"] == world.function
    assert found["RotationRules"] == {"AutomaticallyAfterDays": 30}
    assert found["LastRotatedDate"] == datetime.fromtimestamp(world.house.clock.now_ms() // 1000, UTC)
    assert world.events() == ["RotationStarted", "RotationSucceeded"]
    (listed,) = world.client.list_secrets()["SecretList"]
    assert listed["RotationEnabled"] is True
    assert listed["NextRotationDate"] == found["NextRotationDate"]


def test_a_schedule_is_told_in_days_too_once_a_rotation_has_succeeded(world: World) -> None:
    """Source: RotationRulesType.AutomaticallyAfterDays, botocore model: "calculated from the rotation schedule after every ..." """
    given = {"ScheduleExpression": "cron(0 4 1 1/3 ? *)", "Duration": "2h"}
    world.rotate(RotationRules=given)
    assert world.described()["RotationRules"] == given
    world.house.run_jobs()
    assert world.events()[-1] == "RotationSucceeded"
    told = world.described()["RotationRules"]
    assert told == {**given, "AutomaticallyAfterDays": told["AutomaticallyAfterDays"]}
    assert told["AutomaticallyAfterDays"] in (90, 91, 92)
    (listed,) = world.client.list_secrets()["SecretList"]
    assert listed["RotationRules"] == told
    for rate, days in (("rate(10 days)", 10), ("rate(12 hours)", 1), ("rate(30 hours)", 2)):
        world.rotate(RotationRules={"ScheduleExpression": rate}, RotateImmediately=False)
        assert world.described()["RotationRules"] == {"ScheduleExpression": rate, "AutomaticallyAfterDays": days}
        world.house.run_jobs()
    with pytest.raises(world.client.exceptions.InvalidParameterException, match="together"):
        world.rotate(RotationRules=told)  # what is told is not to be given back as it is
    world.rotate(RotationRules={"AutomaticallyAfterDays": 7}, RotateImmediately=False)
    assert world.described()["RotationRules"] == {"AutomaticallyAfterDays": 7}


def test_the_events_of_a_rotation_look_as_on_aws(world: World) -> None:
    token = world.rotate()
    world.house.run_jobs()
    event = next(each for each in world.house.trail() if each["eventName"] == "RotationSucceeded")
    assert event["requestID"] == f"Rotation-{world.arn}-{token}"
    assert event["additionalEventData"] == {"SecretId": world.arn}
    assert event["eventType"] == "AwsServiceEvent"
    assert event["userIdentity"]["invokedBy"] == "secretsmanager.amazonaws.com"


def test_a_retried_call_starts_nothing_again(world: World) -> None:
    token = str(uuid.uuid4())
    world.rotate(ClientRequestToken=token)
    world.rotate(ClientRequestToken=token)
    world.house.run_jobs()
    world.rotate(ClientRequestToken=token)
    world.house.run_jobs()
    assert world.events() == ["RotationStarted", "RotationSucceeded"]


def test_without_rotate_immediately_the_function_is_only_tested_with_a_copy(world: World) -> None:
    before = world.labels()
    token = world.rotate(RotateImmediately=False)
    assert world.labels() == {**before, "AWSPENDING": token}
    copy = world.client.get_secret_value(SecretId="db", VersionStage="AWSPENDING")["SecretString"]
    assert json.loads(copy) == OLD
    world.house.run_jobs()
    assert world.functions.steps == ["testSecret"]
    assert world.labels() == before
    with pytest.raises(world.client.exceptions.ResourceNotFoundException):
        world.client.get_secret_value(SecretId="db", VersionId=token)
    assert world.events() == ["TestRotationStarted", "TestRotationSucceeded"]
    assert "NextRotationDate" in world.described()


def test_a_test_that_fails_says_so_and_leaves_nothing(world: World) -> None:
    before = world.labels()
    world.logins["app"] = "something else"
    world.rotate(RotateImmediately=False)
    world.house.run_jobs()
    assert world.labels() == before
    assert world.events() == ["TestRotationStarted", "TestRotationFailed"]


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"RotationLambdaARN": "arn:aws:s3:::bucket-of-functions"}, "InvalidParameterException"),
        ({"RotationRules": {"AutomaticallyAfterDays": 1, "ScheduleExpression": "rate(1 day)"}}, "together"),
        ({"RotationRules": {"ScheduleExpression": "rate(3 hours)"}}, "InvalidParameterException"),
        ({"RotationRules": {"ScheduleExpression": "cron(5 4 * * ? *)"}}, "InvalidParameterException"),
        ({"RotationRules": {"Duration": "3h"}}, "InvalidParameterException"),
        ({"ExternalSecretRotationRoleArn": "arn:aws:iam::111122223333:role/partner"}, "InvalidParameterException"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_kept(world: World, asked: dict[str, Any], says: str) -> None:
    with pytest.raises(ClientError, match=says):
        world.rotate(**asked)
    assert "RotationEnabled" not in world.described()
    assert "AWSPENDING" not in world.labels()


def test_a_secret_without_a_function_cannot_be_rotated(world: World) -> None:
    with pytest.raises(ClientError, match=r"InvalidRequestException.*No Lambda rotation function ARN is associated"):
        world.client.rotate_secret(SecretId="db")


@pytest.mark.parametrize("principal", ["", "events.amazonaws.com"])
def test_a_function_that_is_not_there_or_lets_us_not_in_is_refused_at_once(world: World, principal: str) -> None:
    arn = world.functions.add("other", world.template, principal=principal) if principal else world.function + "x"
    with pytest.raises(ClientError, match=r"AccessDenied.*cannot invoke the specified Lambda function\. Ensure that"):
        world.rotate(RotationLambdaARN=arn)
    assert "RotationEnabled" not in world.described()


def test_who_may_not_run_the_function_cannot_have_it_run(world: World) -> None:
    key = world.house.user("ann", {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"})
    with pytest.raises(ClientError, match="lambda:InvokeFunction"):
        world.house.client("secretsmanager", key).rotate_secret(SecretId="db", RotationLambdaARN=world.function)


def test_a_secret_that_is_being_rotated_is_not_rotated_again(world: World) -> None:
    world.rotate()
    with pytest.raises(
        ClientError, match=r"InvalidRequestException.*A previous rotation isn't complete\. That rotation"
    ):
        world.rotate()


def test_a_deleted_secret_is_not_rotated_until_it_is_restored(world: World) -> None:
    token = world.rotate()
    world.client.delete_secret(SecretId="db")
    world.house.run_jobs()
    assert not world.functions.calls
    with pytest.raises(ClientError, match="marked for deletion"):
        world.rotate()
    world.client.restore_secret(SecretId="db")
    world.house.run_jobs()
    assert world.labels()["AWSCURRENT"] == token


def test_a_secret_that_is_gone_leaves_no_job(world: World) -> None:
    world.rotate(RotationRules=DAILY)
    world.client.delete_secret(SecretId="db", ForceDeleteWithoutRecovery=True)
    with world.house.app.storage.reading() as tx:
        assert tx.all("SELECT kind FROM job WHERE kind LIKE 'secretsmanager.rotat%'") == []
        assert tx.all("SELECT secret_id FROM secret_rotation") == []


# -- what goes wrong --------------------------------------------------------------------------------------------------


def breaking(world: World, step: str, times: int, *, after: bool) -> Callable[[dict[str, str]], None]:
    """The function, whose `step` breaks the first `times`, before or after what it does."""
    left = [times]

    def body(event: dict[str, str]) -> None:
        if event["Step"] != step or not left[0]:
            world.template(event)
            return
        left[0] -= 1
        if after:
            world.template(event)
        raise ConnectionError(f"password is {world.logins['app']}")

    return body


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", ["createSecret", "setSecret", "testSecret", "finishSecret"])
def test_a_step_that_fails_is_tried_again_with_the_same_version_until_it_works(
    world: World, step: str, after: bool
) -> None:
    world.functions.bodies[world.function] = breaking(world, step, 3, after=after)
    token = world.rotate()
    world.turn(20_000)
    assert world.labels()["AWSCURRENT"] == token
    assert "AWSPENDING" not in world.labels()
    assert world.password() == world.logins["app"] != "old"
    assert world.events() == ["RotationStarted", *["RotationFailed"] * 3, "RotationSucceeded"]
    failed = next(each for each in world.house.trail() if each["eventName"] == "RotationFailed")
    expected = f"Error when executing lambda {world.function} during {step} step: ConnectionError"
    assert failed["errorMessage"] == expected


def test_a_rotation_that_fails_heals_within_five_seconds_of_the_cause_for_two_minutes(world: World) -> None:
    """With two seconds to spare, for attempts take their time."""
    world.functions.bodies[world.function] = breaking(world, "setSecret", 10**6, after=False)
    world.rotate()
    world.turn(116_500)
    world.functions.bodies[world.function] = world.template
    world.turn(3_000)
    assert world.events()[-1] == "RotationSucceeded"


def test_a_step_that_ends_without_the_label_is_a_failure(world: World) -> None:
    def forgetful(event: dict[str, str]) -> None:
        if event["Step"] != "finishSecret":
            world.template(event)

    world.functions.bodies[world.function] = forgetful
    world.rotate()
    world.house.run_jobs()
    failed = next(each for each in world.house.trail() if each["eventName"] == "RotationFailed")
    assert "finishSecret" in failed["errorMessage"]


def test_a_value_put_by_hand_abandons_the_rotation(world: World) -> None:
    world.functions.bodies[world.function] = breaking(world, "setSecret", 10**6, after=False)
    world.rotate()
    world.house.run_jobs()
    mine = world.client.put_secret_value(SecretId="db", SecretString=json.dumps({**OLD, "password": "mine"}))
    assert world.labels()["AWSCURRENT"] == mine["VersionId"]
    assert "AWSPENDING" not in world.labels()
    calls = len(world.functions.calls)
    world.turn(HOUR_MS)
    assert len(world.functions.calls) == calls
    assert world.events()[-1] == "RotationAbandoned"
    world.rotate()


def test_a_pending_label_taken_off_by_hand_ends_the_rotation(world: World) -> None:
    def interrupted(event: dict[str, str]) -> None:
        world.template(event)
        if event["Step"] == "createSecret":
            token = event["ClientRequestToken"]
            world.client.update_secret_version_stage(
                SecretId="db", VersionStage="AWSPENDING", RemoveFromVersionId=token
            )

    world.functions.bodies[world.function] = interrupted
    world.rotate()
    world.house.run_jobs()
    assert world.functions.steps == ["createSecret"]
    assert world.events() == ["RotationStarted", "RotationAbandoned"]


def with_pending_taken_off(world: World) -> str:
    """A rotation waits for its next try, and somebody has taken AWSPENDING off what it made. Answers its version."""
    world.functions.bodies[world.function] = breaking(world, "setSecret", 1, after=False)
    token = world.rotate()
    world.house.run_jobs()
    world.client.update_secret_version_stage(SecretId="db", VersionStage="AWSPENDING", RemoveFromVersionId=token)
    return token


def test_a_rotation_that_waits_for_its_next_try_ends_when_its_pending_label_is_taken_off(world: World) -> None:
    with_pending_taken_off(world)
    calls = len(world.functions.calls)
    world.turn(HOUR_MS)
    assert len(world.functions.calls) == calls, "the function is not asked for what nobody wants"
    assert world.events() == ["RotationStarted", "RotationFailed", "RotationAbandoned"]
    assert world.password() == "old"


def test_a_step_that_fails_because_its_pending_label_was_taken_off_ends_the_rotation(world: World) -> None:
    def interrupted(event: dict[str, str]) -> None:
        token = event["ClientRequestToken"]
        world.client.update_secret_version_stage(SecretId="db", VersionStage="AWSPENDING", RemoveFromVersionId=token)
        world.template(event)

    world.functions.bodies[world.function] = interrupted
    world.rotate()
    world.turn(HOUR_MS)
    assert world.functions.steps == ["createSecret"]
    assert world.events() == ["RotationStarted", "RotationAbandoned"]


def test_when_the_pending_label_was_taken_off_the_secret_can_be_rotated_at_once(world: World) -> None:
    """Source: RotateSecret, API reference: AWSPENDING on no version means that no rotation is in progress."""
    taken_off = with_pending_taken_off(world)
    token = world.rotate()
    world.turn(HOUR_MS)
    assert world.labels()["AWSCURRENT"] == token != taken_off
    assert "AWSPENDING" not in world.labels()
    assert world.password() == world.logins["app"] != "old"
    assert world.events()[2:] == ["RotationAbandoned", "RotationStarted", "RotationSucceeded"]


def test_a_window_makes_a_version_of_its_own_when_the_pending_label_was_taken_off(world: World) -> None:
    world.house.clock.turn(ms=to_midnight(world))
    world.functions.bodies[world.function] = breaking(world, "setSecret", 10**6, after=False)
    taken_off = world.rotate(RotationRules=DAILY)
    world.turn(3 * HOUR_MS + 3_500_000)
    with world.house.app.storage.writing() as tx:  # the next try lies behind the opening of the window
        tx.run("UPDATE job SET run_at_ms = run_at_ms + 7200000 WHERE kind = 'secretsmanager.rotation_step'")
    world.client.update_secret_version_stage(SecretId="db", VersionStage="AWSPENDING", RemoveFromVersionId=taken_off)
    world.functions.bodies[world.function] = world.template
    world.turn(2 * HOUR_MS)
    assert world.labels()["AWSCURRENT"] != taken_off
    assert world.events()[-3:] == ["RotationAbandoned", "RotationStarted", "RotationSucceeded"]


def test_what_is_cancelled_is_not_tried_again_and_the_left_over_version_is_named(world: World) -> None:
    world.functions.bodies[world.function] = breaking(world, "setSecret", 10**6, after=False)
    token = world.rotate(RotationRules=DAILY)
    world.house.run_jobs()
    assert world.client.cancel_rotate_secret(SecretId="db")["VersionId"] == token
    calls = len(world.functions.calls)
    world.turn(3 * DAY_MS)
    assert len(world.functions.calls) == calls
    found = world.described()
    assert found["RotationEnabled"] is False
    assert found["RotationRules"] == DAILY
    assert "NextRotationDate" not in found
    assert world.labels()["AWSPENDING"] == token


def test_a_test_that_is_cancelled_leaves_no_pending_version(world: World) -> None:
    """It would be a copy of the current value, and no rotation could begin until somebody took AWSPENDING off it."""
    before = world.labels()
    world.rotate(RotateImmediately=False)
    assert "VersionId" not in world.client.cancel_rotate_secret(SecretId="db")
    assert world.labels() == before
    assert world.events() == ["TestRotationStarted", "TestRotationFailed"]
    token = world.rotate()
    world.house.run_jobs()
    assert world.labels()["AWSCURRENT"] == token
    assert world.password() == world.logins["app"] != "old"


# -- the calendar -----------------------------------------------------------------------------------------------------


def to_midnight(world: World) -> int:
    return DAY_MS - world.house.clock.now_ms() % DAY_MS


def test_a_schedule_fires_once_in_each_of_its_windows(world: World) -> None:
    world.house.clock.turn(ms=to_midnight(world))
    world.rotate(RotationRules=DAILY, RotateImmediately=False)
    closes = world.described()["NextRotationDate"]
    assert (closes.hour, closes.minute) == (6, 0)
    world.turn(3 * DAY_MS)
    succeeded = [each for each in world.house.trail() if each["eventName"] == "RotationSucceeded"]
    assert len(succeeded) == 3
    assert {each["eventTime"][11:13] for each in succeeded} == {"04"}
    assert world.described()["NextRotationDate"].hour == 6


def test_a_window_that_opens_during_a_test_is_used_after_it(world: World) -> None:
    """The version that a test reads holds the current value: a rotation to it would change nothing."""
    world.house.clock.turn(ms=to_midnight(world))
    world.rotate(RotationRules=DAILY, RotateImmediately=False)
    world.house.clock.turn(ms=5 * HOUR_MS)  # nothing ran yet: the test and the window are due
    with world.house.app.storage.writing() as tx:  # and the window comes first
        tx.run("UPDATE job SET run_at_ms = 1 WHERE kind = 'secretsmanager.rotate'")
    world.turn(HOUR_MS // 2)
    assert world.events() == ["TestRotationStarted", "TestRotationSucceeded", "RotationStarted", "RotationSucceeded"]
    assert world.password() == world.logins["app"] != "old"


def test_a_window_that_opens_while_a_test_waits_for_its_next_try_is_used_after_it(world: World) -> None:
    """As above, for a worker that could not do the test at first: it lost a race, or could not reach what it needs."""
    world.house.clock.turn(ms=to_midnight(world))
    world.rotate(RotationRules=DAILY, RotateImmediately=False)
    world.house.clock.turn(ms=5 * HOUR_MS)
    later_ms = world.house.clock.now_ms() + 60_000
    with world.house.app.storage.writing() as tx:
        tx.run("UPDATE job SET run_at_ms = :later_ms WHERE kind = 'secretsmanager.rotation_step'", later_ms=later_ms)
    world.turn(HOUR_MS // 2)
    assert world.events() == ["TestRotationStarted", "TestRotationSucceeded", "RotationStarted", "RotationSucceeded"]
    assert world.password() == world.logins["app"] != "old"


def test_a_window_that_opens_after_a_test_was_given_up_ends_the_test(world: World) -> None:
    world.house.clock.turn(ms=to_midnight(world))
    world.rotate(RotationRules=DAILY, RotateImmediately=False)
    with world.house.app.storage.writing() as tx:
        tx.run("UPDATE job SET state = 'parked' WHERE kind = 'secretsmanager.rotation_step'")
    world.turn(6 * HOUR_MS)
    assert world.events() == ["TestRotationStarted", "TestRotationFailed", "RotationStarted", "RotationSucceeded"]
    assert world.password() == world.logins["app"] != "old"


def test_a_server_that_was_away_for_a_week_rotates_once(world: World) -> None:
    world.house.clock.turn(ms=to_midnight(world))
    world.rotate(RotationRules=DAILY, RotateImmediately=False)
    world.house.run_jobs()
    world.house.clock.turn(ms=7 * DAY_MS + 12 * HOUR_MS)  # noon: no window is open
    world.house.run_jobs()
    assert "RotationStarted" not in world.events()
    world.turn(DAY_MS)
    assert world.events().count("RotationSucceeded") == 1


def test_what_fails_in_its_window_is_tried_again_in_the_next_with_the_same_version(world: World) -> None:
    world.house.clock.turn(ms=to_midnight(world))
    world.functions.bodies[world.function] = breaking(world, "createSecret", 10**6, after=False)
    world.rotate(RotationRules=DAILY, RotateImmediately=False)
    world.turn(DAY_MS)
    pending = world.labels()["AWSPENDING"]
    due = world.described()["NextRotationDate"].timestamp() * 1000
    assert due < world.house.clock.now_ms(), "what was due and failed is still due"
    hours = {each["eventTime"][11:13] for each in world.house.trail() if each["eventName"] == "RotationFailed"}
    assert hours <= {"04", "05"}
    world.functions.bodies[world.function] = world.template
    world.turn(DAY_MS)
    assert world.labels()["AWSCURRENT"] == pending
    assert world.described()["NextRotationDate"].timestamp() * 1000 > world.house.clock.now_ms()


@pytest.mark.parametrize(
    ("step", "after"), [("setSecret", False), ("setSecret", True), ("testSecret", False), ("finishSecret", False)]
)
def test_what_may_have_changed_the_password_is_ended_though_its_window_has_closed(
    world: World, step: str, after: bool
) -> None:
    """Until then AWSCURRENT may be refused by the database of a single user, and the next window opens after a month."""
    world.house.clock.turn(ms=to_midnight(world))
    world.functions.bodies[world.function] = breaking(world, step, 10**6, after=after)
    world.rotate(RotationRules={"ScheduleExpression": "cron(0 4 23 * ? *)", "Duration": "2h"}, RotateImmediately=False)
    world.turn(DAY_MS + 6 * HOUR_MS)
    assert datetime.fromtimestamp(world.house.clock.now_ms() / 1000, UTC).isoformat() == "2026-09-23T06:00:00+00:00"
    pending = world.labels()["AWSPENDING"]
    tries = len(world.functions.calls)
    world.turn(2 * HOUR_MS)
    assert len(world.functions.calls) > tries, "an hour is the longest wait"
    world.functions.bodies[world.function] = world.template
    world.turn(HOUR_MS)
    assert world.labels()["AWSCURRENT"] == pending
    assert "AWSPENDING" not in world.labels()
    assert world.password() == world.logins["app"] != "old"
    due = world.described()["NextRotationDate"]
    assert due.timestamp() * 1000 > world.house.clock.now_ms()
    assert (due.day, due.hour) == (23, 6)


@pytest.mark.parametrize("by_hand", [False, True])
def test_what_may_have_changed_the_password_is_tried_soon_in_the_next_window_and_after_it_as_before(
    world: World, by_hand: bool
) -> None:
    world.house.clock.turn(ms=to_midnight(world))
    world.functions.bodies[world.function] = breaking(world, "testSecret", 10**6, after=False)
    world.rotate(RotationRules=DAILY, RotateImmediately=by_hand)
    world.turn(DAY_MS + 9 * HOUR_MS)
    tried = [each["eventTime"][:13] for each in world.house.trail() if each["eventName"] == "RotationFailed"]
    windows = Counter(each[:10] for each in tried if each[11:] in {"04", "05"})
    assert all(tries >= 40 for tries in windows.values()), "two minutes of tries, one every three seconds"
    assert len(windows) == 2
    assert {f"{hour:02}" for hour in range(6, 24)} <= {each[11:] for each in tried}, "and in every other hour once"
    assert {each[11:] for each in tried if each[:10] == max(windows)} >= {"06", "07", "08"}
    world.functions.bodies[world.function] = world.template
    world.turn(HOUR_MS)
    assert world.events()[-1] == "RotationSucceeded"
    world.turn(DAY_MS)
    assert world.events().count("RotationSucceeded") == 2


def test_a_clock_that_ran_ahead_and_is_set_back_loses_no_rotation(world: World) -> None:
    """Ten years ahead a window was open, and the rotation under way waits for its next try there."""
    world.house.clock.turn(ms=to_midnight(world))
    world.rotate(RotationRules=DAILY)
    world.house.run_jobs()
    world.house.clock.turn(ms=3_650 * DAY_MS + 5 * HOUR_MS)
    world.functions.bodies[world.function] = breaking(world, "setSecret", 10**6, after=False)
    world.house.run_jobs()
    pending = world.labels()["AWSPENDING"]
    world.functions.bodies[world.function] = world.template
    world.house.clock.turn(ms=-3_650 * DAY_MS)
    world.house.app.tick()
    world.house.run_jobs()
    assert world.labels()["AWSCURRENT"] == pending
    due = world.described()["NextRotationDate"].timestamp() * 1000
    assert 0 < due - world.house.clock.now_ms() < 2 * DAY_MS
    before = world.events().count("RotationSucceeded")
    world.turn(2 * DAY_MS)
    assert world.events().count("RotationSucceeded") == before + 2


def test_a_value_put_by_hand_counts_as_a_rotation_for_the_next_date(world: World) -> None:
    world.rotate(RotationRules={"ScheduleExpression": "rate(10 days)"})
    world.house.run_jobs()
    first = world.described()["NextRotationDate"]
    world.turn(5 * DAY_MS)
    world.client.put_secret_value(SecretId="db", SecretString=json.dumps(OLD))
    assert (world.described()["NextRotationDate"] - first).days == 5


def test_new_rules_replace_the_old_ones_as_a_whole(world: World) -> None:
    world.rotate(RotationRules=DAILY)
    world.house.run_jobs()
    world.rotate(RotationRules={"AutomaticallyAfterDays": 7})
    assert world.described()["RotationRules"] == {"AutomaticallyAfterDays": 7}


# -- who is allowed ---------------------------------------------------------------------------------------------------


def test_a_policy_may_speak_of_the_function_that_rotates(world: World) -> None:
    world.rotate()
    world.house.run_jobs()

    def reader(name: str, function: str) -> Key:
        condition = {"ArnEquals": {"secretsmanager:resource/AllowRotationLambdaArn": function}}
        statement = {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*", "Condition": condition}
        return world.house.user(name, statement)

    allowed = world.house.client("secretsmanager", reader("one", world.function))
    assert allowed.get_secret_value(SecretId="db")["Name"] == "db"
    denied = world.house.client("secretsmanager", reader("two", world.function + "x"))
    with pytest.raises(ClientError, match="AccessDenied"):
        denied.get_secret_value(SecretId="db")


def test_a_row_of_rotation_that_somebody_forged_is_refused(world: World) -> None:
    world.rotate()

    def forge(tx: Tx) -> None:
        tx.run("UPDATE secret_rotation SET lambda_arn = :arn", arn=world.functions.arn("evil"))

    with world.house.app.storage.writing() as tx:
        forge(tx)
    with pytest.raises(ClientError, match=r"InternalFailure|InternalServiceError"):
        world.described()
