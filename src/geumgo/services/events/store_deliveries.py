"""The SQL of events that are on their way."""

from geumgo.context import Place
from geumgo.sealing import Sealing
from geumgo.services.events.records import Delivery
from geumgo.services.events.store import opened, sealed
from geumgo.storage import Tx
from geumgo.storage.text import unkept


def context_of(delivery_id: str) -> dict[str, str]:
    """What an event on its way is bound to."""
    return {"delivery": delivery_id}


def add(tx: Tx, sealing: Sealing, delivery: Delivery) -> bool:
    """Whether the delivery is new: one that is on its way already is promised once."""
    return bool(
        tx.run(
            unkept(
                "INSERT INTO event_delivery"
                " (id, account, region, bus, rule, target, event, sealed, hops, attempts, ingested_at_ms)"
                " VALUES (:id, :account, :region, :bus, :rule, :target, '', :sealed, :hops, :attempts, :ingested_at_ms)"
                " ON CONFLICT (id) DO NOTHING"
            ),
            id=delivery.id,
            account=delivery.place.account,
            region=delivery.place.region,
            bus=delivery.bus,
            rule=delivery.rule,
            target=delivery.target,
            sealed=sealed(sealing, context_of(delivery.id), delivery.event),
            hops=delivery.hops,
            attempts=delivery.attempts,
            ingested_at_ms=delivery.ingested_at_ms,
        )
    )


def find(tx: Tx, sealing: Sealing, place: Place, delivery_id: str) -> Delivery | None:
    row = tx.one(
        "SELECT bus, rule, target, event, sealed, hops, attempts, ingested_at_ms FROM event_delivery WHERE id = :id",
        id=delivery_id,
    )
    if row is None:
        return None
    bus, rule, target, text, kept, hops, attempts, ingested_at_ms = row
    event = opened(sealing, context_of(delivery_id), text, kept)
    return Delivery(delivery_id, place, bus, rule, target, event, hops, attempts, ingested_at_ms)


def failed(tx: Tx, delivery_id: str) -> None:
    """One more attempt has failed."""
    tx.run(unkept("UPDATE event_delivery SET attempts = attempts + 1 WHERE id = :id"), id=delivery_id)


def remove(tx: Tx, delivery_id: str) -> None:
    tx.run(unkept("DELETE FROM event_delivery WHERE id = :id"), id=delivery_id)
