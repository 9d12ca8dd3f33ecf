"""Functions on a real server: what they fetch from it, whom they may talk to then, and what their log shows."""

import base64
import contextlib
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import HTTPClientError

from geumgo.functions.measuring import children
from tests.functions.zips import package
from tests.server import Server
from tests.services.lambda_.conftest import TRUST

CODE = """
import boto3, json, os, socket

def talk(host, port):
    try:
        with socket.create_connection((host, port), 3) as connection:
            connection.sendall(b"hello")
            return connection.recv(100).decode()
    except OSError as fault:
        return type(fault).__name__

def handler(event, context):
    before = talk("localhost", event["port"])
    client = boto3.client("secretsmanager")
    text = client.get_secret_value(SecretId="db")["SecretString"]
    secret = json.loads(text)
    print("password is", secret["password"])
    after = [talk(host, event["port"]) for host in ("localhost", "127.0.0.1", "10.0.0.1", "example.org")]
    other = talk("localhost", event["other"])
    try:
        client.list_secrets()
        listed = "answered"
    except client.exceptions.ClientError as refusal:
        listed = refusal.response["Error"]["Code"]
    return {"password": secret["password"], "before": before, "after": after, "other": other, "listed": listed}
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(
        tmp_path / "data", arguments=("--workers", "1"), environment={"GEUMGO_OUTGOING_HOSTS": "localhost"}
    ) as made:
        yield made


@pytest.fixture
def greeter() -> Iterator[int]:
    """The port of something that answers whoever speaks to it."""
    listener = socket.create_server(("127.0.0.1", 0))

    def greet() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.sendall(b"you said " + connection.recv(100))

    thread = threading.Thread(target=greet, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def make(server: Server, code: str, *statements: dict[str, Any], name: str = "f", **more: Any) -> Any:
    """A function on `server` whose role may what `statements` allow; answers the client."""
    iam, functions = server.client("iam"), server.client("lambda", read_timeout=60)
    role = iam.create_role(RoleName=f"runs-{name}", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    if statements:
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_role_policy(RoleName=f"runs-{name}", PolicyName="p", PolicyDocument=document)
    given = {
        "Runtime": "python3.12",
        "Role": role,
        "Handler": "app.handler",
        "Code": {"ZipFile": package(code)},
        "Timeout": 20,
        **more,
    }
    functions.create_function(FunctionName=name, **given)
    return functions


def test_a_function_reads_what_its_role_may_and_talks_to_the_host_of_the_secret_alone(
    server: Server, greeter: int
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        secret = {"host": "localhost", "port": greeter, "username": "app", "password": "pass-canary-7"}
        server.client("secretsmanager").create_secret(Name="db", SecretString=json.dumps(secret))
        functions = make(server, CODE, {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*"})
        event = json.dumps({"port": greeter, "other": other.getsockname()[1]})
        got = functions.invoke(FunctionName="f", Payload=event, LogType="Tail")
        log = base64.b64decode(got["LogResult"]).decode()
        answer = json.loads(got["Payload"].read())
        assert "FunctionError" not in got, (answer, log)
        assert answer["password"] == "pass-canary-7"
        assert "password is ***\n" in log
        assert answer["before"] == "ConnectionRefusedError"
        assert answer["after"] == ["you said hello", "you said hello", "ConnectionRefusedError", "gaierror"]
        assert answer["other"] == "ConnectionRefusedError"
        assert answer["listed"] == "AccessDeniedException"
        other.settimeout(0.2)
        with pytest.raises(TimeoutError):
            other.accept()
    assert "pass-canary-7" not in server.printed()


def test_others_are_served_while_a_function_runs(server: Server) -> None:
    functions = make(server, "import time\ndef handler(e, c):\n    time.sleep(3)\n", Timeout=10)
    running = threading.Thread(target=functions.invoke, kwargs={"FunctionName": "f"})
    running.start()
    asked, client = 0, server.client("secretsmanager")
    while running.is_alive():
        started = time.monotonic()
        client.list_secrets()
        assert time.monotonic() - started < 2.5
        asked += 1
    running.join()
    assert asked > 3


def test_what_a_function_started_ends_with_the_process_that_ran_it(server: Server) -> None:
    """Killed as it stands, without a chance to tidy up: the supervisor starts another one, and nothing of the function is left."""
    code = "import subprocess\ndef handler(e, c):\n    subprocess.run(['sleep', '60'])\n"
    functions = make(server, code, Timeout=60)
    before = set(server.members())

    def invoke() -> None:
        with contextlib.suppress(HTTPClientError):  # the connection ends with the process
            functions.invoke(FunctionName="f")

    running = threading.Thread(target=invoke)
    running.start()
    deadline, started = time.monotonic() + 20, set[int]()
    while not any(b"sleep" in command(pid) for pid in started):
        assert time.monotonic() < deadline
        started = set(server.members()) - before
    sandboxed = [pid for pid in started if b"bwrap" in command(pid)]
    api = next(pid for pid in before if set(children(pid)) & set(sandboxed))
    os.kill(api, signal.SIGKILL)
    deadline = time.monotonic() + 1
    while left := [pid for pid in started if Path(f"/proc/{pid}").exists() and command(pid)]:
        assert time.monotonic() < deadline, [command(pid) for pid in left]
        time.sleep(0.01)
    running.join()


def command(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""
