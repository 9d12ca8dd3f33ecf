"""From a rule to an act, on a real server: NON_COMPLIANT, EventBridge, a function that tags and a webhook that is told; and back."""

import io
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from geumgo.automation_functions import catalog
from tests.server import Server
from tests.services.events.endpoint import Endpoint
from tests.services.lambda_.conftest import TRUST

NAME = "unused-secrets"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    settings = {"GEUMGO_OUTGOING_HOSTS": "http://127.0.0.1"}
    with Server(tmp_path / "data", arguments=("--workers", "1"), environment=settings) as running:
        yield running


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as listening:
        yield listening


def furnish(server: Server, endpoint: Endpoint) -> None:
    """The guide, word for word where it can be, with the rule on keys: no clock is turned here."""
    iam, config, events = server.client("iam"), server.client("config"), server.client("events")
    account = server.client("sts").get_caller_identity()["Account"]
    reader = iam.create_service_linked_role(AWSServiceName="config.amazonaws.com")["Role"]["Arn"]
    config.put_configuration_recorder(ConfigurationRecorder={"name": "default", "roleARN": reader})
    config.put_delivery_channel(DeliveryChannel={"name": "default", "s3BucketName": "unused"})
    config.start_configuration_recorder(ConfigurationRecorderName="default")

    zipped = io.BytesIO()
    catalog.write_zip("UnusedSecretTag", zipped)
    role = iam.create_role(RoleName=NAME, AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    actions = [f"secretsmanager:{each}" for each in ("DescribeSecret", "TagResource", "UntagResource")]
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": statement})
    iam.put_role_policy(RoleName=NAME, PolicyName="act", PolicyDocument=document)
    functions = server.client("lambda")
    functions.create_function(
        FunctionName=NAME,
        Runtime="python3.12",
        Handler=catalog.HANDLER,
        Role=role,
        Code={"ZipFile": zipped.getvalue()},
        Timeout=20,
    )
    functions.add_permission(
        FunctionName=NAME,
        StatementId="events",
        Principal="events.amazonaws.com",
        Action="lambda:InvokeFunction",
        SourceArn=f"arn:aws:events:us-east-1:{account}:rule/{NAME}",
    )
    pattern = {"source": ["aws.config"], "detail-type": ["Config Rules Compliance Change"]}
    events.put_rule(Name=NAME, EventPattern=json.dumps(pattern))
    key = {"ApiKeyName": "x-key", "ApiKeyValue": "0123456789"}
    connection = events.create_connection(
        Name="hook", AuthorizationType="API_KEY", AuthParameters={"ApiKeyAuthParameters": key}
    )["ConnectionArn"]
    destination = events.create_api_destination(
        Name="hook", ConnectionArn=connection, InvocationEndpoint=endpoint.url, HttpMethod="POST"
    )["ApiDestinationArn"]
    trust = TRUST.replace("lambda.amazonaws.com", "events.amazonaws.com")
    hook = iam.create_role(RoleName="hook", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    allowed = {"Effect": "Allow", "Action": "events:InvokeApiDestination", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": allowed})
    iam.put_role_policy(RoleName="hook", PolicyName="hook", PolicyDocument=document)
    events.put_targets(
        Rule=NAME,
        Targets=[
            {"Id": "act", "Arn": f"arn:aws:lambda:us-east-1:{account}:function:{NAME}"},
            {"Id": "tell", "Arn": destination, "RoleArn": hook},
        ],
    )
    source = {"Owner": "AWS", "SourceIdentifier": "SECRETSMANAGER_USING_CMK"}
    config.put_config_rule(ConfigRule={"ConfigRuleName": "own-key", "Source": source})


def until(true: Callable[[], Any], what: str, seconds: float) -> float:
    """Seconds that it took until `true` was."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds, f"not within {seconds} s: {what}"
        time.sleep(0.1)
    return time.monotonic() - began


def test_a_fall_is_acted_on_and_told_once_and_taken_back(server: Server, endpoint: Endpoint) -> None:
    furnish(server, endpoint)

    secrets = server.client("secretsmanager")

    def tags(name: str) -> list[str]:
        found = secrets.describe_secret(SecretId=name)
        return [tag["Key"] for tag in found.get("Tags", [])]

    def told(name: str) -> list[tuple[str, str]]:
        """(idempotency key, compliance) of what was told about the secret, each key once."""
        found = {
            call.headers["idempotency-key"]: call.json["detail"]["newEvaluationResult"]["complianceType"]
            for call in endpoint.calls
            if f":secret:{name}-" in call.json["detail"]["resourceId"]
        }
        return list(found.items())

    secrets.create_secret(Name="first", SecretString="x")
    acted = until(lambda: tags("first") == ["unused-since"], "the function has tagged the secret", 30)
    heard = until(lambda: told("first"), "the webhook was told", 30)
    print(f"tagged after {acted:.1f} s, told {heard:.1f} s later")  # noqa: T201
    assert [compliance for _, compliance in told("first")] == ["NON_COMPLIANT"]

    key = server.client("kms").create_key()["KeyMetadata"]["Arn"]
    secrets.update_secret(SecretId="first", KmsKeyId=key)
    until(lambda: tags("first") == [], "the tag is taken back", 30)
    until(lambda: len(told("first")) == 2, "the webhook was told of it", 30)

    secrets.create_secret(Name="second", SecretString="x")
    server.kill()  # between the change and everything that follows
    server.start()
    until(lambda: tags("second") == ["unused-since"], "the function has acted after all", 40)
    until(lambda: told("second"), "the webhook was told after all", 30)
    assert [compliance for _, compliance in told("first")] == ["NON_COMPLIANT", "COMPLIANT"]
    assert [compliance for _, compliance in told("second")] == ["NON_COMPLIANT"]
