"""When rules run: every evaluation is a job that a row promises. In a place one of them runs at a time."""

from typing import Final

from geumgo.context import Context, Place
from geumgo.jobs import promise
from geumgo.services.config import lookup, store
from geumgo.services.config.domain import runs_on_changes
from geumgo.services.config.records import Rule
from geumgo.storage import Tx

EVALUATE: Final = "config.evaluate_rule"
LOOK: Final = "config.look_at_changes"
RECORD: Final = "config.record_everything"


def lock_of(place: Place) -> str:
    """What keeps evaluations of a place from overtaking each other: an older look never replaces a newer verdict."""
    return f"config/{place.account}/{place.region}"


def evaluate(tx: Tx, rule: Rule, at_ms: int) -> None:
    """The rule looks at everything at `at_ms`, or earlier if that was promised before."""
    promise(
        tx,
        EVALUATE,
        lookup.place_of(rule),
        {"rule": rule.id},
        run_at_ms=at_ms,
        lock=lock_of(lookup.place_of(rule)),
        dedup=dedup_of(rule),
    )


def dedup_of(rule: Rule) -> str:
    return f"{EVALUATE}/{rule.id}"


def look(tx: Tx, place: Place, at_ms: int) -> None:
    """What was touched in this place is looked at, at `at_ms`."""
    promise(tx, LOOK, place, {}, run_at_ms=at_ms, lock=lock_of(place), dedup=f"{LOOK}/{place.account}/{place.region}")


def record(tx: Tx, place: Place, at_ms: int) -> None:
    """Everything in this place is recorded at `at_ms`, or earlier if that was promised before."""
    dedup = f"{RECORD}/{place.account}/{place.region}"
    promise(tx, RECORD, place, {}, run_at_ms=at_ms, lock=lock_of(place), dedup=dedup)


def look_at_everything(ctx: Context, at_ms: int) -> None:
    """Everything is recorded, and every rule of the place that runs on changes looks at all there is."""
    record(ctx.tx, ctx.place, at_ms)
    for rule in store.rules(ctx.tx, ctx.sealing, ctx.place):
        if runs_on_changes(rule.definition):
            evaluate(ctx.tx, rule, at_ms)
