"""Backup of a server that may be running, and the way back onto an empty directory, and an empty database of either kind."""

import os
import re
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

from geumgo.app.directory import NODE_NAME, file_locked, fill_tables, open_root, open_storage, seal_of
from geumgo.audit.disk import DRAFT_SUFFIX
from geumgo.audit.rewound import accept_lack, newest_changes
from geumgo.audit.verify import records
from geumgo.clock import SystemClock
from geumgo.sealing import Plaintext, Unsealable, keyring
from geumgo.sealing.envelope import BackupError, Reader, Writer, damaged, new_recipient
from geumgo.sealing.files import make_private_directory, read_private, write_private
from geumgo.settings import FILE_NAME, Settings
from geumgo.storage import Storage, rows
from geumgo.storage.sqlite import open_sqlite, rows_of, snapshot, tables_of

RECIPIENTS_NAME: Final = "backup.recipients"
KEY_BYTES: Final = 4096
PIECE_BYTES: Final = 1 << 20
RESERVE: Final = "audit/reserve"  # room kept for a full disk; a start makes it again

_DATABASE: Final = "geumgo.db"  # of SQLite
_ROWS: Final = "database.rows"  # of PostgreSQL
_FILLED: Final = "filled.db"  # while it is filled
_NAME: Final = re.compile(
    r"keyring\.json|node|geumgo\.db|database\.rows|backup\.recipients|audit(/[A-Za-z0-9][A-Za-z0-9._-]{0,200}){1,2}"
)
_MEMBER: Final = struct.Struct(
    ">HQQ"
)  # length of the name; of the file; of what is stored, its zeros at the end left out
_REVOKES: Final = frozenset({"DeleteAccessKey", "UpdateAccessKey"})


@dataclass(frozen=True, slots=True)
class Verified:
    """A backup that is whole, signed by the site whose seal opened it. `made_at_ms` is a moment before its snapshot."""

    made_at_ms: int
    term: int
    rows: dict[str, int]
    members: dict[str, int]


def add_recipient(settings: Settings, key_file: Path) -> None:
    """A new key that opens backups is in `key_file` (0600), its public half in the data directory: later backups are for it too.

    Raises FileExistsError if there is such a file.
    """
    identity, recipient = new_recipient()
    write_private(key_file, identity.reveal() + b"\n", replace=False)
    lines = [*_recipients(settings), recipient]
    write_private(settings.data / RECIPIENTS_NAME, "".join(f"{line}\n" for line in lines).encode(), replace=True)


def backup(settings: Settings, to: Path) -> Verified:
    """`to` is a new file (0600) with the database as of one moment, the sealed keyring, the node's name and the trail.

    The trail is copied after the database, so every anchor of this machine that the database holds is in it. Raises BackupError,
    StorageError, SealError.
    """
    made_at_ms = SystemClock().now_ms()
    partial = to.with_name(f".{to.name}.partial")
    with (
        file_locked(settings, changes=False),  # the keyring, the database and the trail of one backup belong together
        tempfile.TemporaryDirectory(prefix=".backup-", dir=settings.data) as place,
    ):
        signer = open_root(settings).backup_signer()
        copy, counts = _copied(settings, Path(place))
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as out:
                writer = Writer(out, _recipients(settings), {"made_at_ms": made_at_ms}, signer)
                members = {name: _add(writer, name, path) for name, path in _contents(settings, copy)}
                writer.write(_MEMBER.pack(0, 0, 0))
                writer.close({"rows": counts, "members": members})
                out.flush()
                os.fsync(descriptor)
            os.link(partial, to)  # never over something that is there
            _sync(to.parent)
        finally:
            partial.unlink()
    return Verified(made_at_ms, signer.term, counts, members)


