"""The only place that knows every part: settings -> storage -> rooms -> pipeline, worker.

`initialise` makes a data directory, `prepare` brings it to what this program knows (once, before any process is forked), `build` makes the
parts of an API process, `work` runs the process for jobs.
"""

import fcntl
import gc
import os
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog

from geumgo import protocol
from geumgo.access.demand import Demand
from geumgo.access.gate import Gate
from geumgo.access.ports import Key
from geumgo.audit import recovery
from geumgo.audit import store as audit_store
from geumgo.audit.record import service_event
from geumgo.audit.trail import Head, Trail, TrailFull, TrailKeys
from geumgo.audit.verify import Report, records, verify
from geumgo.clock import SystemClock
from geumgo.context import NOBODY, Clock, Context, Params, Place
from geumgo.domain.arn import split_arn
from geumgo.jobs import queue
from geumgo.jobs.crew import Crew
from geumgo.jobs.worker import Failure, Worker
from geumgo.pipeline import Count, Parts, Pipeline
from geumgo.room import JobHandler, Room
from geumgo.sealing import Plaintext, Unsealable, keyring
from geumgo.sealing.files import write_private
from geumgo.sealing.root import RootKeys
from geumgo.sealing.seals import FileSeal, PassphraseSeal, Seal, SealError
from geumgo.services import geumgo as geumgo_room
from geumgo.services import iam, kms, secretsmanager, sts
from geumgo.services.iam.bootstrap import AccountExists, account_ids, bootstrap
from geumgo.services.iam.directory import Directory
from geumgo.services.iam.explain import Explanation, NoSuchPrincipal
from geumgo.services.iam.explain import explain as iam_explain
from geumgo.services.iam.keyring import LongTermKeyring
from geumgo.services.iam.rights import Rights
from geumgo.services.kms import targets as kms_targets
from geumgo.services.sts.keyring import TemporaryKeyring
from geumgo.services.sts.passwords import PasswordSessions
from geumgo.settings import CONFIG_NAME, CREDENTIALS_NAME, Settings, SettingsError
from geumgo.storage import Broken, Storage, StorageError, Tx
from geumgo.storage.migrate import migrate
from geumgo.storage.sqlite import open_sqlite

log = structlog.get_logger("geumgo.app")

ROOMS: Final[tuple[Room, ...]] = (geumgo_room.ROOM, iam.ROOM, kms.ROOM, secretsmanager.ROOM, sts.ROOM)
NODE_NAME: Final = "node"
LOCK_NAME: Final = "server.lock"
OCCUPIED_SECONDS: Final = 3.0  # how long a start waits for the server before it to end
LANES: Final = 2  # jobs that run side by side in the process for jobs
PRUNE_EVERY_MS: Final = 3_600_000


class AlreadyThere(Exception):
    """The directory is initialised already; nothing was changed."""


@dataclass(frozen=True, slots=True)
class FirstStart:
    """What is shown once."""

    account: str
    access_key_id: str
    secret_access_key: str


@dataclass(frozen=True, slots=True)
class Keyrings:
    """The door's keyring: users' own keys from iam, temporary ones from sts."""

    long_term: LongTermKeyring
    temporary: TemporaryKeyring

    def find(self, tx: Tx, access_key_id: str, session_token: str | None, now_ms: int) -> Key | None:
        ring = self.temporary if access_key_id.startswith("ASIA") else self.long_term
        return ring.find(tx, access_key_id, session_token, now_ms)

    def mark_used(self, tx: Tx, access_key_id: str, service: str, region: str, now_ms: int) -> None:
        self.long_term.mark_used(tx, access_key_id, service, region, now_ms)


