"""P22: clients that never end, or that send without end, take a bounded share: memory, descriptors, and bytes that are read of whoever
is not known yet; and the worst of what is matched takes a bounded time.

Memory and descriptors are those of the API process; who is honest comes from another address.
"""

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.edge.wire import until
from tests.house import House
from tests.promises.malformed import Spelled
from tests.promises.test_every_member import Sender
from tests.promises.test_overload import MIB, MOST_GROWTH, api, connect, honest_ask, resident
from tests.server import Server

SLOW = 500
HEADERS = 10_000
ENDLESS = 1 << 30  # bytes of a body in chunks
BODY = MIB  # the largest body that is read
HEAD = 32 << 10
SECONDS = 5.0  # for a request to arrive
MOST_SECONDS = 2.0  # of CPU, for one request


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    arguments = ("--workers", "1", "--metrics", "127.0.0.1:0")
    with Server(
        tmp_path / "data", arguments=arguments, environment={"GEUMGO_REQUEST_SECONDS": str(SECONDS)}
    ) as running:
        running.client("secretsmanager").create_secret(Name="db", SecretString="hunter2")
        yield running


def descriptors(server: Server) -> int:
    return sum(1 for _ in Path(f"/proc/{api(server)}/fd").iterdir())


def read_honestly(server: Server) -> int:
    with connect(server, "127.0.0.2") as wire:
        wire.send(honest_ask(server))
        return wire.reply().status


def test_five_hundred_slow_clients_cost_little_and_are_ended_and_an_honest_one_is_served_meanwhile(
    server: Server,
) -> None:
    assert read_honestly(server) == 200
    memory, files = resident(server), descriptors(server)
    wires = [connect(server, f"127.0.1.{1 + number % 200}") for number in range(SLOW)]
    for number, wire in enumerate(wires):
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nX-Slow: " + b"y" * (number % 2_000))
    served = 0
    for letter in b"slowly":
        for wire in wires:
            with suppress(ConnectionError):
                wire.send(bytes([letter]))
        served += read_honestly(server) == 200
    growth = resident(server) - memory
    assert served == len(b"slowly")
    assert growth <= MOST_GROWTH
    assert descriptors(server) <= files + SLOW + 5
    ends = [wire.rest() for wire in wires]
    assert all(end.startswith(b"HTTP/1.1 408 ") for end in ends)
    for wire in wires:
        wire.sock.close()
    until(lambda: descriptors(server) <= files + 5)
    print(f"\n{SLOW} slow clients: {growth / MIB:.1f} MiB more")


def test_ten_thousand_headers_are_not_kept(server: Server) -> None:
    memory = resident(server)
    for lines in (b"A: b\r\n" * HEADERS, b"".join(b"X%d: %d\r\n" % (number, number) for number in range(HEADERS))):
        for _ in range(20):
            with connect(server) as wire:
                with suppress(ConnectionError):
                    wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n")
                assert wire.rest().startswith(b"HTTP/1.1 431 ")
    assert read_honestly(server) == 200
    growth = resident(server) - memory
    print(f"\n40 heads of {HEADERS} headers: {growth / MIB:.1f} MiB more")
    assert growth <= MOST_GROWTH


def test_a_body_without_end_is_read_up_to_a_bound_before_anybody_is_known(server: Server) -> None:
    """The bound is what `Bounds.raw_bytes` says, and what two sockets hold on the way."""
    memory = resident(server)
    piece = b"1\r\nx\r\n" * 10_000
    taken, refused = 0, False
    with connect(server) as wire:
        wire.sock.settimeout(120)
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        while taken < ENDLESS and not refused:
            try:
                taken += wire.sock.send(piece)
            except ConnectionError:
                refused = True
        growth = resident(server) - memory
    print(f"\na body without end: {taken / MIB:.1f} MiB taken, {growth / MIB:.1f} MiB more")
    assert refused
    assert taken <= 2 * (HEAD + 4 * BODY) + _in_sockets()
    assert growth <= MOST_GROWTH
    assert read_honestly(server) == 200


def _in_sockets() -> int:
    """The most that the kernel holds of one connection on this machine, in bytes."""
    return sum(int(Path(f"/proc/sys/net/ipv4/tcp_{end}mem").read_text().split()[2]) for end in "rw")


BOMBS: dict[str, tuple[str, bytes]] = {
    "deep json": ("secretsmanager.GetSecretValue", b'{"a":' * 100_000),
    "wide json": ("secretsmanager.GetSecretValue", b"[" + b"{}," * 300_000 + b"{}]"),
    "long number": ("secretsmanager.GetSecretValue", b'{"a":' + b"9" * 1_000_000 + b"}"),
    "quotes": ("secretsmanager.GetSecretValue", b'{"a":"' + b'\\"' * 500_000),
    "brackets in strings": ("secretsmanager.GetSecretValue", b'{"a":"' + b"[{" * 500_000 + b'"}'),
    "keys": ("secretsmanager.GetSecretValue", b"{" + b",".join(b'"%x":0' % number for number in range(90_000)) + b"}"),
}


def test_bodies_that_are_small_and_mean_much_cost_what_they_weigh(house: House) -> None:
    sender = Sender(house, "secretsmanager")
    operation = sender.model.operations["GetSecretValue"]
    for name, (target, body) in BOMBS.items():
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target}
        assert sender.send(operation, "json", Spelled("POST", "/", headers, body), name).status == 400
    assert not sender.seen.wrong
    print(f"\nslowest: {sender.seen.slowest:.3f} s, {sender.seen.slowest_was[:100]}")


