"""Rotations from end to end: RotateSecret, Lambda in its sandbox, the ready-made function, the database, and an application all the while."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rotation_functions.on_lambda import SETTINGS, Application, Rotated, any_label_logs_in, deploy, function_name
from tests.rotation_functions.targets import Target, Values
from tests.server import Server

ROTATIONS = int(os.environ.get("GEUMGO_TEST_ROTATIONS", "1"))  # 100 in the long form
DATABASES = [
    "postgres",
    "mariadb",
    *(["as_redshift", "mongo", "redis"] if "GEUMGO_TEST_ROTATIONS" in os.environ else []),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = Path(tmp_path_factory.mktemp("on-lambda")) / "data"
    with Server(data, arguments=("--workers", "1"), environment=SETTINGS) as made:
        yield made


@pytest.mark.parametrize("target", DATABASES, indirect=True)
@pytest.mark.parametrize("users", ["SingleUser", "MultiUser"])
def test_a_secret_is_rotated_again_and_again_and_an_application_never_fails(
    server: Server, target: Target, users: str
) -> None:
    """At 20 Hz. Of alternating users AWSCURRENT always logs in; of a single user one of the labels does, at every moment.

    After each rotation the new password logs in and the old one is refused: at once, or where the previous one is meant to go on (that of the other
    user, or a second one of Redis) after the next rotation.
    """
    rotated = Rotated(server, target, deploy(server, function_name(target.module.ENGINE, users)))
    client = server.client("secretsmanager")  # a client of its own for the thread
    if users == "SingleUser":
        application = Application(lambda: any_label_logs_in(rotated, client))
    else:
        application = Application(lambda: target.logs_in(rotated.value("AWSCURRENT", client)))
    application.start()
    seconds = []
    goes_on = users == "MultiUser" or target.keeps_previous
    values = Values(target, goes_on, [rotated.first])
    try:
        for _ in range(ROTATIONS):
            token = rotated.begin()
            seconds.append(rotated.await_end(token))
            values.follow(rotated.value())
    finally:
        application.stop()
    name, tries, failed = f"{target.module.ENGINE}, {users}", application.tries, len(application.failed)
    rotations = f"{ROTATIONS} rotations, {max(seconds):.1f} s at most"
    print(f"{name}: {rotations}; {values.figures()}; {tries} times read and logged in, {failed} failed")  # noqa: T201 - a figure
    assert application.failed == []
    assert application.tries > 5
    assert values.refused == ROTATIONS - goes_on
