"""`make bench`: what this machine does, printed as a table. Nothing here passes or fails.

    python -m tests.bench                    everything
    python -m tests.bench --only read list   these parts

Rates depend on the machine and on what else runs on it; CPU per request and the ratio to the floor (the same HTTP front answering
`/healthz`) can be compared between machines. Sizes: BENCH_SECRETS, BENCH_PRINCIPALS, BENCH_MANY, BENCH_LISTED, BENCH_SECONDS, BENCH_RUNS,
BENCH_CONNECTIONS, BENCH_WORKERS.
"""

import argparse
import json
import os
import re
import secrets
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.credentials import Credentials

from geumgo.app import directory as app_directory
from geumgo.app.operators import verify_trail
from geumgo.services.secretsmanager import store
from geumgo.services.secretsmanager.records import CURRENT, Secret, Version, Wrapping
from geumgo.settings import Settings
from tests.bench import bench_policy
from tests.bench.wire import (
    CONNECTIONS,
    RUNS,
    SECONDS,
    crowd,
    exchange,
    measure,
    proportional_mb,
    resident_mb,
    signed,
    steadily,
)
from tests.server import GEUMGO, READY, Server, clean_environment, descendants, name_of
from tests.storage.postgres_server import private_server

SECRETS = int(os.environ.get("BENCH_SECRETS", "10000"))
PRINCIPALS = int(os.environ.get("BENCH_PRINCIPALS", "50"))
MANY = int(os.environ.get("BENCH_MANY", "500000"))
LISTED = int(os.environ.get("BENCH_LISTED", "100000"))
WORKERS = os.environ.get("BENCH_WORKERS", str(os.cpu_count()))
READ = int(os.environ.get("BENCH_READ", "2000"))  # of many secrets: those that have a value and are read
WRITES_A_SECOND = 50
CROWD = 64
IN_ONE_TRANSACTION = 2_000


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


@dataclass(frozen=True, slots=True)
class Furnished:
    """A server with secrets and principals with policies of a usual size."""

    server: Server
    directory: Path
    account: str
    keys: list[Credentials]
    names: list[str]

    def each(self, operation: str, params: Callable[[str], Mapping[str, object]]) -> list[bytes]:
        """`operation` once for each secret, signed by the principal who may."""
        return [
            signed(self.server.endpoint, self.keys[number % PRINCIPALS], operation, params(name))
            for number, name in enumerate(self.names)
        ]

    def reads(self) -> list[bytes]:
        return self.each("GetSecretValue", lambda name: {"SecretId": name})

    def floor(self) -> list[bytes]:
        return [f"GET /healthz HTTP/1.1\r\nHost: {urlsplit(self.server.endpoint).netloc}\r\n\r\n".encode()]


@contextmanager
def furnished(
    count: int, *, environment: Mapping[str, str] | None = None, workers: str = WORKERS
) -> Iterator[Furnished]:
    with tempfile.TemporaryDirectory() as directory:
        arguments = ("--workers", workers)
        with Server(Path(directory) / "data", arguments=arguments, environment=dict(environment or {})) as server:
            client, iam = server.client("secretsmanager"), server.client("iam")
            account = server.client("sts").get_caller_identity()["Account"]
            names = [f"app-{number % PRINCIPALS}/secret-{number}" for number in range(count)]
            for number, name in enumerate(names):
                client.create_secret(Name=name, SecretString=json.dumps({"password": f"p{number}" * 4}))
            keys = []
            for number in range(PRINCIPALS):
                iam.create_user(UserName=f"app-{number}")
                iam.put_user_policy(
                    UserName=f"app-{number}", PolicyName="reads", PolicyDocument=json.dumps(policy(account, number))
                )
                key = iam.create_access_key(UserName=f"app-{number}")["AccessKey"]
                keys.append(Credentials(key["AccessKeyId"], key["SecretAccessKey"]))
            yield Furnished(server, Path(directory), account, keys, names)


def policy(account: str, number: int) -> dict[str, object]:
    own = f"arn:aws:secretsmanager:us-east-1:{account}:secret:app-{number}/*"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "List", "Effect": "Allow", "Action": ["secretsmanager:ListSecrets", "secretsmanager:BatchGetSecretValue"], "Resource": "*"},
            {"Sid": "Read", "Effect": "Allow", "Action": ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret", "secretsmanager:PutSecretValue"], "Resource": own},
            {"Sid": "Write", "Effect": "Allow", "Action": "secretsmanager:PutSecretValue", "Resource": own,
             "Condition": {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}},
            {"Sid": "Never", "Effect": "Deny", "Action": "secretsmanager:DeleteSecret", "Resource": "*"},
        ],
    }  # fmt: skip