def worst_cases(house: House) -> Iterator[tuple[str, Any]]:
    """Requests that ask for the worst of what is matched, each with a name."""
    ssm, events, secrets, iam = (house.client(name) for name in ("ssm", "events", "secretsmanager", "iam"))
    ann = house.user("ann")
    long = "a" * 4_000
    for pattern in (
        "(a+)+b",
        "(a|a)*b",
        "(a|aa)+b",
        "(.*)*b",
        "([a-z]+)*b",
        "(a*)*(a*)*b",
        "a{0,500}a{0,500}b",
        "(?:a?){100}a{100}b",
    ):
        yield (
            f"AllowedPattern {pattern}",
            lambda pattern=pattern: ssm.put_parameter(Name="worst", Value=long, Type="String", AllowedPattern=pattern),
        )
    for schedule in (
        "cron(59 23 31 2 ? *)",
        "cron(0 0 ? * 2#5 2199)",
        "cron(0 0 29 2 ? 2100)",
        "cron(0-59 0-23 ? 1-12 1-7 1970-2199)",
        f"cron({','.join(['0'] * 400)} 0 1 1 ? 2199)",
    ):
        yield (
            f"schedule {schedule[:40]}",
            lambda schedule=schedule: events.put_rule(Name="worst", ScheduleExpression=schedule),
        )
        yield (
            f"rotation {schedule[:40]}",
            lambda schedule=schedule: secrets.rotate_secret(
                SecretId="db",
                RotationRules={"ScheduleExpression": schedule},
                RotationLambdaARN="arn:aws:lambda:us-east-1:123456789012:function:f",
            ),
        )
    event = {
        "id": "1",
        "detail-type": "a",
        "source": "ann",
        "account": house.account,
        "time": "2026-11-30T00:00:00Z",
        "region": "us-east-1",
        "resources": [],
    }
    for wildcard in ("*a*a*a*a*a*a*a*a*b", "*" + "a*" * 900 + "b", "*aaaaaaaaaaaaaaaaaaaaaaaaab"):
        pattern = json.dumps({"detail": {"x": [{"wildcard": wildcard}]}})
        shown = json.dumps({**event, "detail": {"x": "a" * 100_000}})
        yield (
            f"event pattern {wildcard[:30]}",
            lambda pattern=pattern, shown=shown: events.test_event_pattern(EventPattern=pattern, Event=shown),
        )
    branches = {
        "$or": [{"detail": {f"k{number}": [number]}} for number in range(30)],
        "source": [{"anything-but": {"wildcard": "*a*b"}}],
    }
    yield (
        "event pattern $or",
        lambda: events.test_event_pattern(EventPattern=json.dumps(branches), Event=json.dumps({**event, "detail": {}})),
    )
    nested = json.dumps(
        {"detail": {"a": {"$or": [{"b": {"$or": [{"c": [number]} for number in range(10)]}} for _ in range(10)]}}}
    )
    yield (
        "event pattern nested",
        lambda: events.test_event_pattern(EventPattern=nested, Event=json.dumps({**event, "detail": {}})),
    )
    for number, wildcard in enumerate(("*a" * 500, "*" + "?" * 500 + "*b", "a*" * 700 + "b")):
        document = {
            "Effect": "Allow",
            "Action": "secretsmanager:*",
            "Resource": f"arn:aws:secretsmanager:*:*:secret:{wildcard}",
        }
        condition = {**document, "Resource": "*", "Condition": {"StringLike": {"secretsmanager:Name": [wildcard] * 3}}}
        text = json.dumps({"Version": "2012-10-17", "Statement": [document, condition]})
        yield (
            f"policy {wildcard[:20]}",
            lambda text=text, number=number: iam.put_user_policy(
                UserName="ann", PolicyName=f"p{number}", PolicyDocument=text
            ),
        )
    for name in ("a" * 500, "a" * 511 + "c"):
        yield (
            "a decision on them",
            lambda name=name: house.client("secretsmanager", ann).create_secret(Name=name, SecretString="x"),
        )
    for number in range(3):
        yield "the next", lambda number=number: iam.simulate_principal_policy(
            PolicySourceArn=f"arn:aws:iam::{house.account}:user/ann", ActionNames=["secretsmanager:GetSecretValue"] * 5,
            ResourceArns=[f"arn:aws:secretsmanager:us-east-1:{house.account}:secret:" + "a" * (400 + number)],
        )  # fmt: skip
    for path in ("$." + ".".join(["a"] * 200), "$" + "[*]" * 60, "$.." + "a" * 200, "$[?(@.a==1)]"):
        yield (
            f"InputPath {path[:20]}",
            lambda path=path: events.put_targets(
                Rule="ann",
                Targets=[{"Id": "1", "Arn": f"arn:aws:lambda:us-east-1:{house.account}:function:f", "InputPath": path}],
            ),
        )


def test_the_worst_of_what_is_matched_takes_less_than_two_seconds(house: House) -> None:
    house.client("secretsmanager").create_secret(Name="db", SecretString="x")
    house.client("events").put_rule(Name="ann", EventPattern='{"source": ["ann"]}')
    tried, slowest, faults = 0, (0.0, ""), []
    for name, ask in worst_cases(house):
        started = time.thread_time()
        try:
            ask()
        except ClientError as refusal:
            faults += [(name, refusal)] * (refusal.response["ResponseMetadata"]["HTTPStatusCode"] >= 500)
        took = time.thread_time() - started
        assert took < MOST_SECONDS, (name, took)
        tried, slowest = tried + 1, max(slowest, (took, name))
    print(f"\n{tried} worst cases, the slowest {slowest[0]:.3f} s: {slowest[1]}")
    assert tried >= 30
    assert not faults