@dataclass(slots=True)
class Anchor:
    """Keeps the head of one chain in the database, where whoever holds the files cannot reach it; and tidies up behind the trail."""

    trail: Trail
    node: str
    clock: Clock
    kept: Head | None = None
    pruned_at_ms: int = 0

    def keep(self, storage: Storage) -> None:
        """The newest head is signed and kept; rows of old intents are gone. What does not work now is tried again at the next call.

        A write whose commit nobody saw end has its outcome now: between two requests no other intent is open.

        Raises TrailBroken or storage.Broken when this process must end.
        """
        try:
            self.trail.checkpoint()
            recovery.resolve(self.trail, storage, self.clock.now_ms())
            self.keep_heads(storage)
            if self.clock.now_ms() - self.pruned_at_ms >= PRUNE_EVERY_MS:
                self.pruned_at_ms = self.clock.now_ms()
                with storage.writing() as tx:
                    audit_store.prune_applied(tx, self.pruned_at_ms)
        except (TrailFull, StorageError) as fault:
            if isinstance(fault, Broken):
                raise
            log.warning("the trail's head is not kept", fault=str(fault), next="it is tried again in a second")

    def keep_heads(self, storage: Storage) -> None:
        """Raises StorageError."""
        heads = [head for head in self.trail.heads() if head != self.kept]
        if heads:
            with storage.writing() as tx:
                audit_store.keep_heads(tx, self.node, heads)
            self.kept = heads[-1]


@dataclass(slots=True)
class App:
    """The parts of one process, and what its surroundings ask of it."""

    settings: Settings
    storage: Storage
    trail: Trail
    pipeline: Pipeline
    worker: Worker
    anchor: Anchor
    rooms: dict[str, Room]

    def ready(self) -> list[str]:
        """What keeps this process from serving, in plain words. Empty: nothing."""
        problems = []
        try:
            with self.storage.reading() as tx:
                tx.one("SELECT COUNT(*) FROM schema_migration")
        except StorageError as fault:
            log.warning("not ready", fault=str(fault))  # not for whoever asks: he need not say who he is
            problems.append("the database cannot be read")
        if self.trail.on_reserve:
            problems.append("the disk that holds the audit trail is nearly full")
        return problems

    def tick(self) -> None:
        """About once a second. Raises TrailBroken or storage.Broken when this process must end."""
        self.anchor.keep(self.storage)

    def close(self) -> None:
        """The trail is signed to its end and anchored, everything is closed."""
        try:
            self.trail.close()
            self.anchor.keep_heads(self.storage)
        finally:
            self.storage.close()


# -- a data directory --------------------------------------------------------------------------------------------------


def occupy(settings: Settings) -> int:
    """The data directory is there (mode 0700), and no other server of this machine starts on it until this process and its children end.

    Answers the descriptor that holds it. A server that is just ending is waited for. Raises SettingsError in a plain sentence.
    """
    deadline = time.monotonic() + OCCUPIED_SECONDS
    try:
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings.data.chmod(0o700)
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
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings.data.chmod(0o700)
    if not keyring.exists(settings.data):
        refuse_orphans(settings)
        keyring.create(settings.data, seal_of(settings))
    if not (settings.data / NODE_NAME).exists():
        write_private(settings.data / NODE_NAME, secrets.token_hex(4).encode(), replace=True)
    root = open_root(settings)
    storage = open_storage(settings)
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


def refuse_orphans(settings: Settings) -> None:
    """Raises SealError if there is what only a keyring can have opened: a new one would open none of it."""
    orphan = next((path for path in (settings.data / NODE_NAME, settings.database_file) if path.exists()), None)
    if orphan is not None:
        raise SealError(
            f"There is {orphan}, but no {settings.data / keyring.FILE_NAME}: without its root keys nothing in the database can be read. "
            "Bring it back from where the seal or a backup is kept; a new one would not do."
        )


def accounts_in(settings: Settings, tx: Tx, root: RootKeys) -> list[str]:
    """Raises SealError if what the database holds was not written under these root keys."""
    try:
        return account_ids(tx, root)
    except Unsealable:
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


