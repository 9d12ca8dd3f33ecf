"""The jobs that keep the certificates: a secret is made, renewed step by step as Secrets Manager asks, and deleted.

Each may be killed at any line and run again. All is done as the infrastructure role that the service names, as on AWS: it makes the secret,
and it must be allowed to have the authority issue certificates.
"""

import json
from dataclasses import replace
from functools import partial
from typing import Any, Final

from geumgo.access.demand import Demand, Target
from geumgo.attached.finishing import STEPS, StepFailed, finish
from geumgo.context import Params, Work
from geumgo.errors import ServiceError
from geumgo.jobs import TryLater, promise
from geumgo.room import job
from geumgo.sealing import Plaintext, certificates
from geumgo.sealing.certificates import BadCertificate, Issued
from geumgo.sealing.random import uuid
from geumgo.services.ecs import domain, store
from geumgo.services.ecs.records import Authority, Endpoint
from geumgo.storage import Tx

SETTLE: Final = "ecs.settle"
ROTATE_STEP: Final = "ecs.rotate_step"
STEP_DONE: Final = "secretsmanager.rotation_step_done"


def promise_settling(tx: Tx, endpoint: Endpoint, now_ms: int) -> None:
    """What the endpoint wants is done as soon as this transaction has committed."""
    lock = f"{ROTATE_STEP}:{endpoint.secret_arn or endpoint.id}"
    dedup = f"{SETTLE}:{endpoint.id}:{int(endpoint.is_leaving)}"
    promise(tx, SETTLE, endpoint.place, {"id": endpoint.id}, run_at_ms=now_ms, lock=lock, dedup=dedup)


@job(SETTLE)
def settle(work: Work, payload: Params) -> None:
    """The endpoint has its secret, or has gone with it; or the service says why not, and it is tried again."""
    with work.storage.reading() as tx:
        endpoint = store.find_endpoint(tx, work.sealing, payload["id"])
    if endpoint is None or (endpoint.secret_arn and not endpoint.is_leaving):
        with work.finishing():
            return
    try:
        secret_arn = _remove_secret(work, endpoint) if endpoint.is_leaving else _make_secret(work, endpoint)
    except ServiceError as refusal:
        _say(work, endpoint, f"{refusal.code}: {refusal.message}")
        raise TryLater(domain.wait_ms(work.clock.now_ms() - endpoint.created_at_ms)) from None
    with work.finishing() as tx:
        now = store.find_endpoint(tx, work.sealing, endpoint.id)
        if now is None:
            return
        if endpoint.is_leaving:
            _gone(tx, work, now)
            return
        made = replace(now, secret_arn=secret_arn, message="")
        store.put_endpoint(tx, work.sealing, made)
        if made.is_leaving:  # since this job began
            promise_settling(tx, made, work.clock.now_ms())


def _say(work: Work, endpoint: Endpoint, why: str) -> None:
    with work.writing() as tx:
        now = store.find_endpoint(tx, work.sealing, endpoint.id)
        if now is not None and now.message != why:
            store.put_endpoint(tx, work.sealing, replace(now, message=why))


def _gone(tx: Tx, work: Work, endpoint: Endpoint) -> None:
    """A service that leaves goes with the last of its endpoints."""
    store.remove_endpoint(tx, endpoint)
    service = store.find_service(tx, endpoint.place, endpoint.cluster, endpoint.service)
    if service is not None and service.is_leaving and not store.endpoints_of(tx, work.sealing, service):
        store.remove_service(tx, service)


# -- the secret -------------------------------------------------------------------------------------------------------


def _make_secret(work: Work, endpoint: Endpoint) -> str:
    """The ARN of the secret, which Secrets Manager will have renewed. One that a killed job left behind is taken up."""
    arn = _left_behind(work, endpoint)
    if arn is None:
        tags = {domain.MANAGED_TAG: "true", domain.CREATED_TAG: endpoint.service_arn}
        arn = _ask(
            work,
            endpoint,
            "CreateSecret",
            Name=endpoint.secret_name,
            ClientRequestToken=uuid(),
            Description=f"TLS certificate of the ECS Service Connect service {endpoint.port} of {endpoint.service_arn}",
            SecretString=_issued(work, endpoint),
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
            **({"KmsKeyId": endpoint.kms_key} if endpoint.kms_key else {}),
        )["ARN"]
    rules = {"AutomaticallyAfterDays": domain.ROTATION_DAYS}
    _ask(
        work,
        endpoint,
        "RotateSecret",
        SecretId=arn,
        ClientRequestToken=uuid(),
        RotateImmediately=False,
        RotationRules=rules,
    )
    return str(arn)


def _left_behind(work: Work, endpoint: Endpoint) -> str | None:
    try:
        return str(_ask(work, endpoint, "DescribeSecret", SecretId=endpoint.secret_name)["ARN"])
    except ServiceError as refusal:
        if refusal.code == "ResourceNotFoundException":
            return None
        raise


