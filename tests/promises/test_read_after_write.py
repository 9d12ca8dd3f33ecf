"""A read that starts after a write was acknowledged sees it, whichever process and connection it takes: alternating pairs, none stale."""

import contextlib
import http.client
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.server import Server
from tests.storage.postgres_server import PrivateServer

PAIRS = int(os.environ.get("READ_AFTER_WRITE_PAIRS", "2000"))  # 100,000 in the long form
CONNECTIONS = 8  # the processes share one listener: with so many, each process has some
NAMES = ("first", "second", "third")


@pytest.fixture(params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    with contextlib.ExitStack() as opened:
        environment = {}
        if request.param == "postgres":
            database: PrivateServer = request.getfixturevalue("postgres_server")
            environment["GEUMGO_DATABASE"] = opened.enter_context(database.database())
        yield opened.enter_context(Server(tmp_path / "data", arguments=("--workers", "2"), environment=environment))


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


def test_no_read_is_stale(server: Server) -> None:
    with contextlib.closing(Caller(server)) as caller:
        for name in NAMES:
            caller.call(0, "CreateSecret", {"Name": name, "SecretString": "0", "ClientRequestToken": str(uuid.uuid4())})
        stale = 0
        for number in range(PAIRS):
            name, value = NAMES[number % len(NAMES)], str(number)
            put = {"SecretId": name, "SecretString": value, "ClientRequestToken": str(uuid.uuid4())}
            caller.call(number, "PutSecretValue", put)
            read = caller.call(number + 1 + number // CONNECTIONS, "GetSecretValue", {"SecretId": name})
            stale += read["SecretString"] != value
        assert not stale, f"{stale} of {PAIRS} reads did not see what was written before them"
