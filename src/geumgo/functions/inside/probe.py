"""The function that a server runs before all others: it tries the walls. Answers what it got through, in plain words."""

import ctypes
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

_NEW_USER: Final = 0x10000000
_MOST_PROCESSES: Final = 4


def handler(event: dict[str, Any], _context: object) -> list[str]:
    """`event`: `directory` of the server, its `pid`, and a `port` on which it listens on this machine."""
    libc = ctypes.CDLL(None, use_errno=True)
    attempts: dict[str, Callable[[], object]] = {
        "it sees the server's files": lambda: Path(event["directory"]).exists(),
        "it sees the home of root": lambda: Path("/root").exists(),
        "it may write to the interpreter": lambda: os.access(os.__file__, os.W_OK),
        "it may write to the kernel's settings": lambda: os.access("/proc/sys/kernel/core_pattern", os.W_OK),
        "it reaches the machine's network": lambda: socket.create_connection(("127.0.0.1", event["port"]), 1),
        "it may open raw sockets": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
        "it sees processes of the machine": lambda: sum(map(str.isdigit, os.listdir("/proc"))) > _MOST_PROCESSES,  # noqa: PTH208
        "it may trace processes": lambda: libc.ptrace(16, 1, 0, 0) == 0,
        "it may make namespaces": lambda: libc.unshare(_NEW_USER) == 0,
        "it may mount": lambda: libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0,
        "it has capabilities": lambda: status("CapEff") != 0 or status("CapPrm") != 0,
        "it may gain rights": lambda: status("NoNewPrivs") != 1,
        "it is root": lambda: os.getuid() == 0,
    }
    return [what for what, attempt in attempts.items() if succeeds(attempt)]


def succeeds(attempt: Callable[[], object]) -> bool:
    try:
        return bool(attempt())
    except OSError:
        return False


def status(name: str) -> int:
    """A number out of /proc/self/status."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1], 16)
    return -1
