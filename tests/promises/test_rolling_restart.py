"""P28: while every process is started anew, one after the other, no request is lost: nobody is reset, and nobody is told to come again.

Clients do not try again: some ask one thing after the other on a connection that they keep, some connect for each request, and all write and read
what they wrote.
"""

import json
import os
import signal
import socket
import ssl
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.certificates import certificate
from tests.edge.wire import Wire, until
from tests.promises import faulty_server
from tests.server import Server

RENEWALS = int(os.environ.get("RENEWALS", "2"))
OF_EACH_KIND = 3  # clients
MOST_RENEWALS = 20  # until a server that lets clients down must have done so
REQUESTS_AFTER = 20  # that each client makes once the last process was renewed


@dataclass
class Client:
    """One that writes its own secret and reads it, until it is told to end."""

    server: Server
    authority: str  # whose certificates are taken; empty: no TLS
    name: str
    keeps: bool  # its connection
    asked: int = 0
    faults: list[str] = field(default_factory=list)
    wire: Wire | None = None

    def run(self, over: threading.Event) -> None:
        while not over.is_set() and not self.faults:
            value = f"value {self.asked}"
            try:
                self.ask("PutSecretValue", SecretId=self.name, SecretString=value, ClientRequestToken=token())
                found = self.ask("GetSecretValue", SecretId=self.name)
            except (OSError, AssertionError) as fault:
                self.faults.append(f"{self.name}, request {self.asked}: {fault!r}")
            else:
                if found["SecretString"] != value:
                    self.faults.append(f"{self.name} wrote {value!r} and read {found['SecretString']!r}")
        if self.wire is not None:
            self.wire.sock.close()

    def ask(self, operation: str, **parameters: str) -> dict[str, str]:
        """Raises OSError if the connection ends before the answer, AssertionError if that is an error."""
        message = signed(self.server, operation, json.dumps(parameters).encode())
        wire = self.wire or self.connect()
        try:
            wire.send(message)
            reply = wire.reply()
        except (OSError, AssertionError):
            wire.sock.close()
            raise
        self.asked += 1
        self.wire = wire if self.keeps and reply.headers.get("connection") != "close" else None
        if self.wire is None:
            wire.sock.close()
        assert reply.status == 200, (reply.status, reply.body)
        answer: dict[str, str] = json.loads(reply.body)
        return answer

    def connect(self) -> Wire:
        host, _, port = self.server.endpoint.rpartition("/")[2].partition(":")
        found = socket.create_connection((host, int(port)), timeout=20)
        if self.authority:
            context = ssl.create_default_context(cafile=self.authority)
            context.check_hostname = False
            found = context.wrap_socket(found)
        return Wire(found)


def token() -> str:
    return str(uuid.uuid4())


def signed(server: Server, operation: str, body: bytes) -> bytes:
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"secretsmanager.{operation}"}
    request = AWSRequest("POST", server.endpoint, data=body, headers=headers)
    SigV4Auth(Credentials(*server.credentials()), "secretsmanager", "us-east-1").add_auth(request)
    lines = [f"{name}: {value}" for name, value in request.headers.items()]
    head = ["POST / HTTP/1.1", f"Host: {server.endpoint.rpartition('/')[2]}", *lines, f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, "", ""]).encode() + body


def faults_while(server: Server, act: Callable[[list[Client]], None], authority: str = "") -> list[str]:
    """What went wrong while `act` was done."""
    clients = [
        Client(server, authority, f"{'kept' if keeps else 'new'}-{number}", keeps)
        for keeps in (True, False)
        for number in range(OF_EACH_KIND)
    ]
    for client in clients:
        client.ask("CreateSecret", Name=client.name, SecretString="first", ClientRequestToken=token())
    over = threading.Event()
    threads = [threading.Thread(target=client.run, args=(over,)) for client in clients]
    for thread in threads:
        thread.start()
    try:
        act(clients)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    return [fault for client in clients for fault in client.faults]


def renew(server: Server, clients: list[Client]) -> None:
    """Every process is another one, as often as is asked, and every client went on after that."""
    assert server.process is not None
    for _ in range(RENEWALS):
        before = server.members()
        server.process.send_signal(signal.SIGUSR1)
        until(lambda before=before: renewed_all(server, before))
        asked = [client.asked for client in clients]
        for client, number in zip(clients, asked, strict=True):
            until(lambda client=client, number=number: client.asked >= number + REQUESTS_AFTER or client.faults)


def renew_until_one_is_let_down(server: Server, clients: list[Client]) -> None:
    """Whether a connection is at rest at the moment of a stop is chance."""
    for _ in range(MOST_RENEWALS):
        renew(server, clients)
        if any(client.faults for client in clients):
            return


def renewed_all(server: Server, before: list[int]) -> bool:
    now = server.members()
    return len(now) == len(before) and set(now) & set(before) == {before[0]}


@pytest.mark.parametrize("workers", [1, 2])
def test_no_request_is_lost_while_every_process_is_started_anew(tmp_path: Path, workers: int) -> None:
    with Server(tmp_path / "data", arguments=("--workers", str(workers))) as server:
        assert faults_while(server, partial(renew, server)) == []
        assert server.stop() == 0


def test_no_request_under_tls_is_lost_while_every_process_is_started_anew(tmp_path: Path) -> None:
    authority, key = certificate(tmp_path / "tls", "localhost")
    environment = {"GEUMGO_TLS_CERTIFICATE": str(authority), "GEUMGO_TLS_KEY": str(key)}
    with Server(tmp_path / "data", arguments=("--workers", "2"), environment=environment) as server:
        assert faults_while(server, partial(renew, server), str(authority)) == []


def test_a_server_that_closes_what_is_at_rest_loses_requests(tmp_path: Path) -> None:
    program = faulty_server.with_fault(faulty_server.closes_at_once)
    with Server(tmp_path / "data", arguments=("--workers", "2"), program=program) as server:
        assert "Connection" in str(faults_while(server, partial(renew_until_one_is_let_down, server)))
