"""The keyring file: every root key, wrapped once under each seal.

JSON, rewritten as a whole: a power cut leaves the old file or the new one. It is authentic as a whole too: a MAC
under the newest root key covers it, and each root key carries a check value, so an edited file opens for nobody.

A term that was dropped leaves two things: the public key of its trail, for good, and for a while the key that opens its session tokens,
wrapped under the newest root key. Neither gives the root key back, and neither opens anything else.
"""

import hmac
import json
import os
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from geumgo.sealing import dkgcm, random
from geumgo.sealing.failure import Unsealable
from geumgo.sealing.files import UnsafeFile, read_private, replace_file, write_private
from geumgo.sealing.plaintext import Plaintext
from geumgo.sealing.root import RootKeys
from geumgo.sealing.seals import Seal, SealError, seal_id

FILE_NAME: Final = "keyring.json"
NEXT_NAME: Final = "keyring.next.json"
"""The ring with a term that nothing is sealed in yet, until every machine has it."""
FORMAT: Final = "geumgo keyring"
VERSION: Final = 1
LIMIT_BYTES: Final = 1 << 20
_KEPT_ID: Final = b"geumgo kept key\0"

Document = dict[str, Any]
Terms = dict[int, Plaintext]


def exists(directory: Path) -> bool:
    """Whether `directory` has a keyring file."""
    return (directory / FILE_NAME).exists()


def create(directory: Path, seal: Seal) -> RootKeys:
    """A new ring of one term, kept in `directory` under `seal`. Raises SealError if there is one already."""
    if exists(directory):
        raise SealError(f"{directory / FILE_NAME} is there already; root keys are never overwritten.")
    terms = {1: random.key()}
    document: Document = {"format": FORMAT, "version": VERSION, "id": os.urandom(16).hex(), "terms": {}, "seals": []}
    _enter_term(document, 1, terms[1])
    _enter_seal(document, seal, terms)
    _keep(directory, document, terms, replace=False)
    return RootKeys(terms)


def open_keyring(directory: Path, seal: Seal, *, name: str = FILE_NAME) -> RootKeys:
    """The ring that is kept in `directory`. Raises SealError if `seal` does not open it, or the file was changed."""
    document = _read(directory, name)
    return _ring(document, _open(document, seal))


def terms_in(directory: Path, *, name: str = FILE_NAME) -> tuple[int, ...]:
    """The terms that the file names, oldest first. It was not proven: only who opens the ring knows. Raises SealError."""
    try:
        return tuple(sorted(int(term) for term in _read(directory, name)["terms"]))
    except (KeyError, TypeError, ValueError):
        raise SealError("The keyring file is damaged.") from None


def made_at_ms(directory: Path, term: int) -> int | None:
    """When `term` was added (Unix milliseconds); None: it was there from the beginning. Not proven, as of `terms_in`."""
    found = _read(directory)["terms"].get(str(term), {}).get("made_at_ms")
    return found if isinstance(found, int) else None


def add_seal(directory: Path, seal: Seal, new: Seal) -> None:
    """The ring that `seal` opens can be opened by `new` as well. Nothing that was sealed changes."""
    document = _read(directory)
    terms = _open(document, seal)
    _enter_seal(document, new, terms)
    _keep(directory, document, terms, replace=True)


def drop_seal(directory: Path, seal: Seal, dropped: Seal) -> None:
    """`dropped` opens the ring no more; `seal` still does.

    Raises SealError if they are the same or `dropped` is not in use.
    """
    document = _read(directory)
    terms = _open(document, seal)
    going, staying = _entry(document, dropped), _entry(document, seal)
    if going is staying:
        raise SealError("The only seal that opens these root keys cannot be taken away with itself.")
    document["seals"].remove(going)
    _keep(directory, document, terms, replace=True)


def has_next(directory: Path) -> bool:
    """Whether there is a next ring, which may become the ring. It was not proven: see `take_up`."""
    return (directory / NEXT_NAME).exists()


def take_up(directory: Path, seal: Seal) -> None:
    """The next ring is the ring now: the same one with a newer term. Raises SealError if it is another one, or there is none."""
    document, following = _read(directory), _read(directory, NEXT_NAME)
    now, then = _open(document, seal), _open(following, seal)
    if document["id"] != following["id"] or any(
        key.reveal() != then[term].reveal() for term, key in now.items() if term in then
    ):
        raise SealError(f"{directory / NEXT_NAME} is of other root keys than {directory / FILE_NAME}.")
    if max(then) <= max(now):
        raise SealError(f"{directory / NEXT_NAME} has no newer root key than {directory / FILE_NAME}; take it away.")
    replace_file(directory / NEXT_NAME, directory / FILE_NAME)


