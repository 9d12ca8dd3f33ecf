"""P21: whatever is sent, the answer is a modelled error, never a 5xx, and no worker dies of it."""

import http.client
import json
import random
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.server import Server

MODELLED = {
    "ValidationException",
    "SerializationException",
    "UnknownOperationException",
    "InvalidParameterException",
    "InvalidRequestException",
    "ResourceNotFoundException",
    "InvalidSignatureException",
    "IncompleteSignatureException",
    "MissingAuthenticationTokenException",
    "UnrecognizedClientException",
    "RequestEntityTooLargeException",
    "InvalidNextTokenException",
    "MalformedPolicyDocumentException",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("bad") / "data", arguments=("--workers", "2")) as running:
        yield running


def signed(
    server: Server, target: str, body: bytes, *, content_type: str = "application/x-amz-json-1.1"
) -> dict[str, str]:
    request = AWSRequest("POST", server.endpoint + "/", {"Content-Type": content_type, "X-Amz-Target": target}, body)
    SigV4Auth(Credentials(*server.credentials()), "secretsmanager", "us-east-1").add_auth(request)
    return dict(request.headers.items())


def send(
    server: Server, headers: dict[str, str], body: bytes, *, method: str = "POST", path: str = "/"
) -> tuple[int, bytes]:
    address = urlsplit(server.endpoint)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def bodies() -> list[bytes]:
    """Bodies that a broken or hostile client might send, each signed as it is."""
    chance = random.Random(20)
    deep = b'{"SecretId":' * 5_000 + b"1" + b"}" * 5_000
    made: list[bytes] = [
        b"", b"{", b"}", b"[]", b"null", b"1", b'"x"', b"{}", b"{}{}", b"{} x", b"\xff\xfe{}", b"\xef\xbb\xbf{}", b"\x00", b"{'SecretId':'x'}",
        b'{"SecretId":"a","SecretId":"b"}', b'{"SecretId":' + b"9" * 100_000 + b"}", b'{"SecretId":NaN}', b'{"SecretId":Infinity}',
        b'{"SecretId":1e999}', b'{"SecretId":"\xff"}', b'{"SecretId":"\\ud800"}', b'{"SecretId":"a\nb"}', deep, b"[" * 20_000 + b"]" * 20_000,
        json.dumps({"SecretId": "x" * 3_000}).encode(), json.dumps({"SecretId": ""}).encode(), json.dumps({"SecretId": "a b"}).encode(),
        json.dumps({"SecretId": "../../etc/passwd"}).encode(), json.dumps({"SecretId": "a\u0000b"}).encode(), json.dumps({"SecretId": "비밀"}).encode(),
        json.dumps({"SecretId": ["a"]}).encode(), json.dumps({"SecretId": {"a": 1}}).encode(), json.dumps({"SecretId": True}).encode(),
        json.dumps({"SecretId": None}).encode(), json.dumps({"secretid": "x"}).encode(),
        json.dumps({"SecretId": "arn:aws:secretsmanager:us-east-1:1:secret:x"}).encode(), json.dumps({"SecretId": "arn:::::"}).encode(),
        json.dumps({"SecretId": "x", "VersionId": "short"}).encode(), json.dumps({"SecretId": "x", "VersionStage": ""}).encode(),
        json.dumps({"SecretId": "x", "VersionStage": "s" * 300}).encode(),
        json.dumps({f"k{n}": n for n in range(20_000)}).encode(),
    ]  # fmt: skip
    honest = json.dumps({"SecretId": "honest", "VersionStage": "AWSCURRENT"}).encode()
    while len(made) < 150:
        cut = bytearray(honest)
        for _ in range(chance.randrange(1, 4)):
            cut[chance.randrange(len(cut))] = chance.randrange(256)
        made.append(bytes(cut))
    return made


