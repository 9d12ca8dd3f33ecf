"""P1, P5, P6, P7: no acknowledged write is lost, torn or doubled by `kill -9` of the whole server, at any moment.

And what was under way may be asked for again; and every answer that anybody got is in the trail.
"""

import os
import random
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import botocore.exceptions
import pytest

from geumgo import app
from geumgo.settings import Settings
from tests.promises import faulty_server
from tests.promises.reached import SoFar, reaching
from tests.promises.things import KINDS, Thing
from tests.server import GEUMGO, Server

KILLS: Final = int(os.environ.get("KILLS", "16"))
MUTANT_KILLS: Final = 24  # at most: the first that shows it is enough
SEED: Final = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
WRITERS: Final = len(KINDS)
BLOW_SECONDS: Final = (0.05, 1.5)  # after the writers begin, where it does not come with an answer
READY_SECONDS: Final = 3.0
"""99 times of 100, the time in which others had the cores not counted. Of fewer than a hundred starts one may be late: processes that wait
for each other stand in line one after the other, and only the longest line is known."""
PATIENCE_SECONDS: Final = 120
GONE: Final = (botocore.exceptions.HTTPClientError, botocore.exceptions.ConnectionError)


class Answers:
    """The request ids of every answer that anybody got; those of the answers that the server was `unavailable` among them."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.unavailable: set[str] = set()

    def listen(self, client: Any) -> Any:
        client.meta.events.register("after-call", self._heard)
        return client

    def _heard(self, http_response: Any, **_: Any) -> None:
        self.ids.append(http_response.headers["x-amzn-RequestId"])
        if http_response.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
            self.unavailable.add(self.ids[-1])


class Writer(threading.Thread):
    """Takes one thing after the other through its story until the server is gone. With `stroke`, it kills it at its n-th answer."""

    def __init__(self, clients: Callable[[str], Any], number: int, turn: int, stroke: Callable[[int], None]) -> None:
        super().__init__(name=f"writer-{number}")
        self.clients, self.number, self.turn, self.stroke = clients, number, turn, stroke
        self.things: list[Thing] = []
        self.fault = ""

    def run(self) -> None:
        answers = 0
        try:
            while True:
                thing = KINDS[self.number](self.clients, f"kill-{self.turn}-{self.number}-{len(self.things)}")
                self.things.append(thing)
                while not thing.over:
                    thing.go()
                    answers += 1
                    self.stroke(answers)
        except GONE:
            return
        except botocore.exceptions.ClientError as refusal:
            self.fault = f"{self.things[-1].name}: {refusal}"


@contextmanager
def serving(tmp_path: Path, database: str = "", program: list[str] = GEUMGO, workers: int = 2) -> Iterator[Server]:
    environment = {"GEUMGO_DATABASE": database} if database else {}
    arguments = ("--workers", str(workers))
    with Server(tmp_path / "data", arguments=arguments, environment=environment, program=program) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """Two API processes; on PostgreSQL the database lives on while everything of ours is killed."""
    with ExitStack() as stack:
        database = ""
        if request.param == "postgres":
            database = stack.enter_context(request.getfixturevalue("postgres_server").database())
        yield stack.enter_context(serving(tmp_path, database))


def kill_and_look(server: Server, kills: int, so_far: SoFar, answers: Answers) -> list[str]:
    """Kill the server `kills` times under its writers, or until something is wrong afterwards. Answers what."""
    chance = random.Random(SEED)
    clients = kept_clients(server, answers)
    problems: list[str] = []
    for turn in range(kills):
        if problems:
            return problems
        # Every other time the stroke comes with an answer: what was acknowledged a moment ago is all there is to lose.
        at, by = (0, 0) if turn % 2 else (chance.randrange(1, 25), chance.randrange(WRITERS))
        strokes = [at if number == by else 0 for number in range(WRITERS)]
        writers = [Writer(clients, number, turn, partial(stroke, server, strokes[number])) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        if not at:
            threading.Event().wait(chance.uniform(*BLOW_SECONDS))
            server.strike()
        for writer in writers:
            writer.join(timeout=PATIENCE_SECONDS)
            assert not writer.is_alive()
        server.kill()
        took = server.start()
        so_far.took(ready_again=took, ready_again_without_the_line=max(0.0, took - in_line_for_a_core(server)))
        with ThreadPoolExecutor(WRITERS) as eyes:
            for found in eyes.map(problems_of, writers):
                problems += [f"kill {turn}, {each}" for each in found]
        acknowledged = sum(thing.acknowledged for writer in writers for thing in writer.things)
        if not problems:
            so_far.add(kills=1, acknowledged_writes=acknowledged)
    return problems


def problems_of(writer: Writer) -> list[str]:
    """What is wrong with what it has written, now that the server is back."""
    found = [f"{thing.name}: {problem}" for thing in writer.things if (problem := looked_at(thing))]
    return [writer.fault, *found] if writer.fault else found


def in_line_for_a_core(server: Server) -> float:
    """How long a start may have waited for a core that others had, in seconds: that of the supervisor, and of the one process behind it
    that waited longest. What the server does itself, or sleeps, or waits for the disk, is not in it.

    Source: proc(5), schedstat (sched-stats.rst of the kernel: the second number is the time on the run queue, in nanoseconds).
    """
    first, *others = [int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9 for pid in server.members()]
    return first + max(others)


def stroke(server: Server, at: int, answers: int) -> None:
    if answers == at:
        server.strike()


def looked_at(thing: Thing) -> str:
    try:
        return thing.problem()
    except botocore.exceptions.ClientError as refusal:
        return str(refusal)


def kept_clients(server: Server, answers: Answers) -> Callable[[str], Any]:
    made = {
        service: answers.listen(server.client(service, max_pool_connections=WRITERS, read_timeout=PATIENCE_SECONDS))
        for service in ("secretsmanager", "kms", "iam", "ssm")
    }
    return made.__getitem__


def unrecorded(server: Server, answers: Answers) -> set[str]:
    """The ids of answers of which the trail knows nothing. The server is dead: what is on the disk counts."""
    server.kill()
    known = {
        record.get("requestID")
        for record in app.read_trail(Settings(data=server.data, database=server.environment.get("GEUMGO_DATABASE", "")))
    }
    return set(answers.ids) - known


def test_kills_under_eight_writers_lose_nothing_and_every_answer_is_in_the_trail(
    server: Server, request: pytest.FixtureRequest
) -> None:
    engine, answers = request.node.callspec.params["server"], Answers()
    with reaching(f"P1, P5, P6 on {engine}", SEED) as so_far:
        problems = kill_and_look(server, KILLS, so_far, answers)
        assert not problems, f"seed {SEED}: {problems}"
        verdict = server.run("audit", "verify", timeout=600)
        assert verdict.returncode == 0, verdict.stdout + verdict.stderr
        missing = unrecorded(server, answers)
        assert not missing, f"seed {SEED}: answers without a record: {sorted(missing)[:5]}"
        so_far.add(answers_each_with_its_record=len(answers.ids))
        assert so_far.counts["acknowledged_writes"] > 5 * KILLS, "the writers hardly wrote: the test proves nothing"
        late = [each for each in so_far.seconds["ready_again_without_the_line"] if each > READY_SECONDS]
        assert len(late) <= max(1, KILLS // 100), f"seed {SEED}: ready again after {late} s"


@pytest.mark.parametrize(
    "fault", [faulty_server.answers_before_it_commits, faulty_server.keeps_a_value_before_its_labels]
)
def test_a_server_that_answers_too_early_or_in_two_halves_is_caught(fault: Callable[[], None], tmp_path: Path) -> None:
    with serving(tmp_path, program=faulty_server.with_fault(fault), workers=1) as server:
        problems = kill_and_look(server, MUTANT_KILLS, SoFar("", SEED), Answers())
    assert problems, f"seed {SEED}"


def test_a_server_that_writes_its_records_after_the_answer_is_caught(tmp_path: Path) -> None:
    fault = faulty_server.writes_its_records_afterwards
    answers = Answers()
    with serving(tmp_path, program=faulty_server.with_fault(fault), workers=1) as server:
        kill_and_look(server, 2, SoFar("", SEED), answers)
        assert unrecorded(server, answers), f"seed {SEED}"


def test_sixty_four_who_ask_with_one_token_at_once_make_one_version(server: Server) -> None:
    client = server.client("secretsmanager", max_pool_connections=64, read_timeout=60)
    client.create_secret(Name="once", SecretString="first")
    token = str(uuid.uuid4())

    def put(_: int) -> Any:
        return client.put_secret_value(SecretId="once", SecretString="second", ClientRequestToken=token)["VersionId"]

    with ThreadPoolExecutor(64) as pool:
        told = set(pool.map(put, range(64)))
    assert told == {token}
    versions = client.list_secret_version_ids(SecretId="once", IncludeDeprecated=True)["Versions"]
    assert sorted(version["VersionStages"] for version in versions) == [["AWSCURRENT"], ["AWSPREVIOUS"]]
    with pytest.raises(client.exceptions.ResourceExistsException):
        client.put_secret_value(SecretId="once", SecretString="third", ClientRequestToken=token)
