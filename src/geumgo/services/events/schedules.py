"""Scheduled rules: each has one job, that makes its event and promises the next."""

from geumgo.context import Params, Work
from geumgo.jobs import promise, withdraw
from geumgo.room import job
from geumgo.sealing import random
from geumgo.services.events import matching, store
from geumgo.services.events.domain import envelope
from geumgo.services.events.domain_schedule import parse_schedule
from geumgo.services.events.records import DISABLED, Rule
from geumgo.storage import Tx


def keep_time(tx: Tx, rule: Rule | None, arn: str, now_ms: int) -> None:
    """The rule's next event is promised, or no longer: it is disabled, has no schedule, or is gone (None)."""
    withdraw(tx, _dedup(arn))
    if rule is None or rule.schedule is None or rule.state == DISABLED:
        return
    _promise(tx, rule, now_ms)


def _dedup(arn: str) -> str:
    return f"events.tick {arn}"


def _promise(tx: Tx, rule: Rule, now_ms: int) -> None:
    assert rule.schedule is not None, "a rule without a schedule has no time"
    at_ms = parse_schedule(rule.schedule).next_ms(rule.scheduled_at_ms, now_ms)
    if at_ms is not None:
        payload = {"bus": rule.bus, "rule": rule.name, "at_ms": at_ms}
        promise(tx, "events.tick", rule.place, payload, run_at_ms=at_ms, lock=_dedup(rule.arn), dedup=_dedup(rule.arn))


@job("events.tick")
def tick(work: Work, payload: Params) -> None:
    """The targets of a scheduled rule are promised its event; the next one is promised.

    What was missed while nobody worked comes once, late, with the time that it was meant for.

    Source: "Amazon EventBridge events from scheduled rules", user guide (the event).
    """
    now_ms = work.clock.now_ms()
    with work.finishing() as tx:
        rule = store.find_rule(tx, work.sealing, work.place, payload["bus"], payload["rule"])
        if rule is None or rule.schedule is None or rule.state == DISABLED:
            return
        due_ms = payload["at_ms"]
        if (
            due_ms <= rule.scheduled_at_ms
            or parse_schedule(rule.schedule).next_ms(rule.scheduled_at_ms, due_ms - 1) != due_ms
        ):
            _promise(tx, rule, now_ms)  # the schedule was changed while this job was on its way
            return
        event = envelope(
            event_id=random.uuid(),
            source="aws.events",
            detail_type="Scheduled Event",
            account=rule.place.account,
            region=rule.place.region,
            at_ms=due_ms,
            resources=[rule.arn],
            detail={},
        )
        matching.deliver_to_targets(tx, work.sealing, rule, event, now_ms)
        _promise(tx, rule, now_ms)
