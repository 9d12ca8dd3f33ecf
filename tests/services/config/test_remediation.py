"""What is done about secrets that do not keep to a rule."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.services.config.conftest import Watched
from tests.services.config.test_rules import refused

KIND = "AWS::SecretsManager::Secret"
CMK = "SECRETSMANAGER_USING_CMK"


def role(place: Watched, *actions: str) -> str:
    """A role that Automation may assume, with these actions."""
    iam = place.house.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": "ssm.amazonaws.com"}, "Action": "sts:AssumeRole"}
    made = iam.create_role(
        RoleName="acts", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": trust})
    )
    if actions:
        allow(place, *actions)
    arn: str = made["Role"]["Arn"]
    return arn


def allow(place: Watched, *actions: str) -> None:
    statement = {"Effect": "Allow", "Action": [f"secretsmanager:{each}" for each in actions], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": statement})
    place.house.client("iam").put_role_policy(RoleName="acts", PolicyName="may", PolicyDocument=policy)


def remediation(document: str, role_arn: str, rule: str = "rule", **given: Any) -> dict[str, Any]:
    more = {name: {"StaticValue": {"Values": [value]}} for name, value in given.pop("values", {}).items()}
    return {
        "ConfigRuleName": rule,
        "TargetType": "SSM_DOCUMENT",
        "TargetId": document,
        "Parameters": {
            "SecretId": {"ResourceValue": {"Value": "RESOURCE_ID"}},
            "AutomationAssumeRole": {"StaticValue": {"Values": [role_arn]}},
            **more,
        },
        **given,
    }


def put(place: Watched, *made: dict[str, Any]) -> None:
    assert place.config.put_remediation_configurations(RemediationConfigurations=list(made))["FailedBatches"] == []


def states(place: Watched) -> dict[str, str]:
    found = place.config.describe_remediation_execution_status(ConfigRuleName="rule")["RemediationExecutionStatuses"]
    return {each["ResourceKey"]["resourceId"].rpartition(":")[2][:-7]: each["State"] for each in found}


@pytest.fixture
def rule(place: Watched) -> str:
    """A rule that the secret a does not keep to; answers the secret's ARN."""
    arn: str = place.secrets.create_secret(Name="a", SecretString="x")["ARN"]
    place.rule(CMK)
    place.house.clock.turn(ms=1_000)
    place.house.run_jobs()
    assert place.verdicts() == {"a": "NON_COMPLIANT"}
    return arn


@pytest.mark.parametrize(
    ("document", "actions", "values", "seen"),
    [
        ("Geumgo-TagSecret", ["TagResource"], {"TagKey": "team"}, lambda s: {"Key": "team", "Value": "true"} in s.describe_secret(SecretId="a")["Tags"]),
        ("Geumgo-DenySecret", ["GetResourcePolicy", "PutResourcePolicy"], {}, lambda s: "DenyWhileNonCompliant" in s.get_resource_policy(SecretId="a")["ResourcePolicy"]),
        ("Geumgo-ScheduleSecretDeletion", ["DeleteSecret"], {"RecoveryWindowInDays": "7"}, lambda s: "DeletedDate" in s.describe_secret(SecretId="a")),
    ],
)  # fmt: skip
def test_a_document_is_run_when_somebody_asks(place, rule, document, actions, values, seen):
    made = remediation(document, role(place, *actions), values=values)
    put(place, made)
    (shown,) = place.config.describe_remediation_configurations(ConfigRuleNames=["rule", "other"])[
        "RemediationConfigurations"
    ]
    assert shown.pop("Arn").startswith(
        f"arn:aws:config:us-east-1:{place.house.account}:remediation-configuration/rule/"
    )
    assert shown == made
    place.house.run_jobs()
    assert states(place) == {}, "it is not automatic"
    key = {"resourceType": KIND, "resourceId": rule}
    assert "FailedItems" not in place.config.start_remediation_execution(ConfigRuleName="rule", ResourceKeys=[key])
    assert states(place) == {"a": "QUEUED"}
    again = place.config.start_remediation_execution(ConfigRuleName="rule", ResourceKeys=[key])
    assert again["FailedItems"] == [key]
    refused("RemediationInProgressException", place.config.delete_remediation_configuration, ConfigRuleName="rule")
    place.house.run_jobs()
    status = place.config.describe_remediation_execution_status(ConfigRuleName="rule", ResourceKeys=[key])
    (run,) = status["RemediationExecutionStatuses"]
    assert run["State"] == "SUCCEEDED", run
    assert [step["State"] for step in run["StepDetails"]] == ["SUCCEEDED"] * len(actions)
    assert seen(place.secrets)
    refused("ResourceInUseException", place.config.delete_config_rule, ConfigRuleName="rule")
    place.config.delete_remediation_configuration(ConfigRuleName="rule")
    refused(
        "NoSuchRemediationConfigurationException",
        place.config.describe_remediation_execution_status,
        ConfigRuleName="rule",
    )
    assumed = [each for each in place.house.trail() if each["eventName"] == "AssumeRole"]
    assert assumed[-1]["userIdentity"]["invokedBy"] == "ssm.amazonaws.com"