def has_account(settings: Settings) -> bool:
    """Whether the first start came to its end."""
    root = open_root(settings)
    storage = open_storage(settings)
    try:
        prepare_tables(storage)
        with storage.reading() as tx:
            return bool(accounts_in(settings, tx, root))
    finally:
        storage.close()


def prepare(settings: Settings) -> list[str]:
    """The tables are what this program knows. Answers the migrations that were applied. Once, before any process is forked."""
    open_root(settings)
    storage = open_storage(settings)
    try:
        return prepare_tables(storage)
    finally:
        storage.close()


def prepare_tables(storage: Storage) -> list[str]:
    rooms = [("audit", "geumgo.audit.tables"), ("jobs", "geumgo.jobs.tables")]
    rooms += [(room.service, room.tables) for room in ROOMS if room.tables is not None]
    return migrate(storage, rooms)


def open_storage(settings: Settings) -> Storage:
    if not settings.database:
        return open_sqlite(settings.database_file)
    from geumgo.storage.postgres import open_postgres  # a start on SQLite need not load PostgreSQL's library

    return open_postgres(settings.database)


def warm() -> None:
    """What every process needs is loaded, so that processes forked after it share it and start at once."""
    for room in ROOMS:
        protocol.models.load(room.service)
    gc.collect()
    gc.freeze()


def open_root(settings: Settings) -> RootKeys:
    """Raises SealError if the seal does not open the keyring."""
    return keyring.open_keyring(settings.data, seal_of(settings))


def seal_of(settings: Settings) -> Seal:
    if settings.seal == "file":
        return FileSeal(settings.seal_path)
    try:
        return PassphraseSeal(Plaintext(Path(settings.passphrase_file).read_bytes()))
    except OSError as fault:
        raise SealError(f"The passphrase file {settings.passphrase_file} cannot be read: {fault.strerror}.") from fault


def node_of(settings: Settings) -> str:
    """The name of the machine in the trail: eight hexadecimal digits, made at the first start."""
    return (settings.data / NODE_NAME).read_text().strip()


def trail_keys(root: RootKeys) -> TrailKeys:
    keys = root.audit_keys()
    return TrailKeys(keys.mac_key, keys.signer.sign, keys.signer.public_key, keys.term)


# -- a process ---------------------------------------------------------------------------------------------------------


def build(settings: Settings, *, slot: str, clock: Clock | None = None, count: Count | None = None) -> App:
    """The parts of one process. `slot` names its chain of the trail; no two living processes of a machine have the same."""
    clock = clock or SystemClock()
    root = open_root(settings)
    storage = open_storage(settings)
    node = node_of(settings)
    trail = open_trail(settings, storage, root, clock, node, slot)
    directory = Directory(root, settings.partition)
    keyrings = Keyrings(
        LongTermKeyring(root, settings.partition), TemporaryKeyring(root, directory, settings.partition)
    )
    parts = Parts(
        rooms={room.service: room for room in ROOMS},
        models={room.service: protocol.models.load(room.service) for room in ROOMS},
        storage=storage,
        gate=Gate(Rights(root, settings.partition)),
        keyring=keyrings,
        principals=directory,
        sealing=root,
        trail=trail,
        clock=clock,
        regions=frozenset(settings.regions),
        partition=settings.partition,
        limits=protocol.Limits(size=settings.max_body_bytes),
        sessions=PasswordSessions(),
        count=count or (lambda _service, _operation, _code: None),
        most_derived=settings.derived_entries,
    )
    bench = Bench(root, clock, trail, f"{node}-{slot}", threading.Lock())
    anchor = Anchor(trail, node, clock)
    anchor.keep(storage)
    return App(settings, storage, trail, Pipeline(parts), bench.worker(storage), anchor, dict(parts.rooms))


