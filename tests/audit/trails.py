"""Trails to test with: fixed keys, a disk that counts, one that fails."""

import errno
import os
from pathlib import Path
from typing import Any

from geumgo.audit.disk import Disk
from geumgo.audit.line import Head
from geumgo.audit.trail import Trail, TrailKeys
from geumgo.sealing.plaintext import Plaintext
from geumgo.sealing.root import RootKeys
from tests.clock import TurnedClock

SMALL = 64 << 10  # the size of a test's segments, in bytes


def keys_of(root: bytes = b"r" * 32, term: int = 1) -> TrailKeys:
    audit = RootKeys({term: Plaintext(root)}).audit_keys()
    return TrailKeys(audit.mac_key, audit.signer.sign, audit.signer.public_key, audit.term)


KEYS = keys_of()


def open_trail(directory: Path, clock: TurnedClock, **also: Any) -> Trail:
    return Trail.open(
        directory,
        **{"node": "n1", "slot": "a", "keys": KEYS, "clock": clock, "segment_bytes": SMALL, "reserve_bytes": 0, **also},
    )


def files_of(directory: Path, chain: str = "n1-a") -> list[Path]:
    return sorted((directory / chain).glob("*.trail"))


def kill(trail: Trail) -> None:
    """What the end of its process does to a trail: nothing is written any more, its lock is gone."""
    os.close(trail._lock)
    if trail._descriptor is not None:
        os.close(trail._descriptor)
    trail._lock = -1


def anchor_of(trail: Trail) -> Head | None:
    return next(iter(trail.heads()), None)


class CountingDisk(Disk):
    """The real disk, with a count of what was asked of it."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.syncs = 0

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        self.writes.append(data)
        super().write(descriptor, data, offset)

    def sync(self, descriptor: int) -> None:
        self.syncs += 1
        super().sync(descriptor)


class FailingDisk(Disk):
    """The real disk until `fails` names what fails from now on, as (method, errno)."""

    def __init__(self) -> None:
        self.fails: tuple[str, int] | None = None

    def _fail(self, method: str) -> None:
        if self.fails is not None and self.fails[0] == method:
            raise OSError(self.fails[1], os.strerror(self.fails[1]))

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        self._fail("write")
        super().write(descriptor, data, offset)

    def sync(self, descriptor: int) -> None:
        self._fail("sync")
        super().sync(descriptor)

    def create(self, path: Path, size_bytes: int, first: bytes) -> int:
        self._fail("create")
        return super().create(path, size_bytes, first)

    def reserve(self, path: Path, size_bytes: int) -> None:
        self._fail("reserve")
        super().reserve(path, size_bytes)


class SmallDisk(Disk):
    """A disk with room for `free` bytes of new segments and held-back space."""

    def __init__(self, free: int) -> None:
        self.free = free
        self.held_back = 0

    def create(self, path: Path, size_bytes: int, first: bytes) -> int:
        self._take(path.parent.parent / "reserve", size_bytes)
        return super().create(path, size_bytes, first)

    def reserve(self, path: Path, size_bytes: int) -> None:
        self._take(path, size_bytes)
        self.held_back = size_bytes
        super().reserve(path, size_bytes)

    def _take(self, reserve: Path, size_bytes: int) -> None:
        if self.held_back and not reserve.exists():
            self.free, self.held_back = self.free + self.held_back, 0
        if self.free < size_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.free -= size_bytes
