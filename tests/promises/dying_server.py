"""`geumgo` that kills itself, with all its processes, at a point of a rotation that a file names.

    DIES_AT=FILE python -m tests.promises.dying_server [FAULT] serve --data ...

FILE holds `STEP POINT`: the server dies once, when a rotation comes to that point of that step, and the file is gone then. Points: `invoked` (before the
function), `running` (in its middle), `answered` (it is done, and nobody has written it down), `committed`. FAULT, if there is one, is a
promise that is taken out.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from geumgo.cli import main
from geumgo.jobs.worker import Held
from geumgo.services.secretsmanager.domain_rotation import STEPS
from geumgo.services.secretsmanager.rotation_plan import Plan
from geumgo.storage import Tx

PROGRAM: Final = [sys.executable, "-m", "tests.promises.dying_server"]
POINTS: Final = ("invoked", "running", "answered", "committed")


def dies_if(step: str, point: str) -> None:
    file = Path(os.environ["DIES_AT"])
    try:
        if file.read_text() != f"{step} {point}":
            return
        file.unlink()
    except FileNotFoundError:
        return
    os.killpg(os.getpgrp(), signal.SIGKILL)


def dies() -> None:
    call, finishing = Held.call, Held.finishing

    def calls(self: Held, service: str, operation: str, /, **more: Any) -> Any:
        if operation != "Invoke":
            return call(self, service, operation, **more)
        step = json.loads(more["Payload"])["Step"]
        dies_if(step, "invoked")
        middle = threading.Timer(float(os.environ.get("DIES_AFTER", "0.5")), dies_if, (step, "running"))
        middle.start()
        answer = call(self, service, operation, **more)
        middle.cancel()
        dies_if(step, "running")  # it was quicker than that
        dies_if(step, "answered")
        return answer

    @contextmanager
    def finishes(self: Held) -> Iterator[Tx]:
        with finishing(self) as tx:
            yield tx
        dies_if(str(self._lease.payload.get("step")), "committed")

    setattr(Held, "call", calls)  # noqa: B010
    setattr(Held, "finishing", finishes)  # noqa: B010


def promises_the_next_step_a_moment_later() -> None:
    """What comes next is promised when the end of a step has been kept."""
    promise_step, finishing = Plan.promise_step, Held.finishing
    owed: list[Callable[[Tx], None]] = []

    def later(self: Plan, secret: Any, rotation: Any, at_ms: int) -> None:
        if rotation.step == STEPS[0]:
            promise_step(self, secret, rotation, at_ms)
        else:
            plan = self
            owed.append(
                lambda tx: promise_step(Plan(tx, plan.sealing, plan.now_ms, plan.event), secret, rotation, at_ms)
            )

    @contextmanager
    def apart(self: Held) -> Iterator[Tx]:
        with finishing(self) as tx:
            yield tx
        while owed:
            with self.storage.writing() as tx:
                owed.pop()(tx)

    setattr(Plan, "promise_step", later)  # noqa: B010
    setattr(Held, "finishing", apart)  # noqa: B010


FAULTS: Final[dict[str, Callable[[], None]]] = {
    each.__name__: each for each in (promises_the_next_step_a_moment_later,)
}


if __name__ == "__main__":
    dies()
    if sys.argv[1] in FAULTS:
        FAULTS[sys.argv.pop(1)]()
    sys.argv[0] = os.fspath("geumgo")
    main()
