"""`python -m tests.bench.bench_operations`: what operations beside GetSecretValue cost inside the core, in CPU, and in statements.

The house of `bench_hot_path`, in this process and without sockets: everything is real. Each kind of call is measured in rounds; the 5th
percentile of its calls is told, with how many statements (transactions begun and ended included) the engine was sent for one. Compare two
programs by turns, and quote ratios:

    python -m tests.bench.bench_operations --against ../other-worktree [--postgres] [--only batch describe]
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from geumgo.message import Request
from tests.bench.bench_hot_path import AGENT, database_ns
from tests.clock import TurnedClock
from tests.house import ENDPOINT, House, Key
from tests.storage.postgres_server import private_server

SECRETS: Final = int(os.environ.get("BENCH_SECRETS", "400"))
PRINCIPALS: Final = 4
TURNS: Final = 3

Params = Mapping[str, Any]


class Kind(NamedTuple):
    """A kind of call: how many are made a round, how many of them come together, and what each asks for, by its number."""

    operation: str
    calls: int
    together: int
    params: Callable[[int], Params]


def name_of(number: int) -> str:
    return f"app{number % PRINCIPALS}/prod/db-{number}"


def own(number: int) -> int:
    """A secret of the principal who makes call `number`."""
    return random.Random(number).randrange(SECRETS // PRINCIPALS) * PRINCIPALS + number % PRINCIPALS


_FRESH: Final = f"{time.time_ns():x}"

KINDS: Final[Mapping[str, Kind]] = {
    "get": Kind("GetSecretValue", 1_000, 20, lambda n: {"SecretId": name_of(own(n))}),
    "describe": Kind("DescribeSecret", 1_000, 20, lambda n: {"SecretId": name_of(own(n))}),
    "batch": Kind(
        "BatchGetSecretValue", 100, 1,
        lambda n: {"SecretIdList": [name_of((own(n) + each * PRINCIPALS) % SECRETS) for each in range(20)]},
    ),
    "list": Kind("ListSecrets", 60, 1, lambda n: {"MaxResults": 100}),
    "list by prefix": Kind(
        "ListSecrets", 60, 1, lambda n: {"MaxResults": 100, "Filters": [{"Key": "name", "Values": [f"app{n % PRINCIPALS}/"]}]}
    ),
    "list by tag": Kind(
        "ListSecrets", 20, 1, lambda n: {"MaxResults": 100, "Filters": [{"Key": "tag-value", "Values": [f"app{n % PRINCIPALS}"]}]}
    ),
    "list by words": Kind(
        "ListSecrets", 20, 1, lambda n: {"MaxResults": 100, "Filters": [{"Key": "all", "Values": [f"prod {n % SECRETS}"]}]}
    ),
    "put": Kind("PutSecretValue", 100, 1, lambda n: {"SecretId": name_of(own(n)), "SecretString": f"value {n}", "ClientRequestToken": f"{_FRESH}-{n:032d}"}),
    "update": Kind("UpdateSecret", 100, 1, lambda n: {"SecretId": name_of(own(n)), "Description": f"number {n}", "ClientRequestToken": f"{_FRESH}-{n:032d}"}),
    "create": Kind("CreateSecret", 100, 1, lambda n: {"Name": f"new{n % PRINCIPALS}/{_FRESH}-{n}", "SecretString": f"value {n}", "ClientRequestToken": f"{_FRESH}-{n:032d}"}),
}  # fmt: skip


def furnished(directory: Path, database: str) -> tuple[House, list[Key]]:
    """A house with secrets, and users with policies of a usual size."""
    house = House.build(directory, TurnedClock(int(time.time() * 1000)), **({"database": database} if database else {}))
    admin = house.client("secretsmanager")
    for number in range(SECRETS):
        name = name_of(number)
        value = json.dumps({"username": "app", "password": f"{name}-{'x' * 24}", "host": "db.internal", "port": 5432})
        admin.create_secret(Name=name, SecretString=value, Tags=[{"Key": "team", "Value": name.split("/")[0]}])
    return house, [house.user(f"app{number}", *statements(f"app{number}", number)) for number in range(PRINCIPALS)]


def statements(name: str, number: int) -> list[dict[str, Any]]:
    return [
        {"Effect": "Allow", "Action": [f"secretsmanager:{each}" for each in ("ListSecrets", "BatchGetSecretValue")], "Resource": "*"},
        {"Effect": "Allow", "Action": [f"secretsmanager:{each}" for each in ("GetSecretValue", "DescribeSecret", "PutSecretValue", "UpdateSecret")],
         "Resource": f"arn:aws:secretsmanager:*:*:secret:{name}/*"},
        {"Effect": "Allow", "Action": "secretsmanager:CreateSecret", "Resource": f"arn:aws:secretsmanager:*:*:secret:new{number}/*"},
        {"Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": "*",
         "Condition": {"StringLike": {"kms:ViaService": "secretsmanager.*.amazonaws.com"}}},
        {"Effect": "Deny", "Action": ["secretsmanager:DeleteSecret", "kms:ScheduleKeyDeletion"], "Resource": "*"},
    ]  # fmt: skip


def signed(house: House, key: Key, operation: str, params: Params) -> Request:
    """A call as boto3 sends it."""
    body = json.dumps(params).encode()
    headers = {
        "X-Amz-Target": f"secretsmanager.{operation}",
        "Content-Type": "application/x-amz-json-1.1",
        "User-Agent": AGENT,
    }
    asked = AWSRequest("POST", ENDPOINT + "/", headers, body)
    SigV4Auth(Credentials(key.identity, key.secret, key.token), "secretsmanager", "us-east-1").add_auth(asked)
    raw = [(b"host", ENDPOINT.removeprefix("http://").encode())]
    raw += [(header.lower().encode(), str(value).encode()) for header, value in asked.headers.items()]
    raw.append((b"content-length", b"%d" % len(body)))
    return Request("POST", b"/", tuple(raw), body, house.peer, False, f"request-{operation}", house.clock.now_ms())


@contextmanager
def counting(house: House) -> Iterator[list[int]]:
    """How many statements the engine is sent while the block runs."""
    engine, sent = type(house.app.storage), [0]
    names = [
        name
        for name in ("begin", "execute", "execute_many", "execute_all", "commit", "rollback", "mark")
        if hasattr(engine, name)
    ]
    kept = {name: getattr(engine, name) for name in names}

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def once(*arguments: Any, **named: Any) -> Any:
            sent[0] += 1
            return function(*arguments, **named)

        return once

    for name, function in kept.items():
        setattr(engine, name, counted(function))
    try:
        yield sent
    finally:
        for name, function in kept.items():
            setattr(engine, name, function)


def measure(kinds: Sequence[str], rounds: int, database: str) -> dict[str, dict[str, list[float]]]:
    """Of each kind: CPU of each call in microseconds, ours and the database's, and statements a call."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    number = 0
    with tempfile.TemporaryDirectory() as directory:
        house, keys = furnished(Path(directory), database)
        for name in kinds:  # those that write come last
            kind = KINDS[name]
            for turn in range(rounds + 1):  # the first one only warms
                house.clock.turn(
                    ms=max(0, int(time.time() * 1000) - house.clock.now_ms())
                )  # signatures tell the true time
                requests = [
                    signed(house, keys[(number + each) % PRINCIPALS], kind.operation, kind.params(number + each))
                    for each in range(kind.calls)
                ]
                number += kind.calls
                gc.collect()
                with counting(house) if turn == rounds else contextlib.nullcontext([0]) as sent:
                    for start in range(0, len(requests), kind.together):
                        some = requests[start : start + kind.together]
                        began, behind = time.process_time_ns(), database_ns(house)
                        answers = house.app.pipeline.handle_batch(some)
                        ours, theirs = time.process_time_ns() - began, database_ns(house) - behind
                        assert all(answer.status == 200 for answer in answers), answers[0].body
                        if turn:
                            found[name]["us"].append(ours / len(some) / 1e3)
                            found[name]["database"].append(theirs / len(some) / 1e3)
                    found[name]["statements"] = [sent[0] / len(requests)]  # the last round counts
        house.close()
    return found


