"""A house, its EventBridge, and what the tests of deliveries ask for again and again."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from geumgo.access.demand import Demand, Target
from geumgo.context import Context, Later, Params
from geumgo.errors import ServiceError
from geumgo.pipeline import Pipeline
from geumgo.room import Access, Room, reads
from tests.house import House


@pytest.fixture
def events(house: House) -> Any:
    """EventBridge as the administrator's client sees it."""
    return house.client("events")


@dataclass
class Log:
    """A log group of the house as a target, and what its file holds."""

    house: House
    name: str
    account: str = ""

    @property
    def arn(self) -> str:
        return f"arn:aws:logs:us-east-1:{self.account or self.house.account}:log-group:{self.name}"

    @property
    def path(self) -> Path:
        name = self.name.replace("/", "%2F").replace(".", "%2E") + ".jsonl"
        return self.house.settings.data / "events" / (self.account or self.house.account) / "us-east-1" / name

    def lines(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        return [json.loads(line) for line in self.path.read_text().splitlines()]


@pytest.fixture
def log(house: House) -> Log:
    return Log(house, "/aws/events/heard")


def listen(client: Any, arn: str, pattern: Any = None, *, rule: str = "rule", **target: Any) -> str:
    """A rule that hears what `pattern` says (source "app", if nothing), with one target. Answers its ARN."""
    bus = {"EventBusName": target.pop("bus")} if "bus" in target else {}
    made: str = client.put_rule(Name=rule, EventPattern=json.dumps(pattern or {"source": ["app"]}), **bus)["RuleArn"]
    client.put_targets(Rule=rule, Targets=[{"Id": "t", "Arn": arn, **target}], **bus)
    return made


def tell(client: Any, detail: Any = None, **entry: Any) -> str:
    """One event of the source "app". Answers its id."""
    answer = client.put_events(
        Entries=[{"Source": "app", "DetailType": "Told", "Detail": json.dumps(detail or {}), **entry}]
    )
    assert answer["FailedEntryCount"] == 0, answer
    event_id: str = answer["Entries"][0]["EventId"]
    return event_id


class Functions:
    """A Lambda that remembers what it is invoked with. `policy` admits EventBridge; `failing` are the refusals that come first."""

    def __init__(self) -> None:
        self.invoked: list[dict[str, Any]] = []
        self.sources: list[tuple[str, ...]] = []
        self.failing: list[ServiceError] = []
        self.admits = True

    def room(self) -> Room:
        from geumgo.domain.policy import PolicyKind, compile_policy

        admitting = compile_policy(
            json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": {
                        "Effect": "Allow",
                        "Principal": {"Service": "events.amazonaws.com"},
                        "Action": "lambda:InvokeFunction",
                        "Resource": "*",
                    },
                }
            ),
            PolicyKind.RESOURCE,
        )

        @reads
        def invoke(ctx: Context, request: Params) -> Any:
            self.sources.append(ctx.conditions.get("aws:SourceArn", ()))

            def run() -> Params:
                if self.failing:
                    raise self.failing.pop(0)
                self.invoked.append(json.loads(request["Payload"]))
                return {"StatusCode": 202}

            assert request["InvocationType"] == "Event"
            return Later(run)

        def demands(ctx: Context, request: Params) -> Any:
            name = request["FunctionName"]
            policy = admitting if self.admits else None
            return (Demand("lambda:InvokeFunction", Target(name, name, ctx.place.account, policy)),)

        chapter = ModuleType("chapter")
        vars(chapter)["invoke"] = invoke
        return Room("lambda", chapters=[chapter], access={"Invoke": Access(demands)})


@pytest.fixture
def functions(house: House) -> Functions:
    """Lambda as a room that behaves, in the place of the one that runs functions."""
    from geumgo.protocol import models

    made = Functions()
    parts = house.app.pipeline._parts
    rooms = {**parts.rooms, "lambda": made.room()}
    pipeline = Pipeline(replace(parts, rooms=rooms, models={**parts.models, "lambda": models.load("lambda")}))
    house.app.pipeline = pipeline
    house.app.worker._ask = pipeline.act_alone
    house.app.worker._check = pipeline.allow_alone
    return made


def function_arn(house: House, name: str = "hears") -> str:
    return f"arn:aws:lambda:us-east-1:{house.account}:function:{name}"


def role(house: House, name: str, *statements: dict[str, Any], trusts: str = "events.amazonaws.com") -> str:
    """A role that EventBridge may assume. Answers its ARN."""
    iam = house.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": trusts}, "Action": "sts:AssumeRole"}
    made = iam.create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": trust})
    )
    if statements:
        policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        iam.put_role_policy(RoleName=name, PolicyName="may", PolicyDocument=policy)
    arn: str = made["Role"]["Arn"]
    return arn


def waiting(house: House) -> Iterator[tuple[str, int]]:
    """The deliveries that are on their way, with the attempts that failed."""
    with house.app.storage.reading() as tx:
        yield from tx.all("SELECT id, attempts FROM event_delivery ORDER BY id")
