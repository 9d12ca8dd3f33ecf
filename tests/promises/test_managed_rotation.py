"""P16 for managed rotation: whatever is killed at whatever moment, one of the three labels logs in, and the secret heals by itself.

A real server is killed, the link to a real database is cut, and a database changes the password and drops the link before it says so, each
at other moments of a rotation. All the while an application reads the secret and logs in, twenty times a second.
`KILLS=400` makes ten rounds of each kind (one otherwise).
"""

import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.promises.link import Link
from tests.rotation_functions.servers import mariadb_server, password_postgres
from tests.rotation_functions.targets import Target, mariadb_target, postgres_target
from tests.server import Server

ROUNDS = max(1, int(os.environ.get("KILLS", "0")) // 40)
ROTATION_SECONDS = 0.6  # about as long as one takes when nothing is in its way
HEAL_SECONDS = 5.0  # the longest wait between the first attempts
SLACK_SECONDS = 20.0  # for the attempt itself, on machines that do other things besides
LABELS = ("AWSCURRENT", "AWSPENDING", "AWSPREVIOUS")


@dataclass
class Application:
    """Reads the secret and logs in at 20 Hz, with whatever label does."""

    server: Server
    target: Target
    user: str
    secret: str
    tries: int = 0
    failed: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.stop.wait(0.05):
            known = self.known()
            if known is None:  # the server is away: nobody can read anything
                continue
            self.tries += 1
            if not any(map(self.logs_in, known)) and not any(map(self.logs_in, self.known() or known)):
                self.failed.append(f"at try {self.tries}")

    def logs_in(self, password: str) -> bool:
        return self.target.logs_in(self.target.value(self.user, password))

    def known(self) -> list[str] | None:
        found = []
        sm = self.server.client("secretsmanager")
        for label in LABELS:
            try:
                text = sm.get_secret_value(SecretId=self.secret, VersionStage=label)["SecretString"]
            except ClientError as refusal:
                if refusal.response["Error"]["Code"] != "ResourceNotFoundException":
                    return None
            except BotoCoreError:
                return None
            else:
                found.append(json.loads(text)["password"])
        return found


@pytest.fixture(params=["postgres", "mariadb"])
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    if request.param == "mariadb":
        with mariadb_server() as port:
            yield mariadb_target(port)
        return
    with password_postgres() as server:
        yield postgres_target(server.port)


def wait_until_healed(server: Server, arn: str, token: str) -> float:
    """Seconds until the rotation to `token` is complete and nothing of it is left over."""
    began = time.monotonic()
    sm = server.client("secretsmanager")
    stages: dict[str, list[str]] = {}
    while time.monotonic() - began < 60:
        stages = sm.describe_secret(SecretId=arn)["VersionIdsToStages"]
        if stages.get(token) == ["AWSCURRENT"] and not any("AWSPENDING" in labels for labels in stages.values()):
            return time.monotonic() - began
        time.sleep(0.02)
    raise AssertionError(f"the rotation to {token} is not complete: {stages}")


def hurt(kind: str, server: Server, link: Link, delay: float) -> None:
    """Something dies `delay` seconds into a rotation, and is back when this ends."""
    if kind == "a change that nobody hears of":
        link.drops_after_a_change, before = True, link.dropped
        for _ in range(500):
            if link.dropped > before:
                break
            time.sleep(0.01)
        link.drops_after_a_change = False
        return
    time.sleep(delay)
    if kind == "server":
        server.kill()
        server.start()
    else:
        link.cut()
        time.sleep(0.3)
        link.mend()


def test_one_of_the_labels_logs_in_whatever_is_killed(target: Target, tmp_path: Path) -> None:
    link = Link(target.port)
    environment = {"GEUMGO_OUTGOING_HOSTS": "127.0.0.1"}
    with Server(tmp_path / "data", arguments=("--workers", "1"), environment=environment) as server:
        user = target.new_user("first")
        arn = attach(server, target, link.port, user)
        application = Application(server, target, user, arn)
        thread = threading.Thread(target=application.run)
        thread.start()
        slowest = {}
        try:
            for kind in ("server", "link", "a change that nobody hears of"):
                times = [one_round(kind, server, link, arn, (number + 0.5) / ROUNDS) for number in range(ROUNDS)]
                slowest[kind] = max(times)
        finally:
            application.stop.set()
            thread.join()
            link.close()
        current = json.loads(server.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"])["password"]
        assert application.logs_in(current)
    figures = ", ".join(f"{kind}: {seconds:.1f} s" for kind, seconds in slowest.items())
    print(
        f"{target.module.ENGINE}: {ROUNDS} rounds of each, {application.tries} times read and logged in, {len(application.failed)} failed"
    )
    print(f"slowest to heal: {figures}")
    assert application.tries > 0
    assert application.failed == []
    assert max(slowest.values()) < HEAL_SECONDS + SLACK_SECONDS


def attach(server: Server, target: Target, port: int, user: str) -> str:
    """The ARN of the managed secret of the database behind `port`, when its first rotation is over."""
    sm, rds = server.client("secretsmanager"), server.client("rds")
    sm.create_secret(Name="before", SecretString=json.dumps({"username": user, "password": "first"}))
    where = {"geumgo:host": "127.0.0.1", "geumgo:port": str(port), "geumgo:tls": "off", "geumgo:secret": "before"}
    rds.create_db_instance(
        DBInstanceIdentifier="mine",
        DBInstanceClass="any",
        Engine=target.module.ENGINE,
        MasterUsername=user,
        ManageMasterUserPassword=True,
        Tags=[{"Key": key, "Value": value} for key, value in where.items()],
    )
    secret: dict[str, Any] = {}
    for _ in range(600):
        secret = rds.describe_db_instances()["DBInstances"][0]["MasterUserSecret"]
        if secret["SecretStatus"] == "active":
            break
        time.sleep(0.05)
    stages = sm.describe_secret(SecretId=secret["SecretArn"])["VersionIdsToStages"]
    token = next(version for version, labels in stages.items() if "AWSCURRENT" in labels)
    wait_until_healed(server, secret["SecretArn"], token)
    return str(secret["SecretArn"])


def one_round(kind: str, server: Server, link: Link, arn: str, part: float) -> float:
    """Seconds that the secret took to heal, after what was hurt in one rotation was back."""
    token = server.client("secretsmanager").rotate_secret(SecretId=arn)["VersionId"]
    hurt(kind, server, link, part * ROTATION_SECONDS)
    return wait_until_healed(server, arn, token)
