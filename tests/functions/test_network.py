"""Whom a function may talk to, and that it can: names, addresses, long answers, a server that speaks TLS."""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from geumgo.functions import Task, sandbox
from geumgo.functions.host import Host, to_server
from geumgo.functions.reach import Rules
from geumgo.outbound.addresses import Allowed
from tests.certificates import certificate
from tests.functions.zips import package

PATIENCE_SECONDS = 30.0

TALK = """
import json, os, socket, urllib.request

def fetch(said):
    with urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"] + "/", json.dumps(said).encode(), 5) as answer:
        return json.load(answer)

def talk(host, port):
    try:
        with socket.create_connection((host, port), 5) as connection:
            return connection.recv(100).decode()
    except OSError as fault:
        return type(fault).__name__
"""


@contextmanager
def served(serve: Callable[[socket.socket], None], address: str = "127.0.0.1") -> Iterator[int]:
    """The port of a listener whose connections are handed to `serve`, one after the other."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.create_server((address, 0), family=family)

    def accept() -> None:
        while True:
            try:
                made, _ = listener.accept()
            except OSError:
                return
            with made:
                serve(made)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def echo(made: socket.socket) -> None:
    """Answers a request with its own body, as the server would answer with a secret."""
    said = b""
    while b"\r\n\r\n" not in said:
        said += made.recv(65_536)
    head, _, body = said.partition(b"\r\n\r\n")
    length = next(
        int(line.partition(b":")[2]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
    )
    while len(body) < length:
        body += made.recv(65_536)
    made.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def greet(made: socket.socket) -> None:
    made.sendall(b"hello")


def task(code: str, **event: Any) -> Task:
    return Task(
        "8476a536-e9f4-11e8-9739-2dfe598c3fcd", "arn:aws:lambda:us-east-1:123456789012:function:f", "f", "1", "app.handler", "us-east-1", 256, 20, 64,
        package(TALK + code), {}, {}, json.dumps(event).encode(),
    )  # fmt: skip


def run(directory: Path, server: Any, rules: Rules, code: str, **event: Any) -> Any:
    outcome = Host(server, rules, directory=directory, most=1).run(task(code, **event))
    assert not outcome.failed, (outcome.payload, outcome.log.decode())
    return json.loads(outcome.payload)


def tell(host: str, port: int) -> dict[str, str]:
    return {"SecretString": json.dumps({"host": host, "port": port, "password": "unsaid"})}


def test_a_host_is_reached_by_the_name_that_stands_in_the_secret(tmp_path: Path) -> None:
    asked: list[str] = []

    def resolve(host: str) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    code = """
def handler(event, context):
    before = talk("db.example.org", event["port"])
    fetch(event["secret"])
    return [before, talk("DB.example.org", event["port"]), talk("db.example.org", event["port"]), talk("db.example.org", 9),
            talk("other.example.org", event["port"]), socket.getaddrinfo("db.example.org", 1)[0][4][0]]
"""
    with served(echo) as server, served(greet) as port:
        rules = Rules(allowed=Allowed.of(["db.example.org"]), resolve=resolve)
        got = run(
            tmp_path, to_server(("127.0.0.1", server), ""), rules, code, port=port, secret=tell("db.example.org", port)
        )
    assert got == ["gaierror", "hello", "hello", "ConnectionRefusedError", "gaierror", "127.0.0.1"]
    assert asked == ["db.example.org"]


def test_a_function_whose_processes_do_not_end_in_time_keeps_no_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was killed needs a core to end. What it had open is closed all the same: a database would keep for it what it had locked."""
    code = """
def handler(event, context):
    fetch(event["secret"])
    connection = socket.create_connection(("db.example.org", event["port"]), 60)
    connection.sendall(b"locked")
    connection.recv(1)
"""
    heard: list[bytes] = []
    end = sandbox.Sandbox.end

    def ends_too_late(self: sandbox.Sandbox) -> None:
        end(self)
        raise AssertionError("they did not end")

    def keep(made: socket.socket) -> None:
        made.settimeout(PATIENCE_SECONDS)
        with suppress(TimeoutError):
            while heard[-1:] != [b""]:
                heard.append(made.recv(100))

    rules = Rules(allowed=Allowed.of(["db.example.org"]), resolve=lambda _: ["127.0.0.1"])
    with served(echo) as server, served(keep) as port:
        way = to_server(("127.0.0.1", server), "")
        assert run(tmp_path, way, rules, "def handler(event, context): return 1") == 1
        monkeypatch.setattr(sandbox.Sandbox, "end", ends_too_late)
        host = Host(way, rules, directory=tmp_path, most=1, still_wanted=lambda: not heard)  # it is broken off then
        with pytest.raises(AssertionError, match="did not end"):
            host.run(task(code, port=port, secret=tell("db.example.org", port)))
    assert heard == [b"locked", b""]


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_a_host_is_reached_by_the_address_that_stands_in_the_secret(tmp_path: Path) -> None:
    code = """
def handler(event, context):
    for secret in event["secrets"]:
        fetch(secret)
    return [talk("127.0.0.1", event["port"]), talk("::1", event["six"]), talk("127.0.0.2", event["port"])]
"""
    with served(echo) as server, served(greet) as port, served(greet, "::1") as six:
        rules = Rules(allowed=Allowed.of(["127.0.0.1", "::1"]))
        secrets = [tell("127.0.0.1", port), tell("::1", six), tell("127.0.0.2", port)]
        got = run(tmp_path, to_server(("127.0.0.1", server), ""), rules, code, port=port, six=six, secrets=secrets)
    assert got == ["hello", "hello", "ConnectionRefusedError"]


