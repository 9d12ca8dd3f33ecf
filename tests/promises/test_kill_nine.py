"""P1, P5, P7: no acknowledged write is lost, torn or doubled by `kill -9` of the whole server, at any moment."""

import os
import random
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import botocore.exceptions
import pytest

from tests.server import Server

KILLS = int(os.environ.get("KILLS", "50"))
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
WRITERS = 4
READY_SECONDS = 3.0


@dataclass
class Journal:
    """What one writer sent and what was acknowledged, for one secret. Written before sending, and after the answer."""

    name: str
    created: bool = False
    deleted: bool = False
    sent: dict[str, str] = field(default_factory=dict)  # version id -> value, in the order of sending
    acknowledged: list[str] = field(default_factory=list)  # version ids, in the order of their answers
    tags: dict[str, str] = field(default_factory=dict)


class Writer(threading.Thread):
    """Creates, puts, tags and deletes secrets until the server is gone."""

    def __init__(self, client: Any, number: int, turn: int) -> None:
        super().__init__(name=f"writer-{number}")
        self.client, self.number, self.turn = client, number, turn
        self.journals: list[Journal] = []
        self.faults: list[str] = []

    def run(self) -> None:
        count = 0
        while True:
            journal = Journal(f"kill/{self.turn}/{self.number}/{count}")
            self.journals.append(journal)
            count += 1
            try:
                self._one(journal)
            except (botocore.exceptions.HTTPClientError, botocore.exceptions.ConnectionError):
                return
            except botocore.exceptions.ClientError as refusal:
                self.faults.append(f"{journal.name}: {refusal}")
                return

    def _one(self, journal: Journal) -> None:
        client = self.client
        token = str(uuid.uuid4())
        journal.sent[token] = value = f"value-{token}"
        client.create_secret(Name=journal.name, SecretString=value, ClientRequestToken=token, Description="비밀")
        journal.created = True
        journal.acknowledged.append(token)
        for _ in range(3):
            token = str(uuid.uuid4())
            journal.sent[token] = value = f"value-{token}"
            client.put_secret_value(SecretId=journal.name, SecretString=value, ClientRequestToken=token)
            journal.acknowledged.append(token)
        client.tag_resource(SecretId=journal.name, Tags=[{"Key": "kept", "Value": "예"}])
        journal.tags["kept"] = "예"
        if self.number == 0:
            client.delete_secret(SecretId=journal.name, RecoveryWindowInDays=7)
            journal.deleted = True


@pytest.fixture(params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """Two API processes; on PostgreSQL the database lives on while everything of ours is killed."""
    with ExitStack() as stack:
        environment = {}
        if request.param == "postgres":
            environment["GEUMGO_DATABASE"] = stack.enter_context(request.getfixturevalue("postgres_server").database())
        yield stack.enter_context(Server(tmp_path / "data", arguments=("--workers", "2"), environment=environment))


def test_fifty_kills_under_four_writers_lose_nothing(server: Server, record_property: Any) -> None:
    chance = random.Random(SEED)
    acknowledged = 0
    slowest = 0.0
    for turn in range(KILLS):
        writers = [Writer(server.client("secretsmanager"), number, turn) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        threading.Event().wait(chance.uniform(0.05, 1.5))
        server.kill()
        for writer in writers:
            writer.join(timeout=30)
            assert not writer.is_alive()
        slowest = max(slowest, server.start())
        client = server.client("secretsmanager")
        for writer in writers:
            assert not writer.faults, f"seed {SEED}, kill {turn}: {writer.faults}"
            for journal in writer.journals:
                acknowledged += len(journal.acknowledged)
                problem = lost(client, journal)
                assert problem is None, f"seed {SEED}, kill {turn}, {journal.name}: {problem}"
    verdict = server.run("audit", "verify")
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr
    print(f"\nseed {SEED}: {KILLS} kills, {acknowledged} acknowledged writes, 0 lost; slowest ready {slowest:.2f} s")
    record_property("acknowledged", acknowledged)
    record_property("slowest_ready_seconds", slowest)
    assert acknowledged > KILLS, "the writers hardly wrote: the test proves nothing"
    assert slowest < READY_SECONDS, f"the server took {slowest:.2f} s to be ready again"


def lost(client: Any, journal: Journal) -> str | None:
    """What is wrong with this secret after the crash, or None."""
    try:
        described = client.describe_secret(SecretId=journal.name)
    except client.exceptions.ResourceNotFoundException:
        return "an acknowledged secret is gone" if journal.created else None
    stages = {label: version for version, labels in described["VersionIdsToStages"].items() for label in labels}
    if sum(len(labels) for labels in described["VersionIdsToStages"].values()) != len(stages):
        return f"a label sits on two versions: {described['VersionIdsToStages']}"
    order = list(journal.sent)
    last = order.index(journal.acknowledged[-1]) if journal.acknowledged else 0
    current = stages.get("AWSCURRENT")
    if current not in order[last:]:
        return f"AWSCURRENT is on {current}, acknowledged was {journal.acknowledged[-1:]}"
    position = order.index(current)
    if position > 0 and stages.get("AWSPREVIOUS") != order[position - 1]:
        return f"AWSPREVIOUS does not follow AWSCURRENT: {stages}"
    if journal.tags and {"Key": "kept", "Value": "예"} not in described.get("Tags", []):
        return "an acknowledged tag is gone"
    if journal.deleted != ("DeletedDate" in described) and journal.deleted:
        return "an acknowledged deletion is gone"
    if "DeletedDate" in described:
        return None
    for version in journal.acknowledged:
        value = client.get_secret_value(SecretId=journal.name, VersionId=version)["SecretString"]
        if value != journal.sent[version]:
            return f"version {version} holds another value"
    return None
