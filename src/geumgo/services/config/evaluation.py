"""Evaluation: rules look at resources, and what they think is kept; a change of it goes to EventBridge in the same transaction.

An evaluation is a job. It reads everything first, without a transaction, then keeps what differs from before, a few hundred resources
at a time. One that is cut off begins anew and finds the rest still different: each change is told once.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import islice
from typing import Final

from geumgo.context import Context, Params, Work, as_datetime
from geumgo.errors import ServiceError
from geumgo.room import job, operation, reads
from geumgo.services.config import custom, domain_tracking, lookup, schedule, store, store_verdicts
from geumgo.services.config.domain import (
    in_scope,
    parameters_of,
    records,
    runs_every_ms,
    runs_on_changes,
    runs_on_schedule,
)
from geumgo.services.config.domain_rules import MANAGED, SecretFacts
from geumgo.services.config.errors import InvalidParameterValue, LimitExceeded, NoAvailableConfigurationRecorder
from geumgo.services.config.inventory import Inventory
from geumgo.services.config.paging import make_token, read_token
from geumgo.services.config.records import SECRET, Recorder, Rule, RuleStatus, Verdict
from geumgo.services.config.settling import NONE, publisher, settle
from geumgo.storage import Tx

_PAGE: Final = 50


# -- asked for --------------------------------------------------------------------------------------------------------


@operation
def start_config_rules_evaluation(ctx: Context, params: Params) -> Params:
    """The rules look at everything soon. All of them are named rightly, or none is asked.

    Source: StartConfigRulesEvaluation, API reference (once a minute, not while one is under way).
    """
    names = params.get("ConfigRuleNames", [])
    if not names:
        raise InvalidParameterValue("ConfigRuleNames must name at least one rule.")
    now_ms = ctx.clock.now_ms()
    for rule in [lookup.rule(ctx, name) for name in dict.fromkeys(names)]:
        status = store.rule_status(ctx.tx, rule.id)
        if domain_tracking.is_under_way(status) or not domain_tracking.may_be_asked(status, now_ms):
            raise LimitExceeded(
                f"An evaluation of {rule.name} is in progress, or was started less than a minute ago. Try again later."
            )
        store.keep_rule_status(ctx.tx, rule.id, replace(status, asked_at_ms=now_ms))
        schedule.evaluate(ctx.tx, rule, now_ms)
    return {}


@reads
def describe_config_rule_evaluation_status(ctx: Context, params: Params) -> Params:
    """Source: DescribeConfigRuleEvaluationStatus, API reference. Unverified: 50 a page by default."""
    names = params.get("ConfigRuleNames", [])
    (after,) = read_token(ctx, "DescribeConfigRuleEvaluationStatus", {"names": names}, params.get("NextToken"), 1)
    if names:
        return {"ConfigRulesEvaluationStatus": [_status(ctx, lookup.rule(ctx, name)) for name in names]}
    limit = params.get("Limit") or _PAGE
    found = store.rules(ctx.tx, ctx.sealing, ctx.place, after=after, limit=limit + 1)
    answer: Params = {"ConfigRulesEvaluationStatus": [_status(ctx, rule) for rule in found[:limit]]}
    if len(found) > limit:
        position = [found[limit - 1].name]
        answer["NextToken"] = make_token(ctx, "DescribeConfigRuleEvaluationStatus", {"names": names}, position)
    return answer


def _status(ctx: Context, rule: Rule) -> Params:
    status = store.rule_status(ctx.tx, rule.id)
    said: Params = {
        "ConfigRuleName": rule.name,
        "ConfigRuleArn": rule.arn,
        "ConfigRuleId": rule.id,
        "FirstActivatedTime": as_datetime(status.activated_at_ms),
        "FirstEvaluationStarted": status.succeeded_at_ms is not None or status.failed_at_ms is not None,
    }
    for member, at_ms in (
        ("LastSuccessfulInvocationTime", status.succeeded_at_ms),
        ("LastFailedInvocationTime", status.failed_at_ms),
        ("LastSuccessfulEvaluationTime", status.recorded_at_ms),
        ("LastFailedEvaluationTime", status.failed_at_ms),
    ):
        if at_ms is not None:
            said[member] = as_datetime(at_ms)
    if status.error_code:
        said |= {"LastErrorCode": status.error_code, "LastErrorMessage": status.error_message}
    return said


# -- a rule looks at everything ---------------------------------------------------------------------------------------


@job(schedule.EVALUATE)
def evaluate_rule(work: Work, payload: Params) -> None:
    """The rule's verdicts are those on the resources as they are now, and its next evaluation is promised.

    A rule that runs on changes says nothing while the recorder rests. What STS or Secrets Manager refuse stands in the rule's status,
    and the verdicts stay as they were.
    """
    rule_id: str = payload["rule"]
    with work.storage.reading() as tx:
        rule = store.rule_by_id(tx, work.sealing, rule_id)
        recorder = store.recorder(tx, work.sealing, work.place)
        known = store_verdicts.of_rule(tx, rule_id, SECRET)
    if rule is None or not (is_recorded(recorder) or runs_on_schedule(rule.definition)):
        with work.finishing() as tx:
            pass
        return
    invoked_at_ms = work.clock.now_ms()
    try:
        if recorder is None:
            raise NoAvailableConfigurationRecorder("There is no configuration recorder, and so no role to read with.")
        if rule.owner != "AWS":
            _invoke_function(work, rule, recorder, invoked_at_ms)
            _finish(work, rule, lambda status: domain_tracking.succeeded(status, invoked_at_ms, work.clock.now_ms()))
            return
        found = {facts.arn: facts for facts in Inventory(work, recorder, needs_keys([rule])).secrets()}
    except ServiceError as refusal:
        code, message = refusal.code, refusal.message
        _finish(work, rule, lambda status: domain_tracking.failed(status, invoked_at_ms, code, message))
        return
    judged = {arn: judge(rule, facts, invoked_at_ms, known.get(arn, NONE)) for arn, facts in found.items()}
    judged |= dict.fromkeys(known.keys() - judged.keys(), NONE)
    changed = [(arn, verdict) for arn, verdict in judged.items() if known.get(arn, NONE) != verdict]
    rest = iter(changed)
    while some := list(islice(rest, store_verdicts.AT_ONCE)):
        with work.writing() as tx:
            if is_unchanged(tx, work, rule):
                settle(tx, work.sealing, rule, SECRET, some, invoked_at_ms, work.clock.now_ms(), publisher(work, tx))
    _finish(work, rule, lambda status: domain_tracking.succeeded(status, invoked_at_ms, work.clock.now_ms()))


def _invoke_function(work: Work, rule: Rule, recorder: Recorder, now_ms: int) -> None:
    """The function of a rule of one's own is invoked: once if it runs on a schedule, and for every secret if it runs on changes."""
    if runs_every_ms(rule.definition) is not None:
        custom.invoke_on_schedule(work, rule, recorder, now_ms)
    if runs_on_changes(rule.definition) and is_recorded(recorder):
        for facts in Inventory(work, recorder, keys=False).secrets():
            if is_meant(rule, facts):
                custom.invoke_on(work, rule, recorder, facts, now_ms)


