"""Writing down what was done outside, so that it is not done again."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

from geumgo.storage import Conflict, Tx

TRIES: Final = 20


def keep(opened: Callable[[], AbstractContextManager[Tx]], change: Callable[[Tx], None]) -> None:
    """`change` is committed in a transaction of `opened`. While others are in the way that alone is tried again, not the whole job:

    the event has been sent already. Raises Conflict after many tries; then the job runs once more, and the event is sent twice.
    """
    for _ in range(TRIES - 1):
        try:
            with opened() as tx:
                change(tx)
        except Conflict:
            continue
        return
    with opened() as tx:
        change(tx)
