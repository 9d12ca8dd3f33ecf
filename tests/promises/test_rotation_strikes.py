"""P16: the database, the link to it, the process of the function, the one that runs functions or the one that answers dies alone at each boundary.

A secret of a single user, one of alternating users and a managed one are rotated at once; all of them are held at the same point when it dies.
Then: the rotations go on by themselves within five seconds after the end of the disturbance, AWSCURRENT logs in, no AWSPENDING is left, and at
no moment in which the database was there an application stood before a closed door. A step that was under way at the end of the disturbance
ends in its own time, which is the function's and the driver's; the five seconds begin when it has. Not counted in them is the time for which
the server stood in line for a core that others had. `STRIKES=140` is the long form, which
strikes at every point ten times or more, on PostgreSQL, MariaDB and Redis, `VICTIMS=database` one kind alone; the short form strikes PostgreSQL
only. Runs add up (tests/promises/reached.py). `PATIENCE=600` waits that many seconds for what was promised no time, on a machine that does much else.
"""

import os
import random
import select
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import pytest

from geumgo.services.secretsmanager.domain_rotation import STEPS
from tests.promises import telling_server
from tests.promises.dying_server import promises_the_next_step_a_moment_later
from tests.promises.in_line import lines, stood_in_line
from tests.promises.reached import SoFar, reaching
from tests.promises.rotations import MANAGED, World, world
from tests.promises.stage import PATIENCE_SECONDS, Told
from tests.promises.test_rotation_kills import mutated, setting_before_it_is_written_down
from tests.rotation_functions.on_lambda import function_name
from tests.server import descendants

STRIKES: Final = int(os.environ.get("STRIKES", "0"))
SHORT: Final = 2
VICTIMS: Final = os.environ.get("VICTIMS", "database link function host front").split()
SEED: Final = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
GOES_ON_SECONDS: Final = 5.0  # from the end of the disturbance to the next step, or of one that was under way then

Point = tuple[str, str]
CHANGE: Final[list[Point]] = [("setSecret", "changing"), ("setSecret", "changed")]
BOUNDARIES: Final[list[Point]] = [*CHANGE, *((step, point) for step in STEPS for point in ("invoked", "answered"))]
WITHIN: Final[list[Point]] = [  # a function, while it has to do with the database or with the server
    *CHANGE,
    ("createSecret", "kept"),
    ("finishSecret", "kept"),
    *((step, point) for step in STEPS for point in ("begun", "answering")),
]
POINTS: Final[dict[str, list[Point]]] = {
    "database": BOUNDARIES,
    "link": BOUNDARIES,
    "host": [*BOUNDARIES, *((step, "committed") for step in STEPS)],
    "store": [*BOUNDARIES, *((step, "committed") for step in STEPS)],
    "function": WITHIN,
    "front": WITHIN,
}


def ended(pids: Iterable[int]) -> None:
    """SIGKILL, and they are gone."""
    for pid in set(pids):
        with suppress(ProcessLookupError):
            end = os.pidfd_open(pid)
            signal.pidfd_send_signal(end, signal.SIGKILL)
            assert select.select([end], [], [], 10)[0]
            os.close(end)


def is_ready(endpoint: str) -> bool:
    try:
        with urllib.request.urlopen(f"{endpoint}/readyz", timeout=10) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except urllib.error.HTTPError as refusal:
        refusal.close()
        return False


