"""A read that starts after a write was acknowledged sees it, whichever process and connection it takes: alternating pairs, none stale."""

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.credentials import Credentials

from tests.promises import faulty_server
from tests.promises.callers import answer_of, signed
from tests.promises.reached import reaching
from tests.promises.stage import PATIENCE_SECONDS
from tests.server import Server
from tests.storage.postgres_server import PrivateServer

PAIRS = int(os.environ.get("READ_AFTER_WRITE_PAIRS", "2000"))  # 100,000 in the long form
CALLERS = 8  # at once, each with secrets and connections of its own
CONNECTIONS = 8  # the processes share one listener: with so many, each process has some
NOT_TAKEN_ON = (b"", b"HTTP/1.1 408 ", b"HTTP/1.1 503 ")
"""What whoever stands in line for a core for a minute is answered, and asks again: his connection had been at rest, his request was late."""
READS = 3  # after each write: the first read of a value leaves a date and keeps nothing, those after it keep what they have read
NAMES = ("first", "second", "third")
WRITES_OF_ONE = 150  # then other secrets take their places: a secret may have 1,000 versions of one day


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
        self.ways = [self._way() for _ in range(CONNECTIONS)]
        self.reads: dict[str, tuple[int, bytes]] = {}  # as they were signed last, and in which second

    def write(self, connection: int, operation: str, params: Mapping[str, Any]) -> None:
        token = {"ClientRequestToken": str(uuid.uuid4())}
        self._ask(connection, self._signed(operation, {**params, **token}))

    def read(self, connection: int, name: str) -> str:
        """The value of the secret `name`."""
        value: str = self._ask(connection, self._read(name))["SecretString"]
        return value

    def _read(self, name: str) -> bytes:
        """A signature names the second that it was made in: within one, the same request is the same bytes."""
        second = int(time.time())
        if name not in self.reads or self.reads[name][0] != second:
            self.reads[name] = second, self._signed("GetSecretValue", {"SecretId": name})
        return self.reads[name][1]

    def _signed(self, operation: str, params: Mapping[str, Any]) -> bytes:
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"secretsmanager.{operation}"}
        return signed(self.endpoint, "secretsmanager", headers, json.dumps(params).encode(), self.credentials)

    def _ask(self, connection: int, request: bytes) -> Any:
        number = connection % CONNECTIONS
        head, body = self._exchange(number, request)
        while (
            head[:13] in NOT_TAKEN_ON
        ):  # nothing came of it, or nobody knows: with the same token a write is done once
            self.ways[number].close()
            self.ways[number] = self._way()
            head, body = self._exchange(number, request)
        assert head.startswith(b"HTTP/1.1 200 "), (head, body)
        return json.loads(body)

    def _exchange(self, number: int, request: bytes) -> tuple[bytes, bytes]:
        """The head and the body of the answer; no head: the connection was closed before."""
        with contextlib.suppress(ConnectionError):
            self.ways[number].sendall(request)
            return answer_of(self.ways[number])
        return b"", b""

    def _way(self) -> socket.socket:
        address = urlsplit(self.endpoint)
        return socket.create_connection((address.hostname, address.port), PATIENCE_SECONDS)

    def close(self) -> None:
        for way in self.ways:
            way.close()


def stale_reads(server: Server, who: int, pairs: int, told: Callable[[int], None], enough: threading.Event) -> int:
    """How many reads, after each of so many writes, did not see what was acknowledged before them.

    `told` hears how many pairs are done; after `enough` there are no more of them.
    """
    names: list[str] = []
    with contextlib.closing(Caller(server)) as caller:
        stale = 0
        for number in range(pairs):
            if enough.is_set():
                break
            if number % (len(NAMES) * WRITES_OF_ONE) == 0:
                names = [f"{name}-of-{who}-from-{number}" for name in NAMES]
                for name in names:
                    caller.write(number, "CreateSecret", {"Name": name, "SecretString": "0"})
            name, value = names[number % len(names)], str(number)
            caller.write(number, "PutSecretValue", {"SecretId": name, "SecretString": value})
            for again in range(READS):
                through = number + 1 + number // CONNECTIONS + again
                stale += caller.read(through, name) != value
            if not stale:
                told(1)
    return stale


def stale_reads_of_all(server: Server, pairs: int, told: Callable[[int], None]) -> int:
    """As `stale_reads`, of CALLERS at once who share the pairs."""
    enough = threading.Event()
    with ThreadPoolExecutor(CALLERS) as callers:
        found = [callers.submit(stale_reads, server, who, pairs // CALLERS, told, enough) for who in range(CALLERS)]
        try:
            return sum(each.result() for each in as_completed(found))
        finally:  # whoever is broken off, or the first who fails, waits for nobody's thousands of pairs
            enough.set()


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
