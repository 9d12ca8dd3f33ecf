"""Packages that are larger than other requests may be."""

import contextlib
import json
import os
import socket
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from geumgo.functions.measuring import children
from tests.functions.test_on_a_server import make
from tests.promises.tricks import refused
from tests.server import Server

CODE = "import os\ndef handler(event, context):\n    return os.path.getsize('/var/task/model.bin')\n"
LARGEST = 70_167_211
MEGA = 1 << 20


@pytest.fixture(params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    with ExitStack() as stack:
        environment = {}
        if request.param == "postgres":
            environment["GEUMGO_DATABASE"] = stack.enter_context(request.getfixturevalue("postgres_server").database())
        yield stack.enter_context(Server(tmp_path / "data", arguments=("--workers", "1"), environment=environment))


def large(size: int, **files: str) -> bytes:
    """A package with `size` bytes that no zip makes smaller."""
    made = BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as file:
        file.writestr("model.bin", os.urandom(size))
        for name, content in files.items():
            file.writestr(name, content)
    return made.getvalue()


def test_a_function_has_a_package_of_as_many_bytes_as_on_aws(server: Server) -> None:
    functions = make(server, "", Code={"ZipFile": large(49 * MEGA, **{"app.py": CODE})}, MemorySize=256)
    assert json.loads(functions.invoke(FunctionName="f")["Payload"].read()) == 49 * MEGA
    functions.update_function_code(FunctionName="f", ZipFile=large(5 * MEGA, **{"app.py": CODE}))
    assert json.loads(functions.invoke(FunctionName="f")["Payload"].read()) == 5 * MEGA
    layer = functions.publish_layer_version(LayerName="l", Content={"ZipFile": large(3 * MEGA)})
    assert layer["Content"]["CodeSize"] > 3 * MEGA
    with refused("RequestEntityTooLargeException") as caught:
        functions.update_function_code(FunctionName="f", ZipFile=large(53 * MEGA))
    said = f"Request must be smaller than {LARGEST} bytes for the UpdateFunctionCode operation"
    assert said in str(caught[0])
    assert not spools(server)


def test_an_event_is_as_large_as_on_aws(server: Server) -> None:
    functions = make(server, "def handler(event, context):\n    return len(event)\n", MemorySize=256)
    event = b'"%s"' % (b"x" * (6_291_455 - 2))
    assert json.loads(functions.invoke(FunctionName="f", Payload=event)["Payload"].read()) == 6_291_453
    with refused("RequestEntityTooLargeException") as caught:
        functions.invoke(FunctionName="f", Payload=b" " + event)
    assert "Request must be smaller than 6291456 bytes for the InvokeFunction operation" in str(caught[0])
    waits = b'"%s"' % (b"x" * (1_048_576 - 2))
    assert functions.invoke(FunctionName="f", InvocationType="Event", Payload=waits)["StatusCode"] == 202
    with refused("RequestEntityTooLargeException") as caught:
        functions.invoke(FunctionName="f", InvocationType="Event", Payload=b" " + waits)
    said = "1048577 byte payload is too large for the Event invocation type (limit 1048576 bytes)"
    assert said in str(caught[0])
    assert not spools(server)


def test_other_requests_are_no_larger_than_before(server: Server) -> None:
    client = server.client("lambda")
    with refused("RequestEntityTooLargeException") as caught:
        client.update_function_configuration(FunctionName="f", Description="x" * 250, Handler="y" * (2 * MEGA))
    assert "larger than 1048576 bytes" in str(caught[0])
    with refused("RequestEntityTooLargeException"):
        server.client("iam").create_user(UserName="x" * (2 * MEGA))


def test_who_has_not_signed_costs_no_memory(server: Server) -> None:
    """A body of 67 MB, under a key that is there and a signature that is wrong, under a key that is not there, under none at all."""
    identity, _ = server.credentials()
    body = json.dumps({"ZipFile": "A" * 67_000_000}).encode()
    ask(server, "", b"{}")  # what is loaded for the first of its kind is loaded
    before = resident(server)
    for key, status, kind in ((identity, 403, b"InvalidSignature"), ("AKIAIOSFODNN7EXAMPLE", 403, b"UnrecognizedClient"), ("", 413, b"RequestEntityTooLarge")):  # fmt: skip
        answer = ask(server, key, body)
        assert answer.startswith(b"HTTP/1.1 %d " % status), answer[:500]
        assert kind in answer
        assert resident(server) - before < 16 * MEGA, (kind, (resident(server) - before) // MEGA)
    assert not spools(server)


def ask(server: Server, key: str, body: bytes) -> bytes:
    """The answer to UpdateFunctionCode, signed with a secret that belongs to nobody; with no key not at all."""
    url = f"{server.endpoint}/2015-03-31/functions/f/code"
    request = AWSRequest("PUT", url, headers={"Content-Type": "application/json"}, data=body)
    if key:
        SigV4Auth(Credentials(key, "wrong"), "lambda", "us-east-1").add_auth(request)
    headers = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    address = server.endpoint.removeprefix("http://")
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), 30) as connection:
        text = f"PUT /2015-03-31/functions/f/code HTTP/1.1\r\nHost: {address}\r\n{headers}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        connection.sendall(text.encode())
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it was answered before all of it was there
            connection.sendall(body)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := connection.recv(65_536):
                answer += chunk
        return answer


def workers(server: Server) -> list[int]:
    assert server.process is not None
    return children(server.process.pid)


def resident(server: Server) -> int:
    """The memory of the process that uses most."""
    return max(
        int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") for pid in workers(server)
    )


def spools(server: Server) -> list[Any]:
    """The files without a name that the server has in its directory."""
    found = [
        str(path.readlink())
        for pid in workers(server)
        for path in Path(f"/proc/{pid}/fd").iterdir()
        if path.is_symlink()
    ]
    return [each for each in found if each.startswith(str(server.data)) and each.endswith("(deleted)")]
