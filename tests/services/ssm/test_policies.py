"""Policies of parameters: what may be said, when it is due, and that it happens at its time, once, whatever was down."""

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from geumgo.context import Event, Place
from geumgo.pipeline import Pipeline
from geumgo.services.ssm.domain_policies import MOST_POLICIES
from geumgo.storage import Tx
from tests.house import House
from tests.services.ssm.asking import names, put, refused, value

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@dataclass
class Heard:
    """A publisher that keeps what it is told."""

    events: list[Event] = field(default_factory=list)

    def publish(self, tx: Tx, place: Place, event: Event, now_ms: int) -> None:
        self.events.append(event)

    def take(self) -> list[tuple[str, str]]:
        """What was heard since, as (detail type, what it was about)."""
        taken = [(each.detail_type.removeprefix("Parameter Store "), each.detail.get("operation") or each.detail["policy-type"]) for each in self.events]  # fmt: skip
        self.events.clear()
        return taken


@pytest.fixture
def heard(house_on_each: House) -> Heard:
    listener = Heard()
    app = house_on_each.app
    app.pipeline = Pipeline(replace(app.pipeline._parts, publisher=listener))
    app.worker._publisher = listener
    return listener


def expires(house: House, *, in_ms: int) -> dict[str, Any]:
    at = datetime.fromtimestamp((house.clock.now_ms() + in_ms) / 1000, UTC)
    return {"Type": "Expiration", "Version": "1.0", "Attributes": {"Timestamp": at.strftime("%Y-%m-%dT%H:%M:%S.000Z")}}


def warns(number: int, unit: str = "Hours") -> dict[str, Any]:
    return {"Type": "ExpirationNotification", "Version": "1.0", "Attributes": {"Before": str(number), "Unit": unit}}


def stands_still(number: int, unit: str = "Days") -> dict[str, Any]:
    return {"Type": "NoChangeNotification", "Version": "1.0", "Attributes": {"After": str(number), "Unit": unit}}


def put_with(house: House, name: str, *policies: dict[str, Any], **more: Any) -> None:
    put(house.client("ssm"), name, Tier="Advanced", Policies=json.dumps(policies), **more)


def statuses(house: House, name: str) -> list[tuple[str, str]]:
    shown = house.client("ssm").describe_parameters(ParameterFilters=[{"Key": "Name", "Values": [name]}])["Parameters"]
    return [(each["PolicyType"], each["PolicyStatus"]) for each in shown[0]["Policies"]]


def test_changes_are_told_to_eventbridge(house_on_each: House, heard: Heard) -> None:
    ssm = house_on_each.client("ssm")
    put(ssm, "/e", Description="d")
    assert heard.events == [
        Event(
            "aws.ssm",
            "Parameter Store Change",
            (f"arn:aws:ssm:us-east-1:{house_on_each.account}:parameter/e",),
            {"operation": "Create", "name": "/e", "type": "String", "description": "d"},
        )
    ]
    put(ssm, "/e", Overwrite=True)
    ssm.label_parameter_version(Name="/e", Labels=["x"])
    ssm.delete_parameter(Name="/e")
    assert [what for _, what in heard.take()] == ["Create", "Update", "LabelParameterVersion", "Delete"]
    with refused("ParameterNotFound"):
        ssm.delete_parameter(Name="/e")
    put(ssm, "/i", "no image", DataType="aws:ec2:image")
    assert heard.events[0].detail["exception"] == "Unable to Describe Resource"


