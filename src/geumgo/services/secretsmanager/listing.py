"""ListSecrets, and the search that BatchGetSecretValue shares with it."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from geumgo.context import Context, Params, as_datetime
from geumgo.room import reads
from geumgo.services.secretsmanager import store_listing
from geumgo.services.secretsmanager.domain_filters import matches, name_prefix, refuse_filters, sieve
from geumgo.services.secretsmanager.domain_rotation import Rotation, told_rules
from geumgo.services.secretsmanager.paging import make_token, read_token
from geumgo.services.secretsmanager.records import Secret
from geumgo.services.secretsmanager.store_external import External
from geumgo.services.secretsmanager.store_listing import Listed, Order, Range

MOST_LOOKED_AT: Final = 2_000
"""Secrets that one page vouches for. A search that matches few of many gives short pages, as AWS says it may."""
MOST_PASSED: Final = 20_000
"""Secrets of which one page decides whether a filter can mean them: so it keeps others waiting for tens of milliseconds at most."""

_PAGE: Final = 100
_CHUNK: Final = 200


class Page(NamedTuple):
    """Secrets that match, and the token that leads to the next page (None: this was the last)."""

    found: Sequence[Listed]
    token: str | None


def find_page(ctx: Context, operation: str, params: Params, *, limit: int) -> Page:
    """The next `limit` secrets of the caller's account, or fewer, that the filters of the request mean.

    Raises InvalidParameter, InvalidNextToken. Unverified: that secrets come in the order of their creation by default, but in that of
    their names where a beginning of the name is asked for: so a page costs the same however many secrets share it.
    """
    filters = params.get("Filters", [])
    refuse_filters(filters)
    prefix = name_prefix(filters)
    order = Order(params.get("SortBy", "name" if prefix else "created-date"), params.get("SortOrder", "asc") == "desc")
    deleted_too = params.get("IncludePlannedDeletion", False)
    asked = {"filters": filters, "order": order, "deleted": deleted_too}
    after = read_token(ctx, operation, asked, params.get("NextToken"))
    among = Range(ctx.place.account, ctx.place.region, order, after, prefix=prefix)
    # without a filter each row that is read is shown, and where a beginning of the name is all that is asked for
    searched = len(filters) > bool(prefix)
    if searched:
        among = among._replace(until=store_listing.place_of(ctx.tx, among, MOST_PASSED - 1))
    chunk = _CHUNK if searched else limit
    holding = sieve(filters) if searched else ()
    found: list[Listed] = []
    for _ in range(MOST_LOOKED_AT // _CHUNK):
        rows = store_listing.list_secrets(
            ctx.tx, ctx.sealing, among, deleted_too=deleted_too, sieve=holding, limit=chunk + 1
        )
        for listed in rows[:chunk]:
            if len(found) == limit:
                return Page(found, make_token(ctx, operation, asked, found[-1].position))
            if matches(listed.secret, filters):
                found.append(listed)
            among = among._replace(after=listed.position)
        if len(rows) <= chunk:
            return Page(found, None if among.until is None else make_token(ctx, operation, asked, among.until))
        if len(found) == limit:
            break
    assert among.after is not None, "rows were looked at"
    return Page(found, make_token(ctx, operation, asked, found[-1].position if len(found) == limit else among.after))


@reads
def list_secrets(ctx: Context, params: Params) -> Params:
    """Source: ListSecrets, API reference."""
    page = find_page(ctx, "ListSecrets", params, limit=params.get("MaxResults", _PAGE))
    answer: Params = {"SecretList": [_entry(listed) for listed in page.found]}
    if page.token is not None:
        answer["NextToken"] = page.token
    return answer


def _entry(listed: Listed) -> Params:
    entry = described(listed.secret, listed.read_day_ms, listed.rotation, listed.external)
    stages = listed.secret.labels_by_version()
    if stages:
        entry["SecretVersionsToStages"] = stages
    return entry


def described(secret: Secret, read_day_ms: int | None, rotation: Rotation | None, external: External | None) -> Params:
    """What DescribeSecret and ListSecrets both say of a secret: members that have a value.

    KmsKeyId is absent for the default key, Tags for a secret that was never tagged. Source: recorded on AWS. Unverified: DeletedDate
    is when the deletion was asked for.
    """
    answer: Params = {
        "ARN": secret.arn,
        "Name": secret.name,
        "CreatedDate": as_datetime(secret.created_at_ms),
        "LastChangedDate": as_datetime(secret.changed_at_ms),
    }
    for member, text in (
        ("Description", secret.description or None),
        ("KmsKeyId", secret.kms_key_id),
        ("OwningService", secret.owning_service),
        ("Type", secret.secret_type),
    ):
        if text is not None:
            answer[member] = text
    for member, at_ms in (("LastAccessedDate", read_day_ms), ("DeletedDate", secret.deleted_at_ms)):
        if at_ms is not None:
            answer[member] = as_datetime(at_ms)
    if rotation is not None:
        answer |= _rotated(rotation)
    if external is not None:
        answer["ExternalSecretRotationRoleArn"] = external.role_arn
    if external is not None and external.metadata:
        answer["ExternalSecretRotationMetadata"] = [{"Key": key, "Value": value} for key, value in external.metadata]
    if secret.tags is not None:
        answer["Tags"] = [{"Key": key, "Value": value} for key, value in secret.tags.items()]
    return answer


def _rotated(rotation: Rotation) -> Params:
    """RotationEnabled is false after CancelRotateSecret; the rules and the function stay. Source: DescribeSecret, API reference."""
    told: Params = {"RotationEnabled": rotation.enabled}
    if rotation.lambda_arn is not None:
        told["RotationLambdaARN"] = rotation.lambda_arn
    if rotation.rules:
        told["RotationRules"] = told_rules(rotation)
    for member, at_ms in (("LastRotatedDate", rotation.rotated_at_ms), ("NextRotationDate", rotation.due_by_ms)):
        if at_ms is not None:
            told[member] = as_datetime(at_ms)
    return told