def test_what_the_operator_listed_is_reached_without_a_secret(tmp_path: Path) -> None:
    code = """
def handler(event, context):
    return [talk("api.example.org", event["port"]), talk("api.example.org", event["port"] + 1), talk("10.9.8.7", event["port"])]
"""
    with served(greet) as port:
        rules = Rules(
            listed=frozenset({("api.example.org", port), ("10.9.8.7", port)}), resolve=lambda _: ["127.0.0.1"]
        )
        got = run(tmp_path, to_server(("127.0.0.1", 1), ""), rules, code, port=port)
    assert got[:2] == ["hello", "ConnectionRefusedError"]
    assert got[2] in ("", "ConnectionResetError", "TimeoutError")  # nobody is there, but the function may try


def test_a_host_that_does_not_answer_does_not_hold_up_the_end(tmp_path: Path) -> None:
    code = """
import threading
def handler(event, context):
    threading.Thread(target=talk, args=("slow.example.org", 80), daemon=True).start()
    return talk("gone.example.org", 80)
"""
    free = threading.Event()

    def resolve(host: str) -> list[str]:
        if host.startswith("gone"):
            raise socket.gaierror(socket.EAI_NONAME, "there is no such name")
        free.wait(20)
        return ["127.0.0.1"]

    listed = frozenset({("slow.example.org", 80), ("gone.example.org", 80)})
    assert run(tmp_path, to_server(("127.0.0.1", 1), ""), Rules(listed=listed, resolve=resolve), code) == "gaierror"
    free.set()


@pytest.mark.parametrize("secure", [False, True])
def test_long_requests_and_answers_pass_to_a_server_with_and_without_tls(tmp_path: Path, secure: bool) -> None:
    code = """
def handler(event, context):
    said = {"SecretString": "x" * 3_000_000}
    return [fetch(said) == said, fetch({"SecretString": "short"})]
"""
    chain, key = certificate(tmp_path, "geumgo.example.org")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain, key)

    def serve(made: socket.socket) -> None:
        if not secure:
            echo(made)
            return
        with context.wrap_socket(made, server_side=True) as wrapped:
            echo(wrapped)

    with served(serve) as server:
        got = run(tmp_path, to_server(("0.0.0.0", server), str(chain) if secure else ""), Rules(), code)
    assert got == [True, {"SecretString": "short"}]


def test_a_server_with_another_certificate_is_not_spoken_to(tmp_path: Path) -> None:
    code = """
def handler(event, context):
    try:
        return fetch({})
    except OSError as fault:
        return "refused"
"""
    chain, key = certificate(tmp_path, "geumgo.example.org")
    other, _ = certificate(tmp_path / "other", "geumgo.example.org")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain, key)

    def serve(made: socket.socket) -> None:
        try:
            context.wrap_socket(made, server_side=True).close()
        except OSError:
            made.close()  # the other end hangs up, which is what is tested

    with served(serve) as server:
        assert run(tmp_path, to_server(("127.0.0.1", server), str(other)), Rules(), code) == "refused"
