"""Clones of MySQL and MariaDB: what they may do, what is asked of them, and what is left after a crash."""

import uuid
from collections.abc import Callable
from typing import Any

import pymysql
import pytest

from geumgo.rotation_functions import mysql
from geumgo.rotation_functions.steps import alternating_users
from tests.rotation_functions.rotating import Rotating, event
from tests.rotation_functions.servers import CHIEF
from tests.rotation_functions.targets import Target
from tests.server import Server

ELSEWHERE = "10.1.%"


class Chief:
    """Who may do everything."""

    def __init__(self, port: int) -> None:
        where: dict[str, Any] = {"host": "127.0.0.1", "port": port, "ssl_disabled": True, "autocommit": True}
        self.connection = pymysql.connect(user=CHIEF[0], password=CHIEF[1], **where)

    def does(self, statement: str) -> list[str]:
        """The first column of the answer."""
        with self.connection.cursor() as cursor:
            cursor.execute(statement)
            return [str(row[0]) for row in cursor.fetchall()]

    def account(self, username: str, host: str) -> str:
        """As CREATE USER would make it again, without its name and its password."""
        (text,) = self.does(f"SHOW CREATE USER `{username}`@`{host}`")
        return text.partition("PASSWORD '")[2].partition("'")[2]


@pytest.fixture
def chief(mariadb: Target) -> Any:
    made = Chief(mariadb.port)
    yield made
    made.connection.close()


@pytest.fixture
def user(chief: Chief) -> str:
    """Who may read `app.app`, from here and from elsewhere."""
    name = f"app{uuid.uuid4().hex[:8]}"
    chief.does("CREATE TABLE IF NOT EXISTS app.app (x int)")
    for host in ("127.0.0.1", ELSEWHERE):
        chief.does(f"CREATE USER `{name}`@`{host}` IDENTIFIED BY 'first'")
        chief.does(f"GRANT SELECT ON app.* TO `{name}`@`{host}`")
    return name


@pytest.fixture
def of_user(geumgo: Server, mariadb: Target, user: str, function_environment: None) -> tuple[Rotating, str]:
    """What rotates the user's secret, and the ARN of that."""
    rotating = Rotating(geumgo.client("secretsmanager"), mariadb)
    return rotating, rotating.keep(user, "first", masterarn=rotating.keep(*CHIEF))


def test_what_one_user_is_granted_the_other_has_when_he_becomes_the_current_one(
    chief: Chief, user: str, of_user: tuple[Rotating, str]
) -> None:
    rotating, arn = of_user
    rotating.rotate(arn, alternating_users)
    for current, other, name in ((user + "_clone", user, "one"), (user, user + "_clone", "two")):
        chief.does(f"CREATE DATABASE IF NOT EXISTS {name}")
        chief.does(f"GRANT SELECT ON {name}.* TO `{current}`@`127.0.0.1`")
        rotating.rotate(arn, alternating_users)
        assert rotating.value(arn, "AWSCURRENT")["username"] == other
        assert any(
            f"GRANT SELECT ON `{name}`.*" in right for right in chief.does(f"SHOW GRANTS FOR `{other}`@`127.0.0.1`")
        )
        assert rotating.target.reads_app(rotating.value(arn, "AWSCURRENT"))


@pytest.mark.parametrize(
    "demand",
    [
        "REQUIRE SSL",
        "REQUIRE X509",
        "REQUIRE ISSUER '/CN=a WITH `b`' SUBJECT '/CN=it''s % me' CIPHER 'TLS_AES_256_GCM_SHA384'",
        "REQUIRE SUBJECT '/CN=me'",
    ],
)
def test_a_clone_demands_what_its_original_demands(
    chief: Chief, user: str, of_user: tuple[Rotating, str], demand: str
) -> None:
    """Of those who come from elsewhere; an account that demands the password only demands no more after it either."""
    rotating, arn = of_user
    chief.does(f"ALTER USER `{user}`@`{ELSEWHERE}` {demand}")
    rotating.rotate(arn, alternating_users)
    asked = chief.account(user, ELSEWHERE)
    assert asked.startswith(" REQUIRE")
    assert chief.account(user + "_clone", ELSEWHERE) == asked
    assert chief.account(user + "_clone", "127.0.0.1") == ""
    chief.does(f"ALTER USER `{user}_clone`@`{ELSEWHERE}` REQUIRE NONE")
    rotating.rotate(arn, alternating_users)
    assert chief.account(user, ELSEWHERE) == ""


