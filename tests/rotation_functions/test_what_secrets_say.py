"""What the secret of a database user may say, and what its earlier versions may have said."""

import json
import uuid
from typing import Any

import pytest

from geumgo.rotation_functions import mariadb, mongodb, mysql, postgresql, redis, redshift
from geumgo.rotation_functions.steps import OfDatabase, Rotation, idle_user, single_user
from tests.rotation_functions.rotating import Rotating, event
from tests.rotation_functions.servers import CHIEF
from tests.server import Server


@pytest.fixture
def arn(rotating: Rotating) -> str:
    return rotating.secret("first", masterarn=rotating.keep(*CHIEF))


def changed(rotating: Rotating, arn: str, change: dict[str, Any]) -> None:
    """AWSCURRENT is another version, without the keys whose value is None."""
    value = {**rotating.value(arn, "AWSCURRENT"), **change}
    text = json.dumps({key: each for key, each in value.items() if each is not None})
    rotating.client.put_secret_value(SecretId=arn, SecretString=text)


@pytest.mark.parametrize("first", ['{"username": "who", "password": "made by CloudFormation"}', "no JSON", "7"])
def test_a_previous_version_that_is_no_secret_of_a_database_is_passed_over(
    rotating: Rotating, arn: str, first: str
) -> None:
    value = rotating.value(arn, "AWSCURRENT")
    for text in (first, json.dumps(value)):
        rotating.client.put_secret_value(SecretId=arn, SecretString=text)
    rotating.rotate(arn, single_user)
    assert rotating.target.logs_in(rotating.value(arn, "AWSCURRENT"))


def test_when_no_password_is_known_a_previous_version_that_is_none_says_no_more_than_that(rotating: Rotating) -> None:
    arn = rotating.secret("first")
    value = rotating.value(arn, "AWSCURRENT")
    rotating.client.put_secret_value(SecretId=arn, SecretString="{}")
    rotating.client.put_secret_value(SecretId=arn, SecretString=json.dumps({**value, "password": "never-set"}))
    with pytest.raises(ValueError, match="Unable to log into database with previous, current, or pending secret"):
        rotating.rotate(arn, single_user)


def test_the_previous_password_is_tried_where_the_database_is_now(rotating: Rotating, arn: str) -> None:
    """It has another port since, and the password that AWSCURRENT says was never set."""
    port = rotating.target.port
    changed(rotating, arn, {"port": 1})
    changed(rotating, arn, {"port": port, "password": "never-set"})
    rotating.rotate(arn, single_user)
    value = rotating.value(arn, "AWSCURRENT")
    assert value["port"] == port
    assert rotating.target.logs_in(value)


def test_a_previous_version_that_permitted_plaintext_permits_it_no_more(
    rotating: Rotating, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis, "SECONDS", 0.5)  # a Redis without TLS waits for the rest of what it takes for a command
    arn = rotating.secret("first")
    before = rotating.value(arn, "AWSCURRENT")
    assert before["ssl"] is False
    changed(rotating, arn, {"ssl": None, "password": "never-set"})
    token = str(uuid.uuid4())
    rotating.create(arn, token, single_user)
    with pytest.raises(ValueError, match="Unable to log into database"):
        single_user(rotating.target.module)(event(arn, token, "setSecret"), None)
    assert rotating.target.logs_in(before)


@pytest.mark.parametrize(
    ("module", "engines"),
    [
        (postgresql, ["postgres", "aurora-postgresql"]),
        (mysql, ["mysql", "aurora-mysql"]),
        (mariadb, ["mariadb"]),
        (mongodb, ["mongo"]),
        (redis, ["redis"]),
        (redshift, ["redshift"]),
    ],
)
def test_a_secret_says_the_engine_in_one_of_the_words_that_aws_takes(
    function_environment: None, module: Any, engines: list[str]
) -> None:
    rotation = OfDatabase(event("arn", "token", "createSecret"), module)
    secret = {"host": "db.example.com", "username": "app", "password": "one"}
    for engine in engines:
        assert rotation.checked({**secret, "engine": engine})["engine"] == engine
    says = f"Database engine must be set to '{engines[0]}' in order to use this rotation lambda"
    for wrong in ({"engine": "db2"}, {}, {"engine": None}, {"engine": ["mysql"]}):
        with pytest.raises(KeyError, match=says):
            rotation.checked({**secret, **wrong})
    for key in secret:
        with pytest.raises(KeyError, match=f"{key} key is missing from secret JSON"):
            rotation.checked({"engine": engines[0], **{k: v for k, v in secret.items() if k != key}})


def test_a_secret_of_aurora_is_rotated_and_keeps_its_word(rotating: Rotating, arn: str) -> None:
    if not rotating.target.module.ALSO:
        pytest.skip("one word only")
    word = rotating.target.module.ALSO[0]
    changed(rotating, arn, {"engine": word})
    rotating.rotate(arn, single_user)
    value = rotating.value(arn, "AWSCURRENT")
    assert value["engine"] == word
    assert rotating.target.logs_in(value)


@pytest.mark.parametrize(
    ("module", "longest", "longer", "limit"),
    [
        (postgresql, "u" * 57, "u" * 58, "63 bytes"),
        (postgresql, "é" * 28, "é" * 29, "63 bytes"),
        (mariadb, "é" * 74, "é" * 75, "80 characters"),
        (mysql, "é" * 26, "é" * 27, "32 characters"),
        (redshift, "u" * 121, "u" * 122, "127 bytes"),
    ],
)
def test_a_name_that_is_too_long_to_be_cloned_is_refused(module: Any, longest: str, longer: str, limit: str) -> None:
    clone = longest + "_clone"
    assert idle_user(module, longest) == clone
    assert idle_user(module, clone) == longest
    with pytest.raises(ValueError, match=f"length with _clone appended would exceed {limit}$"):
        idle_user(module, longer)


@pytest.mark.parametrize(
    ("said", "numbers"), [("true", False), ("Y", False), ("1", False), ("yes", False), ("no", True), ("", True)]
)
def test_the_environment_says_what_a_password_is_made_of(
    geumgo: Server, function_environment: None, monkeypatch: pytest.MonkeyPatch, said: str, numbers: bool
) -> None:
    monkeypatch.setenv("EXCLUDE_NUMBERS", said)
    monkeypatch.setenv("PASSWORD_LENGTH", "200")
    password = Rotation(event("arn", "token", "createSecret")).new_password()
    assert len(password) == 200
    assert any(map(str.isdigit, password)) == numbers
    assert not set(password) & set(":/@\"'\\ ")