def fifth(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 20]


def told(found: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
    for name, costs in found.items():
        print(
            f"{name:<16}{fifth(costs['us']):>9.0f} us (5th percentile){statistics.median(costs['us']):>9.0f} (median)"
            f"{fifth(costs['database']):>8.0f} in the database{statistics.fmean(costs['statements']):>7.1f} statements"
        )


def alternately(here: Path, there: Path, more: Sequence[str]) -> None:
    """Two programs by turns: each run is a process of its own, with this script against the other's sources."""
    all_found: dict[Path, dict[str, dict[str, list[float]]]] = {
        root: defaultdict(lambda: defaultdict(list)) for root in (here, there)
    }
    for _ in range(TURNS):
        for root in (here, there):
            environment = {**os.environ, "PYTHONPATH": f"{root / 'src'}{os.pathsep}{root}"}
            command = [sys.executable, __file__, "--json", "--rounds", "2", *more]
            done = subprocess.run(command, env=environment, cwd=root, stdout=subprocess.PIPE, check=True)
            for name, costs in json.loads(done.stdout).items():
                for kind, known in costs.items():
                    all_found[root][name][kind] += known
    for root, found in all_found.items():
        print(root)
        told(found)
    for name in all_found[here]:
        ours, theirs = fifth(all_found[here][name]["us"]), fifth(all_found[there][name]["us"])
        print(f"{name:<16} ratio {ours / theirs:.2f}")


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--postgres", action="store_true", help="on a PostgreSQL server of its own")
    asked.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS), metavar="KIND", help=", ".join(KINDS))
    asked.add_argument("--json", action="store_true")
    asked.add_argument("--against", type=Path, help="another working tree, measured by turns with this one")
    said = asked.parse_args()
    if said.against is not None:
        more = [*(["--postgres"] if said.postgres else []), "--only", *said.only]
        alternately(Path(__file__).parents[2], said.against.resolve(), more)
        return
    with contextlib.ExitStack() as opened:
        database = ""
        if said.postgres:
            database = opened.enter_context(opened.enter_context(private_server()).database())
        found = measure(said.only, said.rounds, database)
    print(json.dumps(found)) if said.json else told(found)


if __name__ == "__main__":
    main()
