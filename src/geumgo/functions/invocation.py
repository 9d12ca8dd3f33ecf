"""One invocation from its beginning to its end: a loop that carries, listens, watches the clock and the memory, and ends everything."""

import contextlib
import fcntl
import json
import os
import selectors
import socket
import sys
import termios
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

from geumgo.clock import seconds_since_start
from geumgo.functions import Outcome, Task, package, runtime_api, runtimes, sandbox
from geumgo.functions.carrying import Loop
from geumgo.functions.environment import API, ENDPOINT, RESOLVER, environment
from geumgo.functions.journal import Journal
from geumgo.functions.measuring import size_of
from geumgo.functions.network import Connect, Network
from geumgo.functions.reach import Rules
from geumgo.functions.runtime_link import RuntimeLink
from geumgo.functions.runtimes import Language
from geumgo.functions.sandbox import Sandbox, Sizes, Tools

INIT_SECONDS: Final = 10.0  # source: "Lambda execution environment", developer guide (the init phase)
LOOK_SECONDS: Final = 0.05  # between two looks at the memory
STOOD_STILL_SECONDS: Final = (
    5.0  # a third of the lease of a job, so that a lease of which a beat is missing still holds then
)
LOG_BYTES: Final = 1 << 20  # that are read between two looks; a function that prints more waits
PROCESSES: Final = 32
OPEN_FILES: Final = 1_024


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an invocation needs of its host. `server` connects to the server's own endpoint; `node`: where Node.js is, or empty.

    `still_wanted`: whether what it was begun for is still to be done here. It is asked at every turn, in the thread that runs it.
    """

    tools: Tools
    rules: Rules
    server: Connect
    node: str = ""
    still_wanted: Callable[[], bool] = lambda: True


class Invocation:
    """Runs one task. Used once."""

    def __init__(self, task: Task, around: Surroundings) -> None:
        self._task, self._around = task, around
        self._loop = Loop()
        self._journal = Journal()
        self._sandbox: Sandbox | None = None
        self._network = Network(
            self._loop, self._journal, around.rules, connect=around.server, ask=self._ask, elsewhere=self._elsewhere
        )
        self._runtime = RuntimeLink(self._loop, self._answer)
        self._use = {
            "names": self._network.answer_names,
            "runtime": self._runtime.listen,
            "endpoint": self._network.carry_to_server,
        }
        self._asked = {"names": RESOLVER, "runtime": API, "endpoint": ENDPOINT}  # of the agent; each comes once
        self._kept: list[socket.socket] = []  # that came and were not asked for
        self._calls: deque[Callable[[], None]] = deque()  # from other threads, for the loop
        self._printed = 0  # bytes, since the last look
        self._waking, self._over = threading.Lock(), False
        self._wake, self._woken = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._outcome: tuple[bytes, bool] | None = None
        self._started = time.monotonic()
        self._deadline = self._started + INIT_SECONDS
        self._ready_at: float | None = None
        self._most_memory = 0
        self._looked_at = 0.0
        self._awake_at = seconds_since_start()

    def run(self) -> Outcome:
        """Raises NotRun."""
        task = self._task
        found = [package.measure(each) for each in (task.code, *task.layers)]
        unpacked, room = max(sum(each.bytes for each in found), 1 << 20), sum(each.room for each in found)
        sizes = Sizes(task.memory_mb, task.storage_mb, unpacked, room)
        packages = [(task.code, "/var/task"), *((each, "/opt") for each in task.layers)]
        language = runtimes.language(
            task.runtime, task.memory_mb, interpreter=sandbox.interpreter(), node=self._around.node
        )
        try:
            self._sandbox = sandbox.start(self._around.tools, sizes, packages, self._config(language), language.bound)
            self._awake_at = seconds_since_start()
            self._watch_all()
            while self._outcome is None:
                self._turn()
        finally:
            self._end()
        return self._told()

    def _config(self, language: Language) -> dict[str, Any]:
        task = self._task
        return {
            "listen": [[kind, *at] for kind, at in self._asked.items()],
            "command": language.command,
            "environment": environment(task, language),
            "limits": {
                "memory_bytes": language.memory_bytes,
                "data_bytes": language.data_bytes,
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
        self._loop.turn(min(LOOK_SECONDS, self._deadline - now), self._goes_on)

    def _goes_on(self) -> bool:
        """Whether what is said may be carried. Otherwise it is over."""
        return self._is_in_time() and self._is_wanted()

    def _is_wanted(self) -> bool:
        """Whether whoever began this still has to do with it.

        A server that has lost the database in which the job stands cannot keep the job: after a while another server does it.
        """
        wanted = self._around.still_wanted()
        if not wanted:
            self._break_off("Sandbox.LeaseLost", "The server has lost the job for which the function ran")
        return wanted

    def _is_in_time(self) -> bool:
        """Whether this process ran all the while. Otherwise nothing more is carried.

        Whoever stood still (a machine that was suspended, SIGSTOP) may have lost the job for which the function runs: another worker has
        done it since, and what the function says now to a database or to the server may undo what came after.
        """
        now = seconds_since_start()
        late, self._awake_at = now - self._awake_at, now
        if late > STOOD_STILL_SECONDS:
            self._break_off("Sandbox.StoodStill", f"The server stood still for {late:.2f} seconds")
        return late <= STOOD_STILL_SECONDS

    def _break_off(self, kind: str, sentence: str) -> None:
        self._journal.write(f"{_now()} {self._task.request_id} {sentence}\n\n".encode())
        self._fail(kind, f"RequestId: {self._task.request_id} Error: {sentence}")

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
        """What has been printed by now and was not read yet. What comes later is of one who was killed and is not gone yet."""
        assert self._sandbox is not None
        left = int.from_bytes(fcntl.ioctl(self._sandbox.output, termios.FIONREAD, bytes(4)), sys.byteorder)
        with contextlib.suppress(BlockingIOError):
            while left > 0 and (chunk := os.read(self._sandbox.output, left)):
                self._journal.write(chunk)
                left -= len(chunk)

    # -- the agent -------------------------------------------------------------------------------------------

    def _ask(self, address: str, port: int) -> None:
        """The agent is to listen there. It answers when it does, or cannot."""
        assert self._sandbox is not None
        with contextlib.suppress(OSError):
            self._sandbox.control.send(json.dumps([address, port]).encode())

    def _hear(self) -> None:
        assert self._sandbox is not None
        try:
            said, descriptors, _, _ = socket.recv_fds(self._sandbox.control, 65_536, 4)
        except BlockingIOError:
            return
        except OSError:
            said, descriptors = b"", []
        taken = [socket.socket(fileno=each) for each in descriptors]
        self._kept += taken
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
        if self._asked.get(kind) == at and taken:
            del self._asked[kind]
            self._kept.remove(taken[0])
            taken[0].setblocking(False)
            self._use[kind](taken[0])
        elif kind in ("", "host") and self._network.has_asked_for(at):
            listener = taken[0] if kind and taken else None
            if listener is not None:
                self._kept.remove(listener)
                listener.setblocking(False)
            self._network.settle(at, listener)

    # -- the runtime ---------------------------------------------------------------------------------------------------

    def _answer(self, asked: runtime_api.Asked) -> bytes | None:
        """What the runtime is told. Source: "Using the Lambda runtime API", developer guide."""
        verdict = runtime_api.verdict(asked, self._task.request_id)
        if asked.too_large:
            self._fail(
                "Function.ResponseSizeTooLarge",
                "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
            )
            return None
        if verdict is not None:
            self._outcome = (asked.body, verdict != "response")
            return runtime_api.ACCEPTED
        if not runtime_api.is_next(asked):
            return runtime_api.REFUSED
        return self._begin() if self._ready_at is None else None  # there is no second event

    def _begin(self) -> bytes:
        """The event. From here on the time of the function is counted."""
        task = self._task
        self._ready_at = time.monotonic()
        self._deadline = self._ready_at + task.timeout_s
        deadline_ms = int((time.time() + task.timeout_s) * 1000)
        return runtime_api.event(task.request_id, task.function_arn, deadline_ms, task.client_context, task.event)

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
            why = (
                "without providing a reason" if status == 0 else f"with error: {_how(-9 if status is None else status)}"
            )
            self._fail("Runtime.ExitError", f"RequestId: {self._task.request_id} Error: Runtime exited {why}")

    def _look_at_size(self) -> None:
        """One that uses more than it was given ends. The kernel's own limits are those of single processes, and of a user."""
        assert self._sandbox is not None
        used, processes = size_of(self._sandbox.pid)
        self._most_memory = max(self._most_memory, used)
        if (used > self._task.memory_mb << 20 or processes > PROCESSES) and self._around.tools.walls.limits:
            self._ended(-9)

    def _end(self) -> None:
        """Nothing of it lives any more. What it had open is closed, even if the machine gives what was killed no core to end.

        A database keeps what was locked over a connection until that is closed, and whoever does the step again would wait for it.
        """
        try:
            if self._sandbox is not None:
                self._loop.forget(self._sandbox.first)
                self._loop.forget(self._sandbox.control)
                self._sandbox.kill()
                self._drain()  # before it may learn that nobody listens any more
            self._network.close()
            self._runtime.close()
            if self._sandbox is not None:
                self._sandbox.end()
        finally:
            if self._sandbox is not None:
                os.close(self._sandbox.output)
            for each in self._kept:
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
