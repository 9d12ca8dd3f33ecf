"""A long log, and every way in which somebody who cannot sign may change it.

What a mutation concerns is a few neighbouring segments. Cut out of the log they are a log of their own that the program could have left: the
older ones pruned, with a floor that the holder of the keys has signed; the newest one as it stood at one of its checkpoints, whose head was kept.
So `verify` walks some thousand records where the whole log has a million. The same mutations can be made in the whole log.
"""

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from geumgo.audit.floor import Floor, keep_floor, message
from geumgo.audit.line import Head, Line, build, encode_record, head_message, take_apart
from geumgo.audit.segment import CHECKPOINT, SEGMENT, End, numbers_in, path_of
from geumgo.audit.verify import Report, verify
from tests.audit.trails import KEYS, anchor_of, files_of, keys_of, kill, open_trail
from tests.clock import START_MS, TurnedClock

BATCH: Final = 20  # records that are settled together
CRASHES: Final = 12  # of the writer, spread over the log
SIGNED: Final = 4  # checkpoints in a segment, about
LINE_BYTES: Final = 1_000
WIDTH: Final = 3  # segments in a window
STRANGER: Final = keys_of(b"s" * 32)
CALL: Final = {
    "eventVersion": "1.09",
    "userIdentity": {
        "type": "IAMUser", "principalId": "AIDAQWERTYUIOPASDFGH", "arn": "arn:aws:iam::111122223333:user/app", "accountId": "111122223333",
        "accessKeyId": "AKIAQWERTYUIOPASDFGH", "userName": "app",
    },
    "eventTime": "2026-09-21T14:13:20Z", "eventSource": "secretsmanager.amazonaws.com", "eventName": "GetSecretValue", "awsRegion": "us-east-1",
    "sourceIPAddress": "127.0.0.1", "userAgent": "Boto3/1.44.5", "requestParameters": {"secretId": "app/prod/db"}, "responseElements": None,
    "readOnly": True, "eventType": "AwsApiCall", "managementEvent": True, "recipientAccountId": "111122223333", "eventCategory": "Management",
}  # fmt: skip


