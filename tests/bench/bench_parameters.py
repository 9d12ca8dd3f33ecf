"""`python -m tests.bench.bench_parameters`: Parameter Store in a tree of 100,000 parameters against an almost empty one.

In one process, without sockets: what a read costs (microseconds of CPU, batches of 20, signatures, policies, KMS and trail all real), and how
long a page of GetParametersByPath takes alone (milliseconds that pass). Then over HTTP, with `wrk` on the same cores. `--postgres` does the first
part on PostgreSQL. Rates depend on the machine and its other work; compare within one run.
"""

import argparse
import gc
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from geumgo.message import Request
from geumgo.sealing import Plaintext
from geumgo.services.ssm import domain, store, values
from geumgo.services.ssm.records import Parameter, Version
from tests.bench.wire import SECONDS, measure
from tests.clock import TurnedClock
from tests.house import ENDPOINT, House, Key
from tests.server import Server

TREE = int(os.environ.get("BENCH_PARAMETERS", "100000"))
READ = int(os.environ.get("BENCH_READ", "1000"))  # parameters that the reads go round, of each type
BATCH = 20
ROUNDS = 5
PAGES = 1_000
GRANTS: list[dict[str, Any]] = [
    {"Effect": "Allow", "Action": ["ssm:GetParameter*", "ssm:DescribeParameters"], "Resource": "arn:aws:ssm:*:*:parameter/*"},
    {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*", "Condition": {"StringLike": {"kms:ViaService": "ssm.*.amazonaws.com"}}},
    {"Effect": "Deny", "Action": "ssm:*", "Resource": "arn:aws:ssm:*:*:parameter/forbidden/*"},
    {"Effect": "Allow", "Action": ["sqs:SendMessage", "logs:*"], "Resource": "*"},
]  # fmt: skip


def plain(number: int) -> str:
    return f"/read/app-{number % 20}/prod/p-{number}"


def secret(number: int) -> str:
    return f"/read/app-{number % 20}/prod/s-{number}"


def in_tree(number: int) -> str:
    """1,000 applications, five environments, twenty parameters in each."""
    return f"/tree/app-{number // 100:04}/env-{number // 20 % 5}/p-{number % 20:02}"


def fill(house: House, count: int) -> None:
    """`count` parameters, put into the store without their calls: 100,000 signed requests would take minutes."""
    parts = house.app.pipeline._parts
    now_ms = house.clock.now_ms()
    for start in range(0, count, 5_000):
        with parts.storage.writing() as tx:
            for number in range(start, min(start + 5_000, count)):
                path = in_tree(number)
                parameter = Parameter(
                    id=f"{number:032x}",
                    partition="aws",
                    account=house.account,
                    region="us-east-1",
                    name=path,
                    path=path,
                    parent=domain.parent_of(path),
                    version=1,
                    changed_at_ms=now_ms,
                )
                value = Plaintext(f"value-{number}".encode())
                sealed = parts.sealing.wrap("ssm", values._bound_to(parameter, 1), value)
                version = Version(
                    1, "String", "Standard", "text", "", "", "", (), sealed, None, now_ms, "arn:aws:iam::x"
                )
                store.add(tx, parts.sealing, parameter)
                store.add_version(tx, parts.sealing, parameter, version)


def furnished(directory: Path, count: int, database: str) -> tuple[House, Key]:
    """A house with what is read, a tree of `count` more, and a user with a policy of a usual size."""
    settings = {"database": database} if database else {}
    house = House.build(directory, TurnedClock(int(time.time() * 1000)), **settings)
    admin = house.client("ssm")
    for number in range(READ):
        admin.put_parameter(Name=plain(number), Value=f"value-{number}", Type="String")
        admin.put_parameter(Name=secret(number), Value=f"value-{number}", Type="SecureString")
    fill(house, count)
    return house, house.user("ann", *GRANTS)


def headers_of(key: Key, endpoint: str, operation: str, body: bytes) -> list[tuple[str, str]]:
    headers = {"X-Amz-Target": f"AmazonSSM.{operation}", "Content-Type": "application/x-amz-json-1.1"}
    asked = AWSRequest("POST", endpoint + "/", headers, body)
    SigV4Auth(Credentials(key.identity, key.secret), "ssm", "us-east-1").add_auth(asked)
    return [("host", urlsplit(endpoint).netloc), *((name.lower(), str(value)) for name, value in asked.headers.items())]


def request(house: House, key: Key, operation: str, **params: Any) -> Request:
    body = json.dumps(params).encode()
    headers = tuple((name.encode(), value.encode()) for name, value in headers_of(key, ENDPOINT, operation, body))
    at_ms = house.clock.now_ms()
    return Request(
        "POST", b"/", (*headers, (b"content-length", b"%d" % len(body))), body, house.peer, False, "0" * 36, at_ms
    )


def cpu_us(house: House, requests: Sequence[Request]) -> float:
    """Microseconds of CPU for each request."""
    started = time.process_time_ns()
    for at in range(0, len(requests), BATCH):
        for answer in house.app.pipeline.handle_batch(requests[at : at + BATCH]):
            assert answer.status == 200, answer.body
    return (time.process_time_ns() - started) / 1000 / len(requests)


def by_turns(several: Sequence[tuple[str, House, Sequence[Request]]]) -> None:
    """The cost of reads in one store and in the other, in alternating rounds after one that warms up; and its ratio to the first."""
    costs: list[list[float]] = [[] for _ in several]
    for _ in range(ROUNDS + 1):
        for found, (_, house, requests) in zip(costs, several, strict=True):
            found.append(cpu_us(house, requests))
    first = statistics.median(costs[0][1:])
    for found, (title, _, _) in zip(costs, several, strict=True):
        middle = statistics.median(found[1:])
        print(
            f"{title:<58}{middle:>8.0f} us CPU/request ({min(found[1:]):.0f}-{max(found[1:]):.0f})  ratio {middle / first:.2f}",
            flush=True,
        )


def alone(house: House, requests: Sequence[Request]) -> None:
    """What each request takes when nobody else asks: time that passes, and CPU."""
    passed, used = [], []
    for each in requests:
        started, cpu = time.perf_counter_ns(), time.process_time_ns()
        answer = house.app.pipeline.handle_batch([each])[0]
        passed.append((time.perf_counter_ns() - started) / 1e6)
        used.append((time.process_time_ns() - cpu) / 1e6)
        assert answer.status == 200, answer.body
    for title, taken in (("time", sorted(passed)), ("CPU", sorted(used))):
        print(
            f"{f'GetParametersByPath, recursive, a page of 10, alone: {title}':<58}"
            f"p50 {taken[len(taken) // 2]:.2f} ms  p99 {taken[len(taken) * 99 // 100]:.2f} ms  worst {taken[-1]:.2f} ms",
            flush=True,
        )


def pages_of(house: House, key: Key, chance: random.Random, count: int) -> list[Request]:
    """Pages of ten anywhere in the tree: the beginning of a path, or on behind a token, at every depth."""
    asked = []
    tokens: dict[str, str] = {}
    client = house.client("ssm", key)
    for path in ("/", "/tree"):
        page = client.get_parameters_by_path(Path=path, Recursive=True)
        for _ in range(20):
            page = client.get_parameters_by_path(Path=path, Recursive=True, NextToken=page["NextToken"])
        tokens[path] = page["NextToken"]
    for _ in range(count):
        application = in_tree(chance.randrange(TREE)).rsplit("/", 2)[0]
        path = chance.choice(
            ["/", "/tree", application, application, application, f"{application}/env-{chance.randrange(5)}"]
        )
        more = {"NextToken": tokens[path]} if path in tokens and chance.random() < 0.5 else {}
        asked.append(
            request(
                house, key, "GetParametersByPath", Path=path, Recursive=True, WithDecryption=True, MaxResults=10, **more
            )
        )
    return asked


def in_process(directory: Path, databases: Sequence[str]) -> None:
    chance = random.Random(1)
    small, large = (
        furnished(directory / str(count), count, database) for count, database in zip((0, TREE), databases, strict=True)
    )
    gc.freeze()
    for kind, of, more in (("String", plain, {}), ("SecureString", secret, {"WithDecryption": True})):
        by_turns(
            [
                (f"GetParameter {kind}, {title}", house, [request(house, key, "GetParameter", Name=of(each), **more) for each in range(READ)])
                for title, (house, key) in ((f"{2 * READ:,} parameters", small), (f"{TREE:,} more", large))
            ]
        )  # fmt: skip
    house, key = large
    anywhere = [request(house, key, "GetParameter", Name=in_tree(chance.randrange(TREE))) for _ in range(5 * READ)]
    print(
        f"{'GetParameter String, anywhere in the tree (nothing kept)':<58}{cpu_us(house, anywhere):>8.0f} us CPU/request",
        flush=True,
    )
    alone(house, pages_of(house, key, chance, PAGES))
    for each, _ in (small, large):
        each.close()


def over_http(directory: Path) -> None:
    house, key = furnished(directory / "http", TREE, "")
    house.close()
    with Server(house.settings.data, arguments=("--workers", str(os.cpu_count()))) as server:
        for title, of, more in (("String", plain, {}), ("SecureString", secret, {"WithDecryption": True})):
            requests = []
            for number in range(READ):
                body = json.dumps({"Name": of(number), **more}).encode()
                lines = [f"{name}: {value}" for name, value in headers_of(key, server.endpoint, "GetParameter", body)]
                head = "\r\n".join(["POST / HTTP/1.1", *lines, f"Content-Length: {len(body)}", "", ""])
                requests.append(head.encode() + body)
            measure(f"GetParameter {title}, HTTP, {TREE:,}", server, requests, directory)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--postgres", action="store_true", help="the first part on PostgreSQL, without the second")
    figures(on_postgres=parser.parse_args().postgres)


def figures(*, on_postgres: bool = False) -> None:
    """Everything, as it is found."""
    print(f"# {os.cpu_count()} cores, Python {sys.version.split()[0]}, runs over HTTP of {SECONDS} s", flush=True)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        databases = ["", ""]
        if on_postgres:
            from tests.storage.postgres_server import private_server

            server = stack.enter_context(private_server())
            databases = [stack.enter_context(server.database()) for _ in range(2)]
        in_process(Path(name), databases)
        if not on_postgres:
            over_http(Path(name))


if __name__ == "__main__":
    main()
