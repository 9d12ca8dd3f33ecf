"""P22: more load than can be answered is refused at once, in words that make clients ask again later; memory stays bounded, whoever has
little in the line is served, and nothing of it is left when the load is gone.

Load comes all at once: the API process is stopped, everybody sends, and it goes on.
"""

import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.edge.wire import GET, Reply, Wire, until
from tests.promises import faulty_server
from tests.server import GEUMGO, Server

MIB = 1 << 20
LINE = 64  # requests that may wait
FLOOD = 300  # connections of whoever floods
HONEST = 10
BODIES = 150  # connections that each send all but the end of a large body
MOST_GROWTH = 64 * MIB
REFUSED = "InvalidSignatureException"  # what the flood is told that is looked at


@contextmanager
def serving(place: Path, program: list[str]) -> Iterator[Server]:
    with Server(
        place / "data",
        arguments=("--workers", "1", "--metrics", "127.0.0.1:0"),
        environment={"GEUMGO_MAX_WAITING_REQUESTS": str(LINE)},
        program=program,
    ) as running:
        yield running


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path, GEUMGO) as running:
        yield running


def connect(server: Server, address: str = "127.0.0.1") -> Wire:
    """A connection from `address` (all of 127.0.0.0/8 is this machine), which the server has accepted."""
    host, _, port = server.endpoint.removeprefix("http://").partition(":")
    wire = Wire(socket.create_connection((host, int(port)), timeout=20, source_address=(address, 0)))
    wire.send(GET.replace(b"/ ", b"/healthz "))
    assert wire.reply().status == 200
    return wire


def api(server: Server) -> int:
    """The pid of the API process."""
    (found,) = server.answering()
    return found


@contextmanager
def stopped(server: Server) -> Iterator[None]:
    """While this lasts the API process does nothing; what is sent to it arrives all at once afterwards."""
    pid = api(server)
    os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def resident(server: Server) -> int:
    text = Path(f"/proc/{api(server)}/status").read_text()
    return 1024 * int(next(line.split()[1] for line in text.splitlines() if line.startswith("VmRSS:")))


def ask(key: str, body: bytes = b"{}") -> bytes:
    """GetSecretValue under an access key that nobody has."""
    credential = f"{key}/20261129/us-east-1/secretsmanager/aws4_request".encode()
    return (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-amz-json-1.1\r\nX-Amz-Target: secretsmanager.GetSecretValue\r\n"
        b"X-Amz-Date: 20261129T000000Z\r\nAuthorization: AWS4-HMAC-SHA256 Credential=" + credential + b", SignedHeaders=host;x-amz-date, "
        b"Signature=" + b"0" * 64 + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )  # fmt: skip


def honest_ask(server: Server, padding: bytes = b"") -> bytes:
    """The administrator reads the secret `db`."""
    body = b'{"SecretId": "db"' + padding + b"}"
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "secretsmanager.GetSecretValue"}
    request = AWSRequest("POST", server.endpoint, data=body, headers=headers)
    SigV4Auth(Credentials(*server.credentials()), "secretsmanager", "us-east-1").add_auth(request)
    lines = [f"{name}: {value}" for name, value in request.headers.items()]
    host = server.endpoint.removeprefix("http://")
    head = ["POST / HTTP/1.1", f"Host: {host}", *lines, f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, "", ""]).encode() + body


def code(reply: Reply) -> str:
    return str(json.loads(reply.body).get("__type", "")) if reply.status != 503 else "busy"


@dataclass(frozen=True)
class Seen:
    """What came of a flood: answers to it and to honest callers, and how much the process had grown."""

    flood: list[Reply]
    honest: list[Reply]
    after: list[Reply]
    growth: int


