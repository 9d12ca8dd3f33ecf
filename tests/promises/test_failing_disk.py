"""P3: after the first error of the disk a process acknowledges nothing more, ends within a second, and what it acknowledged is there.

strace makes one system call of a serving process fail with EIO, and sees what the process still says to its clients.
"""

import itertools
import os
import random
import re
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from tests.promises import faulty_server
from tests.promises.callers import AnyCaller, Asks, Heard
from tests.promises.reached import reaching
from tests.promises.test_kill_nine import PATIENCE_SECONDS, Answers, Writer, kept_clients, looked_at, stroke
from tests.promises.things import KINDS
from tests.server import Server

FAULTS: Final = int(os.environ.get("DISK_FAULTS", "10"))
SLOW: Final = faulty_server.with_fault(faulty_server.no_disk_is_quick)
SEED: Final = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
CALLS: Final = (
    "pwrite64",
    "fdatasync",
    "pwrite64",
    "fdatasync",
    "fsync",
    "ftruncate",
    "rename",
    "sync_file_range",
    "openat",
)
MOST: Final = {
    "pwrite64": 150,
    "fdatasync": 150,
    "sync_file_range": 8,
    "openat": 10,
}  # which one fails is chosen among so many
RARE: Final = 2  # of the others, which come once for each segment of the trail
CALLERS: Final = 2
SEGMENT_BYTES: Final = 1 << 20
SECONDS: Final = 300.0  # patience: until the call is made at all
AS_ROOT: Final = [] if os.geteuid() == 0 else ["sudo", "-n"]  # nobody else may look into a process that holds keys

_FAILED = re.compile(r"^\d+ +([\d.]+) .*\(INJECTED\)$", re.MULTILINE)
_SAID = re.compile(r'^\d+ +([\d.]+) (?:write|writev|sendto|sendmsg)\(.*"HTTP/1\.1 2', re.MULTILINE)
_ENDED = re.compile(r"^\d+ +([\d.]+) \+\+\+ (?:exited with 70|killed by)", re.MULTILINE)


@dataclass
class Seen:
    """What strace saw: when the call failed, when the process ended, and how many good answers it gave in between."""

    failed: float
    ended: float | None
    acknowledged: int

    def problem(self) -> str:
        if self.acknowledged:
            return f"{self.acknowledged} requests were acknowledged after the disk had failed"
        if self.ended is None or self.ended - self.failed > 1.0:
            return "the process went on after the disk had failed"
        return ""


class Askers:
    """Whoever asks: writers who remember what was acknowledged, and callers who fill the trail, so that its segments end soon.

    Without `writes` there are callers alone, who read.
    """

    def __init__(self, server: Server, callers: int = CALLERS, *, writes: bool = True) -> None:
        self.clients, self.asks = kept_clients(server, Answers()), Asks(server, writes=writes)
        self.heard = Heard(lambda _: None)
        self.writers, self.callers = len(KINDS) if writes else 0, callers

    def set_out(self, turn: int, stop: threading.Event) -> tuple[list[Writer], list[AnyCaller]]:
        nobody = partial(stroke, self.asks.server, 0)
        writers = [Writer(self.clients, number, turn, nobody) for number in range(self.writers)]
        callers = [AnyCaller(self.asks, self.heard, number, stop) for number in range(self.callers)]
        for each in (*writers, *callers):
            each.start()
        return writers, callers


