"""Whoever has changed is looked at: recorded, and judged by the rules that run on changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from geumgo.context import Params, Work
from geumgo.errors import ServiceError
from geumgo.room import job
from geumgo.services.config import custom, recording, schedule, store, store_verdicts
from geumgo.services.config.domain import runs_on_changes
from geumgo.services.config.domain_items import Seen, of_secret
from geumgo.services.config.domain_rules import SecretFacts
from geumgo.services.config.evaluation import is_meant, is_unchanged, judge, needs_keys
from geumgo.services.config.inventory import Inventory
from geumgo.services.config.records import PARAMETER, SECRET, Recorder, RecorderStatus, Rule
from geumgo.services.config.settling import NONE, publisher, settle
from geumgo.services.config.store_verdicts import Touched
from geumgo.storage import Tx

MOST_ONE_BY_ONE = 200
"""Changed resources that are looked at one by one. If there are more, everything is looked at."""


@dataclass(slots=True)
class Looked:
    """What was found where something had changed; None: it is gone."""

    status: RecorderStatus
    secrets: dict[str, SecretFacts | None] = field(default_factory=dict)
    parameters: dict[str, Seen | None] = field(default_factory=dict)


@job(schedule.LOOK)
def look_at_changes(work: Work, payload: Params) -> None:  # noqa: ARG001 - what was touched is a table
    """What was touched is recorded and judged by the rules that run on changes. If that is much, everything will be."""
    place = work.place
    with work.storage.reading() as tx:
        recorder = store.recorder(tx, work.sealing, place)
        rules = [rule for rule in store.rules(tx, work.sealing, place) if runs_on_changes(rule.definition)]
        touched = store_verdicts.touched(tx, place, MOST_ONE_BY_ONE + 1)
    kinds = recording.types_of(recorder)
    if recorder is None or not kinds or len(touched) > MOST_ONE_BY_ONE:
        with work.finishing() as tx:
            store_verdicts.untouch_all(tx, place)
            if kinds:
                schedule.record(tx, place, work.clock.now_ms())
            for rule in rules:
                schedule.evaluate(tx, rule, work.clock.now_ms())
        return
    now_ms = work.clock.now_ms()
    rules = rules if SECRET in kinds else []
    inventory = Inventory(work, recorder, needs_keys(rules))
    looked = _look(inventory, [one for one in touched if one.resource_type in kinds], now_ms)
    for rule in rules:
        if rule.owner != "AWS":
            looked.status = _invoke(work, rule, recorder, looked)
    with work.finishing() as tx:
        store_verdicts.untouch(tx, place, touched)
        store.keep_recorder_status(tx, place, looked.status)
        seen = {arn: None if facts is None else of_secret(facts) for arn, facts in looked.secrets.items()}
        recording.keep(tx, place, SECRET, seen, now_ms)
        recording.keep(tx, place, PARAMETER, looked.parameters, now_ms)
        for rule in rules:
            if is_unchanged(tx, work, rule):
                _judge(tx, work, rule, looked.secrets, now_ms)


def _look(inventory: Inventory, touched: Sequence[Touched], now_ms: int) -> Looked:
    """What may not be seen is left as it was, and the recorder's status says so."""
    looked = Looked(RecorderStatus("Success", now_ms))
    for one in touched:
        try:
            if one.resource_type == PARAMETER:
                looked.parameters[one.resource_id] = inventory.parameter(one.resource_id)
            else:
                facts = inventory.secret(one.resource_id)
                looked.secrets[facts.arn if facts is not None else one.resource_id] = facts
        except ServiceError as refusal:
            looked.status = RecorderStatus("Failure", now_ms, refusal.code, refusal.message)
    return looked


def _invoke(work: Work, rule: Rule, recorder: Recorder, looked: Looked) -> RecorderStatus:
    """The rule's function is told of each changed secret. Answers the status, which may be that the function could not be invoked."""
    status = looked.status
    try:
        for facts in looked.secrets.values():
            if facts is not None and is_meant(rule, facts):
                custom.invoke_on(work, rule, recorder, facts, status.changed_at_ms)
    except ServiceError as refusal:
        return replace(status, status="Failure", error_code=refusal.code, error_message=refusal.message)
    return status


def _judge(tx: Tx, work: Work, rule: Rule, found: Mapping[str, SecretFacts | None], now_ms: int) -> None:
    rest = iter(found.items())
    while some := list(islice(rest, store_verdicts.AT_ONCE)):
        known = store_verdicts.some_of_rule(tx, rule.id, SECRET, [arn for arn, _ in some])
        judged = []
        for arn, facts in some:
            before = known[arn].verdict if arn in known else NONE
            if facts is None:
                judged.append((arn, NONE))
            elif rule.owner == "AWS":
                judged.append((arn, judge(rule, facts, now_ms, before)))
        settle(tx, work.sealing, rule, SECRET, judged, now_ms, now_ms, publisher(work, tx))