def fill(house: Furnished, count: int) -> None:
    """So many more secrets, whose values nobody can read: rows as ours, with random bytes in place of what is sealed."""
    settings = Settings(data=house.server.data)
    storage, root = app_directory.open_storage(settings), app_directory.open_root(settings)
    now_ms = int(time.time() * 1000)
    for start in range(0, count, IN_ONE_TRANSACTION):
        with storage.writing() as tx:
            for number in range(start, min(start + IN_ONE_TRANSACTION, count)):
                version = Version(
                    secrets.token_hex(16), "string", secrets.token_bytes(200), now_ms, Wrapping("", True, secrets.token_bytes(150))
                )  # fmt: skip
                secret = Secret(
                    secrets.token_hex(16), "aws", house.account, "us-east-1", f"more-{number % 100}/secret-{number}", "AbCdEf",
                    "", now_ms, now_ms, stages={CURRENT: version.id}, tags={"team": f"team-{number % 100}"},
                )  # fmt: skip
                store.add(tx, root, secret)
                store.keep_version(tx, root, secret, version)
    storage.close()


# -- the parts ------------------------------------------------------------------------------------------------------------


def start() -> None:
    """Start-up, and the memory of idle processes."""
    starts = [first_answer() for _ in range(5)]
    print(
        f"{'serve --dev to first GetSecretValue':<46}{statistics.median(starts):>9.2f} s  (median of 5; {min(starts):.2f}-{max(starts):.2f})"
    )
    with tempfile.TemporaryDirectory() as name, Server(Path(name) / "idle", arguments=("--workers", "2")) as idle:
        idle.client("secretsmanager").create_secret(Name="one", SecretString="x")
        for pid in descendants(idle.members()[0]):
            title = name_of(pid)
            print(
                f"{f'idle process {title}':<46}{resident_mb(pid):>9.1f} MB resident, {proportional_mb(pid):.1f} MB proportional",
                flush=True,
            )


def read() -> None:
    """GetSecretValue beside the floor, alone and beside a writer; BatchGetSecretValue; the trail that all this has left."""
    with furnished(SECRETS) as house:
        floor = measure("floor: the front answering /healthz", house.server, house.floor(), house.directory)
        cost = measure(f"GetSecretValue, {SECRETS} secrets", house.server, house.reads(), house.directory)
        print(f"{'ratio of CPU to the floor':<46}{cost / floor:>9.1f}")
        measure(
            "DescribeSecret",
            house.server,
            house.each("DescribeSecret", lambda name: {"SecretId": name}),
            house.directory,
        )
        with writing(house):
            measure(
                f"GetSecretValue, {WRITES_A_SECOND} PutSecretValue/s beside it",
                house.server,
                house.reads(),
                house.directory,
            )
        batches = [
            signed(
                house.server.endpoint,
                house.keys[who],
                "BatchGetSecretValue",
                {"SecretIdList": house.names[who::PRINCIPALS][:20]},
            )
            for who in range(PRINCIPALS)
        ]
        measure("BatchGetSecretValue of 20", house.server, batches, house.directory)
        house.server.stop()
        started = time.process_time()
        report = verify_trail(Settings(data=house.server.data))
        took = time.process_time() - started
        lines = report.records
        print(f"{'audit verify':<46}{lines / took:>9,.0f} records/s of CPU  ({lines:,} records)", flush=True)


@contextmanager
def writing(house: Furnished) -> Iterator[None]:
    """Somebody changes secrets, so many times a second."""
    client, over = house.server.client("secretsmanager"), threading.Event()

    def write() -> None:
        for number in range(1 << 30):
            if over.wait(1 / WRITES_A_SECOND):
                return
            client.put_secret_value(SecretId=house.names[number * 7 % len(house.names)], SecretString=f"value {number}")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def tls() -> None:
    """GetSecretValue with TLS 1.3 on connections that stay open."""
    with tempfile.TemporaryDirectory() as name:
        certificate, key = Path(name) / "certificate", Path(name) / "key"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
             "-subj", "/CN=localhost", "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True,
        )  # fmt: skip
        with furnished(READ) as house:
            house.server.stop()
            house.server.environment |= {"GEUMGO_TLS_CERTIFICATE": str(certificate), "GEUMGO_TLS_KEY": str(key)}
            house.server.start()
            measure(
                f"GetSecretValue, TLS, {READ} secrets", house.server, house.reads(), house.directory, scheme="https"
            )


