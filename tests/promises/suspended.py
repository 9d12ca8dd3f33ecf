"""A process whose machine is suspended while it works: afterwards CLOCK_BOOTTIME is later for it, and CLOCK_MONOTONIC is not.

    python -m tests.promises.suspended [FAULT] job DIRECTORY       what a job is told, before and after, of whether it is still its worker's
    python -m tests.promises.suspended [FAULT] function DIRECTORY  whether a byte of a function is carried, before and after, and its end

Such is a time namespace with another offset, which a process of one thread may enter. FAULT is a promise that is taken out.

Source: time_namespaces(7), setns(2).
"""

import ctypes
import json
import os
import selectors
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from geumgo.context import Params, Work
from geumgo.functions import invocation
from geumgo.functions.invocation import Invocation, Surroundings
from geumgo.functions.reach import Rules
from geumgo.functions.sandbox import find_tools
from geumgo.jobs import TABLES, worker
from geumgo.storage.migrate import migrate
from geumgo.storage.sqlite import open_sqlite
from tests.clock import TurnedClock
from tests.functions.test_host import nowhere, task
from tests.jobs.conftest import Bench

NEW_TIME: Final = 0x80  # CLONE_NEWTIME
NEW_USER: Final = 0x10000000  # CLONE_NEWUSER
SUSPENDED_SECONDS: Final = 60

_libc: Final = ctypes.CDLL(None, use_errno=True)


def be_suspended() -> None:
    """The machine was suspended for SUSPENDED_SECONDS."""
    if os.geteuid() != 0:
        _done(_libc.unshare(NEW_USER))
    ready, told = os.pipe()
    wait, end = os.pipe()
    child = os.fork()
    if child == 0:
        _done(_libc.unshare(NEW_TIME))
        Path("/proc/self/timens_offsets").write_text(f"boottime {SUSPENDED_SECONDS} 0\n")
        os.write(told, b"x")
        os.read(wait, 1)
        os._exit(0)
    os.read(ready, 1)
    _done(_libc.setns(os.open(f"/proc/{child}/ns/time_for_children", os.O_RDONLY), NEW_TIME))
    os.write(end, b"x")
    os.waitpid(child, 0)


def _done(answer: int) -> None:
    if answer != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def job(directory: Path) -> Any:
    storage = open_sqlite(directory / "jobs.db")
    migrate(storage, [TABLES])
    bench = Bench(storage, TurnedClock())
    held = []

    @bench.handles("work")
    def works(work: Work, payload: Params) -> None:
        held.append(worker.still_held())
        be_suspended()
        held.append(worker.still_held())
        with work.finishing():
            pass

    bench.promise()
    bench.worker().run_due()
    return held


def function(directory: Path) -> Any:
    ran = Invocation(task(), Surroundings(find_tools([directory]), Rules(), nowhere))
    ran._looked_at = ran._started + SUSPENDED_SECONDS  # there is no sandbox to look at
    heard: list[int] = []
    carried = []
    near, far = socket.socketpair()
    with near, far:
        ran._loop.watch(far, selectors.EVENT_WRITE, heard.append)
        for before in (True, False):
            ran._turn()
            carried.append(bool(heard))
            heard.clear()
            if before:
                be_suspended()
        ran._loop.forget(far)
    ended = ran._outcome
    ran._end()
    return [*carried, "" if ended is None else json.loads(ended[0])["errorType"]]


def counts_only_the_time_that_it_was_awake() -> None:
    """A clock that stands still with the machine."""
    for each in (worker, invocation):
        setattr(each, "seconds_since_start", time.monotonic)  # noqa: B010


FAULTS: Final[dict[str, Callable[[], None]]] = {
    each.__name__: each for each in (counts_only_the_time_that_it_was_awake,)
}

if __name__ == "__main__":
    if sys.argv[1] in FAULTS:
        FAULTS[sys.argv.pop(1)]()
    print(json.dumps({"job": job, "function": function}[sys.argv[1]](Path(sys.argv[2]))))
