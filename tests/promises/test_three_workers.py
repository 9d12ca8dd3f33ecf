"""P17: of three workers on one database no two rotate a secret at once, and one that was stopped past its lease changes nothing when it wakes.

The workers are three processes' worth of the product in one: each has a storage, a trail and a name of its own, in a thread of its own. Where one
is stopped, and what the others do meanwhile, is said round by round.
"""

import json
import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

import pytest

from geumgo import app
from geumgo.jobs import lease
from geumgo.jobs.lease import LEASE_MS, Lease
from geumgo.services.secretsmanager.domain_rotation import STEPS
from geumgo.services.secretsmanager.rotation_plan import Plan
from geumgo.storage import Tx
from tests.clock import TurnedClock
from tests.house import House, turn_botocore
from tests.promises.reached import SoFar, reaching
from tests.services.secretsmanager import functions
from tests.services.secretsmanager.functions import Functions, Template

ROUNDS: Final = int(os.environ.get("ROUNDS", "16"))  # 1,000 in the long form
SEED: Final = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
PATIENCE_SECONDS: Final = 30.0

Stop = Literal["before it invokes", "before it tells"]


@dataclass
class Gate:
    """Where a thread stands until it is let on."""

    reached: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)

    def stand(self) -> None:
        self.reached.set()
        assert self.opened.wait(PATIENCE_SECONDS)

    def is_reached(self) -> bool:
        return self.reached.wait(PATIENCE_SECONDS)


@dataclass
class Journal:
    """What the function saw: which calls ran at once, and how often each step was done."""

    template: Template
    lock: threading.Lock = field(default_factory=threading.Lock)
    running: dict[str, int] = field(default_factory=Counter)
    overlaps: int = 0
    steps: list[str] = field(default_factory=list)
    stand: dict[str, Gate] = field(default_factory=dict)  # by step, for the next call of it
    failing: set[str] = field(default_factory=set)  # the steps whose next call fails

    def __call__(self, event: dict[str, str]) -> None:
        with self.lock:
            self.overlaps += self.running[event["SecretId"]] > 0
            self.running[event["SecretId"]] += 1
            self.steps.append(event["Step"])
            gate = self.stand.pop(event["Step"], None)
            fails = event["Step"] in self.failing
            self.failing.discard(event["Step"])
        try:
            if fails:
                raise ConnectionError
            if gate is not None:
                gate.stand()
            self.template(event)
        finally:
            with self.lock:
                self.running[event["SecretId"]] -= 1


@dataclass
class Site:
    """Three workers, and one function."""

    houses: list[House]
    functions: Functions
    journal: Journal

    @property
    def clock(self) -> TurnedClock:
        return self.houses[0].clock

    @property
    def client(self) -> Any:
        return self.houses[0].client("secretsmanager")

    def make(self, name: str) -> str:
        """A new secret that is being rotated. Answers the version that is made."""
        self.journal.template.logins[name] = "old"
        self.client.create_secret(Name=name, SecretString=json.dumps({"username": name, "password": "old"}))
        token: str = self.client.rotate_secret(SecretId=name, RotationLambdaARN=self.functions.arn("f"))["VersionId"]
        return token

    def machine(self) -> dict[str, list[Any]]:
        """Where rotations stand, and what is promised."""
        with self.houses[0].app.storage.reading() as tx:
            return {table: tx.all(f"SELECT * FROM {table} ORDER BY 1") for table in ("secret_rotation", "job")}

    def run_until(self, house: House, step: str) -> None:
        """This worker does the steps before `step`."""
        for _ in range(STEPS.index(step)):
            assert house.app.worker.run_due(1) == 1


