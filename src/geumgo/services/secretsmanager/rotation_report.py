"""How rotations stand, for the operator: what DescribeSecret does not say."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from geumgo.jobs import queue
from geumgo.sealing import Sealing
from geumgo.services.secretsmanager import domain_rotation as rules
from geumgo.services.secretsmanager import store, store_rotation
from geumgo.services.secretsmanager.domain_rotation import Rotation
from geumgo.services.secretsmanager.records import Secret
from geumgo.services.secretsmanager.rotation_plan import ROTATE, step_jobs
from geumgo.storage import Tx

State = Literal["off", "deleted", "at rest", "under way", "testing", "failing", "stuck", "overdue", "ahead"]
WRONG: Final = frozenset({"failing", "stuck", "overdue", "ahead"})
_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Report:
    """How the rotation of one secret stands. Times are Unix milliseconds; None: there is none.

    `failing`: the last attempt failed, and it is tried again at `next_attempt_at_ms`. `stuck`: a step of it was given up. `overdue`:
    NextRotationDate has passed. `ahead`: the last rotation lies far in the future, because the clock was wrong then. `failures` are
    those in a row since it began; `last_error` is what RotationFailed said in the trail. `attempt_runs`: a step is being done, or written
    down, at this moment.
    """

    arn: str
    name: str
    state: State
    rotator: str  # the function's ARN, the service that owns the secret, or its partner's type
    step: str | None
    version: str | None
    failures: int
    last_error: str
    failed_at_ms: int | None
    rotated_at_ms: int | None
    due_by_ms: int | None
    next_attempt_at_ms: int | None
    attempt_runs: bool


def reports(tx: Tx, sealing: Sealing, now_ms: int) -> Iterator[Report]:
    """Of every secret for which rotation was ever set up, by name."""
    found, after = [], ""
    while page := store_rotation.listed(tx, sealing, after=after, limit=_PAGE):
        for rotation in page:
            secret = store.find_by_id(tx, sealing, rotation.secret_id)
            if secret is not None:
                found.append(_report(tx, secret, rotation, now_ms))
        after = page[-1].secret_id
    return iter(sorted(found, key=lambda each: (each.name, each.arn)))


def _report(tx: Tx, secret: Secret, rotation: Rotation, now_ms: int) -> Report:
    steps = [each for dedup in step_jobs(secret) for each in queue.of_dedup(tx, dedup)]
    # Between two jobs of one step (its owner does it, and says so) there is none of these, and the step is under way all the same.
    runs = rotation.token is not None and not any(each.state in {"waiting", "parked"} for each in steps)
    waiting = [] if runs else [*steps, *queue.of_dedup(tx, f"{ROTATE}:{secret.arn}")]
    return Report(
        arn=secret.arn,
        name=secret.name,
        state=_state(secret, rotation, [each.state for each in steps], now_ms),
        rotator=secret.owning_service or secret.secret_type or rotation.lambda_arn or "",
        step=rotation.step,
        version=rotation.token or rules.left_over(secret),
        failures=rotation.failures,
        last_error=rotation.last_error,
        failed_at_ms=rotation.failed_at_ms if rotation.last_error else None,
        rotated_at_ms=rotation.rotated_at_ms,
        due_by_ms=rotation.due_by_ms,
        next_attempt_at_ms=min((each.run_at_ms for each in waiting if each.state == "waiting"), default=None),
        attempt_runs=runs,
    )


def _state(secret: Secret, rotation: Rotation, steps: list[str], now_ms: int) -> State:
    if secret.deleted_at_ms is not None:
        return "deleted"
    if not rotation.enabled:
        return "off"
    if rotation.token is not None and "parked" in steps and len(steps) == 1:
        return "stuck"
    if rotation.failures:
        return "failing"
    if rotation.anchored_at_ms > now_ms + rules.AHEAD_MS:
        return "ahead"
    if rotation.token is not None:
        return "testing" if rotation.testing else "under way"
    return "overdue" if rotation.due_by_ms is not None and rotation.due_by_ms <= now_ms else "at rest"
