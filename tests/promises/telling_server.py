"""`geumgo` that tells a `Stage` where its rotations are, and waits there until it is let on.

    TELLS=SOCKET [LEASE_MS=N] python -m tests.promises.telling_server [FAULT ...] serve --data ...

Points of a step: `invoked` (before the function, or before the owner of the secret does it), `begun` (the function has its event), `kept` (it
has changed something in Secrets Manager, and does not know yet), `answering` (it is done, and nobody has heard that), `answered` (it was heard),
`committed` (it is written down). `holding` (the lease of the job was kept, in a transaction that is not committed yet; of managed secrets). `let go` (the process has nothing to do with it any more). Of a rotation: `failed`, `succeeded` (written down). LEASE_MS is how long a worker may
stand still, if not as long as in the product. FAULT is a promise that is taken out.
"""

import json
import os
import select
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from geumgo.attached import steps
from geumgo.attached.steps import Steps
from geumgo.cli import main
from geumgo.edge import supervisor
from geumgo.functions import invocation, network, runtime_api
from geumgo.functions.fetched import Answers
from geumgo.functions.invocation import Invocation
from geumgo.functions.network import Network
from geumgo.jobs import crew, lease
from geumgo.jobs.lease import Lease
from geumgo.jobs.worker import Held, Worker
from geumgo.services.secretsmanager import domain_rotation
from geumgo.services.secretsmanager.rotation_plan import Plan
from geumgo.storage import Tx, postgres
from tests.promises import in_line
from tests.promises.dying_server import promises_the_next_step_a_moment_later

PROGRAM: Final = [sys.executable, "-m", "tests.promises.telling_server"]
local = (
    threading.local()
)  # `owed`: what is told when the transaction of this thread is committed; `invocation`: the one that is made


def tell(secret: str, step: str, point: str, sandbox: int = 0) -> None:
    told = {"secret": secret, "step": step, "point": point, "pid": os.getpid(), "sandbox": sandbox}
    with suppress(OSError), socket.socket(socket.AF_UNIX) as stage:  # the test may be over
        stage.connect(os.environ["TELLS"])
        line = in_line.lines([os.getppid(), os.getpid()])
        stage.sendall(json.dumps({**told, "at": time.monotonic(), "line": line}).encode() + b"\n")
        stage.recv(1)


def told_steps() -> None:
    call, take, run = Held.call, Steps.take, Worker._run

    def calls(self: Held, service: str, operation: str, /, **more: Any) -> Any:
        if operation != "Invoke":
            return call(self, service, operation, **more)
        event = json.loads(more["Payload"])
        local.doing = (event["SecretId"], event["Step"])
        tell(event["SecretId"], event["Step"], "invoked")
        answer = call(self, service, operation, **more)
        tell(event["SecretId"], event["Step"], "answered")
        return answer

    def takes(self: Steps, step: str) -> None:
        local.doing = (self._database.secret_arn, step)
        tell(self._database.secret_arn, step, "invoked")
        take(self, step)
        tell(self._database.secret_arn, step, "answered")

    def runs(self: Worker, taken: Lease) -> Exception | None:
        local.doing = None
        try:
            return run(self, taken)
        finally:
            if local.doing is not None:
                secret, step = local.doing
                tell(secret, step, "let go")

    setattr(Worker, "_run", runs)  # noqa: B010
    setattr(Held, "call", calls)  # noqa: B010
    setattr(Steps, "take", takes)  # noqa: B010


def told_beats() -> None:
    hold = lease.hold

    def holds(tx: Tx, held: Lease, *, now_ms: int) -> None:
        hold(tx, held, now_ms=now_ms)
        if "secret" in held.payload:
            tell(held.payload["secret"], held.payload["step"], "holding")

    setattr(lease, "hold", holds)  # noqa: B010


def told_ends() -> None:
    finishing = Held.finishing

    def owing(method: Callable[..., None], point: str) -> Callable[..., None]:
        def owes(self: Plan, secret: Any, rotation: Any, *more: Any) -> None:
            local.owed.append((secret.arn, rotation.step, point))
            method(self, secret, rotation, *more)

        return owes

    @contextmanager
    def finishes(self: Held) -> Iterator[Tx]:
        local.owed = []
        with finishing(self) as tx:
            yield tx
        for each in reversed(local.owed):  # what became of the rotation first: at the other point it may be killed
            tell(*each)

    for name, point in {"step_done": "committed", "_fail": "failed", "_succeed": "succeeded"}.items():
        setattr(Plan, name, owing(getattr(Plan, name), point))
    setattr(Held, "finishing", finishes)  # noqa: B010


