"""The writing end of the trail: note, then settle, then answer.

    trail = Trail.open(directory, node="n1", slot="api-0", keys=keys, clock=clock, anchor=store.head(tx, "n1-api-0"))
    event_id = trail.note("call", record)   # in memory
    trail.settle()                          # on the disk, with everything else that was noted since the last time: one write, one sync

Whoever has more to do than to wait for the disk lets a thread wait:

    if trail.launch(woken):                 # written; `woken` is called, in that thread, when the disk has answered
        ...                                 # more may be noted meanwhile, and goes to the disk afterwards
        trail.land()                        # what was noted before `launch` is durable

Whoever holds a trail calls `checkpoint` once a second, and keeps `heads()` in the database: what is older than that cannot be taken
away any more without being missed.
"""

import fcntl
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from geumgo.audit.disk import DRAFT_SUFFIX, FILLED_BYTES, NO_SPACE, Disk, Draft
from geumgo.audit.floor import floor_of, standing
from geumgo.audit.line import CHAIN_NAME, Head, build_with, encode_record, head_message
from geumgo.audit.segment import CHECKPOINT, SEGMENT, End, find_end, holds, path_of
from geumgo.context import Clock
from geumgo.sealing.keyed import keyed
from geumgo.sealing.plaintext import Plaintext
from geumgo.sealing.random import Uuids

__all__ = ["Head", "Kind", "Trail", "TrailBroken", "TrailFull", "TrailKeys", "reserve_given_up"]

Kind = Literal["call", "intent", "outcome", "event"]

SEGMENT_BYTES: Final = 16 << 20
RESERVE_NAME: Final = "reserve"
RESERVE_BYTES: Final = 32 << 20
"""Space that is held back for when the disk is full, so that deletions can still be recorded."""
SMALL_SEGMENT_BYTES: Final = 1 << 20
"""The size of a segment that is begun when space is short, so that what was held back serves every process."""
RECORD_BYTES: Final = 256 << 10
"""The longest record. A longer one is kept without its parameters. Source: the size limit of a CloudTrail event."""
PENDING_BYTES: Final = 8 << 20
"""How much may wait before it is written (bytes)."""
CHECKPOINT_EVERY_MS: Final = 1_000
QUICK_SECONDS: Final = 0.001
"""A sync that takes less is not worth a thread. See docs/performance.md."""
REMEMBERS: Final = 0.9
"""How much of what is known of the disk's speed counts on with each sync."""
LOOKS_EVERY: Final = 64
"""How many syncs a thread waits for before one is waited for here: a disk that has become quick is found out so."""
_CHECKPOINT_ROOM: Final = 1_024  # bytes at the end of a segment for the checkpoint that ends it


class TrailBroken(Exception):
    """The trail could not be written. This process must not acknowledge anything more."""


class TrailFull(Exception):
    """There is no space for a new segment. What was noted is not durable; `settle` may be tried again."""


@dataclass(frozen=True, slots=True)
class TrailKeys:
    """What a trail is chained and signed with. `mac_key` has 32 bytes; `public_key` (32 bytes) checks what `sign` signs (Ed25519).

    `older` are the MAC keys of earlier terms: with them the end of a chain that was written then is found as surely. `older_public`
    are the public keys of earlier terms, of dropped ones too: with them the floor on which a chain stands is proven.
    """

    mac_key: Plaintext
    sign: Callable[[bytes], bytes]
    public_key: bytes
    term: int = 1
    older: Mapping[int, Plaintext] = field(default_factory=dict)
    older_public: Collection[bytes] = ()


class _Noted(NamedTuple):
    kind: str
    id: str
    at_ms: int
    record: bytes
    settles: str  # of an outcome: the intent it is for


@dataclass(slots=True)
class _Written:
    """What stands in the file, and what is true of the chain as soon as it is durable."""

    batch: list[_Noted]
    seq: int
    hash: str
    offset: int
    head: Head | None
    unsigned_since_ms: int | None


