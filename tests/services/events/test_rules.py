"""Rules and targets, as a client keeps them."""

import json
import re
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.house import House
from tests.promises.tricks import allow, other_account, refused
from tests.services.events.conftest import Log, function_arn, listen, role

PATTERN = json.dumps({"source": ["app"]})


def test_a_rule_is_told_as_it_was_put(house_on_each: House) -> None:
    events = house_on_each.client("events")
    arn = events.put_rule(
        Name="watch", EventPattern=PATTERN, Description="what app says", Tags=[{"Key": "team", "Value": "red"}]
    )["RuleArn"]
    assert arn == f"arn:aws:events:us-east-1:{house_on_each.account}:rule/watch"
    told = events.describe_rule(Name="watch")
    del told["ResponseMetadata"]
    assert told == {
        "Name": "watch",
        "Arn": arn,
        "EventPattern": PATTERN,
        "State": "ENABLED",
        "Description": "what app says",
        "EventBusName": "default",
        "CreatedBy": house_on_each.account,
    }
    assert [rule["Name"] for rule in events.list_rules(NamePrefix="wa")["Rules"]] == ["watch"]
    assert events.list_rules(NamePrefix="x")["Rules"] == []
    assert events.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "team", "Value": "red"}]


def test_a_rule_is_changed_disabled_and_deleted(events: Any) -> None:
    events.put_rule(Name="r", EventPattern=PATTERN, Description="x")
    events.put_rule(Name="r", ScheduleExpression="rate(5 minutes)")
    told = events.describe_rule(Name="r")
    assert (told["ScheduleExpression"], told.get("EventPattern"), told.get("Description")) == (
        "rate(5 minutes)",
        None,
        None,
    )
    events.disable_rule(Name="r")
    assert events.describe_rule(Name="r")["State"] == "DISABLED"
    events.enable_rule(Name="r")
    assert events.describe_rule(Name="r")["State"] == "ENABLED"
    events.delete_rule(Name="r")
    events.delete_rule(Name="r")
    with refused("ResourceNotFoundException") as caught:
        events.describe_rule(Name="r")
    assert caught[0].response["Error"]["Message"] == "Rule r does not exist on EventBus default."


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        ({}, "ValidationException", "Parameter(s) EventPattern or ScheduleExpression must be specified."),
        ({"EventPattern": '{"source": "app"}'}, "InvalidEventPatternException", "Event pattern is not valid. Reason: "),
        (
            {"ScheduleExpression": "rate(1 minutes)"},
            "ValidationException",
            "Parameter ScheduleExpression is not valid.",
        ),
        ({"ScheduleExpression": "rate(0 days)"}, "ValidationException", "Parameter ScheduleExpression is not valid."),
        (
            {"ScheduleExpression": "cron(* * * * * *)"},
            "ValidationException",
            "Parameter ScheduleExpression is not valid.",
        ),
        (
            {"EventPattern": PATTERN, "EventBusName": "mine"},
            "ResourceNotFoundException",
            "Event bus mine does not exist.",
        ),
        ({"EventPattern": PATTERN, "Description": "a\0b"}, "ValidationException", "The parameter Description"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(events: Any, given: dict[str, str], code: str, message: str) -> None:
    with refused(code) as caught:
        events.put_rule(Name="r", **given)
    assert caught[0].response["Error"]["Message"].startswith(message)


def test_a_listing_goes_on_where_it_stopped(events: Any, house: House) -> None:
    for number in range(5):
        listen(events, function_arn(house), rule=f"r{number}")
    pages = [[rule["Name"] for rule in page["Rules"]] for page in paged(events.list_rules, Limit=2)]
    assert pages == [["r0", "r1"], ["r2", "r3"], ["r4"]]
    names = [
        page["RuleNames"] for page in paged(events.list_rule_names_by_target, TargetArn=function_arn(house), Limit=3)
    ]
    assert names == [["r0", "r1", "r2"], ["r3", "r4"]]
    token = events.list_rules(Limit=2)["NextToken"]
    with refused("ValidationException"):
        events.list_rules(Limit=2, NamePrefix="r", NextToken=token)
    with refused("ValidationException"):
        events.list_rules(Limit=2, NextToken="x")


def paged(ask: Any, **given: Any) -> Any:
    token: dict[str, str] = {}
    while True:
        page = ask(**given, **token)
        yield page
        if "NextToken" not in page:
            return
        token = {"NextToken": page["NextToken"]}


def test_targets_are_put_listed_and_removed(house_on_each: House) -> None:
    house = house_on_each
    events = house.client("events")
    events.put_rule(Name="r", EventPattern=PATTERN)
    given = {
        "Id": "b",
        "Arn": function_arn(house),
        "InputTransformer": {"InputPathsMap": {"name": "$.detail.name"}, "InputTemplate": '{"secret": <name>}'},
        "RetryPolicy": {"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 60},
        "DeadLetterConfig": {"Arn": Log(house, "dead").arn},
    }
    answer = events.put_targets(Rule="r", Targets=[given, {"Id": "a", "Arn": function_arn(house), "Input": '{"x":1}'}])
    assert answer["FailedEntryCount"] == 0
    targets = events.list_targets_by_rule(Rule="r")["Targets"]
    assert [target["Id"] for target in targets] == ["a", "b"]
    assert targets[1] == given
    with refused("ValidationException") as caught:
        events.delete_rule(Name="r")
    assert caught[0].response["Error"]["Message"] == "Rule can't be deleted since it has targets."
    answer = events.remove_targets(Rule="r", Ids=["a", "x"])
    assert (answer["FailedEntryCount"], answer["FailedEntries"][0]["TargetId"]) == (1, "x")
    events.remove_targets(Rule="r", Ids=["b"])
    events.delete_rule(Name="r")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"Arn": "x"}, "Provided Arn is not in correct format"),
        ({"Arn": "arn:aws:sqs:us-east-1:{account}:queue"}, "not of a kind that is served here"),
        ({"Arn": "arn:aws:logs:us-east-1:{account}:log-group:" + "/" * 100}, "not of a kind that is served here"),
        ({"Arn": "arn:aws:lambda:eu-west-1:{account}:function:f"}, "in another Region"),
        ({"Arn": "arn:aws:lambda:us-east-1:999988887777:function:f"}, "in another account"),
        ({"Arn": "{function}", "Input": "1", "InputPath": "$"}, "Only one of Input, InputPath, or InputTransformer"),
        ({"Arn": "{function}", "InputPath": "x"}, "Invalid input for target t"),
        ({"Arn": "{function}", "InputTransformer": {"InputTemplate": '"<aws.events.event>"'}}, "Invalid input"),
        ({"Arn": "{function}", "SqsParameters": {}}, "SqsParameters is not supported"),
        ({"Arn": "{function}", "HttpParameters": {}}, "HttpParameters is not supported"),
        (
            {"Arn": "{function}", "DeadLetterConfig": {"Arn": "arn:aws:sqs:us-east-1:{account}:dead"}},
            "is not a log group",
        ),
        ({"Arn": "arn:aws:events:us-east-1:{account}:event-bus/b", "Input": "1"}, "Input is not supported"),
        ({"Arn": "arn:aws:events:us-east-1:{account}:api-destination/a/b"}, "RoleArn is required"),
        ({"Arn": "{function}", "Input": "\0"}, "must not contain the character NUL"),
    ],
)
def test_a_target_that_cannot_be_one_is_refused(
    events: Any, house: House, target: dict[str, Any], message: str
) -> None:
    events.put_rule(Name="r", EventPattern=PATTERN)
    text = json.dumps({"Id": "t", **target}).replace("{account}", house.account)
    with refused("ValidationException") as caught:
        events.put_targets(Rule="r", Targets=[json.loads(text.replace("{function}", function_arn(house)))])
    assert message in caught[0].response["Error"]["Message"]
    assert events.list_targets_by_rule(Rule="r")["Targets"] == []


