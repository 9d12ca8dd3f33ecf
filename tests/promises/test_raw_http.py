"""P21: whatever bytes come down a connection, they are answered with what the client did wrong, or the connection is closed: never a 5xx, no
process dies, and no process works on one of them for two seconds.

Bytes are made by a small grammar of HTTP of which every rule has its hostile twins. `RAW_REQUESTS=20000` makes more of them.
"""

import os
import random
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.promises.reached import reaching
from tests.promises.test_overload import honest_ask
from tests.server import Server

SEED = int(os.environ.get("SEED", "20261130"))
REQUESTS = int(os.environ.get("RAW_REQUESTS", "400"))
MOST_SECONDS = 2.0
TICK = os.sysconf("SC_CLK_TCK")

METHODS = (
    b"GET",
    b"POST",
    b"PUT",
    b"DELETE",
    b"OPTIONS",
    b"PATCH",
    b"TRACE",
    b"CONNECT",
    b"get",
    b"G\x00T",
    b"",
    b"PRI",
    b"SUBSCRIBE",
    b"X" * 5_000,
    b"\xc3\xa9",
)
TARGETS = (
    b"/", b"*", b"", b"//", b"/?", b"/?a=b&a=c", b"/%", b"/%zz", b"/%00", b"/..%2f..", b"/\xff\xfe", b"/a b", b"/\t", b"http://h/", b"https://u:p@h:1/x", b"h:80",
    b"/healthz", b"/readyz", b"/2015-03-31/functions/x/invocations", b"/service/x/operation/y", b"/" + b"a" * 70_000, b"/?" + b"&" * 3_000, b"/#x", b"/?Action=GetCallerIdentity&Version=2011-06-15",
)  # fmt: skip
VERSIONS = (
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"HTTP/2.0",
    b"HTTP/0.9",
    b"HTTP/1.2",
    b"HTTP/11",
    b"http/1.1",
    b"",
    b"HTTP/1.1 x",
    b"HTTP/9999999999.1",
)
ENDS = (b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r", b" \r\n")
NAMES = (
    b"Host", b"host", b"Content-Length", b"Transfer-Encoding", b"Connection", b"Expect", b"Upgrade", b"Authorization", b"X-Amz-Target", b"X-Amz-Date",
    b"Content-Type", b"X-Amz-Content-Sha256", b"X-Amz-Security-Token", b"Smithy-Protocol", b"TE", b"Trailer", b"Cookie", b"X-Forwarded-For", b"Origin", b"",
    b" Host", b"Host ", b"H\x00st", b"H\xc3\xb6st", b"Bad Name", b"x" * 9_000, b":", b"content_length", b"Content-Length\t", b"\tfolded",
)  # fmt: skip
VALUES = (
    b"", b"a", b"0", b"1", b"-1", b"+5", b"5, 5", b"0x5", b"5 ", b"99999999999999999999999", b"1e3", b"chunked", b"Chunked", b"chunked, chunked", b"gzip, chunked", b"\x0bchunked", b"identity",
    b"close", b"keep-alive", b"upgrade, http2-settings", b"h2c", b"websocket", b"100-continue", b"\x00", b"\xff\xfe", b"a\rb", b"a\nb", b"a\r\n b", b"v" * 9_000, b"127.0.0.1",
    b"secretsmanager.GetSecretValue", b"application/x-amz-json-1.1", b"application/x-www-form-urlencoded", b"rpc-v2-cbor", b"20261130T000000Z",
    b"AWS4-HMAC-SHA256 Credential=A/20261130/us-east-1/secretsmanager/aws4_request, SignedHeaders=host, Signature=" + b"0" * 64, b"Basic YTpi", b"AWS4-HMAC-SHA256",
)  # fmt: skip
BODIES = (
    b"", b"{}", b"{", b"\x00" * 300, b"5\r\nhello\r\n0\r\n\r\n", b"zz\r\n", b"ffffffffffffffff\r\nx", b"-1\r\n", b"5;a=b\r\nhello\r\n0\r\nHost: b\r\n\r\n", b"0\r\n\r\n",
    b"3\r\nabcd\r\n0\r\n\r\n", b"1\r\n" * 4_000, b";" * 20_000, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\r\n" * 50, b"a" * 70_000,
)  # fmt: skip


class Maker:
    """Makes up messages. Half of what it chooses is what an honest client writes, so that most get further than their first line."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def odd(self, honest: bytes, others: tuple[bytes, ...], share: float = 0.3) -> bytes:
        return self.random.choice(others) if self.random.random() < share else honest

    def message(self) -> bytes:
        lines = [
            b" ".join((self.odd(b"POST", METHODS), self.odd(b"/", TARGETS), self.odd(b"HTTP/1.1", VERSIONS, 0.15)))
        ]
        body = self.odd(b"{}", BODIES)
        headers = [
            (b"Host", b"a"),
            (b"Content-Length", b"%d" % len(body)),
            (b"Content-Type", b"application/x-amz-json-1.1"),
        ]
        for _ in range(self.random.choice((0, 1, 1, 2, 3, 40))):
            headers.insert(
                self.random.randrange(len(headers) + 1), (self.random.choice(NAMES), self.random.choice(VALUES))
            )
        if self.random.random() < 0.2:
            headers.pop(self.random.randrange(len(headers)))
        if self.random.random() < 0.02:
            headers += [(b"A%d" % number, b"b") for number in range(2_000)]
        lines += [name + self.odd(b": ", (b":", b"", b" : ", b":\t\t", b":: "), 0.1) + value for name, value in headers]
        made = b"".join(line + self.odd(b"\r\n", ENDS, 0.03) for line in lines) + self.odd(b"\r\n", ENDS, 0.05) + body
        return self.bent(made) if self.random.random() < 0.2 else made

    def bent(self, made: bytes) -> bytes:
        at = self.random.randrange(len(made))
        ways: list[Callable[[], bytes]] = [
            lambda: made[:at],
            lambda: made[:at] + self.random.randbytes(1) + made[at + 1 :],
            lambda: made[:at] + self.random.randbytes(self.random.randrange(1, 40)) + made[at:],
            lambda: made[at:] + made[:at],
            lambda: made * self.random.randrange(2, 30),
            lambda: self.random.randbytes(self.random.randrange(1, 3_000)),
        ]
        return self.random.choice(ways)()

    def pieces(self, made: bytes) -> list[bytes]:
        """`made` as it is sent: mostly at once, else with a break or two, or the first bytes one by one."""
        way = self.random.random()
        if way < 0.7:
            return [made]
        if way < 0.95:
            at = self.random.randrange(len(made) + 1)
            return [made[:at], made[at:]]
        return [made[number : number + 1] for number in range(min(60, len(made)))] + [made[60:]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("raw") / "data", arguments=("--workers", "1")) as running:
        yield running


def exchange(server: Server, pieces: list[bytes]) -> bytes:
    """All that the server says to these bytes, and to their end."""
    host, _, port = server.endpoint.removeprefix("http://").partition(":")
    said = b""
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(OSError):  # it may refuse and close while more is sent: what it said is read below
            for piece in pieces:
                connection.sendall(piece)
            connection.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            while more := connection.recv(1 << 16):
                said += more
    return said


def statuses(said: bytes) -> list[int]:
    """Of every answer. Raises AssertionError if what was said is not answers from end to end."""
    found = []
    while said:
        head, _, rest = said.partition(b"\r\n\r\n")
        first = re.match(rb"HTTP/1\.1 ([0-9]{3}) ", head)
        assert first, said[:200]
        found.append(int(first[1]))
        length = re.search(rb"\r\ncontent-length: ([0-9]+)", head.lower())
        assert length or found[-1] == 100, head
        said = rest[int(length[1]) if length else 0 :]
    return found


def spent(server: Server) -> float:
    """Seconds of CPU of all its processes."""
    total = 0
    for pid in server.members():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def test_no_bytes_are_a_fault_of_ours(server: Server) -> None:
    members = server.members()
    server.client("secretsmanager").create_secret(Name="db", SecretString="hunter2")
    maker = Maker(SEED)
    answered, slowest, before = 0, 0.0, spent(server)
    with reaching("P21, bytes", SEED) as so_far:
        for number in range(REQUESTS):
            made = maker.message()
            said = statuses(exchange(server, maker.pieces(made)))
            assert not [status for status in said if status >= 500], (number, said, made[:500])
            answered += bool(said)
            slowest, before = max(slowest, spent(server) - before), spent(server)
            assert slowest < MOST_SECONDS, (number, slowest, made[:500])
            if number % 50 == 0:
                assert statuses(exchange(server, [honest_ask(server)])) == [200]
            so_far.add(messages=1, answered=bool(said))
    print(f"\n{REQUESTS} messages, {answered} answered, at most {slowest:.2f} s of CPU for one")
    assert answered > REQUESTS / 2, "a test in which all is cut off shows nothing"
    assert server.members() == members, "a process was lost"
    assert server.stop() == 0
    assert server.run("audit", "verify", timeout=600).returncode == 0
    assert "Traceback" not in server.printed()
