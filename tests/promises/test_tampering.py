"""P7: whatever somebody who cannot sign changes in the trail is found, with the public key alone; and no crash is taken for a change.

    TRAIL_RECORDS=1000000 TRAIL_MUTATIONS=10000 TRAIL_MUTATIONS_IN_FULL=100 TRAIL_CRASHES=500 TRAIL_SERVER_CRASHES=10 \\
        pytest -s tests/promises/test_tampering.py

Most mutations are made, and looked for, in a few neighbouring segments of the long log (see `tampering.Log.window`), the others in all of it.
"""

import importlib
import itertools
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import Any, Final

import pytest

from geumgo import app
from geumgo.app import operators
from geumgo.audit.line import Head, Line
from geumgo.audit.reader import records
from geumgo.audit.verify import Report, verify
from geumgo.settings import Settings
from tests.audit.trails import KEYS
from tests.clock import START_MS
from tests.promises.reached import reaching
from tests.promises.tampering import (
    MUTATIONS,
    Log,
    Mutation,
    Window,
    delete_a_line,
    forge_with_another_key,
    restore_an_old_segment,
    truncate,
)
from tests.promises.test_failing_disk import Askers
from tests.promises.test_kill_nine import PATIENCE_SECONDS
from tests.server import Server

RECORDS: Final = int(os.environ.get("TRAIL_RECORDS", "12000"))
TRIES: Final = int(os.environ.get("TRAIL_MUTATIONS", "330"))
IN_FULL: Final = int(os.environ.get("TRAIL_MUTATIONS_IN_FULL", "11"))
CRASHES: Final = int(os.environ.get("TRAIL_CRASHES", "40"))
SERVERS: Final = int(os.environ.get("TRAIL_SERVER_CRASHES", "1"))
SEED: Final = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
LONG_RECORDS: Final = 1_000_000
SEGMENT_BYTES: Final = int(os.environ.get("TRAIL_SEGMENT_BYTES", "524288" if RECORDS >= LONG_RECORDS else "131072"))
MUTATIONS_PER_WINDOW: Final = 22
MUTANT_TRIES: Final = 44  # of which one must be missed
CRASHES_PER_CHAIN: Final = 10
LEAST_PER_SECOND: Final = 100_000  # records, for each second of CPU; asked of the long log only
LONGEST_LIFE_SECONDS: Final = 0.1  # of a writer that is killed, from its first records on

verifying: Final = importlib.import_module("geumgo.audit.verify")  # the module: the package has a function of that name

Check = Callable[[Window], Report]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Log]:
    directory = tmp_path_factory.mktemp("tampering")
    yield Log(directory / "audit", RECORDS, SEGMENT_BYTES)
    shutil.rmtree(directory)


def check(window: Window) -> Report:
    return window.check()


def verified(log: Log) -> Report:
    return verify(log.directory, KEYS.public_key, [log.anchor])


def missed_by(mutate: Mutation, window: Window, chance: random.Random, look: Check = check) -> bool | None:
    """Whether this mutation is not found; None: it has changed nothing."""
    mutate(window, chance)
    try:
        return look(window).ok if window.is_changed() else None
    finally:
        window.restore()


def missed_in_windows(
    log: Log,
    directory: Path,
    tries: int,
    *,
    kinds: Sequence[Mutation] = MUTATIONS,
    look: Check = check,
    told: Callable[[str], None] = lambda _: None,
) -> Counter[str]:
    """The kinds of the mutations that were not found, of `tries`. `told` hears of each that was."""
    missed, chance, made = Counter[str](), random.Random(SEED), 0
    turn = itertools.cycle(kinds)
    while made < tries:
        shutil.rmtree(directory, ignore_errors=True)
        window = log.window(directory, chance)
        assert window.check().ok, window.check().problems  # the honest twin
        for mutate in itertools.islice(turn, MUTATIONS_PER_WINDOW):
            found = missed_by(mutate, window, chance, look)
            made += found is not None
            if found:
                missed[mutate.__name__] += 1
            elif found is not None:
                told(mutate.__name__)
        assert window.check().ok, window.check().problems
    return missed


