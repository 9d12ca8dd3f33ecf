"""The processes of the server that runs on the data directory, as the system shows them."""

import resource
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from geumgo.cli.looks import Finding
from geumgo.cli.looks.machine import may_swap
from geumgo.settings import Settings, address

OTHER_DESCRIPTORS: Final = 256
"""What a process opens beside its connections."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process. `dumpable`: whether the system may write its memory to a file; None where it does not tell: of processes of root."""

    pid: int
    name: str
    core_bytes: str  # soft limit, as /proc/PID/limits says it
    descriptors: int | None  # the most it may open now; None: without end
    swapped_kb: int
    may_swap: bool
    dumpable: bool | None


def serving(settings: Settings, proc: Path = Path("/proc")) -> list[Process]:
    """The processes of the server on this data directory, its first one first; none: it does not run, or is in another container."""
    first = holder(settings.data / "server.lock", proc)
    if first is None:
        return []
    pids = [first, *sorted(pid for pid, parent in parents(proc).items() if parent == first)]
    found = (process_of(pid, proc) for pid in pids)
    return [each for each in found if each is not None and (each.pid == first or each.name.startswith("geumgo"))]


def holder(path: Path, proc: Path = Path("/proc")) -> int | None:
    """The server that has locked `path`. Its command line is looked at, and not the device: some file systems have two numbers."""
    try:
        wanted = path.stat().st_ino
        lines = (proc / "locks").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        parts = line.split()
        if parts[1:4] == ["FLOCK", "ADVISORY", "WRITE"] and parts[5].rpartition(":")[2] == str(wanted):
            with suppress(OSError):
                if b"geumgo" in (proc / parts[4] / "cmdline").read_bytes():
                    return int(parts[4])
    return None


def parents(proc: Path = Path("/proc")) -> dict[int, int]:
    """The parent of each process that can be seen."""
    found = {}
    for place in proc.iterdir():
        if place.name.isdecimal():
            try:
                status = fields_of(place / "status")
            except OSError:
                continue  # it has ended
            found[int(place.name)] = int(status["PPid"])
    return found


def process_of(pid: int, proc: Path = Path("/proc")) -> Process | None:
    place = proc / str(pid)
    try:
        status, limits = fields_of(place / "status"), (place / "limits").read_text()
        groups = (place / "cgroup").read_text()
        owner = (place / "status").stat().st_uid
    except OSError:
        return None  # it has ended, or is hidden
    user = int(status["Uid"].split()[1])
    descriptors = limit_of(limits, "Max open files")
    return Process(
        pid,
        status["Name"],
        limit_of(limits, "Max core file size"),
        None if descriptors == "unlimited" else int(descriptors),
        int(status.get("VmSwap", "0 kB").split()[0]),
        may_swap(groups),
        None if user == 0 else owner == user,  # Source: proc(5): the files of one that may not be dumped are root's
    )


def fields_of(path: Path) -> dict[str, str]:
    """/proc/PID/status. Source: proc(5)."""
    return {name: value.strip() for name, _, value in (line.partition(":") for line in path.read_text().splitlines())}


def limit_of(limits: str, name: str) -> str:
    """The soft limit of this name in the text of /proc/PID/limits."""
    line = next(line for line in limits.splitlines() if line.startswith(name))
    return line.removeprefix(name).split()[0]


def look_at_processes(settings: Settings, running: Sequence[Process]) -> Iterator[Finding]:
    """What the system has written of their memory, or would; and whether they can open what they need."""
    if running:
        yield swapped(running)
        yield dumped(running)
    yield descriptors(settings, running)
    host, _ = address("listen", settings.listen)
    if host not in ("127.0.0.1", "::1", "localhost") and not settings.tls_certificate:
        yield Finding(
            "network", "problem", f"{settings.listen} takes plain HTTP from the network: secrets travel in the clear",
            "set tls_certificate and tls_key, or listen on 127.0.0.1 behind a proxy that has them",
        )  # fmt: skip


def swapped(running: Sequence[Process]) -> Finding:
    out = [each for each in running if each.swapped_kb]
    if out:
        return Finding(
            "memory", "problem", f"{sum(each.swapped_kb for each in out)} kB of {named(out)} lie in the swap",
            "turn swap off or set MemorySwapMax=0, restart the server, and make the swap area anew",
        )  # fmt: skip
    return Finding("memory", "ok", f"none of {len(running)} processes is swapped out")


def dumped(running: Sequence[Process]) -> Finding:
    """Neither a limit alone nor the flag alone is enough for us: a pattern with a pipe passes by the limit. Source: core(5)."""
    open_ones = [each for each in running if each.core_bytes != "0" or each.dumpable]
    if open_ones:
        return Finding(
            "dumps of the server", "problem", f"a crash would write the memory of {named(open_ones)} to a file",
            "restart the server: it forbids that when it starts (RLIMIT_CORE 0, PR_SET_DUMPABLE 0), and something has allowed it since",
        )  # fmt: skip
    told = (
        ""
        if all(each.dumpable is False for each in running)
        else "; the second of two locks on it cannot be read of root's processes"
    )
    return Finding("dumps of the server", "ok", f"forbidden in {len(running)} processes{told}")


def descriptors(settings: Settings, running: Sequence[Process]) -> Finding:
    needed = settings.max_connections + OTHER_DESCRIPTORS
    few = [
        each for each in running if "api" in each.name and each.descriptors is not None and each.descriptors < needed
    ]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if few or (not running and hard != resource.RLIM_INFINITY and hard < needed):
        most = min((each.descriptors for each in few if each.descriptors is not None), default=hard)
        return Finding(
            "file descriptors", "problem", f"the limit is {most}, for {settings.max_connections} connections",
            "raise it (systemd: LimitNOFILE), or lower max_connections",
        )  # fmt: skip
    if running:
        least = min((each.descriptors for each in running if each.descriptors is not None), default="no limit")
        return Finding("file descriptors", "ok", f"{least} in each process of the server")
    return Finding("file descriptors", "ok", f"{soft} now, {hard} at most")


def named(processes: Sequence[Process]) -> str:
    return ", ".join(f"{each.name} ({each.pid})" for each in processes)
