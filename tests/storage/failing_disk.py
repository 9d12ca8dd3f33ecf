"""A disk that fails when it is told to: a SQLite file system that passes everything on, until it does not."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import apsw

NAME = "failing-disk"


class FailingDisk(apsw.VFS):
    """While it is registered, every database is opened through it. `fails` names what fails next: "-wal write", "db sync" ..."""

    def __init__(self) -> None:
        super().__init__(NAME, base="unix", makedefault=True)
        self.fails: dict[str, type[apsw.Error]] = {}
        self.deeds: list[str] = []  # what was written and synced, in order

    def xOpen(self, name: Any, flags: list[int]) -> "FailingFile":
        return FailingFile(self, name, flags)


class FailingFile(apsw.VFSFile):
    """A file of the disk. Its part of the database is "-wal", "-shm" or "db"."""

    def __init__(self, disk: FailingDisk, name: Any, flags: list[int]) -> None:
        self._disk = disk
        self._part = "-wal" if flags[0] & apsw.SQLITE_OPEN_WAL else "db"
        super().__init__("unix", name, flags)

    def xRead(self, amount: int, offset: int) -> bytes:
        self._fail("read")
        return super().xRead(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._fail("write")
        super().xWrite(data, offset)
        self._disk.deeds.append(f"{self._part} write")

    def xSync(self, flags: int) -> None:
        self._fail("sync")
        super().xSync(flags)
        self._disk.deeds.append(f"{self._part} sync")

    def _fail(self, deed: str) -> None:
        error = self._disk.fails.get(f"{self._part} {deed}")
        if error is not None:
            raise error("the disk fails, as it was told to")


@contextmanager
def failing_disk() -> Iterator[FailingDisk]:
    disk = FailingDisk()
    try:
        yield disk
    finally:
        apsw.set_default_vfs("unix")
        disk.unregister()
