"""One invocation from its beginning to its end: a loop that carries, listens, watches the clock and the memory, and ends everything."""

import contextlib
import ipaddress
import json
import os
import selectors
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog

from geumgo.functions import Outcome, Task, names, package, runtime_api, sandbox
from geumgo.functions.carrying import Carrier, Loop
from geumgo.functions.fetched import Answers, learn
from geumgo.functions.journal import Journal
from geumgo.functions.reach import Reach, Rules
from geumgo.functions.sandbox import Sandbox, Sizes, Tools

log = structlog.get_logger("geumgo.functions")

INIT_SECONDS: Final = 10.0  # source: "Lambda execution environment", developer guide (the init phase)
CONNECT_SECONDS: Final = 10.0
LOOK_SECONDS: Final = 0.05  # between two looks at the memory
MOST_CONNECTIONS: Final = 64  # to the server and to hosts together, those that are about to be made included
MOST_TO_RUNTIME: Final = 8
LOG_BYTES: Final = 1 << 20  # that are read between two looks; a function that prints more waits
MOST_QUESTIONS: Final = 256  # of names, in one invocation
PROCESSES: Final = 32
OPEN_FILES: Final = 1_024
ADDRESS_SPACE_MB: Final = 1_024  # beside the memory of the function: programs reserve more than they use

API: Final = ("127.77.0.1", 9001)
ENDPOINT: Final = ("127.77.0.2", 80)
RESOLVER: Final = ("127.0.0.53", 53)
ENDPOINT_URL: Final = f"http://{ENDPOINT[0]}"

Connect = Callable[[], socket.socket]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an invocation needs of its host. `server` connects to the server's own endpoint."""

    tools: Tools
    rules: Rules
    server: Connect


