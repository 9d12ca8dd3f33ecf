"""The walls: one process tree in namespaces of its own, made by bubblewrap, with nothing in it that it was not given.

Two tiers. A server that is root makes the sandbox with its own rights, and what runs in there is a user of its own that exists nowhere
else. Any other server makes it in a user namespace, where the kernel lets it.
"""

import contextlib
import importlib.util
import json
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from geumgo.functions import NotRun, authorities
from geumgo.functions.runtimes import BASE, OWN

RUNTIME_PACKAGES: Final = (
    "awslambdaric", "runtime_client", "simplejson", "snapshot_restore_py",
    "boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3",
)  # fmt: skip
"""What stands in /var/runtime: AWS's runtime client, and the SDK that AWS ships with it."""
DRIVERS: Final = ("bson", "psycopg", "psycopg_binary", "pymongo", "pymysql", "typing_extensions")
"""What stands in /opt/geumgo, as a layer would put it there: the drivers that the ready-made rotation functions import."""
OWN_DRIVERS: Final = ("pg", "pgdb")
"""What stands there, too: what AWS's rotation functions import and cannot be had as a wheel."""

SHARED: Final = (
    "/usr/bin",
    "/usr/lib",
    "/usr/lib64",
    "/usr/lib32",
    "/usr/share/zoneinfo",
    "/usr/share/ca-certificates",
)
FILES: Final = (
    "/etc/ld.so.cache",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/ca-certificates",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",  # where the names in the one above lead to
)
MACHINE: Final = (
    "/proc/sys",
    "/proc/sysrq-trigger",
    "/proc/irq",
    "/proc/bus",
    "/proc/acpi",
    "/proc/fs",
    "/proc/scsi",
)  # never for writing
DEVICES: Final = ("null", "zero", "full", "random", "urandom")
HOSTS: Final = b"127.0.0.1 localhost\n"
USER, GROUP = 993, 990  # as Lambda has them
RESOLVER: Final = b"nameserver 127.0.0.53\noptions ndots:0 timeout:5 attempts:1\n"
NAMES: Final = b"passwd: files\ngroup: files\nhosts: files dns\n"

UIDS: Final = range(65_000, 65_500)  # of sandboxes that root makes; no user of a system has one of these
SMALL_BYTES: Final = 1 << 20  # of the root of the sandbox, which is read-only then
END_SECONDS: Final = 60.0
"""For what was killed to be gone: on a machine that does much else it stands in line for its own end, too."""


@dataclass(frozen=True, slots=True)
class Walls:
    """Which of the walls are there. All of them, but in tests that show that a wall is missed."""

    network: bool = True
    processes: bool = True
    filesystem: bool = True
    calls: bool = True
    limits: bool = True


@dataclass(frozen=True, slots=True)
class Tools:
    """What sandboxes are made with. `privileged`: the server is root, and needs no user namespace."""

    bwrap: str
    privileged: bool
    walls: Walls = field(default_factory=Walls)
    hidden: tuple[
        str, ...
    ] = ()  # directories of the server, which are empty in there should they lie in what is shared


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much an invocation may use."""

    memory_mb: int
    storage_mb: int
    unpacked_bytes: int
    room_bytes: int  # what is unpacked takes, in whole pages


def find_tools(hidden: Sequence[Path], *, privileged: bool | None = None) -> Tools:
    """Raises NotRun, with what the operator must do."""
    bwrap = shutil.which("bwrap", path="/usr/local/bin:/usr/bin:/bin")
    if bwrap is None:
        raise NotRun("Functions run in a sandbox that bubblewrap makes, and it is not installed.")
    missing = [name for name in RUNTIME_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise NotRun(f"The Python packages that functions need are not installed: {', '.join(missing)}.")
    root = os.geteuid() == 0 if privileged is None else privileged
    return Tools(bwrap, root, hidden=tuple(str(each.resolve()) for each in hidden))


@dataclass(slots=True)
class Sandbox:
    """A sandbox with its first process. `control` is the way to the agent in it, `output` what is printed in there."""

    process: "subprocess.Popen[bytes]"
    control: socket.socket
    output: int
    first: int  # a pidfd of the first process in there: with it all others end
    pid: int  # of the first process, as it is called outside

    def kill(self) -> None:
        """Nothing in there does anything more."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.first, signal.SIGKILL)

    def end(self) -> None:
        """Nothing that was started in there lives any more."""
        self.kill()
        waiting = select.poll()
        waiting.register(self.first, select.POLLIN)
        try:
            ended = bool(waiting.poll(END_SECONDS * 1000))
            self.process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(END_SECONDS)
        finally:
            os.close(self.first)
            self.control.close()
        assert ended, "the processes of a sandbox did not end"
        assert self.process.returncode is not None, "the process that made a sandbox did not end"


