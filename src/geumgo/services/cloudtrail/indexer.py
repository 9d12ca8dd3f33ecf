"""From the trail into the index, and to EventBridge: what the process for the index does about once a second.

Each machine indexes the chains that it writes. The index, what EventBridge is told and the position in the chain change in one
transaction, so each record is indexed and told once, wherever the process dies. Transactions are short: who answers requests does not
wait for them. What need not be in one, reading and decoding above all, comes before it.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple, Protocol, TypeVar

from geumgo.audit.follow import Found, Position, TrailFiles, pass_over
from geumgo.audit.line import UNREADABLE
from geumgo.context import Clock, Event, Place, Publisher
from geumgo.sealing import Sealing
from geumgo.services.cloudtrail import store, store_deliveries, store_trails
from geumgo.services.cloudtrail.briefs import brief_of
from geumgo.services.cloudtrail.copies import copy_of
from geumgo.services.cloudtrail.delivery import DELIVER_AFTER_MS, GLOBAL_REGION, promise_delivery
from geumgo.services.cloudtrail.domain import first_number, number_of
from geumgo.services.cloudtrail.domain_trails import selects
from geumgo.services.cloudtrail.records import Trail
from geumgo.services.cloudtrail.store import Entry, Posting
from geumgo.storage import Storage, Tx

Did = TypeVar("Did")

READER: Final = "index"
BATCH: Final = 500  # records of one transaction: whoever writes on the same SQLite waits for it
LARGE_BATCH: Final = 1_000  # on PostgreSQL, where nobody waits, and every commit drops what processes keep of rows
PRUNE_EVERY_MS: Final = 600_000
DAY_MS: Final = 86_400_000
GLOBAL_SOURCES: Final = frozenset({"iam.amazonaws.com", "sts.amazonaws.com"})

DATA_EVENTS: Final = frozenset(
    {
        ("lambda.amazonaws.com", "Invoke"),
        ("lambda.amazonaws.com", "InvokeAsync"),
        ("lambda.amazonaws.com", "InvokeWithResponseStream"),
        ("events.amazonaws.com", "PutEvents"),
    }
)
"""Calls that are data events on AWS: EventBridge hears of management events only, or a rule would set itself off.

Source: "Logging data events", CloudTrail User Guide.
"""

_REGION: Final = re.compile(r"[a-z0-9-]{1,64}")

_CALL: Final = "AWS API Call via CloudTrail"
_DETAIL_TYPES: Final[Mapping[str, str]] = {
    "AwsApiCall": _CALL,
    "AwsServiceEvent": "AWS Service Event via CloudTrail",
    "AwsConsoleSignIn": "AWS Console Sign In via CloudTrail",
}
"""Source: "AWS service events delivered via AWS CloudTrail", EventBridge User Guide."""


class Turn(Protocol):
    """How what needs the database is done: in another thread, say, that gets its time before this one."""

    def __call__(self, what: Callable[[], Did], /) -> Did: ...


def at_once(what: Callable[[], Did]) -> Did:
    """A `Turn`: here and now."""
    return what()


class Bus(Publisher, Protocol):
    """Who carries events to those who listen, and knows whether anybody does."""

    def hears(self, tx: Tx, place: Place, *, reads: bool) -> bool:
        """Whether anybody listens on the default bus of `place`; with `reads`: to calls that only read."""
        ...


class Taken(NamedTuple):
    """How many records were read, and whether more wait already."""

    records: int
    more: bool


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction takes in: records of a chain, and the position behind them. `read`: how many there were."""

    chain: str
    read: int
    behind: Position
    entries: Mapping[int, Entry]
    postings: Sequence[Posting]


