"""P23: a function cannot touch anything outside its sandbox, and is gone, with all that it started, a second after its time is over.

Each attempt of `escapes` runs in each tier. Where a wall is missing, attempts get through: the test sees them.
"""

import contextlib
import json
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from geumgo.functions import Outcome, Task
from geumgo.functions.host import Host
from geumgo.functions.measuring import children
from geumgo.functions.reach import Rules
from geumgo.functions.sandbox import Tools, Walls, find_tools
from tests.functions.node import RUNTIME, needs_node, node_package
from tests.functions.zips import package
from tests.promises import escapes

SOURCE = Path(escapes.__file__).read_text("utf-8")
NODE_SOURCE = (Path(escapes.__file__).parent / "escapes.js").read_text("utf-8")
NODE_ATTEMPTS = re.findall(r"^  ([a-z_]+): ", NODE_SOURCE, re.MULTILINE)
CANARY = f"escape-canary-{os.getpid()}-{time.monotonic_ns()}"  # nobody else on this machine has it
PRIVILEGED = [True, False] if os.geteuid() == 0 else [False]
REQUEST = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
GONE_SECONDS = 1.0
AT_ONCE = 4
LAST = ("leave_a_process_behind", "outlive_the_timeout")  # what they leave would still be there when all have ended


@dataclass
class Outside:
    """What there is to be reached: a file, listeners of every kind, a server that says whatever it is told to say."""

    directory: Path
    listeners: list[socket.socket] = field(default_factory=list)
    tripped: list[str] = field(default_factory=list)
    port: int = 0
    others: frozenset[int] = frozenset()  # processes that other tests have started, and which are not ours to end

    def start(self) -> None:
        self.others = frozenset(children(os.getpid()))
        (self.directory / "root.key").write_text(CANARY)
        tcp, udp = two_listeners()
        self.port = tcp.getsockname()[1]
        abstract, path = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        abstract.bind(f"\0{self.directory}")
        path.bind(str(self.directory / "socket"))
        server = socket.create_server(("127.0.0.1", 0))
        for each in (abstract, path):
            each.listen()
        self.listeners += [tcp, udp, abstract, path, server]
        for each in (tcp, abstract, path):
            threading.Thread(target=self._accept, args=(each,), daemon=True).start()
        threading.Thread(target=self._hear, args=(udp,), daemon=True).start()
        threading.Thread(target=self._serve, args=(server,), daemon=True).start()

    def server(self) -> socket.socket:
        return socket.create_connection(self.listeners[-1].getsockname())

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                made, _ = listener.accept()
            except OSError:
                return
            self.tripped.append(str(listener.getsockname()))
            with made, contextlib.suppress(OSError):  # it may be gone again
                made.sendall(b"tripped")

    def _hear(self, udp: socket.socket) -> None:
        while True:
            try:
                _, sender = udp.recvfrom(100)
            except OSError:
                return
            if sender is None:
                return
            self.tripped.append("datagram")
            udp.sendto(b"tripped", sender)

    def _serve(self, listener: socket.socket) -> None:
        """Echoes the body of a request, as if it were the answer of Secrets Manager."""
        while True:
            try:
                made, _ = listener.accept()
            except OSError:
                return
            with made:
                made.settimeout(1)
                said = b""
                try:
                    while b"\r\n\r\n" not in said or len(said.partition(b"\r\n\r\n")[2]) < length(said):
                        chunk = made.recv(65_536)
                        if not chunk:
                            break
                        said += chunk
                    body = said.partition(b"\r\n\r\n")[2]
                    made.sendall(
                        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body
                    )
                except OSError:
                    continue

    def close(self) -> None:
        for each in self.listeners:
            with contextlib.suppress(OSError):  # a datagram socket has no peer
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def two_listeners() -> tuple[socket.socket, socket.socket]:
    """A TCP and a UDP socket on all addresses, with the same port."""
    for _ in range(20):
        tcp = socket.create_server(("0.0.0.0", 0))
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            udp.bind(("0.0.0.0", tcp.getsockname()[1]))
        except OSError:
            tcp.close()
            udp.close()
            continue
        return tcp, udp
    raise AssertionError("no port is free")


def length(said: bytes) -> int:
    for line in said.partition(b"\r\n\r\n")[0].lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Outside]:
    made = Outside(tmp_path)
    made.start()
    yield made
    made.close()


def rules() -> Rules:
    return Rules(resolve=lambda _host: ["169.254.169.254", "127.0.0.1"])


