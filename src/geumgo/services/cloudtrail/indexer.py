"""From the trail into the index, and to EventBridge: what the process for jobs does about once a second.

Each machine indexes the chains that it writes. The index, what EventBridge is told and the position in the chain change in one
transaction, so each record is indexed and told once, wherever the process dies. Transactions are short: who answers requests does not
wait for them.
"""

import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from geumgo.audit.follow import Found, TrailFiles
from geumgo.audit.line import encode_record
from geumgo.context import Clock, Event, Place, Publisher
from geumgo.sealing import Sealing
from geumgo.services.cloudtrail import store
from geumgo.services.cloudtrail.domain import (
    EVERYTHING,
    Attributes,
    attributes_of,
    first_number,
    number_of,
    topic_of,
)
from geumgo.storage import Storage, Tx

READER: Final = "index"
BATCH: Final = 100  # records of one transaction
PRUNE_EVERY_MS: Final = 600_000
DAY_MS: Final = 86_400_000
COPY: Final = "cloudtrail_event"  # what the MAC of a copy is for

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

_DETAIL_TYPES: Final[Mapping[str, str]] = {
    "AwsApiCall": "AWS API Call via CloudTrail",
    "AwsServiceEvent": "AWS Service Event via CloudTrail",
    "AwsConsoleSignIn": "AWS Console Sign In via CloudTrail",
}
"""Source: "AWS service events delivered via AWS CloudTrail", EventBridge User Guide."""


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
    pruned_at_ms: int = field(default=0)

    def run(self, storage: Storage) -> int:
        """What is in the trail now is in the index, and told. Answers how many records were read.

        Raises StorageError: what was committed before stays, the rest is read again at the next call.
        """
        done = 0
        for chain in self.files.chains():
            while count := self._batch(storage, chain):
                done += count
        self._prune(storage)
        return done

    def _batch(self, storage: Storage, chain: str) -> int:
        with storage.reading() as tx:
            before = store.position(tx, READER, chain)
        found, behind = self.files.follow(chain, before, BATCH)
        if behind == before:
            return 0
        if not found and behind.segment == before.segment and behind.open == before.open:
            return 0  # checkpoints alone: they are passed over again with the next record
        with storage.writing() as tx:
            for each in found:
                self._take(tx, each)
            store.keep_position(tx, READER, chain, behind)
        return len(found)

    def _take(self, tx: Tx, found: Found) -> None:
        """One record: found by its attributes in every account that it concerns, told in the first."""
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
        self._tell(tx, found.record, Place(owner, about.region, self.partition))

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


# -- copies ---------------------------------------------------------------------------------------------------------------


def copy_of(sealing: Sealing, record: Mapping[str, Any]) -> bytes:
    """The record for those who do not have the file: vouched for, so that a changed row is found out."""
    packed = zlib.compress(encode_record(record), 6)
    return sealing.vouch(COPY, {"record": hashlib.sha256(packed).digest()}) + packed
