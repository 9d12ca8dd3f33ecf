"""P14: a request that hides in the body of another one is never executed, however the two are told apart.

What is hidden is signed and good: sent by itself it changes a secret. So whoever finds its beginning executes it.
"""

import re
from collections.abc import Iterator

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.promises.test_raw_http import exchange, statuses
from tests.server import Server

END = b"0\r\n\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("smuggling") / "data", arguments=("--workers", "1")) as running:
        running.client("secretsmanager").create_secret(Name="db", SecretString="as it was")
        yield running


def hidden(server: Server, name: str = "db") -> bytes:
    """A request of the administrator's that changes the secret."""
    body = (
        b'{"SecretId": "%b", "SecretString": "smuggled", "ClientRequestToken": "11111111-2222-3333-4444-555555555555"}'
        % name.encode()
    )
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "secretsmanager.UpdateSecret"}
    request = AWSRequest("POST", server.endpoint, data=body, headers=headers)
    SigV4Auth(Credentials(*server.credentials()), "secretsmanager", "us-east-1").add_auth(request)
    host = server.endpoint.removeprefix("http://")
    lines = ["POST / HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in request.headers.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


TWO_WAYS = {
    "length then chunks": b"Content-Length: %d\r\nTransfer-Encoding: chunked",
    "chunks then length": b"Transfer-Encoding: chunked\r\nContent-Length: %d",
    "a short length and chunks": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\nX-Length: %d",
    "another coding": b"Transfer-Encoding: xchunked\r\nContent-Length: %d",
    "chunked is not the last": b"Transfer-Encoding: chunked, identity\r\nContent-Length: %d",
    "identity": b"Transfer-Encoding: identity\r\nContent-Length: %d",
    "chunked after identity": b"Transfer-Encoding: identity, chunked\r\nContent-Length: %d",
    "chunked twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\nContent-Length: %d",
    "chunked and a stranger": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\nContent-Length: %d",
    "a tab before": b"Transfer-Encoding:\tchunked\r\nContent-Length: %d",
    "a vertical tab before": b"Transfer-Encoding: \x0bchunked\r\nContent-Length: %d",
    "quoted": b'Transfer-Encoding: "chunked"\r\nContent-Length: %d',
    "a comma": b"Transfer-Encoding: ,chunked\r\nContent-Length: %d",
    "a parameter": b"Transfer-Encoding: chunked;a=b\r\nContent-Length: %d",
    "a space before the colon": b"Transfer-Encoding : chunked\r\nContent-Length: %d",
    "a space before the name": b" Transfer-Encoding: chunked\r\nContent-Length: %d",
    "folded": b"Transfer-Encoding:\r\n chunked\r\nContent-Length: %d",
    "behind a fold": b"X: y\r\n Transfer-Encoding: chunked\r\nContent-Length: %d",
    "behind a bare line feed": b"X: y\nTransfer-Encoding: chunked\r\nContent-Length: %d",
    "behind a bare return": b"X: y\rTransfer-Encoding: chunked\r\nContent-Length: %d",
    "a zero byte": b"Transfer-Encoding: chunked\0\r\nContent-Length: %d",
    "an underscore": b"Transfer_Encoding: chunked\r\nContent-Length: %d",
    "two lengths, the first short": b"Content-Length: 5\r\nContent-Length: %d",
    "two lengths, the last short": b"Content-Length: %d\r\nContent-Length: 5",
    "equal lengths": b"Content-Length: %d\r\nContent-Length: %d",
    "a list of lengths": b"Content-Length: 5, %d",
    "a signed length": b"Content-Length: +%d",
    "a length with a space in it": b"Content-Length: 5 %d",
    "a length in hex": b"Content-Length: 0x%x",
    "a length and a half": b"Content-Length: %d.0",
    "an underscore in the length": b"Content-Length: 5_%d",
    "a length with a leading zero": b"Content-Length: 0%d",
    "a length and the promise to wait": b"Expect: 100-continue\r\nContent-Length: %d",
    "a length and an upgrade": b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: %d",
    "a length that is named by the connection": b"Connection: Content-Length\r\nContent-Length: %d",
}
CHUNKS = {
    "a size with a sign": b"+%x\r\n%b\r\n",
    "a size in another spelling": b"0x%x\r\n%b\r\n",
    "a size with a space before": b" %x\r\n%b\r\n",
    "a size with spaces behind": b"%x  \r\n%b\r\n",
    "a size that overflows": b"1000000000000%04x\r\n%b\r\n",
    "a line feed after the size": b"%x\n%b\r\n",
    "an extension": b"%x;a=b\r\n%b\r\n",
    "an extension with a line feed": b"%x;a\nb\r\n%b\r\n",
    "an extension with a return": b"%x;a\rb\r\n%b\r\n",
    "nothing after the chunk": b"%x\r\n%b",
    "a line feed after the chunk": b"%x\r\n%b\n",
    "too short by two": b"%x\r\n%bXX\r\n",
    "a size that is empty": b"\r\n%x\r\n%b\r\n",
}
METHODS = (b"GET", b"HEAD", b"DELETE", b"OPTIONS", b"TRACE", b"CONNECT")


def outer(lines: bytes, *, start: bytes = b"POST / HTTP/1.1") -> bytes:
    return start + b"\r\nHost: a\r\n" + lines + b"\r\n\r\n"


def corpus(inside: bytes) -> dict[str, bytes]:
    body = END + inside
    made = {}
    for name, lines in TWO_WAYS.items():
        sizes = (len(body),) * len(re.findall(rb"%[dx]", lines))
        made[name] = outer(lines % sizes) + body
        made[f"{name}, in HTTP/1.0"] = outer(lines % sizes, start=b"POST / HTTP/1.0") + body
    for name, chunk in CHUNKS.items():
        made[f"chunks: {name}"] = outer(b"Transfer-Encoding: chunked") + chunk % (len(inside), inside) + END
        made[f"chunks: {name}, in the second one"] = (
            outer(b"Transfer-Encoding: chunked") + b"1\r\na\r\n" + chunk % (len(inside), inside) + END
        )
    made["a trailer"] = outer(b"Transfer-Encoding: chunked") + b"0\r\nContent-Length: 0\r\nX: " + inside
    for method in METHODS:
        made[f"{method.decode()} with a body"] = (
            outer(b"Content-Length: %d" % len(inside), start=method + b" / HTTP/1.1") + inside
        )
    made["a target with a request in it"] = b"GET /?" + inside.replace(b" ", b"%20") + b" HTTP/1.1\r\nHost: a\r\n\r\n"
    made["a header with a request in it"] = outer(b"X: y\r\r" + inside)
    return made


def test_no_hidden_request_is_executed(server: Server) -> None:
    entries = corpus(hidden(server))
    executed = []
    for name, sent in entries.items():
        said = (
            statuses(exchange(server, [sent]))
            if not sent.startswith(b"HEAD")
            else [int(exchange(server, [sent])[9:12])]
        )
        if 200 in said or len(said) > 1 + (b"Expect" in sent) or any(status >= 500 for status in said):
            executed.append((name, said))
    print(f"\n{len(entries)} messages")
    assert not executed
    assert server.client("secretsmanager").get_secret_value(SecretId="db")["SecretString"] == "as it was"


def test_the_same_request_is_executed_when_it_comes_by_itself_behind_another(server: Server) -> None:
    server.client("secretsmanager").create_secret(Name="other", SecretString="as it was")
    said = statuses(exchange(server, [outer(b"Content-Length: 5") + END + hidden(server, "other")]))
    assert said[-1] == 200
    assert len(said) == 2
    assert server.client("secretsmanager").get_secret_value(SecretId="other")["SecretString"] == "smuggled"
