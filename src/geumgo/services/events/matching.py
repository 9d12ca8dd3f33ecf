"""From an event on a bus to the deliveries that it sets off, in the transaction that makes the event.

What the rules of a place come to is compiled once per process and used until the generation of the place changes: a place where nobody
listens costs one look at one row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from geumgo.context import Place
from geumgo.domain.event_pattern import EventPattern, InvalidPattern, compile_pattern
from geumgo.jobs import promise
from geumgo.sealing import Sealing, Unsealable
from geumgo.services.events import store, store_archives, store_deliveries
from geumgo.services.events.domain import delivery_id, is_echo, is_read_of_trail
from geumgo.services.events.records import DISABLED, ENABLED_WITH_READS, Archive, Delivery, Listener, Rule
from geumgo.storage import Tx

log = structlog.get_logger("geumgo.events")

FORGED: Final = "a row of it was changed from outside"
KEPT_PLACES: Final = 1_024  # accounts in regions, whose rules are kept compiled


@dataclass(frozen=True, slots=True)
class Ear:
    """A rule that listens, with its targets."""

    rule: Rule
    pattern: EventPattern
    targets: tuple[Listener, ...]

    def wants(self, event: Mapping[str, Any], *, read: bool) -> bool:
        return (not read or self.rule.state == ENABLED_WITH_READS) and self.pattern.matches(event)


@dataclass(frozen=True, slots=True)
class Keeper:
    """An archive that keeps what its pattern wants; None: everything."""

    archive: Archive
    pattern: EventPattern | None

    def wants(self, event: Mapping[str, Any]) -> bool:
        return "replay-name" not in event and (self.pattern is None or self.pattern.matches(event))


@dataclass(frozen=True, slots=True)
class Audience:
    """Everybody who listens on one bus: rules for events of one source, rules for events of any, archives."""

    by_source: Mapping[str, tuple[Ear, ...]]
    anywhere: tuple[Ear, ...]
    keepers: tuple[Keeper, ...]
    reads: bool  # whether any of them may want calls that only read

    @classmethod
    def of(cls, ears: Sequence[Ear], keepers: Sequence[Keeper]) -> "Audience":
        by_source: dict[str, list[Ear]] = {}
        for ear in ears:
            for source in ear.pattern.sources or ():
                by_source.setdefault(source, []).append(ear)
        anywhere = tuple(ear for ear in ears if ear.pattern.sources is None)
        reads = bool(keepers) or any(ear.rule.state == ENABLED_WITH_READS for ear in ears)
        return cls({source: tuple(found) for source, found in by_source.items()}, anywhere, tuple(keepers), reads)

    def might_want(self, event: Mapping[str, Any]) -> tuple[Ear, ...]:
        """The rules that are worth asking. An event's source is one text."""
        return (*self.by_source.get(event["source"], ()), *self.anywhere)


Audiences = Mapping[str, Audience]
"""Those who listen, by bus."""

_known: dict[tuple[str, str], tuple[str, Audiences]] = {}


def spread(
    tx: Tx,
    sealing: Sealing,
    place: Place,
    bus: str,
    event: Mapping[str, Any],
    now_ms: int,
    *,
    hops: int = 0,
    only: frozenset[str] | None = None,
) -> None:
    """Every target of every rule of `bus` (of `place`) that wants `event` is promised it, and archives keep it, if `tx` commits.

    `only`: the ARNs of the rules that may hear it. `hops`: the buses that it was forwarded from.
    """
    audience = listening(tx, sealing, place).get(bus)
    if audience is None or is_echo(event):
        return
    for keeper in audience.keepers:
        if keeper.wants(event):
            store_archives.archive_event(tx, sealing, keeper.archive, event, now_ms)
    read = is_read_of_trail(event)
    for ear in audience.might_want(event):
        if (only is None or ear.rule.arn in only) and ear.wants(event, read=read):
            for target in ear.targets:
                _deliver(tx, sealing, ear.rule, target, event, now_ms, hops)


