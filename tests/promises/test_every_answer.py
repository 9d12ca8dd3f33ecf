"""P6: no answer without its record, of whatever status, whatever befalls the server: it is killed, stands still, its disk fails or is full.

The ids of all answers that callers have read are looked for in the trail that is on the disk when the server is dead. An answer is excused in one case
only: there was no space for its record, and it says no more than that (503).
"""

import itertools
import os
import random
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from geumgo import app
from geumgo.settings import Settings
from tests.promises import faulty_server
from tests.promises.callers import AnyCaller, Asks, Heard
from tests.promises.reached import SoFar, reaching
from tests.promises.test_full_disk import AS_ROOT, SEGMENT_BYTES, Filler, small_disk
from tests.server import Server

ANSWERS: Final = int(os.environ.get("ANSWERS", "6000"))
SLOW: Final = faulty_server.with_fault(faulty_server.no_disk_is_quick)
SEED: Final = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
CALLERS: Final = 8
BETWEEN: Final = (300, 1_500)  # answers from one blow to the next
IN_VAIN: Final = 4_000
"""Answers, none of them 200: the database is full, and so is what the trail had left in its files."""
MOST_WHILE_FULL: Final = 30_000
"""Answers: two files of the trail and what becomes free meanwhile hold thousands of records."""
STATUSES: Final = {200, 400, 403, 404, 413, 503}  # no service says 401
SIZE: Final = (64 << 20) + 3_000 * ANSWERS  # bytes: 32 MiB are held back
PATIENCE_SECONDS: Final = 120.0
LOCKED_SECONDS: Final = 5.0
CALM_SECONDS: Final = 2.0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", SIZE) as place:
        yield place


