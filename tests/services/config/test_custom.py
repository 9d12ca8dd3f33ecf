"""Rules of one's own: a function is told of secrets, and tells what it thinks."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest

from geumgo.access.demand import Demand, Target
from geumgo.context import Context, Params
from geumgo.domain.policy import PolicyKind, compile_policy
from geumgo.pipeline import Pipeline
from geumgo.room import Access, Room, operation
from tests.services.config.conftest import Watched
from tests.services.config.test_rules import refused

ON_CHANGES = {"EventSource": "aws.config", "MessageType": "ConfigurationItemChangeNotification"}
HOURLY = {
    "EventSource": "aws.config",
    "MessageType": "ScheduledNotification",
    "MaximumExecutionFrequency": "One_Hour",
}


class Functions:
    """A Lambda that remembers what it was invoked with. `admits` is whom its policy lets in."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.sources: list[tuple[str, ...]] = []
        self.admits = "config.amazonaws.com"

    def room(self) -> Room:
        @operation
        def invoke(ctx: Context, request: Params) -> Params:
            if request["InvocationType"] == "DryRun":
                return {"StatusCode": 204}
            assert request["InvocationType"] == "Event"
            self.heard.append(json.loads(request["Payload"]))
            self.sources.append(ctx.conditions.get("aws:SourceArn", ()))
            return {"StatusCode": 202}

        def demands(ctx: Context, request: Params) -> Any:
            statement = {
                "Effect": "Allow",
                "Principal": {"Service": self.admits},
                "Action": "lambda:InvokeFunction",
                "Resource": "*",
            }
            policy = compile_policy(json.dumps({"Version": "2012-10-17", "Statement": statement}), PolicyKind.RESOURCE)
            name = request["FunctionName"]
            return (Demand("lambda:InvokeFunction", Target(name, name, ctx.place.account, policy)),)

        chapter = ModuleType("chapter")
        vars(chapter)["invoke"] = invoke
        return Room("lambda", chapters=[chapter], access={"Invoke": Access(demands)})


@pytest.fixture
def functions(place: Watched) -> Functions:
    made = Functions()
    house = place.house
    parts = house.app.pipeline._parts
    house.app.pipeline = Pipeline(
        replace(parts, rooms={**parts.rooms, "lambda": made.room()}, publisher=place.listener)
    )
    house.app.worker._ask = house.app.pipeline.act_alone
    return made


def put(place: Watched, *details: dict[str, str], name: str = "rule", **given: Any) -> None:
    function = f"arn:aws:lambda:us-east-1:{place.house.account}:function:judge"
    source = {"Owner": "CUSTOM_LAMBDA", "SourceIdentifier": function, "SourceDetails": list(details)}
    place.config.put_config_rule(ConfigRule={"ConfigRuleName": name, "Source": source, **given})


def evaluation(arn: str, compliance: str, at: datetime, **more: Any) -> dict[str, Any]:
    return {
        "ComplianceResourceType": "AWS::SecretsManager::Secret",
        "ComplianceResourceId": arn,
        "ComplianceType": compliance,
        "OrderingTimestamp": at,
        **more,
    }


