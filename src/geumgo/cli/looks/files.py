"""The data directory, whatever lies in it, and the disks that it lies on."""

import os
import pwd
import shlex
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from geumgo.audit.follow import TrailFiles
from geumgo.audit.segment import numbers_in, path_of
from geumgo.cli.looks import Finding
from geumgo.settings import Settings

MANY: Final = 20
"""From so many files on, one command for all of them comes first."""
FREE_BYTES: Final = 256 << 20  # below: the trail's next segments may not fit any more
SCARCE_BYTES: Final = 2 << 30
FREE_NAMES: Final = 1_000  # files that can still be made
GROWTH_DAYS: Final = 7  # what the trail grew in these says how it will go on
SOON_DAYS: Final = 14
DAY_SECONDS: Final = 86_400


def look_at_directory(settings: Settings) -> Iterator[Finding]:
    data = settings.data.resolve()
    if not data.is_dir():
        yield Finding("data directory", "problem", f"{data} is not there", f"geumgo init --data {data}")
        return
    found = data.stat()
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077:
        yield Finding("data directory", "problem", f"{data} is open to others (mode {mode:04o})", f"chmod 700 {data}")
    elif found.st_uid != os.geteuid():
        yield Finding(
            "data directory", "problem", f"{data} belongs to user {found.st_uid}", "run as the user it belongs to"
        )
    else:
        yield Finding("data directory", "ok", str(data))
    yield from look_at_files(settings)
    yield from look_at_disks(settings)


def look_at_files(settings: Settings) -> Iterator[Finding]:
    """Each file that others can open, or that belongs to somebody else than the data directory does, with what mends it."""
    data = settings.data.resolve()
    owner = data.stat().st_uid
    wrong, looked_at = [], 0
    for root in _places(settings):
        for path, found in _below(root):
            looked_at += 1
            if found is None:
                wrong.append(Finding("files", "problem", f"{_shown(path)} cannot be looked at", "run as its owner"))
            elif why := _wrong(path, found, owner):
                wrong.append(why)
    if len(wrong) > MANY:
        where = " ".join(_shown(root) for root in _places(settings))
        yield Finding(
            "files", "problem", f"{len(wrong)} of {looked_at} are open to others, or belong to somebody else",
            f"chmod -R u+rwX,go= {where} && chown -hR {_user(owner)} {where}",
        )  # fmt: skip
    yield from wrong
    if not wrong:
        yield Finding("files", "ok", f"all {looked_at} are for {_user(owner)} alone")


def look_at_disks(settings: Settings) -> Iterator[Finding]:
    """Room on each file system that grows: data, trail, deliveries."""
    seen = set()
    grows = growth_bytes(settings.audit, time.time())
    for path in (settings.data, settings.audit, settings.deliveries_path):
        if not path.is_dir() or path.stat().st_dev in seen:
            continue
        seen.add(path.stat().st_dev)
        holds_trail = settings.audit.is_dir() and settings.audit.stat().st_dev == path.stat().st_dev
        yield room(path.resolve(), shutil.disk_usage(path).free, _names_left(path), grows if holds_trail else 0)


def room(path: Path, free: int, names_left: int | None, grows: int) -> Finding:
    """Whether `free` bytes and `names_left` files (None: no limit) are enough where the trail `grows` by so many bytes a day."""
    what, said = f"disk of {path}", f"{free >> 20:,} MiB are free"
    if free < FREE_BYTES:
        return Finding(what, "problem", said, "free space: without it nothing can be recorded or kept")
    if names_left is not None and names_left < FREE_NAMES:
        return Finding(
            what, "problem", f"only {names_left} more files can be made", "delete small files, or enlarge it"
        )
    days = free // grows if grows else None
    if days is not None and days < SOON_DAYS:
        return Finding(
            what, "advice", f"{said}, and the trail grows by {grows >> 20:,} MiB a day: full in {days} days",
            "enlarge it, or set trail_days so that old files of the trail go",
        )  # fmt: skip
    if free < SCARCE_BYTES:
        return Finding(what, "advice", said, "enlarge it before it is full: then only deletions are served")
    return Finding(what, "ok", said)


def growth_bytes(audit: Path, now_s: float) -> int:
    """By how much the trail grew in a day, on the average. The newest file of a chain does not count: it never is smaller."""
    since = now_s - GROWTH_DAYS * DAY_SECONDS
    grown = 0
    for chain in TrailFiles(audit).chains():
        for number in numbers_in(audit / chain)[:-1]:
            with suppress(FileNotFoundError):
                found = path_of(audit / chain, number).stat()
                grown += found.st_size if found.st_mtime > since else 0
    return grown // GROWTH_DAYS


def _places(settings: Settings) -> list[Path]:
    """The data directory; and the trail, if that is a link to somewhere else."""
    data, audit = settings.data.resolve(), settings.audit.resolve()
    return [data] if audit.is_relative_to(data) or not audit.is_dir() else [data, audit]


def _below(root: Path) -> Iterator[tuple[Path, os.stat_result | None]]:
    """Whatever is below a directory, links not followed; without what says how it is where that cannot be asked, or read."""
    try:
        entries = sorted(os.scandir(root), key=lambda entry: entry.name)
    except FileNotFoundError:
        return  # the server goes on meanwhile
    except OSError:
        yield root, None
        return
    for entry in entries:
        try:
            found = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        yield Path(entry.path), found
        if stat.S_ISDIR(found.st_mode):
            yield from _below(Path(entry.path))


def _wrong(path: Path, found: os.stat_result, owner: int) -> Finding | None:
    """What is wrong with a file, or nothing. The mode of a link says nothing."""
    why, mends = [], []
    mode, directory = stat.S_IMODE(found.st_mode), stat.S_ISDIR(found.st_mode)
    if found.st_uid != owner:
        why.append(f"belongs to {_user(found.st_uid)}")
        mends.append(f"chown -h {_user(owner)} {_shown(path)}")
    if not stat.S_ISLNK(found.st_mode):
        if mode & 0o077:
            why.append(f"is open to others (mode {mode:04o})")
            mends.append(f"chmod go= {_shown(path)}")
        needed = 0o700 if directory else 0o400
        if mode & needed != needed:
            why.append(f"is closed to its owner (mode {mode:04o})")
            mends.append(f"chmod u+{'rwx' if directory else 'rw'} {_shown(path)}")
    if not why:
        return None
    return Finding("files", "problem", f"{_shown(path)} {' and '.join(why)}", " && ".join(mends))


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _shown(path: Path) -> str:
    """A path as a shell takes it; what would steer a terminal is spelled out."""
    text = str(path)
    if text.isprintable():
        return shlex.quote(text)
    return "$'" + os.fsencode(path).decode("latin-1").encode("unicode_escape").decode().replace("'", "\\'") + "'"


def _names_left(path: Path) -> int | None:
    found = os.statvfs(path)
    return found.f_favail if found.f_files else None  # btrfs and others have no such limit