@pytest.mark.unverified  # the members of the event
def test_an_expiring_parameter_goes_at_its_time(house_on_each: House, heard: Heard) -> None:
    house, ssm = house_on_each, house_on_each.client("ssm")
    put_with(house, "/e", expires(house, in_ms=10 * HOUR_MS), warns(2), warns(5))
    heard.take()
    assert house.run_jobs() == 0
    house.clock.turn(ms=5 * HOUR_MS)
    assert house.run_jobs() == 1
    assert heard.take() == [("Policy Action", "ExpirationNotification")]
    assert statuses(house, "/e") == [("Expiration", "Pending"), ("ExpirationNotification", "Pending"), ("ExpirationNotification", "Finished")]  # fmt: skip
    house.clock.turn(ms=3 * HOUR_MS)
    house.run_jobs()
    assert heard.events[0].detail == {
        "parameter-name": "/e",
        "parameter-type": "String",
        "policy-type": "ExpirationNotification",
        "policy-content": '{"Type":"ExpirationNotification","Version":"1.0","Attributes":{"Before":"2","Unit":"Hours"}}',
        "action-status": "Success",
        "action-reason": "The parameter is about to expire.",
    }
    heard.take()
    assert value(ssm, "/e") == "v"
    house.clock.turn(ms=2 * HOUR_MS)
    house.run_jobs()
    assert heard.take() == [("Policy Action", "Expiration"), ("Change", "Delete")]
    with refused("ParameterNotFound"):
        ssm.get_parameter(Name="/e")
    assert "ExpireParameter" in [each["eventName"] for each in house.trail()]
    assert house.run_jobs() == 0


def test_what_became_due_while_nobody_worked_happens_once_in_its_order(house_on_each: House, heard: Heard) -> None:
    house = house_on_each
    put_with(house, "/e", expires(house, in_ms=10 * HOUR_MS), warns(2), stands_still(1, "Hours"))
    heard.take()
    house.clock.turn(ms=DAY_MS)
    house.run_jobs()
    assert heard.take() == [
        ("Policy Action", "ExpirationNotification"),
        ("Policy Action", "NoChangeNotification"),
        ("Policy Action", "Expiration"),
        ("Change", "Delete"),
    ]
    assert house.run_jobs() == 0


def test_from_its_time_on_a_parameter_is_gone_before_the_job_comes(house_on_each: House, heard: Heard) -> None:
    house, ssm = house_on_each, house_on_each.client("ssm")
    put_with(house, "/e/1", expires(house, in_ms=HOUR_MS))
    put(ssm, "/e/2")
    house.clock.turn(ms=HOUR_MS - 1)
    assert value(ssm, "/e/1") == "v"
    house.clock.turn(ms=1)
    for call in (lambda: ssm.get_parameter(Name="/e/1"), lambda: ssm.get_parameter_history(Name="/e/1"),
                 lambda: ssm.delete_parameter(Name="/e/1"), lambda: ssm.label_parameter_version(Name="/e/1", Labels=["x"])):  # fmt: skip
        with refused("ParameterNotFound"):
            call()
    assert ssm.get_parameters(Names=["/e/1"])["InvalidParameters"] == ["/e/1"]
    assert names(ssm.get_parameters_by_path(Path="/e")) == ["/e/2"]
    assert names(ssm.describe_parameters()) == ["/e/2"]
    heard.take()
    assert put(ssm, "/e/1", "new")["Version"] == 1
    assert heard.take() == [("Policy Action", "Expiration"), ("Change", "Delete"), ("Change", "Create")]
    house.run_jobs()
    assert value(ssm, "/e/1") == "new"


def test_a_new_value_moves_no_expiry_and_begins_the_wait_for_a_change_anew(house_on_each: House, heard: Heard) -> None:
    house, ssm = house_on_each, house_on_each.client("ssm")
    put_with(house, "/e", expires(house, in_ms=10 * DAY_MS), stands_still(2))
    house.clock.turn(ms=DAY_MS)
    put(ssm, "/e", Overwrite=True)
    heard.take()
    house.clock.turn(ms=DAY_MS)
    house.run_jobs()
    assert heard.take() == []
    house.clock.turn(ms=DAY_MS)
    house.run_jobs()
    assert heard.take() == [("Policy Action", "NoChangeNotification")]
    assert statuses(house, "/e") == [("Expiration", "Pending"), ("NoChangeNotification", "Finished")]
    put(ssm, "/e", Overwrite=True)
    assert statuses(house, "/e") == [("Expiration", "Pending"), ("NoChangeNotification", "Pending")]
    house.clock.turn(ms=7 * DAY_MS)
    house.run_jobs()
    with refused("ParameterNotFound"):
        ssm.get_parameter(Name="/e")


