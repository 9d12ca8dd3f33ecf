"""From an event to its targets: what matches, what is sent, what is tried again, and what is given up."""

import json
from typing import Any

import pytest

from geumgo.context import Event, Place
from geumgo.errors import ServiceUnavailable, Throttled
from geumgo.services.events import domain
from geumgo.services.events.publisher import DefaultBus
from tests.house import House
from tests.promises.tricks import allow, other_account, refused
from tests.services.events.conftest import Functions, Log, function_arn, listen, role, tell, waiting

DEAD = "/dead/letters"


def test_a_matching_event_reaches_a_log_group_once(house_on_each: House) -> None:
    house = house_on_each
    events, log = house.client("events"), Log(house, "/heard")
    listen(events, log.arn, {"source": ["app"], "detail": {"name": [{"prefix": "db/"}]}})
    event_id = tell(events, {"name": "db/prod"}, Resources=["arn:x"])
    tell(events, {"name": "web"})
    assert len(list(waiting(house))) == 1
    with house.app.storage.reading() as tx:
        assert b"db/prod" not in repr(tx.all("SELECT * FROM event_delivery")).encode(), "what waits is sealed"
    house.run_jobs()
    house.run_jobs()
    assert list(waiting(house)) == []
    assert log.lines() == [
        {
            "version": "0",
            "id": event_id,
            "detail-type": "Told",
            "source": "app",
            "account": house.account,
            "time": domain.event_time(house.clock.now_ms()),
            "region": "us-east-1",
            "resources": ["arn:x"],
            "detail": {"name": "db/prod"},
        }
    ]
    assert log.path.stat().st_mode & 0o777 == 0o600


def test_what_is_no_event_is_told_one_by_one(events: Any) -> None:
    good = {"Source": "app", "DetailType": "Told", "Detail": "{}"}
    deep = '{"a":' * 101 + "1" + "}" * 101
    bad = [
        {**good, "Source": ""}, {"DetailType": "x", "Detail": "{}"}, {**good, "Source": "aws.secretsmanager"},
        {**good, "Detail": "{"}, {**good, "Detail": "[]"}, {**good, "Detail": '{"a": NaN}'}, {**good, "Detail": deep},
        {**good, "Detail": '{"a": "\\u0000"}'}, {**good, "Detail": '{"a": "\\ud800"}'},
    ]  # fmt: skip
    answer = events.put_events(Entries=[good, *bad])
    assert answer["FailedEntryCount"] == len(bad)
    assert "EventId" in answer["Entries"][0]
    assert [entry["ErrorCode"] for entry in answer["Entries"][1:]] == [
        "InvalidArgument", "InvalidArgument", "NotAuthorizedForSourceException", *["MalformedDetail"] * 6,
    ]  # fmt: skip
    assert answer["Entries"][1]["ErrorMessage"] == (
        "Parameter Source is not valid. Reason: Source is a required argument."
    )
    with refused("ValidationException"):
        events.put_events(Entries=[{**good, "Detail": json.dumps({"a": "x" * 262_144})}])
    assert events.put_events(Entries=[{**good, "EventBusName": "nowhere"}])["FailedEntryCount"] == 0


def test_a_policy_sees_what_is_put(house: House) -> None:
    ann = house.client(
        "events",
        house.user("ann", allow("events:PutEvents", Condition={"StringEquals": {"events:source": "app"}})),
    )
    tell(ann)
    with refused():
        tell(ann, Source="other")


def test_a_disabled_rule_hears_nothing_and_a_removed_target_is_sent_nothing(
    house: House, events: Any, log: Log
) -> None:
    listen(events, log.arn)
    events.disable_rule(Name="rule")
    tell(events)
    assert list(waiting(house)) == []
    events.enable_rule(Name="rule")
    tell(events)
    events.remove_targets(Rule="rule", Ids=["t"])
    house.run_jobs()
    assert (list(waiting(house)), log.lines()) == ([], [])


def test_a_lambda_function_is_invoked_on_account_of_the_rule(house: House, events: Any, functions: Functions) -> None:
    rule = listen(
        events,
        function_arn(house),
        InputTransformer={"InputPathsMap": {"n": "$.detail.name"}, "InputTemplate": '{"secret": <n>, "by": "<aws.events.rule-name>"}'},
    )  # fmt: skip
    tell(events, {"name": 'a"b'})
    house.run_jobs()
    assert functions.invoked == [{"secret": 'a"b', "by": "rule"}]
    assert functions.sources == [(rule,)]


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        ({"Input": '{"x": 1}'}, {"x": 1}),
        ({"InputPath": "$.detail.list[1]"}, 2),
        ({"InputPath": "$.detail.nothing"}, None),
        ({"InputTransformer": {"InputTemplate": "plain words"}}, "plain words"),
    ],
)
def test_what_a_target_is_sent(house: House, events: Any, functions: Functions, target: Any, sent: Any) -> None:
    listen(events, function_arn(house), **target)
    tell(events, {"list": [1, 2]})
    house.run_jobs()
    assert functions.invoked == [sent]


