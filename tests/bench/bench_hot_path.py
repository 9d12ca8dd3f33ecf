"""`python -m tests.bench.bench_hot_path`: what one GetSecretValue costs inside the core, in microseconds of CPU, and where it goes.

A whole house in this process, without sockets: signatures, policies, decryption and the durable trail are all real. Requests are signed
beforehand and handed over in batches, as the edge does under load. CPU (user and system) is counted, not time that passes, so that other
work on the machine disturbs it little; caches and the clock rate of the processor still do. Compare two programs by turns, and quote ratios:

    python -m tests.bench.bench_hot_path --against ../other-worktree

With `--postgres` it runs on a PostgreSQL server of its own, and what the server's process for us used is counted beside ours.
"""

import argparse
import contextlib
import gc
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from geumgo import protocol
from geumgo.access import signature
from geumgo.audit import record as trail_record
from geumgo.message import Request
from geumgo.pipeline import Pipeline
from geumgo.storage.postgres import PostgresStorage
from tests.clock import TurnedClock
from tests.house import ENDPOINT, House, Key
from tests.storage.postgres_server import private_server
from tests.storage.processes import open_again

SECRETS = 1_000
PRINCIPALS = 20
BATCH = 20
REQUESTS = 4_000
ROUNDS = 5
READ = (("secretsmanager", "GetSecretValue"), ("kms", "Decrypt"))
AGENT = "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux#6.1.0 md/arch#x86_64 lang/python#3.11.7 md/pyimpl#CPython m/Z,b cfg/retry-mode#legacy"


def furnished(directory: Path, database: str = "") -> tuple[House, list[Request]]:
    """A house with secrets and principals whose policies have a usual size, and a signed read for each secret."""
    clock = TurnedClock(int(time.time() * 1000))
    settings = {"database": database} if database else {}
    house = House.build(directory, clock, **settings)
    admin = house.client("secretsmanager")
    names = [f"app{number % PRINCIPALS}/prod/db-{number}" for number in range(SECRETS)]
    for name in names:
        value = json.dumps({"username": "app", "password": f"{name}-{'x' * 24}", "host": "db.internal", "port": 5432})
        admin.create_secret(Name=name, SecretString=value, Tags=[{"Key": "team", "Value": name.split("/")[0]}])
    keys = principals(house)
    return house, [signed(house, keys[number % PRINCIPALS], names[number]) for number in range(SECRETS)]


def principals(house: House) -> list[Key]:
    """Users with an inline policy and the policies of a group; every fifth works in a role that it has assumed."""
    iam = house.client("iam")
    iam.create_group(GroupName="applications")
    for name, document in (("guard", GUARD), ("metrics", METRICS)):
        arn = iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(document))["Policy"]["Arn"]
        iam.attach_group_policy(GroupName="applications", PolicyArn=arn)
    return [principal(house, iam, number) for number in range(PRINCIPALS)]


def principal(house: House, iam: Any, number: int) -> Key:
    name = f"app{number}"
    own = json.dumps(reads_of(name))
    if number % 5:
        key = house.user(name)
        iam.put_user_policy(UserName=name, PolicyName="secrets", PolicyDocument=own)
        iam.add_user_to_group(GroupName="applications", UserName=name)
        return key
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": house.account}, "Action": "sts:AssumeRole"}],
    }
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="secrets", PolicyDocument=own)
    caller = house.user(f"{name}-starter", {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": arn})
    session = house.client("sts", caller).assume_role(RoleArn=arn, RoleSessionName="bench")["Credentials"]
    return Key(session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])


def reads_of(name: str) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "OwnSecrets",
                "Effect": "Allow",
                "Action": ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"],
                "Resource": f"arn:aws:secretsmanager:*:*:secret:{name}/*",
            },
            {
                "Sid": "Keys",
                "Effect": "Allow",
                "Action": "kms:Decrypt",
                "Resource": "*",
                "Condition": {"StringLike": {"kms:ViaService": "secretsmanager.*.amazonaws.com"}},
            },
            {"Effect": "Allow", "Action": ["sqs:SendMessage", "sqs:ReceiveMessage"], "Resource": "*"},
        ],
    }


GUARD = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Deny",
            "Action": ["secretsmanager:DeleteSecret", "kms:ScheduleKeyDeletion"],
            "Resource": "*",
        },
        {
            "Effect": "Deny",
            "Action": "secretsmanager:*",
            "Resource": "*",
            "Condition": {"NotIpAddress": {"aws:SourceIp": ["198.51.100.0/24", "10.0.0.0/8"]}},
        },
    ],
}
METRICS = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["cloudwatch:PutMetricData", "logs:*"], "Resource": "*"}],
}