def start(
    tools: Tools,
    sizes: Sizes,
    packages: Sequence[tuple[bytes, str]],
    config: Mapping[str, Any],
    bound: Mapping[str, str],
) -> Sandbox:
    """A sandbox in which the agent has read `config`. `packages` are zip files, and the directories that they are unpacked to.

    `bound` are files of the machine, by the path that they have in there. Raises NotRun.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    reading, writing = os.pipe2(os.O_CLOEXEC)
    info, told = os.pipe2(os.O_CLOEXEC)
    given = [theirs.fileno(), told]
    files: list[int] = []
    try:
        files += [memory_file(content) for content, _ in packages]
        given += files
        uid = secrets.choice(UIDS) if tools.privileged else None
        arguments, more = command(tools, sizes, theirs.fileno(), told, bound, uid)
        files += more
        given += more
        process = subprocess.Popen(  # noqa: S603  made of constants and numbers alone
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=writing,
            env={"LD_LIBRARY_PATH": f"{BASE}/lib"},
            cwd="/",
            close_fds=True,
            pass_fds=given,
            umask=0o022,
        )
    except OSError as fault:
        ours.close()
        os.close(reading)
        os.close(info)
        raise NotRun(f"The sandbox cannot be made: {fault.strerror}.") from fault
    finally:
        theirs.close()
        for each in (writing, told, *files):
            os.close(each)
    first, pid = first_process(process, info, reading, ours)
    sandbox = Sandbox(process, ours, reading, first, pid)
    entries = [{"descriptor": file, "at": at} for file, (_, at) in zip(files, packages, strict=False)]
    message = {**config, "uid": uid, "packages": entries, "unpacked_bytes": sizes.unpacked_bytes}
    with contextlib.suppress(BrokenPipeError, ConnectionError):  # whoever reads finds out that it has ended
        ours.send(json.dumps(message).encode())
    ours.setblocking(False)
    os.set_blocking(reading, False)
    return sandbox


def first_process(
    process: "subprocess.Popen[bytes]", info: int, output: int, control: socket.socket
) -> tuple[int, int]:
    """A pidfd of the first process in the sandbox, and its pid. Raises NotRun if there is none."""
    with open(info, "rb") as file:
        said = file.read(4096)
    try:
        pid = json.loads(said)["child-pid"]  # with --as-pid-1 the agent itself
        return os.pidfd_open(pid), pid
    except (ValueError, KeyError, OSError):
        process.wait(END_SECONDS)
        os.set_blocking(output, False)
        try:
            why = os.read(output, 500).decode("utf-8", "replace").strip()
        except BlockingIOError:
            why = ""
        os.close(output)
        control.close()
        raise NotRun(f"The sandbox cannot be made: {why or 'bubblewrap ended'}.") from None


def memory_file(content: bytes) -> int:
    """A file that is in memory alone, with `content`."""
    descriptor = os.memfd_create("package", os.MFD_CLOEXEC)
    with open(descriptor, "wb", closefd=False) as file:
        file.write(content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def command(
    tools: Tools, sizes: Sizes, control: int, told: int, bound: Mapping[str, str], uid: int | None
) -> tuple[list[str], list[int]]:
    """What makes the sandbox and starts the agent in it, and the descriptors that it needs beside those it was given."""
    walls = tools.walls
    arguments = [tools.bwrap, "--die-with-parent", "--new-session", "--hostname", "lambda", "--info-fd", str(told)]
    arguments += ["--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--cap-drop", "ALL"]
    arguments += ["--unshare-net"] if walls.network else []
    arguments += ["--unshare-pid", "--as-pid-1"] if walls.processes else []
    arguments += ["--cap-add", "CAP_NET_BIND_SERVICE", "--cap-add", "CAP_NET_ADMIN"]
    if tools.privileged:
        arguments += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        arguments += ["--unshare-user", "--uid", str(USER), "--gid", str(GROUP)]
    also = [part for inside, outside in bound.items() for part in ("--ro-bind", outside, inside)]
    users = accounts(USER, GROUP) if uid is None else accounts(uid, uid)
    tree, files = filesystem(sizes, users, also=[*also, *([] if walls.filesystem else ["--ro-bind", "/", "/host"])])
    hidden = [part for path in tools.hidden if covered(path) for part in ("--tmpfs", path)]
    agent = f"import sys; sys.path.insert(0, '/var/geumgo'); from inside.agent import main; sys.exit(main({control}))"
    python = [interpreter(), "-I", "-S", "-B", "-c", agent]
    return [*arguments, *tree, *hidden, "--chdir", "/", "--", *python], files


def accounts(uid: int, gid: int) -> tuple[bytes, bytes]:
    """/etc/passwd and /etc/group for whoever runs in there: what asks for its name or home has an answer."""
    name = "sbx_user1051"
    return f"{name}:x:{uid}:{gid}::/home/{name}:/sbin/nologin\n".encode(), f"{name}:x:{gid}:\n".encode()


def filesystem(sizes: Sizes, users: tuple[bytes, bytes], *, also: Sequence[str] = ()) -> tuple[list[str], list[int]]:
    """The arguments that make the tree: small, read-only, and without anything of the server."""
    arguments = ["--perms", "0755", "--size", str(SMALL_BYTES), "--tmpfs", "/"]
    base = os.path.realpath(sys.base_prefix)
    for path in parents(
        [
            *SHARED,
            *FILES,
            *authorities.PLACES,
            f"{base}/bin" if base.startswith("/usr/") else BASE,
            "/var/runtime",
            OWN,
            f"{OWN}/bin/node",
        ]
    ):
        arguments += ["--perms", "0755", "--dir", path]
    for path in [*SHARED, *([f"{base}/bin", f"{base}/lib"] if base.startswith("/usr/") else [])]:
        arguments += ["--ro-bind-try", path, path]
    for name in ("lib", "lib64", "lib32", "bin"):
        arguments += ["--symlink", f"usr/{name}", f"/{name}"] if Path(f"/{name}").is_symlink() else as_it_is(f"/{name}")
    for path in FILES:
        arguments += ["--ro-bind-try", path, path]
    if not base.startswith("/usr"):
        arguments += ["--ro-bind", base, BASE]
    arguments += authority_files()
    files = []
    for content, path in (
        (HOSTS, "/etc/hosts"), (users[0], "/etc/passwd"), (users[1], "/etc/group"), (RESOLVER, "/etc/resolv.conf"),
        (NAMES, "/etc/nsswitch.conf"),
    ):  # fmt: skip
        files.append(memory_file(content))
        arguments += ["--perms", "0444", "--file", str(files[-1]), path]
    arguments += rooms(sizes)
    return [*arguments, *also, "--remount-ro", "/dev", "--remount-ro", "/"], files


def authority_files() -> list[str]:
    """The certificate authorities of the machine under the names that they have in Lambda, where the machine has no such directory."""
    found = authorities.bundle()
    absent = [
        path
        for path in authorities.PLACES
        if not any(Path(each) in Path(path).parents and Path(each).exists() for each in FILES)
    ]
    return [part for path in absent for part in ("--ro-bind", str(found), path)] if found else []


def parents(paths: Sequence[str]) -> list[str]:
    """The directories above `paths`, outermost first: made by themselves they would be closed to others."""
    found = {str(each) for path in paths for each in Path(path).parents} | {"/var/runtime", OWN}
    return sorted(found - {"/"})


def as_it_is(path: str) -> list[str]:
    return ["--ro-bind-try", path, path]


def rooms(sizes: Sizes) -> list[str]:
    """The places that Lambda has: code, layers, runtime, /tmp."""
    arguments = [
        "--proc",
        "/proc",
        *(part for path in MACHINE for part in as_it_is(path)),
        "--perms",
        "0755",
        "--size",
        str(SMALL_BYTES),
        "--tmpfs",
        "/dev",
    ]
    for name in DEVICES:  # bubblewrap's own /dev has terminals, and a second user namespace comes with those
        arguments += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        arguments += ["--symlink", f"/proc/self/fd/{number}", f"/dev/{name}"]
    arguments += ["--symlink", "/proc/self/fd", "/dev/fd"]
    for path, size in (
        ("/tmp", sizes.storage_mb << 20),  # noqa: S108  that of the sandbox
        ("/var/task", sizes.room_bytes + SMALL_BYTES),
        ("/opt", sizes.room_bytes + SMALL_BYTES),
    ):
        arguments += ["--perms", "1777", "--size", str(size), "--tmpfs", path]
    arguments += ["--ro-bind", str(Path(__file__).parent / "inside"), "/var/geumgo/inside"]
    for name in RUNTIME_PACKAGES:
        place = package_path(name)
        arguments += ["--ro-bind", str(place), f"/var/runtime/{place.name}"]
    arguments += ["--perms", "0755", "--dir", "/opt/geumgo"]
    for name in DRIVERS:
        if importlib.util.find_spec(name) is not None:
            place = package_path(name)
            arguments += ["--ro-bind", str(place), f"/opt/geumgo/{place.name}"]
            libraries = place.parent / f"{name}.libs"  # where a wheel keeps what it is linked with
            arguments += ["--ro-bind-try", str(libraries), f"/opt/geumgo/{libraries.name}"]
    for name in OWN_DRIVERS:
        file = Path(__file__).parent / "drivers" / f"{name}.py"
        arguments += ["--ro-bind", str(file), f"/opt/geumgo/{file.name}"]
    return arguments


def package_path(name: str) -> Path:
    """Where a package or module of this interpreter is."""
    found = importlib.util.find_spec(name)
    assert found is not None, f"{name} was there a moment ago"
    if found.submodule_search_locations:
        return Path(next(iter(found.submodule_search_locations))).resolve()
    assert found.origin is not None, f"{name} is a file"
    return Path(found.origin).resolve()


def covered(path: str) -> bool:
    """Whether a directory of the server lies in what sandboxes see."""
    base = os.path.realpath(sys.base_prefix)
    return any(path == each or path.startswith(f"{each}/") for each in (*SHARED, base))


def interpreter() -> str:
    """The server's own interpreter, by the path that it has in there."""
    base = os.path.realpath(sys.base_prefix)
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return f"{base}/bin/{name}" if base.startswith("/usr") else f"{BASE}/bin/{name}"