def add_term(directory: Path, seals: Sequence[Seal], *, now_ms: int = 0, name: str = FILE_NAME) -> RootKeys:
    """The ring with a new term, in which everything is sealed from now on. `seals` must be all that the file knows.

    With another `name` it is kept in that file, and nothing is sealed in the new term yet.
    """
    document = _read(directory)
    terms = _open(document, seals[0])
    entries = [_entry(document, seal) for seal in seals]
    if len({entry["id"] for entry in entries}) != len(document["seals"]):
        raise SealError(
            f"A new root key needs each of the {len(document['seals'])} seals once: "
            f"{', '.join(sorted(entry['kind'] for entry in document['seals']))}."
        )
    for seal, entry in zip(seals, entries, strict=True):
        _refuse_wrong(document, entry, seal)
    tokens = _tokens(document, terms)
    newest = max(terms) + 1
    terms[newest] = random.key()
    _enter_term(document, newest, terms[newest])
    document["terms"][str(newest)]["made_at_ms"] = now_ms
    for seal, entry in zip(seals, entries, strict=True):
        entry["copies"][str(newest)] = _wrapped(document, entry, seal, newest, terms[newest])
    _keep_tokens(document, terms, tokens)
    _keep(directory, document, terms, replace=True, name=name)
    return _ring(document, terms)


def drop_term(directory: Path, seal: Seal, term: int, *, sessions_until_ms: int = 0) -> RootKeys:
    """The ring without `term`. What was sealed in that term can never be opened again. The newest term stays.

    The public key of its trail stays too. Session tokens of that term are opened until `sessions_until_ms` (Unix milliseconds; 0: no more).
    """
    document = _read(directory)
    terms = _open(document, seal)
    if term not in terms or term == max(terms):
        raise SealError(f"Term {term} cannot be dropped: it is not in the ring, or it is the newest.")
    leaving = RootKeys({term: terms[term]})
    tokens = _tokens(document, terms)
    if sessions_until_ms:
        tokens[term] = (leaving.token_key(), sessions_until_ms)
    document.setdefault("public", {})[str(term)] = leaving.audit_keys().signer.public_key.hex()
    del terms[term], document["terms"][str(term)]
    for entry in document["seals"]:
        del entry["copies"][str(term)]
    _keep_tokens(document, terms, tokens)
    _keep(directory, document, terms, replace=True)
    return _ring(document, terms)


def tokens_are_over(directory: Path, now_ms: int) -> bool:
    """Whether `drop_tokens` has something to do. Raises SealError."""
    kept = _read(directory).get("tokens", {})
    return any(isinstance(each, dict) and each.get("until_ms", 0) <= now_ms for each in kept.values())


def drop_tokens(directory: Path, seal: Seal, now_ms: int) -> None:
    """The keys of session tokens that have all ended by now are gone from the file. Raises SealError."""
    document = _read(directory)
    over = [term for term, kept in document.get("tokens", {}).items() if kept["until_ms"] <= now_ms]
    if not over:
        return
    terms = _open(document, seal)
    for term in over:
        del document["tokens"][term]
    _keep(directory, document, terms, replace=True)


def _ring(document: Document, terms: Terms) -> RootKeys:
    return RootKeys(
        terms,
        tokens=_tokens(document, terms),
        signed_by=[
            bytes.fromhex(key) for _, key in sorted(document.get("public", {}).items(), key=lambda kept: int(kept[0]))
        ],
    )


def _tokens(document: Document, terms: Terms) -> dict[int, tuple[Plaintext, int]]:
    """The keys of session tokens of terms that were dropped, each with its end."""
    newest = max(terms)
    found = {}
    for name, kept in document.get("tokens", {}).items():
        context = _token_context(document, int(name), kept["until_ms"])
        try:
            key = dkgcm.decrypt(_derived(terms[newest], "kept-wrap"), _KEPT_ID, newest, context, b64decode(kept["key"]))
        except Unsealable:
            raise SealError("The keyring file is damaged: a key of session tokens does not open.") from None
        found[int(name)] = (Plaintext(key), kept["until_ms"])
    return found


def _keep_tokens(document: Document, terms: Terms, tokens: Mapping[int, tuple[Plaintext, int]]) -> None:
    newest = max(terms)
    wrapping = _derived(terms[newest], "kept-wrap")
    document["tokens"] = {
        str(term): {
            "until_ms": until_ms,
            "key": b64encode(
                dkgcm.encrypt(wrapping, _KEPT_ID, newest, _token_context(document, term, until_ms), key.reveal())
            ).decode(),
        }
        for term, (key, until_ms) in tokens.items()
    }


def _token_context(document: Document, term: int, until_ms: int) -> dict[str, str]:
    return {"label": "token key", "keyring": document["id"], "term": str(term), "until": str(until_ms)}


def _read(directory: Path, name: str = FILE_NAME) -> Document:
    path = directory / name
    try:
        document = json.loads(read_private(path, at_most=LIMIT_BYTES))
    except FileNotFoundError:
        raise SealError(f"There is no keyring file {path}.") from None
    except UnsafeFile as error:
        raise SealError(str(error)) from None
    except ValueError:
        raise SealError(f"The keyring file {path} is damaged: it is not JSON.") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise SealError(f"{path} is not a keyring file.")
    if document.get("version") != VERSION:
        raise SealError(f"The keyring file {path} was written by a newer version of this program.")
    return document


def _open(document: Document, seal: Seal) -> Terms:
    """Every root key, after the file has been proven authentic."""
    try:
        return _unwrapped(document, seal)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise SealError("The keyring file is damaged.") from None


