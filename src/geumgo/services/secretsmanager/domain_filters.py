"""Which secrets a filter of ListSecrets and BatchGetSecretValue means.

Source: ListSecrets, API reference; the word search is in `domain_words`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from geumgo.services.secretsmanager.domain_words import matches_words
from geumgo.services.secretsmanager.errors import InvalidParameter
from geumgo.services.secretsmanager.records import Secret

Filter = Mapping[str, Any]


def refuse_filters(filters: Sequence[Filter]) -> None:
    """Raises InvalidParameter for a filter without key or values. Unverified: the messages, as moto has them."""
    for one in filters:
        if "Key" not in one:
            raise InvalidParameter("Invalid filter key")
        if not one.get("Values"):
            raise InvalidParameter(f"Invalid filter values for key: {one['Key']}")


def matches(secret: Secret, filters: Sequence[Filter]) -> bool:
    """Whether every filter means `secret`: one of its values fits, or one of its negated values (`!...`) does not."""
    return all(any(_fits(secret, one["Key"], value) for value in one["Values"]) for one in filters)


def name_prefix(filters: Sequence[Filter]) -> str:
    """A prefix that the names of all matching secrets share: what the database can search for. Empty: there is none."""
    for one in filters:
        if one["Key"] == "name" and len(one["Values"]) == 1 and not one["Values"][0].startswith("!"):
            prefix: str = one["Values"][0]
            return prefix
    return ""


def _fits(secret: Secret, key: str, value: str) -> bool:
    if value.startswith("!"):
        return not _fits(secret, key, value[1:])
    match key:
        case "description":
            return matches_words(value, secret.description)
        case "all":
            return any(matches_words(value, text) for text in _texts(secret))
        case "name":
            return secret.name.startswith(value)
        case "tag-key":
            return any(tag.startswith(value) for tag in secret.tags or {})
        case "tag-value":
            return any(tag.startswith(value) for tag in (secret.tags or {}).values())
        case "owning-service":
            return secret.owning_service is not None and secret.owning_service.lower().startswith(value.lower())
        case "primary-region":
            return False  # only secrets that are replicated have one
    raise AssertionError(f"the model has no filter {key}")


def _texts(secret: Secret) -> Iterator[str]:
    yield secret.name
    yield secret.description
    for key, value in (secret.tags or {}).items():
        yield key
        yield value
