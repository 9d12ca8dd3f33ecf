"""Where the kept part of a chain begins, if its oldest segments were taken away: signed, beside the segments, in the file `floor`.

    {"chain":"n1-api-0","segment":5,"seq":81234,"hash":"<64 hex>","at":1790000000000,"publicKey":"<64 hex>","signature":"<128 hex>"}

`segment` is the first that is kept, `seq` and `hash` are of the last record before it: what its first line names as the one before.
Without this file, or with that of another moment, the segments that are gone are missed by `verify`.

Each segment says with its first line on which floor the chain stood then. So whoever keeps a root key of an earlier term can sign no
floor above the one that the first segment of a later term has found.
"""

import fcntl
import json
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from geumgo.sealing.failure import Unsealable
from geumgo.sealing.root import verify_signature

NAME: Final = "floor"
DRAFT_NAME: Final = "floor.new"
_MOST_BYTES: Final = 4_096


@dataclass(frozen=True, slots=True)
class Floor:
    """The beginning of what is kept. `at_ms` is when it was decided (Unix milliseconds)."""

    chain: str
    segment: int
    seq: int
    hash: str
    at_ms: int
    public_key: bytes
    signature: str

    def is_signed(self, trusted: Collection[bytes]) -> bool:
        """Whether the holder of one of these keys has said so."""
        if self.public_key not in trusted:
            return False
        said = message(self.chain, self.segment, self.seq, self.hash, self.at_ms)
        try:
            verify_signature(self.public_key, bytes.fromhex(self.signature), said)
        except (Unsealable, ValueError):
            return False
        return True


def message(chain: str, segment: int, seq: int, hash_: str, at_ms: int) -> bytes:
    """What is signed of a floor. Names hold no newline, so no two floors have one message."""
    return f"geumgo/1/audit-floor\n{chain}\n{segment}\n{seq}\n{hash_}\n{at_ms}".encode()


def floor_of(place: Path) -> Floor | None:
    """What the chain in `place` says; None: it is kept from its first line on. Raises ValueError if it cannot be read."""
    try:
        with (place / NAME).open("rb") as file:
            found = json.loads(file.read(_MOST_BYTES))
        return Floor(
            str(found["chain"]),
            int(found["segment"]),
            int(found["seq"]),
            str(found["hash"]),
            int(found["at"]),
            bytes.fromhex(found["publicKey"]),
            str(found["signature"]),
        )
    except FileNotFoundError:
        return None
    except (KeyError, TypeError, RecursionError) as fault:
        raise ValueError("the file does not have the form of a floor") from fault


@contextmanager
def standing(place: Path, *, changes: bool) -> Iterator[bool]:
    """Whether, while the block runs, the floor of the chain in `place` stays what it is, but for what this block `changes`.

    Nobody is waited for. Raises OSError.
    """
    descriptor = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if changes else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        held = True
    except BlockingIOError:
        held = False
    try:
        yield held
    finally:
        os.close(descriptor)


def keep_floor(place: Path, floor: Floor) -> None:
    """The floor of the chain in `place` is on the disk. Raises OSError."""
    document = {
        "chain": floor.chain,
        "segment": floor.segment,
        "seq": floor.seq,
        "hash": floor.hash,
        "at": floor.at_ms,
        "publicKey": floor.public_key.hex(),
        "signature": floor.signature,
    }
    draft = place / DRAFT_NAME
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(json.dumps(document, separators=(",", ":")).encode() + b"\n")
        file.flush()
        os.fsync(descriptor)
    draft.rename(place / NAME)
    sync_directory(place)


def sync_directory(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
