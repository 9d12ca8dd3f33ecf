"""Tags as most of AWS has them: up to 50 pairs of texts, keys that begin with `aws:` reserved.

Source: tag restrictions, General Reference.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Final

MOST_TAGS: Final = 50


class BadTags(ValueError):
    """A tag that nobody may set. The message is a sentence for the caller."""


class TooManyTags(BadTags):
    """There would be more than `MOST_TAGS`."""


def merged_tags(tags: Mapping[str, str], added: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The tags after `added` (members Key, Value) join them, by key.

    Raises BadTags, TooManyTags.
    """
    after = dict(tags)
    seen: set[str] = set()
    for tag in added:
        key, value = tag.get("Key"), tag.get("Value", "")
        if key is None:
            raise BadTags("Each tag must have a key.")
        if key in seen:
            raise BadTags(f"The tag key {key} occurs more than once.")
        if key.lower().startswith("aws:"):
            raise BadTags("Tag keys that begin with aws: are reserved for AWS.")
        if not (_may_be_tag(key) and _may_be_tag(value)):
            raise BadTags("Tags may contain letters, digits, spaces and the characters + - = . _ : / @ only.")
        seen.add(key)
        after[key] = value
    if len(after) > MOST_TAGS:
        raise TooManyTags(f"There can't be more than {MOST_TAGS} tags.")
    return after


def _may_be_tag(text: str) -> bool:
    """Letters, separators and digits of any script, and some punctuation."""
    return all(unicodedata.category(character)[0] in "LZN" or character in "+-=._:/@" for character in text)
