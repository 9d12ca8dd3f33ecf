"""What a clock that was set back means for rotation: what was planned by the wrong time is planned again by the right one."""

from dataclasses import replace
from typing import Final

from geumgo.context import Params, Place, Work
from geumgo.jobs import promise, queue
from geumgo.room import job
from geumgo.services.secretsmanager import store, store_rotation
from geumgo.services.secretsmanager.domain_rotation import AHEAD_MS, Rotation
from geumgo.services.secretsmanager.records import Secret
from geumgo.services.secretsmanager.rotation_plan import STEP, Plan
from geumgo.storage import Tx

SET_BACK: Final = "secretsmanager.clock_set_back"
_PAGE: Final = 200  # rotations that one transaction plans again


def clock_was_set_back(tx: Tx, now_ms: int) -> None:
    """Every rotation is planned again, if `tx` commits. `now_ms` is the right time."""
    promise(tx, SET_BACK, Place("", ""), {}, run_at_ms=now_ms, lock=SET_BACK, dedup=SET_BACK)


@job(SET_BACK)
def plan_again(work: Work, payload: Params) -> None:  # noqa: ARG001 - it carries nothing
    """No rotation waits for a time that a wrong clock has made up. A process that still believes that clock changes nothing by it."""
    after = ""
    while True:
        with work.writing() as tx:
            page = store_rotation.listed(tx, work.sealing, after=after, limit=_PAGE)
            plan = Plan(tx, work.sealing, work.clock.now_ms(), work.event)
            for rotation in page:
                secret = store.find_by_id(tx, work.sealing, rotation.secret_id)
                if secret is not None and rotation.enabled and secret.deleted_at_ms is None:
                    _plan_again(plan, secret, rotation)
        if not page:
            break
        after = page[-1].secret_id
    with work.finishing():
        return


def _plan_again(plan: Plan, secret: Secret, rotation: Rotation) -> None:
    """The next window is the next one from now on; what is under way and waits for its next try need not wait so long."""
    due_by_ms = rotation.due_by_ms
    if rotation.anchored_at_ms > plan.now_ms + AHEAD_MS:
        rotation = replace(rotation, anchored_at_ms=plan.now_ms)
    rotation = plan.await_window(secret, rotation)
    if due_by_ms is not None and due_by_ms <= plan.now_ms:  # what was due and failed is still due
        rotation = replace(rotation, due_by_ms=due_by_ms)
    plan.keep(rotation)
    steps = queue.of_dedup(plan.tx, f"{STEP}:{secret.arn}")
    if rotation.token is not None and any(each.state == "waiting" for each in steps):
        plan.promise_step(secret, rotation, plan.now_ms)
