"""Small files that must not be lost, and must not be read by others."""

import os
import stat
from contextlib import suppress
from pathlib import Path


class UnsafeFile(Exception):
    """A file that holds a key may be read or replaced by others. The message is one sentence for the operator."""


def read_private(path: Path, *, at_most: int) -> bytes:
    """The bytes of a file that only this user can read and replace.

    Raises UnsafeFile if it is a symbolic link or no regular file, belongs to somebody else, gives its group or others
    any right, lies in a directory that others may write, or is longer than `at_most` bytes. Raises FileNotFoundError
    if there is none.
    """
    _refuse_shared_directory(path.parent)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnsafeFile(f"{path} cannot be opened as a plain file: {error.strerror}.") from None
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise UnsafeFile(f"{path} is not a plain file.")
        if found.st_uid != os.geteuid():
            raise UnsafeFile(f"{path} belongs to another user.")
        if found.st_mode & 0o077:
            raise UnsafeFile(f"{path} can be read or written by others; it must have mode 0600.")
        content = file.read(at_most + 1)
    if len(content) > at_most:
        raise UnsafeFile(f"{path} is longer than {at_most} bytes.")
    return content


def write_private(path: Path, content: bytes, *, replace: bool) -> None:
    """`path` holds exactly `content`, mode 0600, on the disk itself: a power cut leaves the old file or the new one.

    Raises FileExistsError if `replace` is false and something is there already, UnsafeFile if others may write in the
    directory.
    """
    _refuse_shared_directory(path.parent)
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        if replace:
            temporary.replace(path)
        else:
            os.link(temporary, path, follow_symlinks=False)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
    _sync_directory(path.parent)


def replace_file(path: Path, by: Path) -> None:
    """What was in `path` is in `by`, and `path` is gone, on the disk itself. Raises OSError."""
    path.replace(by)
    _sync_directory(by.parent)


def make_private_directory(path: Path) -> None:
    """`path` is a directory, mode 0700, and so is its name on the disk: a power cut does not take it away with all that is in it later.

    Directories above it that are missing are made too. Raises OSError.
    """
    missing = [each for each in (path, *path.parents) if not each.exists()]
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    for each in missing:
        _sync_directory(each.parent)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refuse_shared_directory(directory: Path) -> None:
    found = directory.stat()
    if found.st_uid not in (os.geteuid(), 0):
        raise UnsafeFile(f"The directory {directory} belongs to another user.")
    if found.st_mode & 0o022:
        raise UnsafeFile(f"The directory {directory} can be written by others.")
