"""A remediation runs: a document's steps, one call each, as the role that the remediation names.

The job is Systems Manager's, which is what AutomationAssumeRole trusts on AWS: the role is assumed by ssm.amazonaws.com.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from geumgo.context import Params, Place, Work
from geumgo.domain.automation import ROLE, ParametersUnfit, parameters_for, walk
from geumgo.jobs import promise
from geumgo.room import job
from geumgo.sealing import Sealing
from geumgo.services.config import store, store_remediation, store_verdicts
from geumgo.services.config.domain_rules import NON_COMPLIANT
from geumgo.services.config.records import Rule
from geumgo.services.config.store_remediation import Remediation, Run
from geumgo.storage import Tx

RUN: Final = "ssm.run_remediation"
ATTEMPTS: Final = 5  # automatic ones. Source: RemediationConfiguration, API reference
RETRY_S: Final = 60


def start(tx: Tx, rule: Rule, resource_type: str, resource_id: str, now_ms: int, *, attempts: int, at_ms: int) -> None:
    """The rule's remediation runs on the resource at `at_ms`. `attempts` counts the automatic ones, this one included; 0: asked for."""
    queued = Run(resource_type, resource_id, "QUEUED", [], attempts, now_ms, now_ms)
    store_remediation.keep_run(tx, rule.id, queued)
    payload = {"rule": rule.id, "type": resource_type, "id": resource_id}
    name = f"{RUN}/{rule.id}/{resource_type}/{resource_id}"
    place = Place(rule.account, rule.region, rule.partition)
    promise(tx, RUN, place, payload, run_at_ms=at_ms, lock=name, dedup=name)


def start_automatic(
    tx: Tx, sealing: Sealing, rule: Rule, resource_type: str, fallen: Iterable[str], now_ms: int
) -> None:
    """The rule's remediation, if it is automatic, runs on these resources, which are NON_COMPLIANT now and were not before."""
    resource_ids = list(fallen)
    remediation = store_remediation.find(tx, sealing, rule.id) if resource_ids else None
    if remediation is None or not remediation.definition.get("Automatic"):
        return
    for resource_id in resource_ids:
        before = store_remediation.run_on(tx, rule.id, resource_type, resource_id)
        if before is not None and before.is_under_way:
            continue
        if not store_remediation.is_exempt(tx, rule.id, resource_type, resource_id, now_ms):
            start(tx, rule, resource_type, resource_id, now_ms, attempts=1, at_ms=now_ms)


@job(RUN)
def run_remediation(work: Work, payload: Params) -> None:
    """Every step was done, or one was refused. An automatic run that failed is promised again while the resource is NON_COMPLIANT."""
    rule_id, kind, resource_id = payload["rule"], payload["type"], payload["id"]
    with work.writing() as tx:
        rule = store.rule_by_id(tx, work.sealing, rule_id)
        remediation = store_remediation.find(tx, work.sealing, rule_id)
        run = store_remediation.run_on(tx, rule_id, kind, resource_id)
        if rule is not None and remediation is not None and run is not None:
            run = run._replace(state="IN_PROGRESS", updated_at_ms=work.clock.now_ms())
            store_remediation.keep_run(tx, rule_id, run)
    if rule is None or remediation is None or run is None:
        with work.finishing() as tx:
            pass
        return
    steps = _steps(work, rule, remediation, resource_id)
    failed = any(step["State"] == "FAILED" for step in steps)
    now_ms = work.clock.now_ms()
    with work.finishing() as tx:
        if store_remediation.find(tx, work.sealing, rule_id) is None:
            return
        ended = run._replace(state="FAILED" if failed else "SUCCEEDED", steps=steps, updated_at_ms=now_ms)
        store_remediation.keep_run(tx, rule_id, ended)
        if failed and 0 < run.attempts < remediation.definition.get("MaximumAutomaticAttempts", ATTEMPTS):
            verdict = store_verdicts.some_of_rule(tx, rule_id, kind, [resource_id]).get(resource_id)
            if verdict is not None and verdict.verdict.compliance == NON_COMPLIANT:
                again_ms = now_ms + remediation.definition.get("RetryAttemptSeconds", RETRY_S) * 1_000
                start(tx, rule, kind, resource_id, now_ms, attempts=run.attempts + 1, at_ms=again_ms)
                store_remediation.keep_run(tx, rule_id, ended._replace(attempts=run.attempts + 1))


def _steps(work: Work, rule: Rule, remediation: Remediation, resource_id: str) -> list[dict[str, Any]]:
    """How each step of the document went; those behind one that was refused are not there."""
    document = remediation.definition["TargetId"]
    try:
        values = parameters_for(document, remediation.definition.get("Parameters", {}), resource_id)
    except ParametersUnfit as refusal:  # they were fit when they were put, for a resource that nobody knew yet
        now_ms = work.clock.now_ms()
        return [{"Name": "Parameters", "State": "FAILED", "ErrorMessage": str(refusal), "at": [now_ms, now_ms]}]

    def call(service: str, operation: str, inputs: Mapping[str, Any]) -> Params:
        return work.call(service, operation, source_arn=rule.arn, role_arn=values[ROLE], **inputs)

    return walk(document, values, call, work.clock.now_ms)
