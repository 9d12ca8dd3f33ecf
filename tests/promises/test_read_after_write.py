"""A read that starts after a write was acknowledged sees it, whichever process and connection it takes: alternating pairs, none stale."""

import contextlib
import http.client
import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.promises import faulty_server
from tests.promises.reached import reaching
from tests.server import Server
from tests.storage.postgres_server import PrivateServer

PAIRS = int(os.environ.get("READ_AFTER_WRITE_PAIRS", "2000"))  # 100,000 in the long form
CALLERS = 4  # at once, each with secrets and connections of its own
CONNECTIONS = 8  # the processes share one listener: with so many, each process has some
READS = 3  # after each write: the first read of a value leaves a date and keeps nothing, those after it keep what they have read
NAMES = ("first", "second", "third")


@pytest.fixture(params=["sqlite", "postgres"])
def environment(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """What a server is told of its database."""
    if request.param == "sqlite":
        yield {}
        return
    database: PrivateServer = request.getfixturevalue("postgres_server")
    with database.database() as dsn:
        yield {"GEUMGO_DATABASE": dsn}


class Caller:
    """The administrator on connections that stay open."""

    def __init__(self, server: Server) -> None:
        self.endpoint = server.endpoint
        self.credentials = Credentials(*server.credentials())
        address = urlsplit(server.endpoint)
        self.connections = [
            http.client.HTTPConnection(address.hostname or "", address.port, timeout=20) for _ in range(CONNECTIONS)
        ]

    def call(self, connection: int, operation: str, params: Mapping[str, Any]) -> Any:
        body = json.dumps(params).encode()
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"secretsmanager.{operation}"}
        request = AWSRequest("POST", self.endpoint + "/", headers, body)
        SigV4Auth(self.credentials, "secretsmanager", "us-east-1").add_auth(request)
        through = self.connections[connection % CONNECTIONS]
        through.request("POST", "/", body, dict(request.headers.items()))
        answer = through.getresponse()
        text = answer.read()
        assert answer.status == 200, text
        return json.loads(text)

    def close(self) -> None:
        for connection in self.connections:
            connection.close()


def stale_reads(server: Server, who: int, pairs: int, told: Callable[[int], None]) -> int:
    """How many reads, after each of so many writes, did not see what was acknowledged before them. `told` hears how many pairs are done."""
    names = [f"{name}-of-{who}" for name in NAMES]
    with contextlib.closing(Caller(server)) as caller:
        for name in names:
            caller.call(0, "CreateSecret", {"Name": name, "SecretString": "0", "ClientRequestToken": str(uuid.uuid4())})
        stale = 0
        for number in range(pairs):
            name, value = names[number % len(names)], str(number)
            put = {"SecretId": name, "SecretString": value, "ClientRequestToken": str(uuid.uuid4())}
            caller.call(number, "PutSecretValue", put)
            for again in range(READS):
                through = number + 1 + number // CONNECTIONS + again
                read = caller.call(through, "GetSecretValue", {"SecretId": name})
                stale += read["SecretString"] != value
            if not stale:
                told(1)
    return stale


def stale_reads_of_all(server: Server, pairs: int, told: Callable[[int], None]) -> int:
    """As `stale_reads`, of CALLERS at once who share the pairs."""
    with ThreadPoolExecutor(CALLERS) as callers:
        found = [callers.submit(stale_reads, server, who, pairs // CALLERS, told) for who in range(CALLERS)]
        return sum(each.result() for each in found)


def test_no_read_is_stale(environment: dict[str, str], tmp_path: Path, request: pytest.FixtureRequest) -> None:
    engine = request.node.callspec.params["environment"]
    with (
        reaching(f"read after write on {engine}", "none") as so_far,
        Server(tmp_path / "data", arguments=("--workers", "2"), environment=environment) as server,
    ):
        stale = stale_reads_of_all(server, PAIRS, lambda pairs: so_far.add(pairs=pairs, reads=pairs * READS))
        assert not stale, f"{stale} reads did not see what was written before them, in {PAIRS} pairs"


def test_a_server_that_says_nothing_of_its_changes_is_caught(environment: dict[str, str], tmp_path: Path) -> None:
    program = faulty_server.with_fault(faulty_server.says_nothing_of_its_changes)
    with Server(tmp_path / "data", arguments=("--workers", "2"), environment=environment, program=program) as server:
        assert stale_reads_of_all(server, 48, lambda _: None)
