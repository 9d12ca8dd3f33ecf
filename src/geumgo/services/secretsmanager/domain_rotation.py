"""The rules of rotation as pure functions: schedules from RotationRules, the four steps, how long to wait after a failure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from geumgo.domain.schedule import Schedule, ScheduleInvalid, Window, after_days, parse_schedule
from geumgo.services.secretsmanager.errors import InvalidParameter
from geumgo.services.secretsmanager.records import CURRENT, PENDING, Secret

STEPS: Final = ("createSecret", "setSecret", "testSecret", "finishSecret")
"""What a rotation function is asked for, in order. Source: "Lambda rotation functions", Secrets Manager User Guide."""
CHANGING_STEP: Final = "setSecret"
"""From here on nobody but the function knows which password the database has: a step that failed, or was not heard of, may have set it."""
TEST_STEP: Final = "testSecret"
_SOON_MS: Final = (2_000, 3_000)
_SOON_FAILURES: Final = 40
_LATER_MS: Final = (10_000, 20_000, 60_000, 300_000, 900_000, 3_600_000)
"""How long after the n-th failure in a row the rotation is tried again (milliseconds); after more, as after the last.

For the first two minutes (40 failures) soon: what was away for as long as a restart or a failover takes is met again within five seconds
after it is back, and two of these are left to the attempt that met it still away, and to a machine that is busy. Then ever more seldom.
AWS does not say how often it tries.
"""
DAY_MS: Final = 86_400_000
MOST_DAYS: Final = 1_000  # that AutomaticallyAfterDays may say. Source: RotationRulesType, botocore model 2017-10-17
AHEAD_MS: Final = 2 * 86_400_000
"""A rotation that lies further in the future than this (milliseconds) was made by a wrong clock. One that is nearer counts, so that a clock
that is set to and fro by hours rotates nothing twice."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """How a secret is rotated. Times are Unix milliseconds.

    `rules` are RotationRules as they were given. `anchored_at_ms`: the next window is the first one after this moment. `due_by_ms` is
    NextRotationDate. `token` is the version that the rotation under way makes (None: none is), `step` the step that runs or comes next,
    `until_ms` the moment after which no attempt begins before the next window (None: none such; it is tried until it works).
    """

    secret_id: str
    anchored_at_ms: int
    enabled: bool = True
    lambda_arn: str | None = None
    rules: Mapping[str, Any] = field(default_factory=dict)
    due_by_ms: int | None = None
    rotated_at_ms: int | None = None
    token: str | None = None
    step: str | None = None
    testing: bool = False
    until_ms: int | None = None
    failures: int = 0
    last_error: str = ""
    failed_at_ms: int | None = None


def schedule_of(rules: Mapping[str, Any]) -> Schedule | None:
    """The schedule that RotationRules mean; None: there is none, the secret is rotated by hand.

    Raises InvalidParameter. Source: RotationRulesType, API reference; the message for both as users report it. Unverified: the others.
    """
    days, expression, duration = (
        rules.get("AutomaticallyAfterDays"),
        rules.get("ScheduleExpression"),
        rules.get("Duration"),
    )
    if days is not None and expression is not None:
        raise InvalidParameter("You cannot specify both rotation frequency and schedule expression together.")
    try:
        if days is not None:
            return after_days(days, duration)
        if expression is not None:
            return parse_schedule(expression, duration)
    except ScheduleInvalid as fault:
        raise InvalidParameter(f"Invalid rotation rules: {fault}.") from None
    if duration is not None:
        raise InvalidParameter("Invalid rotation rules: a duration needs a schedule.")
    return None


def told_rules(rotation: Rotation) -> dict[str, Any]:
    """RotationRules as DescribeSecret and ListSecrets tell them.

    Where there is a ScheduleExpression, AutomaticallyAfterDays is calculated from it after each rotation that succeeded: the days of its
    rate, or between the next two windows. Source: RotationRulesType.AutomaticallyAfterDays, botocore model 2017-10-17. Unverified:
    which days these are where they differ from one window to the next, and that a part of a day counts as a whole one.
    """
    told = dict(rotation.rules)
    if "ScheduleExpression" in told and rotation.rotated_at_ms is not None:
        days = _days_between(told["ScheduleExpression"], rotation.rotated_at_ms // DAY_MS)
        if days is not None:
            told["AutomaticallyAfterDays"] = days
    return told


@lru_cache(maxsize=1_024)
def _days_between(expression: str, day: int) -> int | None:
    """The days of a rate, or from the first to the second window that opens after the end of the `day` (since 1970)."""
    schedule = parse_schedule(expression)
    between = schedule.every
    if between is None:
        windows = schedule.windows(_moment((day + 1) * DAY_MS), 2)
        if len(windows) < 2:
            return None
        between = windows[1].opens_at - windows[0].opens_at
    return min(-(-between // timedelta(days=1)), MOST_DAYS)


def next_window(rotation: Rotation, now_ms: int) -> Window | None:
    """The window of the next rotation, which may be open already. None: there is no schedule, or it has no further moment."""
    schedule = schedule_of(rotation.rules)
    return None if schedule is None else schedule.next_window(_moment(rotation.anchored_at_ms), _moment(now_ms))


def milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000)


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1_000, UTC)


def step_after(step: str) -> str | None:
    """The step that follows; None: that was the last."""
    at = STEPS.index(step) + 1
    return STEPS[at] if at < len(STEPS) else None


def wait_ms(failures: int) -> int:
    """How long a rotation waits that has failed `failures` times in a row (1 or more), in milliseconds."""
    if failures <= _SOON_FAILURES:
        return _SOON_MS[min(failures, len(_SOON_MS)) - 1]
    return _LATER_MS[min(failures - _SOON_FAILURES, len(_LATER_MS)) - 1]


def is_unwanted(secret: Secret, rotation: Rotation) -> bool:
    """Whether the version that the rotation makes wears neither AWSPENDING nor AWSCURRENT: somebody took the label off.

    No rotation is in progress then. Source: RotateSecret, API reference.
    """
    return rotation.token is not None and rotation.token not in (secret.stages.get(PENDING), secret.stages.get(CURRENT))


def left_over(secret: Secret) -> str | None:
    """The version of a rotation that is not complete: it wears AWSPENDING and is not the current one.

    Source: "Troubleshoot rotation", Secrets Manager User Guide.
    """
    pending = secret.stages.get(PENDING)
    return pending if pending is not None and pending != secret.stages.get(CURRENT) else None
