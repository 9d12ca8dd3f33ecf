"""The edge in front of the real core: what was answered is in the trail, whatever happens to the processes."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import botocore.exceptions
import pytest

from tests.edge.wire import GET, Wire, until
from tests.server import Server

RESIDENT_KIB = 80 << 10


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "data", arguments=("--workers", "2", "--metrics", "127.0.0.1:0")) as running:
        yield running


def connect(server: Server) -> Wire:
    host, _, port = server.endpoint.removeprefix("http://").partition(":")
    return Wire(socket.create_connection((host, int(port)), timeout=20))


def recorded(server: Server) -> set[str]:
    """The request ids of the trail."""
    lines = server.run("audit", "export").stdout.splitlines()
    return {json.loads(line)["requestID"] for line in lines if "requestID" in json.loads(line)}


def test_a_stop_under_load_ends_with_0_and_every_answer_is_in_the_trail(server: Server):
    clients = [server.client("sts") for _ in range(4)]
    answered: list[str] = []
    enough = threading.Event()

    def ask_until_it_is_gone(client) -> None:
        while True:
            try:
                found = client.get_caller_identity()
            except (botocore.exceptions.ConnectionError, botocore.exceptions.HTTPClientError):
                return  # not accepted any more
            answered.append(found["ResponseMetadata"]["RequestId"])
            if len(answered) > 50:
                enough.set()

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask_until_it_is_gone, client) for client in clients]
        assert enough.wait(30)
        assert server.stop() == 0
        for each in asking:
            each.result()
    assert len(answered) > 50
    assert set(answered) <= recorded(server)
    assert server.run("audit", "verify").returncode == 0


def test_an_api_process_that_is_killed_is_replaced_and_nothing_answered_is_lost(server: Server):
    secrets = server.client("secretsmanager", retries={"total_max_attempts": 5})
    arn = secrets.create_secret(Name="a", SecretString="1")["ARN"]
    before = server.members()
    for pid in before[1:]:
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(server.members()) == len(before) and not set(server.members()[1:]) & set(before))
    assert secrets.get_secret_value(SecretId=arn)["SecretString"] == "1"
    assert server.stop() == 0
    assert server.run("audit", "verify").returncode == 0


def test_refusals_of_unsigned_requests_are_modelled_and_recorded(server: Server):
    ids = []
    body = b"x" * ((1 << 20) + 1)
    target = b"Content-Type: application/x-amz-json-1.1\r\nX-Amz-Target: secretsmanager.GetSecretValue\r\n"
    for request in (
        GET,
        b"POST / HTTP/1.1\r\nHost: a\r\n" + target + b"Content-Length: 2\r\n\r\n{}",
        b"POST / HTTP/1.1\r\nHost: a\r\n" + target + b"Content-Length: %d\r\n\r\n" % len(body) + body,
    ):
        with connect(server) as wire:
            wire.send(request)
            reply = wire.reply()
            assert 400 <= reply.status < 500
            ids.append(reply.headers["x-amzn-requestid"])
    assert set(ids) <= recorded(server)


def test_an_idle_api_process_is_small(server: Server):
    server.client("secretsmanager").list_secrets()
    for pid in server.members()[1:]:
        found = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        assert int(found["VmRSS"].split()[0]) < RESIDENT_KIB, found["Name"]


def test_a_server_on_sqlite_loads_no_driver_of_other_databases():
    loads = "import sys; import geumgo.app, geumgo.edge.server, geumgo.cli; print([*sys.modules])"
    done = subprocess.run([sys.executable, "-c", loads], capture_output=True, text=True, timeout=60, check=True)
    loaded = {name.strip("[]' ") for name in done.stdout.split(",")}
    assert "geumgo.outbound.databases" in loaded
    assert not {"psycopg", "pymysql", "pymongo", "bson"} & loaded


def test_a_hundred_slow_clients_do_not_keep_an_honest_one_waiting(server: Server):
    slow = [connect(server) for _ in range(100)]
    for wire in slow:
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx")
    honest = server.client("sts", read_timeout=5)
    for _ in range(20):
        honest.get_caller_identity()
    for wire in slow:
        wire.sock.close()
