"""Event buses, their policies, and events that go from one bus to another, in one account and between two."""

import json
from typing import Any

import pytest

from tests.house import House
from tests.promises.tricks import allow, other_account, refused
from tests.services.events.conftest import Log, listen, role, tell, waiting


def bus_arn(house: House, name: str) -> str:
    return f"arn:aws:events:us-east-1:{house.account}:event-bus/{name}"


def test_a_bus_is_made_told_changed_and_deleted(house_on_each: House) -> None:
    house = house_on_each
    events = house.client("events")
    made = events.create_event_bus(Name="mine", Description="d", Tags=[{"Key": "team", "Value": "red"}])
    assert made["EventBusArn"] == bus_arn(house, "mine")
    assert events.list_tags_for_resource(ResourceARN=made["EventBusArn"])["Tags"] == [{"Key": "team", "Value": "red"}]
    assert [bus["Name"] for bus in events.list_event_buses()["EventBuses"]] == ["default", "mine"]
    assert [bus["Name"] for bus in events.list_event_buses(NamePrefix="m")["EventBuses"]] == ["mine"]
    first = events.list_event_buses(Limit=1)
    assert [bus["Name"] for bus in events.list_event_buses(Limit=1, NextToken=first["NextToken"])["EventBuses"]] == [
        "mine"
    ]
    events.update_event_bus(Name="mine", Description="other")
    told = events.describe_event_bus(Name=made["EventBusArn"])
    assert (told["Name"], told["Description"]) == ("mine", "other")
    assert events.describe_event_bus()["Arn"] == bus_arn(house, "default")
    events.put_rule(Name="r", EventPattern='{"source": ["app"]}', EventBusName="mine")
    with refused("ValidationException") as caught:
        events.delete_event_bus(Name="mine")
    assert "has rules" in caught[0].response["Error"]["Message"]
    events.delete_rule(Name="r", EventBusName="mine")
    events.delete_event_bus(Name="mine")
    events.delete_event_bus(Name="mine")
    with refused("ResourceNotFoundException") as caught:
        events.describe_event_bus(Name="mine")
    assert caught[0].response["Error"]["Message"] == "Event bus mine does not exist."


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"Name": "default"}, "ResourceAlreadyExistsException"),
        ({"Name": "a/b"}, "ValidationException"),
        ({"Name": "a", "EventSourceName": "aws.partner/x/y"}, "ResourceNotFoundException"),
        ({"Name": "a", "KmsKeyIdentifier": "k"}, "ValidationException"),
        ({"Name": "a", "LogConfig": {"Level": "INFO"}}, "ValidationException"),
    ],
)
def test_a_bus_that_cannot_be_made_is_refused(events: Any, given: dict[str, Any], code: str) -> None:
    with refused(code):
        events.create_event_bus(**given)
    with refused("ValidationException"):
        events.delete_event_bus(Name="default")


def test_schedules_stand_on_the_default_bus_only(events: Any) -> None:
    events.create_event_bus(Name="mine")
    with refused("ValidationException") as caught:
        events.put_rule(Name="r", ScheduleExpression="rate(1 day)", EventBusName="mine")
    assert caught[0].response["Error"]["Message"] == "ScheduleExpression is supported only on the default event bus."


def test_an_event_is_heard_on_its_own_bus_only(house: House, events: Any, log: Log) -> None:
    events.create_event_bus(Name="mine")
    other = Log(house, "other")
    arn = listen(events, log.arn, bus="mine")
    listen(events, other.arn)
    assert arn == f"arn:aws:events:us-east-1:{house.account}:rule/mine/rule"
    tell(events, EventBusName="mine")
    tell(events, EventBusName=bus_arn(house, "mine"))
    house.run_jobs()
    assert (len(log.lines()), len(other.lines())) == (2, 0)
    assert events.list_rules(EventBusName="mine")["Rules"][0]["EventBusName"] == "mine"


def test_an_event_goes_on_to_another_bus_as_it_is(house: House, events: Any, log: Log) -> None:
    events.create_event_bus(Name="next")
    listen(events, bus_arn(house, "next"))
    listen(events, log.arn, bus="next")
    event_id = tell(events, {"x": 1})
    house.run_jobs()
    (line,) = log.lines()
    assert (line["id"], line["detail"], line["account"]) == (event_id, {"x": 1}, house.account)


def test_a_circle_of_buses_ends(house: House, events: Any) -> None:
    dead = Log(house, "dead")
    events.create_event_bus(Name="next")
    listen(events, bus_arn(house, "next"), DeadLetterConfig={"Arn": dead.arn})
    listen(events, bus_arn(house, "default"), bus="next", DeadLetterConfig={"Arn": dead.arn})
    tell(events)
    house.run_jobs()
    assert [letter["attributes"]["ERROR_CODE"] for letter in dead.lines()] == ["TOO_MANY_HOPS"]
    assert list(waiting(house)) == []


