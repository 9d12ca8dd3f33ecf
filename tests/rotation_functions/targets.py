"""What is rotated: users of real databases, each with the engine module that knows it."""

import socket
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

import psycopg
import pymysql
from psycopg import sql

from geumgo.rotation_functions import mariadb, mongodb, postgresql, redis, redshift
from tests.rotation_functions import mongo_server
from tests.rotation_functions.servers import CHIEF

Value = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """A running database. `new_user` makes a user with that password and names it; `logs_in` does not use our functions."""

    module: Any
    port: int
    new_user: Callable[[str], str]
    logs_in: Callable[[Value], bool]
    reads_app: Callable[[Value], bool]
    new_master: Callable[[str], str]  # as new_user, of somebody who may do no more than clone users and set passwords
    new_chief: Callable[[str], str] | None = None  # as new_user, of somebody who may do everything
    keeps_previous: bool = False  # a single user's previous password goes on logging in until the next rotation

    def value(self, username: str, password: str, **more: Any) -> Value:
        place = {"engine": self.module.ENGINE, "host": "127.0.0.1", "port": self.port, "ssl": False}
        return {**place, "username": username, "password": password, **more}


@dataclass
class Values:
    """The values of a secret one after the other, the first of which is known. Each new one logs in, and old ones do not.

    With `goes_on` the one before is meant to log in until the next: the other user's, or a second password.
    """

    target: Target
    goes_on: bool
    known: list[Value]
    refused: int = field(default=0, init=False)

    def follow(self, new: Value) -> None:
        assert new["password"] not in [each["password"] for each in self.known]
        assert self.target.logs_in(new)
        old = self.known[-1:]
        if self.goes_on:
            assert self.target.logs_in(self.known[-1])
            old = self.known[-2:-1]
        for each in old:
            assert not self.target.logs_in(each)
            self.refused += 1
        self.known.append(new)

    def figures(self) -> str:
        return f"{len(self.known) - 1} new passwords logged in, {self.refused} old ones were refused"


def postgres_target(port: int) -> Target:
    def connect(value: Value) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=value["host"], port=value["port"], user=value["username"], password=value["password"],
            dbname="postgres", sslmode="disable", autocommit=True,
        )  # fmt: skip

    def does(value: Value, statement: str = "SELECT 1") -> bool:
        try:
            with connect(value) as connection:
                connection.execute(statement.encode())
        except psycopg.Error:
            return False
        return True

    def new_user(password: str) -> str:
        username = f"user\"{uuid.uuid4().hex[:8]} 'x"
        with connect(target.value(*CHIEF)) as connection:
            create = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(username), sql.Literal(password))
            connection.execute(create)
            connection.execute("CREATE TABLE IF NOT EXISTS app (x int)")
            connection.execute(sql.SQL("GRANT SELECT ON app TO {}").format(sql.Identifier(username)))
        return username

    def new_chief(password: str) -> str:
        username = new_user(password)
        with connect(target.value(*CHIEF)) as connection:
            connection.execute(sql.SQL("ALTER ROLE {} SUPERUSER").format(sql.Identifier(username)))
        return username

    def new_master(password: str) -> str:
        username = new_user(password)
        with connect(target.value(*CHIEF)) as connection:
            connection.execute(sql.SQL("ALTER ROLE {} CREATEROLE").format(sql.Identifier(username)))
        return username

    def reads_app(value: Value) -> bool:
        return does(value, "SELECT * FROM app")

    target = Target(postgresql, port, new_user, does, reads_app, new_master, new_chief)
    return target


def mariadb_target(port: int) -> Target:
    def connect(value: Value) -> Any:
        return pymysql.connect(
            host=value["host"], port=value["port"], user=value["username"], password=value["password"].encode(),
            ssl_disabled=True, charset="utf8mb4", autocommit=True,
        )  # fmt: skip

    def does(value: Value, statement: str = "SELECT 1") -> bool:
        try:
            with connect(value) as connection, connection.cursor() as cursor:
                cursor.execute(statement)
        except pymysql.MySQLError:
            return False
        return True

    def new_user(password: str) -> str:
        username = f"u`{uuid.uuid4().hex[:8]} '%\"x"
        account = "`" + username.replace("`", "``").replace("%", "%%") + "`@`127.0.0.%%`"
        with connect(target.value(*CHIEF)) as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE USER {account} IDENTIFIED BY %s", (password,))
            cursor.execute(f"CREATE USER {account.replace('127.0.0.%%', '10.0.0.%%')} IDENTIFIED BY %s", (password,))
            cursor.execute("CREATE TABLE IF NOT EXISTS app.app (x int)", ())
            cursor.execute("CREATE ROLE IF NOT EXISTS reader", ())
            cursor.execute("GRANT SELECT ON app.* TO reader", ())
            cursor.execute(f"GRANT reader TO {account}", ())
            cursor.execute(f"SET DEFAULT ROLE reader FOR {account}", ())
        return username

    def new_chief(password: str) -> str:
        username = f"chief{uuid.uuid4().hex[:8]}"
        with connect(target.value(*CHIEF)) as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE USER {username}@'127.0.0.1' IDENTIFIED BY %s", (password,))
            cursor.execute(f"GRANT ALL ON *.* TO {username}@'127.0.0.1' WITH GRANT OPTION", ())
            cursor.execute("CREATE ROLE IF NOT EXISTS reader", ())
            cursor.execute(f"GRANT reader TO {username}@'127.0.0.1' WITH ADMIN OPTION", ())
        return username

    def new_master(password: str) -> str:
        username = f"master{uuid.uuid4().hex[:8]}"
        account = f"{username}@'127.0.0.1'"
        with connect(target.value(*CHIEF)) as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE USER {account} IDENTIFIED BY %s", (password,))
            cursor.execute("CREATE ROLE IF NOT EXISTS reader", ())
            for right in ("CREATE USER ON *.*", "SELECT, UPDATE ON mysql.*"):
                cursor.execute(f"GRANT {right} TO {account}", ())
            cursor.execute(f"GRANT reader TO {account} WITH ADMIN OPTION", ())
        return username

    def reads_app(value: Value) -> bool:
        return does(value, "SELECT * FROM app.app")

    target = Target(mariadb, port, new_user, does, reads_app, new_master, new_chief)
    return target