def verify_backup(settings: Settings, file: Path, key_file: Path) -> Verified:
    """What the backup holds. Nothing is kept of it on the disk but its sealed keyring and database, for as long as this takes.

    Raises BackupError if a bit of it is not what was signed, SealError if the seal is not the one of its keyring.
    """
    with tempfile.TemporaryDirectory(prefix="geumgo-verify-") as place:
        return _unpack(settings, file, key_file, Path(place))


def restore(settings: Settings, file: Path, key_file: Path) -> Verified:
    """The data directory is as it was, and the database: the one that the settings name, whichever kind the backup is of.

    Everything is verified before anything is in its place. A database on a server is filled in one transaction, then the files come, the
    keyring last. Raises BackupError if the directory holds more than its seal and its settings file, or the backup is refused;
    StorageError if the database is not empty, or out of reach.
    """
    data = settings.data
    make_private_directory(data)
    allowed = {FILE_NAME, *((settings.seal_path.name,) if settings.seal == "file" else ())}
    extra = sorted(path.name for path in data.iterdir() if path.name not in allowed)
    if extra:
        raise BackupError(f"{data} is not empty: it holds {extra[0]}. Name a new directory.")
    if settings.database:
        postgres_copy().refuse_filled(settings.database)
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=data) as place:
        found = _unpack(settings, file, key_file, Path(place))
        _bring_back(settings, Path(place), found)
        _accept_lack(settings, Path(place))
        for path in sorted(Path(place).iterdir(), key=lambda path: path.name == keyring.FILE_NAME):
            for part in (*path.rglob("*"), path):
                _sync(part)
            path.rename(data / path.name)
            _sync(data)
    return found


def _bring_back(settings: Settings, place: Path, found: Verified) -> None:
    """The database that was unpacked into `place` is in the one that the settings name; a file of SQLite is left to be moved."""
    copy = next(place / name for name in (_DATABASE, _ROWS) if name in found.members)
    tables = tables_of(copy) if copy.name == _DATABASE else rows.tables_of(copy)
    if settings.database:
        _fill(open_storage(settings), tables, found)
    elif copy.name == _ROWS:
        _fill(open_sqlite(place / _FILLED), tables, found)
        snapshot(place / _FILLED, place / _DATABASE)
        for each in place.glob(f"{_FILLED}*"):
            each.unlink()
    else:
        return
    copy.unlink()


def _accept_lack(settings: Settings, place: Path) -> None:
    """The trail was copied after the database: the database knows of the changes in between that it lacks them."""
    storage = open_storage(settings) if settings.database else open_sqlite(place / _DATABASE)
    try:
        with storage.writing() as tx:
            accept_lack(newest_changes(place / "audit"), tx)
    finally:
        storage.close()


def _fill(storage: Storage, tables: Iterator[rows.Table], found: Verified) -> None:
    try:
        filled = fill_tables(storage, tables)
    finally:
        storage.close()
    assert all(found.rows[name] == count for name, count in filled.items()), "as many rows as were counted before"