def test_a_failure_that_may_pass_is_tried_again_later_and_later(
    house: House, events: Any, functions: Functions
) -> None:
    functions.failing = [ServiceUnavailable("x"), Throttled("x")]
    listen(events, function_arn(house))
    tell(events)
    house.run_jobs()
    assert functions.invoked == []
    assert [attempts for _, attempts in waiting(house)] == [1]
    house.clock.turn(ms=700)
    house.run_jobs()
    assert [attempts for _, attempts in waiting(house)] == [1], "the first wait is 750 ms at least"
    house.clock.turn(ms=301)
    house.run_jobs()
    assert [attempts for _, attempts in waiting(house)] == [2]
    house.clock.turn(ms=2_001)
    house.run_jobs()
    assert len(functions.invoked) == 1
    assert list(waiting(house)) == []


@pytest.mark.parametrize(
    ("policy", "exhausted", "attempts"),
    [
        ({"MaximumRetryAttempts": 2}, "MaximumRetryAttempts", 2),
        ({"MaximumRetryAttempts": 0}, "MaximumRetryAttempts", 0),
        ({"MaximumEventAgeInSeconds": 60}, "MaximumEventAgeInSeconds", 5),
    ],
)
def test_what_does_not_arrive_in_time_becomes_a_dead_letter(
    house: House, events: Any, functions: Functions, policy: Any, exhausted: str, attempts: int
) -> None:
    functions.failing = [ServiceUnavailable("down")] * 50
    dead = Log(house, DEAD)
    rule = listen(events, function_arn(house), RetryPolicy=policy, DeadLetterConfig={"Arn": dead.arn})
    event_id = tell(events)
    for _ in range(12):
        house.run_jobs()
        house.clock.turn(ms=20_000 if exhausted == "MaximumRetryAttempts" else 5_000)
    (letter,) = dead.lines()
    assert letter["event"]["id"] == event_id
    found = letter["attributes"]
    assert found.pop("RETRY_ATTEMPTS") in (attempts, attempts + 1)
    assert found == {
        "RULE_ARN": rule,
        "TARGET_ARN": function_arn(house),
        "ERROR_CODE": "SDK_SERVER_ERROR",
        "ERROR_MESSAGE": "ServiceUnavailable: down",
        "EXHAUSTED_RETRY_CONDITION": exhausted,
    }
    assert list(waiting(house)) == []


def test_what_nobody_permits_is_given_up_at_once(house: House, events: Any, functions: Functions) -> None:
    functions.admits = False
    dead = Log(house, DEAD)
    listen(events, function_arn(house), DeadLetterConfig={"Arn": dead.arn})
    tell(events)
    house.run_jobs()
    assert [letter["attributes"]["ERROR_CODE"] for letter in dead.lines()] == ["NO_PERMISSIONS"]
    assert functions.invoked == []


def test_a_service_publishes_on_the_default_bus(house: House, events: Any, log: Log) -> None:
    listen(events, log.arn, {"source": ["aws.ssm"]})
    bus = DefaultBus(house.app.pipeline._parts.sealing)
    place = Place(house.account, "us-east-1")
    with house.app.storage.writing() as tx:
        bus.publish(
            tx, place, Event("aws.ssm", "Parameter Store Change", ("arn:p",), {"name": "p"}), house.clock.now_ms()
        )
        bus.publish(tx, place, Event("aws.kms", "Other", (), {}), house.clock.now_ms())
        bus.publish(tx, Place(house.account, "eu-west-1"), Event("aws.ssm", "x", (), {}), house.clock.now_ms())
    house.run_jobs()
    (line,) = log.lines()
    assert (line["detail-type"], line["resources"], line["detail"]) == (
        "Parameter Store Change",
        ["arn:p"],
        {"name": "p"},
    )


