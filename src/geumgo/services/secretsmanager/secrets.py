"""The life of a secret: CreateSecret, UpdateSecret, DescribeSecret, DeleteSecret, RestoreSecret, tags, and its end."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from geumgo.context import Context, Params, Place, Work, as_datetime
from geumgo.jobs import promise, withdraw
from geumgo.room import job, operation, reads
from geumgo.sealing import Plaintext
from geumgo.services.secretsmanager import (
    domain,
    domain_external,
    envelope,
    label_events,
    listing,
    lookup,
    owners,
    store,
    store_external,
    store_rotation,
    versions,
)
from geumgo.services.secretsmanager.counting import promise_count
from geumgo.services.secretsmanager.errors import InvalidParameter, InvalidRequest, ResourceExists, no_such_secret
from geumgo.services.secretsmanager.owners import acts_for, disowned
from geumgo.services.secretsmanager.records import CURRENT, PENDING, PREVIOUS, Kind, Secret
from geumgo.services.secretsmanager.rotation import plan_of
from geumgo.services.secretsmanager.rotation_plan import ROTATE, STEP
from geumgo.storage import Tx

PURGE: Final = "secretsmanager.purge_secret"

# -- create -----------------------------------------------------------------------------------------------------------


@operation
def create_secret(ctx: Context, params: Params) -> Params:
    name, token = params["Name"], versions.token_of(params)
    value = envelope.value_of(params)
    _refuse_unserved(params)
    owner = owners.owner_of_new(ctx.caller, name)
    there = lookup.locate(ctx, name).secret
    if there is not None:
        return _created_before(ctx, there, token, value)
    secret = replace(
        lookup.made_up(ctx, name),
        created_token=token,
        description=params.get("Description", ""),
        kms_key_id=_given_key(ctx, params.get("KmsKeyId")),
        owning_service=owner,
        secret_type=_type_of(params),
        tags=_tags_of_new(params.get("Tags", []), owner),
    )
    if secret.kms_key_id is not None:
        envelope.probe(ctx, secret)
    if value is not None:
        secret = versions.add_value(ctx, secret, token, value, None)
    store.add(ctx.tx, ctx.sealing, secret)
    promise_count(ctx.tx, ctx.place, ctx.clock.now_ms())
    label_events.tell(ctx.publish, {}, secret)
    return _created(secret, token, value)


def _tags_of_new(given: list[dict[str, str]], owner: str | None) -> dict[str, str] | None:
    """None if there are none. A service that owns the secret may use the prefix aws:, and its name becomes a tag."""
    if owner is not None:
        reserved = {tag["Key"]: tag.get("Value", "") for tag in given if tag.get("Key", "").startswith("aws:")}
        plain = [tag for tag in given if tag.get("Key") not in reserved]
        return {**domain.merged_tags(reserved, plain), owners.OWNING_SERVICE_TAG: owner}
    return domain.merged_tags(None, given) if given else None


def _refuse_unserved(params: Params) -> None:
    """Raises InvalidParameter for what a secret cannot be here: replicated."""
    if "AddReplicaRegions" in params or "CrossAccountPrimaryARN" in params:
        raise InvalidParameter("Secrets are not replicated here. Create the secret without replicas.")


def _type_of(params: Params) -> str | None:
    """The partner's type of a managed external secret; None: it is none. Raises InvalidParameter."""
    secret_type = params.get("Type") or None
    if secret_type is not None:
        domain_external.refuse_type(secret_type)
    return secret_type


def _created(secret: Secret, token: str, value: tuple[Kind, Plaintext] | None) -> Params:
    answer: Params = {"ARN": secret.arn, "Name": secret.name}
    if value is not None:
        answer["VersionId"] = token
    return answer


