"""The sender against real listeners on loopback."""

import contextlib
import socket
import threading

import pytest

from geumgo.outbound import Allowed, Failed, Outbound, Refused


class Listener:
    """Answers every connection with the same bytes, and keeps what it was sent."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.heard: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            with connection, contextlib.suppress(OSError):
                connection.settimeout(5)
                heard = connection.recv(65_536)
                if heard == b"stop":
                    return
                self.heard.append(heard)
                connection.sendall(self.answer)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65_536):
                    pass  # closing with something unread would reset the connection under the answer

    def stop(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port)) as last:
            last.sendall(b"stop")
        self._thread.join()
        self._socket.close()


@contextlib.contextmanager
def listening(answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Kind: Test\r\n\r\nok"):
    listener = Listener(answer)
    try:
        yield listener
    finally:
        listener.stop()


def listed(**options):
    return Outbound(Allowed.of(["http://hooks.internal"]), resolve=lambda host, port: ["127.0.0.1"], **options)


def test_a_listed_host_is_sent_to_under_its_own_name():
    with listening() as listener:
        answer = listed().send("POST", f"http://hooks.internal:{listener.port}/x?y=1", {"X-Geumgo": "1"}, b"body")
    assert (answer.status, answer.body, answer.headers["x-kind"]) == (200, b"ok", "Test")
    (heard,) = listener.heard
    assert heard.startswith(b"POST /x?y=1 HTTP/1.1\r\n")
    assert f"Host: hooks.internal:{listener.port}\r\n".encode() in heard
    assert b"Content-Length: 4\r\n" in heard


def test_nothing_connects_to_a_tripwire_that_nobody_listed():
    with listening() as tripwire:
        for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "127.1", "rebound.example"):
            with pytest.raises(Refused):
                Outbound(Allowed(), resolve=lambda host, port: ["127.0.0.1"]).send(
                    "GET", f"https://{host}:{tripwire.port}/", {}
                )
    assert tripwire.heard == []


def test_a_name_that_answers_differently_the_second_time_is_asked_once():
    asked = []

    def rebinding(host, port):
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    with listening() as listener:
        sender = Outbound(Allowed.of(["127.0.0.1", "http://rebound.example"]), resolve=rebinding)
        assert sender.send("GET", f"http://rebound.example:{listener.port}/", {}).status == 200
        assert asked == ["rebound.example"]


def test_a_redirect_is_an_answer_and_nobody_follows_it():
    with listening() as tripwire:
        moved = (
            f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{tripwire.port}/\r\nContent-Length: 0\r\n\r\n".encode()
        )
        with listening(moved) as listener:
            assert listed().send("GET", f"http://hooks.internal:{listener.port}/", {}).status == 302
    assert tripwire.heard == []


def test_proxies_of_the_environment_are_not_asked(monkeypatch):
    with listening() as tripwire, listening() as listener:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{tripwire.port}")
        assert listed().send("GET", f"http://hooks.internal:{listener.port}/", {}).status == 200
    assert tripwire.heard == []


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2_000,
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
        b"nonsense\r\n\r\n",
        b"",
    ],
)
def test_an_answer_that_is_too_large_or_none_fails(answer):
    with listening(answer) as listener, pytest.raises(Failed):
        listed(max_body_bytes=1_000).send("GET", f"http://hooks.internal:{listener.port}/", {})


def test_an_answer_that_does_not_come_in_time_fails():
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(Failed):
        listed(seconds=0.05).send("GET", f"http://hooks.internal:{silent.getsockname()[1]}/", {})


@pytest.mark.parametrize(("name", "value"), [("X", "a\r\nY: b"), ("X\r\nY", "b"), ("X", "\u20ac")])
def test_a_header_cannot_bring_another_one(name, value):
    with listening() as listener, pytest.raises(Refused):
        listed().send("GET", f"http://hooks.internal:{listener.port}/", {name: value})
    assert listener.heard in ([], [b""])
