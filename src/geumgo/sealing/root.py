"""The root keys of a site: a ring of terms, and every key that is derived from them.

A root key never encrypts anything itself. HKDF-Expand gives one subkey for each purpose, so a thing that was sealed
for one purpose never opens for another. What is sealed names the term it was sealed in; the newest term seals, every
term in the ring opens. A term that was added meanwhile, by another process, is learned when something is met that names it.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Final, final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from geumgo.sealing import dkgcm
from geumgo.sealing.failure import Unsealable
from geumgo.sealing.plaintext import Plaintext

Cell = str | int | bytes | None
MAC_BYTES = 36
"""A row's MAC: the term (4 bytes) and the HMAC (32 bytes)."""

_PURPOSE: Final = re.compile(r"[a-z][a-z0-9-]{0,30}")
_ROW_MAC = "row-mac"
_TOKEN = "token"  # noqa: S105 - the name of a purpose
_AUDIT_MAC = "audit-mac"
_AUDIT_SIGN = "audit-sign"
_BACKUP_SIGN = "backup-sign"
_REPLICATION = "repl"


@dataclass(frozen=True, slots=True)
class Signer:
    """An Ed25519 key of one term: signs, and shows its public half (32 bytes)."""

    term: int
    public_key: bytes
    sign: Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class AuditKeys:
    """What the trail is chained and signed with, in one term. `mac_key` has 32 bytes."""

    term: int
    mac_key: Plaintext
    signer: Signer


