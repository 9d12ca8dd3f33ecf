"""Parameter Store as people use it: the AWS CLI and boto3 against a real server, and how the tools read that everybody has."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from geumgo.services import ssm as room
from tests.server import Server


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with two API processes, on each database in turn."""
    with ExitStack() as stack:
        environment = {}
        if request.param == "postgres":
            environment["GEUMGO_DATABASE"] = stack.enter_context(request.getfixturevalue("postgres_server").database())
        data = tmp_path_factory.mktemp("parameters") / "data"
        yield stack.enter_context(Server(data, arguments=("--workers", "2"), environment=environment))


@pytest.fixture(scope="module")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("parameters-cli") / "data", arguments=("--workers", "1")) as running:
        yield running


ONE_PROCESS = """
import contextlib, io, json, sys
from awscli.clidriver import create_clidriver
for line in sys.stdin:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = create_clidriver().main(json.loads(line))
    print(json.dumps([status, out.getvalue(), err.getvalue()]), flush=True)
"""


@pytest.fixture
def aws(one_server: Server) -> Iterator[Callable[..., Any]]:
    """`aws ssm`, set up with the files that the first start wrote. One process runs all commands: to start it takes longer than to ask."""
    environment = {
        **one_server.environment,
        "AWS_SHARED_CREDENTIALS_FILE": str(one_server.data / "admin.credentials"),
        "AWS_CONFIG_FILE": str(one_server.data / "admin.config"),
        "AWS_ENDPOINT_URL": one_server.endpoint,
        "AWS_PAGER": "",
        "LC_ALL": "C.UTF-8",
    }
    with subprocess.Popen(
        [sys.executable, "-c", ONE_PROCESS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as cli:

        def run(*command: str) -> Any:
            assert cli.stdin is not None
            assert cli.stdout is not None
            cli.stdin.write(json.dumps(["ssm", *command]) + "\n")
            cli.stdin.flush()
            status, out, error = json.loads(cli.stdout.readline())
            assert status == 0, f"aws ssm {' '.join(command)}: {error}"
            return json.loads(out) if out.strip() else None

        yield run


def test_the_aws_cli_goes_through_every_operation(one_server: Server, aws: Callable[..., Any]) -> None:
    used: set[str] = set()

    def ask(command: str, *options: str) -> Any:
        used.add("".join(part.capitalize() for part in command.split("-")))
        return aws(command, *options)

    tier = "/ssm/parameter-store/default-parameter-tier"
    assert ask("put-parameter", "--name", "/cli/a", "--value", "1", "--type", "String", "--tags", "Key=k,Value=v", "--tier", "Advanced") == {"Version": 1, "Tier": "Advanced"}  # fmt: skip
    assert ask("put-parameter", "--name", "/cli/a", "--value", "비밀", "--overwrite")["Version"] == 2
    assert ask("get-parameter", "--name", "/cli/a:1")["Parameter"]["Value"] == "1"
    assert ask("get-parameters", "--names", "/cli/a", "/none")["InvalidParameters"] == ["/none"]
    assert ask("label-parameter-version", "--name", "/cli/a", "--labels", "live", "1x")["InvalidLabels"] == ["1x"]
    history = ask("get-parameter-history", "--name", "/cli/a", "--page-size", "1")["Parameters"]
    assert [(each["Value"], each["Labels"]) for each in history] == [("1", []), ("비밀", ["live"])]
    assert ask("unlabel-parameter-version", "--name", "/cli/a", "--parameter-version", "2", "--labels", "live")["RemovedLabels"] == ["live"]  # fmt: skip
    for number in range(3):
        ask("put-parameter", "--name", f"/cli/tree/{number}", "--value", "x", "--type", "SecureString")
    found = ask("get-parameters-by-path", "--path", "/cli", "--recursive", "--with-decryption", "--page-size", "2")
    assert [each["Value"] for each in found["Parameters"]] == ["비밀", "x", "x", "x"]
    found = ask("describe-parameters", "--parameter-filters", "Key=Name,Option=BeginsWith,Values=/cli/tree", "--page-size", "2")  # fmt: skip
    assert [each["Name"] for each in found["Parameters"]] == ["/cli/tree/0", "/cli/tree/1", "/cli/tree/2"]
    tagged = ("--resource-type", "Parameter", "--resource-id", "/cli/a")
    ask("add-tags-to-resource", *tagged, "--tags", "Key=x,Value=y")
    ask("remove-tags-from-resource", *tagged, "--tag-keys", "k")
    assert ask("list-tags-for-resource", *tagged)["TagList"] == [{"Key": "x", "Value": "y"}]
    arn = ask("get-parameter", "--name", "/cli/a")["Parameter"]["ARN"]
    account = arn.split(":")[4]
    statement = {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "ssm:GetParameter", "Resource": arn}
    made = ask("put-resource-policy", "--resource-arn", arn, "--policy", json.dumps({"Version": "2012-10-17", "Statement": [statement]}))  # fmt: skip
    assert ask("get-resource-policies", "--resource-arn", arn)["Policies"][0]["PolicyId"] == made["PolicyId"]
    ask("delete-resource-policy", "--resource-arn", arn, "--policy-id", made["PolicyId"], "--policy-hash", made["PolicyHash"])  # fmt: skip
    ask("update-service-setting", "--setting-id", tier, "--setting-value", "Intelligent-Tiering")
    assert ask("get-service-setting", "--setting-id", tier)["ServiceSetting"]["SettingValue"] == "Intelligent-Tiering"
    assert ask("reset-service-setting", "--setting-id", tier)["ServiceSetting"]["Status"] == "Default"
    ask("delete-parameter", "--name", "/cli/a")
    assert ask("delete-parameters", "--names", "/cli/tree/0", "/cli/a") == {"DeletedParameters": ["/cli/tree/0"], "InvalidParameters": ["/cli/a"]}  # fmt: skip
    role = f"arn:aws:iam::{account}:role/acts"
    given = json.dumps({"SecretId": ["db"], "AutomationAssumeRole": [role]})
    started = ask("start-automation-execution", "--document-name", "Geumgo-TagSecret", "--parameters", given)
    chosen = ("--automation-execution-id", started["AutomationExecutionId"])
    assert ask("get-automation-execution", *chosen)["AutomationExecution"]["DocumentName"] == "Geumgo-TagSecret"
    listed = ask("describe-automation-executions", "--page-size", "1")["AutomationExecutionMetadataList"]
    assert [each["AutomationExecutionId"] for each in listed] == [started["AutomationExecutionId"]]
    assert used == set(room.ROOM.operations)


def test_boto3_goes_through_the_life_of_a_parameter(server: Server) -> None:
    ssm = server.client("ssm")
    ssm.put_parameter(Name="/life/s", Value="첫째", Type="SecureString", Description="처음")
    with pytest.raises(ssm.exceptions.ParameterAlreadyExists):
        ssm.put_parameter(Name="/life/s", Value="둘째", Type="SecureString")
    for number in range(30):
        ssm.put_parameter(Name="/life/s", Value=f"값 {number}", Overwrite=True)
    ssm.label_parameter_version(Name="/life/s", ParameterVersion=5, Labels=["blue"])
    assert ssm.get_parameter(Name="/life/s:blue", WithDecryption=True)["Parameter"]["Value"] == "값 3"
    pages = ssm.get_paginator("get_parameter_history").paginate(
        Name="/life/s", WithDecryption=True, PaginationConfig={"PageSize": 7}
    )
    values = [each["Value"] for page in pages for each in page["Parameters"]]
    assert values == ["첫째", *(f"값 {number}" for number in range(30))]
    ssm.delete_parameter(Name="/life/s")
    with pytest.raises(ssm.exceptions.ParameterNotFound):
        ssm.get_parameter(Name="/life/s")
    with pytest.raises(ssm.exceptions.ParameterNotFound):
        ssm.delete_parameter(Name="/life/s")


def test_writers_at_the_same_time_lose_no_version(server: Server) -> None:
    server.client("ssm").put_parameter(Name="/busy", Value="0", Type="String")

    def write(writer: int) -> list[tuple[int, str]]:
        ssm = server.client("ssm", retries={"total_max_attempts": 5})
        acknowledged = []
        for number in range(6):
            value = f"{writer}-{number}"
            acknowledged.append((ssm.put_parameter(Name="/busy", Value=value, Overwrite=True)["Version"], value))
        return acknowledged

    with ThreadPoolExecutor(6) as pool:
        acknowledged = [each for found in pool.map(write, range(6)) for each in found]
    history = server.client("ssm").get_parameter_history(Name="/busy")["Parameters"]
    assert sorted(acknowledged) == [(each["Version"], each["Value"]) for each in history[1:]]
    assert [version for version, _ in sorted(acknowledged)] == list(range(2, 38))


def test_what_chamber_does(server: Server) -> None:
    """Write, list, read, history and exec of segmentio/chamber, call by call."""
    ssm, kms = server.client("ssm"), server.client("kms")
    kms.create_alias(AliasName="alias/parameter_store_key", TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])
    for number in range(25):
        for version in ("1", "2"):
            ssm.put_parameter(
                Name=f"/service/key_{number:02}", Value=f"{number}-{version}", Type="SecureString", Overwrite=True,
                KeyId="alias/parameter_store_key", Description=version,
            )  # fmt: skip
    listed = ssm.get_paginator("describe_parameters").paginate(
        ParameterFilters=[{"Key": "Path", "Option": "OneLevel", "Values": ["/service"]}]
    )
    described = [each for page in listed for each in page["Parameters"]]
    assert [each["Name"] for each in described] == [f"/service/key_{number:02}" for number in range(25)]
    assert {(each["KeyId"], each["Description"], each["Version"]) for each in described} == {("alias/parameter_store_key", "2", 2)}  # fmt: skip
    read = ssm.get_parameters(Names=["/service/key_03"], WithDecryption=True)["Parameters"]
    assert [each["Value"] for each in read] == ["3-2"]
    past = ssm.get_parameter_history(Name="/service/key_03", WithDecryption=True)["Parameters"]
    assert [each["Value"] for each in past] == ["3-1", "3-2"]
    environment: dict[str, str] = {}
    asked: dict[str, Any] = {"Path": "/service", "WithDecryption": True, "MaxResults": 10}
    while True:
        page = ssm.get_parameters_by_path(**asked)
        environment |= {each["Name"].rpartition("/")[2].upper(): each["Value"] for each in page["Parameters"]}
        if not page.get("NextToken"):
            break
        asked["NextToken"] = page["NextToken"]
    assert environment == {f"KEY_{number:02}": f"{number}-2" for number in range(25)}
    ssm.delete_parameter(Name="/service/key_03")


def test_what_spring_cloud_aws_does(server: Server) -> None:
    """One source for each context, most specific first: recursive, decrypted, with a slash at the end of the path."""
    ssm = server.client("ssm")
    for path, value in {
        "/config/application/db/url": "common", "/config/application_prod/db/url": "prod", "/config/shop/db/pool/size": "5",
        "/config/shop_prod/db/password": "hidden", "/config/shopping/x": "another one",
    }.items():  # fmt: skip
        ssm.put_parameter(Name=path, Value=value, Type="SecureString" if value == "hidden" else "String")
    properties: dict[str, str] = {}
    for context in ("/config/application/", "/config/application_prod/", "/config/shop/", "/config/shop_prod/"):
        pages = ssm.get_paginator("get_parameters_by_path").paginate(Path=context, Recursive=True, WithDecryption=True)
        for page in pages:
            for each in page["Parameters"]:
                properties[each["Name"].removeprefix(context).replace("/", ".")] = each["Value"]
    assert properties == {"db.url": "prod", "db.pool.size": "5", "db.password": "hidden"}


def test_a_reference_gives_the_secret_and_needs_the_right_to_it(server: Server) -> None:
    iam = server.client("iam")
    server.client("secretsmanager").create_secret(Name="prod/db", SecretString="hidden")
    iam.create_user(UserName="task")
    key = iam.create_access_key(UserName="task")["AccessKey"]
    reads = {"Effect": "Allow", "Action": "ssm:GetParameters", "Resource": "*"}
    secret = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "arn:aws:secretsmanager:*:*:secret:prod/db-*"}  # fmt: skip
    task = server.client("ssm", key=(key["AccessKeyId"], key["SecretAccessKey"]))
    asked = {"Names": ["/aws/reference/secretsmanager/prod/db"], "WithDecryption": True}
    for statements, allowed in (([reads], False), ([reads, secret], True)):
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_user_policy(UserName="task", PolicyName="p", PolicyDocument=document)
        if allowed:
            assert task.get_parameters(**asked)["Parameters"][0]["Value"] == "hidden"
        else:
            with pytest.raises(ClientError):
                task.get_parameters(**asked)


def test_an_expiring_parameter_goes_although_the_server_was_down_at_its_time(server: Server) -> None:
    at = datetime.now(UTC) + timedelta(seconds=2)
    expires = {"Type": "Expiration", "Version": "1.0", "Attributes": {"Timestamp": at.isoformat()}}
    server.client("ssm").put_parameter(
        Name="/short", Value="v", Type="String", Tier="Advanced", Policies=json.dumps([expires])
    )
    assert server.client("ssm").get_parameter(Name="/short")["Parameter"]["Value"] == "v"
    server.kill()
    while datetime.now(UTC) < at:
        time.sleep(0.05)
    server.start()
    ssm = server.client("ssm")
    with pytest.raises(ssm.exceptions.ParameterNotFound):
        ssm.get_parameter(Name="/short")
    deadline = time.monotonic() + 20
    trail = b""
    while b"ExpireParameter" not in trail and time.monotonic() < deadline:
        trail = b"".join(each.read_bytes() for each in server.data.glob("audit/**/*") if each.is_file())
        time.sleep(0.05)
    assert b"ExpireParameter" in trail
    assert ssm.put_parameter(Name="/short", Value="again", Type="String")["Version"] == 1
