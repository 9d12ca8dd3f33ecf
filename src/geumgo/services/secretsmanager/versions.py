"""Versions and their labels: how a value joins a secret, UpdateSecretVersionStage, ListSecretVersionIds, and what is pruned."""

import hmac
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from geumgo.context import Context, Params, Place, Work, as_datetime
from geumgo.jobs import promise
from geumgo.room import job, operation, reads
from geumgo.sealing import Plaintext
from geumgo.services.secretsmanager import domain, envelope, lookup, store
from geumgo.services.secretsmanager.errors import InvalidRequest, ResourceExists, no_such_version
from geumgo.services.secretsmanager.paging import make_token, read_token
from geumgo.services.secretsmanager.records import CURRENT, Kind, Secret, Version, Wrapping
from geumgo.services.secretsmanager.rotation_plan import Plan
from geumgo.storage import Tx

PRUNE: Final = "secretsmanager.prune_versions"
_PAGE: Final = 100


# -- a new value ------------------------------------------------------------------------------------------------------


def token_of(params: Params) -> str:
    """The id of the new version. Raises InvalidRequest. Source: recorded on AWS."""
    token: str | None = params.get("ClientRequestToken")
    if token is None:
        raise InvalidRequest("You must provide a ClientRequestToken value. We recommend a UUID-type value.")
    return token


def is_there_already(ctx: Context, secret: Secret, token: str, value: tuple[Kind, Plaintext]) -> bool:
    """Whether the secret has this value under this token, so that a retried request has nothing left to do.

    Raises ResourceExists if the token stands for another value. Source: recorded on AWS; PutSecretValue, API reference.
    """
    kept = lookup.get_version(ctx, secret, token)
    if kept is None or kept.kind == "none":
        return False
    kind, plaintext = value
    same = hmac.compare_digest(envelope.unseal(ctx, secret, kept).reveal(), plaintext.reveal())
    if not same or kept.kind != kind:
        raise ResourceExists(
            f"You can't use ClientRequestToken {token} because that value is already in use for a version of secret "
            f"{secret.arn}."
        )
    return True


def add_value(
    ctx: Context, secret: Secret, token: str, value: tuple[Kind, Plaintext], labels: Sequence[str] | None
) -> Secret:
    """The secret with a new version that wears `labels` (None: AWSCURRENT). The version is kept, the secret is not yet."""
    kind, plaintext = value
    waiting = lookup.get_version(ctx, secret, token)
    count = store.count_versions(ctx.tx, secret)
    if waiting is None:
        domain.refuse_another_version(count)
    stages = domain.attach(secret.stages, labels if labels is not None else [CURRENT], token)
    ciphertext, wrapping = envelope.seal(ctx, secret, token, kind, plaintext)
    created_at_ms = waiting.created_at_ms if waiting is not None else ctx.clock.now_ms()
    version = Version(token, kind, ciphertext, created_at_ms, wrapping)
    store.keep_version(ctx.tx, ctx.sealing, secret, version)
    after = replace(secret, stages=stages)
    if secret.stages and stages.get(CURRENT) == token != secret.stages.get(CURRENT):
        plan = Plan(ctx.tx, ctx.sealing, ctx.clock.now_ms(), ctx.event)
        after = replace(after, stages=plan.value_replaced(after, token))
    if count >= domain.KEPT_VERSIONS:
        promise_pruning(ctx.tx, ctx.clock.now_ms(), after)
    return after


# -- pruning ----------------------------------------------------------------------------------------------------------


def promise_pruning(tx: Tx, now_ms: int, secret: Secret) -> None:
    """Old versions without a label go as soon as they may, if there are any."""
    due_at_ms = domain.next_pruning_ms(store.version_ages(tx, secret), secret.stages)
    if due_at_ms is not None:
        place = Place(secret.account, secret.region, secret.partition)
        dedup = f"{PRUNE}:{secret.arn}"
        promise(tx, PRUNE, place, {"id": secret.id}, run_at_ms=max(now_ms, due_at_ms), lock=secret.arn, dedup=dedup)


