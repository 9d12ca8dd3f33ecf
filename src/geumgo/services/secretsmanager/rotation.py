"""Rotation: RotateSecret, CancelRotateSecret, and the jobs that take a rotation through its steps."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from geumgo.context import Context, Params, Place, Work
from geumgo.domain.arn import split_arn
from geumgo.errors import ServiceError
from geumgo.jobs import TryLater, promise
from geumgo.room import job, operation
from geumgo.sealing import random
from geumgo.services.secretsmanager import domain, envelope, external, lookup, store, store_rotation
from geumgo.services.secretsmanager import domain_rotation as rules
from geumgo.services.secretsmanager.domain_rotation import Rotation
from geumgo.services.secretsmanager.errors import AccessDenied, InvalidParameter, InvalidRequest
from geumgo.services.secretsmanager.records import CURRENT, PENDING, Secret, Version
from geumgo.services.secretsmanager.rotation_plan import ROTATE, STEP, Plan, owner_step
from geumgo.storage import Tx

BUSY_MS: Final = 10_000  # after which a window looks again whether the rotation that it found under way has ended
STEP_DONE: Final = "secretsmanager.rotation_step_done"
_TOKEN: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


# -- RotateSecret -----------------------------------------------------------------------------------------------------


@operation
def rotate_secret(ctx: Context, params: Params) -> Params:
    """The rules are kept, and a rotation is under way; with RotateImmediately=false only a test of the function is.

    Source: RotateSecret, API reference; the messages as recorded on AWS. Unverified: a retried call is answered as before while its
    rotation is under way or its version is the current one.
    """
    token: str | None = params.get("ClientRequestToken")
    if token is None:
        raise InvalidParameter("You must provide a ClientRequestToken value. We recommend a UUID-type value.")
    secret = lookup.get_usable(ctx, params["SecretId"])
    external.refuse_members(secret, params)
    plan = plan_of(ctx)
    before = plan.find(secret)
    rotation = _configured(ctx, secret, before, params)
    answer = {"ARN": secret.arn, "Name": secret.name, "VersionId": token}
    if before is not None and before.enabled and token in (before.token, secret.stages.get(CURRENT)):
        return answer
    if secret.secret_type is not None:
        external.keep(ctx, secret, params, rotation.rules)
    else:
        _refuse_unless_invokable(ctx, secret, rotation)
    is_under_way = before is not None and before.token is not None and before.enabled
    if rules.left_over(secret) is not None or (is_under_way and not rules.is_unwanted(secret, rotation)):
        raise InvalidRequest("A previous rotation isn't complete. That rotation will be reattempted.")
    if lookup.get_version(ctx, secret, token) is not None:
        raise InvalidParameter(f"The ClientRequestToken {token} is already in use for a version of the secret.")
    if is_under_way:
        rotation = plan.abandon(secret, rotation)
    rotation = plan.await_window(secret, rotation)
    if params.get("RotateImmediately", True):
        domain.refuse_another_version(store.count_versions(ctx.tx, secret))
        _, rotation = plan.begin(secret, rotation, token, None)
    elif secret.owning_service is None and CURRENT in secret.stages:
        rotation = _begin_test(ctx, plan, secret, rotation, token)
    plan.keep(rotation)
    return answer


def plan_of(ctx: Context) -> Plan:
    return Plan(ctx.tx, ctx.sealing, ctx.clock.now_ms(), ctx.event)


def _configured(ctx: Context, secret: Secret, before: Rotation | None, params: Params) -> Rotation:
    """The rotation with what the request says of it. Raises InvalidParameter, InvalidRequest.

    RotationRules replace the former ones as a whole.
    """
    now_ms = ctx.clock.now_ms()
    lambda_arn = params.get("RotationLambdaARN") or (before.lambda_arn if before is not None else None)
    if secret.owning_service is not None and params.get("RotationLambdaARN"):
        raise InvalidRequest(
            f"The secret is rotated by {secret.owning_service}, which manages it, and not by a function."
        )
    if lambda_arn is None and secret.owning_service is None and secret.secret_type is None:
        raise InvalidRequest("No Lambda rotation function ARN is associated with this secret.")
    _refuse_arn(lambda_arn)
    rotation = replace(before or Rotation(secret.id, now_ms), enabled=True, lambda_arn=lambda_arn)
    if "RotationRules" in params:
        given = {name: value for name, value in params["RotationRules"].items() if value is not None}
        rules.schedule_of(given)
        rotation = replace(rotation, rules=given, anchored_at_ms=now_ms)
    return rotation


def _refuse_arn(lambda_arn: str | None) -> None:
    """Raises InvalidParameter unless it is the ARN of a function. Unverified: the message."""
    if lambda_arn is None:
        return
    arn = split_arn(lambda_arn)
    if arn is None or arn.service != "lambda" or not arn.resource.startswith("function:"):
        raise InvalidParameter("The RotationLambdaARN is not the ARN of a Lambda function.")


def _refuse_unless_invokable(ctx: Context, secret: Secret, rotation: Rotation) -> None:
    """Raises AccessDenied, as AWS does, if the function is not there or does not let Secrets Manager in."""
    if secret.owning_service is not None:
        return
    try:
        ctx.act(
            "lambda",
            "Invoke",
            source_arn=secret.arn,
            FunctionName=rotation.lambda_arn,
            InvocationType="DryRun",
        )
    except ServiceError:
        raise AccessDenied(
            "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to the "
            "principal secretsmanager.amazonaws.com."
        ) from None


def _begin_test(ctx: Context, plan: Plan, secret: Secret, rotation: Rotation, token: str) -> Rotation:
    """The function is tested with a copy of the current value, in the version `token`. Seen on AWS."""
    current = lookup.get_version(ctx, secret, secret.stages[CURRENT])
    if current is None or current.kind == "none":
        return rotation
    domain.refuse_another_version(store.count_versions(ctx.tx, secret))
    value = envelope.unseal(ctx, secret, current)
    ciphertext, wrapping = envelope.seal(ctx, secret, token, current.kind, value)
    store.keep_version(
        ctx.tx, ctx.sealing, secret, Version(token, current.kind, ciphertext, ctx.clock.now_ms(), wrapping)
    )
    lookup.keep(ctx, replace(secret, stages={**secret.stages, PENDING: token}))
    return plan.begin_test(secret, rotation, token)


# -- CancelRotateSecret -----------------------------------------------------------------------------------------------


@operation
def cancel_rotate_secret(ctx: Context, params: Params) -> Params:
    """Rotation is off; its rules and its function stay. A version that was not completed keeps AWSPENDING, and is named.

    The copy that a test was reading is gone.

    Source: CancelRotateSecret, API reference. Unverified: a secret that never was rotated is answered alike.
    """
    secret = lookup.get_changeable(ctx, params["SecretId"])
    plan = plan_of(ctx)
    rotation = plan.find(secret)
    if rotation is not None:
        plan.forget(secret)
        if rotation.testing:
            secret, rotation = plan.end_test(secret, rotation, "The rotation was cancelled")
        off = replace(rotation, enabled=False, due_by_ms=None, token=None, step=None, testing=False, until_ms=None)
        plan.keep(off)
    answer: Params = {"ARN": secret.arn, "Name": secret.name}
    partial = rules.left_over(secret)
    if partial is not None:
        answer["VersionId"] = partial
    return answer


# -- jobs -------------------------------------------------------------------------------------------------------------


@job(ROTATE)
def rotate(work: Work, payload: Params) -> None:
    """A window is open: a rotation is under way, or the one that was left over is tried again.

    One that was begun by hand, or a test, is not disturbed: the window waits for its end. Raises TryLater.
    """
    with work.finishing() as tx:
        plan = Plan(tx, work.sealing, work.clock.now_ms(), work.event)
        found = _enabled(tx, work, payload)
        if found is None:
            return
        secret, rotation = found
        window = rules.next_window(rotation, plan.now_ms)
        if window is None:
            return
        if rules.milliseconds(window.opens_at) > plan.now_ms:  # the one that was meant is over: the server was away
            plan.keep(plan.await_window(secret, rotation, after_ms=plan.now_ms))
            return
        if plan.goes_on(secret, rotation):
            raise TryLater(BUSY_MS)
        if rotation.testing:
            secret, rotation = plan.end_test(secret, rotation, "The test was given up")
        if rules.is_unwanted(secret, rotation):
            rotation = plan.abandon(secret, rotation)
        token = rotation.token or rules.left_over(secret) or random.uuid()
        closes_ms = rules.milliseconds(window.closes_at)
        secret, rotation = plan.begin(secret, rotation, token, closes_ms)
        plan.keep(
            rotation if rotation.until_ms is not None else plan.await_window(secret, rotation, after_ms=closes_ms)
        )


@job(STEP)
def rotation_step(work: Work, payload: Params) -> None:
    """The step has been done, by the function or by the owner of the secret, and the rotation has moved on.

    A step may run twice: after a crash nobody knows how far it got.
    """
    with work.storage.reading() as tx:
        found = _under_way(tx, work, payload)
    if found is None:
        with work.finishing():
            return
    secret, rotation = found
    if rules.is_unwanted(secret, rotation):
        with work.finishing() as tx:
            _done(tx, work, payload, f"AWSPENDING was taken off version {rotation.token}")
        return
    if secret.owning_service is not None:
        with work.finishing() as tx:
            _ask_owner(tx, work, secret, payload)
        return
    is_external = secret.secret_type is not None
    error = external.attempt(work, secret) if is_external else _invoke(work, secret, rotation, payload)
    with work.finishing() as tx:
        _done(tx, work, payload, error)


@job(STEP_DONE)
def rotation_step_done(work: Work, payload: Params) -> None:
    """The owner of a secret has done a step, or says why not. What comes too late changes nothing."""
    with work.finishing() as tx:
        arn = payload["secret"]
        found = store.find(tx, work.sealing, domain.parse_secret_id(arn, account="", region=""))
        if found is not None and found.secret.owning_service is not None:
            _done(tx, work, {**payload, "id": found.secret.id}, payload["error"])


def _under_way(tx: Tx, work: Work, payload: Params) -> tuple[Secret, Rotation] | None:
    """The secret and its rotation, if the step in `payload` is still to be done."""
    found = _enabled(tx, work, payload)
    if found is None or (found[1].token, found[1].step) != (payload["token"], payload["step"]):
        return None
    return found


def _enabled(tx: Tx, work: Work, payload: Params) -> tuple[Secret, Rotation] | None:
    """The secret in `payload` and its rotation, if it is rotated at all."""
    secret = store.find_by_id(tx, work.sealing, payload["id"])
    rotation = None if secret is None else store_rotation.find(tx, work.sealing, secret)
    if secret is None or rotation is None or not rotation.enabled or secret.deleted_at_ms is not None:
        return None
    return secret, rotation


def _done(tx: Tx, work: Work, payload: Params, error: str) -> None:
    found = _under_way(tx, work, payload)
    if found is not None:
        Plan(tx, work.sealing, work.clock.now_ms(), work.event).step_done(*found, error)


def _ask_owner(tx: Tx, work: Work, secret: Secret, payload: Params) -> None:
    kind = owner_step(secret)
    told = {"secret": secret.arn, "token": payload["token"], "step": payload["step"]}
    lock = f"{kind}:{secret.arn}"
    place = Place(secret.account, secret.region, secret.partition)
    promise(tx, kind, place, told, run_at_ms=work.clock.now_ms(), lock=lock, dedup=lock)


def _invoke(work: Work, secret: Secret, rotation: Rotation, payload: Params) -> str:
    """Let the function do a step. Answers what went wrong, in AWS's words and without any of the function's own; empty: nothing.

    Source: "Lambda rotation functions" (the event), CloudTrail entry of RotationFailed (the message), Secrets Manager User Guide.
    """
    step = payload["step"]
    event = {
        "Step": step,
        "SecretId": secret.arn,
        "ClientRequestToken": payload["token"],
        "RotationToken": random.uuid(),
    }
    failed = f"Error when executing lambda {rotation.lambda_arn} during {step} step"
    try:
        answer = work.call(
            "lambda",
            "Invoke",
            source_arn=secret.arn,
            FunctionName=rotation.lambda_arn,
            InvocationType="RequestResponse",
            Payload=json.dumps(event).encode(),
        )
    except ServiceError as refusal:
        return f"{failed}: {refusal.code}"
    return f"{failed}{_kind_of(answer)}" if answer.get("FunctionError") else ""


def _kind_of(answer: Mapping[str, Any]) -> str:
    """The type of the error that the function raised. Its message may quote a secret and is left where it is, in the function's log."""
    try:
        kind = json.loads(bytes(answer.get("Payload") or b"")).get("errorType")
    except (ValueError, AttributeError, TypeError):
        return ""
    return f": {kind}" if isinstance(kind, str) and _TOKEN.fullmatch(kind) else ""