# -- between accounts -------------------------------------------------------------------------------------------------


def admits(house: House, account: str, **condition: Any) -> str:
    statement = {
        "Sid": "other",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Action": "events:PutEvents",
        "Resource": bus_arn(house, "default"),
        **({"Condition": condition} if condition else {}),
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_the_policy_of_a_bus_lets_another_account_in(house: House, events: Any, log: Log) -> None:
    listen(events, log.arn)
    other = other_account(house)
    theirs = other.client("events")
    with refused():
        tell(theirs, EventBusName=bus_arn(house, "default"))
    events.put_permission(Action="events:PutEvents", Principal=other.account, StatementId="other")
    tell(theirs, EventBusName=bus_arn(house, "default"))
    house.run_jobs()
    assert [line["account"] for line in log.lines()] == [other.account]
    policy = json.loads(events.describe_event_bus()["Policy"])
    assert policy["Statement"] == json.loads(admits(house, other.account))["Statement"]
    with refused():  # the policy is not enough: he must be allowed at home too
        tell(other.client("events", other.user("bob")), EventBusName=bus_arn(house, "default"))
    events.remove_permission(StatementId="other")
    with refused():
        tell(theirs, EventBusName=bus_arn(house, "default"))
    assert "Policy" not in events.describe_event_bus()


def test_a_policy_may_look_at_what_is_put(house: House, events: Any) -> None:
    other = other_account(house)
    events.put_permission(Policy=admits(house, other.account, StringEquals={"events:source": "app"}))
    tell(other.client("events"), EventBusName=bus_arn(house, "default"))
    with refused():
        tell(other.client("events"), EventBusName=bus_arn(house, "default"), Source="other")


@pytest.mark.parametrize("way", ["account", "role", "nobody", "weak role"])
def test_a_rule_sends_to_a_bus_of_another_account_if_both_sides_permit_it(
    house: House, events: Any, log: Log, way: str
) -> None:
    other = other_account(house)
    listen(events, log.arn)
    if way != "nobody":
        events.put_permission(Policy=admits(house, other.account))
    may = allow("events:PutEvents" if way == "role" else "events:ListRules")
    given = {"RoleArn": role(other, "sender", may)} if "role" in way else {}
    dead = Log(other, "dead", other.account)
    listen(other.client("events"), bus_arn(house, "default"), DeadLetterConfig={"Arn": dead.arn}, **given)
    tell(other.client("events"))
    house.run_jobs()
    arrives = way in ("account", "role")
    assert [line["account"] for line in log.lines()] == ([other.account] if arrives else [])
    assert [letter["attributes"]["ERROR_CODE"] for letter in dead.lines()] == ([] if arrives else ["NO_PERMISSIONS"])


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({}, "ValidationException"),
        ({"Action": "events:PutEvents", "Principal": "111122223333"}, "ValidationException"),
        ({"Policy": "{"}, "ValidationException"),
        ({"Policy": "{}", "StatementId": "x"}, "ValidationException"),
        ({"Policy": json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow"}]})}, "ValidationException"),
        ({"Policy": " " * 10_241}, "PolicyLengthExceededException"),
        ({"Policy": "{policy of nobody}"}, "ValidationException"),
        (
            {"EventBusName": "none", "Action": "events:PutEvents", "Principal": "*", "StatementId": "x"},
            "ResourceNotFoundException",
        ),
    ],
)
def test_a_policy_that_cannot_be_one_is_refused(house: House, events: Any, given: dict[str, str], code: str) -> None:
    if given.get("Policy") == "{policy of nobody}":
        given = {"Policy": admits(house, house.account).replace(":root", ":user/nobody")}
    with refused(code):
        events.put_permission(**given)


def test_statements_are_replaced_and_removed_one_by_one(house: House, events: Any) -> None:
    other = other_account(house).account
    with refused("ResourceNotFoundException"):
        events.remove_permission(StatementId="a")
    for sid, principal in (("a", house.account), ("b", "*"), ("a", other)):
        events.put_permission(
            Action="events:PutEvents",
            Principal=principal,
            StatementId=sid,
            Condition={"Type": "StringEquals", "Key": "aws:PrincipalOrgID", "Value": "o-1"},
        )
    found = json.loads(events.describe_event_bus()["Policy"])["Statement"]
    assert [(each["Sid"], each["Principal"]) for each in found] == [
        ("b", "*"),
        ("a", {"AWS": f"arn:aws:iam::{other}:root"}),
    ]
    with refused("ResourceNotFoundException"):
        events.remove_permission(StatementId="c")
    events.remove_permission(RemoveAllPermissions=True)
    assert "Policy" not in events.describe_event_bus()
    assert house.account in events.describe_event_bus()["Arn"]