@dataclass
class Strikes:
    """Kills one kind of thing, and looks at what becomes of the rotations."""

    world: World
    victim: str
    chance: random.Random
    so_far: SoFar = field(default_factory=lambda: SoFar("", SEED))
    patience: float = PATIENCE_SECONDS  # for the next attempt, and for the end of what heals
    gaps: list[float] = field(default_factory=list)  # from the end of a disturbance to the next attempt
    waits: list[float] = field(
        default_factory=list
    )  # the same, without a step that was under way then, and without the line
    ends: list[float] = field(default_factory=list)  # to the end of the rotations
    logins: int = field(init=False)  # that have been counted

    def __post_init__(self) -> None:
        self.logins = self._tries()

    def strike(self, step: str, point: str) -> list[str]:
        """Everything is rotated, and the victim dies when all rotations have come to that point of that step. Answers what is wrong."""
        world, stage = self.world, self.world.stage
        before = {kind: rotated.value() for kind, rotated in world.secrets.items()}
        began = time.monotonic()
        # What is managed has no function that could die, or that asks whoever answers.
        has_none = MANAGED if POINTS[self.victim] is WITHIN else ""
        arns = [each.secret for kind, each in world.secrets.items() if kind != has_none]
        holding = stage.hold(arns, step, point)
        tokens = world.rotate_all()
        restored = getattr(self, f"_{self.victim}")(
            holding.await_all(), partial(holding.let_go, goes_on=point != "changed")
        )
        line = lines(world.server.members())
        problems = []
        for kind, rotated in world.secrets.items():
            goes_on = partial(self._goes_on, rotated.secret, began, restored)
            try:
                stage.await_that(goes_on, f"the next attempt of {kind}", self.patience)
            except AssertionError as fault:
                return [str(fault)]
            again = stage.since(restored, rotated.secret, "invoked")
            if again:
                ended_at, line_then = restored, line
                for each in stage.since(restored, rotated.secret, "failed", "answered"):
                    if ended_at < each.at < again[0].at:
                        ended_at, line_then = each.at, _numbered(each.line)
                in_line = stood_in_line(line_then, _numbered(again[0].line), world.server.members()[0])
                self.gaps.append(again[0].at - restored)
                self.waits.append(again[0].at - ended_at - in_line)
                if self.waits[-1] > GOES_ON_SECONDS:
                    problems.append(
                        f"{kind}: it went on {self.gaps[-1]:.1f} s after all was well again, of which it stood in line for "
                        f"{in_line:.1f} s; {self._told(rotated.secret, restored)}"
                    )
        problems += world.wrong(tokens, before, self.patience)
        self.ends.append(time.monotonic() - restored)
        problems += [f"not let in: {each}" for watcher in world.watchers.values() for each in watcher.shut]
        if not problems:
            self._count(step, point)
        return [f"{self.victim}, {step} {point}: {each}" for each in problems]

    def _told(self, secret: str, restored: float) -> str:
        """What the secret's rotation told, and when, from ten seconds before the end of the disturbance on."""
        told = [each for each in self.world.stage.told if each.secret == secret and each.at > restored - 10]
        return ", ".join(f"{each.step} {each.point} {each.at - restored:+.1f} s" for each in told)

    def _count(self, step: str, point: str) -> None:
        so_far, logins = self.so_far, self._tries()
        for gap, wait in list(zip(self.gaps, self.waits, strict=True))[len(so_far.seconds["went_on"]) :]:
            so_far.took(went_on=gap, went_on_of_itself=wait)
        so_far.took(ended=self.ends[-1])
        so_far.add(strikes=1, logins=logins - self.logins, **{f"at_{step}_{point}": 1})
        self.logins = logins

    def _tries(self) -> int:
        return sum(each.tries for each in self.world.applications)

    def figures(self) -> str:
        went_on = f"went on after {max(self.gaps, default=0):.1f} s at most, {max(self.waits, default=0):.1f} s after a step under way and without the line"
        return f"{went_on}, all ended after {max(self.ends, default=0):.1f} s at most"

    def _goes_on(self, secret: str, began: float, restored: float) -> bool:
        """Whether its next attempt has begun, or none is needed."""
        stage = self.world.stage
        return bool(stage.since(restored, secret, "invoked") or stage.since(began, secret, "succeeded"))

    def _has_met(self, held: Told, struck: float, times: int) -> bool:
        """Whether it has failed that often, or needed no database.

        One that stood in the way to the database, waiting for the others to come there, was not answered in time and may have been done again.
        """
        failed = self.world.stage.since(struck, held.secret, "failed")
        return len(failed) >= times or bool(self.world.stage.since(held.at, held.secret, "succeeded"))

    def _database(self, held: list[Told], let_go: Callable[[], None]) -> float:
        """It is back after the rotations have failed."""
        self.world.database.kill()
        self._let_fail(held, let_go)
        self.world.database.start()
        return time.monotonic()

    def _link(self, held: list[Told], let_go: Callable[[], None]) -> float:
        """All ways from the server and from functions to the database, which goes on for everybody else. Back as the database is."""
        for each in self.world.links.values():
            each.cut()
        self._let_fail(held, let_go)
        for each in self.world.links.values():
            each.mend()
        return time.monotonic()

    def _let_fail(self, held: list[Told], let_go: Callable[[], None]) -> None:
        """The rotations go on, and have failed for the first, second or third time, unless they could do without what is gone."""
        times, struck = self.chance.randrange(1, 4) if STRIKES else 1, time.monotonic()
        let_go()
        for each in held:
            self.world.stage.await_that(partial(self._has_met, each, struck, times), "a failure")

    def _store(self, held: list[Told], let_go: Callable[[], None]) -> float:
        """The database, in which the server keeps what it knows, too. It is back when the server says that it is not ready."""
        self.world.database.kill()
        let_go()
        while is_ready(self.world.server.endpoint):
            threading.Event().wait(0.02)
        self.world.database.start()
        return time.monotonic()

    def _function(self, held: list[Told], let_go: Callable[[], None]) -> float:
        """Its process, or the first one of its sandbox."""
        each_first = [each.sandbox for each in held]
        ended(pid if self.chance.random() < 0.5 else descendants(pid)[0] for pid in each_first)
        let_go()
        return time.monotonic()

    def _front(self, held: list[Told], let_go: Callable[[], None]) -> float:
        """The process that answers what functions and applications ask."""
        answering = self.world.server.answering()
        assert answering, "nobody answers"
        ended(answering)
        struck = time.monotonic()
        let_go()
        return struck

    def _host(self, held: list[Told], let_go: Callable[[], None]) -> float:
        """The process that does the jobs, and runs the functions."""
        ended(each.pid for each in held)
        struck = time.monotonic()
        let_go()
        return struck


