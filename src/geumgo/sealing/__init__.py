"""Root key and its seals, authenticated encryption bound to a context, random."""

from collections.abc import Mapping
from typing import Protocol

from geumgo.sealing.failure import Unsealable
from geumgo.sealing.plaintext import Plaintext

__all__ = ["Plaintext", "Sealing", "Unsealable"]


class Sealing(Protocol):
    """What rooms see of the root key: they wrap, unwrap and vouch; they never hold it."""

    def wrap(self, purpose: str, context: Mapping[str, str], plaintext: Plaintext) -> bytes:
        """`plaintext` sealed under the root key's subkey for `purpose` ("kms", "iam", ...), bound to `context`."""
        ...

    def unwrap(self, purpose: str, context: Mapping[str, str], sealed: bytes) -> Plaintext:
        """What was wrapped. Raises Unsealable if a bit, the purpose or the context differs."""
        ...

    def vouch(self, table: str, row: Mapping[str, str | int | bytes | None]) -> bytes:
        """A MAC over a row that decides rights: its table, its column names and its values."""
        ...

    def check(self, table: str, row: Mapping[str, str | int | bytes | None], mac: bytes) -> None:
        """Raises Unsealable, which names the table, unless `mac` vouches for exactly this row of it.

        A row that somebody forged or moved fails closed, as a fault of ours: the log says which table, the caller learns nothing.
        """
        ...

    def seal_token(self, claims: bytes, context: Mapping[str, str]) -> bytes:
        """A session token: `claims` sealed under the token key, bound to `context`."""
        ...

    def open_token(self, token: bytes, context: Mapping[str, str]) -> Plaintext:
        """The claims of a token. Raises Unsealable if it was not sealed here, for this context."""
        ...