def open_trail(settings: Settings, storage: Storage, root: RootKeys, clock: Clock, node: str, slot: str) -> Trail:
    """The chain of this process, with the intents that a crash left open settled from the database."""
    with storage.reading() as tx:
        anchor = audit_store.head(tx, f"{node}-{slot}")
    trail = Trail.open(
        settings.audit,
        node=node,
        slot=slot,
        keys=trail_keys(root),
        clock=clock,
        anchor=anchor,
        segment_bytes=settings.segment_bytes,
    )
    recovery.resolve(trail, storage, clock.now_ms())
    return trail


@dataclass(frozen=True, slots=True)
class Bench:
    """Where jobs are worked on: what a worker needs, shared by the lanes of a process. The trail is for one thread at a time."""

    root: RootKeys
    clock: Clock
    trail: Trail
    owner: str
    lock: Any  # threading.Lock

    def worker(self, storage: Storage, lane: int = 0) -> Worker:
        return Worker(
            storage, handlers(), self.clock, self.root, owner=self.owner, event=self.event, note=note_failure, lane=lane
        )

    def anchoring(self, anchor: Anchor, storage: Storage, stop: threading.Event) -> None:
        """Once a second until `stop` is set. What ends the process ends it here too: `stop` is set, and the fault is raised."""
        try:
            while not stop.wait(1.0):
                with self.lock:
                    anchor.keep(storage)
        finally:
            stop.set()

    def event(self, place: Place, name: str, details: Params) -> None:
        """A service event is in the trail, durable."""
        made = service_event(
            service="secretsmanager.amazonaws.com",
            name=name,
            region=place.region,
            account=place.account,
            at_ms=self.clock.now_ms(),
            request_id="",
            details=details,
        )
        with self.lock:
            self.trail.note("event", made)
            self.trail.settle()


def handlers() -> dict[str, JobHandler]:
    return {kind: handler for room in ROOMS for kind, handler in room.jobs.items()}


def note_failure(failure: Failure) -> None:
    log.error(
        "job failed",
        kind=failure.kind,
        account=failure.place.account,
        region=failure.place.region,
        attempt=failure.attempt,
        fault=type(failure.error).__name__,
        next="it is tried again; `geumgo status` shows jobs that were given up",
    )


def work(settings: Settings, stop: threading.Event) -> None:
    """The process for jobs: runs what is due until `stop` is set, and what runs then is finished."""
    clock = SystemClock()
    root = open_root(settings)
    storage = open_storage(settings)
    node = node_of(settings)
    slot = "worker"
    trail = open_trail(settings, storage, root, clock, node, slot)
    bench = Bench(root, clock, trail, f"{node}-{slot}", threading.Lock())
    crew = Crew(lambda: open_storage(settings), bench.worker, clock, owner=bench.owner, lanes=LANES, note=note_failure)
    anchor = Anchor(trail, node, clock)
    anchor.keep(storage)
    beat = threading.Thread(target=bench.anchoring, args=(anchor, storage, stop), name="anchor")
    beat.start()
    try:
        crew.run(stop)
    finally:
        stop.set()
        beat.join()
        trail.close()
        anchor.keep_heads(storage)
        storage.close()


# -- what operators ask ------------------------------------------------------------------------------------------------


def status(settings: Settings) -> dict[str, Any]:
    """How the data directory is, for one screen; `problems` are plain sentences, none if all is well."""
    root = open_root(settings)
    storage = open_storage(settings)
    try:
        with storage.reading() as tx:
            accounts = accounts_in(settings, tx, root)
            jobs = queue.counts(tx, now_ms=SystemClock().now_ms())
            given_up = queue.parked(tx)
            heads = audit_store.heads(tx, node_of(settings))
    finally:
        storage.close()
    problems = [
        f"The job {each.kind} for {each.place.account}/{each.place.region} was given up after {each.attempts} attempts ({each.last_error})."
        for each in given_up
    ]
    return {
        "data": str(settings.data.resolve()),
        "database": "PostgreSQL" if settings.database else "SQLite",
        "seal": settings.seal,
        "regions": list(settings.regions),
        "accounts": accounts,
        "jobs_waiting": jobs.waiting,
        "jobs_running": jobs.running,
        "jobs_given_up": jobs.parked,
        "trail_chains": len(heads),
        "problems": problems,
    }


