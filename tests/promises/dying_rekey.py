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
from geumgo.cli import main

PROGRAM: Final = [sys.executable, "-m", "tests.promises.dying_rekey"]
POINTS: Final = ("begun", "row", "table", "renewed", "waited", "turned", "dropped", "drained")
_waits = 0


def dies_if(point: str) -> None:
    if os.environ["DIES_AT"] == point:
        os.kill(os.getpid(), signal.SIGKILL)


def after(owner: Any, name: str, point: str | Callable[[], str]) -> None:
    """`owner.name` is followed by that point."""
    function = getattr(owner, name)

    def followed(*given: Any, **more: Any) -> Any:
        answer = function(*given, **more)
        dies_if(point if isinstance(point, str) else point())
        return answer

    setattr(owner, name, followed)


def which_wait() -> str:
    global _waits
    _waits += 1
    return "waited" if _waits == 1 else "drained"


if __name__ == "__main__":
    after(rekeying.Rekeying, "begin", "begun")
    after(renewal, "_write", "row")
    after(rekeying.Rekeying, "_walk", "table")
    after(rekeying.Rekeying, "renew", "renewed")
    after(rekeying.Rekeying, "wait", which_wait)
    after(rekeying.Rekeying, "_turn_chains", "turned")
    after(rekeying.Rekeying, "finish", "dropped")
    main()
