"""New root keys under a running server: a new term is added, everything comes under it, the old term is dropped.

    rekeying = Rekeying(settings, told)
    rekeying.begin(seals)      # a new term, unless one was begun
    rekeying.renew()           # every row, in small transactions
    rekeying.wait()            # until no process of this machine uses the old term any more
    rekeying.wait_for_others() # nor one of another machine on this database
    rekeying.finish(...)       # nothing is left of the old term: it is dropped

Each of them may be killed at any moment, and called again: what was done is seen from the keyring file, the rows, the trail, and the
processes themselves. The supervisor sees that the file has changed, and starts its processes anew, one after the other; meanwhile those
that have not had their turn learn of the new term from the first row that names it.

The order is what makes it safe. A row in the old term is written for as long as a process lives that began with it; so rows are looked
through once more after the last such process has ended, and only then the term is dropped, from the file first and then from memory.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeVar

from geumgo.app import rings
from geumgo.app.directory import (
    LOCK_NAME,
    file_locked,
    node_of,
    open_both,
    open_root,
    open_storage,
    seal_of,
    take_up_next,
    trail_keys,
)
from geumgo.app.rooms import renewals
from geumgo.audit import recovery
from geumgo.audit import store as audit_store
from geumgo.audit.follow import TrailFiles
from geumgo.audit.segment import term_of
from geumgo.audit.trail import Trail, TrailBroken
from geumgo.clock import SystemClock
from geumgo.renewal import Damaged, Position, Renewal, Step, count, step
from geumgo.sealing import keyring
from geumgo.sealing.root import RootKeys
from geumgo.sealing.seals import Seal
from geumgo.settings import Settings, SettingsError
from geumgo.storage import Broken, Conflict, Storage, Tx
from geumgo.storage.postgres_terms import Terms

LOCK: Final = "rekey.lock"
SESSIONS_MS: Final = 36 * 3_600_000
"""The longest life of temporary credentials. Source: GetSessionToken, STS API reference (129,600 seconds)."""
TRIES: Final = 100  # of a transaction that others come before
CONFLICT_SECONDS: Final = 0.05
START_SECONDS: Final = 10.0  # in which a process that has opened the keyring has opened its chain of the trail
PROGRESS_SECONDS: Final = 5.0
PAUSE_SECONDS: Final = 0.5  # between two looks at what is waited for
LONGEST_REST_SECONDS: Final = 0.05  # between two transactions: as long as the last one took, at most this

T = TypeVar("T")
Told = Callable[[str], None]
"""Hears a sentence for the operator."""


class NotYet(Exception):
    """The old root keys cannot be dropped now. Its text is a sentence for the operator, with what to do next."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the root keys of a directory are renewed.

    `left` maps tables to how many rows they have in an older term, if any. `older_rings` are held by processes of this machine, which
    are `used_by` where the system names them. `chains_left` of the trail are signed in an older term.
    """

    terms: rings.Ring
    made_at_ms: int | None
    left: dict[str, int]
    older_rings: list[rings.Ring]
    used_by: list[str]
    chains_left: list[str]

    @property
    def term(self) -> int:
        return self.terms[-1]

    @property
    def under_way(self) -> bool:
        return len(self.terms) > 1 or bool(self.older_rings)


def standing(settings: Settings) -> Standing:
    """Raises SealError, StorageError."""
    root = open_root(settings)
    storage = open_storage(settings)
    try:
        counts = {
            renewal.table: patiently(storage, partial(count, renewal=renewal, term=root.term), reads=True)
            for _, renewal in renewals()
        }
    finally:
        storage.close()
    older = rings.others(settings, root.terms)
    return Standing(
        root.terms,
        keyring.made_at_ms(settings.data, root.term),
        {table: rows for table, rows in counts.items() if rows},
        older,
        rings.users(settings, older),
        _chains_left(settings, root.term),
    )


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """No other command renews the root keys of this directory meanwhile. Raises SettingsError if one does."""
    descriptor = os.open(settings.data / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(
                "Another `geumgo rekey` is at work on this directory; `geumgo rekey --status` says how far it is."
            ) from None
        yield
    finally:
        os.close(descriptor)


class Rekeying:
    """One run of the command. `told` hears what happens; `rest` is slept between two transactions (seconds)."""

    def __init__(self, settings: Settings, told: Told, *, rest: Callable[[float], None] = time.sleep) -> None:
        self._settings, self._told, self._rest = settings, told, rest
        self._clock = SystemClock()

    # -- one after the other ------------------------------------------------------------------------------------------

    def prepare(self, seals: Sequence[Seal]) -> bool:
        """There is a next ring with a new term, for the other machines to have before anything is sealed in it. False: it was there before.

        Raises SealError, StorageError, SettingsError: another machine has begun.
        """
        settings = self._settings
        with file_locked(settings, changes=True):
            if keyring.has_next(settings.data):
                return False
            self._open_term(keyring.terms_in(settings.data)[-1] + 1, take_over=False)
            keyring.add_term(settings.data, seals, now_ms=self._clock.now_ms(), name=keyring.NEXT_NAME)
        return True

    def begin(self, seals: Sequence[Seal], *, take_over: bool = False) -> rings.Ring:
        """There is a new term; if one was added or prepared before, it is that. `seals`: all that the keyring knows.

        Raises SealError, StorageError; SettingsError if another machine has begun, unless this one is to `take_over`.
        """
        settings = self._settings
        terms = keyring.terms_in(settings.data)
        if len(terms) > 1:
            self._told(f"Term {terms[-1]} was added before; what was begun goes on.")
            return terms
        self._open_term(terms[-1] + 1, take_over=take_over)
        if not take_up_next(settings):
            with file_locked(settings, changes=True):
                keyring.add_term(settings.data, seals, now_ms=self._clock.now_ms())
        terms = keyring.terms_in(settings.data)
        self._told(f"Term {terms[-1]} is in {keyring.FILE_NAME}, under the same seals. The server takes it up.")
        return terms

    def _open_term(self, term: int, *, take_over: bool) -> None:
        """Rows may be sealed in `term`. Before any file has it: no process that is started meanwhile is refused."""
        if not self._settings.database:
            return
        terms, own = _terms(self._settings), node_of(self._settings)
        by = terms.open_ones().get(term, own)
        if by != own and not take_over:
            raise SettingsError(
                f"The machine {by or 'of an older keyring.json'} has begun to renew the root keys. Go on there: `geumgo rekey`. If it is "
                "gone for good, stop geumgo on all other machines and run `geumgo rekey --others-stopped` here."
            )
        terms.allow(term, own)

    def renew(self) -> list[Damaged]:
        """Every row is in the newest term, but for those that are answered: they are not what we wrote, and stay as they are."""
        root, storage = open_both(self._settings)
        damaged: list[Damaged] = []
        try:
            for service, tables in _by_service().items():
                began, bad = time.monotonic(), len(damaged)
                done = self._walk_all(storage, root, service, tables, damaged)
                if done or len(damaged) > bad:
                    bad = len(damaged) - bad
                    more = f", {bad} damaged" if bad else ""
                    self._told(f"  {service:<16} {done:>9,} rows renewed{more} ({time.monotonic() - began:.1f} s)")
        finally:
            storage.close()
        return damaged

    def wait(self, ring: rings.Ring, patience_seconds: float) -> None:
        """Every process of this machine works with `ring`. Raises NotYet when that takes longer than `patience_seconds`."""
        deadline = time.monotonic() + patience_seconds
        said: list[str] = []
        while waiting := rings.others(self._settings, ring):
            users = rings.users(self._settings, waiting)
            if users != said and users:
                self._told(f"  waiting for {_listed(users)}: started anew one after the other, jobs end first")
                said = users
            if time.monotonic() > deadline:
                raise NotYet(
                    f"{_listed(users) or 'A process'} still works with the root keys of before. A job may take as long as its function: "
                    "run `geumgo rekey` again later; it goes on from here. `systemctl reload geumgo` asks the processes once more."
                )
            self._rest(PAUSE_SECONDS)

    def wait_for_others(self, ring: rings.Ring, patience_seconds: float) -> None:
        """No other machine seals in an older term any more, as far as the database tells; or the time is over, and `finish` sees to it."""
        if not self._settings.database:
            return
        deadline = time.monotonic() + patience_seconds
        terms, said = _terms(self._settings), False
        while waiting := terms.users_below(ring[-1]):
            if time.monotonic() > deadline:
                self._told(
                    f"  {_listed(waiting)} did not take it up: its processes end now, and begin again when they have it"
                )
                return
            if not said:
                self._told(f"  waiting for {_listed(waiting)}: processes there are started anew one after the other")
                said = True
            self._rest(PAUSE_SECONDS)

    def finish(self, *, give_up_damaged: bool, end_sessions: bool) -> rings.Ring:
        """The newest term is the only one. Session tokens of the others are opened for 36 hours more, unless `end_sessions`.

        Every process of this machine must have the ring by now (`wait`). Raises NotYet if anything is left of the older terms.
        """
        settings = self._settings
        self._refuse_users()
        if settings.database:  # behind this nobody writes in an older term: what was written before is found below
            _terms(settings).close_below(keyring.terms_in(settings.data)[-1])
        self._turn_chains()
        damaged = self.renew()
        found = standing(settings)
        self._refuse_users()
        if damaged and not give_up_damaged:
            raise NotYet(
                f"{len(damaged)} rows are damaged, so term {', '.join(map(str, found.terms[:-1]))} is kept. Bring those rows back "
                "from a backup, or delete what they belong to, and run `geumgo rekey` again. If they may be lost: "
                "`geumgo rekey --give-up-damaged`."
            )
        left = sum(found.left.values()) - len(damaged)
        if left > 0 or found.chains_left:
            raise NotYet(
                f"{left} rows and {len(found.chains_left)} chains are in an older term still. Run `geumgo rekey` again."
            )
        until_ms = 0 if end_sessions else self._clock.now_ms() + SESSIONS_MS
        with file_locked(settings, changes=True):
            for term in found.terms[:-1]:
                keyring.drop_term(settings.data, seal_of(settings), term, sessions_until_ms=until_ms)
                self._told(f"Term {term} is dropped: its root key is gone from {keyring.FILE_NAME}.")
        return found.terms[-1:]

    def _refuse_users(self) -> None:
        """Raises NotYet if a process of this machine seals in an older term."""
        now = keyring.terms_in(self._settings.data)
        older = [ring for ring in rings.others(self._settings, now) if max(ring) < max(now)]
        if older:
            users = _listed(rings.users(self._settings, older)) or "A process"
            raise NotYet(f"{users} still works with the old root keys. Run `geumgo rekey` again.")

    def forget(self, ring: rings.Ring) -> None:
        """What told of the rings of before is gone."""
        rings.forget(self._settings, ring)

    # -- rows ---------------------------------------------------------------------------------------------------------

    def _walk_all(
        self, storage: Storage, root: RootKeys, service: str, tables: Sequence[Renewal], damaged: list[Damaged]
    ) -> int:
        """Every row of the tables of a service; how far that is is told every few seconds. Answers how many were renewed."""
        counts = [patiently(storage, partial(count, renewal=each, term=root.term), reads=True) for each in tables]
        done, said_at = 0, time.monotonic()

        def went(rows: int) -> None:
            nonlocal done, said_at
            done += rows
            if time.monotonic() - said_at > PROGRESS_SECONDS:
                said_at = time.monotonic()
                self._told(f"  {service:<16} {done:>9,} of {max(sum(counts), done):,} rows so far")

        for renewal in tables:
            self._walk(storage, root, renewal, damaged, went)
        return done

    def _walk(
        self,
        storage: Storage,
        root: RootKeys,
        renewal: Renewal,
        damaged: list[Damaged],
        renewed: Callable[[int], None],
    ) -> None:
        after: Position | None = None
        while True:
            began = time.monotonic()
            went = _stepped(storage, root, renewal, after)
            renewed(went.renewed)
            damaged += went.damaged
            for each in went.damaged:
                self._told(f"  DAMAGED: {each.table} {'/'.join(map(str, each.key))}: {each.why}")
            if went.after is None:
                return
            after = went.after
            self._rest(min(time.monotonic() - began, LONGEST_REST_SECONDS))

    # -- the trail ----------------------------------------------------------------------------------------------------

    def _turn_chains(self) -> None:
        """Every chain in this directory goes on in a segment of the newest term, which signs all that stands before it."""
        settings = self._settings
        root = open_root(settings)
        turned = 0
        deadline = time.monotonic() + (START_SECONDS if _is_served(settings) else 0)
        while _chains_left(settings, root.term) and time.monotonic() < deadline:
            self._rest(PAUSE_SECONDS)  # a process that was started anew turns its own, and must not find it locked
        storage = open_storage(settings)
        try:
            for chain in _chains_left(settings, root.term):
                turned += _turn(settings, storage, root, chain)
        finally:
            storage.close()
        if turned:
            self._told(
                f"  trail            {turned:>9,} chains that nobody writes any more are signed in term {root.term}"
            )


def _stepped(storage: Storage, root: RootKeys, renewal: Renewal, after: Position | None) -> Step:
    """The next rows behind `after`: fewer at once, the more often somebody else changes one of them meanwhile.

    A snapshot is enough: what a row becomes rests on itself, and on what of its owner never changes; and who comes second changes nothing.
    """
    for tried in range(TRIES):
        fewer = replace(renewal, at_once=max(1, renewal.at_once >> tried))
        try:
            with storage.writing(serializable=False) as tx:
                return step(tx, sealing=root, renewal=fewer, term=root.term, after=after)
        except Conflict:
            if tried == TRIES - 1:
                raise
            time.sleep(CONFLICT_SECONDS)
    raise AssertionError("not reached")


def _turn(settings: Settings, storage: Storage, root: RootKeys, chain: str) -> bool:
    """Whether the chain was one that nobody writes. One that is being written is turned by its process."""
    clock = SystemClock()
    anchor = patiently(storage, lambda tx: audit_store.head(tx, chain), reads=True)
    try:
        trail = Trail.open(settings.audit, node=chain, keys=trail_keys(root), clock=clock, anchor=anchor)
    except TrailBroken as fault:
        if term_of(settings.audit / chain) >= root.term:
            return False  # its process has just begun with it
        raise NotYet(f"A chain of the trail is not turned: {fault}. Run `geumgo rekey` again.") from fault
    recovery.resolve(trail, storage, clock.now_ms())
    trail.close()
    patiently(storage, lambda tx: audit_store.keep_heads(tx, chain.partition("-")[0], trail.heads()))
    return True


def _chains_left(settings: Settings, term: int) -> list[str]:
    """The chains in this directory that are signed in an older term."""
    return [chain for chain in TrailFiles(settings.audit).chains() if term_of(settings.audit / chain) < term]


# -- who else there is ------------------------------------------------------------------------------------------------


def other_machines(settings: Settings) -> list[str]:
    """The machines that have worked on this database beside this one: they do not see its keyring file."""
    storage = open_storage(settings)
    try:
        own = node_of(settings)
        return [node for node in patiently(storage, audit_store.nodes, reads=True) if node != own]
    finally:
        storage.close()


def is_alone_open(settings: Settings) -> bool:
    """Whether the newest term of this keyring file is the only one in which anybody may seal: only files have older ones still."""
    return bool(settings.database) and list(_terms(settings).open_ones()) == [keyring.terms_in(settings.data)[-1]]


def _terms(settings: Settings) -> Terms:
    return Terms(settings.database)


def refuse_strange_server(settings: Settings, patience_seconds: float = 10.0) -> None:
    """Raises SettingsError if a server runs here whose processes do not tell which root keys they have: it is of an older release."""
    deadline = time.monotonic() + patience_seconds
    while _is_served(settings) and not rings.others(settings, ()):
        if time.monotonic() > deadline:
            raise SettingsError(
                "The server that runs here is of an older release, or waits for its root keys. Restart it (open it), and run this again."
            )
        time.sleep(PAUSE_SECONDS)


def _is_served(settings: Settings) -> bool:
    descriptor = os.open(settings.data / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def patiently(storage: Storage, work: Callable[[Tx], T], *, reads: bool = False) -> T:
    """What `work` answers in a transaction of its own, tried again while others come before it. Raises StorageError."""
    for left in reversed(range(TRIES)):
        try:
            with storage.reading() if reads else storage.writing() as tx:
                return work(tx)
        except Broken:
            raise
        except Conflict:
            if not left:
                raise
            time.sleep(CONFLICT_SECONDS)
    raise AssertionError("not reached")


def _by_service() -> dict[str, list[Renewal]]:
    found: dict[str, list[Renewal]] = {}
    for service, renewal in renewals():
        found.setdefault(service, []).append(renewal)
    return found


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
