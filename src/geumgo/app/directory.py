"""A data directory: made at the first start, held by one server at a time, brought up to date before any process is forked."""

import fcntl
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import structlog

from geumgo.app import unsealing
from geumgo.app.rooms import ROOMS
from geumgo.audit.trail import TrailKeys
from geumgo.clock import SystemClock
from geumgo.context import Clock
from geumgo.sealing import Plaintext, Unsealable, keyring
from geumgo.sealing.files import make_private_directory, write_private
from geumgo.sealing.root import RootKeys
from geumgo.sealing.seals import FileSeal, PassphraseSeal, Seal, SealError, SharesSeal
from geumgo.services.iam.bootstrap import account_ids, bootstrap
from geumgo.settings import CONFIG_NAME, CREDENTIALS_NAME, Settings, SettingsError
from geumgo.storage import Storage, Tx
from geumgo.storage.migrate import fill, migrate
from geumgo.storage.rows import Table
from geumgo.storage.sqlite import open_sqlite
from geumgo.storage.terms import Closed, closed

log = structlog.get_logger("geumgo.app")

Opened = TypeVar("Opened")

NODE_NAME: Final = "node"
LOCK_NAME: Final = "server.lock"
FILE_LOCK: Final = "keyring.lock"
OCCUPIED_SECONDS: Final = 3.0  # how long a start waits for the server before it to end


class AlreadyThere(Exception):
    """The directory is initialised already; nothing was changed."""


@dataclass(frozen=True, slots=True)
class FirstStart:
    """What is shown once."""

    account: str
    access_key_id: str
    secret_access_key: str