class Log:
    """A chain of `records` records, whose writer was killed some times in the middle of a write, and ended it at last."""

    def __init__(self, directory: Path, records: int, segment_bytes: int) -> None:
        self.directory, self.place, self.segment_bytes = directory, directory / "n1-a", segment_bytes
        clock, noted, anchor = TurnedClock(), 0, None
        between_ms = BATCH * LINE_BYTES * SIGNED * 1_000 // segment_bytes
        for _ in range(CRASHES + 1):
            trail = open_trail(directory, clock, anchor=anchor, segment_bytes=segment_bytes)
            for _ in range(records // (CRASHES + 1) // BATCH):
                for number in range(noted, noted + BATCH, 2):
                    intent = trail.note("intent" if number % 10 == 0 else "call", {**CALL, "number": number})
                    if number % 10 == 0:
                        trail.note("outcome", {"intent": intent, "committed": True})
                    else:
                        trail.note("call", {**CALL, "number": number + 1, "requestID": "x" * (number % 97)})
                noted += BATCH
                trail.settle()
                clock.turn(ms=between_ms)
            trail.checkpoint()
            anchor = anchor_of(trail)
            trail.note("call", {"torn": "by a crash"})
            trail.settle()
            kill(trail)
            newest = files_of(directory)[-1]
            written = newest.read_bytes().rstrip(b"\0")
            newest.write_bytes(written[:-60])
        trail = open_trail(directory, clock, anchor=anchor, segment_bytes=segment_bytes)
        trail.close()
        self.records = noted
        self.anchor = trail.heads()[0]
        self.numbers = numbers_in(self.place)

    def window(self, directory: Path, chance: random.Random) -> "Window":
        """Some segments of it in `directory`, which is empty."""
        first = chance.choice(self.numbers[: 1 - WIDTH])
        place = directory / self.place.name
        place.mkdir(parents=True)
        for number in range(first, first + WIDTH):
            shutil.copy(path_of(self.place, number), place)
        if first > 1:
            opening = line_of(path_of(place, first).read_bytes().split(b"\n", 1)[0])
            said = (place.name, first, opening.seq - 1, opening.prev, START_MS)
            keep_floor(place, Floor(*said, KEYS.public_key, KEYS.sign(message(*said)).hex()))
        paths = [path_of(place, number) for number in range(first, first + WIDTH)]
        return Window(directory, paths, self._as_it_stood(paths[-1], chance), first + WIDTH)

    def _as_it_stood(self, path: Path, chance: random.Random) -> Head:
        """The segment `path` ends at one of its checkpoints, behind which are zeros. Answers what was signed there."""
        rows = path.read_bytes().split(b"\n")
        signed = [at for at, row in enumerate(rows[:-1]) if b'"kind":"checkpoint"' in row[:400]]
        at = chance.choice(signed[1:] or signed)
        signs, record = line_of(rows[at]), line_of(rows[at]).record()
        whole = b"".join(row + b"\n" for row in rows[: at + 1])
        path.write_bytes(whole if record.get("last") else whole.ljust(self.segment_bytes, b"\0"))
        return Head(signs.chain, record["seq"], record["hash"], signs.at_ms, record["signature"])

    def whole(self, chance: random.Random) -> "Window":
        """All of it, of which some segments may be changed: sooner or later the first ones, the last ones, and any."""
        first = chance.choice((1, chance.choice(self.numbers[: 1 - WIDTH]), self.numbers[-WIDTH]))
        paths = [path_of(self.place, number) for number in range(first, first + WIDTH)]
        return Window(self.directory, paths, self.anchor, self.numbers[-1] + 1)


@dataclass
class Window:
    """Segments to be changed, `paths`, of the log in `directory`, and the head that the database keeps.

    Not changed is the last line of the chain: a checkpoint that says of the record before it what the head says, too.
    """

    directory: Path
    paths: list[Path]
    anchor: Head
    next_number: int
    kept: dict[Path, bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.kept = {path: path.read_bytes() for path in self.paths}

    @property
    def behind(self) -> Path:
        """What the next segment would be called."""
        return path_of(self.paths[0].parent, self.next_number)

    def ends(self, path: Path) -> bool:
        """Whether the chain ends in the segment `path`."""
        return path_of(path.parent, self.next_number - 1) == path

    def limit(self, path: Path) -> int:
        """So many bytes of the segment may be changed."""
        data = self.kept[path]
        return data.rstrip(b"\0\n").rfind(b"\n") + 1 if self.ends(path) else len(data)

    def rows(self, path: Path) -> list[bytes]:
        """The lines of the segment, and what stands behind the last one."""
        return self.kept[path].split(b"\n")

    def places(self) -> list[tuple[Path, int]]:
        """Every line that may be changed, as its segment and its place in there."""
        return [(path, at) for path in self.paths for at in range(len(self.rows(path)) - 1 - self.ends(path))]

    def check(self) -> Report:
        return verify(self.directory, KEYS.public_key, [self.anchor])

    def is_changed(self) -> bool:
        return self.behind.exists() or any(
            not path.exists() or path.read_bytes() != data for path, data in self.kept.items()
        )

    def restore(self) -> None:
        self.behind.unlink(missing_ok=True)
        for path, data in self.kept.items():
            path.write_bytes(data)


def line_of(row: bytes) -> Line:
    line = take_apart(row)
    assert line is not None, row[:200]
    return line


def put(path: Path, rows: list[bytes]) -> None:
    path.write_bytes(b"\n".join(rows))


def flip_a_bit(window: Window, chance: random.Random) -> None:
    path = chance.choice(window.paths)
    data = bytearray(window.kept[path])
    data[chance.randrange(window.limit(path))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def delete_a_line(window: Window, chance: random.Random) -> None:
    path, at = chance.choice(window.places())
    rows = window.rows(path)
    del rows[at]
    put(path, rows)


def swap_two_lines(window: Window, chance: random.Random) -> None:
    (one, at), (other, there) = chance.sample(window.places(), 2)
    rows = {path: window.rows(path) for path in (one, other)}
    rows[one][at], rows[other][there] = rows[other][there], rows[one][at]
    for path, changed in rows.items():
        put(path, changed)


def double_a_line(window: Window, chance: random.Random) -> None:
    (source, of), (path, at) = chance.choice(window.places()), chance.choice(window.places())
    if chance.random() < 0.5:
        path, at = source, min(of + 1, len(window.rows(source)) - 1)  # right behind itself
    rows = window.rows(path)
    rows.insert(at, window.rows(source)[of])
    put(path, rows)


def insert_a_forged_line(window: Window, chance: random.Random) -> None:
    """It follows the line before it, in number and hash."""
    path, at = chance.choice([place for place in window.places() if place[1] > 0])
    rows = window.rows(path)
    before = line_of(rows[at - 1])
    rows.insert(at, forged(before, {**CALL, "number": chance.randrange(1_000)})[0])
    put(path, rows)


def truncate(window: Window, chance: random.Random) -> None:
    path = chance.choice(window.paths)
    data = window.kept[path]
    cut = data[: chance.randrange(window.limit(path))]
    path.write_bytes(cut.ljust(len(data), b"\0") if chance.random() < 0.3 else cut)
    if chance.random() < 0.5:
        remove_behind(window, path)


def restore_an_old_segment(window: Window, chance: random.Random) -> None:
    """As it was when only some of its lines had been written; or the whole log as it was then."""
    path = chance.choice(window.paths)
    rows = window.rows(path)
    if len(rows) < 4:
        return  # nothing but its beginning
    until = chance.randrange(1, len(rows) - 2)
    older = b"".join(row + b"\n" for row in rows[:until])
    path.write_bytes(older.ljust(len(window.kept[path]), b"\0"))
    if chance.random() < 0.5:
        remove_behind(window, path)


def forge_with_another_key(window: Window, chance: random.Random) -> None:
    """From some record on all is written again, numbers, hashes, ends and signatures: right, but for the keys.

    Every other time the forger says that the segment is signed with his key.
    """
    start, first = chance.choice([place for place in window.places() if place[1] > 1])
    his_own = chance.random() < 0.5
    before, ended = line_of(window.rows(start)[first - 1]), None
    for path in window.paths[window.paths.index(start) :]:
        rows = window.rows(path)
        for at in range(first if path == start else 0, len(rows) - 1):
            line = line_of(rows[at])
            record = line.record()
            if (path, at) == (start, first):
                record["forged"] = True
            if line.kind == CHECKPOINT:
                signature = STRANGER.sign(head_message(line.chain, before.seq, before.hash)).hex()
                record |= {"seq": before.seq, "hash": before.hash, "signature": signature}
            elif line.kind == SEGMENT and ended is not None:
                record["after"] = ended.described()
                if his_own:
                    record["publicKey"] = STRANGER.public_key.hex()
            rows[at], before = forged(before, record, like=line)
        put(path, rows)
        torn = rows[-1].rstrip(b"\0")
        size = sum(len(row) + 1 for row in rows[:-1])
        ended = End(int(path.stem), before.seq, before.hash, size, torn)


def remove_a_segment(window: Window, chance: random.Random) -> None:
    chance.choice(window.paths).unlink()


def exchange_two_segments(window: Window, chance: random.Random) -> None:
    one, other = chance.sample(window.paths, 2)
    one.write_bytes(window.kept[other])
    other.write_bytes(window.kept[one])


def double_a_segment(window: Window, chance: random.Random) -> None:
    """Behind the last one, or in place of another."""
    source = chance.choice(window.paths)
    others = [path for path in window.paths if path != source]
    chance.choice([window.behind, *others]).write_bytes(window.kept[source])


def forged(before: Line, record: dict[str, Any], *, like: Line | None = None) -> tuple[bytes, Line]:
    """A line behind `before` by somebody who does not hold the key, without its newline, and the same taken apart."""
    made, _ = build(
        chain=before.chain, seq=before.seq + 1, prev=before.hash, at_ms=like.at_ms if like else before.at_ms,
        kind=like.kind if like else "call", event_id=like.id if like else f"{before.seq:08x}-0000-4000-8000-000000000000",
        record=encode_record(record), mac_key=STRANGER.mac_key.reveal(),
    )  # fmt: skip
    return made[:-1], line_of(made[:-1])


def remove_behind(window: Window, path: Path) -> None:
    for later in window.paths[window.paths.index(path) + 1 :]:
        later.unlink()


Mutation = Callable[[Window, random.Random], None]
MUTATIONS: Final[list[Mutation]] = [
    flip_a_bit, delete_a_line, swap_two_lines, double_a_line, insert_a_forged_line, truncate, restore_an_old_segment, forge_with_another_key,
    remove_a_segment, exchange_two_segments, double_a_segment,
]  # fmt: skip