def test_a_denial_stands_beside_the_policy_of_the_secret(place, rule):
    own = {"Sid": "Own", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{place.house.account}:root"}, "Action": "secretsmanager:*", "Resource": "*"}  # fmt: skip
    place.secrets.put_resource_policy(
        SecretId="a", ResourcePolicy=json.dumps({"Version": "2012-10-17", "Statement": own})
    )
    put(place, remediation("Geumgo-DenySecret", role(place, "GetResourcePolicy", "PutResourcePolicy")))
    for _ in range(2):
        place.config.start_remediation_execution(ConfigRuleName="rule", ResourceKeys=[{"resourceType": KIND, "resourceId": rule}])  # fmt: skip
        place.house.run_jobs()
    policy = json.loads(place.secrets.get_resource_policy(SecretId="a")["ResourcePolicy"])
    assert [each["Sid"] for each in policy["Statement"]] == ["Own", "DenyWhileNonCompliant"]
    with pytest.raises(ClientError, match="explicit deny"):
        place.secrets.get_secret_value(SecretId="a")


def test_an_automatic_remediation_follows_each_fall(place, rule):
    made = remediation("Geumgo-TagSecret", role(place, "TagResource"), Automatic=True)
    put(place, made)
    place.house.run_jobs()
    assert states(place) == {"a": "SUCCEEDED"}, "what was NON_COMPLIANT already is not forgotten"
    place.secrets.create_secret(Name="b", SecretString="x")
    place.house.clock.turn(ms=1_000)
    place.house.run_jobs()
    assert states(place) == {"a": "SUCCEEDED", "b": "SUCCEEDED"}


def test_an_automatic_remediation_that_fails_is_tried_again(place, rule):
    put(place, remediation("Geumgo-TagSecret", role(place, "DescribeSecret"), Automatic=True, MaximumAutomaticAttempts=3, RetryAttemptSeconds=100))  # fmt: skip
    place.house.run_jobs()
    key = {"resourceType": KIND, "resourceId": rule}

    def run() -> dict[str, Any]:
        found = place.config.describe_remediation_execution_status(ConfigRuleName="rule", ResourceKeys=[key])
        (only,) = found["RemediationExecutionStatuses"]
        return dict(only)

    assert run()["State"] == "FAILED"
    assert "secretsmanager:TagResource" in run()["StepDetails"][0]["ErrorMessage"]
    place.house.clock.turn(ms=99_999)
    assert place.house.run_jobs() == 0
    place.house.clock.turn(ms=1)
    assert place.house.run_jobs() == 1
    allow(place, "TagResource")
    place.house.clock.turn(ms=100_000)
    place.house.run_jobs()
    assert run()["State"] == "SUCCEEDED"


def test_a_failure_is_tried_as_often_as_it_says_and_not_more(place, rule):
    put(
        place,
        remediation("Geumgo-TagSecret", role(place, "DescribeSecret"), Automatic=True, MaximumAutomaticAttempts=2),
    )
    for _ in range(5):
        place.house.run_jobs()
        place.house.clock.turn(ms=60_000)
    tries = [each for each in place.house.trail() if each["eventName"] == "TagResource"]
    assert [each["errorCode"] for each in tries] == ["AccessDenied"] * 2


def test_what_is_excepted_is_left_alone_until_the_exception_ends(place, rule):
    config = place.config
    key = {"ResourceType": KIND, "ResourceId": rule}
    until = place.house.clock.now_ms() / 1000 + 60
    config.put_remediation_exceptions(ConfigRuleName="rule", ResourceKeys=[key], Message="later", ExpirationTime=until)
    (shown,) = config.describe_remediation_exceptions(ConfigRuleName="rule")["RemediationExceptions"]
    assert (shown["ResourceId"], shown["Message"]) == (rule, "later")
    made = remediation("Geumgo-TagSecret", role(place, "TagResource"), Automatic=True)
    put(place, made)
    place.house.run_jobs()
    assert states(place) == {}
    place.house.clock.turn(ms=60_000)
    assert config.describe_remediation_exceptions(ConfigRuleName="rule")["RemediationExceptions"] == []
    put(place, made)
    place.house.run_jobs()
    assert states(place) == {"a": "SUCCEEDED"}
    config.delete_remediation_exceptions(ConfigRuleName="rule", ResourceKeys=[key])
    refused("NoSuchRemediationExceptionException", config.delete_remediation_exceptions, ConfigRuleName="rule", ResourceKeys=[key])  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {"TargetId": "AWS-PublishSNSNotification"},
        {"TargetVersion": "7"},
        {"ResourceType": "AWS::KMS::Key"},
        {"Parameters": {}},
        {"Parameters": {"Other": {"StaticValue": {"Values": ["x"]}}}},
        {"values": {"RecoveryWindowInDays": "3"}},
        {"values": {"RecoveryWindowInDays": "31"}},
    ],
    ids=str,
)
def test_remediations_that_cannot_be(place, rule, changes):
    made = remediation("Geumgo-ScheduleSecretDeletion", role(place), **changes)
    refused(
        "InvalidParameterValueException", place.config.put_remediation_configurations, RemediationConfigurations=[made]
    )


def test_the_role_must_be_static_and_its_giver_allowed_to_pass_it(place, rule):
    arn = role(place)
    made = remediation("Geumgo-TagSecret", arn)
    ann = place.house.user("ann", {"Effect": "Allow", "Action": "config:*", "Resource": "*"})
    said = refused("AccessDeniedException", place.house.client("config", ann).put_remediation_configurations, RemediationConfigurations=[made])  # fmt: skip
    assert "iam:PassRole" in said
    made["Parameters"]["AutomationAssumeRole"] = {"ResourceValue": {"Value": "RESOURCE_ID"}}
    refused(
        "InvalidParameterValueException", place.config.put_remediation_configurations, RemediationConfigurations=[made]
    )
