"""A Lambda room for tests of rotation: functions are Python callables that run where real ones do, outside of every transaction."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

from geumgo import protocol
from geumgo.access.demand import Demand, Demands, Target
from geumgo.context import Context, Later, Params
from geumgo.domain.policy import PolicyKind, compile_policy
from geumgo.errors import ServiceError
from geumgo.pipeline import Pipeline
from geumgo.room import Access, Room, operation
from tests.house import House, Key

Body = Callable[[dict[str, str]], None]


class NoFunction(ServiceError):
    code = "ResourceNotFoundException"


@dataclass
class Functions:
    """Functions by name. `calls` are the events that they were invoked with."""

    house: House
    bodies: dict[str, Body] = field(default_factory=dict)
    policies: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[dict[str, str]] = field(default_factory=list)

    def arn(self, name: str) -> str:
        return f"arn:aws:lambda:us-east-1:{self.house.account}:function:{name}"

    def add(self, name: str, body: Body, *, principal: str = "secretsmanager.amazonaws.com") -> str:
        """A function that lets `principal` in. Answers its ARN."""
        arn = self.arn(name)
        self.bodies[arn] = body
        self.policies[arn] = {
            "Version": "2012-10-17",
            "Statement": {
                "Effect": "Allow",
                "Principal": {"Service": principal},
                "Action": "lambda:InvokeFunction",
                "Resource": arn,
                "Condition": {"StringEquals": {"AWS:SourceAccount": self.house.account}},
            },
        }
        return arn

    @property
    def steps(self) -> list[str]:
        return [call["Step"] for call in self.calls]

    # -- the room -----------------------------------------------------------------------------------------------------

    def room(self) -> Room:
        @operation
        def invoke(_ctx: Context, params: Params) -> Params | Later:
            arn = params["FunctionName"]
            if arn not in self.bodies:
                raise NoFunction(f"Function not found: {arn}")
            if params.get("InvocationType") == "DryRun":
                return {"StatusCode": 204}
            return Later(lambda: self._run(arn, params["Payload"]))

        chapter: Any = SimpleNamespace(invoke=invoke)
        return Room("lambda", chapters=(chapter,), access={"Invoke": Access(self._demands, ("FunctionName",))})

    def _demands(self, ctx: Context, params: Params) -> Demands:
        arn = params["FunctionName"]
        policy = self.policies.get(arn)
        compiled = compile_policy(json.dumps(policy), PolicyKind.RESOURCE) if policy else None
        return (Demand("lambda:InvokeFunction", Target(arn, arn, ctx.place.account, compiled)),)

    def _run(self, arn: str, payload: bytes) -> Params:
        event = json.loads(payload)
        self.calls.append(event)
        try:
            self.bodies[arn](event)
        except Exception as fault:  # noqa: BLE001  as Lambda does
            said = {"errorMessage": str(fault), "errorType": type(fault).__name__, "stackTrace": []}
            return {"StatusCode": 200, "FunctionError": "Unhandled", "Payload": json.dumps(said).encode()}
        return {"StatusCode": 200, "Payload": b"null"}

    def enter(self, house: House) -> None:
        """They are the Lambda of this house, too: of another process on the same data."""
        parts = house.app.pipeline._parts
        rooms: Mapping[str, Room] = {**parts.rooms, "lambda": self.room()}
        models = {**parts.models, "lambda": protocol.models.load("lambda")}
        house.app.pipeline = Pipeline(replace(parts, rooms=rooms, models=models))
        house.app.worker._ask = house.app.pipeline.act_alone


def join(house: House) -> Functions:
    """The functions of a house whose Lambda they are from now on."""
    functions = Functions(house)
    functions.enter(house)
    return functions


@dataclass
class Template:
    """A rotation function as AWS's template has it, for a database that is a dict: user name to password.

    Source: SecretsManagerRotationTemplate, as the Secrets Manager User Guide describes its steps.
    """

    house: House
    key: Key
    logins: dict[str, str]

    def __call__(self, event: dict[str, str]) -> None:
        client = self.house.client("secretsmanager", self.key)
        arn, token = event["SecretId"], event["ClientRequestToken"]
        found = client.describe_secret(SecretId=arn)
        if not found["RotationEnabled"]:
            raise ValueError("rotation is off")
        stages = found["VersionIdsToStages"]
        if "AWSCURRENT" in stages[token]:
            return
        if "AWSPENDING" not in stages[token]:
            raise ValueError("the version is not pending")
        getattr(self, event["Step"])(client, arn, token)

    def createSecret(self, client: Any, arn: str, token: str) -> None:
        current = json.loads(client.get_secret_value(SecretId=arn, VersionStage="AWSCURRENT")["SecretString"])
        try:
            client.get_secret_value(SecretId=arn, VersionId=token, VersionStage="AWSPENDING")
        except client.exceptions.ResourceNotFoundException:
            current["password"] = client.get_random_password(PasswordLength=12)["RandomPassword"]
            client.put_secret_value(
                SecretId=arn,
                ClientRequestToken=token,
                SecretString=json.dumps(current),
                VersionStages=["AWSPENDING"],
                RotationToken="0" * 36,
            )

    def setSecret(self, client: Any, arn: str, token: str) -> None:
        pending = self._pending(client, arn, token)
        self.logins[pending["username"]] = pending["password"]

    def testSecret(self, client: Any, arn: str, token: str) -> None:
        pending = self._pending(client, arn, token)
        if self.logins.get(pending["username"]) != pending["password"]:
            raise PermissionError("the database does not know this password")

    def finishSecret(self, client: Any, arn: str, token: str) -> None:
        stages = client.describe_secret(SecretId=arn)["VersionIdsToStages"]
        current = next(version for version, labels in stages.items() if "AWSCURRENT" in labels)
        client.update_secret_version_stage(
            SecretId=arn, VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=current
        )

    def _pending(self, client: Any, arn: str, token: str) -> dict[str, str]:
        found = client.get_secret_value(SecretId=arn, VersionId=token, VersionStage="AWSPENDING")
        pending: dict[str, str] = json.loads(found["SecretString"])
        return pending