@pytest.fixture(params=["sqlite", "postgres"])
def site(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    clock = TurnedClock()
    turn_botocore(monkeypatch, clock)
    with ExitStack() as stack:
        settings: dict[str, Any] = {}
        if request.param == "postgres":
            settings["database"] = stack.enter_context(request.getfixturevalue("postgres_server").database())
        first = House.build(tmp_path, clock, **settings)
        others = [
            House(first.settings, app.build(first.settings, slot=f"api-{n}", clock=clock), clock, first.admin, first.account)
            for n in (1, 2)
        ]  # fmt: skip
        for house in (first, *others):
            stack.callback(house.close)
        key = first.user("rotator", {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"})
        joined = functions.join(first)
        for house in others:
            joined.enter(house)
        # The function comes in by a door of its own: the workers' are theirs alone.
        door = House(first.settings, app.build(first.settings, slot="api-3", clock=clock), clock, first.admin, first.account)  # fmt: skip
        stack.callback(door.close)
        journal = Journal(Template(LockedHouse.of(door), key, {}))
        joined.add("f", journal)
        yield Site([first, *others], joined, journal)


@dataclass
class LockedHouse(House):
    """A house for several threads, one at a time."""

    lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, house: House) -> "LockedHouse":
        return cls(house.settings, house.app, house.clock, house.admin, house.account)

    def send(self, *request: Any, **more: Any) -> Any:
        with self.lock:
            return super().send(*request, **more)


@contextmanager
def stopping(house: House, when: Stop) -> Iterator[Gate]:
    """The worker stands still at the next call that it makes, as under SIGSTOP."""
    worker, gate = house.app.worker, Gate()
    ask = worker._ask

    def stops(*args: Any, **how: Any) -> Any:
        worker._ask = ask
        if when == "before it invokes":
            gate.stand()
            return ask(*args, **how)
        answer = ask(*args, **how)
        gate.stand()
        return answer

    worker._ask = stops
    yield gate
    gate.opened.set()


def runs(house: House, limit: int) -> threading.Thread:
    thread = threading.Thread(target=house.app.worker.run_due, args=(limit,))
    thread.start()
    return thread


def joined(thread: threading.Thread) -> None:
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()


# -- one round --------------------------------------------------------------------------------------------------------


def round_of(site: Site, name: str, step: str, when: Stop, others_are_done: bool) -> list[str]:
    """One worker is stopped in `step` past its lease; the second takes over, and is done or in the middle when the first one wakes."""
    holder, second, third = site.houses
    journal = site.journal
    token = site.make(name)
    site.run_until(holder, step)
    problems = []
    with stopping(holder, when) as stopped:
        asleep = runs(holder, 1)
        assert stopped.is_reached()
        overlaps = journal.overlaps
        site.clock.turn(ms=LEASE_MS + 1)
        if others_are_done:
            second.app.worker.run_due()
            before = site.machine()
            stopped.opened.set()
            joined(asleep)
            if site.machine() != before:
                problems.append("the late worker changed something")
        else:
            gate = journal.stand[step] = Gate()
            busy = runs(second, 1)
            assert gate.is_reached()
            before = site.machine()
            if when == "before it tells":
                stopped.opened.set()
                joined(asleep)
                if site.machine() != before:
                    problems.append("the late worker changed something")
            third.app.worker.run_due()
            gate.opened.set()
            joined(busy)
            stopped.opened.set()
            joined(asleep)
        if journal.overlaps != overlaps:
            problems.append("two steps ran at once")
    third.app.worker.run_due()
    return problems + wrong(site, name, token)


def wrong(site: Site, name: str, token: str, *meanwhile: str) -> list[str]:
    """What is wrong with the secret, once everything has run."""
    stages = site.client.describe_secret(SecretId=name)["VersionIdsToStages"]
    problems = []
    if stages.get(token) != ["AWSCURRENT"] or len(stages) != 2:
        problems.append(f"the labels are {stages}")
    value = json.loads(site.client.get_secret_value(SecretId=name)["SecretString"])
    if site.journal.template.logins[name] != value["password"]:
        problems.append("AWSCURRENT does not log in")
    said = [each["eventName"] for each in site.houses[0].trail() if f":{name}-" in str(each.get("additionalEventData"))]
    told = [each for each in said if each.startswith("Rotation")]
    if told != ["RotationStarted", *meanwhile, "RotationSucceeded"]:
        problems.append(f"the trail says {told}")
    return problems


def rounds(site: Site, count: int, so_far: SoFar | None = None) -> list[str]:
    """`count` rounds, the first 16 of them each another one; until something is wrong."""
    so_far = so_far or SoFar("", SEED)
    chance = random.Random(SEED)
    every = [
        (step, when, done)
        for step in STEPS
        for when in ("before it invokes", "before it tells")
        for done in (True, False)
    ]
    chance.shuffle(every)
    for number in range(count):
        step, when, done = every[number % len(every)]
        problems = round_of(site, f"s{number}", step, when, done)  # type: ignore[arg-type]
        if problems:
            return [f"seed {SEED}, round {number}, stopped {when}, in {step}, others done: {done}: {problems}"]
        so_far.add(rounds=1)
    return []


def test_a_worker_that_was_stopped_past_its_lease_changes_nothing(site: Site, request: pytest.FixtureRequest) -> None:
    engine = request.node.callspec.params["site"]
    with reaching(f"P17, three workers on {engine}", SEED) as so_far:
        assert rounds(site, ROUNDS, so_far) == [], f"seed {SEED}"


def finishes_without_its_fence(patch: pytest.MonkeyPatch) -> None:
    """The end of a job asks who the job is, and not whose it is by now."""

    def finish(tx: Tx, held: Lease) -> None:
        tx.run("DELETE FROM job WHERE id = :id", id=held.id)

    patch.setattr(lease, "finish", finish)


def a_lease_that_has_run_out_counts_for_nothing(patch: pytest.MonkeyPatch) -> None:
    """What is taken over keeps its fence: the renewal of a lease that is gone brings it back."""
    take = lease.take

    def taken(tx: Tx, **how: Any) -> Lease | None:
        found = take(tx, **how)
        if found is None:
            return None
        tx.run("UPDATE job SET fence = 1 WHERE id = :id", id=found.id)
        return replace(found, fence=1)

    patch.setattr(lease, "take", taken)


@pytest.mark.parametrize("mutant", [finishes_without_its_fence, a_lease_that_has_run_out_counts_for_nothing])
@pytest.mark.parametrize("site", ["sqlite"], indirect=True)
def test_workers_without_a_fence_are_caught(
    site: Site, monkeypatch: pytest.MonkeyPatch, mutant: Callable[[pytest.MonkeyPatch], None]
) -> None:
    with monkeypatch.context() as patch:
        mutant(patch)
        assert rounds(site, 16) != []


# -- a window that opens while a rotation is under way ----------------------------------------------------------------


def window_opens_during_a_step(site: Site, name: str) -> list[str]:
    """A rotation that was begun by hand, and failed once, is in the middle of a step when the window of the schedule opens."""
    holder, second, _ = site.houses
    site.journal.template.logins[name] = "old"
    site.client.create_secret(Name=name, SecretString=json.dumps({"username": name, "password": "old"}))
    rules = {"ScheduleExpression": "cron(0 8 * * ? *)", "Duration": "2h"}
    token = site.client.rotate_secret(
        SecretId=name, RotationLambdaARN=site.functions.arn("f"), RotationRules=rules
    )["VersionId"]  # fmt: skip
    site.journal.failing.add("setSecret")
    holder.app.worker.run_due()
    site.clock.turn(ms=2_000)
    site.run_until(holder, "setSecret")
    gate = site.journal.stand["setSecret"] = Gate()
    busy = runs(holder, 1)
    assert gate.is_reached()
    overlaps = site.journal.overlaps
    hour_ms = 3_600_000
    site.clock.turn(ms=24 * hour_ms - site.clock.now_ms() % (24 * hour_ms) + 8 * hour_ms)
    for _ in range(3):  # the holder beats, as it does while it runs
        holder.app.worker.beat(second.app.storage)
        second.app.worker.run_due(1)
        site.clock.turn(ms=hour_ms // 2)
    problems = ["two steps ran at once"] if site.journal.overlaps != overlaps else []
    gate.opened.set()
    joined(busy)
    second.app.worker.run_due()
    return problems + wrong(site, name, token, "RotationFailed")


def test_a_window_that_opens_during_a_step_waits_for_its_end(site: Site) -> None:
    assert window_opens_during_a_step(site, "db") == []


def takes_what_is_locked(patch: pytest.MonkeyPatch) -> None:
    """A job is taken whether or not another one of its lock runs, and a window asks nobody whether a step runs."""

    def due(tx: Tx, now_ms: int) -> tuple[str, int] | None:
        tx.run("UPDATE job SET lock = NULL WHERE state = 'running'")
        return tx.one(
            "SELECT id, fence FROM job WHERE state = 'waiting' AND run_at_ms <= :now_ms ORDER BY run_at_ms LIMIT 1",
            now_ms=now_ms,
        )

    patch.setattr(lease, "_due", due)
    patch.setattr(Plan, "goes_on", lambda *_: False)


@pytest.mark.parametrize("site", ["sqlite"], indirect=True)
def test_workers_that_pass_over_a_lock_are_caught(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        takes_what_is_locked(patch)
        assert window_opens_during_a_step(site, "db") != []
