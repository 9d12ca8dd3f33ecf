"""What rotation functions that were written for AWS take for granted, beyond what the template of the tests does.

Source: "Lambda rotation functions" and "Troubleshoot rotation", Secrets Manager User Guide; AWS's SecretsManagerRotationTemplate (2025).
"""

import json
import uuid
from collections.abc import Callable

import pytest

from tests.services.secretsmanager.test_rotation import World
from tests.services.secretsmanager.test_rotation import world as world

PENDING = "AWSPENDING"
Event = dict[str, str]


def finishing_itself(world: World, *, broken: int = 0) -> Callable[[Event], None]:
    """The template, which takes AWSPENDING off as its last act, and breaks after that, the first times."""
    left = [broken]

    def body(event: Event) -> None:
        token = event["ClientRequestToken"]
        if "AWSCURRENT" in world.described()["VersionIdsToStages"][token]:
            return
        world.template(event)
        if event["Step"] == "finishSecret":
            world.client.update_secret_version_stage(SecretId="db", VersionStage=PENDING, RemoveFromVersionId=token)
            if left[0]:
                left[0] -= 1
                raise ConnectionError

    return body


def test_each_step_is_told_in_four_texts(world: World) -> None:
    token = world.rotate()
    world.house.run_jobs()
    for step, event in zip(
        ("createSecret", "setSecret", "testSecret", "finishSecret"), world.functions.calls, strict=True
    ):
        said = event.pop("RotationToken")
        assert event == {"Step": step, "SecretId": world.arn, "ClientRequestToken": token}
        assert str(uuid.UUID(said)) == said


def test_a_function_may_take_the_pending_label_off_by_itself(world: World) -> None:
    world.functions.bodies[world.function] = finishing_itself(world)
    before, token = world.labels()["AWSCURRENT"], world.rotate()
    world.house.run_jobs()
    assert world.labels() == {"AWSCURRENT": token, "AWSPREVIOUS": before}
    assert world.events() == ["RotationStarted", "RotationSucceeded"]
    assert "LastRotatedDate" in world.described()
    world.rotate()
    world.house.run_jobs()
    assert world.events()[-2:] == ["RotationStarted", "RotationSucceeded"]


def test_a_function_that_breaks_when_all_is_done_has_rotated(world: World) -> None:
    world.functions.bodies[world.function] = finishing_itself(world, broken=1)
    token = world.rotate()
    world.turn(60_000)
    assert world.labels()["AWSCURRENT"] == token
    assert PENDING not in world.labels()
    assert "RotationAbandoned" not in world.events()
    assert world.events()[-1] == "RotationSucceeded"
    assert "LastRotatedDate" in world.described()


def test_a_pending_label_beside_the_current_one_is_no_rotation_under_way(world: World) -> None:
    current = world.labels()["AWSCURRENT"]
    world.client.update_secret_version_stage(SecretId="db", VersionStage=PENDING, MoveToVersionId=current)
    token = world.rotate()
    world.house.run_jobs()
    assert world.labels() == {"AWSCURRENT": token, "AWSPREVIOUS": current}


def test_a_pending_label_that_somebody_else_left_must_go_first(world: World) -> None:
    """As the guide has it: a version that wears AWSPENDING and is not the current one is a rotation that is not complete."""
    left = world.client.put_secret_value(SecretId="db", SecretString=json.dumps({"x": 1}), VersionStages=[PENDING])
    with pytest.raises(world.client.exceptions.InvalidRequestException, match="A previous rotation isn't complete"):
        world.rotate()
    world.client.update_secret_version_stage(SecretId="db", VersionStage=PENDING, RemoveFromVersionId=left["VersionId"])
    token = world.rotate()
    world.house.run_jobs()
    assert world.labels()["AWSCURRENT"] == token
