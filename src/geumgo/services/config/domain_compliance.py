"""What verdicts come to: who is compliant, how many are not, and what EventBridge is told of a change."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from geumgo.services.config.domain_rules import COMPLIANT, INSUFFICIENT_DATA, NON_COMPLIANT
from geumgo.services.config.records import Kept, Rule

MOST_COUNTED: Final = 25
"""Contributors, and rules of a summary, are counted up to this. Source: ComplianceContributorCount, API reference."""

MOST_RESOURCES_COUNTED: Final = 100
"""Resources of a summary are counted up to this. Source: GetComplianceSummaryByResourceType, API reference."""


def together(compliances: Iterable[str]) -> str:
    """What the verdicts on one rule, or on one resource, come to: one that is NON_COMPLIANT decides."""
    found = set(compliances)
    if NON_COMPLIANT in found:
        return NON_COMPLIANT
    return COMPLIANT if COMPLIANT in found else INSUFFICIENT_DATA


def compliance(counts: Mapping[str, int]) -> dict[str, Any]:
    """A Compliance, of how often each verdict was given. Contributors are those that make it NON_COMPLIANT."""
    said: dict[str, Any] = {"ComplianceType": together(name for name, count in counts.items() if count)}
    if said["ComplianceType"] == NON_COMPLIANT:
        said["ComplianceContributorCount"] = capped(counts[NON_COMPLIANT], MOST_COUNTED)
    return said


def capped(count: int, most: int) -> dict[str, Any]:
    """A ComplianceContributorCount."""
    return {"CappedCount": min(count, most), "CapExceeded": count > most}


def notification(rule: Rule, before: Kept | None, after: Kept, now_ms: int) -> dict[str, Any]:
    """The detail of "Config Rules Compliance Change". Source: "Monitoring AWS Config with Amazon EventBridge", Developer Guide."""
    detail = {
        "resourceId": after.resource_id,
        "awsRegion": rule.region,
        "awsAccountId": rule.account,
        "configRuleName": rule.name,
        "recordVersion": "1.0",
        "configRuleARN": rule.arn,
        "messageType": "ComplianceChangeNotification",
        "newEvaluationResult": _result(rule, after),
        "notificationCreationTime": stamp(now_ms),
        "resourceType": after.resource_type,
    }
    if before is not None:
        detail["oldEvaluationResult"] = _result(rule, before)
    return detail


def _result(rule: Rule, kept: Kept) -> dict[str, Any]:
    said = {
        "evaluationResultIdentifier": {
            "evaluationResultQualifier": {
                "configRuleName": rule.name,
                "resourceType": kept.resource_type,
                "resourceId": kept.resource_id,
                "evaluationMode": "DETECTIVE",
            },
            "orderingTimestamp": stamp(kept.ordered_at_ms),
        },
        "complianceType": kept.verdict.compliance,
        "resultRecordedTime": stamp(kept.recorded_at_ms),
        "configRuleInvokedTime": stamp(kept.invoked_at_ms),
    }
    if kept.verdict.annotation:
        said["annotation"] = kept.verdict.annotation
    return said


@lru_cache(maxsize=256)
def stamp(at_ms: int) -> str:
    """A moment as Config writes it: 2025-01-01T00:00:00.000Z."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at_ms % 1000:03}Z"