def test_new_policies_take_the_place_of_the_old_ones_and_none_clears_them(house_on_each: House, heard: Heard) -> None:
    house, ssm = house_on_each, house_on_each.client("ssm")
    put_with(house, "/e", expires(house, in_ms=HOUR_MS))
    put_with(house, "/e", expires(house, in_ms=DAY_MS), Overwrite=True)
    house.clock.turn(ms=2 * HOUR_MS)
    assert house.run_jobs() == 0
    put(ssm, "/e", Overwrite=True, Policies="[{}]")
    house.clock.turn(ms=2 * DAY_MS)
    assert house.run_jobs() == 0
    assert value(ssm, "/e") == "v"
    past = ssm.get_parameter_history(Name="/e")["Parameters"]
    assert [len(each["Policies"]) for each in past] == [1, 1, 0]


def test_a_deleted_parameter_leaves_no_job_to_its_namesake(house_on_each: House, heard: Heard) -> None:
    house, ssm = house_on_each, house_on_each.client("ssm")
    put_with(house, "/e", expires(house, in_ms=HOUR_MS))
    ssm.delete_parameter(Name="/e")
    put(ssm, "/e", "new")
    house.clock.turn(ms=DAY_MS)
    assert house.run_jobs() == 0
    assert value(ssm, "/e") == "new"


@pytest.mark.parametrize(
    ("policies", "code"),
    [
        ("{", "InvalidPolicyAttributeException"),
        ("{}", "InvalidPolicyAttributeException"),
        ("[1]", "InvalidPolicyAttributeException"),
        ("[" * 2000, "InvalidPolicyAttributeException"),
        ([{"Type": "Nonsense", "Version": "1.0", "Attributes": {}}], "InvalidPolicyTypeException"),
        ([{"Type": ["Expiration"], "Version": "1.0", "Attributes": {}}], "InvalidPolicyTypeException"),
        ([{"Type": "Expiration", "Version": "2.0", "Attributes": {"Timestamp": "2030-01-01T00:00:00Z"}}], "InvalidPolicyAttributeException"),
        ([{"Type": "Expiration", "Version": "1.0", "Attributes": {"Timestamp": "tomorrow"}}], "InvalidPolicyAttributeException"),
        ([{"Type": "Expiration", "Version": "1.0", "Attributes": {"Timestamp": "2001-01-01T00:00:00Z"}}], "InvalidPolicyAttributeException"),
        ([{"Type": "Expiration", "Version": "1.0", "Attributes": {"Timestamp": 5}}], "InvalidPolicyAttributeException"),
        ([{"Type": "Expiration", "Version": "1.0", "Attributes": {}}], "InvalidPolicyAttributeException"),
        ([{"Type": "Expiration", "Version": "1.0"}], "InvalidPolicyAttributeException"),
        ([{"Type": "Expiration", "Version": "1.0", "Attributes": {"Timestamp": "2090-01-01T00:00:00Z"}}] * 2, "IncompatiblePolicyException"),
        ([warns(1)], "IncompatiblePolicyException"),
        ([stands_still(1)] * 2, "IncompatiblePolicyException"),
        ([stands_still(0)], "InvalidPolicyAttributeException"),
        ([stands_still(1, "Weeks")], "InvalidPolicyAttributeException"),
        ([warns(1)] * (MOST_POLICIES + 1), "PoliciesLimitExceededException"),
    ],
)  # fmt: skip
def test_policies_that_say_nothing_that_can_be_done(ssm: Any, policies: Any, code: str) -> None:
    text = policies if isinstance(policies, str) else json.dumps(policies)
    with refused(code):
        put(ssm, "/e", Tier="Advanced", Policies=text)
    with refused("ParameterNotFound"):
        ssm.get_parameter(Name="/e")