def postgres() -> None:
    """GetSecretValue on PostgreSQL, one node on this machine."""
    with (
        private_server() as database,
        database.database() as dsn,
        furnished(READ, environment={"GEUMGO_DATABASE": dsn}) as house,
    ):
        reads = house.reads()
        measure(f"GetSecretValue, PostgreSQL, {READ} secrets", house.server, reads, house.directory, database=database)
        with writing(house):
            beside = f"the same, {WRITES_A_SECOND} PutSecretValue/s beside it"
            measure(beside, house.server, reads, house.directory, database=database)


def crowded() -> None:
    """GetSecretValue for somebody who asks fifty times a second, alone and beside 64 that ask without a pause.

    Once as everything else here, and once with a server of one process on a core of its own: then whoever asks does not wait for a core
    that those have who ask beside him.
    """
    all_cores = os.sched_getaffinity(0)
    first, *others = sorted(all_cores)
    with furnished(READ) as house:
        beside_many(house, "")
    try:
        os.sched_setaffinity(0, {first})  # what is started from now on stays there
        with furnished(READ, workers="1") as house:
            os.sched_setaffinity(0, others or {first})
            beside_many(house, ", the server on its own core")
    finally:
        os.sched_setaffinity(0, all_cores)


def beside_many(house: Furnished, where: str) -> None:
    reads = house.reads()
    honest, hot = reads[0], [read for number, read in enumerate(reads) if number % PRINCIPALS]
    endpoint, asks = house.server.endpoint, 250 * SECONDS
    alone = steadily(endpoint, honest, asks=asks, each_seconds=0.02)
    with crowd(house.server, hot, house.directory, CROWD):
        beside = steadily(endpoint, honest, asks=asks, each_seconds=0.02)
    for who, waited in ((f"50 a second, alone{where}", alone), (f"the same beside {CROWD}{where}", beside)):
        p50, p99 = (1000 * each for each in (statistics.median(waited), statistics.quantiles(waited, n=100)[-1]))
        print(f"{who:<50}{len(waited):>6,} answers  p50 {p50:.1f} ms  p99 {p99:.1f} ms", flush=True)


def many() -> None:
    """GetSecretValue of a few among many secrets, against the same without the many."""
    with furnished(READ) as house:
        few = measure(f"GetSecretValue, {READ} secrets", house.server, house.reads(), house.directory)
        fill(house, MANY)
        full = measure(f"GetSecretValue, {READ} among {MANY} secrets", house.server, house.reads(), house.directory)
        print(f"{'ratio of CPU to that without them':<46}{full / few:>9.2f}")


def listing() -> None:
    """ListSecrets of many secrets, without and with filters; pages of 100."""
    with furnished(100) as house:
        fill(house, LISTED)
        for name, filters in (
            ("without a filter", []),
            ("by name prefix", [{"Key": "name", "Values": ["more-7/"]}]),
            ("by tag value", [{"Key": "tag-value", "Values": ["team-7"]}]),
            ("by description, nothing found", [{"Key": "description", "Values": ["absent"]}]),
        ):
            params: dict[str, Any] = {"MaxResults": 100, **({"Filters": filters} if filters else {})}
            asked = [signed(house.server.endpoint, key, "ListSecrets", params) for key in house.keys]
            measure(f"ListSecrets of {LISTED}, {name}", house.server, asked, house.directory)


PARTS = {
    "start": start,
    "read": read,
    "tls": tls,
    "postgres": postgres,
    "crowd": crowded,
    "many": many,
    "list": listing,
    "policy": bench_policy.main,
}


def main() -> None:
    asked = argparse.ArgumentParser(description="what this machine does")
    asked.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS))
    print(
        f"# {os.cpu_count()} cores, Python {sys.version.split()[0]}, {RUNS} runs of {SECONDS} s, {CONNECTIONS} connections; wrk on the same cores"
    )
    for part in asked.parse_args().only:
        print(f"\n# {part}", flush=True)
        PARTS[part]()


if __name__ == "__main__":
    main()
