"""What transactions have changed, for whoever keeps what follows from rows. On PostgreSQL, where writers do not wait for each other.

A transaction that changes what may be kept writes one row with its last statement: its number, and the ids under which something is
dropped. The row is seen exactly when everything else that the transaction did is seen.

Numbers are given when a transaction begins to write, not when it commits: one with a low number may commit after many higher ones. So a
glance does not ask for what is above the highest number it knows. It asks for the rows of all transactions that the snapshot of the
glance before did not see: those at or above its xmax, which had not begun, and those that it lists as running. Both are found in the
index, however old the oldest running transaction is, and the same statement answers the snapshot for the next glance.

Few rows are kept. The last row, under a number that no transaction has, says below which number rows are gone: whoever has seen a
snapshot that was older drops everything. Nobody's knowledge outlives its connection (after a crash, a failover or a restore the server
may give numbers again), so the table need not outlive the server either: it is not logged, and empty after a crash.

Source: "Transaction ID and snapshot information functions", PostgreSQL documentation.
"""

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from geumgo.storage.text import EVERYTHING
from geumgo.storage.transaction import RECENT

LAST: Final = 2**64 - 1
"""The number of the last row, which no transaction has."""
LEFT: Final = 2 * RECENT
"""Rows that are left when older ones are removed: whoever has missed more changes drops all anyway."""
REMOVE_EVERY: Final = 500
"""Changes of one process after which it removes old rows."""

NAME: Final = "kept_change"
IS_THERE: Final = "SELECT to_regclass('kept_change')::text"
TABLE: Final = """
CREATE UNLOGGED TABLE IF NOT EXISTS kept_change (xid xid8 PRIMARY KEY, ids TEXT NOT NULL, gone_below xid8)
"""
# Rows of another server (this database was restored from its dump) have numbers that this one has not given yet.
IS_OURS: Final = f"""
SELECT EXISTS (SELECT 1 FROM kept_change
               WHERE xid = '{LAST}' AND gone_below <= pg_snapshot_xmax(pg_current_snapshot()))
   AND NOT EXISTS (SELECT 1 FROM kept_change WHERE xid >= pg_snapshot_xmax(pg_current_snapshot()) AND xid < '{LAST}')
"""  # noqa: S608 - a number of ours
# What another connection of ours is about to do here, or a writer with its row, has happened before or happens afterwards.
BEGIN_ANEW: Final = f"""
BEGIN ISOLATION LEVEL READ COMMITTED;
LOCK TABLE kept_change IN SHARE ROW EXCLUSIVE MODE;
DELETE FROM kept_change;
INSERT INTO kept_change (xid, ids, gone_below) VALUES ('{LAST}', '', pg_snapshot_xmax(pg_current_snapshot()));
COMMIT
""".encode()  # noqa: S608
# Nothing at or above the oldest running transaction is removed, so that a snapshot taken afterwards is never one that has missed something.
# The lock comes first: the statement after it sees what the one who held it before has done, and numbers only rise.
REMOVE: Final = f"""
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT 1 FROM kept_change WHERE xid = '{LAST}' FOR UPDATE;
WITH below AS (
    SELECT LEAST(pg_snapshot_xmin(pg_current_snapshot()), kept.xid) AS xid
    FROM (SELECT xid FROM kept_change WHERE xid < '{LAST}' ORDER BY xid DESC OFFSET {LEFT - 1} LIMIT 1) kept
), removed AS (
    DELETE FROM kept_change WHERE xid < (SELECT xid FROM below)
)
UPDATE kept_change SET gone_below = below.xid FROM below
WHERE kept_change.xid = '{LAST}' AND kept_change.gone_below < below.xid;
COMMIT
""".encode()  # noqa: S608

GLANCE: Final = "kept_glance"
_MOST: Final = (
    RECENT + 1
)  # rows of one glance that say something: more than the changes that are counted, and the last row
PREPARE_GLANCE: Final = f"""
PREPARE {GLANCE} (xid8, xid8[]) AS
SELECT pg_current_snapshot(), ids, gone_below FROM kept_change WHERE xid >= $1
UNION ALL SELECT pg_current_snapshot(), ids, gone_below FROM kept_change WHERE xid = ANY ($2) LIMIT {_MOST + 1}
"""  # noqa: S608

