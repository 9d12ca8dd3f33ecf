"""What the trail asks of the disk: a preallocated file that is there whole or not at all, a write, a sync."""

import ctypes
import errno
import os
from dataclasses import dataclass
from pathlib import Path

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
DRAFT_SUFFIX = ".new"
"""What a file is called that is not whole yet: its name to come, with this in place of its ending."""
FILLED_BYTES = 128 << 10
"""How much of a file is filled at a time: so little that nobody notices who waits for it."""
_ZEROS = bytes(FILLED_BYTES)
_SET_OUT = getattr(ctypes.CDLL(None, use_errno=True), "sync_file_range", None)
_WRITE = 2  # SYNC_FILE_RANGE_WRITE. Source: linux/fs.h
_UNABLE = frozenset({errno.ENOSYS, errno.EPERM, errno.EINVAL})
"""What a sandbox says, and a system that has no such call."""


@dataclass(slots=True)
class Draft:
    """A file that will be called `path` when it is whole, and has `filled` bytes of zeros so far."""

    path: Path
    descriptor: int
    size_bytes: int
    filled: int = 0

    @property
    def called(self) -> Path:
        """Where it stands until then."""
        return self.path.with_suffix(DRAFT_SUFFIX)


class Disk:
    """The real one. Every method raises OSError as the system does."""

    def create(self, path: Path, size_bytes: int, first: bytes) -> int:
        """A descriptor of the new file `path`: `first`, then zeros up to `size_bytes`; durable, its name too. Mode 0600.

        The zeros are written, not only allocated, so that a later sync has no metadata to write. If anything fails, there is no file
        of that name.
        """
        return self.finish(self.begin(path, size_bytes), first)

    def begin(self, path: Path, size_bytes: int) -> Draft:
        """A file that will be called `path`, with its space allocated; `fill` and `finish` make it whole. If this fails, there is none."""
        draft = path.with_suffix(DRAFT_SUFFIX)
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        made = Draft(path, descriptor, size_bytes)
        try:
            os.posix_fallocate(descriptor, 0, size_bytes)
        except OSError:
            self.discard(made)
            raise
        return made

    def fill(self, draft: Draft) -> None:
        """More zeros are in it, FILLED_BYTES or all that were missing, and on their way to the disk. If this fails, there is no draft.

        Nobody waits for them here: `finish` does, and hears of what failed meanwhile.
        """
        start = draft.filled
        try:
            self._fill(draft)
            self._set_out(draft.descriptor, start, draft.filled - start)
        except OSError:
            self.discard(draft)
            raise

    def finish(self, draft: Draft, first: bytes) -> int:
        """As `create`, for a file that was begun."""
        try:
            while draft.filled < draft.size_bytes:
                self._fill(draft)
            self._write_all(draft.descriptor, first, 0)
            os.fsync(draft.descriptor)
            draft.called.rename(draft.path)
            self.sync_directory(draft.path.parent)
        except OSError:
            self.discard(draft)
            raise
        return draft.descriptor

    def discard(self, draft: Draft) -> None:
        """There is no draft."""
        os.close(draft.descriptor)
        draft.called.unlink(missing_ok=True)

    def _fill(self, draft: Draft) -> None:
        zeros = _ZEROS[: draft.size_bytes - draft.filled]
        self._write_all(draft.descriptor, zeros, draft.filled)
        draft.filled += len(zeros)

    def _set_out(self, descriptor: int, offset: int, size_bytes: int) -> None:
        """What was written there is on its way to the disk. Where the system cannot be told so, `finish` sends it all."""
        if _SET_OUT is None:
            return
        start, size = ctypes.c_int64(offset), ctypes.c_int64(size_bytes)
        if _SET_OUT(descriptor, start, size, _WRITE) != 0 and (number := ctypes.get_errno()) not in _UNABLE:
            raise OSError(number, os.strerror(number))

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        """`data` is in the file at `offset`; not durable yet."""
        self._write_all(descriptor, data, offset)

    def sync(self, descriptor: int) -> None:
        """What was written into the file is durable."""
        os.fdatasync(descriptor)

    def sync_directory(self, path: Path) -> None:
        """The names in a directory are durable."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def reserve(self, path: Path, size_bytes: int) -> None:
        """`path` holds `size_bytes` of space that can be given back in need."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size_bytes)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)

    def _write_all(self, descriptor: int, data: bytes, offset: int) -> None:
        left = memoryview(data)
        while left:
            written = os.pwrite(descriptor, left, offset)
            left, offset = left[written:], offset + written