def _numbered(line: dict[str, int]) -> dict[int, int]:
    """As `in_line.lines` has it: JSON knows no numbers for keys."""
    return {int(thread): waited for thread, waited in line.items()}


def strikes(strikes: Strikes, count: int) -> list[str]:
    """`count` times at points in a new order each time round; until something is wrong."""
    points = list(POINTS[strikes.victim])
    for number in range(count):
        if number % len(points) == 0:
            strikes.chance.shuffle(points)
        problems = strikes.strike(*points[number % len(points)])
        if problems:
            return [f"seed {SEED}, strike {number}: {each}" for each in problems]
    return []


def kinds(engine: str) -> list[str]:
    """Of secrets. Redis is none of the databases whose master passwords are managed."""
    return ["SingleUser", "MultiUser", *([MANAGED] if engine != "redis" else [])]


def one_at_a_time(made: World, engine: str) -> None:
    """The function of the single user has reserved concurrency: what was struck while it ran must not stand in its own way."""
    made.server.client("lambda").put_function_concurrency(
        FunctionName=function_name(engine, "SingleUser"), ReservedConcurrentExecutions=1
    )


@pytest.mark.parametrize("engine", ["postgres", "mariadb", "redis"] if STRIKES else ["postgres"])
def test_rotations_heal_whatever_dies_alone(tmp_path: Path, engine: str, record_property: Any) -> None:
    with world(tmp_path, engine) as made:
        for kind in kinds(engine):
            made.add(kind, engine)
        one_at_a_time(made, engine)
        made.watch()
        problems = {}
        try:
            for victim in VICTIMS:
                with reaching(f"P16, the {victim} dies, {engine}", SEED) as so_far:
                    struck = Strikes(made, victim, random.Random(SEED), so_far)
                    problems[victim] = strikes(struck, STRIKES or SHORT)
                    print(f"\nseed {SEED}: {engine}, the {victim} dies {len(struck.ends)} times: {struck.figures()}")
                    if problems[victim]:
                        print(*problems[victim], made.server.printed(), sep="\n")
                    assert problems[victim] == []
        finally:
            record = made.stop_watching()
    print(f"{engine}: {record}")
    for name, figure in record.items():
        record_property(name, figure)
    assert record["failed"] == 0, f"seed {SEED}"
    assert record["tries"] > 10


@pytest.mark.skipif(not STRIKES, reason="the long form")
def test_rotations_heal_when_the_database_of_the_server_itself_dies(tmp_path: Path, record_property: Any) -> None:
    """It is the one whose users are rotated, too: nothing is known, and nothing can be done, until it is back."""
    with world(tmp_path, "postgres", in_it=True) as made:
        for kind in kinds("postgres"):
            made.add(kind, "postgres")
        one_at_a_time(made, "postgres")
        made.watch()
        try:
            with reaching("P16, the database of the server dies", SEED) as so_far:
                struck = Strikes(made, "store", random.Random(SEED), so_far)
                assert strikes(struck, STRIKES) == []
        finally:
            record = made.stop_watching()
    print(f"\nseed {SEED}: the server's own database dies {len(struck.ends)} times: {struck.figures()}; {record}")
    for name, figure in record.items():
        record_property(name, figure)
    assert record["failed"] == 0, f"seed {SEED}"


@pytest.mark.parametrize(
    ("fault", "victim", "step", "point"),
    [
        (telling_server.tries_again_after_a_minute, "database", "setSecret", "invoked"),
        (promises_the_next_step_a_moment_later, "host", "createSecret", "committed"),
    ],
)
def test_a_server_that_does_not_go_on_in_time_is_caught(
    tmp_path: Path, fault: Callable[[], None], victim: str, step: str, point: str
) -> None:
    with world(tmp_path, "postgres", fault.__name__) as made:
        made.add("SingleUser", "postgres")
        # Nothing comes, for a minute or at all.
        assert Strikes(made, victim, random.Random(SEED), patience=2 * GOES_ON_SECONDS).strike(step, point) != []


def test_a_function_that_sets_what_it_has_not_written_down_is_caught(tmp_path: Path) -> None:
    name = function_name("postgres", "SingleUser")
    with world(tmp_path, "postgres") as made:
        made.add("SingleUser", "postgres", mutated(name, setting_before_it_is_written_down))
        made.watch()
        problems = Strikes(made, "function", random.Random(SEED), patience=GOES_ON_SECONDS).strike(
            "setSecret", "changed"
        )
        assert made.stop_watching()["failed"] > 0
    assert problems != []