def attempt(
    outside: Outside, name: str, tools: Tools, *, timeout_s: int = 6, runtime: str = "python3.12"
) -> tuple[Any, Outcome]:
    """What the attempt got at (None: nothing), and how its invocation ended."""
    host = Host(outside.server, rules(), directory=outside.directory, most=1, tools=tools)
    event = {
        "attempt": name, "canary": CANARY, "directory": str(outside.directory), "file": str(outside.directory / "root.key"), "pid": os.getpid(),
        "marker": "pytest", "port": outside.port, "abstract": str(outside.directory), "socket": str(outside.directory / "socket"), "address": own_address(),
    }  # fmt: skip
    task = Task(
        request_id=REQUEST,
        function_arn="arn:aws:lambda:us-east-1:123456789012:function:hostile",
        name=CANARY,
        version="$LATEST",
        handler="app.handler",
        region="us-east-1",
        memory_mb=256,
        timeout_s=timeout_s,
        storage_mb=64,
        code=package(SOURCE) if runtime.startswith("python") else node_package(NODE_SOURCE),
        runtime=runtime,
        environment={},
        credentials={},
        event=json.dumps(event).encode(),
    )
    outcome = host.run(task)
    return None if outcome.failed else json.loads(outcome.payload), outcome


def own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        try:
            made.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        return str(made.getsockname()[0])


def left_behind(outside: Outside) -> list[int]:
    """The processes that a function of this test, or bubblewrap for it, has left."""
    found = [pid for pid in children(os.getpid()) if pid not in outside.others]
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if CANARY.encode() in (path / "cmdline").read_bytes() + (path / "environ").read_bytes():
                found.append(int(path.name))
    return [pid for pid in found if pid != os.getpid()]


def gone(outside: Outside) -> bool:
    deadline = time.monotonic() + GONE_SECONDS
    while left_behind(outside):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def lasted(outcome: Outcome) -> float:
    """The seconds from the event until everything was gone."""
    found = re.search(rb"\tDuration: ([0-9.]+) ms", outcome.log)
    assert found is not None
    return float(found[1]) / 1000


@pytest.mark.parametrize("privileged", PRIVILEGED)
def test_no_attempt_gets_out(outside: Outside, privileged: bool) -> None:
    ended = try_all(outside, find_tools([outside.directory], privileged=privileged), list(escapes.ATTEMPTS))
    assert len(ended) >= 45
    for name in ("outlive_the_timeout", "print_without_end", "ask_for_names_without_end"):
        assert b"Sandbox.Timedout" in ended[name].payload
        assert lasted(ended[name]) < 1.0 + GONE_SECONDS, name


@needs_node
@pytest.mark.parametrize("privileged", PRIVILEGED)
def test_no_attempt_of_node_gets_out(outside: Outside, privileged: bool) -> None:
    tools = find_tools([outside.directory], privileged=privileged)
    ended = try_all(outside, tools, NODE_ATTEMPTS, runtime=RUNTIME)
    assert len(ended) >= 40
    for name in ("outlive_the_timeout", "print_without_end"):
        assert b"Sandbox.Timedout" in ended[name].payload
        assert lasted(ended[name]) < 1.0 + GONE_SECONDS, name


def try_all(outside: Outside, tools: Tools, attempts: list[str], **more: Any) -> dict[str, Outcome]:
    """Every attempt was made, and none of them got at anything or left anything. Answers how they ended."""
    names = sorted(attempts, key=lambda name: name in LAST)

    def tried(name: str) -> tuple[Any, Outcome, float]:
        started = time.monotonic()
        short = name in LAST or (name.endswith("without_end") and not name.startswith("start_"))
        found, outcome = attempt(outside, name, tools, timeout_s=1 if short else 6, **more)
        return found, outcome, time.monotonic() - started

    with ThreadPoolExecutor(AT_ONCE) as pool:
        ended = dict(zip(names, pool.map(tried, names), strict=True))
    got_out = {name: found for name, (found, _, _) in ended.items() if found}
    longest = max(took for *_, took in ended.values())
    print(f"{len(names)} attempts, {len(got_out)} got out, the longest took {longest:.1f} s")
    assert not got_out
    assert not outside.tripped
    assert gone(outside), left_behind(outside)
    assert all(len(outcome.log) < 1_300_000 for _, outcome, _ in ended.values())
    return {name: outcome for name, (_, outcome, _) in ended.items()}


