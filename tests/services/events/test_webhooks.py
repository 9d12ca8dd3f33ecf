"""Connections, API destinations, and what reaches the other side."""

import base64
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.house import House
from tests.promises.tricks import allow, refused
from tests.services.events.conftest import Log, listen, role, tell, waiting
from tests.services.events.endpoint import Endpoint, carried_by

CANARY = "canary-5f1e"
KEYED = {
    "AuthorizationType": "API_KEY",
    "AuthParameters": {"ApiKeyAuthParameters": {"ApiKeyName": "X-Key", "ApiKeyValue": CANARY}},
}
INVOKES = allow("events:InvokeApiDestination")


@pytest.fixture
def endpoint(house: House) -> Iterator[Endpoint]:
    carried_by(house)
    with Endpoint() as running:
        yield running


def hook(house: House, url: str, connection: dict[str, Any] | None = None, *, name: str = "hook", **more: Any) -> str:
    """A connection and an API destination of it. Answers the ARN of the latter."""
    events = house.client("events")
    arn = events.create_connection(Name=name, **(connection or KEYED))["ConnectionArn"]
    given = {"Name": name, "ConnectionArn": arn, "InvocationEndpoint": url, "HttpMethod": "POST", **more}
    made: str = events.create_api_destination(**given)["ApiDestinationArn"]
    return made


def heard(house: House, arn: str, **target: Any) -> None:
    listen(house.client("events"), arn, RoleArn=role(house, "invoker", INVOKES), **target)


def test_an_event_is_posted_with_the_key_of_the_connection(house_on_each: House) -> None:
    house = house_on_each
    carried_by(house)
    with Endpoint() as endpoint:
        heard(house, hook(house, f"{endpoint.url}/in?a=b"))
        event_id = tell(house.client("events"), {"name": "db"})
        house.run_jobs()
        (call,) = endpoint.calls
    assert (call.method, call.path) == ("POST", "/in?a=b")
    assert call.json["id"] == event_id
    assert call.headers["x-key"] == CANARY
    assert call.headers["content-type"] == "application/json; charset=utf-8"
    assert call.headers["idempotency-key"].startswith(event_id + ":")
    assert list(waiting(house)) == []


def test_the_credentials_lie_in_a_secret_that_eventbridge_owns(house: House) -> None:
    hook(house, "https://example.com/")
    events, secrets = house.client("events"), house.client("secretsmanager")
    told = events.describe_connection(Name="hook")
    assert told["ConnectionState"] == "AUTHORIZED"
    assert told["AuthParameters"] == {"ApiKeyAuthParameters": {"ApiKeyName": "X-Key"}}
    secret = secrets.describe_secret(SecretId=told["SecretArn"])
    assert secret["Name"].startswith("events!connection/hook/")
    assert secret["OwningService"] == "events"
    kept = json.loads(secrets.get_secret_value(SecretId=told["SecretArn"])["SecretString"])
    assert (kept["api_key_name"], kept["api_key_value"]) == ("X-Key", CANARY)
    with refused("InvalidRequestException"):
        secrets.put_secret_value(SecretId=told["SecretArn"], SecretString="x")
    with house.app.storage.reading() as tx:
        rows = tx.all("SELECT parameters FROM event_connection")
    assert CANARY not in json.dumps([rows[0], house.trail()])
    events.delete_connection(Name="hook")
    with refused("ResourceNotFoundException"):
        secrets.describe_secret(SecretId=told["SecretArn"])
    assert events.describe_api_destination(Name="hook")["ApiDestinationState"] == "INACTIVE"


def test_who_makes_a_connection_needs_the_rights_on_its_secret(house: House) -> None:
    with refused():
        house.client("events", house.user("ann", allow("events:*"))).create_connection(Name="c", **KEYED)
    may = (
        allow("events:*"),
        allow("secretsmanager:CreateSecret", on="arn:aws:secretsmanager:*:*:secret:events!*"),
        allow("iam:CreateServiceLinkedRole", on="arn:aws:iam::*:role/aws-service-role/apidestinations.events.amazonaws.com/*"),
    )  # fmt: skip
    bob = house.client("events", house.user("bob", *may))
    bob.create_connection(Name="c", **KEYED)
    bob.create_connection(Name="d", **KEYED)
    with refused():
        bob.update_connection(Name="d", AuthParameters={"ApiKeyAuthParameters": {"ApiKeyName": "Y"}})
    assert [each["Name"] for each in bob.list_connections()["Connections"]] == ["c", "d"]
    with refused("ResourceAlreadyExistsException"):
        bob.create_connection(Name="c", **KEYED)