def test_a_function_judges_what_has_changed(place, functions):
    put(place, ON_CHANGES, InputParameters='{"least":"3"}')
    place.house.run_jobs()
    arn = place.secrets.create_secret(Name="a", SecretString="x", Tags=[{"Key": "team", "Value": "x"}])["ARN"]
    place.house.clock.turn(ms=1_000)
    place.house.run_jobs()
    (told,) = functions.heard
    rule = place.config.describe_config_rules()["ConfigRules"][0]
    assert functions.sources == [(rule["ConfigRuleArn"],)]
    assert (told["ruleParameters"], told["configRuleName"], told["accountId"]) == ('{"least":"3"}', "rule", place.house.account)  # fmt: skip
    item = json.loads(told["invokingEvent"])["configurationItem"]
    assert (item["resourceId"], item["resourceName"], item["tags"]) == (arn, "a", {"team": "x"})
    assert "x" not in item["configuration"].values()

    now = datetime.fromtimestamp(place.house.clock.now_ms() / 1000, UTC)
    tell = place.config.put_evaluations
    said = tell(
        Evaluations=[evaluation(arn, "NON_COMPLIANT", now, Annotation="too short")], ResultToken=told["resultToken"]
    )
    assert said["FailedEvaluations"] == []
    assert place.verdicts() == {"a": "NON_COMPLIANT"}
    assert place.listener.changes() == [("a", None, "NON_COMPLIANT")]
    tell(Evaluations=[evaluation(arn, "COMPLIANT", now - timedelta(hours=1))], ResultToken=told["resultToken"])
    assert place.verdicts() == {"a": "NON_COMPLIANT"}, "what is older changes nothing"
    later = [
        evaluation(arn, "COMPLIANT", now + timedelta(hours=2)),
        evaluation(arn, "NON_COMPLIANT", now + timedelta(hours=1)),
    ]
    tell(Evaluations=later, ResultToken=told["resultToken"])
    assert place.listener.changes() == [("a", "NON_COMPLIANT", "COMPLIANT")]

    place.secrets.delete_secret(SecretId="a", ForceDeleteWithoutRecovery=True)
    place.house.clock.turn(ms=1_000)
    place.house.run_jobs()
    assert place.verdicts() == {}


def test_a_function_can_be_told_that_it_is_time(place, functions):
    put(place, HOURLY)
    place.house.run_jobs()
    place.house.clock.turn(ms=3_600_000)
    place.house.run_jobs()
    assert [json.loads(told["invokingEvent"])["messageType"] for told in functions.heard] == [
        "ScheduledNotification"
    ] * 2
    status = place.config.describe_config_rule_evaluation_status()["ConfigRulesEvaluationStatus"][0]
    assert "LastSuccessfulInvocationTime" in status


def test_a_function_that_config_may_not_invoke_makes_no_rule(place, functions):
    functions.admits = "events.amazonaws.com"
    with pytest.raises(Exception, match="InsufficientPermissionsException"):
        put(place, HOURLY)
    functions.admits = "config.amazonaws.com"
    put(place, HOURLY)
    functions.admits = "events.amazonaws.com"
    place.house.run_jobs()
    status = place.config.describe_config_rule_evaluation_status()["ConfigRulesEvaluationStatus"][0]
    assert status["LastErrorCode"] == "AccessDeniedException"


def test_only_who_was_invoked_can_speak_for_a_rule(place, functions):
    put(place, HOURLY)
    place.house.run_jobs()
    token = functions.heard[0]["resultToken"]
    now = datetime.now(UTC)
    one = [evaluation("arn", "COMPLIANT", now)]
    tell = place.config.put_evaluations
    refused("InvalidResultTokenException", tell, Evaluations=one, ResultToken="x")
    refused("InvalidResultTokenException", tell, Evaluations=one, ResultToken=token[:-6] + "AAAAAA")
    refused(
        "InvalidParameterValueException",
        tell,
        Evaluations=[evaluation("arn", "INSUFFICIENT_DATA", now)],
        ResultToken=token,
    )
    tell(Evaluations=one, ResultToken="TESTMODE", TestMode=True)
    assert place.config.get_compliance_details_by_config_rule(ConfigRuleName="rule")["EvaluationResults"] == []
    place.config.delete_config_rule(ConfigRuleName="rule")
    refused("NoSuchConfigRuleException", tell, Evaluations=one, ResultToken=token)


@pytest.mark.parametrize(
    "details",
    [[], [{"EventSource": "aws.config"}], [{**ON_CHANGES, "MaximumExecutionFrequency": "One_Hour"}]],
    ids=["none", "no type", "frequency"],
)
def test_source_details_that_cannot_be(place, functions, details):
    with pytest.raises(Exception, match="InvalidParameterValueException"):
        put(place, *details)
