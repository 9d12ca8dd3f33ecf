"""Whether sandboxes hold on this machine: tried with a function of our own before any other one runs."""

import io
import json
import os
import socket
import zipfile
from pathlib import Path
from typing import Final

from geumgo.functions import NotRun, Task
from geumgo.functions.inside import probe
from geumgo.functions.invocation import Invocation, Surroundings
from geumgo.functions.reach import Rules
from geumgo.functions.sandbox import Tools

SECONDS: Final = 10


def refuse_open_walls(tools: Tools, directory: Path) -> None:
    """Nothing, if the sandbox is made and holds. `directory` is the server's own. Raises NotRun in a sentence for the operator."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        event = {"directory": str(directory), "port": listener.getsockname()[1], "pid": os.getpid()}
        outcome = Invocation(_task(json.dumps(event).encode()), Surroundings(tools, Rules(), _no_server)).run()
    if outcome.failed:
        raise NotRun(f"The sandbox of functions does not work on this machine: {_why(outcome.payload, outcome.log)}")
    found = json.loads(outcome.payload)
    if found:
        raise NotRun(f"The sandbox of functions does not hold on this machine: {', '.join(found)}.")


def _task(event: bytes) -> Task:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as package:
        package.writestr("probe.py", Path(probe.__file__).read_text("utf-8"))
    return Task(
        request_id="00000000-0000-4000-8000-000000000000",
        function_arn="arn:aws:lambda:us-east-1:000000000000:function:probe",
        name="probe",
        version="$LATEST",
        handler="probe.handler",
        region="us-east-1",
        memory_mb=128,
        timeout_s=SECONDS,
        storage_mb=16,
        code=made.getvalue(),
        environment={},
        credentials={},
        event=event,
    )


def _why(payload: bytes, log: bytes) -> str:
    """What is known of the reason, on one line."""
    lines = [line.strip() for line in log.decode("utf-8", "replace").splitlines()]
    said = [line for line in lines if line and not line.startswith(("START ", "END ", "REPORT "))]
    return (said[-1] if said else payload.decode("utf-8", "replace"))[:300]


def _no_server() -> socket.socket:
    raise OSError("the probe asks nobody")