def fail_one(server: Server, askers: Askers, log: Path, call: str, when: int, turn: int) -> tuple[Seen, list[str]]:
    """Let the `when`-th `call` of the process that answers fail under its writers. Answers what was seen, and what was lost."""
    command = [
        *AS_ROOT,
        *("strace", "-f", "-ttt", "-s", "16", "-o", str(log), "-p", str(server.answering()[0])),
        *("-e", f"trace={','.join({*CALLS})},write,writev,sendto,sendmsg", "-e", "signal=none"),
        *("-e", f"inject={call}:error=EIO:when={when}"),
    ]
    watcher = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert watcher.stderr is not None
    said = watcher.stderr.readline()
    assert "attached" in said, f"strace cannot look into the server: {said}"
    stop = threading.Event()
    writers, callers = askers.set_out(turn, stop)
    deadline = time.monotonic() + SECONDS
    while watcher.poll() is None and time.monotonic() < deadline:  # it ends with the process that it watches
        failed = _FAILED.search(log.read_text("utf-8", "replace"))
        if failed and time.time() - float(failed[1]) > 2.0:
            break
        watcher_done(watcher, 0.2)
    watcher.terminate()
    watcher.communicate()
    stop.set()
    server.kill()
    for each in (*writers, *callers):
        each.join(timeout=PATIENCE_SECONDS)
        assert not each.is_alive()
    server.start()
    problems = [writer.fault for writer in writers if writer.fault and "ServiceUnavailable" not in writer.fault]
    problems += [
        f"{thing.name}: {found}" for writer in writers for thing in writer.things if (found := looked_at(thing))
    ]
    return seen_in(log.read_text("utf-8", "replace")), problems


def watcher_done(watcher: "subprocess.Popen[str]", seconds: float) -> None:
    try:
        watcher.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def seen_in(text: str) -> Seen:
    failed = _FAILED.search(text)
    assert failed, "the call that should have failed was never made"
    after = float(failed[1])
    ended = _ENDED.search(text, failed.end())
    return Seen(after, float(ended[1]) if ended else None, len(_SAID.findall(text[failed.end() :])))


def samples(count: int) -> list[tuple[str, int]]:
    chance = random.Random(SEED)
    return [(call, chance.randint(1, MOST.get(call, RARE))) for call in itertools.islice(itertools.cycle(CALLS), count)]


def serving(tmp_path: Path, program: list[str]) -> Server:
    environment = {"GEUMGO_SEGMENT_BYTES": str(SEGMENT_BYTES)}
    return Server(tmp_path / "data", arguments=("--workers", "1"), environment=environment, program=program)


def test_after_the_first_error_of_the_disk_nothing_more_is_acknowledged_and_nothing_is_lost(tmp_path: Path) -> None:
    with reaching("P3", SEED) as so_far, serving(tmp_path, SLOW) as server:
        askers = Askers(server)
        for turn, (call, when) in enumerate(samples(FAULTS)):
            log = tmp_path / f"{turn}.log"
            seen, lost = fail_one(server, askers, log, call, when, turn)
            assert not seen.problem(), f"seed {SEED}, {call} number {when}: {seen.problem()}"
            assert not lost, f"seed {SEED}, {call} number {when}: {lost}"
            assert seen.ended is not None
            so_far.took(ended_after=seen.ended - seen.failed)
            so_far.add(**{f"failing_{call}": 1})
            log.unlink()
        verdict = server.run("audit", "verify", timeout=600)
        assert verdict.returncode == 0, verdict.stdout + verdict.stderr


def test_a_server_that_goes_on_after_an_error_of_the_disk_is_caught(tmp_path: Path) -> None:
    fault: Callable[[], None] = faulty_server.goes_on_after_an_error_of_the_disk
    with serving(tmp_path, faulty_server.with_fault(fault)) as server:
        seen, _ = fail_one(server, Askers(server), tmp_path / "strace.log", "fdatasync", 20, 0)
    assert seen.problem()


def test_a_server_that_answers_while_the_disk_syncs_is_caught(tmp_path: Path) -> None:
    """Its callers only read: so it is the thread that waits for the disk which comes to the call that fails."""
    fault: Callable[[], None] = faulty_server.answers_while_the_disk_syncs
    with serving(tmp_path, faulty_server.with_fault(fault)) as server:
        askers = Askers(server, callers=8, writes=False)
        seen, _ = fail_one(server, askers, tmp_path / "strace.log", "fdatasync", 20, 0)
    assert seen.problem()
