"""What is said of the time in line for a core is so: of two that work on one core each waits for the other, and one that sleeps does not."""

import os
import subprocess
import sys
from contextlib import ExitStack

import pytest

from tests.promises.in_line import lines, stood_in_line

READY = "print(flush=True)\ninput()\n"
WORKS = "import time\nbegan = time.process_time()\nwhile time.process_time() - began < 0.5: pass\n"
SLEEPS = "import time\ntime.sleep(1)\n"


def test_who_works_beside_another_one_stands_in_line_and_who_sleeps_does_not() -> None:
    core = min(os.sched_getaffinity(0))
    with ExitStack() as stack:
        started = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", READY + what + READY],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    bufsize=0,
                )
            )
            for what in (WORKS, WORKS, SLEEPS)
        ]
        for each in started[:2]:
            os.sched_setaffinity(each.pid, [core])
        said(started)
        before = lines(each.pid for each in started)
        told(started)
        said(started)
        after = lines(each.pid for each in started)
        told(started)
        one, other, asleep = ({each.pid: after[each.pid]} for each in started)
        waited = [stood_in_line(before, each, 0) for each in (one, other, asleep)]
        assert max(waited[:2]) > max(0.1, waited[2])
        assert stood_in_line(before, {**one, **other}, started[0].pid) == pytest.approx(waited[0] + waited[1])
        assert stood_in_line(after, after, 0) == 0


def said(started: list[subprocess.Popen[bytes]]) -> None:
    for each in started:
        assert each.stdout is not None
        assert each.stdout.read(1) == b"\n"


def told(started: list[subprocess.Popen[bytes]]) -> None:
    for each in started:
        assert each.stdin is not None
        each.stdin.write(b"\n")
