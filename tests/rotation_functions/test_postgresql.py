"""The functions for PostgreSQL, against a real PostgreSQL and a real server."""

import json
import os
import string
import threading
import uuid
from typing import Any

import pytest

from geumgo.rotation_functions import postgresql
from geumgo.rotation_functions.steps import Rotation, alternating_users, single_user
from tests.rotation_functions.rotating import Rotating, Strategy, event

ROTATIONS = int(os.environ.get("GEUMGO_TEST_ROTATIONS", "8"))  # 100 in the long form
STRATEGIES = [single_user, alternating_users]


@pytest.fixture(params=STRATEGIES, ids=lambda strategy: strategy.__name__)
def strategy(request: pytest.FixtureRequest) -> Strategy:
    found: Strategy = request.param
    return found


@pytest.fixture
def arn(rotating: Rotating) -> str:
    master = rotating.keep("chief", "chief-password")
    return rotating.secret("first", masterarn=master, note="kept")


def test_a_rotation_changes_the_password_and_keeps_every_other_key(
    rotating: Rotating, arn: str, strategy: Strategy
) -> None:
    before = rotating.value(arn, "AWSCURRENT")
    rotating.rotate(arn, strategy)
    after = rotating.value(arn, "AWSCURRENT")
    assert after["password"] != before["password"]
    assert rotating.logs_in(after)
    assert rotating.logs_in(before) == (strategy is alternating_users)
    own = {"password", "username"}
    assert {k: v for k, v in after.items() if k not in own} == {k: v for k, v in before.items() if k not in own}


def test_alternating_users_never_fail_to_log_in(rotating: Rotating, arn: str) -> None:
    failed: list[str] = []
    tries = 0
    done = threading.Event()

    def application() -> None:
        nonlocal tries
        while not done.wait(0.05):
            value = rotating.value(arn, "AWSCURRENT")
            tries += 1
            if not rotating.logs_in(value):
                failed.append(value["username"])

    thread = threading.Thread(target=application)
    thread.start()
    try:
        for _ in range(ROTATIONS):
            rotating.rotate(arn, alternating_users)
    finally:
        done.set()
        thread.join()
    assert tries > 0
    assert failed == []


def test_at_each_step_of_a_single_user_one_of_the_labels_logs_in(rotating: Rotating, arn: str) -> None:
    for _ in range(ROTATIONS):
        for step in rotating.steps(arn, single_user):
            known = [rotating.value(arn, "AWSCURRENT"), rotating.value(arn, "AWSPENDING")]
            assert any(map(rotating.logs_in, known)), step


def test_a_step_that_was_done_before_a_crash_may_be_done_again(
    rotating: Rotating, arn: str, strategy: Strategy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the database changed: setSecret of the same version finds its work done, and all goes on."""
    token = str(uuid.uuid4())
    Rotation(event(arn, token, "createSecret"), postgresql).create(
        (lambda name: name + "_clone") if strategy is alternating_users else str
    )
    handler = strategy(postgresql)
    for step in (
        "createSecret",
        "setSecret",
        "setSecret",
        "createSecret",
        "testSecret",
        "finishSecret",
        "finishSecret",
    ):
        handler(event(arn, token, step), None)
    assert rotating.logs_in(rotating.value(arn, "AWSCURRENT"))


def test_the_previous_password_still_opens_the_way(rotating: Rotating, arn: str) -> None:
    """AWSCURRENT was overwritten by hand with a password that the database never heard of."""
    value = rotating.value(arn, "AWSCURRENT")
    rotating.client.put_secret_value(SecretId=arn, SecretString=json.dumps({**value, "password": "never-set"}))
    rotating.rotate(arn, single_user)
    assert rotating.logs_in(rotating.value(arn, "AWSCURRENT"))


def test_every_printable_character_may_be_in_a_password(
    rotating: Rotating, arn: str, strategy: Strategy, monkeypatch: pytest.MonkeyPatch
) -> None:
    password = string.punctuation + " aé%(x)s{}\\'\"$$"
    monkeypatch.setattr(Rotation, "new_password", lambda self: password)
    rotating.rotate(arn, strategy)
    value = rotating.value(arn, "AWSCURRENT")
    assert value["password"] == password
    assert rotating.logs_in(value)


@pytest.mark.parametrize("ssl", [{}, {"ssl": True}, {"ssl": "true"}])
def test_no_password_goes_to_a_server_without_tls_unless_the_secret_says_so(
    rotating: Rotating, arn: str, ssl: dict[str, Any]
) -> None:
    value = rotating.value(arn, "AWSCURRENT")
    connection = postgresql.connect(value)
    assert connection is not None
    connection.close()
    del value["ssl"]
    assert postgresql.connect({**value, **ssl}) is None


@pytest.mark.parametrize(
    ("change", "says"),
    [({"engine": "mysql"}, "Database engine must be set to 'postgres'"), ({"host": None}, "host key is missing")],
)
def test_a_secret_that_is_not_for_this_function_is_refused(
    rotating: Rotating, arn: str, change: dict[str, Any], says: str
) -> None:
    value = {k: v for k, v in {**rotating.value(arn, "AWSCURRENT"), **change}.items() if v is not None}
    rotating.client.put_secret_value(SecretId=arn, SecretString=json.dumps(value))
    with pytest.raises(KeyError, match=says):
        rotating.rotate(arn, single_user)


def test_a_pending_version_for_another_host_is_refused(rotating: Rotating, arn: str) -> None:
    value = rotating.value(arn, "AWSCURRENT")
    token = str(uuid.uuid4())
    text = json.dumps({**value, "host": "localhost", "password": "wanted"})
    rotating.client.put_secret_value(
        SecretId=arn, ClientRequestToken=token, SecretString=text, VersionStages=["AWSPENDING"]
    )
    with pytest.raises(ValueError, match="host differs"):
        single_user(postgresql)(event(arn, token, "setSecret"), None)
    assert rotating.logs_in(value)
