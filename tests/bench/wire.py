"""Requests signed beforehand, driven by wrk, and what the server's processes used for them."""

import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.server import Server, clean_environment, descendants
from tests.storage.postgres_server import PrivateServer

SECONDS = int(os.environ.get("BENCH_SECONDS", "4"))
RUNS = int(os.environ.get("BENCH_RUNS", "3"))
CONNECTIONS = int(os.environ.get("BENCH_CONNECTIONS", "64"))
TICKS = os.sysconf("SC_CLK_TCK")

SCRIPT = """
local requests = {}
local file = io.open(os.getenv("BENCH_REQUESTS"), "rb")
local size = file:read(8)
while size do requests[#requests + 1] = file:read(tonumber(size)) size = file:read(8) end
local turn = 0
request = function() turn = turn % #requests + 1 return requests[turn] end
done = function(summary, latency)
  io.write(string.format("RESULT %d %d %d %d %d\\n", summary.requests, summary.duration,
    summary.errors.status + summary.errors.read + summary.errors.timeout, latency:percentile(50), latency:percentile(99)))
end
"""


def cpu_seconds(pids: list[int]) -> float:
    """User and system time that these processes have used."""
    total = 0.0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += (int(fields[11]) + int(fields[12])) / TICKS
    return total


def resident_mb(pid: int) -> float:
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) / 1024


def proportional_mb(pid: int) -> float:
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) / 1024


def signed(endpoint: str, credentials: Credentials, operation: str, params: Mapping[str, object]) -> bytes:
    """One signed request as bytes, ready for the wire. Valid for five minutes."""
    body = json.dumps(params).encode()
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"secretsmanager.{operation}"}
    request = AWSRequest("POST", endpoint + "/", headers, body)
    SigV4Auth(credentials, "secretsmanager", "us-east-1").add_auth(request)
    lines = [f"POST / HTTP/1.1\r\nHost: {urlsplit(endpoint).netloc}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def exchange(endpoint: str, request: bytes) -> bytes:
    address = urlsplit(endpoint)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=20) as connection:
        connection.sendall(request)
        return answer_on(connection)


def answer_on(connection: socket.socket) -> bytes:
    answer = b""
    while True:
        head, found, body = answer.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head) if found else None
        if length and len(body) >= int(length[1]):
            return answer
        chunk = connection.recv(65_536)
        assert chunk, answer
        answer += chunk


class Run(NamedTuple):
    """One run of wrk. Times in milliseconds, CPU of the server's processes in microseconds a request."""

    rate: float
    p50: float
    p99: float
    cpu: float  # of the processes that answer
    behind: float  # of the others: jobs, the index of the trail
    database: float  # of a PostgreSQL server
    errors: int
    requests: int


def steadily(endpoint: str, request: bytes, *, asks: int, each_seconds: float) -> list[float]:
    """How long he waits for each answer (seconds) who asks again and again over one connection, every `each_seconds`.

    He asks when it is time, whether or not the last answer was late. An answer that is not 200 fails an assertion.
    """
    address = urlsplit(endpoint)
    waited: list[float] = []
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        due = time.perf_counter()
        for _ in range(asks):
            due += each_seconds
            time.sleep(max(0.0, due - time.perf_counter()))
            connection.sendall(request)
            assert answer_on(connection).startswith(b"HTTP/1.1 200")
            waited.append(time.perf_counter() - due)
    return waited


@contextmanager
def crowd(server: Server, requests: Sequence[bytes], directory: Path, connections: int) -> Iterator[None]:
    """So many clients ask without a pause, by turns, until this is left."""
    script, stored = written(requests, directory)
    command = ["wrk", "-t1", f"-c{connections}", "-d600s", "-s", str(script), server.endpoint]
    environment = {**clean_environment(), "BENCH_REQUESTS": str(stored)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as asking:
        time.sleep(1)  # they have connected
        try:
            yield
            assert asking.poll() is None, "the crowd has gone"
        finally:
            asking.terminate()


def drive(
    server: Server,
    requests: Sequence[bytes],
    directory: Path,
    *,
    scheme: str = "http",
    database: PrivateServer | None = None,
) -> Run:
    """The requests by turns, over and over. Whatever is not answered with 2xx is an error."""
    script, stored = written(requests, directory)
    answering = server.answering()
    others = [pid for pid in server.members() if pid not in answering]
    serving = [] if database is None else [database.process, *descendants(database.process)]
    before = [cpu_seconds(pids) for pids in (answering, others, serving)]
    done = subprocess.run(
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-s", str(script), f"{scheme}://{urlsplit(server.endpoint).netloc}"],
        capture_output=True, text=True, env={**clean_environment(), "BENCH_REQUESTS": str(stored)}, check=True,
    )  # fmt: skip
    after = [cpu_seconds(pids) for pids in (answering, others, serving)]
    found = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+)", done.stdout)
    assert found, done.stdout + done.stderr
    count, micros, errors, p50, p99 = map(int, found.groups())
    cpu, behind, kept = ((end - start) / max(count, 1) * 1e6 for start, end in zip(before, after, strict=True))
    return Run(count / (micros / 1e6), p50 / 1000, p99 / 1000, cpu, behind, kept, errors, count)


def written(requests: Sequence[bytes], directory: Path) -> tuple[Path, Path]:
    """A script that lets wrk send `requests` by turns, and where they are kept for it."""
    script, stored = directory / "replay.lua", directory / "requests"
    script.write_text(SCRIPT)
    stored.write_bytes(b"".join(b"%8d%s" % (len(request), request) for request in requests))
    return script, stored


def measure(
    name: str,
    server: Server,
    requests: Sequence[bytes],
    directory: Path,
    *,
    scheme: str = "http",
    database: PrivateServer | None = None,
) -> float:
    """The run in the middle of RUNS, printed; answers its CPU a request.

    Before it everything was asked for three times: the first read of a day leaves a date, and each process keeps what it has read itself.
    """
    warm = 0
    while warm < 3 * len(requests):
        warm += max(drive(server, requests, directory, scheme=scheme).requests, 1)
    runs = sorted(drive(server, requests, directory, scheme=scheme, database=database) for _ in range(RUNS))
    middle = runs[len(runs) // 2]
    memory = max((proportional_mb(pid) for pid in server.answering()), default=0.0)
    kept = "" if database is None else f" and {middle.database:.0f} in the database"
    print(f"{name:<46}{middle.rate:>9,.0f}/s  ({runs[0].rate:,.0f}-{runs[-1].rate:,.0f})  p50 {middle.p50:.1f} ms  "
          f"p99 {middle.p99:.1f} ms  {middle.cpu:.0f} us CPU/request and {middle.behind:.0f} behind{kept}  {memory:.0f} MB/worker  "
          f"{sum(run.errors for run in runs)} errors", flush=True)  # fmt: skip
    return middle.cpu
