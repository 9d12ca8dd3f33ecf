"""A secret of a real user, and the four steps as the rotator drives them."""

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from geumgo.rotation_functions.steps import Engine, OfDatabase, alternating_users, other_user
from tests.rotation_functions.targets import Target

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
Handler = Callable[[Mapping[str, str], object], None]
Strategy = Callable[[Engine], Handler]


class Rotating:
    def __init__(self, client: Any, target: Target) -> None:
        self.client = client
        self.target = target

    def secret(self, password: str, **more: Any) -> str:
        """The ARN of the secret of a new user, who exists in the database with that password."""
        return self.keep(self.target.new_user(password), password, **more)

    def keep(self, username: str, password: str, **more: Any) -> str:
        text = json.dumps(self.target.value(username, password, **more))
        arn: str = self.client.create_secret(Name=uuid.uuid4().hex, SecretString=text)["ARN"]
        return arn

    def create(self, arn: str, token: str, strategy: Strategy) -> None:
        """The first step, asked of the function's insides.

        RotateSecret makes the version without a value that the handler insists on, and an outside caller cannot make one.
        """
        name = other_user if strategy is alternating_users else str
        OfDatabase(event(arn, token, "createSecret"), self.target.module).create(name)

    def steps(self, arn: str, strategy: Strategy) -> Iterator[str]:
        """Do each step when it is asked for, and name it."""
        token = str(uuid.uuid4())
        handler = strategy(self.target.module)
        self.create(arn, token, strategy)
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


def event(arn: str, token: str, step: str) -> dict[str, str]:
    return {"SecretId": arn, "ClientRequestToken": token, "Step": step}
