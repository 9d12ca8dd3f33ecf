"""The languages of functions: what starts them, what they find in their environment, what they need of memory.

Functions in Python run on the server's own interpreter, those in Node.js on the one that the machine has.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final

from geumgo.functions import NotRun

INTERPRETER_PLACES: Final = "/usr/local/bin:/usr/bin:/bin"
VERSION_SECONDS: Final = 10.0
BASE: Final = "/var/lang"  # where the server's own interpreter is in there, unless it is the system's
OWN: Final = "/var/geumgo"  # where all else that the server brings is

PYTHONS: Final = tuple(f"python3.{minor}" for minor in range(6, 16))
NODES: Final = ("nodejs18.x", "nodejs20.x", "nodejs22.x", "nodejs24.x", "nodejs26.x")
RUNTIMES: Final = (*NODES, *PYTHONS)
"""Source: Runtime, botocore model 2015-03-31."""
OLDEST_NODE: Final = 18
_NODE_VERSION: Final = re.compile(r"v(\d+)\.\d+\.\d+")

ADDRESS_SPACE_MB: Final = 1_024  # beside the memory of the function: programs reserve more than they use
NODE_ADDRESS_SPACE_MB: Final = 65_536  # V8 reserves 10 GB for each memory of WebAssembly, which `fetch` has one of
"""Source of the last one: measured with Node.js 20; of what is reserved nothing is used."""


@dataclass(frozen=True, slots=True)
class Language:
    """What a function of one runtime runs with. `bound` are files of the machine, by the path that they have in there.

    `memory_bytes` and `data_bytes` are hard limits of one process, for a function with so much memory (MB): of its address space, and of
    what it can write to in there.
    """

    name: str  # as AWS_EXECUTION_ENV says it
    command: tuple[str, ...]
    prefix: str  # where its bin and lib are
    environment: Mapping[str, str]
    memory_bytes: int
    data_bytes: int
    bound: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Node:
    """A Node.js of the machine."""

    path: str
    major: int


def find_node(path: str = "") -> Node:
    """The Node.js at `path`, or else the one that the machine has. Raises NotRun, with what the operator must do."""
    found = path or shutil.which("node", path=INTERPRETER_PLACES)
    if not found:
        raise NotRun("Functions in Node.js need Node.js, and it is not installed.")
    try:
        real = Path(found).resolve(strict=True)
        return Node(str(real), _major(str(real), real.stat().st_mtime_ns))
    except OSError as fault:
        raise NotRun(f"Functions in Node.js need Node.js, and {found} is not there: {fault.strerror}.") from None


@lru_cache(maxsize=8)
def _major(found: str, changed_ns: int) -> int:  # noqa: ARG001  another file at the same place is asked anew
    """Raises NotRun."""
    try:
        said = subprocess.run(  # noqa: S603  the operator's own
            [found, "--version"],
            capture_output=True,
            timeout=VERSION_SECONDS,
            check=True,
            env={},
            stdin=subprocess.DEVNULL,
        ).stdout.decode("ascii", "replace")
    except (OSError, subprocess.SubprocessError) as fault:
        raise NotRun(
            f"Functions in Node.js need Node.js, and {found} does not start ({type(fault).__name__})."
        ) from None
    version = _NODE_VERSION.match(said)
    if version is None:
        raise NotRun(f"Functions in Node.js need Node.js, and {found} is something else.")
    if int(version[1]) < OLDEST_NODE:
        raise NotRun(f"Functions in Node.js need Node.js {OLDEST_NODE} or newer, and {found} is version {version[1]}.")
    return int(version[1])


def refuse(runtime: str, node: str) -> None:
    """Raises NotRun unless functions of `runtime` run on this machine, whose Node.js is at `node` or is looked for."""
    if runtime in NODES:
        _node_for(runtime, node)
    elif runtime not in PYTHONS:
        raise NotRun("Functions run on Python and Node.js here.")


def language(runtime: str, memory_mb: int, *, interpreter: str, node: str) -> Language:
    """What a function runs with. `interpreter`: the server's own, by its path in there; `node` as in `refuse`. Raises NotRun."""
    if runtime in NODES:
        return _node(_node_for(runtime, node), runtime, memory_mb)
    if runtime in PYTHONS:
        return _python(interpreter, memory_mb)
    raise NotRun(f"Functions of {runtime} do not run here.")


def _number(runtime: str) -> int:
    return int(runtime.removeprefix("nodejs").removesuffix(".x"))


def _node_for(runtime: str, path: str) -> Node:
    """The Node.js for functions of `runtime`: it may be newer than what they were written for, not older. Raises NotRun."""
    found = find_node(path)
    if found.major < _number(runtime):
        raise NotRun(f"Functions of {runtime} need Node.js {_number(runtime)} or newer; this is {found.major}.")
    return found


def _python(interpreter: str, memory_mb: int) -> Language:
    bootstrap = (
        "import sys; sys.path.insert(0, '/var/geumgo'); from inside.bootstrap import main; del sys.path[0]; main()"
    )
    limit = (memory_mb + ADDRESS_SPACE_MB) << 20
    return Language(
        name=f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
        command=(interpreter, "-I", "-S", "-B", "-c", bootstrap),
        prefix=BASE,
        environment={
            "PYTHONUTF8": "1",
            "PYTHONPATH": "/var/runtime",
        },
        memory_bytes=limit,
        data_bytes=limit,
    )


def _node(found: Node, runtime: str, memory_mb: int) -> Language:
    """Source: "Packaging Node.js functions", developer guide (NODE_PATH). Unverified: the sizes of the heap."""
    own = f"{OWN}/bin/node"
    return Language(
        name=f"AWS_Lambda_{runtime}",
        command=(
            own,
            "--expose-gc",
            "--max-http-header-size=81920",
            f"--max-semi-space-size={max(1, memory_mb * 5 // 100)}",
            f"--max-old-space-size={memory_mb * 90 // 100}",
            f"{OWN}/inside/runtime.mjs",
        ),
        prefix=OWN,
        environment={
            "NODE_PATH": f"/opt/nodejs/node{_number(runtime)}/node_modules:/opt/nodejs/node_modules:/var/runtime:/var/task",
        },
        memory_bytes=(memory_mb + NODE_ADDRESS_SPACE_MB) << 20,
        data_bytes=(memory_mb + ADDRESS_SPACE_MB) << 20,
        bound={own: found.path},
    )
