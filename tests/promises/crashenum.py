"""What a power cut may leave on a disk: every state that is reachable from a log of system calls.

    events = read_log(log, root)              # what strace saw of one process tree
    for state in states(events, chance, subsets=8):
        state.write_to(directory)             # the files as the disk might hold them when the power goes after event `state.at`

The model is harsher than most file systems. What `fsync` or `fdatasync` of a file has seen end is on the disk: its bytes and its length, but
not its name. A name (made, renamed, removed) is on the disk once its directory was synced. Everything else may be there or not, each name by
itself, each write by itself, and of a write each page of 4 KiB by itself; a file that grew without its bytes shows zeros.

Source: open(2), fsync(2), rename(2); "All File Systems Are Not Created Equal", OSDI 2014, for what may be reordered.
"""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

PAGE: Final = 4096
CALLS: Final = (
    "open,openat,creat,write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate,fsync,fdatasync,sync_file_range,"
    "rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,link,linkat,symlink,symlinkat,dup,dup2,dup3,close"
)
"""What strace has to trace."""

_LINE = re.compile(rb"(?:(\d+) +)?(\w+)\((.*)\) += (-?\d+)(?:<((?:\\x[0-9a-f]{2})*)>)?.*\n?")
_HEX = re.compile(rb"\\x([0-9a-f]{2})")
_FD = re.compile(rb"(\d+)<((?:\\x[0-9a-f]{2})*)>")
_TEXT = re.compile(rb'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')


def strace(log: Path) -> list[str]:
    """The command that goes in front of the one whose calls `read_log` is to read."""
    # -y: descriptors with their paths; -xx: every byte as two digits; -s: nothing is cut short
    return [
        "strace",
        "-f",
        "-y",
        "-xx",
        "-s",
        str(64 << 20),
        "-e",
        f"trace={CALLS}",
        "-e",
        "signal=none",
        "-o",
        str(log),
    ]


@dataclass(frozen=True, slots=True)
class Event:
    """One call that changed a file below the root or made it durable; or (kind "mark") a line that the program said on its output."""

    kind: str  # write, size, sync, sync_names, make, move, remove, mark
    path: str = ""
    other: str = ""
    offset: int = 0
    data: bytes = b""


def read_log(log: Path, root: Path) -> list[Event]:
    """The events below `root`, in order, and every line beginning with "MARK " that was written to descriptor 1."""
    reader = _Reader(str(root))
    with log.open("rb") as lines:
        for line in lines:
            reader.take(line)
    return reader.events


