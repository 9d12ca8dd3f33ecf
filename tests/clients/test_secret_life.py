"""The main job, as a new user would try it: the whole life of a secret through a real server, a real client, real sockets."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.server import Server

AWS = str(Path(sys.executable).with_name("aws"))


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with two API processes, on each database in turn."""
    data = tmp_path_factory.mktemp("life") / "data"
    with ExitStack() as stack:
        environment = {}
        if request.param == "postgres":
            environment["GEUMGO_DATABASE"] = stack.enter_context(request.getfixturevalue("postgres_server").database())
        yield stack.enter_context(Server(data, arguments=("--workers", "2"), environment=environment))


@pytest.fixture
def aws(server: Server) -> Callable[..., Any]:
    """The AWS command line, set up with the files that the first start wrote."""

    def run(*command: str) -> Any:
        environment = {
            **server.environment,
            "AWS_SHARED_CREDENTIALS_FILE": str(server.data / "admin.credentials"),
            "AWS_CONFIG_FILE": str(server.data / "admin.config"),
            "AWS_ENDPOINT_URL": server.endpoint,
            "AWS_PAGER": "",
            "LC_ALL": "C.UTF-8",
        }
        done = subprocess.run([AWS, *command], capture_output=True, text=True, env=environment, timeout=60, check=False)
        assert done.returncode == 0, f"aws {' '.join(command)}: {done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip() else None

    return run


def test_boto3_takes_a_secret_through_its_whole_life(server: Server) -> None:
    client = server.client("secretsmanager")
    name = f"life/{uuid.uuid4()}"
    first = client.create_secret(
        Name=name, SecretString="첫째", Description="처음", Tags=[{"Key": "팀", "Value": "금고"}]
    )
    assert first["ARN"].startswith(f"arn:aws:secretsmanager:us-east-1:{first['ARN'].split(':')[4]}:secret:{name}-")
    assert client.get_secret_value(SecretId=name)["SecretString"] == "첫째"
    second = client.put_secret_value(SecretId=name, SecretString="둘째")
    assert second["VersionStages"] == ["AWSCURRENT"]
    assert client.get_secret_value(SecretId=first["ARN"], VersionStage="AWSPREVIOUS")["SecretString"] == "첫째"
    third = client.update_secret(SecretId=name, SecretBinary=bytes(range(256)), Description="나중")
    assert client.get_secret_value(SecretId=name)["SecretBinary"] == bytes(range(256))
    client.update_secret_version_stage(
        SecretId=name,
        VersionStage="AWSCURRENT",
        RemoveFromVersionId=third["VersionId"],
        MoveToVersionId=second["VersionId"],
    )
    assert client.get_secret_value(SecretId=name)["SecretString"] == "둘째"
    described = client.describe_secret(SecretId=name)
    assert described["Tags"] == [{"Key": "팀", "Value": "금고"}]
    assert described["Description"] == "나중"
    assert described["VersionIdsToStages"] == {second["VersionId"]: ["AWSCURRENT"], third["VersionId"]: ["AWSPREVIOUS"]}
    listed = client.list_secret_version_ids(SecretId=name, IncludeDeprecated=True)["Versions"]
    assert {version["VersionId"] for version in listed} == {first["VersionId"], second["VersionId"], third["VersionId"]}
    client.tag_resource(SecretId=name, Tags=[{"Key": "env", "Value": "prod"}])
    client.untag_resource(SecretId=name, TagKeys=["팀"])
    assert client.describe_secret(SecretId=name)["Tags"] == [{"Key": "env", "Value": "prod"}]
    found = client.list_secrets(Filters=[{"Key": "name", "Values": [name[:20]]}])["SecretList"]
    assert [secret["Name"] for secret in found] == [name]
    batch = client.batch_get_secret_value(SecretIdList=[name, "nobody/knows"])
    assert [value["SecretString"] for value in batch["SecretValues"]] == ["둘째"]
    assert batch["Errors"][0]["ErrorCode"] == "ResourceNotFoundException"
    assert len(client.get_random_password(PasswordLength=40)["RandomPassword"]) == 40
    client.delete_secret(SecretId=name, RecoveryWindowInDays=7)
    with pytest.raises(client.exceptions.InvalidRequestException, match="marked for deletion"):
        client.get_secret_value(SecretId=name)
    client.restore_secret(SecretId=name)
    assert client.get_secret_value(SecretId=name)["SecretString"] == "둘째"
    client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.describe_secret(SecretId=name)
    again = client.create_secret(Name=name, SecretString="새것")
    assert again["ARN"] != first["ARN"]


