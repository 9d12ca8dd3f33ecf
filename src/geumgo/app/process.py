"""The parts of one process: an API process answers requests, the process for jobs keeps promises."""

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog

from geumgo import protocol
from geumgo.access.gate import Gate
from geumgo.access.ports import Key
from geumgo.app import readers, rings
from geumgo.app.directory import node_of, open_storage, trail_keys
from geumgo.app.indexing import indexer_of
from geumgo.app.outgoing import function_host, jobs_of
from geumgo.app.rooms import ROOMS, handlers
from geumgo.audit import recovery
from geumgo.audit import store as audit_store
from geumgo.audit.follow import TrailFiles
from geumgo.audit.record import service_event
from geumgo.audit.trail import Head, Kind, Trail, TrailFull
from geumgo.clock import ForwardClock, SystemClock
from geumgo.context import Clock, Params, Place
from geumgo.functions import Functions
from geumgo.jobs import lease
from geumgo.jobs.crew import Crew
from geumgo.jobs.worker import Failure, Worker
from geumgo.pipeline import Pipeline
from geumgo.room import JobHandler, Room
from geumgo.sealing.root import RootKeys
from geumgo.services.cloudtrail.feeder import Meter
from geumgo.services.cloudtrail.indexer import Indexer
from geumgo.services.config.watch import ChangesWatch
from geumgo.services.events.publisher import DefaultBus
from geumgo.services.iam.directory import Directory
from geumgo.services.iam.keyring import LongTermKeyring
from geumgo.services.iam.rights import Rights
from geumgo.services.lambda_.seats import Seats, give_all_back
from geumgo.services.secretsmanager.rotation_clock import clock_was_set_back
from geumgo.services.sts import time_line
from geumgo.services.sts.keyring import TemporaryKeyring
from geumgo.services.sts.passwords import PasswordSessions
from geumgo.settings import Settings
from geumgo.storage import Broken, Storage, StorageError, Tx
from geumgo.turn import Count, Notes, Parts, host_of

log = structlog.get_logger("geumgo.app")

PRUNE_EVERY_MS: Final = 3_600_000


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

    trail: "Trail | SharedTrail"
    node: str
    clock: ForwardClock
    root: RootKeys
    kept: Head | None = None
    pruned_at_ms: int = 0

    def keep(self, storage: Storage) -> None:
        """The newest head is signed and kept; rows of old intents are gone. What does not work now is tried again at the next call.

        A write whose commit nobody saw end has its outcome now: between two requests no other intent is open. That of a lane may be: its
        commit is waited for, and what became of it is said twice.

        Raises TrailBroken or storage.Broken when this process must end.
        """
        try:
            self._look_at_the_clock(storage)
            self.root.end_tokens(self.clock.now_ms())
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

    def _look_at_the_clock(self, storage: Storage) -> None:
        """A clock that was set back begins a new time line: what was made before it is over. Raises StorageError."""
        back_ms = self.clock.set_back_ms
        if not back_ms:
            return
        with storage.writing() as tx:
            number = time_line.begin(tx, self.root, self.clock.now_ms() - back_ms)
            clock_was_set_back(tx, self.clock.now_ms() - back_ms)
        self.clock.follow()
        log.error(
            "clock set back",
            seconds=back_ms // 1000,
            time_line=number,
            next="every session that was made before has ended; sign in again, and let a time server keep the clock",
        )

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
    indexer: Indexer
    seats: Seats
    holding: int  # the descriptor that tells which root keys this process has

    def ready(self) -> list[str]:
        """What keeps this process from serving, in plain words. Empty: nothing. Raises storage.Broken when it must end."""
        problems = []
        try:
            with self.storage.reading() as tx:
                tx.one("SELECT COUNT(*) FROM schema_migration")
        except Broken:
            raise
        except StorageError as fault:
            log.warning("not ready", fault=str(fault))  # not for whoever asks: he need not say who he is
            problems.append("the database cannot be read")
        if self.trail.on_reserve:
            problems.append("the disk that holds the audit trail is nearly full")
        return problems

    def tick(self) -> None:
        """About once a second. Raises TrailBroken or storage.Broken when this process must end."""
        self.anchor.keep(self.storage)
        self.seats.settle()

    def close(self) -> None:
        """The trail is signed to its end and anchored, everything is closed."""
        try:
            self.trail.close()
            self.anchor.keep_heads(self.storage)
        finally:
            self.seats.close()
            self.storage.close()
            if self.holding >= 0:
                os.close(self.holding)
                self.holding = -1


def build(settings: Settings, *, slot: str, clock: Clock | None = None, count: Count | None = None) -> App:
    """The parts of one process. `slot` names its chain of the trail; no two living processes of a machine have the same."""
    root, holding, storage = rings.hold_and_open(settings)
    node = node_of(settings)
    clock = forward(clock or SystemClock(), storage, f"{node}-{slot}")
    trail = open_trail(settings, storage, root, clock, node, slot)
    owner = f"{node}-{slot}"
    seats = seats_of(settings, storage, root, clock, owner)
    host = function_host(settings, seats)
    parts = parts_of(settings, storage, root, trail, clock, host, count)
    pipeline = Pipeline(parts)
    bench = Bench(root, clock, trail, owner, threading.Lock(), lambda _storage: pipeline, jobs_of(settings, host))
    anchor = Anchor(trail, node, clock, root)
    anchor.keep(storage)
    return App(
        settings,
        storage,
        trail,
        pipeline,
        bench.worker(storage),
        anchor,
        dict(parts.rooms),
        indexer_of(settings, root, clock),
        seats,
        holding,
    )


