"""What rules think is kept; a change of it goes to EventBridge, and to the rule's remediation, in the same transaction."""

from collections.abc import Callable, Sequence
from typing import Final

from geumgo.context import Params, Place, Work
from geumgo.sealing import Sealing
from geumgo.services.config import remediating, store_verdicts
from geumgo.services.config.domain_compliance import notification
from geumgo.services.config.domain_rules import NON_COMPLIANT, NOT_APPLICABLE
from geumgo.services.config.records import Kept, Rule, Verdict
from geumgo.storage import Tx

NONE: Final = Verdict(NOT_APPLICABLE)

Publish = Callable[[Params], None]
"""EventBridge is promised an event with this detail, if the transaction commits."""


def settle(
    tx: Tx,
    sealing: Sealing,
    rule: Rule,
    resource_type: str,
    judged: Sequence[tuple[str, Verdict]],
    invoked_at_ms: int,
    now_ms: int,
    publish: Publish,
    *,
    ordered_at_ms: int | None = None,
) -> None:
    """These are the rule's verdicts on at most AT_ONCE resources; each whose compliance is another than before is published, once.

    `ordered_at_ms` is when the resources were as they were judged; by default when the rule was invoked.
    """
    known = store_verdicts.some_of_rule(tx, rule.id, resource_type, [resource_id for resource_id, _ in judged])
    kept: list[Kept] = []
    gone: list[str] = []
    fallen: list[str] = []
    for resource_id, verdict in judged:
        before = known.get(resource_id)
        if (before.verdict if before is not None else NONE) == verdict:
            continue
        moved = before is None or before.verdict.compliance != verdict.compliance
        after = Kept(
            rule.id,
            resource_type,
            resource_id,
            verdict,
            ordered_at_ms=invoked_at_ms if ordered_at_ms is None else ordered_at_ms,
            invoked_at_ms=invoked_at_ms,
            recorded_at_ms=now_ms if moved or before is None else before.recorded_at_ms,
        )
        if verdict.compliance == NOT_APPLICABLE:
            gone.append(resource_id)
        else:
            kept.append(after)
        if moved:
            publish(notification(rule, before, after, now_ms))
            if verdict.compliance == NON_COMPLIANT:
                fallen.append(resource_id)
    store_verdicts.keep(tx, Place(rule.account, rule.region, rule.partition), kept)
    store_verdicts.forget(tx, rule.id, resource_type, gone)
    remediating.start_automatic(tx, sealing, rule, resource_type, fallen, now_ms)


def publisher(work: Work, tx: Tx) -> Publish:
    return lambda detail: work.publish(tx, "aws.config", "Config Rules Compliance Change", (), detail)
