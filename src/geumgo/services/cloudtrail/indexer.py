"""From the trail into the index, and to EventBridge: what the process for the index does about once a second.

Each machine indexes the chains that it writes. The index, what EventBridge is told and the position in the chain change in one
transaction, so each record is indexed and told once, wherever the process dies. Transactions are short: who answers requests does not
wait for them. What need not be in one, reading and decoding above all, comes before it.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from geumgo.audit.follow import Found, Position, TrailFiles
from geumgo.context import Clock, Event, Place, Publisher
from geumgo.sealing import Sealing
from geumgo.services.cloudtrail import store, store_deliveries, store_trails
from geumgo.services.cloudtrail.copies import copy_of
from geumgo.services.cloudtrail.delivery import DELIVER_AFTER_MS, GLOBAL_REGION, promise_delivery
from geumgo.services.cloudtrail.domain import (
    EVERYTHING,
    Attributes,
    attributes_of,
    first_number,
    number_of,
    topic_of,
)
from geumgo.services.cloudtrail.domain_trails import selects
from geumgo.services.cloudtrail.records import Trail
from geumgo.storage import Storage, Tx

Did = TypeVar("Did")

READER: Final = "index"
BATCH: Final = 100  # records of one transaction: whoever writes on the same SQLite waits for it
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

_DETAIL_TYPES: Final[Mapping[str, str]] = {
    "AwsApiCall": "AWS API Call via CloudTrail",
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


class Taken(NamedTuple):
    """How many records were read, and whether more wait already."""

    records: int
    more: bool


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction takes in: records of a chain, and the position behind them."""

    chain: str
    found: list[Found]
    behind: Position


@dataclass(slots=True)
class Indexer:
    """Reads the chains of this machine on. `copies`: other machines answer too, which do not have its files."""

    files: TrailFiles
    sealing: Sealing
    publisher: Publisher
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
                records += len(batch.found)
                more = more or len(batch.found) >= self.most
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
        return Batch(chain, found, behind)

    def _take(self, storage: Storage, batch: Batch) -> None:
        with storage.writing() as tx:
            trails = _Trails(tx, self.sealing, self.partition)
            for each in batch.found:
                self._add(tx, each, trails)
            store.keep_position(tx, READER, batch.chain, batch.behind)

    def _add(self, tx: Tx, found: Found, trails: "_Trails") -> None:
        """One record: found by its attributes in every account that it concerns, told in the first, awaited by their trails."""
        about = attributes_of(found.record)
        if not about.accounts:
            return
        event = number_of(about.at_s, found.at_ms, found.where.start, found.where.place)
        owner, *others = about.accounts
        copy = copy_of(self.sealing, found.record) if self.copies else None
        number = store.add_event(tx, event, found.where, _topics(about, owner), copy)
        if number is None:
            return
        more = [topic_of(owner, about.region, key, value) for key, value in about.of_resources()]
        for other in others:
            more += _topics(about, other).values()
            more += [topic_of(other, about.region, key, value) for key, value in about.of_resources()]
        store.add_topics(tx, number, more)
        for account in about.accounts:
            for trail, region in trails.of(account, about, found):
                self._promise(tx, trail, region)
                store_deliveries.wait(tx, trail, region, number)
        self._tell(tx, found.record, Place(owner, about.region, self.partition))

    def _promise(self, tx: Tx, trail: Trail, region: str) -> None:
        """A delivery is promised, when the first event begins to wait; and now and then, should that delivery have been given up."""
        now_ms = self.clock.now_ms()
        key = (trail.id, region)
        due = now_ms - self.promised_at_ms.get(key, 0) >= DELIVER_AFTER_MS
        if due or not store_deliveries.waits(tx, trail.id, region):
            promise_delivery(tx, trail, region, now_ms)
            self.promised_at_ms[key] = now_ms

    def _tell(self, tx: Tx, record: dict[str, Any], place: Place) -> None:
        kind = _DETAIL_TYPES.get(record.get("eventType", ""))
        source = record["eventSource"]
        if kind is None or (source, record["eventName"]) in DATA_EVENTS or not source.endswith(".amazonaws.com"):
            return
        event = Event(f"aws.{source.partition('.')[0]}", kind, (), record)
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


def _topics(about: Attributes, account: str) -> dict[str, int]:
    """The topics of what a record has once, by attribute."""
    found = {key: topic_of(account, about.region, key, value) for key, value in about.single()}
    found[EVERYTHING] = topic_of(account, about.region, EVERYTHING, "")
    return found


@dataclass(slots=True)
class _Trails:
    """The trails that log, as one transaction sees them."""

    tx: Tx
    sealing: Sealing
    partition: str
    known: dict[str, list[Trail]] = field(default_factory=dict)

    def of(self, account: str, about: Attributes, found: Found) -> Iterator[tuple[Trail, str]]:
        """The trails of `account` that deliver this record, each with the region in whose directory it does."""
        if account not in self.known:
            everything = store_trails.of_account(self.tx, self.sealing, account, self.partition)
            self.known[account] = [trail for trail in everything if trail.started_at_ms]
        for trail in self.known[account]:
            if not _logged_then(trail, found.at_ms) or not selects(trail.selectors, trail.advanced, found.record):
                continue
            if trail.multi_region:
                if _REGION.fullmatch(about.region):
                    yield trail, about.region
            elif trail.place.region == about.region or (
                trail.global_events and about.region == GLOBAL_REGION and about.event_source in GLOBAL_SOURCES
            ):
                yield trail, trail.place.region


def _logged_then(trail: Trail, at_ms: int) -> bool:
    return trail.started_at_ms <= at_ms and (trail.logging or at_ms <= trail.stopped_at_ms)
