"""What the room keeps under the root keys, and how it comes under the newest of them."""

from collections.abc import Mapping
from typing import Any, Final

from geumgo.context import Place
from geumgo.renewal import Mark, Renewal, vouched
from geumgo.sealing import Sealing
from geumgo.services.events import store, store_archives, store_deliveries, store_webhooks
from geumgo.storage import Tx

_SEALED: Final = Mark("sealed", "events")


def _delivery(_tx: Tx, sealing: Sealing, row: Mapping[str, Any]) -> Mapping[str, bytes]:
    return {"sealed": store.sealed_anew(sealing, store_deliveries.context_of(row["id"]), row["sealed"])}


def _archived(_tx: Tx, sealing: Sealing, row: Mapping[str, Any]) -> Mapping[str, bytes]:
    context = store_archives.context_of(Place(row["account"], row["region"]), row["archive"], row["id"])
    return {"sealed": store.sealed_anew(sealing, context, row["sealed"])}


_NAMED: Final = ("account", "region", "name")

RENEWALS: Final[tuple[Renewal, ...]] = (
    vouched("event_bus", _NAMED, store.BUS),
    vouched("event_rule", ("account", "region", "bus", "name"), store.RULE),
    vouched("event_target", ("account", "region", "bus", "rule", "id"), store.TARGET),
    vouched("event_connection", _NAMED, store_webhooks.CONNECTION),
    vouched("event_api_destination", _NAMED, store_webhooks.DESTINATION),
    vouched("event_archive", _NAMED, store_archives.ARCHIVE),
    vouched("event_replay", _NAMED, store_archives.REPLAY),
    Renewal("event_delivery", ("id",), (_SEALED,), (), _delivery),
    Renewal("event_archived", ("account", "region", "archive", "at_ms", "id"), (_SEALED,), (), _archived),
)
