"""Records have the shape that CloudTrail gives them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from geumgo.audit.record import api_call, aws_account, camel, service_event, web_identity
from geumgo.context import NOBODY, Caller, Session

ACCOUNT = "111122223333"
AT_MS = 1_735_689_900_999  # 2025-01-01T00:05:00Z
SESSION = Session(
    issuer_arn=f"arn:aws:iam::{ACCOUNT}:role/app",
    issuer_id="AROAX",
    issuer_name="app",
    name="sess",
    issued_at_ms=1_735_689_600_000,
    expires_at_ms=1_735_693_200_000,
)
ROLE = Caller(
    kind="AssumedRole",
    account=ACCOUNT,
    arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/app/sess",
    unique_id="AROAX:sess",
    access_key_id="ASIAX",
    session=SESSION,
)
ANN = Caller("IAMUser", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/ann", "AIDAX", name="ann", access_key_id="AKIAX")


def called(**also: Any) -> dict[str, Any]:
    return api_call(
        **{
            "caller": ANN,
            "claimed_key": "AKIAX",
            "service": "secretsmanager.amazonaws.com",
            "name": "GetSecretValue",
            "region": "us-east-1",
            "source_ip": "198.51.100.7",
            "user_agent": "Boto3/1.x",
            "request_parameters": {"SecretId": "app/db", "VersionStage": "AWSCURRENT"},
            "response_elements": {},
            "error_code": "",
            "error_message": "",
            "request_id": "r-1",
            "at_ms": AT_MS,
            "read_only": True,
            "secure": True,
            **also,
        }
    )


def test_a_call_of_a_role_has_the_members_that_aws_writes() -> None:
    assert called(caller=ROLE) == {
        "eventVersion": "1.09",
        "userIdentity": {
            "type": "AssumedRole",
            "principalId": "AROAX:sess",
            "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/app/sess",
            "accountId": ACCOUNT,
            "accessKeyId": "ASIAX",
            "sessionContext": {
                "sessionIssuer": {
                    "type": "Role",
                    "principalId": "AROAX",
                    "arn": f"arn:aws:iam::{ACCOUNT}:role/app",
                    "accountId": ACCOUNT,
                    "userName": "app",
                },
                "attributes": {"creationDate": "2025-01-01T00:00:00Z", "mfaAuthenticated": "false"},
            },
        },
        "eventTime": "2025-01-01T00:05:00Z",
        "eventSource": "secretsmanager.amazonaws.com",
        "eventName": "GetSecretValue",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "198.51.100.7",
        "userAgent": "Boto3/1.x",
        "requestParameters": {"secretId": "app/db", "versionStage": "AWSCURRENT"},
        "responseElements": None,
        "requestID": "r-1",
        "readOnly": True,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
    }


@pytest.mark.parametrize(
    ("caller", "identity"),
    [
        (ANN, {"type": "IAMUser", "principalId": "AIDAX", "arn": ANN.arn, "accountId": ACCOUNT, "accessKeyId": "AKIAX", "userName": "ann"}),
        (
            Caller("Root", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT, access_key_id="AKIAR"),
            {"type": "Root", "principalId": ACCOUNT, "arn": f"arn:aws:iam::{ACCOUNT}:root", "accountId": ACCOUNT, "accessKeyId": "AKIAR"},
        ),
        (
            Caller("AWSService", ACCOUNT, "", "", name="secretsmanager.amazonaws.com"),
            {"type": "AWSService", "accountId": ACCOUNT, "invokedBy": "secretsmanager.amazonaws.com"},
        ),
        (NOBODY, {"type": "Unknown", "principalId": "", "accountId": "", "accessKeyId": "AKIAX"}),
    ],
)  # fmt: skip
def test_each_kind_of_caller_has_its_identity(caller: Caller, identity: dict[str, str]) -> None:
    assert called(caller=caller)["userIdentity"] == identity


def test_a_federated_user_names_the_user_behind_it() -> None:
    caller = Caller(
        "FederatedUser", ACCOUNT, f"arn:aws:sts::{ACCOUNT}:federated-user/bob", f"{ACCOUNT}:bob", session=SESSION
    )
    issuer = called(caller=caller)["userIdentity"]["sessionContext"]["sessionIssuer"]
    assert (issuer["type"], issuer["userName"]) == ("IAMUser", "app")


def test_a_session_of_a_user_has_no_issuer() -> None:
    session = Session("", "", "", "", 0, 0, mfa=True, source_identity="ann@example.org")
    caller = Caller("IAMUser", ACCOUNT, ANN.arn, "AIDAX", name="ann", session=session)
    assert called(caller=caller)["userIdentity"]["sessionContext"] == {
        "attributes": {"creationDate": "1970-01-01T00:00:00Z", "mfaAuthenticated": "true"},
        "sourceIdentity": "ann@example.org",
    }


def test_web_identities_and_other_accounts_have_theirs() -> None:
    provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/idp.example.org"
    identity = called(caller=NOBODY, identity=web_identity(provider, "sts.amazonaws.com", "job-7"))["userIdentity"]
    assert identity == {
        "type": "WebIdentityUser",
        "principalId": f"{provider}:sts.amazonaws.com:job-7",
        "userName": "job-7",
        "identityProvider": provider,
    }
    assert aws_account("444455556666", "AROAY:s") == {
        "type": "AWSAccount",
        "principalId": "AROAY:s",
        "accountId": "444455556666",
    }


def test_a_call_that_came_through_a_service_says_so() -> None:
    caller = Caller("IAMUser", ACCOUNT, ANN.arn, "AIDAX", name="ann", via=("secretsmanager.amazonaws.com",))
    context = {"SecretARN": "arn:aws:secretsmanager:us-east-1:1:secret:x", "aws:Case": "Kept"}
    record = called(
        caller=caller, service="kms.amazonaws.com", name="Decrypt", request_parameters={"EncryptionContext": context},
        resources=[{"ARN": "arn:aws:kms:us-east-1:1:key/k", "accountId": ACCOUNT, "type": "AWS::KMS::Key"}],
    )  # fmt: skip
    assert record["userIdentity"]["invokedBy"] == "secretsmanager.amazonaws.com"
    assert (record["sourceIPAddress"], record["userAgent"]) == ("secretsmanager.amazonaws.com",) * 2
    assert record["requestParameters"] == {"encryptionContext": context}
    assert record["resources"][0]["type"] == "AWS::KMS::Key"


def test_a_denial_has_the_name_that_the_trail_gives_it() -> None:
    record = called(error_code="AccessDeniedException", error_message="User: x is not authorized")
    assert (record["errorCode"], record["errorMessage"]) == ("AccessDenied", "User: x is not authorized")
    assert called(error_code="ResourceNotFoundException")["errorCode"] == "ResourceNotFoundException"
    assert "errorMessage" not in called(error_code="ResourceNotFoundException")


@pytest.mark.parametrize(
    ("wire", "trail"),
    [("SecretId", "secretId"), ("ARN", "arn"), ("KmsKeyId", "kmsKeyId"), ("RotationLambdaARN", "rotationLambdaARN"), ("x", "x"), ("", "")],
)  # fmt: skip
def test_members_are_named_as_the_trail_names_them(wire: str, trail: str) -> None:
    assert camel(wire) == trail


def test_values_become_plain() -> None:
    record = called(
        request_parameters={
            "RotationRules": {"AutomaticallyAfterDays": 30},
            "Tags": [{"Key": "Team", "Value": "A"}],
            "CreatedDate": datetime(2025, 1, 1, tzinfo=UTC),
            "Blob": b"\x00\x01",
        },
        response_elements={"ARN": "arn:x", "Tags": {"CamelCase": "Kept"}},
    )
    assert record["requestParameters"] == {
        "rotationRules": {"automaticallyAfterDays": 30},
        "tags": [{"key": "Team", "value": "A"}],
        "createdDate": "2025-01-01T00:00:00Z",
        "blob": "AAE=",
    }
    assert record["responseElements"] == {"arn": "arn:x", "tags": {"CamelCase": "Kept"}}


def test_everything_that_a_caller_chose_is_bounded() -> None:
    deep: Any = "x"
    for _ in range(500):
        deep = [{"A": deep}]
    record = called(
        user_agent="a" * 100_000, error_code="e" * 1_000, error_message="m" * 100_000, region="r" * 1_000, name="n" * 1_000,
        claimed_key="k" * 1_000, caller=NOBODY, request_parameters={"Name": "p" * 200_000}, response_elements={"Deep": deep},
    )  # fmt: skip
    assert len(repr(record)) < 6_000
    assert record["requestParameters"] is None
    assert record["omitted"] is True


def test_a_service_event_has_no_principal() -> None:
    record = service_event(
        service="secretsmanager.amazonaws.com", name="RotationFailed", region="us-east-2", account=ACCOUNT, at_ms=AT_MS, request_id="r-1",
        details={"SecretId": "arn:s", "errorMessage": "Error during setSecret step", "requestID": "Rotation-arn:s-token"},
    )  # fmt: skip
    assert record == {
        "eventVersion": "1.09",
        "userIdentity": {"accountId": ACCOUNT, "invokedBy": "secretsmanager.amazonaws.com"},
        "eventTime": "2025-01-01T00:05:00Z",
        "eventSource": "secretsmanager.amazonaws.com",
        "eventName": "RotationFailed",
        "awsRegion": "us-east-2",
        "sourceIPAddress": "secretsmanager.amazonaws.com",
        "userAgent": "secretsmanager.amazonaws.com",
        "errorMessage": "Error during setSecret step",
        "requestParameters": None,
        "responseElements": None,
        "additionalEventData": {"SecretId": "arn:s"},
        "requestID": "Rotation-arn:s-token",
        "readOnly": False,
        "eventType": "AwsServiceEvent",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
    }