def signed(house: House, key: Key, name: str) -> Request:
    """GetSecretValue as boto3 sends it."""
    body = json.dumps({"SecretId": name}).encode()
    headers = {
        "X-Amz-Target": "secretsmanager.GetSecretValue",
        "Content-Type": "application/x-amz-json-1.1",
        "User-Agent": AGENT,
        "amz-sdk-invocation-id": "7f0c7f5e-8a8e-4c43-9a69-1c2d7d2ef2d9",
        "amz-sdk-request": "attempt=1",
    }
    asked = AWSRequest("POST", ENDPOINT + "/", headers, body)
    SigV4Auth(Credentials(key.identity, key.secret, key.token), "secretsmanager", "us-east-1").add_auth(asked)
    raw = [(b"host", ENDPOINT.removeprefix("http://").encode())]
    raw += [(header.lower().encode(), str(value).encode()) for header, value in asked.headers.items()]
    raw.append((b"content-length", b"%d" % len(body)))
    return Request(
        method="POST",
        target=b"/",
        headers=tuple(raw),
        body=body,
        peer=house.peer,
        secure=False,
        id="0d6aa2ee-5f63-4ff9-9a7c-6d1c8b2b1f10",
        received_at_ms=house.clock.now_ms(),
    )


# -- where it goes --------------------------------------------------------------------------------------------------------


