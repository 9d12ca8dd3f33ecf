"""What functions printed, as files: `ACCOUNT/REGION/NAME.log`. CloudWatch Logs is not served.

A file that has grown large is set aside once, as `NAME.log.1`. Several processes write to one file.
"""

import fcntl
import os
import threading
from pathlib import Path
from typing import Final

from geumgo.domain.arn import split_arn

LARGEST_BYTES: Final = 16 << 20


class LogFiles:
    """The logs of the functions of one server. Safe for threads and processes."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()

    def path(self, function_arn: str) -> Path:
        """Where the log of a function is, whatever qualifier it was invoked with."""
        arn = split_arn(function_arn)
        assert arn is not None, f"{function_arn} is a function's"
        return self._directory / arn.account / arn.region / f"{arn.resource.split(':')[1]}.log"

    def append(self, function_arn: str, text: bytes) -> None:
        """`text` is in the file. Raises OSError."""
        path = self.path(function_arn)
        with self._lock:
            for directory in (self._directory, path.parent.parent, path.parent):
                directory.mkdir(mode=0o700, exist_ok=True)
            lock = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                _append(path, text)
            finally:
                os.close(lock)


def _append(path: Path, text: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        waiting = memoryview(text)
        while waiting:
            waiting = waiting[os.write(descriptor, waiting) :]
        size = os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
    if size >= LARGEST_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))
