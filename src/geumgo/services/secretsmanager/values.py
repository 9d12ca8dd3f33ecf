"""Reading and writing values: GetSecretValue, BatchGetSecretValue, PutSecretValue."""

from functools import partial

from geumgo.context import Again, Context, Params, as_datetime
from geumgo.errors import ServiceError
from geumgo.room import operation, reads
from geumgo.sealing import Plaintext
from geumgo.services.secretsmanager import domain, envelope, listing, lookup, store, versions
from geumgo.services.secretsmanager.errors import InvalidParameter, InvalidRequest, no_such_label, no_such_version
from geumgo.services.secretsmanager.records import CURRENT, Secret, Version

_BATCH_PAGE = 20


@reads
def get_secret_value(ctx: Context, params: Params) -> Params:
    secret = lookup.get_usable(ctx, params["SecretId"])
    version = _asked_version(ctx, secret, params.get("VersionId"), params.get("VersionStage"))
    value = envelope.unseal(ctx, secret, version)
    _mark_read(ctx, secret, version)
    answer: Params = {
        "ARN": secret.arn,
        "Name": secret.name,
        "VersionId": version.id,
        "CreatedDate": as_datetime(version.created_at_ms),
    }
    labels = secret.labels_of(version.id)
    if labels:
        answer["VersionStages"] = labels
    member, shown = ("SecretString", _text) if version.kind == "string" else ("SecretBinary", Plaintext.reveal)
    again = envelope.opens_again(ctx, secret, version)
    if again is not None:
        opens, until_ms = again
        ctx.again = Again(answer, member, lambda: shown(opens()), min(until_ms, _marked_until_ms(version)))
    return {**answer, member: shown(value)}


def _text(value: Plaintext) -> str:
    return value.reveal().decode()


def _asked_version(ctx: Context, secret: Secret, version_id: str | None, label: str | None) -> Version:
    """The version that a request means: by id, by label, or the current one. A version that waits for its value is not there.

    Raises ResourceNotFound, and InvalidRequest if id and label disagree. Source: recorded on AWS.
    """
    wanted = version_id if version_id is not None else secret.stages.get(label or CURRENT)
    version = None if wanted is None else lookup.get_version(ctx, secret, wanted)
    if version is None or version.kind == "none":
        raise no_such_version(version_id) if version_id is not None else no_such_label(label or CURRENT)
    if label is not None and secret.stages.get(label) != version.id:
        raise InvalidRequest("You provided a VersionStage that is not associated to the provided VersionId.")
    return version


def _marked_until_ms(version: Version) -> int:
    """When the next read is one of another day (Unix milliseconds)."""
    return (version.read_day_ms or 0) + domain.DAY_MS


def _mark_read(ctx: Context, secret: Secret, version: Version) -> None:
    """The day of use is kept behind the answer, once per version and day. Source: LastAccessedDate, API reference (date only)."""
    today_ms = domain.midnight_ms(ctx.clock.now_ms())
    if version.read_day_ms is None or version.read_day_ms < today_ms:
        mark = partial(store.mark_read, secret_id=secret.id, version_id=version.id, day_ms=today_ms)
        ctx.behind(mark, under=secret.id)


@reads
def batch_get_secret_value(ctx: Context, params: Params) -> Params:
    """Each secret is asked for by itself, through the gate and into the trail; what is refused is told beside the values.

    Source: BatchGetSecretValue, API reference. Unverified: the messages, as moto has them.
    """
    if ("SecretIdList" in params) == ("Filters" in params):
        raise InvalidParameter("Either 'SecretIdList' or 'Filters' must be provided, but not both.")
    if "SecretIdList" in params and ("MaxResults" in params or "NextToken" in params):
        raise InvalidParameter(
            "'Filters' not specified. 'Filters' must also be specified when 'MaxResults' is provided."
        )
    answer: Params = {"SecretValues": [], "Errors": []}
    if "SecretIdList" in params:
        wanted = params["SecretIdList"]
    else:
        page = listing.find_page(ctx, "BatchGetSecretValue", params, limit=params.get("MaxResults", _BATCH_PAGE))
        wanted = [listed.secret.arn for listed in page.found]
        if page.token is not None:
            answer["NextToken"] = page.token
    for secret_id in wanted:
        try:
            answer["SecretValues"].append(ctx.call("secretsmanager", "GetSecretValue", SecretId=secret_id))
        except ServiceError as refusal:
            answer["Errors"].append({"SecretId": secret_id, "ErrorCode": refusal.code, "Message": refusal.message})
    return answer


@operation
def put_secret_value(ctx: Context, params: Params) -> Params:
    """Source: PutSecretValue, API reference. Unverified: the message without a value."""
    value = envelope.value_of(params)
    token = versions.token_of(params)
    if value is None:
        raise InvalidRequest("You must provide either SecretString or SecretBinary.")
    secret = lookup.get_changeable(ctx, params["SecretId"])
    if not versions.is_there_already(ctx, secret, token, value):
        secret = versions.add_value(ctx, secret, token, value, params.get("VersionStages"))
        lookup.keep(ctx, secret)
    answer: Params = {"ARN": secret.arn, "Name": secret.name, "VersionId": token}
    labels = secret.labels_of(token)
    if labels:
        answer["VersionStages"] = labels
    return answer