def _unwrapped(document: Document, seal: Seal) -> Terms:
    entry = _entry(document, seal)
    key = _seal_key(seal, entry).reveal()
    terms: Terms = {}
    for name, wrapped in entry["copies"].items():
        term = int(name)
        try:
            opened = dkgcm.decrypt(
                key, _copy_id(entry), term, _context(document, term), b64decode(wrapped, validate=True)
            )
        except Unsealable:
            raise SealError(
                "The seal does not open these root keys: it is the wrong one, or the file was changed."
            ) from None
        terms[term] = Plaintext(opened)
    if not terms or {str(term) for term in terms} != set(document["terms"]):
        raise SealError("The keyring file is damaged: a seal lacks a term.")
    for term, root in terms.items():
        _refuse_other(_check_value(document, term, root), document["terms"][str(term)]["check"])
    _refuse_other(_file_mac(document, terms), document["mac"])
    return terms


def _entry(document: Document, seal: Seal) -> Document:
    """The entry of `seal`: the only one of its kind, or the one of its kind that it opens."""
    of_kind: list[Document] = [entry for entry in document["seals"] if entry["kind"] == seal.kind]
    if not of_kind:
        raise SealError(f"The root keys are not sealed by {seal.kind}.")
    if len(of_kind) == 1:
        return of_kind[0]
    return next((entry for entry in of_kind if _opens(document, entry, seal)), of_kind[0])


def _refuse_wrong(document: Document, entry: Document, seal: Seal) -> None:
    """A seal that is no longer the one whose copies are there would lock the new root key away."""
    if not _opens(document, entry, seal):
        raise SealError(f"The seal by {seal.kind} does not open these root keys: it is the wrong one.")


def _opens(document: Document, entry: Document, seal: Seal) -> bool:
    term, wrapped = next(iter(entry["copies"].items()))
    key = _seal_key(seal, entry).reveal()
    try:
        dkgcm.decrypt(key, _copy_id(entry), int(term), _context(document, int(term)), b64decode(wrapped, validate=True))
    except Unsealable:
        return False
    return True


def _seal_key(seal: Seal, entry: Document) -> Plaintext:
    try:
        return seal.key(entry["parameters"])
    except UnsafeFile as error:
        raise SealError(str(error)) from None


def _enter_term(document: Document, term: int, root: Plaintext) -> None:
    document["terms"][str(term)] = {"check": _check_value(document, term, root)}


def _enter_seal(document: Document, seal: Seal, terms: Mapping[int, Plaintext]) -> None:
    try:
        parameters = seal.prepare()
    except UnsafeFile as error:
        raise SealError(str(error)) from None
    entry: Document = {"kind": seal.kind, "parameters": parameters, "copies": {}}
    entry["id"] = os.urandom(8).hex()
    key = _seal_key(seal, entry).reveal()
    for term, root in terms.items():
        entry["copies"][str(term)] = _copy(document, entry, key, term, root)
    document["seals"].append(entry)


def _wrapped(document: Document, entry: Document, seal: Seal, term: int, root: Plaintext) -> str:
    return _copy(document, entry, _seal_key(seal, entry).reveal(), term, root)


def _copy(document: Document, entry: Document, key: bytes, term: int, root: Plaintext) -> str:
    return b64encode(dkgcm.encrypt(key, _copy_id(entry), term, _context(document, term), root.reveal())).decode()


def _copy_id(entry: Document) -> bytes:
    return seal_id(entry["kind"], entry["parameters"])


def _context(document: Document, term: int) -> dict[str, str]:
    return {"label": "root key", "keyring": document["id"], "term": str(term)}


def _check_value(document: Document, term: int, root: Plaintext) -> str:
    return hmac.digest(_derived(root, "key-check"), f"{document['id']}/{term}".encode(), "sha256").hex()


def _file_mac(document: Document, terms: Mapping[int, Plaintext]) -> str:
    """A MAC over everything in the file but itself."""
    covered = {name: value for name, value in document.items() if name != "mac"}
    text = json.dumps(covered, sort_keys=True, separators=(",", ":"))
    return hmac.digest(_derived(terms[max(terms)], "keyring-mac"), text.encode(), "sha256").hex()


def _derived(root: Plaintext, label: str) -> bytes:
    return HKDFExpand(SHA256(), dkgcm.KEY_BYTES, f"geumgo/1/{label}".encode()).derive(root.reveal())


def _refuse_other(expected: str, found: str) -> None:
    if not hmac.compare_digest(expected.encode(), found.encode()):
        raise SealError("The keyring file was changed by somebody who does not hold the root keys.")


def _keep(
    directory: Path, document: Document, terms: Mapping[int, Plaintext], *, replace: bool, name: str = FILE_NAME
) -> None:
    document["mac"] = _file_mac(document, terms)
    try:
        write_private(directory / name, json.dumps(document, indent=1).encode(), replace=replace)
    except FileExistsError:
        raise SealError(f"{directory / FILE_NAME} is there already; root keys are never overwritten.") from None
    except UnsafeFile as error:
        raise SealError(str(error)) from None