def raw_requests(host: str) -> list[bytes]:
    """Things that are hardly HTTP."""
    line = f"Host: {host}\r\n".encode()
    return [
        b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + line + b"Content-Length: -1\r\n\r\n", b"POST / HTTP/1.1\r\n" + line + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\n" + line + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + line + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"POST / HTTP/1.1\r\n" + line + b"Transfer-Encoding: gzip\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + line + b"Content-Length: 99999999999999999999\r\n\r\n", b"POST / HTTP/1.1\r\n" + line + b"Bad Header: x\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + line + b"X: " + b"y" * 200_000 + b"\r\n\r\n", b"POST / HTTP/1.1\r\n" + line + b"A: b\r\n" * 5_000 + b"\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n" + line + b"\r\n", b"GET / HTTP/1.1\r\n" + line + b"Folded: a\r\n b\r\n\r\n",
        b"CONNECT example.org:443 HTTP/1.1\r\n" + line + b"\r\n", b"OPTIONS * HTTP/1.1\r\n" + line + b"\r\n", b"TRACE / HTTP/1.1\r\n" + line + b"\r\n",
        b"DELETE / HTTP/1.1\r\n" + line + b"\r\n", b"GET http://169.254.169.254/ HTTP/1.1\r\n" + line + b"\r\n", b"GET /../../etc/passwd HTTP/1.1\r\n" + line + b"\r\n",
        b"POST /service/SecretsManager/operation/GetSecretValue HTTP/1.1\r\n" + line + b"smithy-protocol: rpc-v2-cbor\r\nContent-Length: 1\r\n\r\n\xff",
        b"POST /?Action=GetUser&Version=2010-05-08 HTTP/1.1\r\n" + line + b"Content-Length: 0\r\n\r\n",
    ]  # fmt: skip


def test_two_hundred_malformed_requests_meet_modelled_refusals(server: Server) -> None:
    workers = server.members()
    client = server.client("secretsmanager")
    client.create_secret(Name="honest", SecretString="still here")
    tried = 0
    for body in bodies():
        status, text = send(server, signed(server, "secretsmanager.GetSecretValue", body), body)
        assert status in (200, 400, 413), (body[:80], status, text)
        if status != 200:
            assert json.loads(text)["__type"] in MODELLED, (body[:80], text)
        tried += 1
    for target in ["", "x", "secretsmanager.", "secretsmanager.Nothing", "secretsmanager.GetSecretValue.x", "kms.GetSecretValue", "TrentService.Encrypt",
                   "secretsmanager.RotateEverything", "AmazonSSM.GetParameter", "é", "secretsmanager.__init__", "secretsmanager.get_secret_value"]:  # fmt: skip
        status, text = send(server, signed(server, target.encode().decode("latin-1"), b"{}"), b"{}")
        assert status == 400, (target, status, text)
        assert json.loads(text)["__type"] in MODELLED, (target, text)
        tried += 1
    for content_type in [
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-7",
        "multipart/form-data",
    ]:
        status, text = send(
            server, signed(server, "secretsmanager.ListSecrets", b"{}", content_type=content_type), b"{}"
        )
        assert status < 500, (content_type, text)
        tried += 1
    address = urlsplit(server.endpoint)
    for raw in raw_requests(f"{address.hostname}:{address.port}"):
        answer = exchange(server, raw)
        assert not answer.startswith(b"HTTP/1.1 5"), (raw[:80], answer[:200])
        tried += 1
    big = b'{"SecretId":"' + b"x" * 3_000_000 + b'"}'
    assert send(server, signed(server, "secretsmanager.GetSecretValue", big), big)[0] == 413
    tried += 1
    while tried < 200:
        assert send(server, {"Authorization": f"AWS4-HMAC-SHA256 {'x' * tried}"}, b"{}")[0] in (400, 403)
        tried += 1
    assert client.get_secret_value(SecretId="honest")["SecretString"] == "still here"
    assert server.members() == workers, "a worker was lost"


def exchange(server: Server, raw: bytes) -> bytes:
    """What the server answers to raw bytes, until it closes or has answered and waits."""
    address = urlsplit(server.endpoint)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=10) as connection:
        try:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the server may have refused and closed while we were still sending: what it said is read below
        answer = b""
        try:
            while chunk := connection.recv(65_536):
                answer += chunk
        except ConnectionResetError:
            return answer
        return answer


def test_requests_that_nobody_signed_are_refused_and_recorded(server: Server) -> None:
    status, text = send(
        server, {"X-Amz-Target": "secretsmanager.ListSecrets", "Content-Type": "application/x-amz-json-1.1"}, b"{}"
    )
    assert status == 400
    assert json.loads(text)["__type"] == "MissingAuthenticationTokenException"