def test_a_long_log_that_nobody_touched_is_sound_and_soon_read(log: Log) -> None:
    with reaching("P7, reading", SEED) as so_far:
        report, took = verified(log), math.inf
        for _ in range(3):  # the best of which counts: others use the same cores
            began = time.process_time()
            verified(log)
            took = min(took, time.process_time() - began)
        assert report.ok, report.problems
        assert report.records >= log.records
        assert report.torn_bytes > 0
        assert report.unsigned == 0
        so_far.add(records=report.records, records_per_second_of_CPU=round(report.records / took))
        assert RECORDS < LONG_RECORDS or report.records / took >= LEAST_PER_SECOND


def test_every_mutation_is_found(log: Log, tmp_path: Path) -> None:
    with reaching("P7, mutations", SEED) as so_far:
        missed = missed_in_windows(log, tmp_path / "window", TRIES, told=lambda kind: so_far.add(**{kind: 1}))
        assert not missed, f"seed {SEED}: {missed}"


def test_every_mutation_is_found_in_all_of_the_log(log: Log) -> None:
    chance, made, turn = random.Random(SEED), 0, itertools.cycle(MUTATIONS)
    with reaching("P7, mutations in full", SEED) as so_far:
        while made < IN_FULL:
            mutate = next(turn)
            missed = missed_by(mutate, log.whole(chance), chance)
            assert not missed, f"seed {SEED}, number {made}: {mutate.__name__}"
            if missed is not None:
                made += 1
                so_far.add(**{mutate.__name__: 1})
        assert verified(log).ok


