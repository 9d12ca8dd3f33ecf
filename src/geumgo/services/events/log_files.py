"""Log groups as files: one JSON object a line, in a directory of the server's own.

CloudWatch Logs is not served. What a rule or a dead-letter configuration sends to a log group lies in
`events/ACCOUNT/REGION/NAME.jsonl` of the data directory, the name percent-encoded. A file that has grown large is set aside under its name
with a number behind it; the oldest go.
"""

import os
import threading
from pathlib import Path
from typing import Final

from geumgo.context import Place
from geumgo.services.events.domain_targets import file_name

LARGEST_BYTES: Final = 64 << 20  # of a file before it is set aside
KEPT_ASIDE: Final = 9  # files of one log group beside the one that is written to


class LogFiles:
    """The files of one server. Appending is safe from several threads; files of one directory belong to one process for jobs."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()

    def path(self, place: Place, group: str) -> Path:
        return self._directory / place.account / place.region / file_name(group)

    def append(self, place: Place, group: str, line: str) -> None:
        """`line` (without its end) is on the disk. Raises OSError."""
        assert "\n" not in line, "an entry of a log file is one line"
        path = self.path(place, group)
        with self._lock:
            for directory in (self._directory, path.parent.parent, path.parent):
                directory.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                size = os.fstat(descriptor).st_size
                whole = not size or os.pread(descriptor, 1, size - 1) == b"\n"
                _write(
                    descriptor, (b"" if whole else b"\n") + line.encode() + b"\n"
                )  # a line that a crash cut short stays alone
                os.fdatasync(descriptor)
                size = os.fstat(descriptor).st_size
            finally:
                os.close(descriptor)
            if size >= LARGEST_BYTES:
                _set_aside(path)


def _write(descriptor: int, content: bytes) -> None:
    waiting = memoryview(content)
    while waiting:
        waiting = waiting[os.write(descriptor, waiting) :]


def _set_aside(path: Path) -> None:
    """`NAME.jsonl` is `NAME.jsonl.1`, that was `.1` is `.2`, and so on."""
    for number in range(KEPT_ASIDE - 1, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number + 1}"))
    path.replace(path.with_name(f"{path.name}.1"))