def test_basic_authorization_and_parameters_of_the_connection(house: House, endpoint: Endpoint) -> None:
    connection = {
        "AuthorizationType": "BASIC",
        "AuthParameters": {
            "BasicAuthParameters": {"Username": "ann", "Password": "pass word"},
            "InvocationHttpParameters": {
                "HeaderParameters": [{"Key": "X-Fixed", "Value": "strong"}],
                "QueryStringParameters": [{"Key": "token", "Value": CANARY, "IsValueSecret": True}],
                "BodyParameters": [{"Key": "team", "Value": "red"}],
            },
        },
    }
    arn = hook(house, f"{endpoint.url}/a/*/b/*", connection, HttpMethod="PUT")
    heard(
        house,
        arn,
        InputPath="$.detail",
        HttpParameters={
            "PathParameterValues": ["$.detail.name", "x/../y"],
            "HeaderParameters": {"X-Fixed": "weak", "X-Name": "$.detail.name", "idempotency-key": "mine"},
            "QueryStringParameters": {"q": "$.detail.n"},
        },
    )
    event_id = tell(house.client("events"), {"name": "d/b", "n": 7})
    house.run_jobs()
    (call,) = endpoint.calls
    assert (call.method, call.path) == ("PUT", f"/a/d%2Fb/b/x%2F..%2Fy?q=7&token={CANARY}")
    assert call.json == {"name": "d/b", "n": 7, "team": "red"}
    assert call.headers["authorization"] == "Basic " + base64.b64encode(b"ann:pass word").decode()
    assert (call.headers["x-fixed"], call.headers["x-name"]) == ("strong", "d/b")
    assert call.headers["idempotency-key"].startswith(event_id)
    shown = house.client("events").describe_connection(Name="hook")["AuthParameters"]
    assert CANARY not in json.dumps(shown)
    assert shown["InvocationHttpParameters"]["QueryStringParameters"] == [{"Key": "token", "IsValueSecret": True}]


OAUTH = {
    "AuthorizationType": "OAUTH_CLIENT_CREDENTIALS",
    "AuthParameters": {
        "OAuthParameters": {
            "ClientParameters": {"ClientID": "id", "ClientSecret": CANARY},
            "AuthorizationEndpoint": "",
            "HttpMethod": "POST",
            "OAuthHttpParameters": {"BodyParameters": [{"Key": "scope", "Value": "hooks"}]},
        }
    },
}


def oauth(url: str) -> dict[str, Any]:
    connection: dict[str, Any] = json.loads(json.dumps(OAUTH))
    connection["AuthParameters"]["OAuthParameters"]["AuthorizationEndpoint"] = url
    return connection


def test_a_connection_with_oauth_is_authorized_by_a_token_and_asks_for_one_with_each_call(
    house: House, endpoint: Endpoint
) -> None:
    events = house.client("events")
    endpoint.answers = [(200, {}, b'{"access_token": "t-%d"}' % number) for number in range(2)]
    arn = hook(house, f"{endpoint.url}/in", oauth(f"{endpoint.url}/token"))
    assert events.describe_connection(Name="hook")["ConnectionState"] == "AUTHORIZING"
    house.run_jobs()
    assert events.describe_connection(Name="hook")["ConnectionState"] == "AUTHORIZED"
    heard(house, arn)
    tell(events)
    house.run_jobs()
    first, second, third = endpoint.calls
    assert first.body == second.body == b"grant_type=client_credentials&scope=hooks"
    assert first.headers["authorization"] == "Basic " + base64.b64encode(f"id:{CANARY}".encode()).decode()
    assert (third.path, third.headers["authorization"]) == ("/in", "Bearer t-1")