def hears(tx: Tx, sealing: Sealing, place: Place, bus: str, *, reads: bool = False) -> bool:
    """Whether anybody listens on `bus` at all; with `reads`: to calls that only read, as CloudTrail tells of them."""
    audience = listening(tx, sealing, place).get(bus)
    return audience is not None and (audience.reads or not reads)


def listening(tx: Tx, sealing: Sealing, place: Place) -> Audiences:
    """Who listens in `place`, as this transaction sees it."""
    generation = store.generation(tx, place)
    if generation is None:
        return {}
    key = (place.account, place.region)
    known = _known.get(key)
    if known is not None and known[0] == generation:
        return known[1]
    audiences = _compile(tx, sealing, place)
    if len(_known) >= KEPT_PLACES:
        _known.clear()
    _known[key] = (generation, audiences)
    return audiences


def _compile(tx: Tx, sealing: Sealing, place: Place) -> Audiences:
    ears: dict[str, list[Ear]] = {}
    for rule in store.every_rule(tx, sealing, place):
        if rule is None:
            log.error("event rule not followed", account=place.account, region=place.region, why=FORGED)
            continue
        if rule.pattern is None or rule.state == DISABLED:
            continue
        targets = _targets(tx, sealing, rule)
        if targets:
            ears.setdefault(rule.bus, []).append(Ear(rule, _pattern(rule.arn, rule.pattern), targets))
    keepers: dict[str, list[Keeper]] = {}
    for archive in store_archives.each_archive(tx, sealing, place):
        if archive is None:
            log.error("archive not kept", account=place.account, region=place.region, why=FORGED)
            continue
        pattern = None if archive.pattern is None else _pattern(archive.arn, archive.pattern)
        keepers.setdefault(archive.bus, []).append(Keeper(archive, pattern))
    return {bus: Audience.of(ears.get(bus, ()), keepers.get(bus, ())) for bus in {*ears, *keepers}}


def _targets(tx: Tx, sealing: Sealing, rule: Rule) -> tuple[Listener, ...]:
    """The targets of a rule; none, if a row of one was changed from outside: a write of others must not fail by that."""
    try:
        return tuple(store.list_targets(tx, sealing, rule))
    except Unsealable:
        log.error("event rule not followed", rule=rule.arn, why=FORGED)  # noqa: TRY400 - the traceback says nothing more
        return ()


def _pattern(arn: str, text: str) -> EventPattern:
    try:
        return compile_pattern(text)
    except InvalidPattern:
        raise Unsealable(f"the pattern of {arn} is vouched for and cannot be read") from None


def deliver_to_targets(tx: Tx, sealing: Sealing, rule: Rule, event: Mapping[str, Any], now_ms: int) -> None:
    """The targets of this one rule are promised `event`, whatever its pattern says."""
    for target in store.list_targets(tx, sealing, rule):
        _deliver(tx, sealing, rule, target, event, now_ms, 0)


def _deliver(
    tx: Tx, sealing: Sealing, rule: Rule, target: Listener, event: Mapping[str, Any], now_ms: int, hops: int
) -> None:
    place = rule.place
    name = delivery_id(event, place.arn("events", f"event-bus/{rule.bus}"), rule.name, target.id)
    new = store_deliveries.add(
        tx,
        sealing,
        Delivery(name, place, rule.bus, rule.name, target.id, event, hops, attempts=0, ingested_at_ms=now_ms),
    )
    if new:
        promise_attempt(tx, place, name, target.arn, now_ms)


def promise_attempt(tx: Tx, place: Place, delivery: str, target_arn: str, run_at_ms: int) -> None:
    """The delivery is tried at `run_at_ms`. A webhook is called once at a time, so that one that hangs holds one worker, not all."""
    lock = f"events.deliver {target_arn}" if ":api-destination/" in target_arn else None
    promise(tx, "events.deliver", place, {"delivery": delivery}, run_at_ms=run_at_ms, lock=lock)