def redis_target(port: int) -> Target:
    def commands(value: Value, *each: tuple[str, ...]) -> bool:
        try:
            with socket.create_connection((value["host"], value["port"]), timeout=5) as connected:
                connection = redis.Connection(connected)
                try:
                    connection.command("AUTH", value["username"], value["password"])
                    for command in each:
                        connection.command(*command)
                finally:
                    connection.close()
        except (redis.Refused, OSError):  # as the others: who does not come through does not get in
            return False
        return True

    def new_user(password: str) -> str:
        username = f"user{uuid.uuid4().hex[:8]}'\"%"
        rules = ["on", ">" + password, "~app:*", "+get", "(~other:* +set)"]
        assert commands(target.value(*CHIEF), ("ACL", "SETUSER", username, *rules), ("ACL", "SAVE"))
        return username

    def reads_app(value: Value) -> bool:
        return commands(value, ("GET", "app:x"), ("SET", "other:x", "1")) and not commands(value, ("SET", "app:x", "1"))

    def new_master(password: str) -> str:
        username = f"master{uuid.uuid4().hex[:8]}"
        rules = ["on", ">" + password, "+auth", "+acl|list", "+acl|setuser", "+acl|save", "+config|rewrite"]
        assert commands(target.value(*CHIEF), ("ACL", "SETUSER", username, *rules))
        return username

    target = Target(redis, port, new_user, commands, reads_app, new_master, keeps_previous=True)
    return target


class OfRedshift(Target):
    """The users of a PostgreSQL, who are found behind a relay that introduces it as Redshift."""

    def value(self, username: str, password: str, **more: Any) -> Value:
        return {**super().value(username, password, **more), "dbname": "postgres"}


def redshift_target(port: int, relay_port: int) -> Target:
    base = postgres_target(port)
    assert base.new_chief is not None

    def directly(does: Callable[[Value], bool]) -> Callable[[Value], bool]:
        return lambda value: does({**value, "port": port})

    def new_chief(password: str) -> str:
        username = f"chief{uuid.uuid4().hex[:8]}"  # Redshift knows no names that must be quoted for its admin user
        where: dict[str, Any] = {"host": "127.0.0.1", "port": port, "dbname": "postgres", "sslmode": "disable"}
        with psycopg.connect(**where, user=CHIEF[0], password=CHIEF[1], autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {username} SUPERUSER LOGIN PASSWORD '{password}'".encode())
        return username

    known = {each.name: getattr(base, each.name) for each in fields(Target)}
    changed = {
        "logs_in": directly(base.logs_in),
        "reads_app": directly(base.reads_app),
        "new_master": base.new_chief,
        "new_chief": new_chief,
    }
    return OfRedshift(**{**known, **changed, "module": redshift, "port": relay_port})


def mongo_target(port: int) -> Target:
    def logs_in(value: Value) -> bool:
        return mongo_server.logs_in(port, value["username"], value["password"])

    def made_with(role: str, database: str) -> Callable[[str], str]:
        def new_user(password: str) -> str:
            username = f"user{uuid.uuid4().hex[:8]}'\"%é"
            with mongo_server.client(port, *CHIEF) as chief:
                chief.admin.command("createUser", username, pwd=password, roles=[{"role": role, "db": database}])
            return username

        return new_user

    def reads_app(value: Value) -> bool:
        return mongo_server.logs_in(port, value["username"], value["password"], "app")

    new_user, master = made_with("read", "app"), made_with("userAdminAnyDatabase", "admin")
    return Target(mongodb, port, new_user, logs_in, reads_app, master, made_with("root", "admin"))
