"""Other processes on the same database: a storage is named by a text that a subprocess can be given."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from geumgo.storage import Storage
from geumgo.storage.postgres import PostgresStorage, open_postgres
from geumgo.storage.sqlite import SqliteStorage, open_sqlite

ROOT = Path(__file__).parents[2]


def open_again(storage: Storage) -> str:
    """What `storage_at` opens the same database with, in this process or another."""
    if isinstance(storage, SqliteStorage):
        return f"sqlite:{storage.path}"
    assert isinstance(storage, PostgresStorage)
    return f"postgres:{storage.dsn}"


def storage_at(name: str, *, wait_ms: int = 5_000) -> Storage:
    engine, _, place = name.partition(":")
    if engine == "sqlite":
        return open_sqlite(Path(place), busy_timeout_ms=wait_ms)
    return open_postgres(place, lock_timeout_ms=wait_ms)


_COMMANDS = """
import sys
from tests.storage.processes import storage_at
storage = storage_at(sys.argv[1])
print("open", flush=True)
for line in sys.stdin:
    with storage.writing() as tx:
        tx.run(line)
    print("committed", flush=True)
"""


_WRITES = """
import sys
from geumgo.storage import Conflict
from tests.storage.processes import storage_at
try:
    with storage_at(sys.argv[1], wait_ms=1).writing():
        print("free")
except Conflict:
    print("locked")
"""


def is_locked_elsewhere(storage: Storage) -> bool:
    """Whether another process finds that it cannot write now."""
    command = [sys.executable, "-c", _WRITES, open_again(storage)]
    done = subprocess.run(command, env=_environment(), stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout == "locked\n"


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


class OtherProcess:
    """A process that commits each SQL text that it is told, in a transaction of its own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def commit(self, sql: str) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{sql}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "committed\n"


@contextmanager
def other_process(storage: Storage) -> Iterator[OtherProcess]:
    command = [sys.executable, "-c", _COMMANDS, open_again(storage)]
    with subprocess.Popen(
        command, env=_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdin
        assert process.stdout.readline() == "open\n"
        yield OtherProcess(process)
        process.stdin.close()
