"""`geumgo rekey` that kills itself at a point that its environment names.

    DIES_AT=POINT python -m tests.promises.dying_rekey rekey --data ...

Points: `begun` (the new term is in the file), `row` (in the middle of a transaction), `table` (rows of one table are committed),
`renewed` (all rows, once), `waited` (no process has the old term any more), `turned` (the trail goes on in the new term), `dropped` (the
old term is gone from the file; processes still have it), `drained` (and they have it no more).
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any, Final

from geumgo import renewal
from geumgo.app import rekeying
from geumgo.app.rings import Ring
from geumgo.cli import main

PROGRAM: Final = [sys.executable, "-m", "tests.promises.dying_rekey"]
POINTS: Final = ("begun", "row", "table", "renewed", "waited", "turned", "dropped", "drained")


def dies_if(point: str) -> None:
    if os.environ["DIES_AT"] == point:
        os.kill(os.getpid(), signal.SIGKILL)


def after(owner: Any, name: str, point: str | Callable[..., str]) -> None:
    """`owner.name` is followed by that point, or by the one that is made of what was given to it."""
    function = getattr(owner, name)

    def followed(*given: Any, **more: Any) -> Any:
        answer = function(*given, **more)
        dies_if(point if isinstance(point, str) else point(*given))
        return answer

    setattr(owner, name, followed)


def waited_for(_: rekeying.Rekeying, ring: Ring, *__: float) -> str:
    """A ring of several terms is waited for before the old ones are dropped; a command that goes on after that waits only once."""
    return "waited" if len(ring) > 1 else "drained"


if __name__ == "__main__":
    after(rekeying.Rekeying, "begin", "begun")
    after(renewal, "_write", "row")
    after(rekeying.Rekeying, "_walk", "table")
    after(rekeying.Rekeying, "renew", "renewed")
    after(rekeying.Rekeying, "wait", waited_for)
    after(rekeying.Rekeying, "_turn_chains", "turned")
    after(rekeying.Rekeying, "finish", "dropped")
    main()
