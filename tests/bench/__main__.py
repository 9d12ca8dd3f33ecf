"""`make bench`: what this machine does, printed as a table. Nothing here passes or fails.

Rates depend on the machine and on what else runs on it; CPU per request and the ratio to the floor (the same HTTP front answering
`/healthz`) can be compared between machines.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.bench import bench_policy
from tests.server import GEUMGO, READY, Server, clean_environment, descendants

SECRETS = int(os.environ.get("BENCH_SECRETS", "2000"))
PRINCIPALS = int(os.environ.get("BENCH_PRINCIPALS", "20"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "4"))
RUNS = 3
CONNECTIONS = 64
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


def first_answer() -> float:
    """Seconds from `geumgo serve --dev` to the first GetSecretValue answered."""
    started = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [*GEUMGO, "serve", "--dev", "--listen", "127.0.0.1:0"],
            stdout=output, stderr=subprocess.STDOUT, env=clean_environment(), start_new_session=True,
        )  # fmt: skip
        try:
            while True:
                output.seek(0)
                text = output.read().decode()
                ready = READY.search(text)
                if ready:
                    break
                assert process.poll() is None, text
                time.sleep(0.002)
            key = re.search(r"AWS_ACCESS_KEY_ID=(\S+)", text)
            secret = re.search(r"AWS_SECRET_ACCESS_KEY=(\S+)", text)
            assert key
            assert secret
            credentials = Credentials(key[1], secret[1])
            create = {"Name": "first", "SecretString": "value", "ClientRequestToken": "t" * 32}
            exchange(ready[1], signed(ready[1], credentials, "CreateSecret", create))
            answer = exchange(ready[1], signed(ready[1], credentials, "GetSecretValue", {"SecretId": "first"}))
            assert b'"SecretString":"value"' in answer, answer
            return time.monotonic() - started
        finally:
            process.terminate()
            process.wait()


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
    import socket

    address = urlsplit(endpoint)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=20) as connection:
        connection.sendall(request)
        answer = b""
        while True:
            head, found, body = answer.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head) if found else None
            if length and len(body) >= int(length[1]):
                return answer
            chunk = connection.recv(65_536)
            assert chunk, answer
            answer += chunk


@contextmanager
def furnished(directory: Path, environment: dict[str, str]) -> Iterator[tuple[Server, list[bytes]]]:
    """A server with secrets and principals with policies of a usual size, and signed reads of all of them."""
    with Server(directory, arguments=("--workers", str(os.cpu_count())), environment=environment) as server:
        client, iam = server.client("secretsmanager"), server.client("iam")
        for number in range(SECRETS):
            client.create_secret(
                Name=f"app-{number % PRINCIPALS}/secret-{number}",
                SecretString=json.dumps({"password": f"p{number}" * 4}),
            )
        account = server.client("sts").get_caller_identity()["Account"]
        keys = []
        for number in range(PRINCIPALS):
            iam.create_user(UserName=f"app-{number}")
            iam.put_user_policy(
                UserName=f"app-{number}", PolicyName="reads", PolicyDocument=json.dumps(policy(account, number))
            )
            key = iam.create_access_key(UserName=f"app-{number}")["AccessKey"]
            keys.append(Credentials(key["AccessKeyId"], key["SecretAccessKey"]))
        reads = [
            signed(
                server.endpoint,
                keys[number % PRINCIPALS],
                "GetSecretValue",
                {"SecretId": f"app-{number % PRINCIPALS}/secret-{number}"},
            )
            for number in range(SECRETS)
        ]
        yield server, reads


def policy(account: str, number: int) -> dict[str, object]:
    own = f"arn:aws:secretsmanager:us-east-1:{account}:secret:app-{number}/*"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "List", "Effect": "Allow", "Action": ["secretsmanager:ListSecrets", "secretsmanager:GetRandomPassword"], "Resource": "*"},
            {"Sid": "Read", "Effect": "Allow", "Action": ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"], "Resource": own},
            {"Sid": "Write", "Effect": "Allow", "Action": "secretsmanager:PutSecretValue", "Resource": own,
             "Condition": {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}},
            {"Sid": "Never", "Effect": "Deny", "Action": "secretsmanager:DeleteSecret", "Resource": "*"},
        ],
    }  # fmt: skip


def drive(server: Server, requests: list[bytes], directory: Path) -> tuple[float, float, float, float, int]:
    """(requests/s, p50 ms, p99 ms, server CPU microseconds a request, errors) of one run of wrk."""
    script, stored = directory / "replay.lua", directory / "requests"
    script.write_text(SCRIPT)
    stored.write_bytes(b"".join(b"%8d%s" % (len(request), request) for request in requests))
    members = server.members()
    before = cpu_seconds(members)
    done = subprocess.run(
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-s", str(script), server.endpoint],
        capture_output=True, text=True, env={**clean_environment(), "BENCH_REQUESTS": str(stored)}, check=True,
    )  # fmt: skip
    used = cpu_seconds(members) - before
    found = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+)", done.stdout)
    assert found, done.stdout + done.stderr
    count, micros, errors, p50, p99 = map(int, found.groups())
    return count / (micros / 1e6), p50 / 1000, p99 / 1000, used / max(count, 1) * 1e6, errors


def report(name: str, runs: list[tuple[float, float, float, float, int]]) -> float:
    middle = sorted(runs)[len(runs) // 2]
    spread = f"{min(r[0] for r in runs):,.0f}-{max(r[0] for r in runs):,.0f}"
    errors = sum(r[4] for r in runs)
    print(f"{name:<38}{middle[0]:>10,.0f}/s  ({spread})  p50 {middle[1]:.1f} ms  p99 {middle[2]:.1f} ms  "
          f"{middle[3]:.0f} us CPU/request  {errors} errors", flush=True)  # fmt: skip
    return middle[3]


def main() -> None:
    figures()
    print("\n# the cost of one decision, in one process")
    bench_policy.main()
    print("\n# Parameter Store, a tree of many parameters")
    from tests.bench import bench_parameters  # which takes what it needs from here

    bench_parameters.figures()


def figures() -> None:
    """Start-up, memory, and GetSecretValue over the wire."""
    print(
        f"# {os.cpu_count()} cores, Python {sys.version.split()[0]}, {RUNS} runs of {SECONDS} s, {CONNECTIONS} connections; wrk on the same cores"
    )
    starts = [first_answer() for _ in range(5)]
    print(
        f"{'serve --dev to first GetSecretValue':<38}{statistics.median(starts):>10.2f} s  (median of 5; {min(starts):.2f}-{max(starts):.2f})",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with Server(directory / "idle", arguments=("--workers", "2")) as idle:
            idle.client("secretsmanager").create_secret(Name="one", SecretString="x")
            for pid in descendants(idle.members()[0]):
                title = Path(f"/proc/{pid}/comm").read_text().strip()
                print(
                    f"{f'idle process {title}':<38}{resident_mb(pid):>10.1f} MB resident, {proportional_mb(pid):.1f} MB proportional",
                    flush=True,
                )
        with furnished(directory / "data", {}) as (server, reads):
            health = f"GET /healthz HTTP/1.1\r\nHost: {urlsplit(server.endpoint).netloc}\r\n\r\n".encode()
            floor = report(
                "floor: the front answering /healthz", [drive(server, [health], directory) for _ in range(RUNS)]
            )
            cost = report(
                f"GetSecretValue, {SECRETS} secrets, SQLite", [drive(server, reads, directory) for _ in range(RUNS)]
            )
            print(f"{'ratio of CPU to the floor':<38}{cost / floor:>10.1f}")


if __name__ == "__main__":
    main()