def _remove_secret(work: Work, endpoint: Endpoint) -> str:
    """The secret is gone: a certificate that nobody is to show any more is worth nothing."""
    arn = endpoint.secret_arn or _left_behind(work, endpoint)
    if arn is not None:
        _ask(work, endpoint, "DeleteSecret", SecretId=arn, ForceDeleteWithoutRecovery=True)
    return ""


def _issued(work: Work, endpoint: Endpoint) -> str:
    """A new certificate with its key and who signed it, as a secret's value. Unverified: the members.

    Raises ServiceError unless the role may have the authority issue it.
    """
    arn = endpoint.authority
    target = Target(arn, arn, endpoint.account, tags={domain.MANAGED_TAG: "true"})
    demand = Demand("acm-pca:IssueCertificate", target, {"acm-pca:TemplateArn": (domain.TEMPLATE,)})
    work.check([demand], source_arn=endpoint.service_arn, role_arn=endpoint.role)
    authority = _authority(work, arn)
    signer = Issued(store.unseal(work.sealing, arn, authority.private_key), authority.certificate)
    made = certificates.issue(signer, endpoint.names, work.clock.now_ms(), domain.VALID_DAYS)
    return json.dumps(
        {
            "certificate": made.certificate,
            "certificateChain": authority.certificate,
            "privateKey": made.private.reveal().decode(),
        }
    )


def _authority(work: Work, arn: str) -> Authority:
    """Who signs under that ARN: made when it is asked for the first time."""
    with work.writing() as tx:
        found = store.find_authority(tx, work.sealing, arn)
        if found is None:
            now_ms = work.clock.now_ms()
            made = certificates.new_authority(arn.rpartition("/")[2], now_ms)
            sealed = store.seal(work.sealing, arn, made.private)
            found = Authority(arn, made.certificate, sealed, now_ms)
            store.add_authority(tx, work.sealing, found)
    return found


def _ask(work: Work, endpoint: Endpoint, operation: str, **params: Any) -> Params:
    return work.call("secretsmanager", operation, source_arn=endpoint.service_arn, role_arn=endpoint.role, **params)


# -- what Secrets Manager asks ----------------------------------------------------------------------------------------


@job(ROTATE_STEP)
def rotate_step(work: Work, payload: Params) -> None:
    """The step is done or has failed, and Secrets Manager is told. See docs/decisions on managed rotation."""
    with work.storage.reading() as tx:
        endpoint = store.find_by_secret(tx, work.sealing, payload["secret"])
    error = "" if endpoint is not None else "No service has this secret."
    if endpoint is not None:
        try:
            _step(work, endpoint, payload["token"], payload["step"])
        except (StepFailed, BadCertificate) as fault:
            error = str(fault)
        except ServiceError as refusal:
            error = f"{refusal.code}: {refusal.message}"
    answer = {**{name: payload[name] for name in ("secret", "token", "step")}, "error": error}
    with work.finishing() as tx:
        promise(tx, STEP_DONE, work.place, answer, run_at_ms=work.clock.now_ms())


def _step(work: Work, endpoint: Endpoint, token: str, step: str) -> None:
    """Nobody but the secret is told of the new certificate, so there is nothing to set."""
    if step == "createSecret":
        if _pending(work, endpoint, token) is None:
            value = _issued(work, endpoint)
            chosen = {"ClientRequestToken": token, "VersionStages": ["AWSPENDING"]}
            _ask(work, endpoint, "PutSecretValue", SecretId=endpoint.secret_arn, SecretString=value, **chosen)
    elif step == "testSecret":
        _test(work, endpoint, token)
    elif step == "finishSecret":
        finish(partial(_ask, work, endpoint, SecretId=endpoint.secret_arn), token)
    elif step not in STEPS:
        raise StepFailed(f"There is no step {step}.")


def _pending(work: Work, endpoint: Endpoint, token: str) -> dict[str, str] | None:
    try:
        answer = _ask(
            work, endpoint, "GetSecretValue", SecretId=endpoint.secret_arn, VersionId=token, VersionStage="AWSPENDING"
        )
    except ServiceError as refusal:
        if refusal.code == "ResourceNotFoundException":
            return None
        raise
    value: dict[str, str] = json.loads(answer["SecretString"])
    return value


def _test(work: Work, endpoint: Endpoint, token: str) -> None:
    """The pending certificate is one that its authority issued for these names, with that key, and is valid."""
    value = _pending(work, endpoint, token)
    if value is None:
        raise StepFailed("The new version has no value.")
    issued = Issued(Plaintext(value["privateKey"].encode()), value["certificate"])
    certificates.check(issued, _authority(work, endpoint.authority).certificate, endpoint.names, work.clock.now_ms())
