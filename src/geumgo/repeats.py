"""What a request means, for those that come again word for word: which operation, asked for what.

It follows from the bytes alone, so it holds for ever. Only operations that say so (`Access.repeats`) are kept, and of them only short
requests: nothing that these are asked with is a secret.
"""

from typing import Final, NamedTuple

from geumgo.context import Params
from geumgo.domain.bounded import keep
from geumgo.message import Request
from geumgo.protocol import Call

LONGEST: Final = 1_024  # bytes of a body that is kept

Words = tuple[str, bytes, bytes]
"""The service that was signed for, the operation's name on the wire, and the body."""


class Meaning(NamedTuple):
    """The call and its parameters, decoded and valid. `recorded` are those of them that the trail may keep. Neither may be changed."""

    call: Call
    params: Params
    recorded: Params


class Repeats:
    """The meanings that one process keeps, `most` of them. Not for several threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[Words, Meaning] = {}

    def words(self, request: Request, signing_name: str) -> Words | None:
        """What the meaning of `request` follows from; None if more of it could matter. Source: Smithy, awsJson (X-Amz-Target)."""
        first = request.first_values
        target = first.get(b"x-amz-target")
        if (
            target is None
            or len(request.body) > LONGEST
            or request.upload is not None
            or request.has_twins
            or b"smithy-protocol" in first
            or request.method != "POST"
        ):
            return None
        return signing_name, target, request.body

    def find(self, words: Words | None) -> Meaning | None:
        return None if words is None else self._known.get(words)

    def keep(self, words: Words, meaning: Meaning) -> None:
        """The oldest one goes when there are too many."""
        keep(self._known, words, meaning, self._most)