def _created_before(ctx: Context, secret: Secret, token: str, value: tuple[Kind, Plaintext] | None) -> Params:
    """The answer to a request that was carried out already; anything else is refused. Source: recorded on AWS."""
    if secret.deleted_at_ms is not None:
        raise InvalidRequest(
            "You can't create this secret because a secret with this name is already scheduled for deletion."
        )
    retried = secret.created_token == token
    if value is None and retried and lookup.get_version(ctx, secret, token) is None:
        return _created(secret, token, None)
    if value is not None and versions.is_there_already(ctx, secret, token, value) and retried:
        return _created(secret, token, value)
    raise ResourceExists(f"The operation failed because the secret {secret.name} already exists.")


def _given_key(ctx: Context, given: str | None) -> str | None:
    place = ctx.place
    return domain.given_key(given, partition=place.partition, account=place.account, region=place.region)


# -- update -----------------------------------------------------------------------------------------------------------


@operation
def update_secret(ctx: Context, params: Params) -> Params:
    """Only what the request brings is changed. Source: UpdateSecret, API reference."""
    value = envelope.value_of(params)
    token = versions.token_of(params) if value is not None else ""
    secret_type = _type_of(params)
    before = secret = lookup.get_changeable(ctx, params["SecretId"])
    if secret_type is not None:
        if secret.secret_type is None:  # Source: Type, UpdateSecret, API reference. Unverified: the message.
            raise InvalidParameter("Type can only be changed of a managed external secret, and this is none.")
        secret = replace(secret, secret_type=secret_type)
    if "Description" in params:
        secret = replace(secret, description=params["Description"])
    if "KmsKeyId" in params:
        secret = _under_another_key(ctx, secret, params["KmsKeyId"])
    if value is not None and not versions.is_there_already(ctx, before, token, value):
        secret = versions.add_value(ctx, secret, token, value, None)
    if secret != before:
        lookup.keep(ctx, secret)
    answer: Params = {"ARN": secret.arn, "Name": secret.name}
    if value is not None:
        answer["VersionId"] = token
    return answer


def _under_another_key(ctx: Context, secret: Secret, given: str) -> Secret:
    """The secret with another KMS key, which the caller may use; the versions in use are wrapped under it too where he may do that.

    Raises InvalidParameter if a secret of another account is given a key without its ARN. Unverified: the message.
    """
    key = domain.given_key(given, partition=secret.partition, account=secret.account, region=secret.region)
    if key == secret.kms_key_id:
        return secret
    if ctx.caller.account != secret.account and key is not None and not key.startswith("arn:"):
        raise InvalidParameter("You must specify the KMS key of a secret in another account by its ARN.")
    after = replace(secret, kms_key_id=key)
    envelope.refuse_default_key(ctx, after, is_default=key is None)
    envelope.probe(ctx, after)
    for version_id in sorted(
        {secret.stages[label] for label in (CURRENT, PREVIOUS, PENDING) if label in secret.stages}
    ):
        envelope.rewrap(ctx, after, version_id)
    return after


# -- describe ---------------------------------------------------------------------------------------------------------


@reads
def describe_secret(ctx: Context, params: Params) -> Params:
    secret = lookup.get(ctx, params["SecretId"])
    known: lookup.Description = ctx.found["description", secret.id]
    answer = listing.described(secret, store.read_day(ctx.tx, secret), known.rotation, known.external)
    stages = secret.labels_by_version()
    if stages:
        answer["VersionIdsToStages"] = stages
    return answer


# -- delete and restore -----------------------------------------------------------------------------------------------


@operation
def delete_secret(ctx: Context, params: Params) -> Params:
    """Source: DeleteSecret, API reference; recorded on AWS (a secret that is not there can be deleted by force)."""
    window_days = domain.recovery_window_days(params)
    now_ms = ctx.clock.now_ms()
    located = lookup.locate(ctx, params["SecretId"])
    if located.secret is not None:
        owners.refuse_owned(ctx.caller, located.secret)
    if window_days is None:
        if located.secret is None:
            return _deleted(*_made_up_names(ctx, params["SecretId"]), now_ms)
        withdraw(ctx.tx, _purge_dedup(located.secret))
        _remove(ctx.tx, located.secret, ctx.event)
        return _deleted(located.secret.arn, located.secret.name, now_ms)
    if located.secret is None:
        raise no_such_secret()
    domain.refuse_deleted(located.secret)
    purge_at_ms = now_ms + window_days * domain.DAY_MS
    secret = replace(located.secret, deleted_at_ms=now_ms, purge_at_ms=purge_at_ms)
    lookup.keep(ctx, secret)
    plan_of(ctx).forget(secret)
    place = Place(secret.account, secret.region, secret.partition)
    dedup = _purge_dedup(secret)
    promise(ctx.tx, PURGE, place, {"id": secret.id}, run_at_ms=purge_at_ms, lock=secret.arn, dedup=dedup)
    return _deleted(secret.arn, secret.name, purge_at_ms)