def test_there_are_five_targets_at_most(events: Any, house: House) -> None:
    events.put_rule(Name="r", EventPattern=PATTERN)
    for number in range(5):
        events.put_targets(Rule="r", Targets=[{"Id": str(number), "Arn": function_arn(house)}])
    with refused("LimitExceededException"):
        events.put_targets(Rule="r", Targets=[{"Id": "6", "Arn": function_arn(house)}])
    events.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": function_arn(house, "other")}])


def test_who_gives_a_role_must_be_allowed_to_pass_it(house: House) -> None:
    house.client("events").put_rule(Name="r", EventPattern=PATTERN)
    given = role(house, "given")
    target = {"Id": "t", "Arn": function_arn(house), "RoleArn": given}
    ann = house.client("events", house.user("ann", allow("events:*")))
    with refused() as caught:
        ann.put_targets(Rule="r", Targets=[target])
    assert "iam:PassRole" in caught[0].response["Error"]["Message"]
    with refused():
        ann.put_rule(Name="r", EventPattern=PATTERN, RoleArn=given)
    may = allow("iam:PassRole", on=given, Condition={"StringEquals": {"iam:PassedToService": "events.amazonaws.com"}})
    bob = house.client("events", house.user("bob", allow("events:*"), may))
    bob.put_targets(Rule="r", Targets=[target])


