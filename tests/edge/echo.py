"""A server process with the real edge and a core that tells what it was asked. `python -m tests.edge.echo '{"max_headers": 10}'`.

It prints `ready PORT METRICS_PORT` and serves until SIGTERM. A request to `/wait/PATH` holds the batch until somebody has opened the FIFO
at PATH for writing; one to `/outside/PATH` answers what is written there, without holding anybody; one to `/break` raises what a broken trail
raises. A head with `x-largest: broken`, and whoever asks whether it is ready while its only problem is `broken`, come upon a broken database.
"""

import base64
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from geumgo import logs
from geumgo.audit import TrailBroken
from geumgo.edge import batch, supervisor
from geumgo.edge.balance import Balance
from geumgo.edge.metrics import Board
from geumgo.edge.server import serve
from geumgo.message import Answer, Fetched, Request, Surplus
from geumgo.settings import Settings
from geumgo.storage import Broken

PROBLEMS = Path(sys.argv[2]) if len(sys.argv) > 2 else None


@dataclass(frozen=True, slots=True)
class Answered:
    answers: list[Answer]


class Echo:
    """A core. It is its own pipeline."""

    def __init__(self) -> None:
        self.batches = 0

    @property
    def pipeline(self) -> "Echo":
        return self

    def work(self, requests: Sequence[Request | Fetched | Surplus]) -> "Answered":
        self.batches += 1
        return Answered(self.answers(requests))

    def settle(self) -> None:
        """There is nothing to keep."""

    def launch(self, woken: Callable[[], None]) -> bool:
        return False

    def land(self) -> None:
        raise AssertionError("nothing was launched")

    def answers(self, requests: Sequence[Request | Fetched | Surplus]) -> list[Answer]:
        return [
            self.later(each)
            if isinstance(each, Fetched)
            else Answer(400, (), b"Rate exceeded")
            if isinstance(each, Surplus)
            else self.answer(each, len(requests))
            for each in requests
        ]

    def largest_body(self, head: Request) -> tuple[int, bool]:
        """As the request itself says."""
        largest = head.header(b"x-largest")
        if largest == b"broken":
            raise Broken("SQLite SQLITE_IOERR_READ: disk I/O error")
        return int(largest or 0), head.header(b"x-known") is not None

    def later(self, fetched: Fetched) -> Answer:
        """What `/outside` answers once its file was read, which may be a pipe that somebody must write first."""
        assert fetched.found is not None
        return Answer(200, (), str(fetched.found["read"]).encode())

    def answer(self, request: Request, together: int) -> Answer:
        if request.target == b"/break":
            raise TrailBroken("the disk is gone")
        if request.target.startswith(b"/outside"):
            path = Path(request.target.removeprefix(b"/outside").decode())
            return Answer(202, (), b"", lambda: Fetched(None, {"read": path.read_text()}))
        if request.target.startswith(b"/wait"):
            Path(request.target.removeprefix(b"/wait").decode()).read_bytes()
        seen = {
            "method": request.method,
            "target": request.target.decode("latin-1"),
            "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in request.headers],
            "body": base64.b64encode(request.body).decode(),
            "peer": request.peer,
            "secure": request.secure,
            "id": request.id,
            "oversized": request.oversized,
            "upload": "" if request.upload is None else request.upload.sha256,
            "batch": self.batches,
            "together": together,
        }
        status = 413 if request.oversized else 200
        body = json.dumps(seen).encode() + b" " * int(request.header(b"x-pad") or 0)
        return Answer(status, ((b"content-type", b"application/json"),), body)

    def ready(self) -> list[str]:
        problems = PROBLEMS.read_text().splitlines() if PROBLEMS is not None and PROBLEMS.exists() else []
        if problems == ["broken"]:
            raise Broken("SQLite SQLITE_IOERR_READ: disk I/O error")
        return problems

    def tick(self) -> None:
        """Nothing happens."""


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    batch.PIECE_SECONDS = 3_600.0  # type: ignore[misc]  # what waits is worked on together, however slow the machine is
    settings = Settings(**json.loads(sys.argv[1]))
    logs.configure(settings)
    listener = supervisor.listen("listen", "127.0.0.1:0")
    metrics = supervisor.listen("metrics", "127.0.0.1:0")
    board = Board(["api-0", "supervisor"])
    core = Echo()
    ports = f"ready {listener.getsockname()[1]} {metrics.getsockname()[1]}"
    serve(
        core,
        settings,
        listener,
        lambda: say(ports),
        board=board,
        slot="api-0",
        balance=Balance(["api-0"]),
        metrics=metrics,
    )
    say(f"closed after {core.batches} batches")


if __name__ == "__main__":
    main()
