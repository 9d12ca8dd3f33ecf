"""`geumgo functions install`: a ready-made function is there, may what it must, and rotates."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from geumgo.cli.install import Wanted, packed, statements
from geumgo.rotation_functions import catalog
from tests.cli.test_commands import geumgo
from tests.server import Server

TEMPLATE = "SecretsManagerRotationTemplate"
MARIADB = "SecretsManagerRDSMariaDBRotationMultiUser"
KEYS = "SecretsManagerIAMAccessKeyRotation"
PATIENCE_SECONDS = 120.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("install") / "data", arguments=("--workers", "1")) as running:
        yield running


def install(server: Server, *arguments: str, key: tuple[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    identity, secret = key or server.credentials()
    return geumgo(
        "functions",
        "install",
        *arguments,
        AWS_ENDPOINT_URL=server.endpoint,
        AWS_DEFAULT_REGION="us-east-1",
        AWS_ACCESS_KEY_ID=identity,
        AWS_SECRET_ACCESS_KEY=secret,
    )


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.05)


def rotated(server: Server, secret: str, function: str) -> str:
    """The value of the secret after a rotation by the function."""
    client = server.client("secretsmanager")
    token = client.rotate_secret(SecretId=secret, RotationLambdaARN=function)["VersionId"]
    until(lambda: client.describe_secret(SecretId=secret)["VersionIdsToStages"].get(token) == ["AWSCURRENT"])
    value: str = client.get_secret_value(SecretId=secret)["SecretString"]
    return value


def test_an_installed_function_rotates_and_installing_it_again_changes_nothing(server: Server) -> None:
    first = install(server, TEMPLATE)
    arn, _, changed = first.stdout.strip().rpartition(": ")
    assert (first.returncode, changed) == (0, "role made, function made, Secrets Manager may invoke it"), first.stderr
    assert arn.endswith(f":function:{TEMPLATE}")
    again = install(server, TEMPLATE, "--json")
    assert json.loads(again.stdout) == {TEMPLATE: {"arn": arn, "changed": []}}
    server.client("secretsmanager").create_secret(Name="api", SecretString="before")
    assert rotated(server, "api", arn) not in ("", "before")
    found = server.client("lambda").get_function_configuration(FunctionName=TEMPLATE)
    assert (found["Handler"], found["Timeout"], found["MemorySize"]) == (catalog.HANDLER, 30, 256)


def test_a_function_of_another_release_is_brought_up_to_date(server: Server) -> None:
    functions, iam = server.client("lambda"), server.client("iam")
    arn = install(server, TEMPLATE).stdout.rpartition(": ")[0]
    functions.update_function_code(FunctionName=TEMPLATE, ZipFile=packed(KEYS))
    assert install(server, TEMPLATE).stdout == f"{arn}: function has newer code\n"
    trust = iam.get_role(RoleName=TEMPLATE)["Role"]["AssumeRolePolicyDocument"]
    other = iam.create_role(RoleName="mine", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    assert install(server, TEMPLATE, "--role", other).stdout == f"{arn}: function has another role\n"
    assert functions.get_function_configuration(FunctionName=TEMPLATE)["Role"] == other


def test_a_function_for_access_keys_may_change_those_of_the_users_that_were_named(server: Server) -> None:
    iam = server.client("iam")
    for name in ("app", "other"):
        iam.create_user(UserName=name)
    done = install(server, KEYS, "--user", "app")
    assert done.returncode == 0, done.stderr
    arn = done.stdout.rpartition(": ")[0]
    client = server.client("secretsmanager")
    for name in ("app", "other"):
        client.create_secret(Name=f"key-{name}", SecretString=json.dumps({"username": name}))
    assert json.loads(rotated(server, "key-app", arn))["accessKeyId"].startswith("AKIA")
    client.rotate_secret(SecretId="key-other", RotationLambdaARN=arn)
    until(lambda: has_been_denied(server))
    assert iam.list_access_keys(UserName="other")["AccessKeyMetadata"] == []


def has_been_denied(server: Server) -> bool:
    """The log of the function says that it was denied what it tried."""
    return any("AccessDenied" in path.read_text() for path in Path(server.data, "functions").rglob(f"{KEYS}.log"))


def test_what_it_could_not_work_without_is_asked_for(server: Server) -> None:
    for name, option in ((MARIADB, "--master-secret"), (KEYS, "--user")):
        done = install(server, name)
        assert done.returncode == 1
        assert option in done.stderr
    assert MARIADB not in [each["FunctionName"] for each in server.client("lambda").list_functions()["Functions"]]
    assert install(server, "Nonesuch").returncode == 2


def test_whoever_may_not_is_told_what_was_refused(server: Server) -> None:
    iam = server.client("iam")
    iam.create_user(UserName="ann")
    made = iam.create_access_key(UserName="ann")["AccessKey"]
    done = install(server, TEMPLATE, key=(made["AccessKeyId"], made["SecretAccessKey"]))
    assert done.returncode == 1
    assert "CreateRole was refused: AccessDenied: User: arn:aws:iam::" in done.stderr


@pytest.mark.parametrize("name", sorted(catalog.FUNCTIONS))
def test_a_role_may_no_more_than_was_asked_for(name: str) -> None:
    arn = f"arn:aws:lambda:us-east-1:123456789012:function:{name}"
    master, key = (
        "arn:aws:secretsmanager:us-east-1:123456789012:secret:m-AbCdEf",
        "arn:aws:kms:us-east-1:123456789012:key/k",
    )
    plain: list[dict[str, Any]] = statements(Wanted(name, role="given"), arn, "aws", "123456789012")
    assert [each["Resource"] for each in plain] == ["*", "*"]
    assert plain[0]["Condition"] == {"StringEquals": {"secretsmanager:resource/AllowRotationLambdaArn": arn}}
    all_of_it = statements(Wanted(name, [master], ["app"], [key]), arn, "aws", "123456789012")
    assert [each["Resource"] for each in all_of_it[2:]] == [
        [master],
        "*",
        ["arn:aws:iam::123456789012:user/app"],
        [key],
    ]
    assert all(action.split(":")[1].startswith("Describe") for action in all_of_it[3]["Action"])