def test_a_policy_sees_the_targets_and_the_tags_of_a_rule(house: House) -> None:
    house.client("events").put_rule(Name="r", EventPattern=PATTERN, Tags=[{"Key": "team", "Value": "red"}])
    only = function_arn(house)
    ann = house.client(
        "events",
        house.user(
            "ann",
            allow("events:PutTargets", Condition={"ForAllValues:ArnEquals": {"events:TargetArn": only}}),
            allow("events:DescribeRule", Condition={"StringEquals": {"aws:ResourceTag/team": "red"}}),
        ),
    )
    ann.put_targets(Rule="r", Targets=[{"Id": "t", "Arn": only}])
    with refused():
        ann.put_targets(Rule="r", Targets=[{"Id": "t", "Arn": function_arn(house, "other")}])
    ann.describe_rule(Name="r")
    house.client("events").untag_resource(ResourceARN=ann.describe_rule(Name="r")["Arn"], TagKeys=["team"])
    with refused():
        ann.describe_rule(Name="r")


def test_rules_of_another_account_are_out_of_reach(house: House) -> None:
    house.client("events").put_rule(Name="r", EventPattern=PATTERN)
    bus = f"arn:aws:events:us-east-1:{house.account}:event-bus/default"
    other = other_account(house).client("events")
    with refused():
        other.put_rule(Name="r", EventPattern=PATTERN, EventBusName=bus)
    with refused():
        other.describe_rule(Name="r", EventBusName=bus)
    with refused():
        other.tag_resource(ResourceARN=f"arn:aws:events:us-east-1:{house.account}:rule/r", Tags=[])
    assert other.list_rules()["Rules"] == []


def test_the_trail_keeps_the_rule_and_not_what_its_targets_are_sent(house: House, events: Any) -> None:
    listen(events, function_arn(house), Input='{"canary": "in the input"}')
    text = json.dumps(house.trail())
    assert re.search(r'"eventName": ?"PutTargets"', text)
    assert "canary" not in text


def test_a_row_that_was_changed_in_the_database_is_not_followed(house: House, events: Any) -> None:
    listen(events, function_arn(house))
    with house.app.storage.writing() as tx:
        tx.run("UPDATE event_target SET arn = :arn", arn=function_arn(house, "other"))
    with pytest.raises(ClientError) as caught:
        events.list_targets_by_rule(Rule="rule")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500


@pytest.mark.parametrize("table", ["event_rule", "event_target"])
def test_a_forged_rule_is_not_followed_and_keeps_nobody_from_writing(
    house: House, events: Any, log: Log, table: str
) -> None:
    listen(events, log.arn, {"source": ["aws.secretsmanager"]}, rule="honest")
    listen(events, log.arn, {"source": ["aws.secretsmanager"]}, rule="forged")
    with house.app.storage.writing() as tx:
        name = "name" if table == "event_rule" else "rule"
        tx.run(f"UPDATE {table} SET mac = :mac WHERE {name} = 'forged'", mac=b"x" * 36)
        tx.run("UPDATE event_generation SET generation = 'other'")
    house.client("secretsmanager").create_secret(Name="x", SecretString="y")
    house.run_jobs()
    assert len(log.lines()) == 1