def test_calls_that_only_read_are_for_rules_that_ask_for_all(house: House, events: Any, log: Log) -> None:
    listen(events, log.arn, {"source": ["aws.secretsmanager"]})
    bus = DefaultBus(house.app.pipeline._parts.sealing)

    def call(name: str, *, read: bool) -> None:
        detail = {"eventName": name, "readOnly": read}
        event = Event("aws.secretsmanager", "AWS API Call via CloudTrail", (), detail)
        with house.app.storage.writing() as tx:
            bus.publish(tx, Place(house.account, "us-east-1"), event, house.clock.now_ms())
        house.run_jobs()

    call("GetSecretValue", read=True)
    call("DeleteSecret", read=False)
    events.put_rule(
        Name="rule",
        EventPattern=json.dumps({"source": ["aws.secretsmanager"]}),
        State="ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS",
    )
    call("DescribeSecret", read=True)
    assert [line["detail"]["eventName"] for line in log.lines()] == ["DeleteSecret", "DescribeSecret"]


def test_a_rule_does_not_hear_of_the_calls_that_its_own_deliveries_make(house: House, events: Any, log: Log) -> None:
    every = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
    events.put_rule(Name="rule", EventPattern='{"detail-type": ["AWS API Call via CloudTrail"]}', State=every)
    events.put_targets(Rule="rule", Targets=[{"Id": "t", "Arn": log.arn}])
    bus = DefaultBus(house.app.pipeline._parts.sealing)
    service_role = "arn:aws:iam::1:role/aws-service-role/apidestinations.events.amazonaws.com/AWSServiceRole"
    for detail in (
        {"n": 1, "sourceIPAddress": "events.amazonaws.com"},
        {"n": 2, "userIdentity": {"sessionContext": {"sessionIssuer": {"arn": service_role}}}},
        {"n": 3, "userIdentity": {"sessionContext": {"sessionIssuer": {"arn": "arn:aws:iam::1:role/events"}}}},
        {"n": 4, "userIdentity": {"type": "IAMUser"}, "sourceIPAddress": "198.51.100.7"},
        {"n": 5, "userIdentity": None},
    ):
        event = Event("aws.sts", "AWS API Call via CloudTrail", (), {**detail, "readOnly": True})
        with house.app.storage.writing() as tx:
            bus.publish(tx, Place(house.account, "us-east-1"), event, house.clock.now_ms())
    house.run_jobs()
    assert sorted(line["detail"]["n"] for line in log.lines()) == [3, 4, 5]


def test_events_of_one_account_are_not_heard_in_another(house: House, events: Any) -> None:
    other = other_account(house)
    log = Log(house, "/other", other.account)
    listen(other.client("events"), log.arn)
    tell(events)
    house.run_jobs()
    assert log.lines() == []
    with refused():
        tell(other.client("events"), EventBusName=f"arn:aws:events:us-east-1:{house.account}:event-bus/default")


def test_a_place_where_nobody_listens_costs_one_look(house: House) -> None:
    asked: list[str] = []

    class Watched:
        def one(self, sql: str, /, **_: Any) -> None:
            asked.append(sql)

    bus = DefaultBus(house.app.pipeline._parts.sealing)
    bus.publish(Watched(), Place(house.account, "us-east-1"), Event("aws.ssm", "x", (), {}), 0)  # type: ignore[arg-type]
    assert len(asked) == 1


@pytest.mark.parametrize("admitted", [True, False])
def test_a_function_is_asked_as_the_targets_role_if_it_has_one(
    house: House, events: Any, functions: Functions, admitted: bool
) -> None:
    functions.admits = False
    may = allow("lambda:InvokeFunction" if admitted else "lambda:ListFunctions")
    listen(events, function_arn(house), RoleArn=role(house, "invoker", may))
    tell(events)
    house.run_jobs()
    assert len(functions.invoked) == admitted


@pytest.mark.parametrize(
    ("pattern", "heard"),
    [
        ({"source": ["other", "app"]}, True),
        ({"source": ["other"]}, False),
        ({"source": [{"prefix": "ap"}]}, True),
        ({"source": ["other", {"suffix": "pp"}]}, True),
        ({"detail-type": ["Told"]}, True),
        ({"$or": [{"source": ["other"]}, {"detail-type": ["Told"]}]}, True),
        ({"source": ["app"], "$or": [{"source": ["other"]}, {"account": ["x"]}]}, False),
    ],
)
def test_rules_for_one_source_and_for_any_are_asked(
    house: House, events: Any, log: Log, pattern: dict[str, Any], heard: bool
) -> None:
    listen(events, log.arn, pattern)
    listen(events, log.arn, {"source": ["nobody"]}, rule="beside")
    tell(events)
    house.run_jobs()
    assert len(log.lines()) == heard