def test_the_largest_value_comes_back_byte_for_byte(server: Server) -> None:
    client = server.client("secretsmanager")
    text = "가" * 21_845 + "x"
    assert len(text.encode()) == 65_536
    binary = os.urandom(65_536)
    client.create_secret(Name="large/text", SecretString=text)
    client.create_secret(Name="large/binary", SecretBinary=binary)
    assert client.get_secret_value(SecretId="large/text")["SecretString"] == text
    assert client.get_secret_value(SecretId="large/binary")["SecretBinary"] == binary
    with pytest.raises(client.exceptions.ClientError) as refused:
        client.create_secret(Name="large/over", SecretString=text + "x")
    assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_another_process_reads_a_write_the_moment_it_is_acknowledged(server: Server) -> None:
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, server.endpoint, *server.credentials()],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=server.environment,
    )  # fmt: skip
    assert reader.stdin is not None
    assert reader.stdout is not None
    client = server.client("secretsmanager")
    client.create_secret(Name="shared", SecretString="0")
    try:
        for number in range(1, 200):
            client.put_secret_value(SecretId="shared", SecretString=str(number))
            reader.stdin.write("shared\n")
            reader.stdin.flush()
            assert reader.stdout.readline().strip() == str(number)
    finally:
        reader.stdin.close()
        reader.wait(timeout=10)
        reader.stdout.close()


READER = """
import sys, botocore.session
endpoint, key, secret = sys.argv[1:]
client = botocore.session.Session().create_client("secretsmanager", region_name="us-east-1", endpoint_url=endpoint,
    aws_access_key_id=key, aws_secret_access_key=secret)
for line in sys.stdin:
    print(client.get_secret_value(SecretId=line.strip())["SecretString"], flush=True)
"""


def test_the_aws_command_line_takes_a_secret_through_its_whole_life(aws: Callable[..., Any], tmp_path: Path) -> None:
    name = f"cli/{uuid.uuid4()}"
    sm = "secretsmanager"
    assert aws("sts", "get-caller-identity")["Arn"].endswith(":user/admin")
    created = aws(
        sm, "create-secret", "--name", name, "--secret-string", '{"암호":"열려라"}', "--tags", "Key=팀,Value=금고"
    )
    value = aws(sm, "get-secret-value", "--secret-id", name)
    assert json.loads(value["SecretString"]) == {"암호": "열려라"}
    assert value["VersionStages"] == ["AWSCURRENT"]
    blob = tmp_path / "blob"
    blob.write_bytes(bytes(range(256)))
    put = aws(sm, "put-secret-value", "--secret-id", name, "--secret-binary", f"fileb://{blob}")
    aws(sm, "update-secret-version-stage", "--secret-id", name, "--version-stage", "AWSCURRENT",
        "--remove-from-version-id", put["VersionId"], "--move-to-version-id", created["VersionId"])  # fmt: skip
    aws(sm, "update-secret", "--secret-id", name, "--description", "설명")
    described = aws(sm, "describe-secret", "--secret-id", name)
    assert described["Description"] == "설명"
    assert described["VersionIdsToStages"][created["VersionId"]] == ["AWSCURRENT"]
    assert len(aws(sm, "list-secret-version-ids", "--secret-id", name, "--include-deprecated")["Versions"]) == 2
    aws(sm, "tag-resource", "--secret-id", name, "--tags", "Key=env,Value=prod")
    aws(sm, "untag-resource", "--secret-id", name, "--tag-keys", "팀")
    listed = aws(sm, "list-secrets", "--filters", f"Key=name,Values={name}")
    assert listed["SecretList"][0]["Tags"] == [{"Key": "env", "Value": "prod"}]
    batch = aws(sm, "batch-get-secret-value", "--secret-id-list", name)
    assert batch["SecretValues"][0]["Name"] == name
    assert len(aws(sm, "get-random-password", "--exclude-punctuation")["RandomPassword"]) == 32
    policy = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Deny", "Principal": "*", "Action": "secretsmanager:DeleteSecret", "Resource": "*"}
            ],
        }
    )
    aws(sm, "put-resource-policy", "--secret-id", name, "--resource-policy", policy)
    assert json.loads(aws(sm, "get-resource-policy", "--secret-id", name)["ResourcePolicy"]) == json.loads(policy)
    aws(sm, "delete-resource-policy", "--secret-id", name)
    aws(sm, "delete-secret", "--secret-id", name, "--recovery-window-in-days", "7")
    aws(sm, "restore-secret", "--secret-id", name)
    aws(sm, "delete-secret", "--secret-id", name, "--force-delete-without-recovery")
    assert aws(sm, "list-secrets", "--filters", f"Key=name,Values={name}")["SecretList"] == []
