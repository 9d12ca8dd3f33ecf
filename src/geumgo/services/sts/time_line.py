"""Time lines: a session that was made before the clock was set back is over, for nobody can tell any more when it ends.

A clock that goes back a year would make sessions valid again that ended since. So each token says in which time line it was made, and only
those of the present one are accepted. No row: the clock was never set back, and the number is 0.
"""

from typing import Final

from geumgo.sealing import Sealing
from geumgo.storage import Tx

SAME_MS: Final = 60_000
"""Processes that find their clock set back within so many milliseconds of each other speak of one event."""
_TABLE: Final = "sts_time_line"


def current(tx: Tx, sealing: Sealing) -> int:
    """The number of the present time line."""
    number = tx.derived(("sts.time line",), lambda: _read(tx, sealing)[0])
    assert number is not None, "there is always a time line"
    return number


def begin(tx: Tx, sealing: Sealing, now_ms: int) -> int:
    """The clock, which says `now_ms`, was set back: a new time line has begun. Answers its number.

    If another process has begun one for the same event, that is it.
    """
    number, began_at_ms = _read(tx, sealing)
    if number and abs(now_ms - began_at_ms) < SAME_MS:
        return number
    row = {"one": 1, "number": number + 1, "began_at_ms": now_ms}
    tx.run(
        """
        INSERT INTO sts_time_line (one, number, began_at_ms, mac) VALUES (:one, :number, :began_at_ms, :mac)
        ON CONFLICT (one) DO UPDATE SET number = excluded.number, began_at_ms = excluded.began_at_ms, mac = excluded.mac
        """,
        **row,
        mac=sealing.vouch(_TABLE, row),
    )
    return number + 1


def _read(tx: Tx, sealing: Sealing) -> tuple[int, int]:
    found = tx.one("SELECT number, began_at_ms, mac FROM sts_time_line WHERE one = 1")
    if found is None:
        return 0, 0
    number, began_at_ms, mac = found
    sealing.check(_TABLE, {"one": 1, "number": number, "began_at_ms": began_at_ms}, mac)
    return number, began_at_ms