def revoked_since(trail: Path, since_ms: int) -> list[str]:
    """The access keys that were deleted or made inactive since then, one plain line for each time, out of the trail in a directory."""
    first = datetime.fromtimestamp(since_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    found = []
    for record in records(trail):
        asked: dict[str, Any] = record.get("requestParameters") or {}
        if record["eventTime"] < first or record.get("errorCode") or record.get("eventName") not in _REVOKES:
            continue
        if record["eventName"] == "DeleteAccessKey" or asked.get("status") == "Inactive":
            found.append(f"{asked.get('accessKeyId')} ({record['eventName']} at {record['eventTime']})")
    return found


def postgres_copy() -> Any:
    """Loaded where it is needed: SQLite can do without PostgreSQL's library."""
    from geumgo.storage import postgres_copy

    return postgres_copy


# -- writing -----------------------------------------------------------------------------------------------------------


def _copied(settings: Settings, place: Path) -> tuple[Path, dict[str, int]]:
    """The database as of one moment, in a file of `place`, and the rows of each table."""
    if settings.database:
        copy = place / _ROWS
        return copy, postgres_copy().copy_out(settings.database, copy)
    copy = place / _DATABASE
    return copy, snapshot(settings.database_file, copy)


def _recipients(settings: Settings) -> list[str]:
    try:
        return (settings.data / RECIPIENTS_NAME).read_text("ascii").split()
    except FileNotFoundError:
        return []


def _contents(settings: Settings, copy: Path) -> Iterator[tuple[str, Path]]:
    for name in (keyring.FILE_NAME, NODE_NAME, RECIPIENTS_NAME):
        yield name, settings.data / name
    yield copy.name, copy
    for path in sorted(settings.audit.rglob("*")):  # a directory for each chain
        name = f"audit/{path.relative_to(settings.audit).as_posix()}"
        if (
            path.suffix == DRAFT_SUFFIX
        ):  # of a segment that holds nothing yet, and may have got its name before it is read
            continue
        if path.is_file() and not path.is_symlink() and name != RESERVE and _NAME.fullmatch(name):
            yield name, path


def _add(writer: Writer, name: str, path: Path) -> int:
    """As many bytes as the file holds now: what is appended while it is read belongs to a later backup."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        left = _without_zeros(file, size)
        encoded = name.encode()
        writer.write(_MEMBER.pack(len(encoded), size, left) + encoded)
        file.seek(0)
        while left:
            piece = file.read(min(left, PIECE_BYTES))
            if not piece:
                raise BackupError(f"{path} became shorter while it was read; try again.")
            writer.write(piece)
            left -= len(piece)
    return size


def _without_zeros(file: BinaryIO, size: int) -> int:
    """The length of a file without the zeros at its end: a segment of the trail is made at its full size."""
    while size:
        start = max(0, size - PIECE_BYTES)
        file.seek(start)
        kept = len(file.read(size - start).rstrip(b"\0"))
        if kept:
            return start + kept
        size = start
    return 0


# -- reading -----------------------------------------------------------------------------------------------------------


def _unpack(settings: Settings, file: Path, key_file: Path, place: Path) -> Verified:
    """The members are files in `place`, and they are the ones that the site signed."""
    with _opened(file, key_file) as reader:
        members = {}
        while (member := _member(reader)) is not None:
            name, size, stored = member
            if name in members or stored > size:
                raise damaged()
            _extract(reader, place / name, size, stored)
            members[name] = size
        footer, signed = reader.close()
    if not {keyring.FILE_NAME, NODE_NAME} <= members.keys() or (_DATABASE in members) == (_ROWS in members):
        raise damaged()
    try:
        signed.check(keyring.open_keyring(place, seal_of(settings)).backup_signer(footer.get("term")).public_key)
    except Unsealable:
        raise damaged() from None
    counts = rows_of(place / _DATABASE) if _DATABASE in members else rows.counted(place / _ROWS)
    if footer.get("members") != members or footer.get("rows") != counts:
        raise damaged()
    return Verified(int(reader.facts["made_at_ms"]), int(footer["term"]), footer["rows"], members)


@contextmanager
def _opened(file: Path, key_file: Path) -> Iterator[Reader]:
    identity = Plaintext(read_private(key_file, at_most=KEY_BYTES))
    with file.open("rb") as content:
        yield Reader(content, identity)


def _member(reader: Reader) -> tuple[str, int, int] | None:
    length, size, stored = _MEMBER.unpack(reader.take(_MEMBER.size))
    if not length:
        return None
    name = reader.take(length).decode("ascii", "replace")
    if not _NAME.fullmatch(name):
        raise damaged()
    return name, size, stored


def _extract(reader: Reader, path: Path, size: int, left: int) -> None:
    for directory in reversed(path.parents):
        directory.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        if size:
            os.posix_fallocate(descriptor, 0, size)  # as the trail made it: room that is there already
        while left:
            piece = reader.take(min(left, PIECE_BYTES))
            out.write(piece)
            left -= len(piece)
        out.flush()
        os.fsync(descriptor)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
