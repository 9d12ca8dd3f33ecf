"""A place with a recorder that runs, and who listens to what Config publishes."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from geumgo.context import Event, Place
from geumgo.storage import Tx
from tests.house import House


@dataclass
class Listener:
    """Keeps what Config has published."""

    heard: list[Event] = field(default_factory=list)

    def publish(self, tx: Tx, place: Place, event: Event, now_ms: int) -> None:
        if event.source == "aws.config":
            self.heard.append(event)

    def changes(self) -> list[tuple[str, str | None, str]]:
        """(name of the secret, compliance before, compliance now) of each change of compliance so far, which are then forgotten."""
        found = []
        for event in self.heard:
            assert event.detail_type == "Config Rules Compliance Change"
            before = event.detail.get("oldEvaluationResult", {}).get("complianceType")
            name = event.detail["resourceId"].rpartition(":")[2][:-7]
            found.append((name, before, event.detail["newEvaluationResult"]["complianceType"]))
        self.heard.clear()
        return sorted(found, key=lambda change: (change[0], change[1] or ""))


@dataclass
class Watched:
    """What the tests of Config need of a house."""

    house: House
    listener: Listener
    role: str

    @property
    def config(self) -> Any:
        return self.house.client("config")

    @property
    def secrets(self) -> Any:
        return self.house.client("secretsmanager")

    def rule(self, identifier: str, name: str = "rule", **given: Any) -> None:
        parameters = given.pop("parameters", None)
        if parameters is not None:
            given["InputParameters"] = json.dumps(parameters)
        source = {"Owner": "AWS", "SourceIdentifier": identifier}
        self.config.put_config_rule(ConfigRule={"ConfigRuleName": name, "Source": source, **given})

    def evaluate(self, *names: str) -> None:
        """Ask for an evaluation, and see it done."""
        self.house.clock.turn(ms=60_000)
        self.config.start_config_rules_evaluation(ConfigRuleNames=list(names or ["rule"]))
        self.house.run_jobs()

    def verdicts(self, name: str = "rule", **given: Any) -> dict[str, str]:
        """What the rule thinks, by the name of the secret."""
        pages = self.config.get_paginator("get_compliance_details_by_config_rule").paginate(
            ConfigRuleName=name, **given
        )
        found = [result for page in pages for result in page["EvaluationResults"]]
        ids = [result["EvaluationResultIdentifier"]["EvaluationResultQualifier"]["ResourceId"] for result in found]
        assert len(set(ids)) == len(ids), "a resource has two verdicts of one rule"
        return {arn.rpartition(":")[2][:-7]: result["ComplianceType"] for arn, result in zip(ids, found, strict=True)}


def furnished(house: House) -> Watched:
    made = house.client("iam").create_service_linked_role(AWSServiceName="config.amazonaws.com")
    role = made["Role"]["Arn"]
    config = house.client("config")
    config.put_configuration_recorder(ConfigurationRecorder={"name": "default", "roleARN": role})
    config.put_delivery_channel(DeliveryChannel={"name": "default", "s3BucketName": "bucket"})
    config.start_configuration_recorder(ConfigurationRecorderName="default")
    house.run_jobs()
    listener = Listener()
    house.app.worker._publisher = listener
    return Watched(house, listener, role)


@pytest.fixture
def place(house: House) -> Watched:
    return furnished(house)


@pytest.fixture
def place_on_each(house_on_each: House) -> Watched:
    return furnished(house_on_each)


@pytest.fixture
def put(place: Watched) -> Callable[..., str]:
    """A new secret of this name; answers its ARN."""

    def make(name: str, **given: Any) -> str:
        arn: str = place.secrets.create_secret(Name=name, SecretString="x", **given)["ARN"]
        return arn

    return make
