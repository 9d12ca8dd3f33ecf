"""Rotation as AWS's guide describes it: a function of one's own, uploaded, attached and run with the real AWS CLI."""

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.test_iam_cli import Cli
from tests.clients.test_lambda_cli import said
from tests.functions.zips import package
from tests.server import Server
from tests.services.lambda_.conftest import TRUST

PATIENCE_SECONDS = 60
# The four steps of "Lambda rotation functions", Secrets Manager user guide, for a secret that nothing else must learn of.
FUNCTION = """
import os
import boto3

def lambda_handler(event, context):
    arn, token, step = event["SecretId"], event["ClientRequestToken"], event["Step"]
    client = boto3.client("secretsmanager", endpoint_url=os.environ["SECRETS_MANAGER_ENDPOINT"])
    metadata = client.describe_secret(SecretId=arn)
    if not metadata["RotationEnabled"]:
        raise ValueError("rotation is not enabled")
    versions = metadata["VersionIdsToStages"]
    if token not in versions:
        raise ValueError("the version has no stage")
    if "AWSCURRENT" in versions[token]:
        return
    if "AWSPENDING" not in versions[token]:
        raise ValueError("the version is not pending")
    if step == "createSecret":
        client.get_secret_value(SecretId=arn, VersionStage="AWSCURRENT")
        try:
            client.get_secret_value(SecretId=arn, VersionId=token, VersionStage="AWSPENDING")
        except client.exceptions.ResourceNotFoundException:
            made = client.get_random_password(ExcludeCharacters=os.environ["EXCLUDE_CHARACTERS"])["RandomPassword"]
            client.put_secret_value(SecretId=arn, ClientRequestToken=token, SecretString=made, VersionStages=["AWSPENDING"])
            print("made", made)
    elif step == "testSecret":
        client.get_secret_value(SecretId=arn, VersionId=token, VersionStage="AWSPENDING")
        for forbidden in (client.list_secrets, boto3.client("iam").list_users, boto3.client("kms").list_keys):
            try:
                forbidden()
            except Exception as refusal:
                assert refusal.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException"), refusal
            else:
                raise AssertionError("it was not denied")
    elif step == "finishSecret":
        current = next(version for version, stages in versions.items() if "AWSCURRENT" in stages)
        client.update_secret_version_stage(SecretId=arn, VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=current)
"""
RIGHTS = [
    {"Effect": "Allow", "Action": ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue",
                                   "secretsmanager:UpdateSecretVersionStage"], "Resource": "arn:aws:secretsmanager:*:*:secret:app/*"},
    {"Effect": "Allow", "Action": "secretsmanager:GetRandomPassword", "Resource": "*"},
]  # fmt: skip


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    with Server(tmp_path_factory.mktemp("rotation-cli") / "data", arguments=("--workers", "1")) as running:
        yield Cli(running, *running.credentials())


def test_a_secret_rotates_with_a_function_that_its_owner_wrote(aws: Cli, tmp_path: Path) -> None:
    code = tmp_path / "function.zip"
    code.write_bytes(package(**{"lambda_function.py": FUNCTION}))
    account = said(aws, "sts", "get-caller-identity")["Account"]
    role = said(aws, "iam", "create-role", "--role-name", "rotates", "--assume-role-policy-document", TRUST)["Role"][
        "Arn"
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": RIGHTS})
    said(aws, "iam", "put-role-policy", "--role-name", "rotates", "--policy-name", "p", "--policy-document", policy)
    function = said(
        aws, "lambda", "create-function", "--function-name", "rotates", "--runtime", "python3.12", "--role", role, "--timeout", "30",
        "--handler", "lambda_function.lambda_handler", "--zip-file", f"fileb://{code}",
        "--environment", json.dumps({"Variables": {"EXCLUDE_CHARACTERS": "/@\"'\\"}}),
    )["FunctionArn"]  # fmt: skip
    secret = said(aws, "secretsmanager", "create-secret", "--name", "app/key", "--secret-string", "first")["ARN"]
    rotate = ("secretsmanager", "rotate-secret", "--secret-id", secret, "--rotation-lambda-arn", function,
              "--rotation-rules", '{"ScheduleExpression":"rate(10 days)"}')  # fmt: skip
    refused = aws.run(*rotate)
    assert "Secrets Manager cannot invoke the specified Lambda function" in refused.stderr
    said(
        aws, "lambda", "add-permission", "--function-name", "rotates", "--statement-id", "s", "--action", "lambda:InvokeFunction",
        "--principal", "secretsmanager.amazonaws.com", "--source-account", account,
    )  # fmt: skip
    token = said(aws, *rotate)["VersionId"]
    client, deadline = aws.server.client("secretsmanager"), time.monotonic() + PATIENCE_SECONDS
    while client.describe_secret(SecretId=secret)["VersionIdsToStages"].get(token) != ["AWSCURRENT"]:
        assert time.monotonic() < deadline, aws.server.printed()
        time.sleep(0.05)
    shown = said(aws, "secretsmanager", "get-secret-value", "--secret-id", "app/key")
    value = shown["SecretString"]
    assert (shown["VersionId"], len(value)) == (token, 32)
    assert said(aws, "secretsmanager", "describe-secret", "--secret-id", "app/key")["RotationRules"] == {
        "ScheduleExpression": "rate(10 days)",
        "AutomaticallyAfterDays": 10,
    }
    log = (aws.server.data / "functions" / account / "us-east-1" / "rotates.log").read_text()
    assert "made ***\n" in log
    for form in (value, base64.b64encode(value.encode()).decode()):
        assert form not in log
        assert form not in aws.server.printed()
