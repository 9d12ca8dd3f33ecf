"""Rotations of every kind against one database, each over a link of its own, with an application that watches each of them."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import botocore.exceptions

from tests.mortal import Mortal
from tests.promises.link import Link
from tests.promises.stage import Stage, Told
from tests.promises.telling_server import PROGRAM
from tests.rotation_functions.on_lambda import SETTINGS, Application, Rotated, deploy, function_name
from tests.rotation_functions.servers import mortal_mariadb, mortal_redis, password_postgres
from tests.rotation_functions.targets import Target, Value, mariadb_target, postgres_target, redis_target
from tests.server import Server

GONE: Final = (botocore.exceptions.HTTPClientError, botocore.exceptions.ConnectionError)
LABELS: Final = ("AWSCURRENT", "AWSPENDING", "AWSPREVIOUS")
MANAGED: Final = "managed"


@dataclass
class Managed(Rotated):
    """The managed secret of a new master user of `target`, attached as `function`, which is no function here but a name."""

    user: str = ""

    def __post_init__(self) -> None:
        assert self.target.new_chief is not None
        self.user = self.target.new_chief("first")
        self.first = self.target.value(self.user, "first")
        before = self.client.create_secret(
            Name=f"before-{self.function}", SecretString=json.dumps({"username": self.user, "password": "first"})
        )["ARN"]
        where = {
            "geumgo:host": "127.0.0.1",
            "geumgo:port": str(self.target.port),
            "geumgo:tls": "off",
            "geumgo:secret": before,
        }
        made = self.server.client("rds").create_db_instance(
            DBInstanceIdentifier=self.function,
            DBInstanceClass="any",
            Engine=self.target.module.ENGINE,
            MasterUsername=self.user,
            ManageMasterUserPassword=True,
            Tags=[{"Key": key, "Value": value} for key, value in where.items()],
        )  # fmt: skip
        self.secret = made["DBInstance"]["MasterUserSecret"]["SecretArn"]

    def begin(self, token: str | None = None) -> str:
        more = {} if token is None else {"ClientRequestToken": token}
        found: str = self.client.rotate_secret(SecretId=self.secret, **more)["VersionId"]
        return found

    def value(self, stage: str = "AWSCURRENT", client: Any = None) -> Value:
        found = super().value(stage, client)
        return self.target.value(found["username"], found["password"])


@dataclass
class Watcher:
    """What an application knows of a secret. A try in which the database is down is none; one in which the server is away, half of one."""

    rotated: Rotated
    database: Mortal
    port: int  # of the database itself
    stages: tuple[str, ...]
    blind: int = 0
    known: Value = field(default_factory=dict)
    clients: list[Any] = field(default_factory=list)  # of servers, the one that answered last first
    shut: list[str] = field(default_factory=list)  # the tries in which it did not get in

    def __post_init__(self) -> None:
        self.asks(self.rotated.server)
        self.known = self.rotated.first

    def asks(self, server: Server) -> None:
        """This server, too, when those before it do not answer."""
        self.clients.append(server.client("secretsmanager", connect_timeout=1, read_timeout=5))

    def gets_in(self) -> bool:
        deaths = self.database.deaths
        blind = self.blind
        let_in = self.database.is_up and self._gets_in()
        if let_in or deaths != self.database.deaths or not self.database.is_up:
            return True
        self.shut.append(f"{self.rotated.secret}, {'no server' if blind != self.blind else 'a server'} answered")
        return False

    def _gets_in(self) -> bool:
        """Of alternating users what was read last must open the door, however old; of a single user what is read now."""
        for _ in range(3):  # a step may pass between the reading of two labels
            for stage in self.stages:
                try:
                    self.known = self._value(stage)
                except GONE:
                    return self._away()
                except botocore.exceptions.ClientError as refusal:
                    if refusal.response["Error"]["Code"] != "ResourceNotFoundException":
                        return self._away()
                    continue
                if self._logs_in():
                    return True
        return False

    def _value(self, stage: str) -> Value:
        for _ in self.clients[1:]:
            try:
                return self.rotated.value(stage, self.clients[0])
            except GONE:
                self.clients.append(self.clients.pop(0))
        return self.rotated.value(stage, self.clients[0])

    def _away(self) -> bool:
        self.blind += 1
        return len(self.stages) > 1 or self._logs_in()

    def _logs_in(self) -> bool:
        return self.rotated.target.logs_in({**self.known, "port": self.port})


@dataclass
class World:
    """A server, a database that can be killed, and a secret of each kind that is rotated against it, with its link and its application."""

    server: Server
    stage: Stage
    database: Mortal
    secrets: dict[str, Rotated] = field(default_factory=dict)
    links: dict[str, Link] = field(default_factory=dict)
    watchers: dict[str, Watcher] = field(default_factory=dict)
    applications: list[Application] = field(default_factory=list)

    def add(self, kind: str, engine: str, package: bytes | None = None) -> Rotated:
        """A secret of this kind: "SingleUser", "MultiUser", "managed"."""
        target, link = self._linked(engine, kind)
        if kind == MANAGED:
            rotated: Rotated = Managed(self.server, target, f"{engine}-{len(self.secrets)}")
        else:
            name = function_name(engine, kind)
            # Long, so that no end of a function's time stands in for what is tried here.
            rotated = Rotated(self.server, target, deploy(self.server, name, package, timeout=600))
        self.secrets[kind], self.links[kind] = rotated, link
        stages = LABELS if kind != "MultiUser" else LABELS[:1]
        self.watchers[kind] = Watcher(rotated, self.database, self.port, stages)
        if kind == MANAGED:
            self._settled(rotated)
        return rotated

    def _linked(self, engine: str, kind: str) -> tuple[Target, Link]:
        def reached(point: str) -> bool:
            if kind not in self.secrets:
                return True  # its users are being made
            told = Told(self.secrets[kind].secret, "setSecret", point, *self._last_of(kind))
            return self.stage.reached(told)

        link = Link(self.port, reached)
        return TARGETS[engine](link.port), link

    port: int = 0

    def _last_of(self, kind: str) -> tuple[int, int]:
        """The process and the sandbox that were told of last."""
        last = [each for each in self.stage.told if each.secret == self.secrets[kind].secret and each.pid]
        begun = [each.sandbox for each in last if each.sandbox]
        return (last[-1].pid if last else 0, begun[-1] if begun else 0)

    def _settled(self, rotated: Rotated) -> None:
        """The rotation with which the management begins is over."""
        self.stage.await_that(lambda: bool(self.stage.since(0, rotated.secret, "succeeded")), "the first rotation")

    def close(self) -> None:
        for link in self.links.values():
            link.close()

    def watch(self) -> None:
        self.applications = [Application(each.gets_in) for each in self.watchers.values()]
        for each in self.applications:
            each.start()

    def stop_watching(self) -> dict[str, int]:
        """Figures. Raises whatever an application died of."""
        for each in self.applications:
            each.stop()
        for watcher in self.watchers.values():
            print(*watcher.shut, sep="\n", end="\n" if watcher.shut else "")
        return {
            "tries": sum(each.tries for each in self.applications),
            "failed": sum(len(each.failed) for each in self.applications),
            "while the server was away": sum(each.blind for each in self.watchers.values()),
        }

    def rotate_all(self) -> dict[str, str]:
        """The version that each rotation makes, by kind."""
        return {kind: rotated.begin() for kind, rotated in self.secrets.items()}

    def wrong(self, tokens: dict[str, str], before: dict[str, Value], seconds: float) -> list[str]:
        """What is wrong, once every rotation has ended or `seconds` are over."""
        problems, until = [], time.monotonic() + seconds
        for kind, token in tokens.items():
            rotated = self.secrets[kind]
            try:
                # Whoever asked every moment would keep the server from what it is asked about.
                rotated.await_end(token, max(0.5, until - time.monotonic()), partial(self.stage.await_news, 0.5))
            except AssertionError as fault:
                problems.append(f"{kind}: {fault}")
                continue
            new = rotated.value()
            if new["password"] == before[kind]["password"] or not rotated.target.logs_in(new):
                problems.append(f"{kind}: AWSCURRENT is not a new password that logs in")
            if set(rotated.labels()) != {"AWSCURRENT", "AWSPREVIOUS"}:
                problems.append(f"{kind}: the labels are {rotated.labels()}")
        return problems


TARGETS: Final = {"postgres": postgres_target, "mariadb": mariadb_target, "redis": redis_target}


@contextmanager
def databases(engine: str) -> Iterator[tuple[int, Mortal, str]]:
    """The port of one of our own, what kills it, and where a server may keep what it knows in it (empty: nowhere)."""
    if engine == "mariadb":
        with mortal_mariadb() as (port, mortal):
            yield port, mortal, ""
    elif engine == "redis":
        with mortal_redis() as (port, _, mortal):
            yield port, mortal, ""
    else:
        with password_postgres() as server:
            server.command("CREATE DATABASE own TEMPLATE template0")
            yield server.port, server.mortal, server.dsn("own")


@contextmanager
def world(
    tmp_path: Path, engine: str, *faults: str, in_it: bool = False, environment: dict[str, str] | None = None
) -> Iterator[World]:
    """A server (with `faults`, which `environment` configures) and a database; no secrets yet.

    With `in_it` the server keeps all that it knows in the same database.
    """
    with ExitStack() as stack:
        port, mortal, own = stack.enter_context(databases(engine))
        stage = Stage(tmp_path / "stage")
        stack.callback(stage.close)
        variables = {**SETTINGS, "TELLS": str(tmp_path / "stage"), **(environment or {})}
        if in_it:
            variables["GEUMGO_DATABASE"] = own
        program = [*PROGRAM, *faults]
        server = Server(tmp_path / "data", arguments=("--workers", "1"), environment=variables, program=program)
        stack.enter_context(server)
        made = World(server, stage, mortal, port=port)
        stack.callback(made.close)
        yield made