class _Reader:
    def __init__(self, root: str) -> None:
        self.root = root
        self.events: list[Event] = []
        self._at: dict[tuple[bytes, int], int] = {}  # where a write without an offset goes, by process and descriptor

    def take(self, line: bytes) -> None:
        found = _LINE.fullmatch(line)
        if found is None:
            assert not re.search(rb"unfinished|resumed", line), "two threads wrote at once: the order is not known"
            return
        pid, name, arguments, result, opened = found[1] or b"", found[2].decode(), found[3], int(found[4]), found[5]
        if result < 0:
            return
        getattr(self, f"_{name}", self._other)(pid, arguments, result, opened or b"")

    def _ours(self, path: str) -> bool:
        return path.startswith(self.root + "/")

    def _other(self, _pid: bytes, arguments: bytes, _result: int, _opened: bytes) -> None:
        touched = [_unhex(each[2]) for each in _FD.finditer(arguments)] + [
            _unhex(each[1]) for each in _TEXT.finditer(arguments)
        ]
        assert not any(self._ours(path) for path in touched), f"a call that is not understood: {arguments[:200]!r}"

    def _close(self, pid: bytes, arguments: bytes, _result: int, _opened: bytes) -> None:
        self._at.pop((pid, int(_FD.match(arguments)[1])), None) if _FD.match(arguments) else None  # type: ignore[index]

    def _openat(self, pid: bytes, arguments: bytes, result: int, opened: bytes) -> None:
        path = _unhex(opened)
        if not self._ours(path):
            return
        assert b"O_APPEND" not in arguments, "a file that is appended to"
        self._at[pid, result] = 0
        if b"O_CREAT" in arguments:
            self.events.append(Event("make", path))
        if b"O_TRUNC" in arguments:
            self.events.append(Event("size", path, offset=0))

    def _write(self, pid: bytes, arguments: bytes, result: int, _opened: bytes) -> None:
        number, path = _descriptor(arguments)
        if number == 1 and (text := _text(arguments, 0)).startswith(b"MARK "):
            self.events.append(Event("mark", data=text[5:].rstrip(b"\n")))
        elif self._ours(path):
            at = self._at[pid, number]
            self.events.append(Event("write", path, offset=at, data=_text(arguments, 0)[:result]))
            self._at[pid, number] = at + result

    def _pwrite64(self, _pid: bytes, arguments: bytes, result: int, _opened: bytes) -> None:
        _, path = _descriptor(arguments)
        if self._ours(path):
            offset = int(arguments.rsplit(b",", 1)[1])
            self.events.append(Event("write", path, offset=offset, data=_text(arguments, 0)[:result]))

    def _ftruncate(self, _pid: bytes, arguments: bytes, _result: int, _opened: bytes) -> None:
        _, path = _descriptor(arguments)
        if self._ours(path):
            self.events.append(Event("size", path, offset=int(arguments.rsplit(b",", 1)[1])))

    def _truncate(self, _pid: bytes, arguments: bytes, _result: int, _opened: bytes) -> None:
        path = _text(arguments, 0).decode()
        if self._ours(path):
            self.events.append(Event("size", path, offset=int(arguments.rsplit(b",", 1)[1])))

    def _fallocate(self, _pid: bytes, arguments: bytes, _result: int, _opened: bytes) -> None:
        _, path = _descriptor(arguments)
        if self._ours(path):
            mode, offset, length = (int(each) for each in arguments.rsplit(b",", 3)[1:])
            assert mode == 0, "fallocate that does more than make a file longer"
            self.events.append(Event("grow", path, offset=offset + length))

    def _fsync(self, _pid: bytes, arguments: bytes, _result: int, _opened: bytes) -> None:
        _, path = _descriptor(arguments)
        if self._ours(path) or path == self.root:
            self.events.append(Event("sync", path))

    _fdatasync = _fsync

    def _rename(self, _pid: bytes, arguments: bytes, _result: int, _opened: bytes) -> None:
        old, new = _text(arguments, 0).decode(), _text(arguments, 1).decode()
        if self._ours(old) or self._ours(new):
            self.events.append(Event("move", old, other=new))

    _renameat = _renameat2 = _rename

    def _link(self, _pid: bytes, arguments: bytes, _result: int, _opened: bytes) -> None:
        old, new = _text(arguments, 0).decode(), _text(arguments, 1).decode()
        if self._ours(new):
            self.events.append(Event("link", old, other=new))

    _linkat = _link

    def _unlink(self, _pid: bytes, arguments: bytes, _result: int, _opened: bytes) -> None:
        path = _text(arguments, 0).decode()
        if self._ours(path):
            self.events.append(Event("remove", path))

    _unlinkat = _rmdir = _unlink

    def _mkdir(self, _pid: bytes, arguments: bytes, _result: int, _opened: bytes) -> None:
        path = _text(arguments, 0).decode()
        if self._ours(path):
            self.events.append(Event("directory", path))

    _mkdirat = _mkdir


def _unhex(text: bytes) -> str:
    return bytes.fromhex(text.replace(rb"\x", b"").decode()).decode()


def _descriptor(arguments: bytes) -> tuple[int, str]:
    found = _FD.match(arguments)
    return (int(found[1]), _unhex(found[2])) if found else (-1, "")


def _text(arguments: bytes, which: int) -> bytes:
    found = list(_TEXT.finditer(arguments))[which]
    assert not found[2], "strace has cut a text short"
    return bytes.fromhex(found[1].replace(rb"\x", b"").decode())


# -- a disk -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a file's content that is not synced: a page of a write, or a length."""

    offset: int
    data: bytes | None  # None: the file is `offset` bytes long
    shrinks: bool = True

    def apply(self, content: bytearray) -> None:
        if self.data is None:
            if len(content) < self.offset:
                content.extend(bytes(self.offset - len(content)))
            elif self.shrinks:
                del content[self.offset :]
            return
        end = self.offset + len(self.data)
        if len(content) < end:
            content.extend(bytes(end - len(content)))
        content[self.offset : end] = self.data


@dataclass(eq=False, slots=True)
class File:
    """A file, whatever it is called. `version` counts its syncs."""

    number: int
    directory: bool = False
    durable: bytes = b""
    pending: list[Change] = field(default_factory=list)
    version: int = 0

    def content(self, chosen: Sequence[int]) -> bytes:
        if not chosen:
            return self.durable
        made = bytearray(self.durable)
        for place in chosen:
            self.pending[place].apply(made)
        return bytes(made)

    def sync(self) -> None:
        if self.pending:
            self.durable, self.pending = self.content(range(len(self.pending))), []
            self.version += 1


Names = dict[str, File]


@dataclass(frozen=True, slots=True)
class Naming:
    """A change of names that is not synced: `gone` is no name any more, `path` names `file`."""

    gone: str
    path: str
    file: File | None

    def apply(self, names: Names) -> None:
        names.pop(self.gone, None)
        if self.file is not None:
            names[self.path] = self.file


