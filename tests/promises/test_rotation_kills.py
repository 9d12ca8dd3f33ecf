"""P16: whatever is killed at whatever point of a rotation, the application has a working credential, and the rotation heals by itself.

Everything is real: processes and `kill -9`, the function in its sandbox, PostgreSQL and MariaDB. `KILLS=160` is the long form, which goes
through every point of every step ten times: one rotation dies four times, once in each of its steps. Runs add up (tests/promises/reached.py).
"""

import io
import os
import random
import threading
import uuid
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import botocore.exceptions
import pytest

from geumgo.rotation_functions import catalog
from geumgo.services.secretsmanager.domain_rotation import STEPS
from tests.promises import dying_server
from tests.promises.dying_server import POINTS
from tests.promises.reached import reaching
from tests.rotation_functions.conftest import mariadb, postgres  # noqa: F401 - fixtures
from tests.rotation_functions.on_lambda import (
    PATIENCE_SECONDS,
    SETTINGS,
    Application,
    Rotated,
    deploy,
    function_name,
)
from tests.rotation_functions.targets import Target, Value
from tests.server import Server

KILLS: Final = int(os.environ.get("KILLS", "2"))
SEED: Final = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
GONE: Final = (botocore.exceptions.HTTPClientError, botocore.exceptions.ConnectionError)
HEALED_SECONDS: Final = 5.0  # and what the steps themselves take, on a machine that is busy with other things
USERS: Final = ("SingleUser", "MultiUser")

Point = tuple[str, str]


@contextmanager
def serving(tmp_path: Path, *fault: str) -> Iterator[Server]:
    environment = {**SETTINGS, "DIES_AT": str(tmp_path / "dies-at")}
    program = [*dying_server.PROGRAM, *fault]
    with Server(tmp_path / "data", arguments=("--workers", "1"), environment=environment, program=program) as server:
        yield server


class Reader:
    """What an application knows of a secret: what it read last, while the server is away."""

    def __init__(self, rotated: Rotated, stages: tuple[str, ...]) -> None:
        self.rotated, self.stages = rotated, stages
        self.client: Any = rotated.server.client("secretsmanager", connect_timeout=1, read_timeout=5)
        self.blind = 0
        self.known: Value = rotated.first

    def gets_in(self) -> bool:
        """One try. Of alternating users what was read last must open the door, however old; of a single user what is read now."""
        for _ in range(3):  # a step may pass between the reading of two labels
            for stage in self.stages:
                try:
                    self.known = self.rotated.value(stage, self.client)
                except GONE:
                    self.blind += 1
                    return len(self.stages) > 1 or self.rotated.target.logs_in(self.known)
                except botocore.exceptions.ClientError as refusal:
                    if refusal.response["Error"]["Code"] != "ResourceNotFoundException":
                        return len(self.stages) > 1 or self.rotated.target.logs_in(self.known)
                    continue
                if self.rotated.target.logs_in(self.known):
                    return True
        return False


def reader(rotated: Rotated, users: str) -> Reader:
    return Reader(rotated, ("AWSCURRENT",) if users == "MultiUser" else ("AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"))


def kill_and_heal(
    server: Server, secrets: list[Rotated], points: Sequence[Point], undisturbed: float
) -> tuple[list[str], float]:
    """All `secrets` are rotated, and at each of `points`, which come one after the other, the server dies: when the first rotation is there.
    Answers what is wrong, and how many seconds it took from its last start until all was well."""
    file = Path(server.environment["DIES_AT"])
    file.write_text(" ".join(points[0]))
    before = [rotated.value() for rotated in secrets]
    tokens = [str(uuid.uuid4()) for _ in secrets]
    to_begin = without_those_that_begin(list(zip(secrets, tokens, strict=True)))
    for following in [*points[1:], None]:
        assert server.process is not None
        server.process.wait(timeout=PATIENCE_SECONDS)
        assert not file.exists()
        server.kill()
        if following is not None:
            file.write_text(" ".join(following))
        try:
            server.start()
        except AssertionError:
            if following is None or file.exists():
                raise
            continue  # the rotation went on, and came to its next point, before the server had said that it is ready
        to_begin = without_those_that_begin(to_begin)
    assert to_begin == []
    problems, healed = [], 0.0
    for rotated, token, old in zip(secrets, tokens, before, strict=True):
        name = f"{rotated.target.module.ENGINE}, {points}"
        try:
            healed += rotated.await_end(token, HEALED_SECONDS + 4 * undisturbed - healed)
        except AssertionError as fault:
            return [f"{name}: {fault}"], healed
        new = rotated.value()
        if new["password"] == old["password"] or not rotated.target.logs_in(new):
            problems.append(f"{name}: AWSCURRENT is not a new password that logs in")
        if set(rotated.labels()) != {"AWSCURRENT", "AWSPREVIOUS"}:
            problems.append(f"{name}: the labels are {rotated.labels()}")
    return problems, healed


def without_those_that_begin(rotations: list[tuple[Rotated, str]]) -> list[tuple[Rotated, str]]:
    """Those that were not begun, for the server died: an earlier one had come to its point already. They are asked for again."""
    for number, (rotated, token) in enumerate(rotations):
        try:
            rotated.begin(token)
        except GONE:
            return rotations[number:]
    return []


