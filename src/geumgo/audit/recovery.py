"""What became of the writes that a crash left without an outcome.

A write's intent is on the disk before it commits, and `applied_request` has its row exactly if it did. So the database knows what the
trail does not, and after a start the trail is told.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from geumgo.audit.store import KEEP_APPLIED_MS, was_applied
from geumgo.audit.trail import Kind
from geumgo.storage import Storage


class Unresolved(Protocol):
    """A trail, or what several threads see of one."""

    @property
    def unresolved(self) -> Mapping[str, int]: ...
    def note(self, kind: Kind, record: Mapping[str, Any]) -> str: ...
    def settle(self) -> None: ...


def resolve(trail: Unresolved, storage: Storage, now_ms: int) -> int:
    """Every intent of this chain has its outcome on the disk. Answers how many had none.

    A write that is found not to have committed can commit no more: a connection that the crash left behind is refused. An intent older
    than the rows are kept has the outcome "unknown". Call it once, before the first `note`.

    Raises storage.StorageError or TrailBroken, TrailFull; then nothing is lost, and it may be called again.
    """
    waiting = trail.unresolved
    if not waiting:
        return 0
    with storage.writing() as tx:
        found = {intent: was_applied(tx, intent, at_ms) for intent, at_ms in waiting.items()}
    for intent, committed in found.items():
        forgotten = not committed and waiting[intent] < now_ms - KEEP_APPLIED_MS
        trail.note("outcome", {"intent": intent, "committed": "unknown" if forgotten else committed, "resolved": True})
    trail.settle()
    return len(found)