Key = tuple[int, int, tuple[int, ...]]
"""What a file holds in a state: its number, its version, which of the changes behind that are there."""


class State:
    """Files as a disk may hold them after the first `at` events. `how` is "none", "all" or "some" of what was not synced."""

    __slots__ = ("_files", "at", "how")

    def __init__(self, at: int, how: str, files: dict[str, tuple[File, tuple[int, ...]]]) -> None:
        self.at, self.how, self._files = at, how, files

    def key(self, path: str) -> Key | None:
        """Two states with equal keys hold the same file at `path`. None: there is none."""
        found = self._files.get(path)
        return (found[0].number, found[0].version, found[1]) if found is not None and not found[0].directory else None

    def keys(self) -> dict[str, Key]:
        return {path: key for path in self._files if (key := self.key(path)) is not None}

    def content(self, path: str) -> bytes | None:
        found = self._files.get(path)
        return found[0].content(found[1]) if found is not None and not found[0].directory else None

    def paths(self) -> list[str]:
        return sorted(path for path, (file, _) in self._files.items() if not file.directory)

    def directories(self) -> list[str]:
        return sorted(path for path, (file, _) in self._files.items() if file.directory)


class Disk:
    """The disk behind a row of events."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self._made = 0
        self.now: Names = {}
        self._durable: Names = {}
        self._pending: dict[str, list[Naming]] = {}  # by directory

    def take(self, event: Event) -> None:
        if event.kind != "mark":
            getattr(self, f"_{event.kind}")(event)

    def _new(self, path: str, *, directory: bool) -> None:
        self._made += 1
        self._name(Naming("", path, File(self._made, directory)))

    def _name(self, naming: Naming) -> None:
        naming.apply(self.now)
        for directory in {_parent(path) for path in (naming.gone, naming.path) if path}:
            self._pending.setdefault(directory, []).append(naming)

    def _make(self, event: Event) -> None:
        if event.path not in self.now:
            self._new(event.path, directory=False)

    def _directory(self, event: Event) -> None:
        self._new(event.path, directory=True)

    def _write(self, event: Event) -> None:
        start, file = 0, self.now[event.path]
        while start < len(event.data):
            at = event.offset + start
            stop = min(start + PAGE - at % PAGE, len(event.data))
            file.pending.append(Change(at, event.data[start:stop]))
            start = stop

    def _size(self, event: Event) -> None:
        self.now[event.path].pending.append(Change(event.offset, None))

    def _grow(self, event: Event) -> None:
        self.now[event.path].pending.append(Change(event.offset, None, shrinks=False))

    def _move(self, event: Event) -> None:
        self._name(Naming(event.path, event.other, self.now[event.path]))

    def _link(self, event: Event) -> None:
        self._name(Naming("", event.other, self.now[event.path]))

    def _remove(self, event: Event) -> None:
        self._name(Naming(event.path, "", None))

    def _sync(self, event: Event) -> None:
        if event.path == self.root or self.now[event.path].directory:
            for naming in self._pending.pop(event.path, []):
                naming.apply(self._durable)
        else:
            self.now[event.path].sync()

    # -- what may be there ----------------------------------------------------------------------------------------------------

    def states(self, at: int, chance: random.Random, subsets: int) -> Iterator[State]:
        yield self._state(at, "none", lambda _: False)
        yield self._state(at, "all", lambda _: True)
        for _ in range(subsets):
            share = chance.choice((0.1, 0.5, 0.5, 0.9))
            yield self._state(at, "some", lambda number, share=share: chance.random() < share)  # type: ignore[misc]

    def _state(self, at: int, how: str, is_there: Callable[[int], bool]) -> State:
        names = dict(self._durable)
        applied: set[int] = set()
        for namings in self._pending.values():
            for naming in namings:
                if id(naming) not in applied and is_there(0):
                    applied.add(id(naming))
                    naming.apply(names)
        chosen: dict[int, tuple[int, ...]] = {}
        files = {}
        for path, file in names.items():
            if any(directory not in names for directory in _above(path, self.root)):
                continue  # its directory is not there
            if file.number not in chosen:
                chosen[file.number] = tuple(place for place in range(len(file.pending)) if is_there(place))
            files[path] = (file, chosen[file.number])
        return State(at, how, files)


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _above(path: str, root: str) -> Iterator[str]:
    while (path := _parent(path)) != root:
        yield path


def states(
    events: Sequence[Event], root: Path, chance: random.Random, *, subsets: int, first: int = 0
) -> Iterator[State]:
    """Every state after every event from `first` on: none, all, and `subsets` random choices of what was not synced."""
    disk = Disk(root)
    for at, event in enumerate(events, 1):
        disk.take(event)
        if at >= first and event.kind != "mark":
            yield from disk.states(at, chance, subsets)