Seen = tuple[bytes, bytes, bytes | None]
"""A row of a glance, as text: the snapshot that it was taken in, the ids, and in the last row the number below which rows are gone."""


class Snapshot(NamedTuple):
    """Which transactions are seen: all below `xmax` but those that are `running`, of which `xmin` is the lowest."""

    text: bytes
    xmin: int
    xmax: int
    running: bytes  # numbers, with commas between them

    @classmethod
    def of(cls, text: bytes) -> "Snapshot":
        """`text`: as PostgreSQL spells a pg_snapshot."""
        xmin, xmax, running = text.split(b":")
        return cls(text, int(xmin), int(xmax), running)


_NONE: Final = Snapshot(b"", LAST, LAST, b"")
"""Before the first glance nothing is known. It asks for no changes, and so it drops all: what was read since `forget` may be kept."""


class Changes:
    """What one open storage has seen of the changes, by glances that follow each other on one connection."""

    def __init__(self) -> None:
        self._epochs = 0  # how often everything was dropped
        self._count = 0  # of ids that were dropped since
        self._recent: list[bytes] = []  # the newest of them, in order
        self._seen = _NONE

    @property
    def mark(self) -> bytes:
        """See `Storage.mark`."""
        return self._epochs.to_bytes(8, "big") + self._count.to_bytes(8, "big")

    def params(self) -> list[bytes]:
        """The parameters of the next glance."""
        return [b"%d" % self._seen.xmax, b"{%b}" % self._seen.running]

    def statement(self) -> bytes:
        """The next glance as an SQL text."""
        return b"EXECUTE %b ('%d', '{%b}')" % (GLANCE.encode(), self._seen.xmax, self._seen.running)

    def forget(self) -> None:
        """The connection is a new one: all that was kept is dropped."""
        self._drop_all()
        self._seen = _NONE

    def note(self, rows: Sequence[Seen]) -> bool:
        """The answer to a glance. False: its last row is not there. Nothing can be known then, and all is dropped at each glance."""
        if not rows:
            self.forget()
            return False
        text = rows[0][0]
        if text == self._seen.text:
            return True  # the same transactions are seen: the same rows
        before, self._seen = self._seen, Snapshot.of(text)
        below = [gone_below for _, _, gone_below in rows if gone_below is not None]
        changes = [ids for _, ids, gone_below in rows if gone_below is None]
        if len(rows) > _MOST:
            self._drop_all()
            return True
        if not below:
            self.forget()
            return False
        if before is _NONE or int(below[0]) > before.xmin or EVERYTHING.encode() in changes:
            self._drop_all()
            return True
        self._drop([id_ for ids in changes for id_ in ids.split()])
        return True

    def dropped(self, before: bytes) -> Collection[str] | None:
        """See `Storage.dropped`."""
        epochs, missed = int.from_bytes(before[:8], "big"), self._count - int.from_bytes(before[8:], "big")
        if epochs != self._epochs or not 0 <= missed <= len(self._recent):
            return None
        return [id_.decode() for id_ in self._recent[len(self._recent) - missed :]]

    def _drop_all(self) -> None:
        self._epochs += 1
        self._count = 0
        self._recent.clear()

    def _drop(self, ids: list[bytes]) -> None:
        if ids:
            self._count += len(ids)
            self._recent = [*self._recent, *ids][-RECENT:]


def row_of(ids: Collection[str]) -> bytes:
    """The statement that writes the row of a transaction in which something is dropped under `ids`, each an id or EVERYTHING."""
    text = EVERYTHING if EVERYTHING in ids else "\n".join(ids)
    return f"INSERT INTO kept_change (xid, ids) VALUES (pg_current_xact_id(), '{text}')".encode()  # noqa: S608 - ids were checked
