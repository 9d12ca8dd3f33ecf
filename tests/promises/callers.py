"""Callers who ask without a pause for what is answered in every way, over connections that stay open, and keep the id of each answer."""

import json
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.server import Server

SIGNED_SECONDS: Final = 120.0  # a signature is good for five minutes
PATIENCE_SECONDS: Final = 3.0  # then he hangs up
CALLS_LONG: Final = 40  # answers, then he hangs up: whoever stood still a while ago has callers again
OVERSIZED: Final = (1 << 20) + 1
SECRET: Final = "every/answer"

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_ID = re.compile(rb"(?i)\r\nx-amzn-requestid: *(\S+)")


class Asks:
    """The requests as bytes, by the status that each is answered with as long as nothing is wrong."""

    def __init__(self, server: Server, *, writes: bool = True) -> None:
        self.server, self.writes = server, writes
        self.admin = Credentials(*server.credentials())
        server.client("secretsmanager").create_secret(Name=SECRET, SecretString="read me")
        iam = server.client("iam")
        iam.create_user(UserName="nobody-in-particular")
        key = iam.create_access_key(UserName="nobody-in-particular")["AccessKey"]
        self.powerless = Credentials(key["AccessKeyId"], key["SecretAccessKey"])
        self.signed_at = 0.0
        self._made: list[bytes] = []

    def all(self) -> list[bytes]:
        """Every request, with a signature that holds for a while."""
        if time.monotonic() - self.signed_at > SIGNED_SECONDS:
            self._made, self.signed_at = self._signed(), time.monotonic()
        return self._made

    def _signed(self) -> list[bytes]:
        read, tag = {"SecretId": SECRET}, {"SecretId": SECRET, "Tags": [{"Key": "a", "Value": "b"}]}
        stranger = Credentials("AKIA" + "X" * 16, "s" * 40)
        wrong = Credentials(self.admin.access_key, "w" * 40)
        return [
            self._json("GetSecretValue", read, self.admin),
            *([self._json("TagResource", tag, self.admin)] if self.writes else []),
            self._json("DescribeSecret", read, self.admin),
            self._json("GetSecretValue", {"SecretId": "nobody/knows"}, self.admin),  # 400
            self._json("GetSecretValue", read, self.powerless),  # 400, denied
            self._json("GetSecretValue", read, stranger),  # 400
            self._json("GetSecretValue", read, wrong),  # 400
            self._json("GetSecretValue", read, None),  # 400, not signed
            self._json("GetSecretValue", {"SecretId": 7}, self.admin),  # 400, of the wrong type
            self._query("Action=ListUsers&Version=2010-05-08", self.admin),
            self._query("Action=ListUsers&Version=2010-05-08", self.powerless),  # 403, denied
            self._query("Action=ListUsers&Version=2010-05-08", wrong),  # 403
            self._query("Action=GetUser&UserName=nobody&Version=2010-05-08", self.admin),  # 404
            self._bytes("GET", "/", {}, b""),  # 404
        ]

    def oversized(self) -> bytes:
        """Answered with 413."""
        return self._bytes("POST", "/", {"X-Amz-Target": "secretsmanager.GetSecretValue"}, b" " * OVERSIZED)

    def _json(self, operation: str, params: Any, credentials: Credentials | None) -> bytes:
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"secretsmanager.{operation}"}
        return signed(self.server.endpoint, "secretsmanager", headers, json.dumps(params).encode(), credentials)

    def _query(self, form: str, credentials: Credentials) -> bytes:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return signed(self.server.endpoint, "iam", headers, form.encode(), credentials)

    def _bytes(self, method: str, target: str, headers: dict[str, str], body: bytes) -> bytes:
        return message(self.server.endpoint, method, target, headers, body)


def signed(endpoint: str, service: str, headers: dict[str, str], body: bytes, credentials: Credentials | None) -> bytes:
    """A POST as it goes over the wire, signed with `credentials` if there are any."""
    request = AWSRequest("POST", endpoint + "/", headers, body)
    if credentials is not None:
        SigV4Auth(credentials, service, "us-east-1").add_auth(request)
    return message(endpoint, "POST", "/", dict(request.headers.items()), body)


def message(endpoint: str, method: str, target: str, headers: dict[str, str], body: bytes) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", f"Host: {urlsplit(endpoint).netloc}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def answer_of(way: socket.socket) -> tuple[bytes, bytes]:
    """The head and the body of the answer that comes over `way`. No head: it was closed before; a body may be cut off so."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = way.recv(65_536)
        if not piece:
            return b"", b""
        answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    assert length is not None, head
    while len(body) < int(length[1]):
        piece = way.recv(65_536)
        if not piece:
            break
        body += piece
    return head, body


class Heard:
    """What all callers were answered: the ids, and how often each status was said."""

    def __init__(self, told: Callable[[int], None]) -> None:
        self.ids: set[str] = set()
        self.statuses = Counter[int]()
        self.excused: set[str] = set()  # said that there is no space while there was none
        self.strange: list[str] = []
        self.full = threading.Event()  # the disk is, or was when somebody asked who has no answer yet
        self.open = threading.Event()  # there is somebody to ask
        self.open.set()
        self._told = told
        self._lock = threading.Lock()

    def hear(self, head: bytes, full: bool) -> None:
        status = int(head[9:12])
        found = _ID.search(head)
        with self._lock:
            self.statuses[status] += 1
            if found:
                self.ids.add(found[1].decode())
                if status == 503 and full:
                    self.excused.add(found[1].decode())
            elif status != 503:  # a 503 without an id is one of the edge, which has taken nothing on
                self.strange.append(head.decode("latin-1"))
            self._told(1)


class AnyCaller(threading.Thread):
    """Asks one thing after the other until he is told to stop; comes back when he is cut off or loses patience."""

    def __init__(self, asks: Asks, heard: Heard, number: int, stop: threading.Event) -> None:
        super().__init__(name=f"caller-{number}", daemon=True)
        self.asks, self.heard, self.number, self.stop = asks, heard, number, stop
        self.answered = 0

    def run(self) -> None:
        address = urlsplit(self.asks.server.endpoint)
        while not self.stop.is_set():
            if not self.heard.open.wait(0.1):
                continue
            with suppress(OSError), socket.create_connection((address.hostname, address.port), PATIENCE_SECONDS) as way:
                while not self.stop.is_set() and self._exchange(way):
                    pass
            self.stop.wait(0.01)

    def _exchange(self, way: socket.socket) -> bool:
        """Ask and be answered. Whether the connection lives on."""
        turn = self.number + self.answered
        asks = self.asks.all()
        full = self.heard.full.is_set()
        way.sendall(self.asks.oversized() if turn % 500 == 0 else asks[turn % len(asks)])
        head, _ = answer_of(way)
        self.answered += 1  # without an answer, too, or he would ask for it for ever
        if not head:
            return False
        self.heard.hear(head, full or self.heard.full.is_set())
        return b"\r\nconnection: close" not in head.lower() and self.answered % CALLS_LONG != 0
