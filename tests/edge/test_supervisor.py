"""The parent keeps its children running, and nobody outlives anybody who matters. Real processes; the children do next to nothing."""

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from geumgo.context import NOBODY
from geumgo.edge import supervisor
from geumgo.edge.metrics import Board
from geumgo.settings import SettingsError
from tests.edge.wire import DEADLINE_SECONDS, until

PROGRAM = """
import ctypes, os, resource, signal, sys
from pathlib import Path
from geumgo import logs
from geumgo.settings import Settings
from geumgo.edge.supervisor import Child, Supervisor

directory = Path(sys.argv[1])

def write(name, text):
    (directory / f".{name}").write_text(text)
    (directory / f".{name}").rename(directory / name)

def steady(name):
    def run(ready):
        over = []
        signal.signal(signal.SIGTERM, lambda *_: over.append(1))
        dumpable = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)  # PR_GET_DUMPABLE
        write(name, f"{os.getpid()} {resource.getrlimit(resource.RLIMIT_CORE)[1]} {dumpable}")
        ready()
        while not over:
            signal.pause()
        write(f"{name}.end", "drained")
    return run

def stubborn(ready):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    write("stubborn", str(os.getpid()))
    ready()
    while True:
        signal.pause()

def failing(ready):
    raise OSError("no disk")

kinds = {"stubborn": stubborn, "failing": failing}
logs.configure(Settings())
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may have told it to be ignored, as nohup does
children = [Child(name, kinds.get(name) or steady(name)) for name in sys.argv[2:]]
sys.exit(Supervisor(children, grace_seconds=0.2).run(lambda: print("ready", flush=True)))
"""


class Family:
    """A supervisor and its children."""

    def __init__(self, directory: Path, *names: str) -> None:
        self.directory = directory
        command = [sys.executable, "-c", PROGRAM, str(directory), *names]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline()

    def pid(self, name: str) -> int:
        return int((self.directory / name).read_text().split()[0])

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """The signal, and the exit status and log."""
        self.process.send_signal(number)
        _, log = self.process.communicate(timeout=DEADLINE_SECONDS)
        return self.process.returncode, log

    def clean(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.fixture
def family(tmp_path: Path, request: pytest.FixtureRequest):
    made = Family(tmp_path, *request.param)
    yield made
    made.clean()


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("family", [("a", "b", "worker")], indirect=True)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_is_ready_when_all_are_and_a_stop_drains_all(family: Family, number: int):
    assert family.said == "ready\n"
    assert family.end(number)[0] == 0
    assert [(family.directory / f"{name}.end").read_text() for name in ("a", "b", "worker")] == ["drained"] * 3


@pytest.mark.parametrize("family", [("a", "b")], indirect=True)
def test_a_child_that_dies_is_started_again(family: Family):
    first, other = family.pid("a"), family.pid("b")
    os.kill(first, signal.SIGKILL)
    until(lambda: family.pid("a") != first)
    assert family.pid("b") == other
    assert family.end()[0] == 0


@pytest.mark.parametrize("family", [("a", "b", "worker")], indirect=True)
def test_all_are_started_anew_one_after_the_other(family: Family):
    names = ("a", "b", "worker")
    seen = {name: [family.pid(name)] for name in names}
    for _ in range(2):
        family.process.send_signal(signal.SIGUSR1)
        for name in names:
            until(partial(is_another, family, name, seen[name][-1]))
            seen[name].append(family.pid(name))
            assert (family.directory / f"{name}.end").read_text() == "drained"
    until(lambda: not any(gone(pids[-1]) for pids in seen.values()))
    status, log = family.end()
    assert status == 0
    said = [json.loads(line) for line in log.splitlines()]
    assert [each["process"] for each in said if each["event"] == "process is renewed"] == [*names, *names]
    assert "process ended" not in log


def is_another(family: Family, name: str, pid: int) -> bool:
    return family.pid(name) != pid


@pytest.mark.parametrize("family", [("a", "stubborn")], indirect=True)
def test_who_does_not_end_when_it_is_renewed_keeps_nobody_else_from_working(family: Family):
    first, other = family.pid("a"), family.pid("stubborn")
    family.process.send_signal(signal.SIGUSR1)
    until(lambda: family.pid("a") != first)
    assert not gone(other)
    assert family.end()[0] == 0


@pytest.mark.parametrize("family", [("a", "b")], indirect=True)
def test_kill_nine_of_the_parent_ends_the_children(family: Family):
    pids = [family.pid("a"), family.pid("b")]
    family.process.kill()
    until(lambda: all(gone(pid) for pid in pids))


@pytest.mark.parametrize("family", [("a", "stubborn")], indirect=True)
def test_a_child_that_does_not_end_is_killed_after_the_grace(family: Family):
    pid = family.pid("stubborn")
    status, log = family.end()
    assert status == 0
    assert gone(pid)
    assert "did not end within its grace" in log


@pytest.mark.parametrize("family", [("a", "failing")], indirect=True)
def test_a_child_that_cannot_start_ends_all_with_1_and_says_why(family: Family):
    _, log = family.process.communicate(timeout=DEADLINE_SECONDS)
    assert (family.said, family.process.returncode) == ("", 1)
    assert "no disk" in log
    assert gone(family.pid("a"))


@pytest.mark.parametrize("family", [("a",)], indirect=True)
def test_no_core_is_dumped_and_nobody_else_may_look_into_the_memory(family: Family):
    assert (family.directory / "a").read_text().split()[1:] == ["0", "0"]


def test_a_port_that_is_taken_is_said_in_plain_words():
    taken = supervisor.listen("listen", "127.0.0.1:0")
    with (
        taken,
        pytest.raises(SettingsError, match=r"Cannot listen on 127\.0\.0\.1:\d+: Address already in use\. End what"),
    ):
        supervisor.listen("listen", f"127.0.0.1:{taken.getsockname()[1]}")


def test_an_ipv6_address_is_listened_on():
    with supervisor.listen("listen", "[::1]:0") as listener:
        assert listener.getsockname()[0] == "::1"


def test_too_many_different_things_are_counted_as_one():
    board = Board(["api-0"])
    page = board.page("api-0")
    for number in range(6_000):
        page.answered("kms", f"Operation{number}", "", NOBODY)
    page.answered("kms", 'a"} 1\nx{b="', "", NOBODY)
    text = board.text(ready=True)
    counted = [
        int(line.rpartition(" ")[2])
        for line in text.splitlines()
        if line.startswith(("geumgo_requests", "geumgo_uncounted"))
    ]
    assert sum(counted) == 6_001
    assert 'x{b="' not in text