def test_a_connection_without_a_token_says_why(house: House, endpoint: Endpoint) -> None:
    endpoint.answers = [(400, {}, b'{"error": "invalid_client"}')]
    hook(house, f"{endpoint.url}/in", oauth(f"{endpoint.url}/token"))
    house.run_jobs()
    told = house.client("events").describe_connection(Name="hook")
    assert told["ConnectionState"] == "DEAUTHORIZED"
    assert told["StateReason"] == "The authorization endpoint answered 400 without an access token."


def test_a_connection_is_changed_deauthorized_and_authorized_again(house: House, endpoint: Endpoint) -> None:
    events = house.client("events")
    heard(house, hook(house, endpoint.url))
    events.update_connection(Name="hook", AuthParameters={"ApiKeyAuthParameters": {"ApiKeyValue": "second"}})
    tell(events)
    house.run_jobs()
    assert endpoint.calls[-1].headers["x-key"] == "second"
    assert events.deauthorize_connection(Name="hook")["ConnectionState"] == "DEAUTHORIZED"
    assert "SecretArn" not in events.describe_connection(Name="hook")
    tell(events)
    house.run_jobs()
    assert len(endpoint.calls) == 1
    basic = {"BasicAuthParameters": {"Username": "a", "Password": "b"}}
    with refused("ValidationException"):
        events.update_connection(Name="hook", AuthorizationType="BASIC")
    events.update_connection(Name="hook", AuthorizationType="BASIC", AuthParameters=basic)
    tell(events)
    house.run_jobs()
    assert endpoint.calls[-1].headers["authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    ("answer", "repeated"),
    [
        ((200, {}), False), ((204, {}), False), ((500, {}), True), ((503, {"Retry-After": "120"}), True), ((429, {}), True), ((401, {}), True),
        ((407, {}), True), ((409, {}), True), ((400, {}), False), ((403, {}), False), ((404, {}), False),
        ((302, {"Location": "http://127.0.0.1/"}), False),
    ],
)  # fmt: skip
def test_which_answers_are_tried_again(
    house: House, endpoint: Endpoint, answer: tuple[int, dict[str, str]], repeated: bool
) -> None:
    dead = Log(house, "dead")
    heard(house, hook(house, endpoint.url), DeadLetterConfig={"Arn": dead.arn})
    endpoint.answers = [(*answer, b"")]
    tell(house.client("events"))
    house.run_jobs()
    house.clock.turn(ms=1_001)
    house.run_jobs()
    waits = "Retry-After" in answer[1]
    assert len(endpoint.calls) == (2 if repeated and not waits else 1)
    if waits:
        house.clock.turn(ms=120_000)
        house.run_jobs()
        assert len(endpoint.calls) == 2
    keys = {call.headers["idempotency-key"] for call in endpoint.calls}
    assert len(keys) == 1
    lost = not repeated and answer[0] >= 300
    assert [letter["attributes"]["ERROR_MESSAGE"] for letter in dead.lines()] == (
        [f"The endpoint answered {answer[0]}."] if lost else []
    )


def test_a_role_that_may_not_calls_nobody(house: House, endpoint: Endpoint) -> None:
    dead = Log(house, "dead")
    arn = hook(house, endpoint.url)
    events = house.client("events")
    strange = role(house, "strange", INVOKES, trusts="lambda.amazonaws.com")
    weak = role(house, "weak", allow("events:InvokeApiDestination", on=arn + "x"))
    for given in (strange, weak):
        listen(events, arn, RoleArn=given, DeadLetterConfig={"Arn": dead.arn})
        tell(events)
        house.run_jobs()
    assert [letter["attributes"]["ERROR_CODE"] for letter in dead.lines()] == ["NO_PERMISSIONS", "NO_PERMISSIONS"]
    assert endpoint.calls == []
    listen(events, arn, RoleArn=role(house, "exact", allow("events:InvokeApiDestination", on=arn)))
    tell(events)
    house.run_jobs()
    assert len(endpoint.calls) == 1


def test_a_destination_is_called_at_its_pace(house: House, endpoint: Endpoint) -> None:
    heard(house, hook(house, endpoint.url, InvocationRateLimitPerSecond=2))
    for _ in range(3):
        tell(house.client("events"))
    for expected in (1, 2, 3):
        house.run_jobs()
        assert len(endpoint.calls) == expected
        house.clock.turn(ms=500)
    assert [attempts for _, attempts in waiting(house)] == []


