"""The word search behind the filters `all` and `description`: how a text falls into words, and when words find it."""

from collections.abc import Iterator


def tokens_of(text: str) -> list[str]:
    """The words of a text in their order, as they are written.

    A word ends at anything that is neither letter nor digit, where a letter meets a digit, where a lower case letter meets an upper
    case one, and before an upper case letter that a lower case one follows: COMPANYthings is COMPAN and Ythings. A digit that meets a
    letter ends nothing: 3rd is one word.

    Source: "Find secrets", user guide (credsDatabase#892 is creds, Database, 892); recorded on AWS (COMPAN and Ythings, and every single
    character of `/ - _ + = . @`). Unverified: a text that mixes several of those characters falls apart at each of them.
    """
    return list(_words(text))


def matches_words(value: str, attribute: str) -> bool:
    """Whether every word of `value` begins some word of `attribute`, in any order and case. A value without words finds nothing.

    Source: recorded on AWS ("o t" finds "one and two", "ret" does not find "Secret", "+" finds nothing).
    """
    wanted = [word.lower() for word in tokens_of(value)]
    there = [word.lower() for word in tokens_of(attribute)]
    return bool(wanted) and all(any(word.startswith(start) for word in there) for start in wanted)


def _words(text: str) -> Iterator[str]:
    start = 0
    for at, letter in enumerate(text):
        if not letter.isalnum():
            if start < at:
                yield text[start:at]
            start = at + 1
        elif start < at and _begins_word(text[at - 1], letter, text[at + 1 : at + 2]):
            yield text[start:at]
            start = at
    if start < len(text):
        yield text[start:]


def _begins_word(before: str, letter: str, after: str) -> bool:
    """Whether `letter` begins a word although `before` is a letter or digit too. `after` is empty at the end."""
    if letter.isdigit():
        return before.isalpha()
    return letter.isupper() and (before.islower() or after.islower())