class Trail:
    """The chain of one writing process. Not for several threads, and opened after any fork."""

    def __init__(
        self,
        directory: Path,
        chain: str,
        keys: TrailKeys,
        clock: Clock,
        segment_bytes: int,
        reserve: Path,
        disk: Disk,
        lock: int,
    ) -> None:
        """Use `open`."""
        self.chain = chain
        self._directory, self._keys, self._clock, self._disk, self._lock = directory, keys, clock, disk, lock
        self._segment_bytes, self._reserve, self._reserve_bytes = segment_bytes, reserve, 0
        self._mac_key = keys.mac_key.reveal()
        self._mac, self._chain = keyed(self._mac_key), chain.encode()
        self._descriptor: int | None = None
        self._draft: Draft | None = None  # of the next segment
        self._scarce = False
        self._size = 0  # of the open segment, in bytes
        self._offset = 0
        self._end = End()
        self._pending: list[_Noted] = []
        self._pending_bytes = 0
        self._unsigned_since_ms: int | None = None
        self._head: Head | None = None
        self._fault = ""
        self._ids = Uuids()
        self._flight: tuple[Future[None], _Written] | None = None  # what a thread syncs meanwhile
        self._syncer: ThreadPoolExecutor | None = None
        self._sync_seconds = 0.0  # that a sync takes which is waited for, going by the last ones
        self._launched = 0  # since one was waited for

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        node: str,
        keys: TrailKeys,
        clock: Clock,
        slot: str = "",
        anchor: Head | None = None,
        segment_bytes: int = SEGMENT_BYTES,
        reserve_bytes: int = RESERVE_BYTES,
        disk: Disk | None = None,
    ) -> "Trail":
        """The chain `node`-`slot` in `directory`, with a new segment that names where the last one ended.

        `anchor` is the head that was kept outside of the files (None: there is none yet). If the files do not hold it any more, the
        new segment says so for good, and `verify` finds it.

        Raises:
            TrailBroken: another process has this chain open, or the disk failed.
            TrailFull: there is no space for the new segment.

        """
        chain = f"{node}-{slot}" if slot else node
        assert CHAIN_NAME.fullmatch(chain), f"not a name of a chain: {chain}"
        assert anchor is None or anchor.chain == chain, "the anchor is of another chain"
        place = directory / chain
        disk = disk or Disk()
        try:
            for made in (directory, place):
                if not made.is_dir():
                    made.mkdir(mode=0o700, parents=True, exist_ok=True)
                    disk.sync_directory(made.parent)
            lock = _locked(place)
        except OSError as fault:
            raise TrailBroken(f"the audit trail in {place} cannot be opened: {fault.strerror}") from fault
        trail = cls(place, chain, keys, clock, segment_bytes, directory / RESERVE_NAME, disk, lock)
        try:
            with trail._disk_faults():
                trail._start(anchor, reserve_bytes)
        except (TrailBroken, TrailFull):
            os.close(lock)
            raise
        return trail

    @property
    def unresolved(self) -> Mapping[str, int]:
        """The intents on the disk without an outcome, each with its time (Unix milliseconds)."""
        return dict(self._end.open)

    @property
    def on_reserve(self) -> bool:
        """Whether the space that is held back was given up. It is held back again as soon as there is enough."""
        return bool(self._reserve_bytes) and not self._reserve.exists()

    @property
    def scarce(self) -> bool:
        """`on_reserve` as it was a moment ago (at most about a second, for what other processes did): asks nobody."""
        return self._scarce

    def give_up_reserve(self) -> None:
        """The space that is held back is there for whoever writes next: the database is full."""
        with suppress(OSError):  # a disk that cannot even remove a name says so to whoever writes next
            self._reserve.unlink(missing_ok=True)
            self._discard_draft()
        self._scarce = bool(self._reserve_bytes)

    def note(self, kind: Kind, record: Mapping[str, Any] | bytes) -> str:
        """Add a record (bytes: of a call, as `audit.form` encodes it). Answers its event id.

        It is durable after the next `settle`, which comes by itself if much waits for it.

        Raises:
            TrailBroken: the disk failed, now or before.
            TrailFull: much waits, and there is no space for it.

        """
        self._refuse_if_broken()
        if self._pending_bytes > PENDING_BYTES:
            self.settle()
        noted = _Noted(
            kind,
            self._ids.next(),
            self._clock.now_ms(),
            record if isinstance(record, bytes) else self._bounded(record),
            record["intent"] if kind == "outcome" and not isinstance(record, bytes) else "",
        )
        self._pending.append(noted)
        self._pending_bytes += len(noted.record)
        return noted.id

    def settle(self) -> None:
        """Everything that was noted is durable.

        Raises:
            TrailBroken: the disk failed, now or before.
            TrailFull: there is no space. What was noted still waits, until `settle` succeeds or `abandon` drops it.

        """
        self.land()
        if not self._pending:
            return
        with self._disk_faults():
            self._write_pending()
            while self._pending:
                self._end_segment()
                self._begin_segment()
                self._write_pending()
            self._draft_next()

    def launch(self, woken: Callable[[], None]) -> bool:
        """Everything that was noted is written, and `woken` is called in another thread when the disk has synced it, or has failed.

        What is noted from now on waits until `land` was called. Answers whether there is something to wait for: otherwise nothing had
        been noted, or everything is durable already, because that was quicker, or a new segment was due. Call `land` before the next one.

        Raises as `settle` does.
        """
        assert self._flight is None, "what was launched before has landed"
        self._refuse_if_broken()
        if not self._pending:
            return False
        if self._sync_seconds < QUICK_SECONDS or self._launched == LOOKS_EVERY:
            self.settle()
            return False
        with self._disk_faults():
            fitting, due = self._fitting()
            if fitting < len(self._pending):
                self.settle()
                return False
            written = self._put(self._take(fitting), signs=due)
        if self._syncer is None:
            self._syncer = ThreadPoolExecutor(1, thread_name_prefix="trail")
        self._launched += 1
        synced = self._syncer.submit(self._sync_and_draft)
        self._flight = synced, written
        synced.add_done_callback(lambda _: woken())
        return True

    def land(self) -> None:
        """What was launched is durable; this waits for it.

        Raises:
            TrailBroken: the disk failed, now or before.

        """
        self._refuse_if_broken()
        flight, self._flight = self._flight, None
        if flight is None:
            return
        synced, written = flight
        with self._disk_faults():
            synced.result()
            self._durable(written)

    def abandon(self) -> None:
        """Drop what waits, but for the outcomes of intents that are on the disk.

        For when `settle` raised TrailFull and nothing of it was answered.
        """
        self._pending = [noted for noted in self._pending if noted.settles in self._end.open]
        self._pending_bytes = sum(len(noted.record) for noted in self._pending)

    def checkpoint(self) -> None:
        """Everything that was noted is durable and signed, and the held-back space is there again if there is enough.

        Raises as `settle` does.
        """
        self.settle()
        with self._disk_faults():
            self._sign_last()
        self._hold_back()

    def heads(self) -> tuple[Head, ...]:
        """The newest signed head of this chain, if there is one."""
        return (self._head,) if self._head is not None else ()

    def close(self) -> None:
        """Everything that was noted is durable and signed, and the chain may be opened again."""
        if self._lock < 0:
            return
        try:
            if not self._fault:
                self.settle()
                with self._disk_faults():
                    self._end_segment()
        finally:
            self._fault = self._fault or "the trail is closed"
            if self._syncer is not None:
                self._syncer.shutdown()  # the descriptor is its, too, until it has answered
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None
            with suppress(OSError):  # the next start removes it
                self._discard_draft()
            os.close(self._lock)
            self._lock = -1

    # -- segments ----------------------------------------------------------------------------------------------------

    def _start(self, anchor: Head | None, reserve_bytes: int) -> None:
        for draft in self._directory.glob(f"*{DRAFT_SUFFIX}"):
            draft.unlink()
        mac_keys = {term: key.reveal() for term, key in self._keys.older.items()} | {self._keys.term: self._mac_key}
        self._end = found = find_end(self._directory, self.chain, mac_keys)
        self._reserve_bytes = reserve_bytes
        self._hold_back()
        lost = anchor if anchor is not None and not holds(self._directory, self.chain, anchor) else None
        self._begin_segment(lost)
        if found.number:
            # The zeros behind the last line are of no use any more. What is torn stays, as it is what the new segment speaks of.
            os.truncate(path_of(self._directory, found.number), found.size_bytes + len(found.torn))

    def _begin_segment(self, lost: Head | None = None) -> None:
        """A new segment: the line that opens it, and a checkpoint that signs that line."""
        with standing(self._directory, changes=False) as stays:
            self._begin_on(self._floor() if stays else None, lost)

    def _floor(self) -> int | None:
        """The segment with which the chain begins now; None: what the file of its floor says is not proven."""
        try:
            found = floor_of(self._directory)
        except ValueError:
            return None
        if found is None:
            return 1
        proven = found.chain == self.chain and found.is_signed({self._keys.public_key, *self._keys.older_public})
        return found.segment if proven else None

    def _begin_on(self, floor: int | None, lost: Head | None) -> None:
        after, now_ms = self._end, self._clock.now_ms()
        record = {
            "version": 1,
            "segment": after.number + 1,
            "term": self._keys.term,
            "publicKey": self._keys.public_key.hex(),
            "floor": floor,
            "after": after.described(),
            "lost": {"seq": lost.seq, "hash": lost.hash} if lost is not None else None,
            "open": list(after.open.items()),
        }
        opening, hash_ = self._line(
            after.seq + 1, after.hash, _Noted(SEGMENT, self._ids.next(), now_ms, encode_record(record), "")
        )
        signing, signing_hash, head = self._signed(after.seq + 2, hash_, now_ms)
        path = path_of(self._directory, after.number + 1)
        self._descriptor = self._create(path, opening + signing)
        self._offset = len(opening) + len(signing)
        self._end = End(after.number + 1, after.seq + 2, signing_hash, self._offset, b"", after.open)
        self._head, self._unsigned_since_ms = head, None

    def _create(self, path: Path, first: bytes) -> int:
        """The new file. If the disk is full it is a small one, for which the space that was held back is given up."""
        draft, self._draft = self._draft, None
        if draft is not None:
            self._size = draft.size_bytes
            try:
                return self._disk.finish(draft, first)
            except OSError as fault:
                if fault.errno not in NO_SPACE:
                    raise
        for size in (self._segment_bytes, min(self._segment_bytes, SMALL_SEGMENT_BYTES)):
            self._size = size
            try:
                return self._disk.create(path, size, first)
            except OSError as fault:
                if fault.errno not in NO_SPACE:
                    raise
                self.give_up_reserve()
        raise TrailFull("there is no space on the disk that holds the audit trail")

    def _draft_next(self) -> None:
        """As much of the next segment is on the disk, or on its way there, as this one is full, so that nobody waits for all of it at once.

        Where space is short there is none: it is made when it is needed.
        """
        if self._scarce or self._size < self._segment_bytes:
            self._drop_draft()
            return
        try:
            while self._offset - (self._draft.filled if self._draft is not None else 0) >= FILLED_BYTES:
                if self._draft is None:
                    self._draft = self._disk.begin(path_of(self._directory, self._end.number + 1), self._segment_bytes)
                self._disk.fill(self._draft)
        except OSError as fault:
            self._draft = None
            if fault.errno not in NO_SPACE:
                raise

    def _sync_and_draft(self) -> None:
        """What a flight is, in its thread. Nobody else touches the segment, its size or its draft until it has landed.

        The draft is made before anybody hears of the sync: so an error of the disk is known before the next answer leaves.
        """
        self._sync()
        self._draft_next()

    def _discard_draft(self) -> None:
        """There is no draft. Not for the thread of a flight: it would wait for itself."""
        if self._flight is not None:
            wait([self._flight[0]])  # its thread may be making it
        self._drop_draft()

    def _drop_draft(self) -> None:
        draft, self._draft = self._draft, None
        if draft is not None:
            self._disk.discard(draft)

    def _end_segment(self) -> None:
        """Sign the last line of the segment, and close the file behind it. Nothing to do if that has happened."""
        if self._descriptor is None:
            return
        self._write([], signs=True, last=True)
        os.ftruncate(self._descriptor, self._offset)
        os.close(self._descriptor)
        self._descriptor = None

    # -- lines -------------------------------------------------------------------------------------------------------

    def _write_pending(self) -> None:
        """As much of what waits as fits into the segment is durable and waits no more."""
        fitting, due = self._fitting()
        if fitting:
            self._write(self._take(fitting), signs=due)

    def _fitting(self) -> tuple[int, bool]:
        """How many of those that wait fit into the segment, which is open now; and whether a checkpoint is due before them."""
        if self._descriptor is None:
            self._begin_segment()
        now_ms = self._clock.now_ms()
        due = self._unsigned_since_ms is not None and abs(now_ms - self._unsigned_since_ms) >= CHECKPOINT_EVERY_MS
        room = self._size - self._offset - _CHECKPOINT_ROOM * (1 + due)
        fitting, size = 0, 0
        for noted in self._pending:
            size += len(noted.record) + self._line_room
            if size > room:
                break
            fitting += 1
        return fitting, due

    def _take(self, count: int) -> list[_Noted]:
        """The first of those that wait, which wait no more."""
        taken = self._pending[:count]
        del self._pending[:count]
        self._pending_bytes -= sum(len(noted.record) for noted in taken)
        return taken

    def _sign_last(self) -> None:
        """The newest line is signed."""
        if self._unsigned_since_ms is None or self._descriptor is None:
            return
        if self._size - self._offset >= 2 * _CHECKPOINT_ROOM:
            self._write([], signs=True)
        else:
            self._end_segment()
            self._begin_segment()

    @property
    def _line_room(self) -> int:
        """The most that a line is longer than its record, in bytes."""
        return 340 + len(self.chain)

    def _write(self, batch: list[_Noted], *, signs: bool, last: bool = False) -> None:
        """`batch` is durable: one write, one sync. With `signs`, a checkpoint of what was durable before comes first."""
        written = self._put(batch, signs=signs, last=last)
        began = time.perf_counter()
        self._sync()
        self._sync_seconds += (time.perf_counter() - began - self._sync_seconds) * (1 - REMEMBERS)
        self._launched = 0
        self._durable(written)

    def _put(self, batch: list[_Noted], *, signs: bool, last: bool = False) -> _Written:
        """`batch` stands in the file; nothing else may be put there before it is synced.

        A checkpoint never stands behind lines of its own batch: so a power cut that tears a batch cannot leave one whole behind a gap,
        and a checkpoint behind a gap proves that somebody has made the gap.
        """
        assert self._descriptor is not None, "a segment is open"
        lines: list[bytes] = []
        head, now_ms = self._head, self._clock.now_ms()
        seq, hash_, unsigned = self._end.seq, self._end.hash, self._unsigned_since_ms
        if signs:
            signing, hash_, head = self._signed(seq + 1, hash_, now_ms, last=last)
            lines.append(signing)
            seq, unsigned = seq + 1, None
        for noted in batch:
            line, hash_ = self._line(seq + 1, hash_, noted)
            lines.append(line)
            seq += 1
        data = b"".join(lines)
        self._disk.write(self._descriptor, data, self._offset)
        unsigned = now_ms if batch and unsigned is None else unsigned
        return _Written(batch, seq, hash_, self._offset + len(data), head, unsigned)

    def _sync(self) -> None:
        """What was put into the open segment is durable."""
        assert self._descriptor is not None, "a segment is open"
        self._disk.sync(self._descriptor)

    def _durable(self, written: _Written) -> None:
        """What was put is synced: the chain ends behind it."""
        end = self._end
        for noted in written.batch:
            if noted.kind == "intent":
                end.open[noted.id] = noted.at_ms
            elif noted.kind == "outcome":
                end.open.pop(noted.settles, None)
        end.seq, end.hash, end.size_bytes = written.seq, written.hash, written.offset
        self._offset = written.offset
        self._head, self._unsigned_since_ms = written.head, written.unsigned_since_ms

    def _line(self, seq: int, prev: str, noted: _Noted) -> tuple[bytes, str]:
        return build_with(self._mac, self._chain, seq, prev, noted.at_ms, noted.kind, noted.id, noted.record)

    def _signed(self, seq: int, prev: str, now_ms: int, *, last: bool = False) -> tuple[bytes, str, Head]:
        """A checkpoint at `seq`, its hash, and the head that it signs: the line before it."""
        head = Head(self.chain, seq - 1, prev, now_ms, self._keys.sign(head_message(self.chain, seq - 1, prev)).hex())
        record: dict[str, Any] = {"seq": head.seq, "hash": head.hash, "signature": head.signature}
        if last:
            record["last"] = True
        line, hash_ = self._line(seq, prev, _Noted(CHECKPOINT, self._ids.next(), now_ms, encode_record(record), ""))
        return line, hash_, head

    def _bounded(self, record: Mapping[str, Any]) -> bytes:
        encoded = encode_record(record)
        longest = min(RECORD_BYTES, self._segment_bytes // 4)
        if len(encoded) > longest:
            encoded = encode_record({**record, "requestParameters": None, "responseElements": None, "omitted": True})
        assert len(encoded) <= longest, f"a record of {len(encoded)} bytes"
        return encoded

    # -- faults ------------------------------------------------------------------------------------------------------

    def _hold_back(self) -> None:
        if self._reserve_bytes and not self._reserve.exists():
            with suppress(OSError):  # a full disk: tried again at the next checkpoint, and `on_reserve` tells
                self._disk.reserve(self._reserve, self._reserve_bytes)
        self._scarce = self.on_reserve

    def _refuse_if_broken(self) -> None:
        if self._fault:
            raise TrailBroken(self._fault)

    @contextmanager
    def _disk_faults(self) -> Iterator[None]:
        """The first OSError inside breaks the trail for good: what the disk holds after it is not known."""
        try:
            yield
        except OSError as fault:
            self._fault = f"the audit trail in {self._directory} cannot be written: {fault.strerror or fault}"
            raise TrailBroken(self._fault) from fault


def reserve_given_up(directory: Path) -> bool:
    """Whether the space that trails in `directory` hold back was given up: `Trail.on_reserve`, for whoever writes none."""
    return not (directory / RESERVE_NAME).exists()


def _locked(place: Path) -> int:
    """A descriptor of `place` that nobody else has locked."""
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return descriptor
    os.close(descriptor)
    raise TrailBroken(f"another process writes the audit trail in {place}")
