"""What becomes of a secret's rotation: begun, moved on, failed, overtaken, put off to its next window. Inside a transaction of others.

Every function keeps the row of the rotation, and promises what comes next in the same transaction: at any moment there is at most one
waiting job for the next window (ROTATE) and one for a step (STEP).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from geumgo.context import Place
from geumgo.jobs import promise, queue, withdraw
from geumgo.sealing import Sealing
from geumgo.services.secretsmanager import domain_rotation as rules
from geumgo.services.secretsmanager import owners, store, store_rotation
from geumgo.services.secretsmanager.domain_rotation import CHANGING_STEP, STEPS, Rotation
from geumgo.services.secretsmanager.records import CURRENT, PENDING, Secret, Version
from geumgo.storage import Tx

ROTATE: Final = "secretsmanager.rotate"
STEP: Final = "secretsmanager.rotation_step"


def owner_step(secret: Secret) -> str:
    """The kind of the job that does a step of a secret that another service owns."""
    assert secret.owning_service is not None, "nobody owns the secret"
    return f"{owners.room_of(secret.owning_service)}.rotate_step"


def step_jobs(secret: Secret) -> list[str]:
    """Under which dedups a step of the secret's rotation may be promised."""
    kinds = [STEP] if secret.owning_service is None else [STEP, owner_step(secret)]
    return [f"{kind}:{secret.arn}" for kind in kinds]


