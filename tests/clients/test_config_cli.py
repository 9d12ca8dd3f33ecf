"""What nobody uses any more, asked with the real AWS CLI and with `geumgo report`: forty days that pass in no time."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from geumgo.cli import group
from tests.bench.bench_config import fill
from tests.clock import TurnedClock
from tests.house import House
from tests.server import clean_environment
from tests.serving import house_ago, serving

AWS = str(Path(sys.executable).with_name("aws"))
DAYS = 40


@dataclass(frozen=True)
class Shell:
    """The command line of somebody who looks at the house today."""

    house: House

    def environment(self, endpoint: str) -> dict[str, str]:
        return {
            **clean_environment(),
            "AWS_ACCESS_KEY_ID": self.house.admin.identity,
            "AWS_SECRET_ACCESS_KEY": self.house.admin.secret,
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": "/nonexistent",
            "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PAGER": "",
            "LC_ALL": "C.UTF-8",
        }

    def aws(self, *command: str) -> Any:
        with serving(self.house) as endpoint:
            done = subprocess.run(
                [AWS, *command], capture_output=True, text=True, env=self.environment(endpoint), timeout=60, check=False
            )
        assert done.returncode == 0, f"aws {' '.join(command)}: {done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip() else None

    def geumgo(self, *command: str) -> Result:
        with serving(self.house) as endpoint:
            return CliRunner().invoke(group, command, env=self.environment(endpoint))


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    with house_ago(tmp_path, monkeypatch, DAYS) as made:
        yield made


def furnish(house: House, used: int, unused: int) -> Shell:
    """Secrets that are forty days old by the clocks of this machine; those called used/ were read ten days ago."""
    clock: TurnedClock = house.clock
    secrets = house.client("secretsmanager")
    for number in range(used):
        secrets.create_secret(Name=f"used/{number:04}", SecretString="x")
    secrets.create_secret(Name="app/db", SecretString="x", Tags=[{"Key": "Owner", "Value": "team a"}])
    fill(house, unused - 1)
    clock.turn(days=DAYS - 10)
    reading = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
    reader = house.client("secretsmanager", house.user("reader", reading))
    for number in range(used):
        reader.get_secret_value(SecretId=f"used/{number:04}")
    clock.turn(days=10)
    return Shell(house)


def test_the_aws_cli_lists_exactly_what_nobody_reads(house: House) -> None:
    shell = furnish(house, used=100, unused=900)
    aws = shell.aws
    role = aws("iam", "create-service-linked-role", "--aws-service-name", "config.amazonaws.com")["Role"]["Arn"]
    aws("configservice", "put-configuration-recorder", "--configuration-recorder", f"name=default,roleARN={role}")
    rule = {
        "ConfigRuleName": "unused",
        "Source": {"Owner": "AWS", "SourceIdentifier": "SECRETSMANAGER_SECRET_UNUSED"},
        "InputParameters": '{"unusedForDays":"30"}',
    }
    aws("configservice", "put-config-rule", "--config-rule", json.dumps(rule))
    shell.house.run_jobs()

    def unused() -> set[str]:
        found = aws(
            "configservice", "get-compliance-details-by-config-rule", "--config-rule-name", "unused",
            "--compliance-types", "NON_COMPLIANT", "--page-size", "100",
        )  # fmt: skip
        qualifiers = [
            each["EvaluationResultIdentifier"]["EvaluationResultQualifier"] for each in found["EvaluationResults"]
        ]
        return {each["ResourceId"].rpartition(":")[2][:-7] for each in qualifiers}

    expected = {"app/db", *(f"team/{number:06}" for number in range(899))}
    assert unused() == expected

    aws("secretsmanager", "get-secret-value", "--secret-id", "app/db")
    assert unused() == expected
    aws("configservice", "start-config-rules-evaluation", "--config-rule-names", "unused")
    shell.house.run_jobs()
    assert unused() == expected - {"app/db"}


def test_the_report_names_the_last_reader_the_owner_and_what_to_do(house: House) -> None:
    shell = furnish(house, used=2, unused=4)
    trail = ("--data", str(house.settings.data))
    shown = shell.geumgo("report", "unused", "--days", "30", "--json", *trail)
    assert shown.exit_code == 0, shown.output
    lines = {line["name"]: line for line in json.loads(shown.output)}
    assert sorted(lines) == ["app/db", "team/000000", "team/000001", "team/000002"]
    assert lines["app/db"] | {"arn": ""} == {
        "name": "app/db",
        "arn": "",
        "last_read": "never",
        "unused_days": DAYS,
        "last_reader": "-",
        "age_days": DAYS,
        "owner": "team a",
        "command": "aws secretsmanager delete-secret --secret-id app/db --recovery-window-in-days 30",
    }
    shown = shell.geumgo("report", "unused", "--days", "9", "--json", *trail)
    lines = {line["name"]: line for line in json.loads(shown.output)}
    assert len(lines) == 6
    assert lines["used/0000"]["last_reader"] == f"arn:aws:iam::{house.account}:user/reader"
    assert lines["used/0000"]["unused_days"] in (9, 10)  # the day of use began at its midnight

    house.index()  # as the server does by itself, all the time
    shown = shell.geumgo("report", "unused", "--days", "9", "--json")
    lines = {line["name"]: line for line in json.loads(shown.output)}
    assert lines["used/0000"]["last_reader"] == f"arn:aws:iam::{house.account}:user/reader"

    head, first, *rest = shell.geumgo("report", "unused", "--days", "30").output.splitlines()
    assert head.split() == ["SECRET", "LAST", "READ", "UNUSED", "LAST", "READER", "AGE", "OWNER"]
    assert first.split()[1:] in (
        ["never", "40", "d", "-", "40", "d", "team", "a"],
        ["never", "40", "d", "-", "40", "d", "-"],
    )
    assert f"  {lines['app/db']['command']}" in rest
    shell.aws(*lines["app/db"]["command"].split()[1:])
    assert "app/db" not in shell.geumgo("report", "unused", "--days", "30").output
    assert shell.geumgo("report", "unused", "--days", "3650").output == "Every secret is used.\n"
