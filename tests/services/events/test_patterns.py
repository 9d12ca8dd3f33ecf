"""TestEventPattern, as a client asks it."""

import json

import pytest
from botocore.exceptions import ClientError

from geumgo.protocol import models
from geumgo.services.events.errors import InvalidEventPattern
from tests.house import House

EVENT = {
    "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
    "detail-type": "Secret Label Updated",
    "source": "aws.secretsmanager",
    "account": "111122223333",
    "time": "2026-01-01T00:00:00Z",
    "region": "us-east-1",
    "resources": ["arn:aws:secretsmanager:us-east-1:111122223333:secret:app/db-a1B2c3"],
    "detail": {"name": "app/db", "labelUpdated": "AWSCURRENT", "token": "canary-in-the-event"},
}


def ask(client, pattern, event=EVENT):
    text = pattern if isinstance(pattern, str) else json.dumps(pattern)
    return client.test_event_pattern(EventPattern=text, Event=event if isinstance(event, str) else json.dumps(event))[
        "Result"
    ]


def refusal(client, pattern, event=EVENT):
    with pytest.raises(ClientError) as refused:
        ask(client, pattern, event)
    return refused.value.response["Error"]["Code"], refused.value.response["Error"]["Message"]


def test_a_pattern_wants_an_event_or_not(house_on_each: House):
    events = house_on_each.client("events")
    assert ask(events, {"source": ["aws.secretsmanager"], "detail": {"name": [{"prefix": "app/"}]}}) is True
    assert ask(events, {"source": ["aws.secretsmanager"], "detail": {"name": [{"prefix": "web/"}]}}) is False


def test_a_pattern_that_is_wrong_is_refused_with_the_reason(house: House):
    code, message = refusal(house.client("events"), {"source": "aws.secretsmanager"})
    assert code == "InvalidEventPatternException"
    assert message == 'Event pattern is not valid. Reason: "source" must be an object or an array'


@pytest.mark.unverified
@pytest.mark.parametrize("event", ["", "{", "[]", "1", '{"id": NaN}', "[" * 100_000, '{"a":' * 10_000, "9" * 5_000])
def test_what_is_no_event_is_refused(house: House, event):
    code, message = refusal(house.client("events"), {"source": ["x"]}, event)
    assert code == "ValidationException"
    assert message.startswith("Parameter Event is not valid.")


@pytest.mark.unverified
@pytest.mark.parametrize("name", ["id", "account", "source", "time", "region", "resources", "detail-type"])
def test_an_event_has_what_the_reference_demands(house: House, name):
    rest = {key: value for key, value in EVENT.items() if key != name}
    assert refusal(house.client("events"), {"source": ["x"]}, rest)[1].endswith(f"it has no {name}.")


def test_who_may_not_test_patterns_is_denied(house: House):
    allowed = house.user("ann", {"Effect": "Allow", "Action": "events:TestEventPattern", "Resource": "*"})
    denied = house.user("bob", {"Effect": "Allow", "Action": "events:PutEvents", "Resource": "*"})
    assert ask(house.client("events", allowed), {"region": ["us-east-1"]}) is True
    assert refusal(house.client("events", denied), {"region": ["us-east-1"]})[0] == "AccessDeniedException"


def test_the_trail_keeps_the_pattern_and_not_the_event(house: House):
    ask(house.client("events"), {"region": ["us-east-1"]})
    (record,) = [each for each in house.trail() if each["eventName"] == "TestEventPattern"]
    assert record["eventSource"] == "events.amazonaws.com"
    assert record["requestParameters"] == {"eventPattern": '{"region": ["us-east-1"]}'}
    assert "canary" not in json.dumps(record)


def test_the_refusal_is_one_of_the_model():
    assert InvalidEventPattern.code in models.load("events").operations["TestEventPattern"].errors
