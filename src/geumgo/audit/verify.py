"""Is the trail what was written? Checked offline, with the public key, and with the anchors that were kept outside of the files.

Found are: a changed, missing, doubled, moved or foreign line, a segment that was cut, removed, restored or doubled, a chain that ends
before its anchor, a signature of somebody else. Not a problem is what a crash leaves: an end that is torn in the middle of a write, as
the next segment (which is signed) describes it; nor that the oldest segments are gone, if a signed floor says so.

A root key of an earlier term, in somebody's hands still, signs nothing that was not there when the next term began: no segment behind
that, no later floor, no anchor there, and no chain of its own.
"""

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from geumgo.audit import floor
from geumgo.audit.disk import DRAFT_SUFFIX
from geumgo.audit.line import ORIGIN, Head, Line, head_message, is_ours
from geumgo.audit.reader import records
from geumgo.audit.segment import CHECKPOINT, LONGEST_OPENING_BYTES, SEGMENT, End, lines_in, numbers_in, path_of
from geumgo.sealing.failure import Unsealable
from geumgo.sealing.plaintext import Plaintext
from geumgo.sealing.root import verify_signature

__all__ = ["Problem", "Report", "records", "verify", "verify_below"]

PROBLEMS_PER_CHAIN = 1_000
_KNOWN_FILES = re.compile(rf"[0-9]{{8}}(\.trail|{re.escape(DRAFT_SUFFIX)})|{floor.NAME}|{re.escape(floor.DRAFT_NAME)}")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and where: `line` counts from 1 in the file of `segment`; 0 where no single line is meant."""

    chain: str
    segment: int
    line: int
    seq: int
    event_id: str
    what: str

    def __str__(self) -> str:
        return f"{self.chain}/{self.segment:08}.trail line {self.line} (record {self.seq} {self.event_id}): {self.what}"


@dataclass(slots=True)
class Report:
    """What was found. `unsigned` are the newest lines of chains, which no signature covers yet; `pruned` the records below their floors."""

    chains: int = 0
    records: int = 0
    unsigned: int = 0
    pruned: int = 0
    torn_bytes: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems


def verify(
    directory: Path,
    public_key: bytes | Collection[bytes] | Mapping[bytes, Plaintext | None],
    anchors: Iterable[Head] = (),
    *,
    mac_key: Plaintext | None = None,
) -> Report:
    """What `directory` holds is what was written, or the report has problems.

    `public_key` has 32 bytes; where the root key was changed, give the key of each term. With `mac_key`, or a mapping that says which
    one belongs to which public key (oldest first: no segment goes back to an older one), the newest lines are checked too, which no
    signature covers yet.
    """
    if isinstance(public_key, Mapping):
        trusted = dict(public_key)
    else:
        trusted = dict.fromkeys({public_key} if isinstance(public_key, bytes) else public_key, mac_key)
    by_chain = {anchor.chain: anchor for anchor in anchors}
    report = Report()
    places = sorted(path for path in directory.iterdir() if path.is_dir()) if directory.is_dir() else []
    for place in places:
        report.chains += 1
        _Walk(place, trusted, by_chain.get(place.name), report, ordered=isinstance(public_key, Mapping)).run()
    for name in sorted(by_chain.keys() - {place.name for place in places}):
        report.problems.append(Problem(name, 0, 0, by_chain[name].seq, "", "the whole chain is missing"))
    return report


def verify_below(place: Path, trusted: Mapping[bytes, Plaintext | None], number: int) -> list[Problem]:
    """What is wrong with the segments of one chain from its floor to the one before `number`, which says where that one ended.

    `trusted` are the keys as `verify` takes them.
    """
    report = Report()
    _Walk(place, trusted, None, report, ordered=True).run(below=number)
    return report.problems


class _Walk:
    """One chain, from its first line to its last."""

    def __init__(
        self,
        place: Path,
        trusted: Mapping[bytes, Plaintext | None],
        anchor: Head | None,
        report: Report,
        *,
        ordered: bool,
    ) -> None:
        self._place, self._chain, self._trusted, self._report = place, place.name, trusted, report
        self._mac_key: bytes | None = None  # of the segment, if it is known
        self._ages = {key: age for age, key in enumerate(trusted)} if ordered else {}
        self._age = 0
        self._anchor = anchor
        self._anchored = False
        self._anchored_under: bytes | None = None  # the key of the segment where it stands
        self._seq, self._hash = 0, ORIGIN
        self._key: bytes | None = None
        self._unsigned = 0
        self._last = False  # the segment was ended by its writer
        self._segment, self._row = 0, 0
        self._found = 0

    def run(self, *, below: int | None = None) -> None:
        """Of a chain that is walked `below` a segment nothing is said of that one, nor of what comes after it."""
        self._refuse_strangers()
        first = self._begin()
        numbers = [number for number in numbers_in(self._place) if number >= first]
        for number, before in zip(numbers, [first - 1, *numbers], strict=False):
            if number != before + 1:
                self._segment, self._row = number, 0
                self._problem(f"there is no segment {number - 1} before this one")
        for number, following in zip(numbers, [*numbers[1:], None], strict=True):
            if number == below:
                return
            self._walk_segment(number, following)
        self._report.unsigned += self._unsigned
        self._check_anchor()

    def _begin(self) -> int:
        """The segment with which the chain begins: the first, or that of its floor."""
        try:
            found = floor.floor_of(self._place)
        except ValueError:
            self._problem("the floor of this chain cannot be read")
            return 1
        if found is None:
            return 1
        if found.chain != self._chain or not found.is_signed(self._trusted):
            self._problem("the signature of the floor is not good")
            return 1
        self._report.pruned += found.seq
        self._seq, self._hash = found.seq, found.hash
        self._check_floor(found)
        return found.segment

    def _check_floor(self, standing: floor.Floor) -> None:
        """No segment of a later term than that of the floor was begun when the chain stood on another one.

        Every segment is asked, those too that are not walked now. One of a release that did not say so, or that could not prove its floor
        when it was begun, says nothing.
        """
        age = self._ages.get(standing.public_key, len(self._ages))
        for number in numbers_in(self._place):
            opening = _opening_of(path_of(self._place, number)) or {}
            try:
                later = self._ages.get(bytes.fromhex(opening["publicKey"]), -1) > age
                found = standing.segment if opening.get("floor") is None else int(opening["floor"])
            except (KeyError, TypeError, ValueError):
                continue  # a problem of its own
            if later and (standing.segment >= number or standing.segment > found):
                self._segment, self._row = number, 1
                self._problem("the floor is signed with an older key than this segment, which did not find it")
                return

    def _walk_segment(self, number: int, following: int | None) -> None:
        self._segment, self._row, self._last = number, 0, False
        data = path_of(self._place, number).read_bytes()
        after = _after(path_of(self._place, following)) if following is not None else None
        whole = 0
        lines = lines_in(data)
        for start, stop, line in lines:
            if line is None and self._is_torn(data, start, after, following):
                break
            self._row += 1
            if self._row == 1 and line is not None:
                self._mac_key = self._mac_key_of(line)
            whole = stop
            self._take(line)
        self._check_tail(data, whole, after, following)

    def _take(self, line: Line | None) -> None:
        """One line more. After a problem, the walk goes on from what the line says of itself."""
        if line is None:
            self._problem("this line was changed, or is no record at all", seq=self._seq + 1)
            self._seq += 1
            self._hash = ""
            return
        self._report.records += 1
        if line.chain != self._chain:
            self._problem(f"this line belongs to chain {line.chain}", line)
        elif self._row == 1 and line.kind != SEGMENT:
            self._problem("the segment does not begin with the line that opens it", line)
        elif line.seq != self._seq + 1:
            self._problem(f"record {self._seq + 1} is missing here, or this one is out of order", line)
        elif line.prev != self._hash and self._hash:
            self._problem("this line does not follow the line before it", line)
        elif self._mac_key is not None and not is_ours(line, self._mac_key):
            self._problem("this line was not written by a holder of the key", line)
        elif self._last:
            self._problem("this line stands behind the end of the segment", line)
        elif line.kind in (SEGMENT, CHECKPOINT):
            self._check_control(line)
        if line.kind != CHECKPOINT:
            self._unsigned += 1
        self._seq, self._hash = line.seq, line.hash
        if self._anchor is not None and line.seq == self._anchor.seq and not self._anchored:
            self._anchored, self._anchored_under = True, self._key
            if line.hash != self._anchor.hash:
                self._problem("this is not the record that was anchored", line)

    def _mac_key_of(self, opening: Line) -> bytes | None:
        """The key of the term in which a segment says that it was written; None: that is not known."""
        try:
            found = self._trusted.get(bytes.fromhex(opening.record()["publicKey"]))
        except (msgspec.DecodeError, KeyError, TypeError, ValueError):
            return None
        return found.reveal() if found is not None else None

    def _check_control(self, line: Line) -> None:
        try:
            record = line.record()
            if line.kind == CHECKPOINT:
                self._check_checkpoint(line, record)
            else:
                self._check_opening(line, record)
        except (msgspec.DecodeError, KeyError, TypeError, ValueError, AttributeError):
            self._problem(f"this {line.kind} line cannot be read", line)

    def _check_checkpoint(self, line: Line, record: dict[str, Any]) -> None:
        says_the_same = (record["seq"], record["hash"]) == (line.seq - 1, line.prev)
        key = self._key if self._key in self._trusted else None
        if not (says_the_same and key and _is_signed(key, self._chain, line.seq - 1, line.prev, record["signature"])):
            self._problem("the signature of this checkpoint is not good", line)
            return
        self._unsigned = 0
        self._last = bool(record.get("last"))

    def _check_opening(self, line: Line, record: dict[str, Any]) -> None:
        if self._row != 1:
            self._problem("a segment is opened in the middle of another", line)
            return
        self._key = bytes.fromhex(record["publicKey"])
        if self._key not in self._trusted:
            self._problem("this segment was signed with a key that is not trusted", line)
        age = self._ages.get(self._key, self._age)
        if age < self._age:
            self._problem("this segment was signed with an older key than the one before it", line)
        self._age = max(age, self._age)
        if record["segment"] != self._segment:
            self._problem(f"this is segment {record['segment']}", line)
        lost = record["lost"]
        if lost is not None:
            self._problem(
                f"when this segment was opened, the files had lost records: record {lost['seq']} had been anchored",
                line,
            )

    # -- ends --------------------------------------------------------------------------------------------------------

    def _is_torn(self, data: bytes, start: int, after: dict[str, Any] | None, following: int | None) -> bool:
        """Whether what begins at `start` may be the rest of a write that a crash tore: nothing behind it was ever signed."""
        if following is not None:
            return after is not None and after.get("bytes") == start
        return not self._last and not _holds_checkpoint(data, start, self._chain)

    def _check_tail(self, data: bytes, whole: int, after: dict[str, Any] | None, following: int | None) -> None:
        """What stands behind the last whole line of a segment: zeros, or what a crash tore."""
        torn = data[whole:].rstrip(b"\0")
        self._report.torn_bytes += len(torn)
        if following is None:
            if torn and (self._last or _holds_checkpoint(data, whole, self._chain)):
                self._problem(f"{len(torn)} bytes stand behind the end of the segment")
            return
        if after is None:
            return  # the next segment does not open as it should, which is a problem of its own
        if after != End(self._segment, self._seq, self._hash, whole, torn).described():
            self._problem("this segment does not end where the next one says it did")
        elif torn and _holds_checkpoint(data, whole, self._chain):
            self._problem("signed records at the end of this segment were damaged before the next one was opened")

    def _check_anchor(self) -> None:
        anchor = self._anchor
        self._row = 0
        if anchor is None:
            if self._is_dropped(self._key):
                self._problem("this chain ends under a root key that was dropped, and no head of it is kept")
            return
        if not self._anchored:
            self._problem(f"the chain ends at record {self._seq}, but record {anchor.seq} had been anchored")
        under = self._anchored_under
        keys = [under] if under is not None and under in self._trusted else [*self._trusted]
        if not any(_is_signed(key, anchor.chain, anchor.seq, anchor.hash, anchor.signature) for key in keys):
            self._problem("the signature of the anchor is not good", seq=anchor.seq)

    def _is_dropped(self, key: bytes | None) -> bool:
        """Whether only the public half of `key` is left of its term."""
        return key in self._ages and self._trusted[key] is None and self._ages[key] < len(self._ages) - 1

    def _refuse_strangers(self) -> None:
        for path in sorted(self._place.iterdir()):
            known = _KNOWN_FILES.fullmatch(path.name)
            if known and not os.path.lexists(path):  # a draft that has got its name meanwhile
                continue
            if not known or path.is_symlink() or not path.is_file():
                self._problem(f"{path.name!a} does not belong here")

    def _problem(self, what: str, line: Line | None = None, *, seq: int | None = None) -> None:
        self._found += 1
        if self._found > PROBLEMS_PER_CHAIN:
            return
        number = line.seq if line is not None else self._seq if seq is None else seq
        self._report.problems.append(
            Problem(self._chain, self._segment, self._row, number, line.id if line is not None else "", what)
        )


def _is_signed(key: bytes, chain: str, seq: int, hash_: str, signature: str) -> bool:
    try:
        verify_signature(key, bytes.fromhex(signature), head_message(chain, seq, hash_))
    except (Unsealable, ValueError):
        return False
    return True


def _after(path: Path) -> dict[str, Any] | None:
    """What the segment `path` says of the one before it, or None if it does not open with such a line."""
    after = (_opening_of(path) or {}).get("after")
    return after if isinstance(after, dict) else None


def _opening_of(path: Path) -> dict[str, Any] | None:
    """What the segment `path` says of itself, or None if it does not open with such a line."""
    with path.open("rb") as file:
        first = file.readline(LONGEST_OPENING_BYTES)
    line = next((line for _, _, line in lines_in(first)), None)
    if line is None or line.kind != SEGMENT:
        return None
    try:
        return line.record()
    except msgspec.DecodeError:
        return None


def _holds_checkpoint(data: bytes, start: int, chain: str) -> bool:
    """Whether a whole checkpoint of `chain` stands somewhere behind `start`."""
    found: Iterator[Line | None] = (line for _, _, line in lines_in(data, start))
    return any(line is not None and line.kind == CHECKPOINT and line.chain == chain for line in found)