def seats_of(settings: Settings, storage: Storage, root: RootKeys, clock: Clock, owner: str) -> Seats:
    """What counts the functions with reserved concurrency. Those of the process that had this name before have ended with it."""
    give_all_back(storage, owner)
    return Seats(lambda: open_storage(settings, root), clock, owner)


def parts_of(
    settings: Settings,
    storage: Storage,
    root: RootKeys,
    trail: Notes,
    clock: Clock,
    functions: Functions,
    count: Count | None = None,
) -> Parts:
    """What a pipeline on `storage` is made of."""
    directory = Directory(root, settings.partition)
    keyrings = Keyrings(
        LongTermKeyring(root, settings.partition), TemporaryKeyring(root, directory, settings.partition)
    )
    return Parts(
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
        functions=functions,
        count=count or (lambda _service, _operation, _code, _caller: None),
        most_derived=settings.derived_entries,
        publisher=DefaultBus(root),
        honour_child_denies=settings.honour_child_denies,
        watcher=ChangesWatch(root),
        archive=TrailFiles(settings.audit),
    )


def forward(clock: Clock, storage: Storage, chain: str) -> ForwardClock:
    """`clock`, which knows how late it was when this process last ran: that stands with the head of its chain."""
    with storage.reading() as tx:
        head = audit_store.head(tx, chain)
    return ForwardClock(clock, head.at_ms if head is not None else 0)


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
class SharedTrail:
    """The trail of a process as its lanes see it: one of them at a time. What one notes may become durable with what another settles.

    Nobody waits for the database while he has the lock: a lane that writes there waits for the lock.
    """

    trail: Trail
    lock: Any  # threading.Lock

    def note(self, kind: Kind, record: Mapping[str, Any] | bytes) -> str:
        with self.lock:
            return self.trail.note(kind, record)

    def settle(self) -> None:
        with self.lock:
            self.trail.settle()

    def checkpoint(self) -> None:
        with self.lock:
            self.trail.checkpoint()

    def heads(self) -> tuple[Head, ...]:
        with self.lock:
            return self.trail.heads()

    @property
    def unresolved(self) -> Mapping[str, int]:
        with self.lock:
            return self.trail.unresolved

    def launch(self, _woken: Callable[[], None]) -> bool:
        raise AssertionError("a lane waits for the disk: other lanes' records would land with its own")

    def land(self) -> None:
        raise AssertionError("a lane launches nothing")

    def abandon(self) -> None:
        raise AssertionError("a lane drops nothing: other lanes' records wait beside its own")

    @property
    def scarce(self) -> bool:
        return False  # a job goes on as long as it finds space: most of them take away

    def give_up_reserve(self) -> None:
        with self.lock:
            self.trail.give_up_reserve()


@dataclass(frozen=True, slots=True)
class Bench:
    """Where jobs are worked on: what a worker needs, shared by the lanes of a process. The trail is for one thread at a time."""

    root: RootKeys
    clock: Clock
    trail: Trail
    owner: str
    lock: Any  # threading.Lock
    door: Callable[[Storage], Pipeline]  # through which the jobs of a lane ask other rooms
    outside: Mapping[str, JobHandler]  # the jobs that reach outside, by kind

    def worker(self, storage: Storage, lane: int = 0) -> Worker:
        door = self.door(storage)
        return Worker(
            storage,
            {**handlers(), **self.outside},
            self.clock,
            self.root,
            owner=self.owner,
            event=self.event,
            note=note_failure,
            lane=lane,
            ask=door.act_alone,
            check=door.allow_alone,
            publisher=DefaultBus(self.root),
        )

    def anchoring(self, anchor: Anchor, seats: Seats, storage: Storage, stop: threading.Event) -> None:
        """Once a second until `stop` is set. What ends the process ends it here too: `stop` is set, and the fault is raised."""
        try:
            while not stop.wait(1.0):
                anchor.keep(storage)
                seats.settle()
        finally:
            stop.set()

    def event(self, kind: str, place: Place, name: str, details: Params) -> None:
        """An event of the service whose job this is is in the trail, durable. `kind` is the job's: "kms.delete_key"."""
        made = service_event(
            service=host_of(kind.partition(".")[0]),
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


def work(settings: Settings, stop: threading.Event, meter: Meter | None = None) -> None:
    """The process for jobs: runs what is due until `stop` is set, and what runs then is finished. `meter`: its page of numbers."""
    root, holding, storage = rings.hold_and_open(settings)
    node = node_of(settings)
    slot = lease.WORKER
    clock = forward(SystemClock(), storage, f"{node}-{slot}")
    trail = open_trail(settings, storage, root, clock, node, slot)
    lock = threading.Lock()
    shared = SharedTrail(trail, lock)
    seats = seats_of(settings, storage, root, clock, f"{node}-{slot}")
    host = function_host(settings, seats)
    bench = Bench(
        root,
        clock,
        trail,
        f"{node}-{slot}",
        lock,
        lambda each: Pipeline(parts_of(settings, each, root, shared, clock, host)),
        jobs_of(settings, host),
    )
    crew = Crew(
        lambda: open_storage(settings, root),
        bench.worker,
        clock,
        owner=bench.owner,
        lanes=settings.jobs_at_once,
        note=note_failure,
    )
    anchor = Anchor(shared, node, clock, root)
    anchor.keep(storage)
    beat = threading.Thread(target=bench.anchoring, args=(anchor, seats, storage, stop), name="anchor")
    beat.start()
    watching = readers.start(settings, root, clock, trail, stop, meter)
    try:
        crew.run(stop)
    finally:
        stop.set()
        beat.join()
        readers.end(watching)
        seats.close()
        trail.close()
        anchor.keep_heads(storage)
        storage.close()
        os.close(holding)
