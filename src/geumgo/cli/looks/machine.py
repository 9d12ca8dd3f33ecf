"""The machine: memory that is written to a disk, and the clock."""

import ctypes
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from geumgo.cli.looks import Finding
from geumgo.clock import STEP_MS
from geumgo.settings import Settings

UNSYNCHRONISED: Final = 0x40  # STA_UNSYNC, linux/timex.h
TIMEX_BYTES: Final = 256  # struct timex has 208 on 64 bits
STATUS_AT: Final = 40  # its member `status` there


def look_at_swap(allowed: bool) -> Iterator[Finding]:
    """`allowed`: whether the system may write memory of the server there."""
    swaps = Path("/proc/swaps")
    yield swap(swap_areas(swaps.read_text("utf-8")) if swaps.exists() else [], allowed)


def swap(areas: list[str], allowed: bool) -> Finding:
    open_ones = [area for area in areas if not is_encrypted(area)]
    if not open_ones:
        return Finding(
            "swap", "ok", "what is written to it is encrypted" if areas else "memory is not written to a disk"
        )
    if not allowed:
        return Finding("swap", "ok", "memory of the server is kept out of it (memory.swap.max is 0)")
    return Finding(
        "swap", "advice", f"memory can be written to {', '.join(open_ones)}, keys and values with it",
        "turn it off, encrypt it, or keep the server out of it (systemd: MemorySwapMax=0)",
    )  # fmt: skip


def swap_areas(text: str) -> list[str]:
    """The areas that `text`, the content of /proc/swaps, lists; memory compressed in memory is none. Source: proc(5)."""
    areas = [line.split()[0] for line in text.splitlines()[1:] if line.strip()]
    return [area for area in areas if not area.startswith("/dev/zram")]


def is_encrypted(area: str, devices: Path = Path("/sys/class/block")) -> bool:
    """Whether a swap area is a device of dm-crypt. A file in a file system that is encrypted cannot be told from another one."""
    try:
        return (devices / Path(area).resolve().name / "dm" / "uuid").read_text().startswith("CRYPT-")
    except OSError:
        return False


def look_at_time_server(settings: Settings) -> Iterator[Finding]:  # noqa: ARG001 - the machine's, whatever the settings
    yield time_server(is_synchronised())


def time_server(synchronised: bool | None) -> Finding:
    if synchronised is None:
        return Finding(
            "time server", "advice", "the kernel does not say whether its clock is synchronised",
            "see to it: a request whose date is more than five minutes off is refused",
        )  # fmt: skip
    if synchronised:
        return Finding("time server", "ok", "the clock is synchronised")
    return Finding(
        "time server", "advice", "nothing synchronises the system clock",
        "timedatectl set-ntp true, or chrony: a request whose date is more than five minutes off is refused",
    )  # fmt: skip


def is_synchronised() -> bool | None:
    """Whether a time server keeps the clock, as the kernel was told; None: it does not answer. Source: adjtimex(2)."""
    asked = ctypes.create_string_buffer(TIMEX_BYTES)
    if ctypes.sizeof(ctypes.c_long) != 8 or ctypes.CDLL(None, use_errno=True).adjtimex(asked) < 0:
        return None
    return not int.from_bytes(asked.raw[STATUS_AT : STATUS_AT + 4], "little") & UNSYNCHRONISED


def clock_against(now_ms: int, latest: tuple[int, str] | None) -> Finding:
    """The clock held against `latest`: the latest moment that was noted (Unix milliseconds), and by whom."""
    now = f"it is {shown(now_ms)}"
    if latest is None:
        return Finding("clock", "ok", f"{now}; nothing was noted yet that could contradict")
    at_ms, by = latest
    if at_ms - now_ms > STEP_MS:
        return Finding(
            "clock", "problem", f"{now} by the clock, but {by} has noted something at {shown(at_ms)}",
            "set the clock right before the server starts: else every session ends, and rotations are planned anew",
        )  # fmt: skip
    return Finding("clock", "ok", f"{now}; the latest that was noted is of {shown(at_ms)}, by {by}")


def shown(at_ms: int) -> str:
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError):
        return f"{at_ms} ms"


def may_swap(cgroup: str, root: Path = Path("/sys/fs/cgroup")) -> bool:
    """Whether memory of a process with this /proc/PID/cgroup may be swapped. Source: memory.swap.max, cgroup v2."""
    for line in cgroup.splitlines():
        if line.startswith("0::"):
            inside = Path(os.path.normpath("/" + line[3:]))
            for each in (inside, *inside.parents):
                limit = root / str(each).lstrip("/") / "memory.swap.max"
                if limit.exists() and limit.read_text().strip() == "0":
                    return False
    return True