@dataclass(slots=True)
class Indexer:
    """Reads the chains of this machine on. `copies`: other machines answer too, which do not have its files."""

    files: TrailFiles
    sealing: Sealing
    publisher: Bus
    clock: Clock
    partition: str
    retention_days: int
    copies: bool = False
    pruned_at_ms: int = 0
    promised_at_ms: dict[tuple[str, str], int] = field(default_factory=dict)

    @property
    def most(self) -> int:
        """About how many records one transaction takes in."""
        return LARGE_BATCH if self.copies else BATCH

    def run(self, storage: Storage) -> int:
        """What is in the trail now is in the index, and told. Answers how many records were read. Raises as `step`."""
        done = 0
        while taken := self.step(storage).records:
            done += taken
        return done

    def step(self, storage: Storage, turn: Turn = at_once) -> Taken:
        """A batch of each chain is in the index, and told: however much there is in one, the others have their turn.

        Raises StorageError: what was committed before stays, the rest is read again at the next call.
        """
        records, more = 0, False
        for chain in self.files.chains():
            batch = self._next(chain, turn(partial(self._position, storage, chain)))
            if batch is not None:
                turn(partial(self._take, storage, batch))
                records += batch.read
                more = more or batch.read >= self.most
        turn(partial(self._prune, storage))
        return Taken(records, more)

    def _position(self, storage: Storage, chain: str) -> Position:
        with storage.reading() as tx:
            return store.position(tx, READER, chain)

    def _next(self, chain: str, before: Position) -> Batch | None:
        """What stands behind a position. None: nothing that would have to be kept."""
        found, behind = self.files.follow(chain, before, self.most)
        if not found and behind.segment == before.segment and behind.open == before.open:
            return None  # checkpoints alone, at most: they are passed over again with the next record
        entries = store.numbered(self._entries(found))
        return Batch(chain, len(found), behind, entries, store.postings_of(entries))

    def _entries(self, found: list[Found]) -> Iterator[tuple[int, Entry]]:
        """What is to be found by its attributes, in every account that it concerns. What concerns nobody's account is not."""
        for each in found:
            try:
                brief = brief_of(each.raw, each.event_id)
            except UNREADABLE:
                pass_over(each)
                continue
            if brief.who.accounts:
                copy = copy_of(self.sealing, each.encoded) if self.copies else None
                yield number_of(brief.at_s, each.at_ms, each.where.start, each.where.place), Entry(each, brief, copy)

    def _take(self, storage: Storage, batch: Batch) -> None:
        """All that is new of it is found, awaited by the trails of its accounts, and told in the first of them."""
        with storage.writing() as tx:
            trails, ears = _Trails(tx, self.sealing, self.partition), _Ears(tx, self.publisher)
            for number, entry in store.add(tx, batch.entries, batch.postings).items():
                for account in entry.brief.who.accounts:
                    for trail, region in trails.of(account, entry):
                        self._promise(tx, trail, region)
                        store_deliveries.wait(tx, trail, region, number)
                self._tell(tx, entry, ears)
            store.keep_position(tx, READER, batch.chain, batch.behind)

    def _promise(self, tx: Tx, trail: Trail, region: str) -> None:
        """A delivery is promised, when the first event begins to wait; and now and then, should that delivery have been given up."""
        now_ms = self.clock.now_ms()
        key = (trail.id, region)
        due = now_ms - self.promised_at_ms.get(key, 0) >= DELIVER_AFTER_MS
        if due or not store_deliveries.waits(tx, trail.id, region):
            promise_delivery(tx, trail, region, now_ms)
            self.promised_at_ms[key] = now_ms

    def _tell(self, tx: Tx, entry: Entry, ears: "_Ears") -> None:
        brief, who = entry.brief, entry.brief.who
        kind = _DETAIL_TYPES.get(brief.kind)
        place = Place(who.accounts[0], who.region, self.partition)
        if kind is None or not ears.hear(place, reads=kind == _CALL and brief.read_only):
            return
        record = entry.found.record
        if (who.source, record["eventName"]) in DATA_EVENTS or not who.source.endswith(".amazonaws.com"):
            return
        event = Event(f"aws.{who.source.partition('.')[0]}", kind, (), record)
        self.publisher.publish(tx, place, event, self.clock.now_ms())

    def _prune(self, storage: Storage) -> None:
        now_ms = self.clock.now_ms()
        if now_ms - self.pruned_at_ms < PRUNE_EVERY_MS:
            return
        before = first_number((now_ms - self.retention_days * DAY_MS) // 1000)
        gone = store.PRUNED_AT_ONCE
        while gone:
            with storage.writing() as tx:
                gone = store.prune(tx, before)
        self.pruned_at_ms = now_ms


@dataclass(slots=True)
class _Ears:
    """Whether anybody listens, as one transaction sees it: most records are of reads, which are heard by few."""

    tx: Tx
    bus: Bus
    known: dict[tuple[str, str, bool], bool] = field(default_factory=dict)

    def hear(self, place: Place, *, reads: bool) -> bool:
        key = (place.account, place.region, reads)
        if key not in self.known:
            self.known[key] = self.bus.hears(self.tx, place, reads=reads)
        return self.known[key]


@dataclass(slots=True)
class _Trails:
    """The trails that log, as one transaction sees them."""

    tx: Tx
    sealing: Sealing
    partition: str
    known: dict[str, list[Trail]] = field(default_factory=dict)

    def of(self, account: str, entry: Entry) -> Iterator[tuple[Trail, str]]:
        """The trails of `account` that deliver this record, each with the region in whose directory it does."""
        if account not in self.known:
            everything = store_trails.of_account(self.tx, self.sealing, account, self.partition)
            self.known[account] = [trail for trail in everything if trail.started_at_ms]
        who = entry.brief.who
        for trail in self.known[account]:
            if not _logged_then(trail, entry.found.at_ms) or not selects(
                trail.selectors, trail.advanced, entry.found.record
            ):
                continue
            if trail.multi_region:
                if _REGION.fullmatch(who.region):
                    yield trail, who.region
            elif trail.place.region == who.region or (
                trail.global_events and who.region == GLOBAL_REGION and who.source in GLOBAL_SOURCES
            ):
                yield trail, trail.place.region


def _logged_then(trail: Trail, at_ms: int) -> bool:
    return trail.started_at_ms <= at_ms and (trail.logging or at_ms <= trail.stopped_at_ms)
