"""Managed external secrets: kept and shown as AWS keeps and shows them, and never said to be rotated."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.house import House

SALESFORCE = {
    "consumerKey": "k",
    "consumerSecret": "very secret",
    "baseUri": "https://x",
    "appId": "a",
    "consumerId": "c",
}
READ = [
    "secretsmanager:DescribeSecret",
    "secretsmanager:GetSecretValue",
    "secretsmanager:PutSecretValue",
    "secretsmanager:UpdateSecretVersionStage",
]


class World:
    def __init__(self, house: House) -> None:
        self.house, self.sm, self.iam = house, house.client("secretsmanager"), house.client("iam")
        self.admin = f"arn:aws:secretsmanager:us-east-1:{house.account}:secret:admin-AbCdEf"
        self.metadata = [{"Key": "apiVersion", "Value": "v65.0"}, {"Key": "adminSecretArn", "Value": self.admin}]

    def role(
        self, name: str = "rotates", *, trusts: str = "secretsmanager.amazonaws.com", actions: list[str] = READ
    ) -> str:
        condition = {
            "StringEquals": {"aws:SourceAccount": self.house.account},
            "ArnLike": {"aws:SourceArn": "arn:aws:secretsmanager:*:*:secret:*"},
        }
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": trusts},
            "Action": "sts:AssumeRole",
            "Condition": condition,
        }
        document = {"Version": "2012-10-17", "Statement": [trust]}
        arn: str = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(document))["Role"]["Arn"]
        by_type = {"StringEquals": {"secretsmanager:resource/Type": "SalesforceClientSecret"}}
        if actions:
            allowed = {"Effect": "Allow", "Action": actions, "Resource": "*", "Condition": by_type}
            policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
            self.iam.put_role_policy(RoleName=name, PolicyName="reads", PolicyDocument=policy)
        return arn

    def make(self, value: Any = SALESFORCE, **params: Any) -> None:
        text = value if isinstance(value, str) else json.dumps(value)
        self.sm.create_secret(**{"Name": "s", "Type": "SalesforceClientSecret", "SecretString": text, **params})

    def rotate(self, **params: Any) -> Any:
        return self.sm.rotate_secret(SecretId="s", **params)

    def here(self, params: dict[str, Any]) -> dict[str, Any]:
        """With the account of this house where the tables say 123456789012."""
        return dict(json.loads(json.dumps(params).replace("123456789012", self.house.account)))

    def failures(self) -> list[str]:
        records = self.house.trail()
        return [each["errorMessage"] for each in records if each["eventName"].endswith(("RotationFailed",))]


@pytest.fixture
def world(house: House) -> World:
    return World(house)


def test_what_was_said_of_it_is_shown_again(world: World) -> None:
    world.make()
    role = world.role()
    world.rotate(
        ExternalSecretRotationRoleArn=role,
        ExternalSecretRotationMetadata=world.metadata,
        RotationRules={"AutomaticallyAfterDays": 30},
    )
    for shown in (world.sm.describe_secret(SecretId="s"), world.sm.list_secrets()["SecretList"][0]):
        assert shown["Type"] == "SalesforceClientSecret"
        assert shown["ExternalSecretRotationRoleArn"] == role
        assert shown["ExternalSecretRotationMetadata"] == world.metadata
        assert (shown["RotationEnabled"], shown["RotationRules"]) == (True, {"AutomaticallyAfterDays": 30})
        assert "RotationLambdaARN" not in shown
    world.sm.update_secret(SecretId="s", Type="BigIDClientSecret")
    assert world.sm.describe_secret(SecretId="s")["Type"] == "BigIDClientSecret"


def test_no_rotation_is_said_to_have_succeeded(world: World) -> None:
    world.make()
    token = world.rotate(ExternalSecretRotationRoleArn=world.role(), ExternalSecretRotationMetadata=world.metadata)[
        "VersionId"
    ]
    for _ in range(5):
        world.house.run_jobs()
        world.house.clock.turn(ms=3_600_000)
    said = world.failures()
    assert set(said) == {"Salesforce cannot be reached: this server does not speak to it."}
    assert len(said) >= 3
    shown = world.sm.describe_secret(SecretId="s")
    assert "LastRotatedDate" not in shown
    assert shown["VersionIdsToStages"][token] == ["AWSPENDING"]
    assert json.loads(world.sm.get_secret_value(SecretId="s")["SecretString"]) == SALESFORCE
    with pytest.raises(ClientError, match=r"InvalidRequestException.*A previous rotation isn't complete"):
        world.rotate()
    names = {each["eventName"] for each in world.house.trail()}
    assert "RotationSucceeded" not in names
    assert "very secret" not in json.dumps(world.house.trail())
    read = [
        each
        for each in world.house.trail()
        if each["eventName"] == "GetSecretValue" and each["userIdentity"]["type"] == "AssumedRole"
    ]
    assert read, "the secret was read as the role"


def test_a_test_of_the_rotation_fails_and_leaves_nothing(world: World) -> None:
    world.make()
    world.rotate(
        ExternalSecretRotationRoleArn=world.role(),
        ExternalSecretRotationMetadata=world.metadata,
        RotateImmediately=False,
    )
    world.house.run_jobs()
    assert world.failures() == ["Salesforce cannot be reached: this server does not speak to it."]
    assert list(world.sm.describe_secret(SecretId="s")["VersionIdsToStages"].values()) == [["AWSCURRENT"]]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("text", "is a JSON object, and this is none"),
        ({**SALESFORCE, "appId": ""}, "has no appId"),
        ([1], "is a JSON object"),
    ],
)
def test_a_value_that_its_partner_would_not_know_is_said_so(world: World, value: Any, says: str) -> None:
    world.make(value)
    world.rotate(ExternalSecretRotationRoleArn=world.role(), ExternalSecretRotationMetadata=world.metadata)
    world.house.run_jobs()
    assert says in world.failures()[0]


def test_a_role_that_may_not_read_it_is_said_so(world: World) -> None:
    world.make()
    role = world.role(actions=[])
    world.rotate(ExternalSecretRotationRoleArn=role, ExternalSecretRotationMetadata=world.metadata)
    world.house.run_jobs()
    assert world.failures() == [f"The secret cannot be read as {role}: AccessDeniedException"]


@pytest.mark.parametrize(
    ("params", "says"),
    [
        (
            {"ExternalSecretRotationRoleArn": None},
            "InvalidParameterException.*must provide ExternalSecretRotationRoleArn",
        ),
        (
            {"ExternalSecretRotationRoleArn": "arn:aws:iam::123456789012:user/x"},
            "InvalidParameterException.*not the ARN of a role",
        ),
        (
            {"ExternalSecretRotationRoleArn": "arn:aws:iam::123456789012:role/nobody"},
            "InvalidRequestException.*Secrets Manager is unable to assume role",
        ),
        ({"ExternalSecretRotationMetadata": None}, "must have adminSecretArn, apiVersion"),
        ({"ExternalSecretRotationMetadata": [{"Key": "apiVersion"}]}, "must have a Key and a Value"),
        ({"ExternalSecretRotationMetadata": [{"Key": "apiVersion", "Value": "1"}] * 2}, "occurs more than once"),
        ({"RotationLambdaARN": "arn:aws:lambda:us-east-1:123456789012:function:x"}, "RotationLambdaARN can't be used"),
    ],
)
def test_what_a_rotation_must_not_be_told_is_refused(world: World, params: dict[str, Any], says: str) -> None:
    world.make()
    given = {"ExternalSecretRotationRoleArn": world.role(), "ExternalSecretRotationMetadata": world.metadata, **params}
    with pytest.raises(ClientError, match=says):
        world.rotate(**world.here({key: value for key, value in given.items() if value is not None}))
    assert "RotationEnabled" not in world.sm.describe_secret(SecretId="s")


def test_a_role_of_somebody_else_is_not_assumed(world: World) -> None:
    world.make()
    with pytest.raises(ClientError, match="Secrets Manager is unable to assume role"):
        world.rotate(
            ExternalSecretRotationRoleArn=world.role(trusts="lambda.amazonaws.com"),
            ExternalSecretRotationMetadata=world.metadata,
        )


@pytest.mark.parametrize(
    ("secret_type", "metadata", "rules", "says"),
    [
        ("SnowflakePat", {"daysToExpiry": "365", "expireOldTokenAfterHours": "0"}, {}, ""),
        ("SnowflakePat", {"daysToExpiry": "366"}, {}, "daysToExpiry of ExternalSecretRotationMetadata is not valid"),
        ("SnowflakePat", {"daysToExpiry": "9" * 400}, {}, "daysToExpiry"),
        ("SnowflakePat", {"daysToExpiry": "١"}, {}, "daysToExpiry"),
        ("SnowflakePat", {"other": "1"}, {}, "has no other"),
        ("SnowflakeKeyPairAuthentication", {"cryptographicAlgorithm": "RS512"}, {}, ""),
        ("SnowflakeKeyPairAuthentication", {"cryptographicAlgorithm": "none"}, {}, "cryptographicAlgorithm"),
        ("MongoDBAtlasDatabaseUser", {"adminSecretArn": "arn:aws:iam::123456789012:role/x"}, {}, "adminSecretArn"),
        ("CiscoSecurityPlatformApiKey", {}, {"AutomaticallyAfterDays": 50}, ""),
        ("CiscoSecurityPlatformApiKey", {}, {"AutomaticallyAfterDays": 51}, "every 50 days at least"),
        ("CiscoSecurityPlatformApiKey", {}, {"ScheduleExpression": "rate(51 days)"}, "every 50 days at least"),
        ("NetskopeApiToken", {}, {"ScheduleExpression": "rate(12 hours)"}, ""),
        ("NetskopeApiToken", {}, {"ScheduleExpression": "rate(351 days)"}, "every 350 days at least"),
    ],
)
def test_each_partner_wants_its_own(
    world: World, secret_type: str, metadata: dict[str, str], rules: dict[str, Any], says: str
) -> None:
    world.make("{}", Type=secret_type)
    pairs = [{"Key": key, "Value": value} for key, value in metadata.items()]
    given: dict[str, Any] = {"ExternalSecretRotationRoleArn": world.role()}
    if pairs:
        given["ExternalSecretRotationMetadata"] = pairs
    if rules:
        given["RotationRules"] = rules
    if says:
        with pytest.raises(ClientError, match=rf"InvalidParameterException.*{says}"):
            world.rotate(**given)
    else:
        world.rotate(**given)


def test_what_is_no_external_secret_takes_none_of_it(world: World) -> None:
    with pytest.raises(
        ClientError, match=r"InvalidParameterException.*NobodysSecret is not one of a managed external secret"
    ):
        world.make(Type="NobodysSecret")
    world.make(Type="")
    assert "Type" not in world.sm.describe_secret(SecretId="s")
    with pytest.raises(ClientError, match=r"InvalidParameterException.*Type can only be changed"):
        world.sm.update_secret(SecretId="s", Type="SalesforceClientSecret")
    for member, value in (
        ("ExternalSecretRotationRoleArn", world.role()),
        ("ExternalSecretRotationMetadata", world.metadata),
    ):
        with pytest.raises(ClientError, match=rf"InvalidParameterException.*{member} can only be used"):
            world.rotate(**{member: value})


def test_who_gives_a_role_must_be_allowed_to(world: World) -> None:
    world.make()
    role = world.role()
    rotates = {"Effect": "Allow", "Action": "secretsmanager:RotateSecret", "Resource": "*"}
    passes = {
        "Effect": "Allow",
        "Action": "iam:PassRole",
        "Resource": role,
        "Condition": {"StringEquals": {"iam:PassedToService": "secretsmanager.amazonaws.com"}},
    }
    given = {"SecretId": "s", "ExternalSecretRotationRoleArn": role, "ExternalSecretRotationMetadata": world.metadata}
    with pytest.raises(ClientError, match=r"AccessDenied.*iam:PassRole"):
        world.house.client("secretsmanager", world.house.user("ann", rotates)).rotate_secret(**given)
    world.house.client("secretsmanager", world.house.user("bea", rotates, passes)).rotate_secret(**given)
    other = {**rotates, "Condition": {"ArnNotEquals": {"secretsmanager:ExternalSecretRotationRoleArn": role}}}
    with pytest.raises(ClientError, match="AccessDenied"):
        world.house.client("secretsmanager", world.house.user("cid", other, passes)).rotate_secret(**given)


def test_a_role_that_was_changed_from_outside_reads_nothing(world: World) -> None:
    world.make()
    world.rotate(ExternalSecretRotationRoleArn=world.role(), ExternalSecretRotationMetadata=world.metadata)
    with world.house.app.storage.writing() as tx:
        tx.run("UPDATE secret_external SET role_arn = 'arn:aws:iam::123456789012:role/evil'")
    with pytest.raises(ClientError, match="Internal"):
        world.sm.describe_secret(SecretId="s")


def test_nothing_of_it_is_left_behind(world: World) -> None:
    world.make()
    world.rotate(ExternalSecretRotationRoleArn=world.role(), ExternalSecretRotationMetadata=world.metadata)
    world.sm.cancel_rotate_secret(SecretId="s")
    assert world.sm.describe_secret(SecretId="s")["ExternalSecretRotationMetadata"] == world.metadata
    world.sm.delete_secret(SecretId="s", ForceDeleteWithoutRecovery=True)
    with world.house.app.storage.reading() as tx:
        assert tx.all("SELECT secret_id FROM secret_external") == []
