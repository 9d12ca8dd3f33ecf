"""Which secrets a filter of ListSecrets and BatchGetSecretValue means.

Source: ListSecrets, API reference; the word search is in `domain_words`.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from geumgo.services.secretsmanager.domain_words import matches_words, tokens_of
from geumgo.services.secretsmanager.errors import InvalidParameter
from geumgo.services.secretsmanager.records import Secret

Filter = Mapping[str, Any]

MOST_WORDS: Final = 2
"""Words of one value that a database looks for: the longest ones."""
_TEXTS: Final = ("name", "description", "tags")


class Part(NamedTuple):
    """What a row holds in one of these columns: a pattern of LIKE, with a backslash before what is literal. `lower`: in lower case."""

    columns: tuple[str, ...]
    pattern: str
    lower: bool = False


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


Sieve = Sequence[Sequence[Sequence[Part]]]
"""For each filter alternatives, of each of which every part is there. No alternative at all: nothing is meant."""


def sieve(filters: Sequence[Filter]) -> Sieve:
    """What the row of every secret that `filters` mean holds: rows without it need not be looked at. Others may hold it, too.

    Tags are a JSON object, as `store` writes it. LIKE may know upper from lower case, or not, where a part does not ask for lower case.
    """
    found = []
    for one in filters:
        alternatives = [_parts(one["Key"], value) for value in one["Values"]]
        told = [parts for parts in alternatives if parts is not None]
        if all(told):  # else one of them says nothing of the row
            found.append(told)
    return found


def _parts(key: str, value: str) -> Sequence[Part] | None:
    """What a row that fits this value holds; empty: nothing is known of it. None: no row fits."""
    if value.startswith("!"):
        return ()
    match key:
        case "description":
            return _of_words(("description",), value)
        case "all":
            return _of_words(_TEXTS, value)
        case "name":
            return (Part(("name",), f"{_literally(value)}%"),)
        case "tag-key":
            return (Part(("tags",), f'%"{_in_tags(value)}%'),)
        case "tag-value":
            return (Part(("tags",), f'%:"{_in_tags(value)}%'),)
        case "owning-service":
            return (Part(("owning_service",), "%"),)  # few have one
        case "primary-region":
            return None
    raise AssertionError(f"the model has no filter {key}")


def _of_words(columns: tuple[str, ...], value: str) -> Sequence[Part] | None:
    words = sorted((word.lower() for word in tokens_of(value)), key=len, reverse=True)
    if not words:
        return None
    return [Part(columns, f"%{_in_any_case(word)}%", lower=True) for word in words if word.isascii()][:MOST_WORDS]


def _in_any_case(word: str) -> str:
    """A lower-case word of ASCII, where databases may differ in what the lower case of a text is.

    Two letters beyond ASCII have a lower case within (the dotted I, the sign of kelvin), and Turkish has another one of I: any letter
    stands for these.
    """
    return re.sub("[ik]", "_", word)


def _in_tags(value: str) -> str:
    return _literally(json.dumps(value, ensure_ascii=False)[1:-1])


def _literally(text: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", text)


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