def is_recorded(recorder: Recorder | None) -> bool:
    """Whether secrets are recorded: the recorder runs, and they are in its group."""
    return recorder is not None and recorder.recording and records(recorder.settings["recordingGroup"], SECRET)


def is_unchanged(tx: Tx, work: Work, rule: Rule) -> bool:
    """Whether the rule is still what it was when its evaluation began. If not, another evaluation was promised with the change."""
    now = store.rule_by_id(tx, work.sealing, rule.id)
    return now is not None and now.revision == rule.revision


def _finish(work: Work, rule: Rule, after: Callable[[RuleStatus], RuleStatus]) -> None:
    """The evaluation is over; the next one is promised, if the rule runs by itself."""
    every_ms = runs_every_ms(rule.definition)
    with work.finishing() as tx:
        if not is_unchanged(tx, work, rule):
            return
        store.keep_rule_status(tx, rule.id, after(store.rule_status(tx, rule.id)))
        if every_ms is not None:
            schedule.evaluate(tx, rule, work.clock.now_ms() + every_ms)


def judge(rule: Rule, facts: SecretFacts, now_ms: int, before: Verdict) -> Verdict:
    """What the rule thinks of the secret; NOT_APPLICABLE if it is out of its scope."""
    if not is_meant(rule, facts):
        return NONE
    return MANAGED[rule.source].judge(facts, parameters_of(rule.definition), now_ms, before.memo)


def is_meant(rule: Rule, facts: SecretFacts) -> bool:
    """Whether the secret is in the scope of the rule."""
    return in_scope(rule.definition.get("Scope", {}), SECRET, facts.arn, facts.tags or {})


def needs_keys(rules: Iterable[Rule]) -> bool:
    """Whether one of the rules must know which KMS keys secrets name."""
    return any(rule.owner == "AWS" and MANAGED[rule.source].keys for rule in rules)
