"""Writers of a trail, one after the other, each of which writes until it is killed.

    python -m tests.promises.dying_trail

A line of the input, {"directory": ..., "now_ms": ..., "anchor": [...]}, sets one to work. It says its "pid", the ids of "records" as soon as they are
durable, and each "head", which then is kept elsewhere. When it was killed its parent says "ended".
"""

import json
import os
import random
import sys
from dataclasses import astuple
from pathlib import Path
from typing import Any, NoReturn

from geumgo.audit.line import Head
from tests.audit.trails import open_trail
from tests.clock import TurnedClock


def say(**what: Any) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")  # short enough to be said whole or not at all


def write(directory: Path, now_ms: int, anchor: Head | None) -> NoReturn:
    say(pid=os.getpid())
    clock, chance = TurnedClock(now_ms), random.Random(now_ms)
    trail = open_trail(directory, clock, anchor=anchor)
    while True:
        ids = [trail.note("call", {"filling": "x" * chance.randrange(600)}) for _ in range(chance.randrange(1, 7))]
        trail.settle()
        say(records=ids)
        clock.turn(ms=chance.randrange(400))
        if chance.random() < 0.2:
            trail.checkpoint()
            say(head=astuple(trail.heads()[0]))


def main() -> None:
    for line in sys.stdin:
        told = json.loads(line)
        child = os.fork()
        if not child:
            write(Path(told["directory"]), told["now_ms"], Head(*told["anchor"]) if told["anchor"] else None)
        os.waitpid(child, 0)
        say(ended=child)


if __name__ == "__main__":
    main()
