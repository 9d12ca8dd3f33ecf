"""Requests that botocore signs, as the edge would hand them over."""

from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from geumgo.access.signature import read_claim, verify
from geumgo.message import Request
from geumgo.sealing.plaintext import Plaintext

KEY_ID = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
REGIONS = frozenset({"us-east-1", "eu-central-1"})
SERVICES = frozenset({"secretsmanager", "sts", "lambda", "service"})


def now_ms() -> int:
    """botocore takes the time of this machine."""
    return int(datetime.now(UTC).timestamp() * 1000)


def request_of(
    method: str, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes = b"", peer: str = "198.51.100.7"
) -> Request:
    return Request(
        method=method,
        target=target,
        headers=tuple((name.lower(), value.strip()) for name, value in headers),
        body=body,
        peer=peer,
        secure=False,
        id="r-1",
        received_at_ms=0,
    )


def signed(
    method: str = "POST",
    url: str = "http://localhost:7373/",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    *,
    service: str = "secretsmanager",
    region: str = "us-east-1",
    token: str | None = None,
    presigned: bool = False,
    expires: int = 3600,
    secret: str = SECRET,
) -> Request:
    """What botocore sends when it signs this."""
    asked = AWSRequest(method=method, url=url, headers=dict(headers or {}), data=body)
    credentials = Credentials(KEY_ID, secret, token)
    if presigned:
        SigV4QueryAuth(credentials, service, region, expires=expires).add_auth(asked)
    else:
        SigV4Auth(credentials, service, region).add_auth(asked)
    parts = urlsplit(asked.url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    sent = [(name.encode(), str(value).encode()) for name, value in asked.headers.items()]
    if not any(name.lower() == b"host" for name, _ in sent):
        sent.insert(0, (b"Host", parts.netloc.encode()))
    return request_of(method, target.encode(), sent, asked.data if isinstance(asked.data, bytes) else b"")


def check(request: Request, secret: str | None = SECRET, *, at_ms: int | None = None) -> None:
    """Raises what the door would raise that knows one key, with this secret."""
    claim = read_claim(request)
    assert claim is not None, "there is a trace of a signature"
    known = Plaintext(secret.encode()) if secret is not None and claim.access_key_id == KEY_ID else None
    verify(request, claim, known, regions=REGIONS, services=SERVICES, now_ms=now_ms() if at_ms is None else at_ms)