def test_an_account_that_is_locked_is_neither_cloned_nor_opened(
    chief: Chief, user: str, of_user: tuple[Rotating, str]
) -> None:
    rotating, arn = of_user
    chief.does(f"ALTER USER `{user}`@`{ELSEWHERE}` ACCOUNT LOCK")
    for _ in range(3):
        rotating.rotate(arn, alternating_users)
        assert rotating.target.reads_app(rotating.value(arn, "AWSCURRENT"))
    assert chief.account(user, ELSEWHERE) == " ACCOUNT LOCK"
    assert chief.does(f"SELECT host FROM mysql.user WHERE user = '{user}_clone'") == ["127.0.0.1"]


def test_a_clone_that_somebody_locked_stays_locked_and_the_secret_as_it_is(
    chief: Chief, user: str, of_user: tuple[Rotating, str]
) -> None:
    rotating, arn = of_user
    for _ in range(2):
        rotating.rotate(arn, alternating_users)
    chief.does(f"ALTER USER `{user}_clone`@`127.0.0.1` ACCOUNT LOCK")
    with pytest.raises(ValueError, match="Unable to log into database with pending secret"):
        rotating.rotate(arn, alternating_users)
    assert chief.account(user + "_clone", "127.0.0.1") == " ACCOUNT LOCK"
    assert rotating.target.reads_app(rotating.value(arn, "AWSCURRENT"))


class Dead(Exception):
    """The function was killed."""


def dies_after(statements: int) -> Callable[..., Any]:
    does, left = mysql._do, iter(range(statements))

    def counted(connection: Any, statement: str, *values: str) -> Any:
        if next(left, None) is None:
            raise Dead
        return does(connection, statement, *values)

    return counted


def test_a_clone_whose_making_dies_after_any_statement_does_not_log_in_before_it_has_its_rights(
    of_user: tuple[Rotating, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rotating, arn = of_user
    handler, token = alternating_users(rotating.target.module), str(uuid.uuid4())
    rotating.create(arn, token, alternating_users)
    pending = rotating.value(arn, "AWSPENDING")
    for statements in range(100):
        with monkeypatch.context() as patch:
            patch.setattr(mysql, "_do", dies_after(statements))
            try:
                handler(event(arn, token, "setSecret"), None)
            except Dead:
                assert not rotating.target.logs_in(pending)
                continue
        break
    assert statements > 10
    assert rotating.target.reads_app(pending)


def test_rights_are_told_for_another_account() -> None:
    """As MySQL 8, MariaDB and MySQL 5.7 show them."""
    for shown, told in {
        "GRANT USAGE ON *.* TO `app`@`%`": "",
        "GRANT USAGE ON *.* TO `app`@`%` IDENTIFIED BY PASSWORD '*66' REQUIRE SUBJECT '/CN=a WITH b'": "",
        "GRANT USAGE ON *.* TO `app`@`%` IDENTIFIED BY PASSWORD '*66' WITH MAX_USER_CONNECTIONS 5": (
            "GRANT USAGE ON *.* TO `app_clone`@`%` WITH MAX_USER_CONNECTIONS 5"
        ),
        "GRANT SELECT ON `a TO ``app``@``%``b`.* TO `app`@`%` WITH GRANT OPTION": (
            "GRANT SELECT ON `a TO ``app``@``%``b`.* TO `app_clone`@`%` WITH GRANT OPTION"
        ),
        "GRANT `reader`@`%` TO `app`@`%`": "GRANT `reader`@`%` TO `app_clone`@`%`",
        "SET DEFAULT ROLE `reader` FOR `app`@`%`": "SET DEFAULT ROLE `reader` FOR `app_clone`@`%`",
        "REVOKE INSERT ON `mysql`.* FROM `app`@`%`": "REVOKE INSERT ON `mysql`.* FROM `app_clone`@`%`",
        "GRANT SELECT ON `a`.* TO 'app'@'%'": "GRANT SELECT ON `a`.* TO `app_clone`@`%`",
        "GRANT USAGE ON *.* TO 'app'@'%'": "",
        "GRANT SELECT ON `a`.* TO `PUBLIC`": None,
        "GRANT SELECT ON `a`.* TO `app`@`localhost`": None,
    }.items():
        assert mysql.for_another(shown, "app", "app_clone", "%") == told
