"""What resources are like is recorded while the recorder runs: all of them when it is started, then each that changes."""

from collections.abc import Mapping
from itertools import islice
from typing import Final

from geumgo.context import Params, Place, Work
from geumgo.errors import ServiceError
from geumgo.room import job
from geumgo.services.config import schedule, store, store_items
from geumgo.services.config.domain import records
from geumgo.services.config.domain_items import Seen, next_item, of_secret
from geumgo.services.config.inventory import Inventory
from geumgo.services.config.records import PARAMETER, SECRET, Recorder, RecorderStatus
from geumgo.storage import Tx

AGAIN_AFTER_MS: Final = 24 * 3_600_000
"""Everything is looked at once a day, for what changed and was not seen to change: jobs of other rooms."""

_AT_ONCE: Final = 100


def types_of(recorder: Recorder | None) -> list[str]:
    """The types of resources that are recorded now."""
    if recorder is None or not recorder.recording:
        return []
    return [kind for kind in (SECRET, PARAMETER) if records(recorder.settings["recordingGroup"], kind)]


@job(schedule.RECORD)
def record_everything(work: Work, payload: Params) -> None:  # noqa: ARG001 - the place is all it needs
    """Every resource that is recorded has an item that says what it is like now; those that are gone have one that says so."""
    with work.storage.reading() as tx:
        recorder = store.recorder(tx, work.sealing, work.place)
    kinds = types_of(recorder)
    if recorder is None or not kinds:
        with work.finishing() as tx:
            pass
        return
    now_ms = work.clock.now_ms()
    status = RecorderStatus("Success", now_ms)
    inventory = Inventory(work, recorder, keys=False)
    for kind in kinds:
        try:
            found: dict[str, Seen | None] = {each.resource_id: each for each in _all(inventory, kind)}
        except ServiceError as refusal:
            status = RecorderStatus("Failure", now_ms, refusal.code, refusal.message)
            continue
        with work.storage.reading() as tx:
            found |= {each: None for each in store_items.ids(tx, work.place, kind) if each not in found}
        rest = iter(found.items())
        while some := dict(islice(rest, _AT_ONCE)):
            with work.writing() as tx:
                keep(tx, work.place, kind, some, now_ms)
    with work.finishing() as tx:
        store.keep_recorder_status(tx, work.place, status)
        schedule.record(tx, work.place, now_ms + AGAIN_AFTER_MS)


def _all(inventory: Inventory, kind: str) -> list[Seen]:
    if kind == SECRET:
        return [of_secret(facts) for facts in inventory.secrets()]
    return list(inventory.parameters())


def keep(tx: Tx, place: Place, kind: str, found: Mapping[str, Seen | None], now_ms: int) -> None:
    """Items of those resources that are not what they were, at most some hundreds; None: it is gone."""
    known = store_items.latest(tx, place, kind, list(found))
    for resource_id, seen in found.items():
        item = next_item(known.get(resource_id), seen, now_ms)
        if item is not None:
            store_items.add(tx, place, item)