def flooded(server: Server) -> Seen:
    server.client("secretsmanager").create_secret(Name="db", SecretString="hunter2")
    before = resident(server)
    bodies = [connect(server) for _ in range(BODIES)]
    for wire in bodies:
        with suppress(ConnectionError):  # refused before it had sent all
            wire.send(ask("AKIAFLOOD", b"x" * MIB)[:-1])
    until(lambda: all_read(server))
    growth = resident(server) - before
    large = connect(server, "127.0.0.2")
    large.send(honest_ask(server, b" " * 60_000))
    others = [large.reply()]
    for wire in bodies:
        wire.sock.close()
    flood = [connect(server) for _ in range(FLOOD)]
    honest = [connect(server, "127.0.0.2") for _ in range(HONEST)]
    asked_honestly = honest_ask(server)
    with stopped(server):
        for number, wire in enumerate(flood):
            wire.send(ask(f"AKIAFLOOD{number}"))
        for wire in honest:
            wire.send(asked_honestly)
    said = [wire.reply() for wire in flood], [*others, *(wire.reply() for wire in honest)]
    after = []
    for wire in flood:
        wire.send(asked_honestly)
        after.append(wire.reply())
    for wire in (*flood, *honest, large):
        wire.sock.close()
    return Seen(*said, after, growth)


def all_read(server: Server) -> bool:
    """Whether nothing that was sent to the server waits in the kernel."""
    port = int(server.endpoint.rpartition(":")[2])
    ours = f":{port:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, queues = line.split()[:5]
        sent, received = queues.split(":")
        if state == "01" and (
            (local.endswith(ours) and int(received, 16)) or (remote.endswith(ours) and int(sent, 16))
        ):
            return False
    return True


def kept(seen: Seen) -> bool:
    """Whether the promise was: nobody grew the process, the line was bounded, and whoever asked little was not refused for it."""
    throttled = [reply for reply in seen.flood if code(reply) == "ThrottlingException"]
    return (
        seen.growth <= MOST_GROWTH
        and len(seen.flood) - len(throttled) <= LINE
        and all(reply.status == 200 for reply in (*seen.honest, *seen.after))
    )


def test_a_flood_is_throttled_memory_is_bounded_and_others_are_served(server: Server) -> None:
    seen = flooded(server)
    assert seen.growth <= MOST_GROWTH
    said = [code(reply) for reply in seen.flood]
    assert set(said) == {"ThrottlingException", REFUSED}
    assert said.count(REFUSED) == LINE // 2
    assert [reply.status for reply in seen.honest] == [200] * (1 + HONEST)
    assert [reply.status for reply in seen.after] == [200] * FLOOD
    assert kept(seen)
    ids = {reply.headers["x-amzn-requestid"] for reply in (*seen.flood, *seen.honest, *seen.after)}
    assert ids <= recorded(server)
    assert server.stop() == 0
    assert server.run("audit", "verify").returncode == 0


def recorded(server: Server) -> set[str]:
    """The request ids of the trail."""
    found: set[str] = set()
    for line in server.run("audit", "export").stdout.splitlines():
        record = json.loads(line)
        found.add(record.get("requestID", ""))
        found.update((record.get("additionalEventData") or {}).get("requestIDs", ()))
    return found


def test_clients_of_aws_come_through_a_flood_by_asking_again(server: Server) -> None:
    server.client("secretsmanager").create_secret(Name="db", SecretString="hunter2")
    clients = [
        server.client("secretsmanager", retries={"mode": "standard", "total_max_attempts": 10}) for _ in range(LINE)
    ]
    for client in clients:
        client.get_secret_value(SecretId="db")  # its connection is there
    answers = []

    def read(client) -> None:
        answers.append(client.get_secret_value(SecretId="db"))

    threads = [threading.Thread(target=read, args=(client,)) for client in clients]
    with stopped(server):
        for thread in threads:
            thread.start()
        until(lambda: waiting_in_the_kernel(server) >= LINE)
    for thread in threads:
        thread.join()
    assert [answer["SecretString"] for answer in answers] == ["hunter2"] * LINE
    assert sum(answer["ResponseMetadata"]["RetryAttempts"] > 0 for answer in answers) >= LINE // 2


def waiting_in_the_kernel(server: Server) -> int:
    """How many connections have sent what the server has not read."""
    ours = f":{int(server.endpoint.rpartition(':')[2]):04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(line[1].endswith(ours) and line[3] == "01" and int(line[4].partition(":")[2], 16) > 0 for line in lines)


def test_a_server_that_keeps_all_that_waits_is_caught(tmp_path: Path) -> None:
    with serving(tmp_path, faulty_server.with_fault(faulty_server.keeps_all_that_waits)) as server:
        seen = flooded(server)
    assert not kept(seen)
    assert seen.growth > MOST_GROWTH
    assert {code(reply) for reply in seen.flood} == {REFUSED}