def _purge_dedup(secret: Secret) -> str:
    return f"{PURGE}:{secret.arn}"


def _deleted(arn: str, name: str, at_ms: int) -> Params:
    return {"ARN": arn, "Name": name, "DeletionDate": as_datetime(at_ms)}


def _made_up_names(ctx: Context, secret_id: str) -> tuple[str, str]:
    """An ARN and a name for a secret that never was."""
    name = lookup.address(ctx, secret_id).name
    return (secret_id if secret_id.startswith("arn:") else lookup.made_up(ctx, name).arn), name


@operation
def restore_secret(ctx: Context, params: Params) -> Params:
    """The secret is usable again. One that a service owned and has given up is the customer's own from now on.

    Nobody but its owner can delete a secret that is owned, so that nobody else would look after it. AWS says nothing of such a secret.
    Unverified: a secret that is not deleted is restored without complaint.
    """
    secret = lookup.get(ctx, params["SecretId"])
    if secret.deleted_at_ms is not None:
        withdraw(ctx.tx, _purge_dedup(secret))
        if secret.owning_service is not None and not acts_for(ctx.caller, secret.owning_service):
            secret = disowned(secret)
        lookup.keep(ctx, replace(secret, deleted_at_ms=None, purge_at_ms=None))
        plan_of(ctx).resume(secret)
        for version_id, _ in store.version_ages(ctx.tx, secret):
            ctx.event("CancelSecretVersionDelete", SecretId=secret.arn, SecretVersionId=version_id)
    return {"ARN": secret.arn, "Name": secret.name}


@job(PURGE)
def purge_secret(work: Work, payload: Params) -> None:
    """A secret whose recovery window is over is gone for good. One that was restored meanwhile stays."""
    with work.finishing() as tx:
        secret = store.find_by_id(tx, work.sealing, payload["id"])
        if secret is not None and secret.purge_at_ms is not None and secret.purge_at_ms <= work.clock.now_ms():
            _remove(tx, secret, work.event)


def _remove(tx: Tx, secret: Secret, event: Callable[..., Any]) -> None:
    """The secret is gone with its data keys; every version leaves two events. Source: CloudTrail entries, user guide."""
    for version_id, _ in store.version_ages(tx, secret):
        for name in ("StartSecretVersionDelete", "EndSecretVersionDelete"):
            event(name, SecretId=secret.arn, SecretVersionId=version_id)
    for kind in (versions.PRUNE, ROTATE, STEP):
        withdraw(tx, f"{kind}:{secret.arn}")
    store_rotation.remove(tx, secret)
    store_external.remove(tx, secret)
    store.remove(tx, secret)


# -- tags -------------------------------------------------------------------------------------------------------------


@operation
def tag_resource(ctx: Context, params: Params) -> Params:
    secret = lookup.get_changeable(ctx, params["SecretId"])
    lookup.keep(ctx, replace(secret, tags=domain.merged_tags(secret.tags, params["Tags"])))
    return {}


@operation
def untag_resource(ctx: Context, params: Params) -> Params:
    """Keys that are not there are passed over. Source: UntagResource, API reference."""
    secret = lookup.get_changeable(ctx, params["SecretId"])
    if secret.tags is not None and any(key in secret.tags for key in params["TagKeys"]):
        kept = {key: value for key, value in secret.tags.items() if key not in params["TagKeys"]}
        lookup.keep(ctx, replace(secret, tags=kept))
    return {}
