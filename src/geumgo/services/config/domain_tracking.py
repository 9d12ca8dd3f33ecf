"""How evaluations of rules go: what is asked for, what came of it. Pure."""

from dataclasses import replace
from typing import Final

from geumgo.services.config.records import RuleStatus

AGAIN_AFTER_MS: Final = 60_000
"""An evaluation can be asked for once a minute. Source: StartConfigRulesEvaluation, API reference (LimitExceededException)."""


def is_under_way(status: RuleStatus) -> bool:
    """Whether an evaluation that was asked for has not ended."""
    if status.asked_at_ms is None:
        return False
    ended = max(status.succeeded_at_ms or 0, status.failed_at_ms or 0)
    return status.asked_at_ms > ended


def may_be_asked(status: RuleStatus, now_ms: int) -> bool:
    """Whether an evaluation may be asked for now."""
    return status.asked_at_ms is None or now_ms - status.asked_at_ms >= AGAIN_AFTER_MS


def succeeded(status: RuleStatus, invoked_at_ms: int, now_ms: int) -> RuleStatus:
    """After an evaluation of everything that began at `invoked_at_ms`."""
    return replace(status, succeeded_at_ms=invoked_at_ms, recorded_at_ms=now_ms, error_code="", error_message="")


def failed(status: RuleStatus, invoked_at_ms: int, code: str, message: str) -> RuleStatus:
    """After an evaluation that somebody refused to answer."""
    return replace(status, failed_at_ms=invoked_at_ms, error_code=code, error_message=message)
