"""The rules of secrets as pure functions: names and ARNs, labels, windows, tags, keys."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from geumgo.domain import tags as tags_domain
from geumgo.domain.arn import split_arn
from geumgo.domain.storable import member_with_nul
from geumgo.services.secretsmanager.errors import (
    InvalidParameter,
    InvalidRequest,
    LimitExceeded,
    ValidationFailed,
)
from geumgo.services.secretsmanager.records import CURRENT, PENDING, PREVIOUS, Address, Secret

DAY_MS: Final = 24 * 60 * 60 * 1000
MOST_LABELS: Final = 20  # on all versions of a secret together
KEPT_VERSIONS: Final = 100
YOUNG_MS: Final = DAY_MS  # a version is never pruned before this age
LARGEST_VALUE_BYTES: Final = 65_536
DEFAULT_KEY_ALIAS: Final = "alias/aws/secretsmanager"

MOST_VERSIONS: Final = 1_000
"""Versions that a secret may have, young ones included.

Unverified: AWS says that too many versions within 24 hours reach the quota, and not how many; its own advice (one in ten minutes)
makes 144 a day, so the quota is above that.
"""

# -- names ------------------------------------------------------------------------------------------------------------

_NAME = re.compile(r"[A-Za-z0-9/_+=.@!-]{1,512}")
_ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)
_SUFFIX_LENGTH: Final = 7  # a hyphen and six characters


def refuse_name(name: str) -> None:
    """Raises ValidationFailed unless a secret may be called `name`. Source: recorded on AWS."""
    if not _NAME.fullmatch(name):
        raise invalid_name()


def invalid_name() -> ValidationFailed:
    return ValidationFailed(
        "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!"
    )


def parse_secret_id(secret_id: str, *, account: str, region: str) -> Address:
    """Where `secret_id`, a name, an ARN or an ARN without its last seven characters, leads. A name is the caller's own account's.

    An ARN that ends in a hyphen and six characters is taken for a whole one, whatever the secret is called.

    Raises ValidationFailed for anything else. Source: recorded on AWS (names, partial ARNs); "Finding a secret from a partial ARN", user
    guide. Unverified: a broken ARN is answered like a broken name.
    """
    if ":" not in secret_id:
        refuse_name(secret_id)
        return Address(account, region, secret_id)
    arn = split_arn(secret_id)
    if arn is None or arn.service != "secretsmanager" or not _ACCOUNT.fullmatch(arn.account) or not arn.region:
        raise invalid_name()
    kind, _, named = arn.resource.partition(":")
    if kind != "secret":
        raise invalid_name()
    whole = len(named) > _SUFFIX_LENGTH and named[-_SUFFIX_LENGTH] == "-"
    name, suffix = (named[:-_SUFFIX_LENGTH], named[1 - _SUFFIX_LENGTH :]) if whole else (named, None)
    refuse_name(name)
    if suffix is not None:
        refuse_name(suffix)
    return Address(arn.account, arn.region, name, suffix)


def refuse_unstorable(params: Mapping[str, Any], *, but: Iterable[str]) -> None:
    """Raises InvalidParameter if a text of the request holds NUL, which no text may. `but` are members that are kept as bytes.

    Unverified: what AWS says to this.
    """
    member = member_with_nul(params, frozenset(but))
    if member is not None:
        raise InvalidParameter(f"The parameter {member} must not contain the character NUL.")


def refuse_too_large(size_bytes: int) -> None:
    """Raises ValidationFailed for a text of more than 65,536 bytes in UTF-8. (The model counts its characters.)"""
    if size_bytes > LARGEST_VALUE_BYTES:
        raise ValidationFailed(
            "1 validation error detected: Value at 'secretString' failed to satisfy constraint: "
            f"Member must have length less than or equal to {LARGEST_VALUE_BYTES}"
        )


# -- states -----------------------------------------------------------------------------------------------------------


def refuse_deleted(secret: Secret) -> None:
    """Raises InvalidRequest if the secret waits for its deletion. Source: recorded on AWS."""
    if secret.deleted_at_ms is not None:
        raise InvalidRequest("You can't perform this operation on the secret because it was marked for deletion.")


def recovery_window_days(params: Mapping[str, Any]) -> int | None:
    """How many days a deleted secret can be restored; None: it is gone at once.

    Raises InvalidParameter. Source: DeleteSecret, API reference (7 to 30 days, default 30). Unverified: the messages, as moto has them.
    """
    window: int | None = params.get("RecoveryWindowInDays")
    if params.get("ForceDeleteWithoutRecovery", False):
        if window is not None:
            raise InvalidParameter("You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
        return None
    if window is not None and not 7 <= window <= 30:
        raise InvalidParameter("The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
    return 30 if window is None else window


def midnight_ms(at_ms: int) -> int:
    """The midnight (UTC) before `at_ms`."""
    return at_ms - at_ms % DAY_MS


# -- labels -----------------------------------------------------------------------------------------------------------

Stages = Mapping[str, str]


def attach(stages: Stages, labels: Iterable[str], version_id: str) -> dict[str, str]:
    """The labels after a new value in `version_id` takes `labels` from whoever wears them.

    The first value of a secret wears AWSCURRENT whatever was asked. The version that loses AWSCURRENT gets AWSPREVIOUS, and loses
    AWSPENDING if it wore that.

    Raises LimitExceeded for more than 20 labels on a secret. Source: PutSecretValue, API reference; recorded on AWS.
    """
    after = dict(stages)
    wanted = set(labels) | (set() if CURRENT in stages else {CURRENT})
    was_current = stages.get(CURRENT)
    for label in wanted:
        after[label] = version_id
    if CURRENT in wanted and was_current is not None and was_current != version_id:
        after[PREVIOUS] = was_current
        if after.get(PENDING) == was_current:
            del after[PENDING]
    _refuse_too_many(after)
    return after


def move_label(stages: Stages, label: str, *, to: str | None, removed_from: str | None) -> dict[str, str]:
    """The labels after UpdateSecretVersionStage: `label` moves to a version, or comes off when `to` is None.

    AWSPREVIOUS follows AWSCURRENT. A label that `to` wears already stays there.

    Raises InvalidParameter, LimitExceeded. Source: UpdateSecretVersionStage, API reference; messages as users of AWS report them.
    Unverified: the message when both versions are missing.
    """
    if to is None and removed_from is None:
        raise InvalidParameter("You must provide either MoveToVersionId or RemoveFromVersionId.")
    worn_by = stages.get(label)
    if removed_from is not None and removed_from != worn_by:
        raise InvalidParameter(f"Staging label {label} isn't currently attached to version {removed_from}.")
    after = {name: version_id for name, version_id in stages.items() if name != label}
    if to is None:
        if label == CURRENT:
            raise InvalidParameter(
                f"You can only move staging label {CURRENT} to a different secret version. It can’t be completely removed."
            )
        return after
    if worn_by is not None and removed_from is None and worn_by != to:
        raise InvalidParameter(
            f"The parameter RemoveFromVersionId can't be empty. Staging label {label} is currently attached to version "
            f"{worn_by}, so you must explicitly reference that version in RemoveFromVersionId."
        )
    after[label] = to
    if label == CURRENT and worn_by is not None and worn_by != to:
        after[PREVIOUS] = worn_by
    _refuse_too_many(after)
    return after


def _refuse_too_many(stages: Stages) -> None:
    """Source: quotas, user guide. Unverified: the message."""
    if len(stages) > MOST_LABELS:
        raise LimitExceeded(f"You can't attach more than {MOST_LABELS} staging labels to a secret.")


def refuse_another_version(kept: int) -> None:
    """Raises LimitExceeded if a secret with `kept` versions can take no more. Unverified: the message."""
    if kept >= MOST_VERSIONS:
        raise LimitExceeded(
            "The secret has too many versions that were created in the last 24 hours. Create versions less often."
        )


def prunable(versions: Sequence[tuple[str, int]], stages: Stages, now_ms: int) -> list[str]:
    """The versions that go: beyond the newest 100, without a label, at least 24 hours old. `versions` are (id, created at), oldest first.

    Source: PutSecretValue, API reference ("removes outdated versions when there are more than 100").
    """
    labelled = set(stages.values())
    surplus = versions[: max(0, len(versions) - KEPT_VERSIONS)]
    return [
        version_id
        for version_id, created_at_ms in surplus
        if version_id not in labelled and now_ms - created_at_ms >= YOUNG_MS
    ]


def next_pruning_ms(versions: Sequence[tuple[str, int]], stages: Stages) -> int | None:
    """When the next version can be pruned (Unix milliseconds), or None if none will be."""
    labelled = set(stages.values())
    surplus = versions[: max(0, len(versions) - KEPT_VERSIONS)]
    ages = [created_at_ms + YOUNG_MS for version_id, created_at_ms in surplus if version_id not in labelled]
    return min(ages, default=None)


# -- tags -------------------------------------------------------------------------------------------------------------


def merged_tags(tags: Mapping[str, str] | None, added: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The tags after `added` join them, by key.

    Raises InvalidParameter. Source: TagResource, API reference (50 tags, the characters, the prefix). Unverified: the messages.
    """
    try:
        return tags_domain.merged_tags(tags or {}, added)
    except tags_domain.TooManyTags:
        raise InvalidParameter(f"A secret can't have more than {tags_domain.MOST_TAGS} tags.") from None
    except tags_domain.BadTags as fault:
        raise InvalidParameter(str(fault)) from None


# -- keys -------------------------------------------------------------------------------------------------------------


def given_key(kms_key_id: str | None, *, partition: str, account: str, region: str) -> str | None:
    """The key as it is kept: None for the default key, by whatever name it was given."""
    whole = f"arn:{partition}:kms:{region}:{account}:{DEFAULT_KEY_ALIAS}"
    return None if kms_key_id in (None, "", DEFAULT_KEY_ALIAS, whole) else kms_key_id


def key_arn(kms_key_id: str | None, *, partition: str, account: str, region: str) -> str:
    """The key or alias as an ARN: what was given without one is of the secret's own account. None: the default key."""
    given = kms_key_id or DEFAULT_KEY_ALIAS
    if given.startswith("arn:"):
        return given
    resource = given if given.startswith("alias/") else f"key/{given}"
    return f"arn:{partition}:kms:{region}:{account}:{resource}"