def verify_signature(public_key: bytes, signature: bytes, message: bytes) -> None:
    """Raises Unsealable unless the holder of the Ed25519 `public_key` (32 bytes) signed exactly `message`."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise Unsealable from None


@final
class RootKeys:
    """The ring, open in memory. Satisfies `Sealing`; shown as stars and never pickled."""

    __slots__ = ("_derived", "_learn", "_signed_by", "_terms", "_token_ends", "term")

    def __init__(
        self,
        terms: Mapping[int, Plaintext],
        *,
        tokens: Mapping[int, tuple[Plaintext, int]] | None = None,
        signed_by: Iterable[bytes] = (),
        learn: Callable[[], "RootKeys | None"] | None = None,
    ) -> None:
        """`terms` maps each term (1, 2, ...) to its root key of 32 bytes. The highest is the one that seals.

        Of terms that were dropped, `tokens` are the keys of session tokens that still live, each with its end (Unix milliseconds), and
        `signed_by` the public keys of the trail.
        `learn` answers the ring as it is kept now, or None if that is this one.
        """
        assert terms, "a ring has at least one term"
        assert all(len(key) == dkgcm.KEY_BYTES for key in terms.values()), "a root key has 32 bytes"
        self._terms = dict(terms)
        self._derived: dict[tuple[int, str], bytes] = {
            (term, _TOKEN): key.reveal() for term, (key, _) in (tokens or {}).items()
        }
        self._token_ends = {term: until_ms for term, (_, until_ms) in (tokens or {}).items()}
        self._signed_by = tuple(signed_by)
        self._learn = learn
        self.term = max(terms)

    def learning(self, learn: Callable[[], "RootKeys | None"]) -> "RootKeys":
        """The same ring, which learns of newer terms by `learn`. What it seals stays in the term that is its newest now."""
        made = RootKeys(self._terms, signed_by=self._signed_by, learn=learn)
        made._derived.update(self._derived)
        made._token_ends.update(self._token_ends)
        return made

    @property
    def terms(self) -> tuple[int, ...]:
        """Every term in the ring, oldest first."""
        return tuple(sorted(self._terms))

    def trail_keys_of_old(self) -> tuple[bytes, ...]:
        """The public keys (32 bytes) of the trail in every term that was dropped, oldest first."""
        return self._signed_by

    def token_key(self) -> Plaintext:
        """The key (32 bytes) of session tokens in the newest term."""
        return Plaintext(self._subkey(self.term, _TOKEN))

    def end_tokens(self, now_ms: int) -> None:
        """Session tokens of terms that were dropped are opened no more once their time is over."""
        for term, until_ms in tuple(self._token_ends.items()):
            if until_ms <= now_ms:
                self._derived.pop((term, _TOKEN), None)
                self._token_ends.pop(term, None)

    def wrap(self, purpose: str, context: Mapping[str, str], plaintext: Plaintext) -> bytes:
        """`plaintext` sealed under the newest subkey for `purpose` ("kms", "iam", "param" ...), bound to `context`."""
        return self._seal(_wrapping(purpose), context, plaintext)

    def unwrap(self, purpose: str, context: Mapping[str, str], sealed: bytes) -> Plaintext:
        """What was wrapped. Raises Unsealable if a bit, the purpose, the context or the ring differs."""
        return self._open(_wrapping(purpose), context, sealed)

    def vouch(self, table: str, row: Mapping[str, Cell]) -> bytes:
        """A MAC (36 bytes) over a row that decides rights: its table, its columns and its values with their types."""
        return self._vouch(self.term, table, row)

    def check(self, table: str, row: Mapping[str, Cell], mac: bytes) -> None:
        """Raises Unsealable unless `mac` vouches for exactly this row of this table."""
        whole = len(mac) == MAC_BYTES
        if not whole or not hmac.compare_digest(self._vouch(int.from_bytes(mac[:4], "big"), table, row), mac):
            raise Unsealable(f"a row of {table} was changed from outside")

    def seal_token(self, claims: bytes, context: Mapping[str, str]) -> bytes:
        """A session token: `claims` sealed under the token key, bound to `context`."""
        return self._seal(_TOKEN, context, Plaintext(claims))

    def open_token(self, token: bytes, context: Mapping[str, str]) -> Plaintext:
        """The claims of a token. Raises Unsealable if it was not sealed here, for this context."""
        return self._open(_TOKEN, context, token)

    def audit_keys(self, term: int | None = None) -> AuditKeys:
        """What the trail is chained and signed with in `term` (None: the newest).

        Raises Unsealable if the ring lacks that term.
        """
        at = self.term if term is None else term
        return AuditKeys(at, Plaintext(self._subkey(at, _AUDIT_MAC)), self._signer(at, _AUDIT_SIGN))

    def backup_signer(self, term: int | None = None) -> Signer:
        """What backups are signed with in `term` (None: the newest). Raises Unsealable if the ring lacks that term."""
        return self._signer(self.term if term is None else term, _BACKUP_SIGN)

    def replication_key(self) -> Plaintext:
        """The newest key (32 bytes) from which the links to other sites are derived."""
        return Plaintext(self._subkey(self.term, _REPLICATION))

    def __repr__(self) -> str:
        return f"RootKeys(term={self.term}, ***)"

    def __reduce__(self) -> str:
        raise TypeError("root keys are never pickled or copied")

    def _seal(self, label: str, context: Mapping[str, str], plaintext: Plaintext) -> bytes:
        return dkgcm.encrypt(self._subkey(self.term, label), _key_id(label), self.term, context, plaintext.reveal())

    def _open(self, label: str, context: Mapping[str, str], sealed: bytes) -> Plaintext:
        term = dkgcm.read_header(sealed).key_version
        return Plaintext(dkgcm.decrypt(self._subkey(term, label), _key_id(label), term, context, sealed))

    def _vouch(self, term: int, table: str, row: Mapping[str, Cell]) -> bytes:
        return term.to_bytes(4, "big") + hmac.digest(self._subkey(term, _ROW_MAC), canonical_row(table, row), "sha256")

    def _signer(self, term: int, label: str) -> Signer:
        key = Ed25519PrivateKey.from_private_bytes(self._subkey(term, label))
        return Signer(term, key.public_key().public_bytes_raw(), partial(_sign, key))

    def _subkey(self, term: int, label: str) -> bytes:
        """The key of `label` in `term`. Derived once: as many are kept as there are labels and terms."""
        key = self._derived.get((term, label))
        if key is None:
            root = self._terms.get(term) or self._learned(term)
            if root is None:
                raise Unsealable
            key = HKDFExpand(SHA256(), dkgcm.KEY_BYTES, f"geumgo/1/{label}".encode()).derive(root.reveal())
            self._derived[term, label] = key
        return key

    def _learned(self, term: int) -> Plaintext | None:
        """The root key of a term that is newer than all we know, if the ring has it by now."""
        newer = self._learn() if self._learn is not None and term > max(self._terms) else None
        if newer is not None:
            self._terms = {**newer._terms, **self._terms}  # noqa: SLF001 - another ring; as a whole: other threads read it
        return self._terms.get(term)


def canonical_row(table: str, row: Mapping[str, Cell]) -> bytes:
    """A row as bytes that no other row has: table, columns sorted by name, each value with its type and its length."""
    name = table.encode()
    parts = [b"t%d:%b" % (len(name), name)]
    for column, spelled in _columns(tuple(row)):
        value = row[column]
        parts.append(spelled)
        if isinstance(value, str):
            text = value.encode()
            parts.append(b"s%d:%b" % (len(text), text))
        elif value is None:
            parts.append(b"n")
        elif isinstance(value, int):
            parts.append(b"i%d:" % value)
        else:
            parts.append(b"b%d:%b" % (len(value), value))
    return b"".join(parts)


@lru_cache(maxsize=256)
def _columns(names: tuple[str, ...]) -> tuple[tuple[str, bytes], ...]:
    """Columns in their order, each with its spelling in a canonical row. As many are kept as there are kinds of rows."""
    return tuple((column, b"c%d:%b" % (len(column.encode()), column.encode())) for column in sorted(names))


def wrapping_id(purpose: str) -> bytes:
    """The id (16 bytes) of the key by which everything that was wrapped for `purpose` names it, in any term."""
    return _key_id(_wrapping(purpose))


def _wrapping(purpose: str) -> str:
    assert _PURPOSE.fullmatch(purpose), f"not a purpose: {purpose}"
    return f"{purpose}-wrap"


def _key_id(label: str) -> bytes:
    return hashlib.sha256(f"geumgo/1/{label}".encode()).digest()[:16]


def _sign(key: Ed25519PrivateKey, message: bytes) -> bytes:
    return key.sign(message)