class Invocation:
    """Runs one task. Used once."""

    def __init__(self, task: Task, around: Surroundings) -> None:
        self._task, self._around = task, around
        self._loop = Loop()
        self._journal = Journal()
        self._reach = Reach(around.rules)
        self._sandbox: Sandbox | None = None
        self._carriers: list[Carrier] = []
        self._sockets: list[socket.socket] = []  # of the network in there
        self._listening: dict[tuple[str, int], socket.socket | None] = {}  # None: asked for
        self._asked = {
            "names": RESOLVER,
            "runtime": API,
            "endpoint": ENDPOINT,
        }  # of the agent, at the start; each comes once
        self._calls: deque[Callable[[], None]] = deque()  # from other threads, for the loop
        self._connecting = 0
        self._to_runtime = 0
        self._printed = 0  # bytes, since the last look
        self._looking: dict[
            str, list[Callable[[], None]]
        ] = {}  # hosts that are being looked up, and what waits for them
        self._unanswered: list[Callable[[], None]] = []  # questions whose listeners are not there yet
        self._waking, self._over = threading.Lock(), False
        self._wake, self._woken = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._questions = 0
        self._opening = 0  # hosts without a name that are about to be listened for
        self._outcome: tuple[bytes, bool] | None = None
        self._started = time.monotonic()
        self._deadline = self._started + INIT_SECONDS
        self._ready_at: float | None = None
        self._most_memory = 0
        self._looked_at = 0.0

    def run(self) -> Outcome:
        """Raises NotRun."""
        task = self._task
        unpacked = [package.read(each) for each in (task.code, *task.layers)]
        sizes = Sizes(task.memory_mb, task.storage_mb, max(sum(unpacked), 1 << 20))
        packages = [(task.code, "/var/task"), *((each, "/opt") for each in task.layers)]
        try:
            self._sandbox = sandbox.start(self._around.tools, sizes, packages, self._config())
            self._watch_all()
            while self._outcome is None:
                self._turn()
        finally:
            self._end()
        return self._told()

    def _config(self) -> dict[str, Any]:
        task = self._task
        return {
            "listen": [[kind, *at] for kind, at in self._asked.items()],
            "command": [sandbox.interpreter(), "-I", "-S", "-B", "-c", _BOOTSTRAP],
            "environment": environment(task),
            "limits": {
                "memory_bytes": (task.memory_mb + ADDRESS_SPACE_MB) << 20,
                "file_bytes": max(task.storage_mb << 20, package.UNPACKED_BYTES),
                "processes": PROCESSES,
                "files": OPEN_FILES,
            },
            "walls": asdict(self._around.tools.walls),
        }

    # -- the loop ------------------------------------------------------------------------------------------------------

    def _watch_all(self) -> None:
        assert self._sandbox is not None
        self._listen_to_output()
        self._loop.watch(self._sandbox.control, selectors.EVENT_READ, lambda _: self._hear())
        self._loop.watch(self._sandbox.first, selectors.EVENT_READ, lambda _: self._ended(None))
        self._loop.watch(self._wake, selectors.EVENT_READ, lambda _: self._called())

    def _turn(self) -> None:
        now = time.monotonic()
        if now >= self._deadline:
            self._time_out()
            return
        if now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            self._look_at_size()
            self._listen_to_output()
        self._loop.turn(min(LOOK_SECONDS, self._deadline - now))

    def _called(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake, 4096)
        while self._calls:
            self._calls.popleft()()

    def _elsewhere(self, work: Callable[[], Callable[[], None]]) -> None:
        """`work` is done in a thread, because it may take long; what it answers is called in the loop."""

        def do() -> None:
            found = work()
            with self._waking:
                if not self._over:  # otherwise the number of the descriptor may be somebody else's by now
                    self._calls.append(found)
                    self._nudge()

        threading.Thread(target=do, daemon=True, name="function reach").start()

    def _nudge(self) -> None:
        """The loop turns at once."""
        with contextlib.suppress(BlockingIOError):  # it is about to turn anyway
            os.write(self._woken, b"x")

    def _print(self) -> None:
        assert self._sandbox is not None
        try:
            chunk = os.read(self._sandbox.output, 65_536)
        except BlockingIOError:
            return
        self._journal.write(chunk)
        self._printed += len(chunk)
        if not chunk or self._printed > LOG_BYTES:
            self._loop.forget(self._sandbox.output)

    def _listen_to_output(self) -> None:
        """What is printed is read, as much as is read between two looks."""
        assert self._sandbox is not None
        self._printed = 0
        self._loop.watch(self._sandbox.output, selectors.EVENT_READ, lambda _: self._print())

    def _drain(self) -> None:
        """What was printed and not read yet. All who could print are gone."""
        assert self._sandbox is not None
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._sandbox.output, 65_536):
                self._journal.write(chunk)

    # -- what the agent says -------------------------------------------------------------------------------------------

    def _hear(self) -> None:
        assert self._sandbox is not None
        try:
            said, descriptors, _, _ = socket.recv_fds(self._sandbox.control, 65_536, 4)
        except BlockingIOError:
            return
        except OSError:
            said, descriptors = b"", []
        taken = [socket.socket(fileno=each) for each in descriptors]
        self._sockets += taken
        if not said:
            self._loop.forget(self._sandbox.control)
            self._ended(None)
            return
        self._told_by_agent(said, taken)

    def _told_by_agent(self, said: bytes, taken: list[socket.socket]) -> None:
        """Nothing but a listener that was asked for is taken: should a function ever speak in the agent's place, it gains nothing."""
        try:
            message = json.loads(said)
            if "exit" in message:
                self._ended(int(message["exit"]))
                return
            at = (str(message["address"]), int(message["port"]))
            kind = str(message.get("socket", ""))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return
        asked = self._asked.get(kind) == at if kind in self._asked else at in self._listening
        if not asked:
            return
        if kind and taken:
            self._take(kind, at, taken[0])
        else:
            self._settle(at)

    def _take(self, kind: str, at: tuple[str, int], listener: socket.socket) -> None:
        """A socket of the network in there is ours."""
        self._asked.pop(kind, None)
        listener.setblocking(False)
        if kind == "names":
            self._loop.watch(listener, selectors.EVENT_READ, lambda _: self._name(listener))
        elif kind == "runtime":
            self._loop.watch(listener, selectors.EVENT_READ, lambda _: self._accept_runtime(listener))
            for host, _ in sorted(self._reach.rules.listed):
                self._open(host)
        elif kind == "endpoint":
            self._loop.watch(listener, selectors.EVENT_READ, lambda _: self._accept(listener, self._server))
        else:
            self._loop.watch(
                listener, selectors.EVENT_READ, lambda _: self._accept(listener, lambda each: self._host(each, at))
            )
            self._settle(at, listener)

    def _accept(self, listener: socket.socket, then: Callable[[socket.socket], None]) -> None:
        try:
            made, _ = listener.accept()
        except OSError:
            return
        self._carriers = [each for each in self._carriers if not each.closed]
        if len(self._carriers) + self._connecting >= MOST_CONNECTIONS:
            made.close()
            return
        then(made)

    def _accept_runtime(self, listener: socket.socket) -> None:
        try:
            made, _ = listener.accept()
        except OSError:
            return
        if self._to_runtime >= MOST_TO_RUNTIME:
            made.close()
            return
        self._to_runtime += 1
        self._sockets.append(made)
        self._runtime(made)

    # -- the runtime ---------------------------------------------------------------------------------------------------

    def _runtime(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        requests = runtime_api.Requests()

        def ready(_: int) -> None:
            try:
                chunk = connection.recv(65_536)
            except BlockingIOError:
                return
            except OSError:
                chunk = b""
            asked = requests.feed(chunk) if chunk else None
            if not chunk or requests.broken:
                self._hang_up(connection)
            if asked is not None:
                self._answer(connection, asked)

        self._loop.watch(connection, selectors.EVENT_READ, ready)

    def _hang_up(self, connection: socket.socket) -> None:
        self._loop.forget(connection)
        self._sockets.remove(connection)
        self._to_runtime -= 1
        connection.close()

    def _answer(self, connection: socket.socket, asked: runtime_api.Asked) -> None:
        verdict = runtime_api.verdict(asked, self._task.request_id)
        if asked.too_large:
            self._fail(
                "Function.ResponseSizeTooLarge",
                "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
            )
            return
        if verdict == "response":
            self._outcome = (asked.body, False)
        elif verdict is not None:
            self._outcome = (asked.body, True)
        elif runtime_api.is_next(asked) and self._ready_at is None:
            self._ready_at = time.monotonic()
            self._deadline = self._ready_at + self._task.timeout_s
            deadline_ms = int((time.time() + self._task.timeout_s) * 1000)
            task = self._task
            said = runtime_api.event(task.request_id, task.function_arn, deadline_ms, task.client_context, task.event)
            self._say(connection, said)
            return
        if not (runtime_api.is_next(asked) and verdict is None):
            self._say(connection, runtime_api.ACCEPTED if verdict else runtime_api.REFUSED)

    def _say(self, connection: socket.socket, text: bytes) -> None:
        """`text` goes out as fast as it is taken. The event may be longer than the socket holds."""
        waiting = bytearray(text)

        def ready(_: int) -> None:
            try:
                while waiting:
                    del waiting[: connection.send(waiting)]
            except BlockingIOError:
                return
            except OSError:
                waiting.clear()
            self._loop.forget(connection)
            self._runtime(connection)

        self._loop.watch(connection, selectors.EVENT_WRITE, ready)

    # -- the world outside ---------------------------------------------------------------------------------------------

    def _server(self, connection: socket.socket) -> None:
        answers = Answers()

        def observe(chunk: bytes) -> None:
            for body in answers.feed(chunk):
                learned = learn(body)
                self._journal.hide(learned.values)
                for host, _ in self._reach.learn(learned.hosts):
                    self._open(host)
                carrier.held = self._expects()

        try:
            outside = self._around.server()
        except OSError:
            log.exception("a function cannot reach the server", next="is the server listening?")
            connection.close()
            return
        carrier = Carrier(self._loop, connection, outside, observe)
        self._carriers.append(carrier)

    def _open(self, host: str) -> None:
        """The invocation may connect to `host`: listeners take its place. The function learns nothing more until they are there."""
        if host in self._reach.pinned:
            self._listen(host)
            return
        try:
            ipaddress.ip_address(host)
        except ValueError:
            if host != "localhost":
                return  # it is looked up when its name is asked for
        self._opening += 1

        def found() -> None:
            self._opening -= 1
            self._listen(host)

        self._look_up(host, found)

    def _look_up(self, host: str, then: Callable[[], None]) -> None:
        """`then` is called when it is known where `host` is. Several questions about one host are one look."""
        waiting = self._looking.setdefault(host, [])
        waiting.append(then)
        if len(waiting) > 1:
            return

        def found() -> None:
            for each in self._looking.pop(host):
                each()

        def work() -> Callable[[], None]:
            try:
                self._reach.addresses(host)
            except OSError as fault:
                told = str(fault)
                return lambda: self._refused(host, told, found)
            return found

        self._elsewhere(work)

    def _refused(self, host: str, why: str, then: Callable[[], None]) -> None:
        self._reach.pinned.setdefault(host, [])
        self._journal.write(f"geumgo: no connection to {host}: {why}\n".encode())
        then()

    def _listen(self, host: str) -> None:
        assert self._sandbox is not None
        for address in self._reach.pinned.get(host, []):
            for port in self._reach.ports(host):
                if (address, port) not in self._listening and (address, port) not in (API, ENDPOINT):
                    self._listening[address, port] = None
                    with contextlib.suppress(OSError):
                        self._sandbox.control.send(json.dumps([address, port]).encode())
        self._release()

    def _settle(self, at: tuple[str, int], listener: socket.socket | None = None) -> None:
        """What was asked for is there, or cannot be."""
        if listener is None:
            self._listening.pop(at, None)
        else:
            self._listening[at] = listener
        self._release()

    def _expects(self) -> bool:
        return self._opening > 0 or any(listener is None for listener in self._listening.values())

    def _release(self) -> None:
        if not self._expects():
            for each in self._carriers:
                each.release()
            waiting, self._unanswered = self._unanswered, []
            for then in waiting:
                then()

    def _host(self, connection: socket.socket, at: tuple[str, int]) -> None:
        """A connection in there to a host: the same one is made outside, to the address that was looked up for it."""

        def work() -> Callable[[], None]:
            try:
                outside = socket.create_connection(at, CONNECT_SECONDS)
            except OSError as fault:
                return partial(self._unreachable, connection, at, str(fault))
            return partial(self._reached, connection, outside)

        self._connecting += 1
        self._sockets.append(connection)
        self._elsewhere(work)

    def _reached(self, connection: socket.socket, outside: socket.socket) -> None:
        self._connecting -= 1
        self._sockets.remove(connection)
        self._carriers.append(Carrier(self._loop, connection, outside))

    def _unreachable(self, connection: socket.socket, at: tuple[str, int], why: str) -> None:
        self._journal.write(f"geumgo: no connection to {at[0]} port {at[1]}: {why}\n".encode())
        self._connecting -= 1
        self._sockets.remove(connection)
        connection.close()

    def _name(self, listener: socket.socket) -> None:
        try:
            message, sender = listener.recvfrom(512)
        except OSError:
            return
        question = names.read(message)
        self._questions += 1
        if self._questions > MOST_QUESTIONS:
            self._loop.forget(listener)
            return
        if question is None:
            return
        if not self._reach.ports(question.name):
            self._reply(listener, sender, names.answer(question, None))
            return

        def told() -> None:
            self._listen(question.name)
            self._when_open(
                lambda: self._reply(listener, sender, names.answer(question, self._reach.pinned[question.name]))
            )

        if question.name in self._reach.pinned:
            told()
        else:
            self._look_up(question.name, told)

    def _when_open(self, then: Callable[[], None]) -> None:
        """`then` is done when every listener that was asked for is there."""
        if self._expects():
            self._unanswered.append(then)
        else:
            then()

    def _reply(self, listener: socket.socket, sender: Any, text: bytes) -> None:
        with contextlib.suppress(OSError):
            listener.sendto(text, sender)

    # -- the end -------------------------------------------------------------------------------------------------------

    def _fail(self, kind: str, message: str) -> None:
        self._outcome = (json.dumps({"errorType": kind, "errorMessage": message}).encode(), True)

    def _time_out(self) -> None:
        """Source: recorded on AWS (the error, and the line in the log)."""
        seconds = self._task.timeout_s if self._ready_at is not None else INIT_SECONDS
        sentence = f"Task timed out after {seconds:.2f} seconds"
        self._journal.write(f"{_now()} {self._task.request_id} {sentence}\n\n".encode())
        self._fail("Sandbox.Timedout", f"RequestId: {self._task.request_id} Error: {sentence}")

    def _ended(self, status: int | None) -> None:
        """The function's process has ended, and nothing was answered. Source: recorded on AWS (the error)."""
        if self._outcome is None:
            how = "signal: killed" if status is None else _how(status)
            message = f"RequestId: {self._task.request_id} Error: Runtime exited with error: {how}"
            self._fail("Runtime.ExitError", message)

    def _look_at_size(self) -> None:
        """One that uses more than it was given ends. The kernel's own limits are those of single processes, and of a user."""
        assert self._sandbox is not None
        used, processes = size_of(self._sandbox.pid)
        self._most_memory = max(self._most_memory, used)
        if (used > self._task.memory_mb << 20 or processes > PROCESSES) and self._around.tools.walls.limits:
            self._ended(-9)

    def _end(self) -> None:
        if self._sandbox is not None:
            self._loop.forget(self._sandbox.first)
            self._loop.forget(self._sandbox.control)
            self._sandbox.end()
            self._drain()
            os.close(self._sandbox.output)
        for carrier in self._carriers:
            carrier.close()
        for each in self._sockets:
            each.close()
        self._loop.close()
        with self._waking:
            self._over = True
            os.close(self._woken)
            os.close(self._wake)

    def _told(self) -> Outcome:
        """Source: recorded on AWS (the three lines)."""
        assert self._outcome is not None
        task, payload, failed = self._task, *self._outcome
        ended = time.monotonic()
        began = self._ready_at or self._started
        took_ms = (ended - began) * 1000
        if not is_json(payload):
            error = {"errorType": "Runtime.InvalidResponse", "errorMessage": "The response is not JSON."}
            payload, failed = json.dumps(error).encode(), True
        most_mb = min(task.memory_mb, -(-self._most_memory // (1 << 20)))
        init = f"\tInit Duration: {(began - self._started) * 1000:.2f} ms" if self._ready_at is not None else ""
        head = f"START RequestId: {task.request_id} Version: {task.version}\n".encode()
        tail = (
            f"END RequestId: {task.request_id}\nREPORT RequestId: {task.request_id}\tDuration: {took_ms:.2f} ms\t"
            f"Billed Duration: {int(-(-took_ms // 1))} ms\tMemory Size: {task.memory_mb} MB\tMax Memory Used: {most_mb} MB{init}\t\n"
        ).encode()
        text = self._journal.text()
        newline = b"" if text.endswith(b"\n") or not text else b"\n"
        return Outcome(payload, failed, head + text + newline + tail)


def environment(task: Task) -> dict[str, str]:
    """What the function finds in its environment. The function's own variables win where Lambda lets them.

    Source: "Defined runtime environment variables", developer guide. The two addresses of the server are ours.
    """
    own = task.environment
    libraries = [f"{sandbox.BASE}/lib", "/var/runtime", "/var/task", "/var/task/lib", "/opt/lib"]
    return {
        "PATH": f"{sandbox.BASE}/bin:/usr/local/bin:/usr/bin:/bin:/opt/bin",
        "LANG": "en_US.UTF-8",
        "PYTHONUTF8": "1",
        "TZ": ":UTC",
        "PYTHONPATH": "/var/runtime",
        "MALLOC_ARENA_MAX": "2",
        **own,
        "LD_LIBRARY_PATH": ":".join([*libraries, own["LD_LIBRARY_PATH"]] if "LD_LIBRARY_PATH" in own else libraries),
        "_HANDLER": task.handler,
        "LAMBDA_TASK_ROOT": "/var/task",
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "AWS_LAMBDA_RUNTIME_API": f"{API[0]}:{API[1]}",
        "AWS_LAMBDA_FUNCTION_NAME": task.name,
        "AWS_LAMBDA_FUNCTION_VERSION": task.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(task.memory_mb),
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{task.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": f"{time.strftime('%Y/%m/%d', time.gmtime())}/[{task.version}]{task.request_id.replace('-', '')}",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
        "AWS_REGION": task.region,
        "AWS_DEFAULT_REGION": task.region,
        "AWS_ENDPOINT_URL": ENDPOINT_URL,
        "SECRETS_MANAGER_ENDPOINT": ENDPOINT_URL,
        **task.credentials,
    }


_BOOTSTRAP: Final = (
    "import sys; sys.path.insert(0, '/var/geumgo'); from inside.bootstrap import main; del sys.path[0]; main()"
)


def is_json(payload: bytes) -> bool:
    try:
        json.loads(payload)
    except (ValueError, RecursionError):
        return False
    return True


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{time.time_ns() // 1_000_000 % 1000:03d}Z"


_SIGNALS: Final = {-9: "killed", -6: "aborted", -11: "segmentation fault", -15: "terminated", -31: "bad system call"}


def _how(status: int) -> str:
    return f"exit status {status}" if status >= 0 else f"signal: {_SIGNALS.get(status, -status)}"


def size_of(agent: int) -> tuple[int, int]:
    """The memory that the processes below the agent use (bytes), and their number."""
    total, count, page = 0, 0, os.sysconf("SC_PAGE_SIZE")
    waiting = children(agent)
    while waiting:
        pid = waiting.pop()
        count += 1
        with contextlib.suppress(OSError, ValueError, IndexError):
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page
        waiting += children(pid)
    return total, count


def children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found