@job(PRUNE)
def prune_versions(work: Work, payload: Params) -> None:
    """Versions beyond the newest 100, without a label and a day old, are gone with their data keys. Each leaves an event."""
    now_ms = work.clock.now_ms()
    with work.finishing() as tx:
        secret = store.find_by_id(tx, work.sealing, payload["id"])
        if secret is None:
            return
        gone = domain.prunable(store.version_ages(tx, secret), secret.stages, now_ms)
        for version_id in gone:
            work.event("SecretVersionDeletion", SecretId=secret.arn, SecretVersionId=version_id)
        store.remove_versions(tx, secret, gone)
        promise_pruning(tx, now_ms, secret)


# -- labels -----------------------------------------------------------------------------------------------------------


@operation
def update_secret_version_stage(ctx: Context, params: Params) -> Params:
    secret = lookup.get_changeable(ctx, params["SecretId"])
    move_to, remove_from = params.get("MoveToVersionId"), params.get("RemoveFromVersionId")
    for version_id in (move_to, remove_from):
        if version_id is not None and lookup.get_version(ctx, secret, version_id) is None:
            raise no_such_version(version_id)
    stages = domain.move_label(secret.stages, params["VersionStage"], to=move_to, removed_from=remove_from)
    after = replace(secret, stages=stages)
    lookup.keep(ctx, after)
    if store.count_versions(ctx.tx, secret) > domain.KEPT_VERSIONS:
        promise_pruning(ctx.tx, ctx.clock.now_ms(), after)
    return {"ARN": secret.arn, "Name": secret.name}


# -- ListSecretVersionIds ---------------------------------------------------------------------------------------------


@reads
def list_secret_version_ids(ctx: Context, params: Params) -> Params:
    """Source: ListSecretVersionIds, recorded on AWS. Unverified: the order (here by creation)."""
    secret = lookup.get(ctx, params["SecretId"])
    every = params.get("IncludeDeprecated", False)
    asked = {"secret": secret.arn, "every": every}
    after = read_token(ctx, "ListSecretVersionIds", asked, params.get("NextToken"))
    limit = params.get("MaxResults", _PAGE)
    found = _listed(ctx, secret, every, after, limit + 1)
    keys = store.wrapping_keys(ctx.tx, secret)
    answer: Params = {
        "ARN": secret.arn,
        "Name": secret.name,
        "Versions": [_entry(secret, version, keys.get(version.id, [])) for version in found[:limit]],
    }
    if len(found) > limit:
        last = found[limit - 1]
        answer["NextToken"] = make_token(ctx, "ListSecretVersionIds", asked, (last.created_at_ms, last.id))
    return answer


def _listed(
    ctx: Context, secret: Secret, every: bool, after: tuple[str | int, str] | None, limit: int
) -> list[Version]:
    position = (-1, "") if after is None else (int(after[0]), after[1])
    if every:
        return store.list_versions(ctx.tx, ctx.sealing, secret, after=position, limit=limit)
    labelled = [lookup.get_version(ctx, secret, version_id) for version_id in secret.labels_by_version()]
    ordered = sorted((v for v in labelled if v is not None), key=lambda v: (v.created_at_ms, v.id))
    return [version for version in ordered if (version.created_at_ms, version.id) > position][:limit]


def _entry(secret: Secret, version: Version, wrappings: Sequence[Wrapping]) -> Params:
    entry: Params = {"VersionId": version.id, "CreatedDate": as_datetime(version.created_at_ms)}
    labels = secret.labels_of(version.id)
    if labels:
        entry["VersionStages"] = labels
    if version.read_day_ms is not None:
        entry["LastAccessedDate"] = as_datetime(version.read_day_ms)
    if wrappings:
        entry["KmsKeyIds"] = ["DefaultEncryptionKey" if w.is_default else w.key_arn for w in wrappings]
    return entry
