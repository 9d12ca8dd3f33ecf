"""A process that dies at any point of any step of a rotation: the next one finishes it by itself, at once, and once."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import pytest

from geumgo import app
from geumgo.jobs import worker as jobs_worker
from geumgo.services.secretsmanager.domain_rotation import STEPS
from geumgo.services.secretsmanager.rotation_plan import Plan
from geumgo.storage import Tx
from tests.house import House
from tests.services.secretsmanager import functions
from tests.services.secretsmanager.functions import Functions, Template

WHENS: Final = ("before it is invoked", "half done", "done", "answered", "committed")


class Killed(BaseException):
    """What no handler catches."""


@dataclass
class World:
    """A house with secrets that `functions` rotate; `name` is the one that is looked at."""

    house: House
    functions: Functions
    template: Template
    name: str = ""

    @property
    def client(self) -> Any:
        return self.house.client("secretsmanager")

    def labels(self) -> dict[str, str]:
        stages = self.client.describe_secret(SecretId=self.name)["VersionIdsToStages"]
        return {label: version for version, labels in stages.items() for label in labels}

    def logs_in(self, stage: str) -> bool:
        try:
            text = self.client.get_secret_value(SecretId=self.name, VersionStage=stage)["SecretString"]
        except self.client.exceptions.ResourceNotFoundException:
            return False
        value = json.loads(text)
        return bool(self.template.logins.get(value["username"]) == value["password"])

    def events(self) -> list[str]:
        """What the trail says of the rotation of this secret."""
        return [
            each["eventName"]
            for each in self.house.trail()
            if "Rotation" in each["eventName"] and f":{self.name}-" in each["additionalEventData"]["SecretId"]
        ]

    def make(self, name: str) -> None:
        """A new secret, the one that is looked at from now on."""
        self.name, self.template.logins[name] = name, "old"
        self.client.create_secret(Name=name, SecretString=json.dumps({"username": name, "password": "old"}))

    def rotate(self) -> str:
        version: str = self.client.rotate_secret(SecretId=self.name, RotationLambdaARN=self.functions.arn("f"))[
            "VersionId"
        ]
        return version

    def begin_again(self) -> None:
        """The process that died is started again on the same data."""
        self.house.app.close()
        self.house.app = app.build(self.house.settings, slot="api-0", clock=self.house.clock)
        self.functions.enter(self.house)


@pytest.fixture
def world(house_on_each: House) -> World:
    house = house_on_each
    joined = functions.join(house)
    key = house.user("rotator", {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"})
    template = Template(house, key, {})
    joined.add("f", template)
    return World(house, joined, template)


@contextmanager
def dying(world: World, monkeypatch: pytest.MonkeyPatch, step: str, when: str) -> Iterator[pytest.MonkeyPatch]:
    """The process dies in `step`. What else is patched is patched here, so that it is undone in the right order."""
    arn = world.functions.arn("f")

    def body(event: dict[str, str]) -> None:
        if event["Step"] != step:
            world.template(event)
            return
        if when == "half done":
            half(world.template, event)
        elif when == "done":
            world.template(event)
        raise Killed

    finishing, ask = jobs_worker.Held.finishing, world.house.app.worker._ask

    @contextmanager
    def finishes(self: Any) -> Iterator[Tx]:
        with finishing(self) as tx:
            yield tx
        if self._lease.payload.get("step") == step:
            raise Killed

    def asks(*args: Any, **how: Any) -> Any:
        mine = json.loads(args[4]["Payload"])["Step"] == step
        if mine and when == "before it is invoked":
            raise Killed
        answer = ask(*args, **how)
        if mine:
            raise Killed
        return answer

    with monkeypatch.context() as patch:
        if when in ("half done", "done"):
            patch.setitem(world.functions.bodies, arn, body)
        elif when == "committed":
            patch.setattr(jobs_worker.Held, "finishing", finishes)
        else:
            patch.setattr(world.house.app.worker, "_ask", asks)
        yield patch


def half(template: Template, event: dict[str, str]) -> None:
    """What a function has done when the power goes in the middle: createSecret has made a password and kept none; the database has it, or
    the label was moved, and nobody was told."""
    if event["Step"] in ("setSecret", "finishSecret"):
        template(event)


def kill_in(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    when: str,
    mutant: Callable[[pytest.MonkeyPatch], None] | None = None,
) -> list[str]:
    """A rotation whose process dies in `step`, and is started again. Answers what is wrong afterwards.

    `mutant` is the program of both processes. It is patched over what kills the first one, so it ends with that and is patched anew.
    """
    world.make(step)
    token = world.rotate()
    with dying(world, monkeypatch, step, when) as patch:
        if mutant is not None:
            mutant(patch)
        try:
            world.house.run_jobs()
        except Killed:
            pass
        else:
            return ["nobody was killed"]
    with monkeypatch.context() as patch:
        if mutant is not None:
            mutant(patch)
        world.begin_again()
        return problems_after(world, token)


def problems_after(world: World, token: str) -> list[str]:
    """What is wrong once the process that was started again has worked on the rotation to `token`."""
    problems = []
    if not any(world.logs_in(stage) for stage in ("AWSCURRENT", "AWSPENDING", "AWSPREVIOUS")):
        problems.append("no label logs in")
    world.house.run_jobs()  # without a turn of the clock: at once
    if world.labels() != {"AWSCURRENT": token, "AWSPREVIOUS": world.labels().get("AWSPREVIOUS")}:
        problems.append(f"the labels are {world.labels()}")
    if not world.logs_in("AWSCURRENT"):
        problems.append("AWSCURRENT does not log in")
    if world.events() != ["RotationStarted", "RotationSucceeded"]:
        problems.append(f"the trail says {world.events()}")
    return problems


@pytest.mark.parametrize("when", WHENS)
def test_a_process_that_dies_in_a_step_leaves_a_rotation_that_the_next_one_finishes(
    world: World, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    for step in STEPS:
        assert kill_in(world, monkeypatch, step, when) == [], step


def promises_the_next_step_afterwards(patch: pytest.MonkeyPatch) -> None:
    """The step that comes next is promised when the end of the last one is kept already."""
    promise_step, finishing = Plan.promise_step, jobs_worker.Held.finishing
    owed: list[Callable[[Tx], None]] = []

    def later(self: Plan, secret: Any, rotation: Any, at_ms: int) -> None:
        if rotation.step == STEPS[0]:
            promise_step(self, secret, rotation, at_ms)
        else:
            owed.append(
                lambda tx: promise_step(Plan(tx, self.sealing, self.now_ms, self.event), secret, rotation, at_ms)
            )

    @contextmanager
    def apart(self: Any) -> Iterator[Tx]:
        with finishing(self) as tx:
            yield tx
        while owed:
            with self.storage.writing() as tx:
                owed.pop()(tx)

    patch.setattr(Plan, "promise_step", later)
    patch.setattr(jobs_worker.Held, "finishing", apart)


def forgets_the_label(patch: pytest.MonkeyPatch) -> None:
    """AWSPENDING stays where it is when a rotation has succeeded."""
    succeed = Plan._succeed

    def content(self: Plan, secret: Any, rotation: Any, token: str) -> None:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(Plan, "_with_stages", lambda _self, secret, _stages: secret)
            succeed(self, secret, rotation, token)

    patch.setattr(Plan, "_succeed", content)


@pytest.mark.parametrize("mutant", [promises_the_next_step_afterwards, forgets_the_label])
def test_a_rotation_that_may_be_lost_or_left_behind_is_caught(
    world: World, monkeypatch: pytest.MonkeyPatch, mutant: Callable[[pytest.MonkeyPatch], None]
) -> None:
    assert kill_in(world, monkeypatch, "createSecret", "committed", mutant) != []
