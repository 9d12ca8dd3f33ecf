"""A secret of a real PostgreSQL user, and the four steps as the rotator drives them."""

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import psycopg
from psycopg import sql

from geumgo.rotation_functions import postgresql
from geumgo.rotation_functions.steps import Engine, Rotation, alternating_users, other_user
from tests.storage.postgres_server import PrivateServer

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
Strategy = Callable[[Engine], Callable[[Mapping[str, str], object], None]]


class Rotating:
    def __init__(self, client: Any, database: PrivateServer) -> None:
        self.client = client
        self.database = database

    def secret(self, password: str, **more: Any) -> str:
        """The ARN of the secret of a new user, who exists in the database with that password."""
        username = f"user\"{uuid.uuid4().hex[:8]} 'x"
        statement = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(username), sql.Literal(password))
        with psycopg.connect(self.database.dsn(), autocommit=True) as connection:
            connection.execute(statement)
        return self.keep(username, password, **more)

    def keep(self, username: str, password: str, **more: Any) -> str:
        value = {"engine": "postgres", "host": "127.0.0.1", "port": self.database.port, "ssl": False}
        text = json.dumps({**value, "username": username, "password": password, **more})
        arn: str = self.client.create_secret(Name=uuid.uuid4().hex, SecretString=text)["ARN"]
        return arn

    def steps(self, arn: str, strategy: Strategy) -> Iterator[str]:
        """Do each step when it is asked for, and name it.

        The first one is asked of `Rotation` itself, which writes the awaited version: RotateSecret makes the version
        without a value that `lambda_handler` insists on, and an outside caller cannot make one.
        """
        token = str(uuid.uuid4())
        handler = strategy(postgresql)
        name = other_user if strategy is alternating_users else str
        Rotation(event(arn, token, "createSecret"), postgresql).create(name)
        for step in STEPS:
            handler(event(arn, token, step), None)
            yield step
        self.client.update_secret_version_stage(SecretId=arn, VersionStage="AWSPENDING", RemoveFromVersionId=token)

    def rotate(self, arn: str, strategy: Strategy) -> None:
        assert tuple(self.steps(arn, strategy)) == STEPS

    def value(self, arn: str, stage: str) -> dict[str, Any]:
        answer = self.client.get_secret_value(SecretId=arn, VersionStage=stage)
        found: dict[str, Any] = json.loads(answer["SecretString"])
        return found

    def logs_in(self, value: dict[str, Any]) -> bool:
        try:
            psycopg.connect(
                host=value["host"],
                port=value["port"],
                user=value["username"],
                password=value["password"],
                dbname="postgres",
                sslmode="disable",
            ).close()
        except psycopg.OperationalError:
            return False
        return True


def event(arn: str, token: str, step: str) -> dict[str, str]:
    return {"SecretId": arn, "ClientRequestToken": token, "Step": step}
