"""A real server process on a loopback port, for tests that must see what a user sees."""

import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import botocore.config
import botocore.session

READY = re.compile(r"^ready: (https?://\S+)$", re.MULTILINE)
# Patience, and no promise: where fifty wait for two cores a start took 68 seconds, and once more than 90.
START_SECONDS = 240
GEUMGO = [sys.executable, "-m", "geumgo"]


class Server:
    """`geumgo serve` on its own data directory, in a process group of its own."""

    def __init__(
        self,
        data: Path,
        *,
        arguments: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
        program: Sequence[str] = GEUMGO,
    ) -> None:
        """`program` is what is started in place of `geumgo`."""
        self.data = data
        self.program = list(program)
        self.places = [data]  # every directory that what the server keeps may lie in
        self.arguments = arguments
        self.environment = {**clean_environment(), **(environment or {})}
        self.endpoint = ""
        self.process: subprocess.Popen[bytes] | None = None
        self.output: Path = Path(tempfile.mkstemp(prefix="geumgo-test-", suffix=".log")[1])

    def start(self) -> float:
        """Start and wait for the ready line. Answers the seconds that took."""
        started = time.monotonic()
        listen = self.endpoint.rpartition("/")[2] or "127.0.0.1:0"
        self.output.write_bytes(b"")
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [*self.program, "serve", "--data", str(self.data), "--listen", listen, *self.arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
            )
        while time.monotonic() - started < START_SECONDS:
            ready = READY.search(self.printed())
            if ready:
                self.endpoint = ready[1]
                return time.monotonic() - started
            if self.process.poll() is not None:
                break
            time.sleep(0.005)
        self.kill()
        raise AssertionError(f"the server did not become ready; it printed:\n{self.printed()}")

    def printed(self) -> str:
        return self.output.read_text("utf-8", "replace")

    def strike(self) -> None:
        """SIGKILL for the whole process group, from any thread. `kill` waits for its end, too."""
        assert self.process is not None
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def kill(self) -> None:
        """SIGKILL for the whole process group: nobody gets to tidy up."""
        assert self.process is not None
        ends = [*ends_of_group(self.process.pid)]
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for end in ends:  # the workers, whom the supervisor cannot wait for any more: until then their files are open
            select.select([end], [], [], START_SECONDS)
            os.close(end)

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        assert self.process is not None
        self.process.terminate()
        try:
            return self.process.wait(timeout=20)
        finally:
            self.kill()

    def members(self) -> list[int]:
        """The pids of every process of this server, the supervisor first."""
        assert self.process is not None
        return [self.process.pid, *descendants(self.process.pid)]

    def answering(self) -> list[int]:
        """The pids of the processes that answer requests, now."""
        return [pid for pid in self.members() if name_of(pid).startswith("geumgo api-")]

    def credentials(self) -> tuple[str, str]:
        """The administrator's access key, as first start wrote it."""
        text = (self.data / "admin.credentials").read_text()
        found = dict(re.findall(r"^(aws_\w+)\s*=\s*(\S+)$", text, re.MULTILINE))
        return found["aws_access_key_id"], found["aws_secret_access_key"]

    def client(
        self, service: str, *, key: tuple[str, str] | None = None, region: str = "us-east-1", **options: Any
    ) -> Any:
        """A real botocore client of this server. Retries are off, so that a test sees each answer."""
        identity, secret = key or self.credentials()
        config = botocore.config.Config(
            **{"retries": {"total_max_attempts": 1}, "connect_timeout": 5, "read_timeout": 20, **options}
        )
        return botocore.session.Session().create_client(
            service,
            region_name=region,
            endpoint_url=self.endpoint,
            aws_access_key_id=identity,
            aws_secret_access_key=secret,
            config=config,
        )

    def run(self, *command: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """A `geumgo` command on this server's data directory."""
        return subprocess.run(
            [*GEUMGO, *command, "--data", str(self.data)],
            capture_output=True,
            text=True,
            env=self.environment,
            timeout=timeout,
            check=False,
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.output.unlink(missing_ok=True)


def clean_environment() -> dict[str, str]:
    """This process's environment without anything that would configure an AWS client or this product."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "GEUMGO_"))}


def ends_of_group(group: int) -> Iterator[int]:
    """A descriptor for each process of the group that is there, readable once it has ended with all its threads."""
    for place in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            # after the name, which may hold anything: state, parent, group
            if int(place.read_text().rpartition(")")[2].split()[2]) == group:
                yield os.pidfd_open(int(place.parent.name))


def name_of(pid: int) -> str:
    """As a process of a server calls itself; empty: it has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def descendants(pid: int) -> list[int]:
    """The pids of all children of `pid`, and of their children."""
    found: list[int] = []
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
    except FileNotFoundError:  # it has ended meanwhile
        return found
    for task in tasks:
        try:
            children = (task / "children").read_text().split()
        except OSError:
            continue
        for child in map(int, children):
            found += [child, *descendants(child)]
    return found