def verify_trail(settings: Settings) -> Report:
    """Every chain of this machine, checked with the public key against the heads that the database keeps."""
    root = open_root(settings)
    storage = open_storage(settings)
    try:
        with storage.reading() as tx:
            anchors = audit_store.heads(tx, node_of(settings))
    finally:
        storage.close()
    public_keys = [root.audit_keys(term).signer.public_key for term in root.terms]
    return verify(settings.audit, public_keys, anchors, mac_key=trail_keys(root).mac_key)


def read_trail(settings: Settings) -> list[dict[str, Any]]:
    """Every record of this machine's chains, oldest first; of a write only if it was committed."""
    return list(_records(settings))


def _records(settings: Settings) -> Iterator[dict[str, Any]]:
    yield from records(settings.audit)


def explain(
    settings: Settings, principal: str, action: str, resource: str, keys: Mapping[str, tuple[str, ...]]
) -> Explanation:
    """Whether `principal` (an ARN) may do `action` on `resource` with these condition keys, and why. Raises NoSuchPrincipal."""
    root = open_root(settings)
    storage = open_storage(settings)
    arn = split_arn(resource)
    region = arn.region if arn is not None and arn.region else settings.home
    now_s = str(SystemClock().now_ms() // 1000)
    try:
        with storage.reading() as tx:
            ctx = Context(
                tx=tx,
                place=Place("", region, settings.partition),
                caller=NOBODY,
                clock=SystemClock(),
                sealing=root,
                request_id="",
                gateway=NoDoor(),
                conditions={
                    "aws:RequestedRegion": (region,),
                    "aws:CurrentTime": (now_s,),
                    "aws:EpochTime": (now_s,),
                },
                reads_only=True,
                regions=frozenset(settings.regions),
                principals=Directory(root, settings.partition),
            )
            return iam_explain(ctx, principal, action, resource, keys, REACH)
    finally:
        storage.close()


def reach_key(ctx: Context, action: str, resource: str, keys: Mapping[str, tuple[str, ...]]) -> Demand:
    """What an operation on a KMS key asks; `keys` may hold an encryption context, which grants look at."""
    prefix = "kms:EncryptionContext:"
    sealed_with = {key.removeprefix(prefix): values[0] for key, values in keys.items() if key.startswith(prefix)}
    return kms_targets.demand_on(ctx, resource, action, sealed_with, {})


def reach_secret(ctx: Context, action: str, resource: str, keys: Mapping[str, tuple[str, ...]]) -> Demand:  # noqa: ARG001
    return secretsmanager.ROOM.operations["DescribeSecret"].access.demands(ctx, {"SecretId": resource})[0]


REACH: Final = {"kms": reach_key, "secretsmanager": reach_secret}


class NoDoor:
    """Who only looks at rights asks no other room."""

    def call(self, ctx: Context, service: str, operation: str, params: Params) -> Params:  # noqa: ARG002
        raise AssertionError(f"a question about rights asked {service} to {operation}")


def create_account(settings: Settings, account: str) -> FirstStart:
    """A further account with its administrator. Raises iam's AccountExists, ValueError."""
    root = open_root(settings)
    storage = open_storage(settings)
    try:
        with storage.writing() as tx:
            key = bootstrap(tx, root, account, SystemClock().now_ms())
    finally:
        storage.close()
    return FirstStart(account, key.access_key_id, key.secret.reveal().decode())


__all__ = [
    "AccountExists",
    "AlreadyThere",
    "App",
    "FirstStart",
    "NoSuchPrincipal",
    "build",
    "explain",
    "initialise",
    "occupy",
    "prepare",
    "verify_trail",
    "work",
]
