"""A function of the real Lambda room as a target."""

import json
from typing import Any

from tests.functions.zips import package
from tests.house import House
from tests.services.events.conftest import Log, listen, tell, waiting
from tests.services.lambda_.conftest import TRUST

CODE = "def handler(event, context):\n    print('heard', event['detail']['name'])\n"


def make(house: House) -> str:
    role = house.client("iam").create_role(RoleName="runs", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    made: str = house.client("lambda").create_function(
        FunctionName="hears", Runtime="python3.12", Role=role, Handler="app.handler", Code={"ZipFile": package(CODE)}
    )["FunctionArn"]
    return made


def permit(house: House, rule: str) -> None:
    house.client("lambda").add_permission(
        FunctionName="hears",
        StatementId="rule",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=rule,
    )


def test_a_function_hears_if_its_policy_admits_the_rule(house: House, events: Any) -> None:
    dead = Log(house, "dead")
    rule = listen(events, make(house), DeadLetterConfig={"Arn": dead.arn})
    tell(events, {"name": "too early"})
    house.run_jobs()
    permit(house, rule + "x")
    tell(events, {"name": "for another"})
    house.run_jobs()
    house.client("lambda").remove_permission(FunctionName="hears", StatementId="rule")
    permit(house, rule)
    tell(events, {"name": "db"})
    house.run_jobs()
    assert [letter["attributes"]["ERROR_CODE"] for letter in dead.lines()] == ["NO_PERMISSIONS", "NO_PERMISSIONS"]
    (log,) = (house.settings.data / "functions").rglob("hears.log")
    assert log.read_bytes().count(b"heard db") == 1
    assert b"too early" not in log.read_bytes()
    assert list(waiting(house)) == []


def test_a_function_that_is_gone_is_a_dead_letter(house: House, events: Any) -> None:
    dead = Log(house, "dead")
    arn = make(house)
    listen(events, arn, DeadLetterConfig={"Arn": dead.arn})
    house.client("lambda").delete_function(FunctionName="hears")
    tell(events)
    house.run_jobs()
    (letter,) = dead.lines()
    assert letter["attributes"]["ERROR_CODE"] in ("NO_RESOURCE", "NO_PERMISSIONS")
    assert json.dumps(letter["event"])