@dataclass(frozen=True, slots=True)
class Plan:
    """A transaction in which rotations are planned. `event` puts a service event into the trail."""

    tx: Tx
    sealing: Sealing
    now_ms: int
    event: Callable[..., None]

    def find(self, secret: Secret) -> Rotation | None:
        return store_rotation.find(self.tx, self.sealing, secret)

    def keep(self, rotation: Rotation) -> None:
        store_rotation.keep(self.tx, self.sealing, rotation)

    def say(self, name: str, secret: Secret, token: str, **more: str) -> None:
        """A service event of a rotation. Source: "AWS Secrets Manager event types" and its sample, Secrets Manager User Guide."""
        self.event(name, SecretId=secret.arn, requestID=f"Rotation-{secret.arn}-{token}", **more)

    # -- windows ------------------------------------------------------------------------------------------------------

    def await_window(self, secret: Secret, rotation: Rotation, *, after_ms: int | None = None) -> Rotation:
        """The rotation, which will be begun in its next window; NextRotationDate is the end of that one.

        With `after_ms` the window closes after that, and NextRotationDate stays: what was due and failed is still due.
        """
        withdraw(self.tx, f"{ROTATE}:{secret.arn}")
        window = rules.next_window(rotation, after_ms or self.now_ms) if rotation.enabled else None
        if window is None:
            return rotation if after_ms is not None else replace(rotation, due_by_ms=None)
        at_ms = max(self.now_ms, rules.milliseconds(window.moment(secret.arn)))
        self._promise(ROTATE, secret, {"id": secret.id}, at_ms)
        return rotation if after_ms is not None else replace(rotation, due_by_ms=rules.milliseconds(window.closes_at))

    def _promise(self, kind: str, secret: Secret, payload: dict[str, str], at_ms: int) -> None:
        place = Place(secret.account, secret.region, secret.partition)
        dedup = f"{kind}:{secret.arn}"
        promise(self.tx, kind, place, payload, run_at_ms=at_ms, lock=secret.arn, dedup=dedup)

    def goes_on(self, secret: Secret, rotation: Rotation) -> bool:
        """Whether a rotation is under way, and its step runs or is due: it does not wait for another try, nor was it given up.

        A test has one try: it goes on as long as that is to come.
        """
        if rotation.token is None:
            return False
        return any(
            each.state == "running" or (each.state == "waiting" and (rotation.testing or each.run_at_ms <= self.now_ms))
            for dedup in step_jobs(secret)
            for each in queue.of_dedup(self.tx, dedup)
        )

    def forget(self, secret: Secret) -> None:
        """Nothing is promised for the secret any more."""
        for kind in (ROTATE, STEP):
            withdraw(self.tx, f"{kind}:{secret.arn}")

    def resume(self, secret: Secret) -> None:
        """What was promised before `forget` is promised again: for a secret that was restored."""
        rotation = self.find(secret)
        if rotation is None or not rotation.enabled:
            return
        if rotation.token is not None and rotation.step is not None:
            self.promise_step(secret, rotation, self.now_ms)
        self.keep(self.await_window(secret, rotation))

    # -- one rotation -------------------------------------------------------------------------------------------------

    def begin(self, secret: Secret, rotation: Rotation, token: str, until_ms: int | None) -> tuple[Secret, Rotation]:
        """A rotation that makes the version `token` is under way. That version is there, wears AWSPENDING and waits for its value.

        One that was under way already and is tried until it works, is so further on.

        Source: "Rotation function", Secrets Manager User Guide; that the version is there before the function runs was seen on AWS.
        """
        if store.find_version(self.tx, self.sealing, secret, token) is None:
            store.keep_version(self.tx, self.sealing, secret, Version(token, "none", None, self.now_ms))
        secret = self._with_stages(secret, {**secret.stages, PENDING: token})
        until_ms = rotation.until_ms if rotation.token == token and rotation.until_ms is None else until_ms
        rotation = replace(rotation, token=token, step=STEPS[0], testing=False, until_ms=until_ms, failures=0)
        self.promise_step(secret, rotation, self.now_ms)
        self.say("RotationStarted", secret, token)
        return secret, rotation

    def begin_test(self, secret: Secret, rotation: Rotation, token: str) -> Rotation:
        """The function is tested with the version `token`, which holds a copy of the current value and wears AWSPENDING."""
        rotation = replace(rotation, token=token, step=rules.TEST_STEP, testing=True, until_ms=None, failures=0)
        self.promise_step(secret, rotation, self.now_ms)
        self.say("TestRotationStarted", secret, token)
        return rotation

    def promise_step(self, secret: Secret, rotation: Rotation, at_ms: int) -> None:
        """The step at which the rotation is runs at `at_ms`, whatever was promised before."""
        assert rotation.token is not None, "a step belongs to a rotation"
        assert rotation.step is not None, "a rotation is at a step"
        withdraw(self.tx, f"{STEP}:{secret.arn}")
        payload = {"id": secret.id, "token": rotation.token, "step": rotation.step}
        self._promise(STEP, secret, payload, at_ms)

    def _with_stages(self, secret: Secret, stages: dict[str, str]) -> Secret:
        """The secret with other labels, kept."""
        changed = replace(secret, stages=stages, changed_at_ms=self.now_ms)
        store.save(self.tx, self.sealing, changed)
        return replace(changed, revision=secret.revision + 1)

    def step_done(self, secret: Secret, rotation: Rotation, error: str) -> None:
        """The step under way has ended: well (`error` is empty), or not. The rotation moves on."""
        token, step = rotation.token, rotation.step
        assert token is not None, "a step belongs to a rotation"
        assert step is not None, "a rotation is at a step"
        following = rules.step_after(step)
        if rotation.testing:
            self.end_test(secret, rotation, error)
        elif rules.is_unwanted(secret, rotation):
            self.keep(self.await_window(secret, self.abandon(secret, rotation)))
        elif error:
            self._fail(secret, rotation, token, error)
        elif following is not None:
            rotation = replace(rotation, step=following)
            self.promise_step(secret, rotation, self.now_ms)
            self.keep(self._past_its_window(secret, rotation) if following == CHANGING_STEP else rotation)
        elif secret.stages.get(CURRENT) != token:
            self._fail(secret, rotation, token, f"The step {step} ended without AWSCURRENT on version {token}")
        else:
            self._succeed(secret, rotation, token)

    def _past_its_window(self, secret: Secret, rotation: Rotation) -> Rotation:
        """The rotation, which is tried until it works, and in the next window anew.

        It is about to set a password. If it ended with its window, AWSCURRENT might be refused until the next one.
        """
        if rotation.until_ms is None:
            return rotation
        return self.await_window(secret, replace(rotation, until_ms=None), after_ms=max(self.now_ms, rotation.until_ms))

    def _succeed(self, secret: Secret, rotation: Rotation, token: str) -> None:
        if secret.stages.get(PENDING) == token:
            secret = self._with_stages(secret, {k: v for k, v in secret.stages.items() if k != PENDING})
        rotation = replace(_at_rest(rotation), rotated_at_ms=self.now_ms, anchored_at_ms=self.now_ms, last_error="")
        self.keep(self.await_window(secret, rotation))
        self.say("RotationSucceeded", secret, token)

    def _fail(self, secret: Secret, rotation: Rotation, token: str, error: str) -> None:
        """AWSPENDING stays where it is; the whole rotation is tried again with it, at first soon, and in the next window."""
        failures = rotation.failures + 1
        again_at_ms = self.now_ms + rules.wait_ms(failures)
        rotation = replace(rotation, step=STEPS[0], failures=failures, last_error=error, failed_at_ms=self.now_ms)
        if rotation.until_ms is None or again_at_ms < rotation.until_ms:
            self.promise_step(secret, rotation, again_at_ms)
        else:
            rotation = self.await_window(secret, _at_rest(rotation), after_ms=max(self.now_ms, rotation.until_ms))
        self.keep(rotation)
        self.say("RotationFailed", secret, token, errorMessage=error)

    def abandon(self, secret: Secret, rotation: Rotation) -> Rotation:
        """The rotation at rest: somebody took AWSPENDING off, or put another value, so what it made is not wanted any more."""
        assert rotation.token is not None, "a rotation is under way"
        withdraw(self.tx, f"{STEP}:{secret.arn}")
        self.say("RotationAbandoned", secret, rotation.token)
        return _at_rest(rotation)

    def end_test(self, secret: Secret, rotation: Rotation, error: str) -> tuple[Secret, Rotation]:
        """Both as they are kept after a test: the copy that it read is gone. Source: RotateImmediately, RotateSecret, API reference."""
        token = rotation.token
        assert token is not None, "a test is under way"
        if secret.stages.get(PENDING) == token:
            secret = self._with_stages(secret, {k: v for k, v in secret.stages.items() if k != PENDING})
        if token not in secret.stages.values():
            store.remove_versions(self.tx, secret, [token])
        rotation = _at_rest(rotation)
        if error:
            rotation = replace(rotation, last_error=error, failed_at_ms=self.now_ms)
            self.say("TestRotationFailed", secret, token, errorMessage=error)
        else:
            self.say("TestRotationSucceeded", secret, token)
        self.keep(rotation)
        return secret, rotation

    # -- values that come from elsewhere ------------------------------------------------------------------------------

    def value_replaced(self, secret: Secret, version_id: str) -> dict[str, str]:
        """The labels of `secret`, whose new current version is `version_id`, put by hand or by the rotation itself.

        A rotation that makes another version is abandoned, and AWSPENDING comes off. A value that was put counts as a rotation for the next
        date. Source: "Rotation schedules" and "Troubleshoot rotation", Secrets Manager User Guide.
        """
        stages = dict(secret.stages)
        rotation = self.find(secret)
        if rotation is None or not rotation.enabled or rotation.token == version_id:
            return stages
        if rotation.token is not None:
            if stages.get(PENDING) == rotation.token:
                del stages[PENDING]
            rotation = self.abandon(secret, rotation)
        rotation = replace(rotation, anchored_at_ms=self.now_ms)
        self.keep(self.await_window(secret, rotation))
        return stages


def _at_rest(rotation: Rotation) -> Rotation:
    """No rotation is under way."""
    return replace(rotation, token=None, step=None, testing=False, until_ms=None, failures=0)