def lives(chance: random.Random, kills: int) -> Iterator[list[Point]]:
    """Where one rotation after the other dies, once in each step, `kills` times together: at every point once before at one twice."""
    while kills > 0:
        orders = [chance.sample(POINTS, len(POINTS)) for _ in STEPS]
        for points in zip(*orders, strict=True):
            life = list(zip(STEPS, points, strict=True))
            yield [life[number] for number in sorted(chance.sample(range(len(life)), min(kills, len(life))))]
            kills -= len(life)
            if kills <= 0:
                return


def test_a_rotation_heals_from_a_kill_at_any_point_and_applications_log_in(
    tmp_path: Path, request: pytest.FixtureRequest, record_property: Any
) -> None:
    chance = random.Random(SEED)
    record: Counter[str] = Counter()
    targets = ["postgres"] if len(STEPS) * len(POINTS) > KILLS else ["postgres", "mariadb"]
    with reaching(f"P16, the server dies, {' and '.join(targets)}", SEED) as so_far, serving(tmp_path) as server:
        secrets, applications, readers = [], [], []
        for engine in targets:
            target: Target = request.getfixturevalue(engine)
            for users in USERS:
                rotated = Rotated(server, target, deploy(server, function_name(target.module.ENGINE, users)))
                readers.append(reader(rotated, users))
                secrets.append(rotated)
                applications.append(Application(readers[-1].gets_in))
        tokens = [rotated.begin() for rotated in secrets]
        undisturbed = sum(rotated.await_end(token) for rotated, token in zip(secrets, tokens, strict=True))
        for application in applications:
            application.start()
        try:
            slowest = 0.0
            for points in lives(chance, KILLS):
                problems, healed = kill_and_heal(server, secrets, points, undisturbed)
                failed = [application.failed for application in applications]
                assert (problems, failed) == ([], [[]] * len(failed)), f"seed {SEED}, after {record['kills']} kills"
                slowest = max(slowest, healed)
                record["kills"] += len(points)
                tries = sum(application.tries for application in applications)
                so_far.took(healed=healed)
                counts = {f"at_{step}_{point}": 1 for step, point in points}
                so_far.add(kills=len(points), logins=tries - so_far.counts["logins"], **counts)
        finally:
            for application in applications:
                application.stop()
    record["tries"] = sum(application.tries for application in applications)
    record["failed"] = sum(len(application.failed) for application in applications)
    record["while it was away"] = sum(each.blind for each in readers)
    print(f"\nseed {SEED}: {dict(record)}; undisturbed {undisturbed:.1f} s, healed in {slowest:.1f} s at most")
    for name, figure in record.items():
        record_property(name, figure)
    assert [application.failed for application in applications] == [[]] * len(applications), f"seed {SEED}"
    assert record["tries"] > 10 * KILLS


def test_a_server_that_promises_the_next_step_too_late_is_caught(tmp_path: Path, postgres: Target) -> None:  # noqa: F811
    fault = dying_server.promises_the_next_step_a_moment_later.__name__
    with serving(tmp_path, fault) as server:
        rotated = Rotated(server, postgres, deploy(server, function_name("postgres", "SingleUser")))
        # It dies in between: the step that comes next is promised by nobody. Nothing runs then, so that no patience is needed.
        problems, _ = kill_and_heal(server, [rotated], [("createSecret", "committed")], 0.0)
    assert problems


def setting_before_it_is_written_down(text: str) -> str:
    """setSecret makes up another password when the database has it already, and tells nobody."""
    return text.replace(
        '        pending = self.read("AWSPENDING")\n        if self.logs_in(pending):\n            self._keep(pending, by_master=self._is_set_by_master(pending))\n            return\n        current = self.read("AWSCURRENT")\n        opened',
        '        pending = {**self.read("AWSPENDING"), "password": self.new_password()}\n        current = self.read("AWSCURRENT")\n        opened',
    )


def test_a_function_that_sets_what_it_has_not_written_down_is_caught(tmp_path: Path, postgres: Target) -> None:  # noqa: F811
    name = function_name("postgres", "SingleUser")
    with serving(tmp_path) as server:
        rotated = Rotated(server, postgres, deploy(server, name, mutated(name, setting_before_it_is_written_down)))
        application = Application(reader(rotated, "SingleUser").gets_in)
        application.start()
        rotated.begin()
        for _ in range(600):
            if application.failed:
                break
            threading.Event().wait(0.05)
        application.stop()
    assert application.failed


def mutated(name: str, mutant: Callable[[str], str]) -> bytes:
    """The zip of a function, whose steps are others."""
    made, changed = io.BytesIO(), io.BytesIO()
    catalog.write_zip(name, made)
    with zipfile.ZipFile(made) as old, zipfile.ZipFile(changed, "w") as new:
        for entry in old.namelist():
            text = old.read(entry).decode()
            if entry.endswith("/steps.py"):
                assert mutant(text) != text
                text = mutant(text)
            new.writestr(entry, text)
    return changed.getvalue()