def told_functions() -> None:
    begin, answer, server = Invocation._begin, Invocation._answer, Network._server

    def tells(self: Invocation, point: str) -> None:
        event = json.loads(self._task.event)
        if self._sandbox is not None and {"SecretId", "Step"} <= set(event):
            tell(event["SecretId"], event["Step"], point, self._sandbox.pid)

    def begins(self: Invocation) -> bytes:
        event = begin(self)
        tells(self, "begun")
        return event

    def answers(self: Invocation, asked: runtime_api.Asked) -> bytes | None:
        if runtime_api.verdict(asked, self._task.request_id) == "response":
            tells(self, "answering")
            assert self._sandbox is not None, "it asks"
            if select.select([self._sandbox.first], [], [], 0)[0]:
                return None  # it was killed before it said this
        return answer(self, asked)

    class Listening(Answers):
        def __init__(self) -> None:
            super().__init__()
            self.invocation: Invocation = local.invocation

        def feed(self, chunk: bytes) -> list[bytes]:
            bodies = super().feed(chunk)
            for body in bodies:
                if changed_something(body):
                    tells(self.invocation, "kept")
            return bodies

    def serves(self: Network, connection: socket.socket) -> None:
        local.invocation = self._ask.__self__  # type: ignore[attr-defined] # a method of the invocation
        server(self, connection)

    setattr(Invocation, "_begin", begins)  # noqa: B010
    setattr(Invocation, "_answer", answers)  # noqa: B010
    setattr(Network, "_server", serves)  # noqa: B010
    setattr(network, "Answers", Listening)  # noqa: B010


def changed_something(body: bytes) -> bool:
    """Whether this is what PutSecretValue or UpdateSecretVersionStage answers."""
    with suppress(ValueError):
        said = json.loads(body)
        return isinstance(said, dict) and "ARN" in said and not {"SecretString", "VersionIdsToStages"} & set(said)
    return False


# -- faults -----------------------------------------------------------------------------------------------------------


def tries_again_after_a_minute() -> None:
    """What has failed once is left alone for longer than was promised."""

    def wait_ms(failures: int) -> int:
        return 60_000 * failures

    setattr(domain_rotation, "wait_ms", wait_ms)  # noqa: B010


def carries_on_after_standing_still() -> None:
    """However long a server stood still, its functions go on where they were."""
    setattr(invocation, "STOOD_STILL_SECONDS", float("inf"))  # noqa: B010


def waits_for_whoever_stands_still() -> None:
    """What a process has locked in the database stays so for minutes after it stood still."""
    setattr(postgres, "IDLE_MS", 120_000)  # noqa: B010


def lets_go_on_what_it_has_lost() -> None:
    """A function goes on although its server could not keep the job for which it runs."""
    setattr(Worker, "is_held", lambda _worker: True)  # noqa: B010


def changes_without_a_look() -> None:
    """A master's password is changed by whoever was about to change it, be it that the job is another worker's by now."""

    def held(_work: Any) -> None:
        return

    setattr(steps, "still_held", held)  # noqa: B010


FAULTS: Final[dict[str, Callable[[], None]]] = {
    each.__name__: each
    for each in (
        tries_again_after_a_minute,
        carries_on_after_standing_still,
        waits_for_whoever_stands_still,
        lets_go_on_what_it_has_lost,
        changes_without_a_look,
        promises_the_next_step_a_moment_later,
    )
}


def with_lease(lease_ms: int) -> None:
    """A lease of so many milliseconds, and what follows from it."""
    setattr(lease, "LEASE_MS", lease_ms)  # noqa: B010
    setattr(crew, "BEAT_MS", lease_ms // 3)  # noqa: B010
    setattr(invocation, "STOOD_STILL_SECONDS", lease_ms / 3_000)  # noqa: B010


if __name__ == "__main__":
    # A worker that a test kills every few seconds is none that cannot live: it is started again at once, as one that is killed once an hour.
    setattr(supervisor, "YOUNG_SECONDS", 0.5)  # noqa: B010
    # As their timeouts in `rotations`: no end of a function's time, on a machine that does much else, stands in for what is tried.
    setattr(invocation, "INIT_SECONDS", 120.0)  # noqa: B010
    for each in (told_steps, told_beats, told_ends, told_functions):
        each()
    if "LEASE_MS" in os.environ:
        with_lease(int(os.environ["LEASE_MS"]))
    while sys.argv[1] in FAULTS:
        FAULTS[sys.argv.pop(1)]()
    sys.argv[0] = os.fspath("geumgo")
    main()
