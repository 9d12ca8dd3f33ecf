"""What a random password is made of. The drawing itself is elsewhere: this is pure."""

import string
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from geumgo.services.secretsmanager.errors import InvalidParameter

DEFAULT_LENGTH: Final = 32  # characters; 1 to 4096 are the service model's bounds

_TYPES: Final = {
    "ExcludeLowercase": string.ascii_lowercase,
    "ExcludeUppercase": string.ascii_uppercase,
    "ExcludeNumbers": string.digits,
    "ExcludePunctuation": string.punctuation,
}


class Recipe(NamedTuple):
    """A password of `length` characters: one from each of `required`, the others from `pool`, in any order."""

    length: int
    required: tuple[str, ...]
    pool: str


def recipe(request: Mapping[str, Any]) -> Recipe:
    """The recipe that a request of GetRandomPassword describes. A space is never a required type.

    Raises:
        InvalidParameter: nothing is left to choose from, a required type has lost all its characters, or the password is
            shorter than the number of required types.

    Source: GetRandomPassword, API reference (the types, the defaults); messages as users of AWS report them. Unverified: the message
    about the length, and which refusal comes first where several are due.
    """
    length: int = request.get("PasswordLength", DEFAULT_LENGTH)
    excluded = set(request.get("ExcludeCharacters", ""))
    types = [
        "".join(character for character in characters if character not in excluded)
        for member, characters in _TYPES.items()
        if not request.get(member, False)
    ]
    pool = "".join(types)
    if request.get("IncludeSpace", False) and " " not in excluded:
        pool += " "
    if not pool:
        raise InvalidParameter("All characters have been excluded from selection")
    if not request.get("RequireEachIncludedType", True):
        return Recipe(length, (), pool)
    if not all(types):
        raise InvalidParameter("All characters of the desired type have been excluded")
    if length < len(types):
        raise InvalidParameter("Password length is too short based on the required types.")
    return Recipe(length, tuple(types), pool)