@pytest.mark.parametrize(
    "url",
    ["ftp://example.com/", "https://user@example.com/", "https://127.1/", "https://exam ple.com/", "https://", "example.com", "https://*.example.com/"],
)  # fmt: skip
def test_an_endpoint_that_is_none_is_refused(house: House, url: str) -> None:
    with refused("ValidationException"):
        hook(house, url)


def test_destinations_are_told_changed_and_deleted(house: House) -> None:
    events = house.client("events")
    arn = hook(house, "https://example.com/")
    connection = events.describe_connection(Name="hook")["ConnectionArn"]
    events.update_api_destination(Name="hook", HttpMethod="PATCH", Description="d")
    told = events.describe_api_destination(Name="hook")
    assert (told["ApiDestinationArn"], told["HttpMethod"], told["Description"], told["ApiDestinationState"]) == (
        arn, "PATCH", "d", "ACTIVE",
    )  # fmt: skip
    assert told["InvocationRateLimitPerSecond"] == 300
    assert len(events.list_api_destinations(ConnectionArn=connection)["ApiDestinations"]) == 1
    assert events.list_api_destinations(NamePrefix="x")["ApiDestinations"] == []
    with refused("ResourceNotFoundException"):
        events.update_api_destination(Name="hook", ConnectionArn=connection[:-36] + str(uuid.uuid4()))
    events.delete_api_destination(Name="hook")
    with refused("ResourceNotFoundException") as caught:
        events.describe_api_destination(Name="hook")
    assert caught[0].response["Error"]["Message"] == (
        "Failed to describe the api-destination(s). An api-destination 'hook' does not exist."
    )


@pytest.mark.parametrize(
    "given",
    [
        {"AuthorizationType": "BASIC"},
        {"AuthParameters": {"BasicAuthParameters": {"Username": "a", "Password": "b"}}},
        {"AuthParameters": {**KEYED["AuthParameters"], "BasicAuthParameters": {"Username": "a", "Password": "b"}}},  # type: ignore[dict-item]
        {"InvocationConnectivityParameters": {"ResourceParameters": {"ResourceConfigurationArn": ""}}},
    ],
)
def test_parameters_that_do_not_go_together_are_refused(house: House, given: dict[str, Any]) -> None:
    with refused("ValidationException"):
        house.client("events").create_connection(Name="c", **{**KEYED, **given})


def test_an_endpoint_that_does_not_answer_rests_for_every_event_that_waits(house: House) -> None:
    """It is asked once a while, however many wait: a worker that hangs on it is missed elsewhere."""
    asked: list[str] = []
    up: list[str] = []

    def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        if not up:
            raise OSError
        return up

    carried_by(house, ("http://hooks.internal",), resolve)
    with Endpoint() as endpoint:
        heard(house, hook(house, f"http://hooks.internal:{endpoint.port}/"))
        for _ in range(20):
            tell(house.client("events"))
        tries = []
        for _ in range(8):
            before = len(asked)
            house.run_jobs()
            tries.append(len(asked) - before)
            house.clock.turn(ms=1_000)
        assert tries == [1, 1, 0, 1, 0, 0, 0, 1]  # after 0, 1, 3 and 7 seconds
        assert max(attempts for _, attempts in waiting(house)) <= 4
        up.append("127.0.0.1")
        house.clock.turn(ms=60_000)
        house.run_jobs()
        assert len({call.json["id"] for call in endpoint.calls}) == 20
    assert list(waiting(house)) == []


def test_an_event_that_waits_for_an_endpoint_becomes_too_old(house: House) -> None:
    def nowhere(_host: str, _port: int) -> list[str]:
        raise OSError

    carried_by(house, (), nowhere)
    dead = Log(house, "dead")
    policy = {"MaximumEventAgeInSeconds": 60}
    heard(house, hook(house, "https://nowhere.example.com/"), RetryPolicy=policy, DeadLetterConfig={"Arn": dead.arn})
    for _ in range(3):
        tell(house.client("events"))
    for _ in range(40):
        house.run_jobs()
        house.clock.turn(ms=5_000)
    assert [letter["attributes"]["EXHAUSTED_RETRY_CONDITION"] for letter in dead.lines()] == [
        "MaximumEventAgeInSeconds"
    ] * 3
    assert list(waiting(house)) == []
