"""P2: whatever moment the power goes at, what was acknowledged is on the disk, whole; and the trail is what was written.

`kill -9` proves nothing of this: the kernel still writes what a dead process has written. So a house at work is watched by strace, and every
state that the disk may be in (see crashenum) is opened and looked at.
"""

import hashlib
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import apsw
import pytest

from geumgo import app
from geumgo.audit.line import Head
from geumgo.audit.segment import lines_in
from geumgo.audit.verify import verify
from geumgo.sealing.seals import SealError
from geumgo.settings import CREDENTIALS_NAME, Settings
from tests.clock import TurnedClock
from tests.house import House, Key, turn_botocore
from tests.promises import mixed_work
from tests.promises.crashenum import Event, State, read_log, states, strace
from tests.promises.reached import reaching
from tests.server import clean_environment

STATES: Final = int(os.environ.get("CRASH_STATES", "4000"))
SEED: Final = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
SUBSETS: Final = 8  # random choices after each event
STARTS: Final = max(20, STATES // 200)  # states that a house is started from, instead of their only being looked at
OPERATIONS: Final = max(20, STATES // 300)
REQUEST_ID: Final = re.compile(rb'"requestID":"request-(\d{8})"')


@dataclass
class Run:
    """A house's work as the disk saw it. `answered[at]` is what was acknowledged before event `at`: see `mixed_work`."""

    root: Path
    events: list[Event]

    def marks(self) -> list[tuple[int, str]]:
        return [(at, event.data.decode()) for at, event in enumerate(self.events, 1) if event.kind == "mark"]

    @property
    def ready_at(self) -> int:
        return next(at for at, said in self.marks() if said == "ready")


def watched(directory: Path, operations: int, seed: int, mutant: str = "") -> Run:
    """Let a house do `operations` operations under the eyes of strace."""
    root, log = directory / "house", directory / "strace.log"
    root.mkdir()
    command = [*strace(log), sys.executable, "-m", "tests.promises.mixed_work", str(root), str(operations), str(seed)]
    done = subprocess.run(
        [*command, *([mutant] if mutant else [])], env=clean_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    events = read_log(log, root)
    log.unlink()
    assert events[-1].data == b"closed", done.stdout
    return Run(root, events)


@dataclass
class Found:
    """What a database looks like in one state."""

    digest: str = ""
    anchors: tuple[Head, ...] = ()
    problem: str = ""


@dataclass
class Inspector:
    """Looks at states of one run, in their order. What was looked at once is known the next time."""

    run: Run
    work: Path
    newest: int = -1  # the place in `history` of what everybody sees now
    history: dict[str, int] = field(default_factory=dict)
    acknowledged: int = -1  # the place in `history` of what must be there
    answered: range = range(0)  # the numbers of the requests that were answered
    ready: bool = False
    databases: dict[Any, Found] = field(default_factory=dict)
    trails: dict[Any, tuple[str, frozenset[int]]] = field(default_factory=dict)
    roots: dict[Any, str] = field(default_factory=dict)
    passed: int = 0  # events

    def __post_init__(self) -> None:
        self.data = self.run.root / "data"
        self.database = str(self.data / "geumgo.db")

    def problem(self, state: State) -> str:
        """What is wrong with `state`, or an empty text."""
        self._pass(state.at)
        found = self._database(state)
        if state.how == "all" and not found.problem and found.digest not in self.history:
            self.newest += 1
            self.history[found.digest] = self.newest
        if not self.ready:
            return ""  # nobody was told that there is anything: see `start_from`
        if found.problem:
            return found.problem
        place = self.history.get(found.digest)
        if place is None:
            return "the database shows what was never there"
        if place < self.acknowledged:
            return f"the database shows its state {place}, acknowledged was {self.acknowledged}"
        return self._root(state) or self._trail(state, found.anchors)

    def _pass(self, at: int) -> None:
        for event in self.run.events[self.passed : at]:
            if event.kind == "mark":
                self.ready, self.acknowledged = True, self.newest
                self.answered = range(int(event.data)) if event.data.isdigit() else self.answered
        self.passed = at

    def _database(self, state: State) -> Found:
        parts = tuple(state.key(self.database + part) for part in ("", "-wal", "-journal"))
        if parts not in self.databases:
            self.databases[parts] = (
                self._opened(state) if parts[0] is not None else Found(problem="there is no database")
            )
        return self.databases[parts]

    def _opened(self, state: State) -> Found:
        place = self.work / "look.db"
        for part in ("", "-wal", "-journal"):
            content = state.content(self.database + part)
            path = place.with_name(place.name + part)
            path.unlink(missing_ok=True)
            if content is not None:
                path.write_bytes(content)
        place.with_name(place.name + "-shm").write_bytes(b"\x5a" * 32_768)  # it is never synced: it may hold anything
        try:
            return look_at(place)
        except apsw.Error as fault:
            return Found(problem=f"SQLite: {fault}")

    def _root(self, state: State) -> str:
        """Whether the keys open. The root keys are opened by the seal of the first start, to the end."""
        names = [str(self.data / name) for name in ("seal.key", "keyring.json", "node")]
        keys = tuple(state.key(name) for name in names)
        if keys not in self.roots:
            place = self.work / "keys"
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(mode=0o700)
            for name in names:
                write(place / Path(name).name, state.content(name))
            self.roots[keys] = ""
            try:
                app.directory.open_root(Settings(data=place))
                app.directory.node_of(Settings(data=place))
            except (SealError, OSError) as fault:
                self.roots[keys] = f"the root keys do not open: {fault}"
        return self.roots[keys]

    def _trail(self, state: State, anchors: tuple[Head, ...]) -> str:
        audit = str(self.data / "audit") + "/"
        keys = {path: key for path, key in state.keys().items() if path.startswith(audit)}
        known = (tuple(sorted(keys.items())), anchors)
        if known not in self.trails:
            self.trails[known] = self._verified(state, audit, anchors)
        problem, there = self.trails[known]
        missing = set(self.answered) - there
        return problem or (f"answered without a record: {sorted(missing)[:5]}" if missing else "")

    def _verified(self, state: State, audit: str, anchors: tuple[Head, ...]) -> tuple[str, frozenset[int]]:
        place = self.work / "audit"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        there: set[int] = set()
        for path in state.directories():
            if path.startswith(audit):
                (place / path.removeprefix(audit)).mkdir()
        for path in state.paths():
            if path.startswith(audit) and not path.endswith("/reserve"):
                content = state.content(path)
                assert content is not None
                write(place / path.removeprefix(audit), content)
                lines = [line.raw for _, _, line in lines_in(content) if line is not None]
                there |= {int(found[1]) for line in lines for found in REQUEST_ID.finditer(line)}
        keys = app.directory.trail_keys(app.directory.open_root(Settings(data=self.data)))
        report = verify(place, keys.public_key, anchors, mac_key=keys.mac_key)
        return "; ".join(map(str, report.problems)), frozenset(there)


def write(path: Path, content: bytes | None) -> None:
    if content is not None:
        path.write_bytes(content)
        path.chmod(0o600)


def look_at(place: Path) -> Found:
    """Everything that a database holds, as a digest; and the heads of the trail that it anchors."""
    connection = apsw.Connection(str(place), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        tables = [
            row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        ]
        digest = hashlib.sha256()
        for table in tables:
            digest.update(repr((table, connection.execute(f'SELECT * FROM "{table}"').fetchall())).encode())
        sound = connection.execute("PRAGMA integrity_check").fetchall()
        if sound != [("ok",)]:
            return Found(problem=f"integrity_check: {sound[:3]}")
        columns = "SELECT chain, seq, hash, at_ms, signature FROM audit_head"
        heads = tuple(Head(*row) for row in connection.execute(columns)) if "audit_head" in tables else ()
        return Found(digest.hexdigest(), heads)
    finally:
        connection.close()


@pytest.fixture
def memory() -> Iterator[Path]:
    """A directory that costs no disk: each of thousands of states is written once."""
    place = Path(tempfile.mkdtemp(prefix="geumgo-states-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    yield place
    shutil.rmtree(place)


def start_from(state: State, run: Run, place: Path, clock: TurnedClock) -> str:
    """Start a house on the disk of `state`, as `geumgo serve` does, and read everything. What is wrong, or an empty text."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for path in state.directories():
        (place / Path(path).relative_to(run.root)).mkdir(mode=0o700)
    for path in state.paths():
        write(place / Path(path).relative_to(run.root), state.content(path))
    settings = Settings(data=place / "data", segment_bytes=mixed_work.SEGMENT_BYTES)
    if not (app.initialised(settings) and app.prepare(settings)):
        app.initialise(settings, clock=clock)
    credentials = dict(
        re.findall(r"^(aws_\w+)\s*=\s*(\S+)$", (settings.data / CREDENTIALS_NAME).read_text(), re.MULTILINE)
    )
    admin = Key(credentials["aws_access_key_id"], credentials["aws_secret_access_key"])
    house = House(settings, app.build(settings, slot="api-0", clock=clock), clock, admin, "")
    client = house.client("secretsmanager")
    for secret in client.get_paginator("list_secrets").paginate().search("SecretList[]"):
        client.get_secret_value(SecretId=secret["ARN"])
    client.create_secret(Name="after/the/cut", SecretString="x")
    house.close()
    keys = app.directory.trail_keys(app.directory.open_root(settings))
    report = verify(settings.audit, keys.public_key, house.app.trail.heads(), mac_key=keys.mac_key)
    return "; ".join(map(str, report.problems))


def first_problem(
    run: Run, memory: Path, chance: random.Random, told: Callable[[int], None] = lambda _: None
) -> tuple[str, int, Inspector]:
    """The first thing that is wrong in up to STATES states, spread over the whole run; and how many were looked at.

    `told` hears of each state in which nothing is wrong.
    """
    inspector, looked_at = Inspector(run, memory), 0
    share = min(1.0, STATES / (len(run.events) * (SUBSETS + 2)))
    for state in states(run.events, run.root, chance, subsets=SUBSETS):
        if state.how == "some" and chance.random() > share:
            continue
        problem = inspector.problem(state)
        looked_at += 1
        if problem:
            return f"after event {state.at} ({state.how} of what was not synced): {problem}", looked_at, inspector
        told(1)
    return "", looked_at, inspector


def test_no_state_of_the_disk_has_lost_what_was_acknowledged(
    tmp_path: Path, memory: Path, record_property: Any
) -> None:
    with reaching("P2, states of the disk", SEED) as so_far:
        run = watched(tmp_path, OPERATIONS, SEED)
        so_far.add(operations=OPERATIONS)
        problem, looked_at, inspector = first_problem(run, memory, random.Random(SEED), lambda n: so_far.add(states=n))
        assert not problem, f"seed {SEED}, {problem}"
        so_far.add(different_states=len(inspector.databases) + len(inspector.trails), answers=len(inspector.answered))
    record_property("states", looked_at)
    assert looked_at >= STATES * 0.9
    assert len(inspector.answered) >= OPERATIONS, "hardly anything was acknowledged: the test proves nothing"


def test_a_house_starts_from_states_of_the_disk_and_serves_all_of_it(
    tmp_path: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = TurnedClock(time.time_ns() // 1_000_000 + 3_600_000)
    turn_botocore(monkeypatch, clock)
    run, chance, started = watched(tmp_path, OPERATIONS, SEED), random.Random(SEED), Counter[bool]()
    first = run.ready_at
    for state in states(run.events, run.root, chance, subsets=1):
        is_early = state.at < first  # nobody was told yet that there is anything
        if chance.random() * 3 * (first if is_early else len(run.events) - first) > STARTS / 2:
            continue
        if is_early and not any(path.endswith("/data") for path in state.directories()):
            continue
        problem = start_from(state, run, memory / "start", clock)
        assert not problem, f"seed {SEED}, after event {state.at} ({state.how} of what was not synced): {problem}"
        started[is_early] += 1
    print(f"\nseed {SEED}: started from {started[True]} states of the first start and {started[False]} later ones")
    assert started[True]
    assert started[False]


@pytest.mark.parametrize("mutant", mixed_work.MUTANTS)
def test_a_product_that_syncs_less_is_found_out(tmp_path: Path, memory: Path, mutant: str) -> None:
    run = watched(tmp_path, 25, SEED, mutant)
    problem, looked_at, _ = first_problem(run, memory, random.Random(SEED))
    assert problem, f"seed {SEED}: {looked_at} states, and nothing was lost"
    print(f"\n{mutant}: state {looked_at} {problem}")
