"""Programs that are killed and started again: databases whose end is part of what is tried."""

import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from tests.server import descendants

START_SECONDS = 30


class Mortal:
    """A program with all its processes. `answers` says whether it is there for others; what it prints goes to `log`."""

    def __init__(self, command: Sequence[str], *, cwd: Path, log: Path, answers: Callable[[], bool]) -> None:
        self._command, self._cwd, self._log, self._answers = list(command), cwd, log, answers
        self.process: subprocess.Popen[bytes] | None = None
        self.deaths = 0
        self.is_up = False

    def start(self) -> float:
        """It answers. The seconds that took; one that ends before it answers (what the last one left was not gone) is started again."""
        began = time.monotonic()
        while time.monotonic() - began < START_SECONDS:
            if self.process is None or self.process.poll() is not None:
                with self._log.open("wb") as output:
                    self.process = subprocess.Popen(self._command, stdout=output, stderr=output, cwd=self._cwd)
            if self._answers():
                self.is_up = True
                return time.monotonic() - began
            threading.Event().wait(0.02)
        raise AssertionError(f"it did not start within {START_SECONDS} seconds:\n{self._log.read_text()[-2000:]}")

    def kill(self) -> None:
        """SIGKILL for it and for all that it has started: none of them is there any more, and none tidied up."""
        assert self.process is not None
        self.is_up = False
        self.deaths += 1
        ends = []
        for pid in (self.process.pid, *descendants(self.process.pid)):
            with suppress(ProcessLookupError):
                ends.append(os.pidfd_open(pid))
        for end in ends:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(end, signal.SIGKILL)
        self.process.wait()
        for end in ends:
            select.select([end], [], [], START_SECONDS)
            os.close(end)
