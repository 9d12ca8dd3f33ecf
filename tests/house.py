"""The whole product in one process, without sockets: real botocore clients, real signatures, a clock that is turned.

house = House.build(tmp_path, database=..., clock=TurnedClock(...))
admin = house.client("secretsmanager")
ann = house.user("ann", {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"})
house.client("secretsmanager", ann).get_secret_value(SecretId="x")
"""

import io
import itertools
import json
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import botocore.auth
import botocore.config
import botocore.session
import pytest
from botocore.awsrequest import AWSResponse

from geumgo import app
from geumgo.message import Answer, Request
from geumgo.protocol.models import OWN
from geumgo.settings import Settings
from tests.clock import TurnedClock

ENDPOINT = "http://geumgo.test"
_SESSION = botocore.session.Session()
_SESSION.get_component("data_loader").search_paths.append(str(OWN))


@dataclass(frozen=True)
class Key:
    """An access key as a client holds it."""

    identity: str
    secret: str
    token: str | None = None


SEGMENT_BYTES: Final = 1 << 20  # of the trail: each of thousands of houses would write sixteen times as many zeros


@dataclass
class House:
    """An initialised data directory and the app on it, in this process."""

    settings: Settings
    app: app.App
    clock: TurnedClock
    admin: Key
    account: str
    clients: dict[tuple[str, Key, str], Any] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=itertools.count)
    peer: str = "198.51.100.7"

    @classmethod
    def build(cls, directory: Path, clock: TurnedClock, **settings: Any) -> "House":
        chosen = Settings(data=directory / "data", **{"segment_bytes": SEGMENT_BYTES, **settings})
        first = app.initialise(chosen, clock=clock)
        built = app.build(chosen, slot="api-0", clock=clock)
        admin = Key(first.access_key_id, first.secret_access_key)
        return cls(chosen, built, clock, admin, first.account)

    def send(self, method: str, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes) -> Answer:
        """One request through the pipeline, as the edge would hand it over."""
        request = Request(
            method=method,
            target=target,
            headers=tuple((name.lower(), value) for name, value in headers),
            body=body,
            peer=self.peer,
            secure=False,
            id=f"request-{next(self.numbers):08d}",
            received_at_ms=self.clock.now_ms(),
        )
        answer = self.app.pipeline.handle_batch([request])[0]
        while answer.fetch is not None:  # it lies outside
            answer = self.app.pipeline.handle_batch([answer.fetch()])[0]
        return answer

    def client(self, service: str, key: Key | None = None, region: str = "us-east-1") -> Any:
        """A real botocore client, whose requests go to the pipeline instead of a socket."""
        key = key or self.admin
        if (service, key, region) not in self.clients:
            made = _SESSION.create_client(
                service,
                region_name=region,
                endpoint_url=ENDPOINT,
                aws_access_key_id=key.identity,
                aws_secret_access_key=key.secret,
                aws_session_token=key.token,
                config=botocore.config.Config(retries={"total_max_attempts": 1}),
            )
            made.meta.events.register("before-send", self._carry)
            self.clients[service, key, region] = made
        return self.clients[service, key, region]

    def _carry(self, request: Any, **_: Any) -> AWSResponse:
        address = urlsplit(request.url)
        target = address.path.encode() + (b"?" + address.query.encode() if address.query else b"")
        headers = [
            (name.encode(), value if isinstance(value, bytes) else str(value).encode())
            for name, value in request.headers.items()
        ]
        if request.headers.get("Host") is None:
            headers.append((b"host", address.netloc.encode()))
        body = request.body or b""
        body = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else body.read()
        answer = self.send(request.method, target or b"/", headers, body)
        headers_back = {name.decode(): value.decode() for name, value in answer.headers}
        return AWSResponse(request.url, answer.status, headers_back, _Raw(answer.body))

    def user(self, name: str, *statements: dict[str, Any]) -> Key:
        """A new user with these statements as its only policy, and an access key of his."""
        iam = self.client("iam")
        iam.create_user(UserName=name)
        if statements:
            document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
            iam.put_user_policy(UserName=name, PolicyName="only", PolicyDocument=document)
        made = iam.create_access_key(UserName=name)["AccessKey"]
        return Key(made["AccessKeyId"], made["SecretAccessKey"])

    def run_jobs(self) -> int:
        """Run everything that is due at the turned clock's time."""
        return self.app.worker.run_due()

    def index(self) -> int:
        """What is in the trail so far can be found, and EventBridge was told. Answers how many records were new."""
        return self.app.indexer.run(self.app.storage)

    def trail(self) -> list[dict[str, Any]]:
        """Every CloudTrail record so far, oldest first, a committed write once."""
        return app.read_trail(self.settings)

    def close(self) -> None:
        self.app.close()


class _Raw(io.BytesIO):
    """The body of an answer, as urllib3 would stream it."""

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self.read()


@contextmanager
def house_in(directory: Path, monkeypatch: pytest.MonkeyPatch, clock: TurnedClock, **settings: Any) -> Iterator[House]:
    """A house whose clients, too, live by `clock`."""
    turn_botocore(monkeypatch, clock)
    with closing(House.build(directory, clock, **settings)) as made:
        yield made


@contextmanager
def house_on(
    request: pytest.FixtureRequest, directory: Path, monkeypatch: pytest.MonkeyPatch, clock: TurnedClock
) -> Iterator[House]:
    """The same on the engine that is the parameter of a fixture: "sqlite", or "postgres" on the server of the session."""
    with ExitStack() as stack:
        settings = {}
        if request.param == "postgres":
            settings["database"] = stack.enter_context(request.getfixturevalue("postgres_server").database())
        yield stack.enter_context(house_in(directory, monkeypatch, clock, **settings))


def turn_botocore(monkeypatch: pytest.MonkeyPatch, clock: TurnedClock) -> None:
    """Let botocore sign at the turned clock's time."""

    def now(remove_tzinfo: bool = True) -> datetime:
        at = datetime.fromtimestamp(clock.now_ms() / 1000, UTC)
        return at.replace(tzinfo=None) if remove_tzinfo else at

    monkeypatch.setattr(botocore.auth, "get_current_datetime", now)