class Stages:
    """CPU of named stages, each without what the stages inside of it took."""

    def __init__(self) -> None:
        self.spent_ns: dict[str, int] = defaultdict(int)
        self._open: list[tuple[str, int]] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self._switch(name)
        try:
            yield
        finally:
            now = time.process_time_ns()
            left, since = self._open.pop()
            self.spent_ns[left] += now - since
            if self._open:
                self._open[-1] = (self._open[-1][0], now)

    def _switch(self, name: str) -> None:
        now = time.process_time_ns()
        if self._open:
            within, since = self._open[-1]
            self.spent_ns[within] += now - since
        self._open.append((name, now))

    def around(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def staged(*arguments: Any, **named: Any) -> Any:
            with self.stage(name):
                return function(*arguments, **named)

        return staged


@contextmanager
def staged(house: House, stages: Stages) -> Iterator[None]:
    """The stages of a request are told apart while the block runs."""
    parts = house.app.pipeline._parts
    places: list[tuple[Any, str, str]] = [
        (signature, "read_claim", "signature"),
        (signature, "verify", "signature"),
        (type(parts.keyring), "find", "keyring"),
        (protocol.route, "find", "route, decode, validate"),
        (protocol, "decode", "route, decode, validate"),
        (protocol, "validate", "route, decode, validate"),
        (protocol, "encode", "encode"),
        (type(parts.gate), "check", "gate"),
        (Pipeline, "ask", "KMS call (around its own parts)"),
        (trail_record, "api_call", "records"),
        (type(parts.trail), "note", "records"),
        (type(parts.trail), "settle", "settle"),
        (type(parts.storage), "reading", "transactions"),
        (type(parts.storage), "execute", "SQL"),
    ]
    kept = [(place, name, vars(place).get(name) or getattr(place, name)) for place, name, _ in places]
    operations = [parts.rooms[service].operations[name] for service, name in READ]
    for place, name, label in places:
        setattr(place, name, stages.around(getattr(place, name), label))
    for operation in operations:
        object.__setattr__(operation.access, "demands", stages.around(operation.access.demands, "demands"))
        object.__setattr__(operation, "handler", stages.around(operation.handler, "handlers"))
    try:
        yield
    finally:
        for place, name, own in kept:
            setattr(place, name, own)


# -- measuring ------------------------------------------------------------------------------------------------------------


class Cost(NamedTuple):
    """CPU of a request, in microseconds."""

    ours: float
    database: float  # of the server's process behind our connection; 0 on SQLite


def run(house: House, batches: Sequence[Sequence[Request]]) -> list[Cost]:
    """What each of these batches cost. Every answer must be a value."""
    costs = []
    for batch in batches:
        started, behind = time.process_time_ns(), database_ns(house)
        answers = house.app.pipeline.handle_batch(batch)
        used = time.process_time_ns() - started, database_ns(house) - behind
        costs.append(Cost(*(each / len(batch) / 1e3 for each in used)))
        for answer in answers:
            assert answer.status == 200, answer.body
    return costs


def database_ns(house: House) -> int:
    """CPU that the server's process behind our connection has used. The server runs on this machine."""
    storage = house.app.storage
    if not isinstance(storage, PostgresStorage):
        return 0
    return int(Path(f"/proc/{storage._connection.info.backend_pid}/schedstat").read_text().split()[0])


def batches_of(requests: Sequence[Request], number: int) -> list[list[Request]]:
    chosen = random.Random(7).choices(requests, k=number)
    return [chosen[start : start + BATCH] for start in range(0, number, BATCH)]


WRITER = """
import random, sys, time
from tests.storage.processes import storage_at
storage, chooses = storage_at(sys.argv[1]), random.Random(7)
try:
    from geumgo.storage.text import kept_under
except ImportError:  # a program that knows only changes that drop everything
    kept_under = lambda parameter, sql: sql
with storage.reading() as tx:
    ids = [row[0] for row in tx.all("SELECT id FROM secret")]
while True:
    with storage.writing() as tx:
        tx.run(kept_under("id", "UPDATE secret SET revision = revision WHERE id = :id"), id=chooses.choice(ids))
    time.sleep(1 / float(sys.argv[2]))
"""


@contextmanager
def writing(house: House, a_second: int) -> Iterator[None]:
    """Another process writes about so many secrets a second, which drops what is kept of them."""
    if not a_second:
        yield
        return
    command = [sys.executable, "-c", WRITER, open_again(house.app.storage), str(a_second)]
    with subprocess.Popen(command) as process:
        time.sleep(1)
        try:
            yield
        finally:
            process.terminate()


def measure(rounds: int, database: str = "", writes: int = 0) -> dict[str, Any]:
    """The costs of each batch, and CPU by stage."""
    with tempfile.TemporaryDirectory() as directory:
        house, requests = furnished(Path(directory), database)
        batches = batches_of(requests, REQUESTS)
        run(house, [requests[start : start + BATCH] for start in range(0, SECRETS, BATCH)])
        gc.collect()
        gc.freeze()
        with writing(house, writes):
            costs = [cost for _ in range(rounds) for cost in run(house, batches)]
        stages = Stages()
        with staged(house, stages), stages.stage("the pipeline itself"):
            run(house, batches)
        house.close()
    by_stage = {name: spent / REQUESTS / 1e3 for name, spent in stages.spent_ns.items()}
    return {"us": [cost.ours for cost in costs], "database": [cost.database for cost in costs], "stages": by_stage}


def told(costs: Sequence[float]) -> str:
    ordered = sorted(costs)
    return f"{ordered[len(ordered) // 20]:.0f} us (5th percentile of batches), {statistics.median(ordered):.0f} us (median)"


def alternately(here: Path, there: Path, turns: int, more: Sequence[str]) -> None:
    """Two programs by turns: each run is a process of its own, with this script against the other's sources."""
    costs: dict[Path, dict[str, list[float]]] = {root: {"us": [], "database": []} for root in (here, there)}
    for _ in range(turns):
        for root in (here, there):
            environment = {**os.environ, "PYTHONPATH": f"{root / 'src'}{os.pathsep}{root}"}
            command = [sys.executable, __file__, "--json", "--rounds", "2", *more]
            done = subprocess.run(command, env=environment, cwd=root, stdout=subprocess.PIPE, check=True)
            found = json.loads(done.stdout)
            for kind, known in costs[root].items():
                known += found[kind]
    for root, found in costs.items():
        print(f"{root}: {told(found['us'])}; in the database {told(found['database'])}")
    fifth = {root: sorted(found["us"])[len(found["us"]) // 20] for root, found in costs.items()}
    print(f"ratio of ours: {fifth[here] / fifth[there]:.2f}")


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--rounds", type=int, default=ROUNDS)
    asked.add_argument("--database", default="", help="a PostgreSQL connection string; SQLite without it")
    asked.add_argument("--postgres", action="store_true", help="on a PostgreSQL server of its own")
    asked.add_argument("--writes", type=int, default=0, help="secrets that another process writes a second")
    asked.add_argument("--json", action="store_true")
    asked.add_argument("--against", type=Path, help="another working tree, measured by turns with this one")
    said = asked.parse_args()
    if said.against is not None:
        more = [*(["--postgres"] if said.postgres else []), "--writes", str(said.writes)]
        alternately(Path(__file__).parents[2], said.against.resolve(), 3, more)
        return
    with contextlib.ExitStack() as opened:
        database = said.database
        if said.postgres:
            database = opened.enter_context(opened.enter_context(private_server()).database())
        found = measure(said.rounds, database, said.writes)
    if said.json:
        print(json.dumps(found))
        return
    print(f"GetSecretValue, CPU a request: {told(found['us'])}, in batches of {BATCH}")
    if database:
        print(f"  and in the database: {told(found['database'])}")
    print("by stage, with the cost of measuring in it:")
    for name, spent in sorted(found["stages"].items(), key=lambda each: -each[1]):
        print(f"  {name:<36}{spent:8.1f}")


if __name__ == "__main__":
    main()