class Blows:
    """What befalls the server while `callers` ask. Each returns when the server answers again."""

    def __init__(
        self, server: Server, heard: Heard, callers: list[AnyCaller], disk: Path, chance: random.Random
    ) -> None:
        self.server, self.heard, self.callers, self.chance = server, heard, callers, chance
        self.filler = Filler(disk)
        self.log = disk.parent / "strace.log"

    def killed(self) -> None:
        self.server.strike()
        self.heard.open.clear()  # whoever tries a port at which nobody listens may get through to himself, and hold it
        self.server.kill()
        self.server.start()
        self.heard.open.set()

    def stands_still(self) -> None:
        """One process that answers is stopped, and goes on when the others have said something, if they can."""
        with self._stopped():
            self.await_some(20)
        self.await_answers(1)

    def killed_while_it_stands_still(self) -> None:
        with self._stopped():
            self.await_some(5)
            self.killed()

    @contextmanager
    def _stopped(self) -> Iterator[None]:
        pid = self._one_that_answers()
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            if pid in self.server.members():
                os.kill(pid, signal.SIGCONT)

    def its_disk_fails(self) -> None:
        """A call of one process that answers fails with EIO, once; the process ends, and the supervisor starts another one."""
        pid, call = self._one_that_answers(), self.chance.choice(("pwrite64", "fdatasync"))
        self.log.unlink(missing_ok=True)
        watcher = subprocess.Popen(
            [
                *AS_ROOT,
                *("strace", "-f", "-o", str(self.log), "-p", str(pid), "-e", f"trace={call}", "-e", "signal=none"),
                *("-e", f"inject={call}:error=EIO:when={self.chance.randrange(1, 40)}"),
            ],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert watcher.stderr is not None
        try:
            said = watcher.stderr.readline()
            assert "attached" in said, f"strace cannot look into the server: {said}"
            watcher.wait(PATIENCE_SECONDS)  # it ends with the process that it watches
        finally:
            watcher.terminate()
            watcher.communicate()
        assert re.search("INJECTED", self.log.read_text("utf-8", "replace")), "no call has failed"

    def its_disk_is_full(self) -> None:
        """Whatever becomes free is taken away until nobody is served; then there is space again, and everybody is."""
        statuses = self.heard.statuses
        self.heard.full.set()
        served, since, start = statuses[200], statuses.total(), statuses.total()
        while statuses.total() < min(since + IN_VAIN, start + MOST_WHILE_FULL):
            self.filler.fill()
            if statuses[200] > served:
                served, since = statuses[200], statuses.total()
            self.await_answers(1)
        self.filler.free()
        served = statuses[200]
        self.until(lambda: statuses[200] >= served + 20, "an answer after there was space")
        self._await_everybody(2)
        self._await_calm()
        self.heard.full.clear()

    def _await_calm(self) -> None:
        """No process says any more that there is no space: each looks once a second, and one may have seen it before another."""
        refused, since = self.heard.statuses[503], time.monotonic()
        deadline = since + PATIENCE_SECONDS
        while time.monotonic() < min(since + CALM_SECONDS, deadline):
            if self.heard.statuses[503] != refused:
                refused, since = self.heard.statuses[503], time.monotonic()
            time.sleep(0.01)

    def _await_everybody(self, more: int) -> None:
        before = [caller.answered for caller in self.callers]
        self.until(
            lambda: all(c.answered >= b + more for c, b in zip(self.callers, before, strict=True)), "an answer for each"
        )

    def _one_that_answers(self) -> int:
        found: list[int] = []

        def is_there() -> bool:
            found[:] = self.server.answering()
            return bool(found)

        self.until(is_there, "a process that answers")
        return self.chance.choice(found)

    def await_some(self, more: int) -> None:
        """So many answers, or some seconds without: whoever stands still may have the lock of the database in its hands."""
        before, deadline = self.heard.statuses.total(), time.monotonic() + LOCKED_SECONDS
        while self.heard.statuses.total() < before + more and time.monotonic() < deadline:
            time.sleep(0.01)

    def await_answers(self, more: int) -> None:
        before = self.heard.statuses.total()
        self.until(lambda: self.heard.statuses.total() >= before + more, f"{more} answers")

    def until(self, holds: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            assert time.monotonic() < deadline, (
                f"{what}: nothing like it in {PATIENCE_SECONDS:.0f} s; {self.heard.statuses}"
            )
            time.sleep(0.01)


BLOWS: Final = (
    Blows.killed,
    Blows.stands_still,
    Blows.its_disk_fails,
    Blows.its_disk_is_full,
    Blows.killed_while_it_stands_still,
)


def beaten(
    disk: Path, answers: int, blows: tuple[Callable[[Blows], None], ...], so_far: SoFar, program: list[str]
) -> tuple[Heard, set[str]]:
    """What callers heard of a server that took one blow after the other, each at least once, until there were so many answers.

    And the ids of answers of which the trail knows nothing.
    """
    chance = random.Random(SEED)
    environment = {"GEUMGO_SEGMENT_BYTES": str(SEGMENT_BYTES)}
    with Server(disk / "data", arguments=("--workers", "2"), environment=environment, program=program) as server:
        asks, heard, stop = Asks(server), Heard(lambda count: so_far.add(heard=count)), threading.Event()
        callers = [AnyCaller(asks, heard, number, stop) for number in range(CALLERS)]
        blow = Blows(server, heard, callers, disk, chance)
        for caller in callers:
            caller.start()
        for turn in itertools.count():
            if turn >= len(blows) and heard.statuses.total() >= answers:
                break
            blow.await_answers(chance.randrange(*BETWEEN))
            blows[turn % len(blows)](blow)
            so_far.add(**{blows[turn % len(blows)].__name__: 1})
        server.strike()
        stop.set()
        server.kill()
        for caller in callers:
            caller.join(timeout=30)
            assert not caller.is_alive()
        if blows is BLOWS:
            server.start()
            verdict = server.run("audit", "verify", timeout=600)
            assert verdict.returncode == 0, verdict.stdout + verdict.stderr
            server.kill()
        return heard, heard.ids - heard.excused - recorded(server.data)


def recorded(data: Path) -> set[str]:
    """Every id that the trail on the disk knows."""
    known: set[str] = set()
    for record in app.trail_records(Settings(data=data)):
        known.add(record.get("requestID", ""))
        known.update(record.get("additionalEventData", {}).get("requestIDs", ()))
    return known


def test_no_answer_is_without_its_record_whatever_befalls_the_server(disk: Path) -> None:
    with reaching("P6", SEED) as so_far:
        heard, missing = beaten(disk, ANSWERS, BLOWS, so_far, SLOW)
        assert not missing, f"seed {SEED}: answers without a record: {sorted(missing)[:5]} of {len(missing)}"
        assert not heard.strange, f"seed {SEED}: answers without an id: {heard.strange[:3]}"
        so_far.add(**{f"of_{status}": count for status, count in sorted(heard.statuses.items())})
        so_far.add(excused=len(heard.excused), found_in_the_trail=len(heard.ids - heard.excused))
        assert set(heard.statuses) >= STATUSES, f"the callers were not told everything: {heard.statuses}"


@pytest.mark.parametrize(
    ("fault", "blows"),
    [
        (faulty_server.writes_its_records_afterwards, (Blows.killed,) * 6),
        (faulty_server.swallows_a_full_trail, (Blows.its_disk_is_full,)),
    ],
)
def test_a_server_that_answers_without_a_record_is_caught(
    fault: Callable[[], None], blows: tuple[Callable[[Blows], None], ...], disk: Path
) -> None:
    _, missing = beaten(disk, 0, blows, SoFar("", SEED), faulty_server.with_fault(fault))
    assert missing
