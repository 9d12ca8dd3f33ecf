"""What the trail asks of the disk: a preallocated file that is there whole or not at all, a write, a sync."""

import errno
import os
from pathlib import Path

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
_ZEROS = bytes(1 << 20)


class Disk:
    """The real one. Every method raises OSError as the system does."""

    def create(self, path: Path, size_bytes: int, first: bytes) -> int:
        """A descriptor of the new file `path`: `first`, then zeros up to `size_bytes`; durable, its name too. Mode 0600.

        The zeros are written, not only allocated, so that a later sync has no metadata to write. If anything fails, there is no file
        of that name.
        """
        draft = path.with_suffix(".new")
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size_bytes)
            for at in range(0, size_bytes, len(_ZEROS)):
                self._write_all(descriptor, _ZEROS[: size_bytes - at], at)
            self._write_all(descriptor, first, 0)
            os.fsync(descriptor)
            draft.rename(path)
            self.sync_directory(path.parent)
        except OSError:
            os.close(descriptor)
            draft.unlink(missing_ok=True)
            raise
        return descriptor

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
