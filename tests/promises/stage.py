"""Where rotations are, as `telling_server` and links tell it; and where they are held until whoever tries them has done his worst."""

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

PATIENCE_SECONDS: Final = float(os.environ.get("PATIENCE", "60"))  # for what was promised no time


@dataclass(frozen=True)
class Told:
    """A rotation of `secret` was at `point` of `step`, at `at` (seconds of the monotonic clock, which all processes share).

    `pid` is the process that does the step, `sandbox` the first one of the function's; 0: it was not told of one. `line`: how long its
    threads, and those of the process that started it, had stood in line for a core (`in_line`).
    """

    secret: str
    step: str
    point: str
    pid: int = 0
    sandbox: int = 0
    at: float = field(default_factory=time.monotonic)
    line: dict[str, int] = field(default_factory=dict, repr=False, compare=False)


@dataclass
class Gate:
    """Where one rotation stands. `held` is what it told there."""

    held: Told | None = None
    goes_on: bool = True
    opened: threading.Event = field(default_factory=threading.Event)


class Stage:
    """`place` is where the socket is, which `telling_server` is given."""

    def __init__(self, place: Path) -> None:
        self.told: list[Told] = []
        self._gates: dict[tuple[str, str, str], Gate] = {}
        self._news = threading.Condition()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(place))
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.release()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                teller, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._hear, args=(teller,), daemon=True).start()

    def _hear(self, teller: socket.socket) -> None:
        with teller, suppress(OSError), teller.makefile("rb") as said:  # it may be killed before it hears
            line = said.readline()
            if line:
                self.reached(Told(**json.loads(line)))
                teller.sendall(b"\n")

    def reached(self, told: Told) -> bool:
        """A rotation is there; this returns when it may go on, and says whether it may."""
        with self._news:
            self.told.append(told)
            gate = self._gates.pop((told.secret, told.step, told.point), None)
            if gate is not None:
                gate.held = told
            self._news.notify_all()
        if gate is None:
            return True
        assert gate.opened.wait(2 * PATIENCE_SECONDS)
        return gate.goes_on

    def hold(self, secrets: Iterable[str], step: str, point: str) -> "Holding":
        """The next time that each of them comes there it stands."""
        holding = Holding(self, {secret: Gate() for secret in secrets})
        with self._news:
            self._gates.update({(secret, step, point): gate for secret, gate in holding.gates.items()})
        return holding

    def release(self) -> None:
        with self._news:
            for gate in self._gates.values():
                gate.opened.set()
            self._gates.clear()

    def await_that(self, found: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until `found`, which is asked whenever something is told. Raises AssertionError."""
        with self._news:
            if not self._news.wait_for(found, seconds):
                last = [f"{each.step} {each.point}" for each in self.told[-20:]]
                raise AssertionError(f"{what} was awaited for {seconds:.0f} s; the last told: {last}")

    def await_news(self, seconds: float) -> None:
        """Wait until something is told, at most so long."""
        with self._news:
            self._news.wait(seconds)

    def since(self, at: float, secret: str, *points: str) -> list[Told]:
        """What was told of the secret after `at`, of these points."""
        return [each for each in self.told if each.secret == secret and each.at > at and each.point in points]


@dataclass
class Holding:
    """Rotations that are held at one point."""

    stage: Stage
    gates: dict[str, Gate]

    def await_all(self) -> list[Told]:
        """Every one of them stands there."""
        self.stage.await_that(lambda: all(gate.held is not None for gate in self.gates.values()), "a rotation")
        return [gate.held for gate in self.gates.values() if gate.held is not None]

    def let_go(self, *, goes_on: bool = True) -> None:
        """They go on; with `goes_on` False what they stand in is broken off, where that is possible."""
        for gate in self.gates.values():
            gate.goes_on = goes_on
            gate.opened.set()