def occupy(settings: Settings) -> int:
    """The data directory is there (mode 0700), and no other server of this machine starts on it until this process and its children end.

    Answers the descriptor that holds it. A server that is just ending is waited for. Raises SettingsError in a plain sentence.
    """
    deadline = time.monotonic() + OCCUPIED_SECONDS
    try:
        make_private_directory(settings.data)
        descriptor = os.open(settings.data / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        while not _locked(descriptor):
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise SettingsError(
                    f"Another server runs on {settings.data.resolve()}. Stop it first, or name another directory with --data."
                )
            time.sleep(0.05)
    except OSError as fault:
        raise SettingsError(f"The data directory {settings.data} cannot be used: {fault.strerror}.") from fault
    return descriptor


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def initialised(settings: Settings) -> bool:
    return keyring.exists(settings.data)


def initialise(settings: Settings, *, clock: Clock | None = None) -> FirstStart:
    """A new data directory: root key under its seal, tables, one account with its administrator, whose key is answered once.

    A start that was interrupted is taken up where it stopped.

    Raises:
        AlreadyThere: there is an account already.
        SealError, StorageError: with a plain sentence.
    """
    clock = clock or SystemClock()
    make_private_directory(settings.data)
    if not keyring.exists(settings.data):
        refuse_orphans(settings)
        if settings.seal == "shares":
            raise SealError(
                "A new data directory begins with a seal by file or passphrase. Then split a key with "
                '`geumgo reseal --add --shares N --threshold K`, and set seal = "shares".'
            )
        keyring.create(settings.data, seal_of(settings))
    name_node(settings)
    root = open_root(settings)
    storage = open_storage(settings, root)
    try:
        prepare_tables(storage)
        account = settings.account or str(secrets.randbelow(9 * 10**11) + 10**11)
        with storage.writing() as tx:
            if accounts_in(settings, tx, root):
                raise AlreadyThere(str(settings.data))
            key = bootstrap(tx, root, account, clock.now_ms())
            first = FirstStart(account, key.access_key_id, key.secret.reveal().decode())
            write_credentials(settings, first)
    finally:
        storage.close()
    return first


def name_node(settings: Settings) -> None:
    """The machine has a name in the trail. Another machine on the same database is given the keyring and its seal, and has one of its own.

    Raises SealError if it had a name before: what it has written would be nobody's.
    """
    if (settings.data / NODE_NAME).exists():
        return
    if settings.audit.exists() and any(settings.audit.iterdir()):
        raise SealError(
            f"There is a trail in {settings.audit}, but no {settings.data / NODE_NAME}, which says whose it is. Bring it back from a "
            "backup, or move the trail elsewhere."
        )
    write_private(settings.data / NODE_NAME, secrets.token_hex(4).encode(), replace=True)


def refuse_orphans(settings: Settings) -> None:
    """Raises SealError if there is what only a keyring can have opened: a new one would open none of it."""
    orphan = next((path for path in (settings.data / NODE_NAME, settings.database_file) if path.exists()), None)
    if orphan is not None:
        raise SealError(
            f"There is {orphan}, but no {settings.data / keyring.FILE_NAME}: without its root keys nothing in the database can be read. "
            "Bring it back from where the seal or a backup is kept; a new one would not do."
        )


def accounts_in(settings: Settings, tx: Tx, root: RootKeys) -> list[str]:
    """Raises SealError if what the database holds was not written under these root keys; Closed if they were renewed elsewhere."""
    try:
        return account_ids(tx, root)
    except Unsealable:
        refuse_left_behind(settings, root)
        raise SealError(
            f"The accounts in the database do not belong to the root keys in {settings.data / keyring.FILE_NAME}. Bring back the file "
            "that belongs to this database, or name the database that belongs to this file."
        ) from None


def write_credentials(settings: Settings, first: FirstStart) -> None:
    """The administrator's key as AWS clients read it. Written before the key exists, so that no key is ever lost."""
    profile = (
        f"[default]\naws_access_key_id = {first.access_key_id}\naws_secret_access_key = {first.secret_access_key}\n"
    )
    write_private(settings.data / CREDENTIALS_NAME, profile.encode(), replace=True)


def write_config(settings: Settings, endpoint: str) -> None:
    """The other half of what an AWS client needs: the region, and where this server listens now."""
    config = f"[default]\nregion = {settings.home}\nendpoint_url = {endpoint}\n"
    path = settings.data / CONFIG_NAME
    if not path.exists() or path.read_text() != config:  # a full disk does not keep a server from starting again
        write_private(path, config.encode(), replace=True)


def prepare(settings: Settings) -> bool:
    """The tables are what this program knows. Answers whether there is an account: whether the first start came to its end.

    Once, before any process is forked. Raises SealError, StorageError.
    """
    if keyring.tokens_are_over(settings.data, now_ms := SystemClock().now_ms()):
        with file_locked(settings, changes=True):
            keyring.drop_tokens(settings.data, seal_of(settings), now_ms)
    name_node(settings)
    root, storage = open_both(settings)
    try:
        prepare_tables(storage)
        with storage.reading() as tx:
            return bool(accounts_in(settings, tx, root))
    finally:
        storage.close()


def open_both(settings: Settings) -> tuple[RootKeys, Storage]:
    """The ring, or the next one if the database has no use for it any more; and the database to write to.

    Raises SealError, StorageError.
    """

    def opened() -> tuple[RootKeys, Storage]:
        root = open_root(settings)
        return root, open_storage(settings, root)

    return or_with_the_next(settings, opened)


def or_with_the_next(settings: Settings, opened: Callable[[], Opened]) -> Opened:
    """What is `opened` with the ring; or, where the database has no use for that any more, with the next ring, which is the ring now.

    Raises Closed: there is no next one.
    """
    try:
        return opened()
    except Closed:
        if not take_up_next(settings):
            raise
    return opened()


def prepare_tables(storage: Storage) -> list[str]:
    return migrate(storage, rooms_with_tables())


def fill_tables(storage: Storage, tables: Iterable[Table]) -> dict[str, int]:
    """An empty database has the tables and rows of another one. See `storage.migrate.fill`."""
    return fill(storage, rooms_with_tables(), tables)


def rooms_with_tables() -> list[tuple[str, str]]:
    rooms = [("audit", "geumgo.audit.tables"), ("jobs", "geumgo.jobs.tables")]
    return rooms + [(room.service, room.tables) for room in ROOMS if room.tables is not None]


def open_storage(settings: Settings, root: RootKeys | None = None) -> Storage:
    """The database. Whoever writes what is sealed in it says so with his `root`. Raises StorageError; Closed: its term is over."""
    if not settings.database:
        return open_sqlite(settings.database_file)
    from geumgo.storage.postgres import open_postgres  # a start on SQLite need not load PostgreSQL's library

    return open_postgres(settings.database, term=root.term if root is not None else None)


def refuse_left_behind(settings: Settings, root: RootKeys) -> None:
    """Raises Closed if another machine has begun a newer term of this database than any that `root` has: it opens nothing of that."""
    if not settings.database:
        return
    from geumgo.storage.postgres_terms import Terms

    newer = [term for term in Terms(settings.database).open_ones() if term > max(root.terms)]
    if newer:
        raise closed(root.term, newer)


def take_up_next(settings: Settings) -> bool:
    """Whether a next ring was there, and is the ring now: another machine seals in it already. Raises SealError."""
    if not keyring.has_next(settings.data):
        return False  # the lock is not waited for: a backup may hold it for long
    with file_locked(settings, changes=True):
        if not keyring.has_next(settings.data):
            return False  # another process has taken it up meanwhile
        keyring.take_up(settings.data, seal_of(settings))
    log.info("next root keys taken up", file=keyring.NEXT_NAME)
    return True


def open_root(settings: Settings) -> RootKeys:
    """The ring, which learns of terms that are added later when it meets what was sealed in them.

    Raises SealError if the seal does not open the keyring.
    """
    seen = [_stamp(settings)]

    def newer() -> RootKeys | None:
        try:
            now = _stamp(settings)
            if now == seen[0] and not take_up_next(settings):
                return None  # whoever forges a term makes us look at the files, and no more
            now = _stamp(settings)
            found = keyring.open_keyring(settings.data, seal_of(settings))
        except SealError as fault:
            log.error(  # noqa: TRY400 - a plain sentence is all there is to it
                "root keys not learned", fault=str(fault), next="what is sealed under the new ones is not readable"
            )
            return None
        seen[0] = now
        return found

    return keyring.open_keyring(settings.data, seal_of(settings)).learning(newer)


def _stamp(settings: Settings) -> tuple[int, int]:
    """What differs between two keyring files: each is a new one."""
    try:
        found = (settings.data / keyring.FILE_NAME).stat()
    except OSError:
        return 0, 0
    return found.st_ino, found.st_mtime_ns


def seal_of(settings: Settings) -> Seal:
    if settings.seal == "file":
        return FileSeal(settings.seal_path)
    if settings.seal == "shares":
        return SharesSeal(unsealing.given())
    try:
        return PassphraseSeal(Plaintext(Path(settings.passphrase_file).read_bytes()))
    except OSError as fault:
        raise SealError(f"The passphrase file {settings.passphrase_file} cannot be read: {fault.strerror}.") from fault


@contextmanager
def file_locked(settings: Settings, *, changes: bool) -> Iterator[None]:
    """Nobody changes the keyring file meanwhile but, with `changes`, this block. Whoever is at it is waited for."""
    descriptor = os.open(settings.data / FILE_LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if changes else fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def node_of(settings: Settings) -> str:
    """The name of the machine in the trail: eight hexadecimal digits, made at the first start."""
    return (settings.data / NODE_NAME).read_text().strip()


def trusted_keys(root: RootKeys) -> dict[bytes, Plaintext | None]:
    """What the trail of every term is checked with, the oldest first: its public key, and its MAC key if the term is still there."""
    trusted: dict[bytes, Plaintext | None] = dict.fromkeys(root.trail_keys_of_old())
    for term in root.terms:
        keys = root.audit_keys(term)
        trusted[keys.signer.public_key] = keys.mac_key
    return trusted


def trail_keys(root: RootKeys) -> TrailKeys:
    keys = root.audit_keys()
    older = {term: root.audit_keys(term).mac_key for term in root.terms if term < keys.term}
    return TrailKeys(
        keys.mac_key, keys.signer.sign, keys.signer.public_key, keys.term, older, trusted_keys(root).keys()
    )
