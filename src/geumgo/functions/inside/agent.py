"""The first process of a sandbox: it prepares the network, gives up its rights, starts the function, and opens listeners when told.

The server takes the connections that the function makes: it is handed the listening sockets of this network over the control socket. So
there is no way out of the sandbox but what the server carries. After the preparation nothing here is trusted.
"""

import ctypes
import json
import os
import select
import socket
import struct
import sys
import zipfile
from pathlib import Path
from typing import Any, Final

from . import barrier

PR_SET_DUMPABLE, PR_SET_KEEPCAPS, PR_CAP_AMBIENT, AMBIENT_CLEAR = 4, 8, 47, 4
CAP_NET_BIND_SERVICE: Final = 10
CAPABILITY_VERSION_3: Final = 0x20080522
LARGEST_MESSAGE: Final = 131_072  # bytes
CHUNK: Final = 1 << 20
REAP_MS: Final = 200  # between two looks for those that have ended
NICE: Final = 5  # functions give way to the server

Config = dict[str, Any]


def main(descriptor: int) -> int:
    control = socket.socket(fileno=descriptor)
    config: Config = json.loads(control.recv(LARGEST_MESSAGE))
    if config["walls"]["network"]:
        everything_is_here()
    for kind, address, port in config["listen"]:
        give(control, kind, address, port)
    give_up_rights(config)
    child = os.fork()
    if child == 0:
        control.close()
        become(config)
    for each in config["packages"]:
        os.close(each["descriptor"])
    return watch(control, child)


# -- the network -------------------------------------------------------------------------------------------------------


def everything_is_here() -> None:
    """Every address there is belongs to this machine: a listener can take the place of any host. Raises OSError."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as routes:
        for family in (socket.AF_INET, socket.AF_INET6):
            # RTM_NEWROUTE: a route of type `local` in table `local` for all of the family, through the loopback device (index 1)
            route = struct.pack("=BBBBBBBBI", family, 0, 0, 0, 255, 4, 254, 2, 0) + struct.pack("=HHI", 8, 4, 1)
            routes.send(struct.pack("=IHHII", 16 + len(route), 24, 0x605, 1, 0) + route)
            status = struct.unpack_from("=i", routes.recv(4096), 16)[0]
            if status != 0 and family == socket.AF_INET:  # a kernel without IPv6 has no such hosts
                raise OSError(-status, os.strerror(-status))


def give(control: socket.socket, kind: str, address: str, port: int) -> None:
    """The server has a socket of this network, under the name `kind`; or learns that there is none."""
    said = json.dumps({"socket": kind, "address": address, "port": port}).encode()
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM if kind == "names" else socket.SOCK_STREAM) as made:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((address, port))
            if kind != "names":
                made.listen(64)
            socket.send_fds(control, [said], [made.fileno()])
    except OSError as fault:
        control.send(json.dumps({"failed": kind, "address": address, "port": port, "why": str(fault)}).encode())


# -- rights ------------------------------------------------------------------------------------------------------------


def give_up_rights(config: Config) -> None:
    """The agent is nobody (where it was root), and may only listen on low ports. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if config["uid"] is not None:
        _demand(libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
        os.setgroups([])
        os.setresgid(config["uid"], config["uid"], config["uid"])
        os.setresuid(config["uid"], config["uid"], config["uid"])
    _demand(libc.prctl(PR_CAP_AMBIENT, AMBIENT_CLEAR, 0, 0, 0))
    keep_capabilities(libc, 1 << CAP_NET_BIND_SERVICE)
    _demand(libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))


def keep_capabilities(libc: Any, kept: int) -> None:
    """Effective and permitted are `kept` (bits below 32), inheritable is nothing. Raises OSError."""
    header = ctypes.create_string_buffer(struct.pack("=Ii", CAPABILITY_VERSION_3, 0))
    _demand(libc.capset(header, ctypes.create_string_buffer(struct.pack("=6I", kept, kept, 0, 0, 0, 0))))


def _demand(status: int) -> None:
    if status != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


# -- the function ------------------------------------------------------------------------------------------------------


def become(config: Config) -> None:
    """The runtime of the function, in place of this process. Never returns."""
    try:
        keep_capabilities(ctypes.CDLL(None, use_errno=True), 0)
        os.nice(NICE)
        if config["walls"]["limits"]:
            barrier.limit(config["limits"])
        if config["walls"]["calls"]:
            barrier.forbid()
        for each in config["packages"]:
            unpack(each["descriptor"], Path(each["at"]), config["unpacked_bytes"])
        os.chdir("/var/task")
        os.execve(config["command"][0], config["command"], config["environment"])  # noqa: S606
    except BaseException as fault:  # noqa: BLE001  whatever it is: this is no place to go on from
        sys.stderr.write(f"The function cannot be started: {type(fault).__name__}: {fault}\n")
        sys.stderr.flush()
    finally:
        os._exit(126)


def unpack(descriptor: int, at: Path, most: int) -> None:
    """The files of a zip are below `at`; regular files and directories alone, `most` bytes of them. The server has read its names."""
    left = most
    with open(descriptor, "rb") as file, zipfile.ZipFile(file) as package:
        for entry in package.infolist():
            path = at / entry.filename
            if entry.is_dir():
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            with package.open(entry) as source, path.open("wb") as target:
                while chunk := source.read(CHUNK):
                    left -= len(chunk)
                    if left < 0:
                        raise ValueError("the package is larger than it said")
                    target.write(chunk)
            path.chmod((entry.external_attr >> 16) & 0o777 | 0o444)


def watch(control: socket.socket, child: int) -> int:
    """Listeners are opened when the server asks for them, until the function has ended or the server hangs up.

    This is the first process in here: what the function leaves behind becomes its children, and ends with it.
    """
    ended = os.pidfd_open(child)
    waiting = select.poll()
    waiting.register(control, select.POLLIN)
    waiting.register(ended, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in waiting.poll(REAP_MS)}
        status = reap(child)
        if status is not None:
            control.send(json.dumps({"exit": status}).encode())
            return 0
        if control.fileno() in ready:
            asked = control.recv(LARGEST_MESSAGE)
            if not asked:
                return 0
            address, port = json.loads(asked)
            give(control, "host", address, port)


def reap(child: int) -> int | None:
    """Whoever has ended is buried. Answers how `child` ended, as `os.waitstatus_to_exitcode` says it; None: it runs."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return None
        if pid == child:
            return os.waitstatus_to_exitcode(status)
        if pid == 0:
            return None