@pytest.mark.parametrize("privileged", PRIVILEGED)
def test_what_is_allowed_works(outside: Outside, privileged: bool) -> None:
    """The honest twin: a sandbox in which nothing runs would pass the test above."""
    tools = find_tools([outside.directory], privileged=privileged)
    host = Host(outside.server, rules(), directory=outside.directory, most=1, tools=tools)
    code = """
import boto3, os, ssl, subprocess, tempfile, threading
def handler(event, context):
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("x" * 1000)
    threads = [threading.Thread(target=int) for _ in range(8)]
    [each.start() for each in threads]; [each.join() for each in threads]
    boto3.client("secretsmanager")
    return [subprocess.run(["/bin/echo", "hi"], capture_output=True, text=True).stdout, os.getcwd(), len(b"x" * (100 << 20))]
"""
    task = Task(
        REQUEST,
        "arn:aws:lambda:us-east-1:123456789012:function:f",
        "f",
        "1",
        "app.handler",
        "us-east-1",
        256,
        9,
        64,
        package(code),
        {},
        {},
        b"{}",
    )
    outcome = host.run(task)
    assert json.loads(outcome.payload) == ["hi\n", "/var/task", 100 << 20], outcome.log.decode()


@needs_node
@pytest.mark.parametrize("privileged", PRIVILEGED)
def test_what_is_allowed_works_in_node(outside: Outside, privileged: bool) -> None:
    """The honest twin of the attempts in Node.js."""
    code = """
const fs = require("node:fs");
const { execFileSync } = require("node:child_process");
const { Worker } = require("node:worker_threads");
exports.handler = async (event) => {
    fs.writeFileSync("/tmp/file", "x".repeat(1000));
    const said = await new Promise((kept) => new Worker("require('node:worker_threads').parentPort.postMessage(7)", { eval: true }).on("message", kept));
    const answer = await fetch(process.env.AWS_ENDPOINT_URL, { method: "POST", body: "heard" });
    return [execFileSync("/bin/echo", ["hi"]).toString(), fs.statSync("/tmp/file").size, said, await answer.text(), Buffer.alloc(100 << 20, 1).length];
};
"""
    tools = find_tools([outside.directory], privileged=privileged)
    host = Host(outside.server, rules(), directory=outside.directory, most=1, tools=tools)
    arn = "arn:aws:lambda:us-east-1:123456789012:function:f"
    task = Task(
        REQUEST,
        arn,
        "f",
        "1",
        "app.handler",
        "us-east-1",
        256,
        9,
        64,
        node_package(code),
        {},
        {},
        b"{}",
        runtime=RUNTIME,
    )
    outcome = host.run(task)
    assert json.loads(outcome.payload) == ["hi\n", 1000, 7, "heard", 100 << 20], outcome.log.decode()


@needs_node
def test_a_missing_wall_is_noticed_by_node(outside: Outside) -> None:
    for wall, name in (
        ("network", "connect_to_the_machine"),
        ("filesystem", "read_it_below_other_mounts"),
        ("processes", "see_the_server"),
        ("limits", "start_processes_without_end"),
    ):
        tools = find_tools([], privileged=PRIVILEGED[-1] if wall == "filesystem" else None)
        tools = replace(tools, walls=replace(Walls(), **{wall: False}))
        found, outcome = attempt(outside, name, tools, runtime=RUNTIME)
        assert found or outside.tripped, f"{name} did not notice that there is no wall: {wall}: {outcome.log.decode()}"
        outside.tripped.clear()


@pytest.mark.parametrize(
    ("wall", "attempts"),
    [
        ("network", ["connect_to_the_machine", "send_a_datagram", "connect_to_an_abstract_socket"]),
        ("filesystem", ["read_it_below_other_mounts"]),
        ("processes", ["see_the_server", "outlive_the_timeout"]),
        ("calls", ["use_dangerous_calls"]),
        ("limits", ["take_shared_memory", "fork_without_end"]),
    ],
)
def test_a_missing_wall_is_noticed(outside: Outside, wall: str, attempts: list[str]) -> None:
    tools = find_tools(
        [], privileged=PRIVILEGED[-1] if wall == "filesystem" else None
    )  # who is another user cannot read it anyway
    tools = replace(tools, walls=replace(Walls(), **{wall: False}))
    for name in attempts:
        found, _ = attempt(outside, name, tools, timeout_s=2 if name == "outlive_the_timeout" else 6)
        assert found or outside.tripped or left_behind(outside), f"{name} did not notice that there is no wall: {wall}"
        outside.tripped.clear()
        for pid in left_behind(outside):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
