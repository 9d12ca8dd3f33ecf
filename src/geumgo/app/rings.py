"""Which root keys each process of this machine holds in memory. Told by locks, which the system takes away with the process.

A process holds the ring that it opened at its start until it ends: it seals in the newest term of that ring, whatever is added meanwhile.
So a term is out of use on this machine when nobody holds a ring in which it is the newest, and out of memory when nobody holds one with it.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from geumgo.app.directory import open_root, open_storage, or_with_the_next
from geumgo.sealing import keyring
from geumgo.sealing.files import make_private_directory
from geumgo.sealing.root import RootKeys
from geumgo.sealing.seals import SealError
from geumgo.settings import Settings
from geumgo.storage import Storage

PLACE: Final = "rings"
TRIES: Final = 100
PAUSE_SECONDS: Final = 0.05

Ring = tuple[int, ...]


def hold(settings: Settings) -> tuple[RootKeys, int]:
    """The ring as it is now, and the descriptor that tells of it until it is closed, at the latest when this process ends.

    Raises SealError.
    """
    make_private_directory(settings.data / PLACE)
    for _ in range(TRIES):
        root = open_root(settings)
        descriptor = _opened(settings, root.terms)
        if _locked(descriptor, fcntl.LOCK_SH) and keyring.terms_in(settings.data) == root.terms:
            return root, descriptor
        os.close(descriptor)  # the ring has changed since it was opened
        time.sleep(PAUSE_SECONDS)
    raise SealError("The root keys are being renewed all the time; look at what `geumgo rekey --status` says.")


def hold_and_open(settings: Settings) -> tuple[RootKeys, int, Storage]:
    """As `hold`, and the database to write to. Where the ring is of no use to it any more, the next ring is the ring now.

    Raises SealError, StorageError; Closed: there is no next one.
    """

    def opened() -> tuple[RootKeys, int, Storage]:
        root, descriptor = hold(settings)
        try:
            return root, descriptor, open_storage(settings, root)
        except BaseException:
            os.close(descriptor)
            raise

    return or_with_the_next(settings, opened)


@contextmanager
def held(settings: Settings) -> Iterator[RootKeys]:
    """As `hold`, for as long as the block runs."""
    root, descriptor = hold(settings)
    try:
        yield root
    finally:
        os.close(descriptor)


def others(settings: Settings, now: Ring) -> list[Ring]:
    """The rings but for `now` that some process of this machine still holds."""
    found = []
    for ring in _named(settings):
        if ring != now:
            descriptor = _opened(settings, ring)
            if not _locked(descriptor, fcntl.LOCK_EX):
                found.append(ring)
            os.close(descriptor)
    return found


def users(settings: Settings, held_still: Sequence[Ring]) -> list[str]:
    """The processes that hold one of these rings, as the system names them: "geumgo worker (4711)". Empty where it does not tell."""
    files = {}
    for ring in held_still:
        with suppress(OSError):
            files[(settings.data / PLACE / _name(ring)).stat().st_ino] = ring
    found = set()
    for line in Path("/proc/locks").read_text().splitlines():
        parts = line.split()
        if "FLOCK" in parts and parts[-3].rpartition(":")[2].isdecimal() and int(parts[-3].rpartition(":")[2]) in files:
            with suppress(OSError):
                found.add(f"{Path('/proc', parts[-4], 'comm').read_text().strip()} ({parts[-4]})")
    return sorted(found)


def forget(settings: Settings, now: Ring) -> None:
    """Files of rings that nobody holds any more are gone, but for that of `now`."""
    held_still = others(settings, now)
    for ring in _named(settings):
        if ring != now and ring not in held_still:
            (settings.data / PLACE / _name(ring)).unlink(missing_ok=True)


def changed(settings: Settings) -> Callable[[], bool]:
    """Answers, each time it is called, whether the file names other terms than when it was asked last."""
    path = settings.data / keyring.FILE_NAME
    known = [_terms(settings), _stamp(path)]

    def look() -> bool:
        stamp = _stamp(path)
        if stamp == known[1]:
            return False
        now = _terms(settings)
        differs = now is not None and now != known[0]
        if now is not None:
            known[:] = [now, stamp]
        return differs

    return look


def _terms(settings: Settings) -> Ring | None:
    try:
        return keyring.terms_in(settings.data)
    except SealError:
        return None  # a file that cannot be read now is looked at again


def _stamp(path: Path) -> Sequence[int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _name(ring: Ring) -> str:
    return "-".join(str(term) for term in ring)


def _named(settings: Settings) -> list[Ring]:
    place = settings.data / PLACE
    if not place.is_dir():
        return []
    names = [path.name for path in place.iterdir() if all(part.isdecimal() for part in path.name.split("-"))]
    return sorted(tuple(int(part) for part in name.split("-")) for name in names)


def _opened(settings: Settings, ring: Ring) -> int:
    make_private_directory(settings.data / PLACE)
    return os.open(settings.data / PLACE / _name(ring), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _locked(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
