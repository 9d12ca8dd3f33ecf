"""The end of a sandbox: whoever asks for it waits until the kernel has made it, be the machine ever so busy."""

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from geumgo.functions.sandbox import Sandbox

FREEZER: Final = Path("/sys/fs/cgroup/freezer")
LATE_SECONDS: Final = 8.0  # a machine for whose two cores sixty processes waited took more than five


@contextmanager
def frozen(pid: int) -> Iterator[threading.Timer]:
    """The process, if killed, is not gone before the timer has run."""
    group = FREEZER / f"geumgo-test-{pid}"
    group.mkdir()
    try:
        (group / "cgroup.procs").write_text(str(pid))
        (group / "freezer.state").write_text("FROZEN")
        thaws = threading.Timer(LATE_SECONDS, lambda: (group / "freezer.state").write_text("THAWED"))
        yield thaws
        thaws.join()
    finally:
        group.rmdir()


@pytest.mark.skipif(
    os.geteuid() != 0 or not FREEZER.is_dir(),
    reason="needs root and the freezer of control groups of version 1: nothing else keeps what was killed from ending",
)
def test_a_sandbox_that_the_machine_ends_late_has_ended() -> None:
    ours, theirs = socket.socketpair()
    reading, writing = os.pipe()
    with theirs, subprocess.Popen(["sleep", "600"]) as process:
        box = Sandbox(process, ours, reading, os.pidfd_open(process.pid), process.pid)
        with frozen(process.pid) as thaws:
            began = time.monotonic()
            thaws.start()
            box.end()
            assert time.monotonic() - began >= LATE_SECONDS  # it was not gone before
        assert process.returncode is not None
    for each in (reading, writing):
        os.close(each)