def test_a_database_that_was_rolled_back_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trail is as it was written; but access keys that were deleted since are there again."""

    def problems() -> list[str]:
        return [problem.what for problem in app.verify_trail(Settings(data=server.data)).problems]

    with Server(tmp_path / "data", arguments=("--workers", "1")) as server:
        server.client("secretsmanager").create_secret(Name="before", SecretString="a")
        assert server.stop() == 0
        older = {path: path.read_bytes() for path in server.data.glob("geumgo.db*")}
        server.start()
        server.client("secretsmanager").create_secret(Name="after", SecretString="b")
        assert server.stop() == 0
        assert not problems()  # the honest twin
        for path in server.data.glob("geumgo.db*"):
            path.unlink()
        for path, data in older.items():
            path.write_bytes(data)
        assert [each.split(":")[0] for each in problems()] == ["the database is of an older moment"]
        assert server.run("audit", "verify").returncode == 1
        server.start()
        server.client("secretsmanager").create_secret(Name="later", SecretString="c")
        assert server.stop() == 0
        assert problems(), "whoever goes on with the older database hides it"
        with monkeypatch.context() as mutant:  # a trail that is not held against the database
            mutant.setattr(operators, "lacking", lambda *_: [])
            assert not problems()


# -- crashes -----------------------------------------------------------------------------------------------------------------


@contextmanager
def writers() -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "tests.promises.dying_trail"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        yield parent
        assert parent.stdin is not None
        parent.stdin.close()


def killed_after(
    parent: "subprocess.Popen[str]", seconds: float, directory: Path, now_ms: int, anchor: Head | None
) -> tuple[list[str], Head | None]:
    """Let a process write a trail, and kill it so many seconds after its first records. Answers what it had acknowledged, and the head kept."""
    assert parent.stdin is not None
    assert parent.stdout is not None
    told = {"directory": str(directory), "now_ms": now_ms, "anchor": astuple(anchor) if anchor else None}
    parent.stdin.write(json.dumps(told) + "\n")
    parent.stdin.flush()
    acknowledged: list[str] = []
    pid, until = 0, 0.0
    for line in parent.stdout:
        said = json.loads(line)
        if "ended" in said:
            break
        pid = said.get("pid", pid)
        acknowledged += said.get("records", [])
        anchor = Head(*said["head"]) if "head" in said else anchor
        until = until or (time.monotonic() + seconds if acknowledged else 0.0)
        if acknowledged and time.monotonic() >= until:
            os.kill(pid, signal.SIGKILL)
            until = math.inf
    return acknowledged, anchor


def test_no_crash_of_a_writer_is_taken_for_a_change(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    with reaching("P7, crashes", SEED) as so_far, writers() as parent:
        for chain in range(-(-CRASHES // CRASHES_PER_CHAIN)):
            directory, acknowledged = tmp_path / f"{chain}", set[str]()
            anchor: Head | None = None
            for crash in range(min(CRASHES_PER_CHAIN, CRASHES - chain * CRASHES_PER_CHAIN)):
                lives = chance.uniform(0.0, LONGEST_LIFE_SECONDS)
                ids, anchor = killed_after(parent, lives, directory, START_MS + crash * 1_000_000, anchor)
                assert ids, "the writer wrote nothing"
                acknowledged |= {*ids}
                report = verify(directory, KEYS.public_key, [anchor] if anchor else [], mac_key=KEYS.mac_key)
                assert report.ok, f"seed {SEED}, crash {crash}: {report.problems}"
                so_far.add(crashes=1, acknowledged_records=len(ids))
            missing = acknowledged - {record["eventID"] for record in records(directory)}
            assert not missing, f"seed {SEED}: {len(missing)} records"
            shutil.rmtree(directory)


def test_no_crash_of_a_whole_server_is_taken_for_a_change(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    with (
        reaching("P7, crashes of servers", SEED) as so_far,
        Server(tmp_path / "data", arguments=("--workers", "2")) as server,
    ):
        askers = Askers(server)
        for turn in range(SERVERS):
            stop = threading.Event()
            writers, callers = askers.set_out(turn, stop)
            stop.wait(chance.uniform(0.1, 1.0))
            server.strike()
            stop.set()
            for each in (*writers, *callers):
                each.join(timeout=PATIENCE_SECONDS)
                assert not each.is_alive()
            server.kill()
            verdict = server.run("audit", "verify", timeout=600)  # as the crash left it
            assert verdict.returncode == 0, f"seed {SEED}, crash {turn}: {verdict.stdout}"
            server.start()
            verdict = server.run("audit", "verify", timeout=600)
            assert verdict.returncode == 0, f"seed {SEED}, after crash {turn}: {verdict.stdout}"
            so_far.add(crashes=1)


# -- mutants -----------------------------------------------------------------------------------------------------------------


def test_a_chain_without_an_anchor_is_caught(log: Log, tmp_path: Path) -> None:
    def look(window: Window) -> Report:
        return verify(window.directory, KEYS.public_key)

    for mutate in (truncate, restore_an_old_segment):
        assert missed_in_windows(log, tmp_path / "window", MUTANT_TRIES, kinds=[mutate], look=look)


def test_a_chain_without_numbers_is_caught(log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take = verifying._Walk._take

    def forgive(self: Any, line: Line | None) -> None:
        if line is not None:
            self._seq, self._hash = line.seq - 1, line.prev
        take(self, line)

    def look(window: Window) -> Report:
        with monkeypatch.context() as mutant:
            mutant.setattr(verifying._Walk, "_take", forgive)
            return window.check()

    assert missed_in_windows(log, tmp_path / "window", MUTANT_TRIES, kinds=[delete_a_line], look=look)


def test_a_chain_that_anybody_may_sign_is_caught(log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def look(window: Window) -> Report:
        with monkeypatch.context() as mutant:
            mutant.setattr(verifying, "_is_signed", lambda *_: True)
            return verify(window.directory, KEYS.public_key)

    assert missed_in_windows(log, tmp_path / "window", MUTANT_TRIES, kinds=[forge_with_another_key], look=look)
