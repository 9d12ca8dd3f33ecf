"""What other services tell EventBridge, on the default bus."""

from dataclasses import dataclass

from geumgo.context import Event, Place
from geumgo.sealing import Sealing, random
from geumgo.services.events import matching
from geumgo.services.events.domain import envelope
from geumgo.services.events.records import DEFAULT_BUS
from geumgo.storage import Tx


@dataclass(frozen=True, slots=True)
class DefaultBus:
    """`context.Publisher`: joined by app."""

    sealing: Sealing

    def hears(self, tx: Tx, place: Place, *, reads: bool) -> bool:
        """Whether anybody listens on the default bus of `place`; with `reads`: to calls that only read, as CloudTrail tells of them."""
        return matching.hears(tx, self.sealing, place, DEFAULT_BUS, reads=reads)

    def publish(self, tx: Tx, place: Place, event: Event, now_ms: int) -> None:
        if not matching.hears(tx, self.sealing, place, DEFAULT_BUS):
            return
        made = envelope(
            event_id=random.uuid(),
            source=event.source,
            detail_type=event.detail_type,
            account=place.account,
            region=place.region,
            at_ms=now_ms,
            resources=event.resources,
            detail=event.detail,
        )
        matching.spread(tx, self.sealing, place, DEFAULT_BUS, made, now_ms)
