"""Logging in to real databases, and not to what nobody listed."""

import socket
import string
from collections.abc import Iterator
from typing import Any

import pytest

from geumgo.outbound import Allowed, Failed, Refused
from geumgo.outbound.databases import Databases, Denied, Server
from tests.rotation_functions.servers import CHIEF, mariadb_server, password_postgres
from tests.rotation_functions.targets import Target, mariadb_target, postgres_target

LISTED = Allowed.of(["127.0.0.1"])
HARD = string.punctuation + " aé%(x)s{}\\'\"$$"


@pytest.fixture(scope="module", params=["postgresql", "mysql"])
def there(request: pytest.FixtureRequest) -> Iterator[tuple[Server, Target]]:
    if request.param == "mysql":
        with mariadb_server() as port:
            yield Server("mysql", "127.0.0.1", port, tls=False), mariadb_target(port)
        return
    with password_postgres() as server:
        yield Server("postgresql", "127.0.0.1", server.port, tls=False), postgres_target(server.port)


def test_a_user_sets_his_own_password(there: tuple[Server, Target]) -> None:
    server, target = there
    databases = Databases(LISTED)
    user = target.new_user("first")
    assert databases.logs_in(server, user, "first")
    assert not databases.logs_in(server, user, "wrong")
    databases.set_password(server, user, "first", HARD)
    assert databases.logs_in(server, user, HARD)
    assert not databases.logs_in(server, user, "first")
    assert target.logs_in(target.value(user, HARD))
    with pytest.raises(Denied):
        databases.set_password(server, user, "first", "other")


def test_a_password_that_is_not_to_be_set_any_more_is_not_set(there: tuple[Server, Target]) -> None:
    server, target = there
    databases, user = Databases(LISTED), target.new_user("first")

    def lost() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        databases.set_password(server, user, "first", "second", still=lost)
    assert databases.logs_in(server, user, "first")
    databases.set_password(server, user, "first", "second", still=lambda: None)
    assert databases.logs_in(server, user, "second")


def test_what_the_operator_did_not_list_is_not_spoken_to(there: tuple[Server, Target]) -> None:
    server, _ = there
    with pytest.raises(Refused, match="not public"):
        Databases(Allowed()).logs_in(server, *CHIEF)
    rebound = iter([["127.0.0.1"], ["93.184.216.34"]])
    named = Server(server.dialect, "db.example.com", server.port, tls=False)
    with pytest.raises(Refused, match="not public"):
        Databases(Allowed(), resolve=lambda *_: next(rebound)).logs_in(named, *CHIEF)
    assert next(rebound) == ["93.184.216.34"], "a name is resolved once"
    for spelling in ("/tmp", "127.1", "0x7f000001", "@abstract", "a,127.0.0.1"):
        with pytest.raises(Refused):
            Databases(LISTED).logs_in(Server(server.dialect, spelling, server.port, tls=False), *CHIEF)


def test_without_tls_only_who_said_so_is_let_in(there: tuple[Server, Target]) -> None:
    server, _ = there
    with pytest.raises(Failed, match="certificate"):
        Databases(LISTED).logs_in(Server(server.dialect, server.host, server.port), *CHIEF)


def test_a_listed_name_goes_to_the_address_that_was_checked(there: tuple[Server, Target]) -> None:
    server, _ = there
    named = Server(server.dialect, "db.internal", server.port, tls=False)
    answers: list[Any] = []

    def resolve(host: str, port: int) -> list[str]:
        answers.append((host, port))
        return ["127.0.0.1"]

    assert Databases(Allowed.of(["db.internal"]), resolve=resolve).logs_in(named, *CHIEF)
    assert answers == [("db.internal", server.port)]


@pytest.mark.parametrize("dialect", ["postgresql", "mysql"])
def test_what_is_no_database_is_said_so(dialect: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(Failed, match="cannot be logged in to"):
            Databases(LISTED, seconds=1).logs_in(Server(dialect, "127.0.0.1", port, tls=False), *CHIEF)
    with pytest.raises(Failed, match="cannot be reached"):
        Databases(LISTED).logs_in(Server(dialect, "127.0.0.1", port, tls=False), *CHIEF)
