"""A managed master password as people use it: the real AWS CLI, a real server, a real PostgreSQL, psql."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from tests.clients.test_iam_cli import Cli
from tests.rotation_functions.servers import free_port
from tests.server import Server
from tests.storage.postgres_server import PrivateServer, private_server

MASTER = "master"


class EndpointCli(Cli):
    """Version 1 of the AWS CLI sends `rds` of us-east-1 to AWS whatever AWS_ENDPOINT_URL says; only the option is obeyed."""

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return super().run("--endpoint-url", self.server.endpoint, *command)


@pytest.fixture(scope="module")
def postgres() -> Iterator[PrivateServer]:
    with private_server(free_port(), listen_addresses="127.0.0.1", password_encryption="scram-sha-256") as server:
        (server.data / "pg_hba.conf").write_text("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
        server.command("SELECT pg_reload_conf()")
        server.command(f"CREATE ROLE {MASTER} SUPERUSER LOGIN PASSWORD 'as it was installed'")
        yield server


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    data = tmp_path_factory.mktemp("rds-cli") / "data"
    environment = {"GEUMGO_OUTGOING_HOSTS": "127.0.0.1"}
    with Server(data, arguments=("--workers", "1"), environment=environment) as running:
        yield EndpointCli(running, *running.credentials())


def psql(postgres: PrivateServer, value: dict[str, str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PGPASSWORD": value["password"], "PGSSLMODE": "disable"}
    command = [
        "psql",
        "-h",
        "127.0.0.1",
        "-p",
        str(postgres.port),
        "-U",
        value["username"],
        "-d",
        "postgres",
        "-Atc",
        "SELECT current_user",
    ]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=30, check=False)


def await_status(aws: Cli, wanted: str) -> dict[str, str]:
    """The MasterUserSecret, when its status is the wanted one."""
    rds = aws.server.client("rds")
    secret: dict[str, str] = {}
    for _ in range(600):
        secret = rds.describe_db_instances(DBInstanceIdentifier="shop")["DBInstances"][0]["MasterUserSecret"]
        if secret["SecretStatus"] == wanted:
            return secret
        threading.Event().wait(0.05)
    raise AssertionError(f"the secret is {secret}, not {wanted}")


def test_the_secret_appears_rotates_at_once_and_psql_logs_in_with_it(aws: Cli, postgres: PrivateServer) -> None:
    text = json.dumps({"username": MASTER, "password": "as it was installed"})
    aws("secretsmanager", "create-secret", "--name", "shop-before", "--secret-string", text)
    assert psql(postgres, json.loads(text)).returncode == 0
    create = [
        "rds",
        "create-db-instance",
        "--db-instance-identifier",
        "shop",
        "--engine",
        "postgres",
        "--db-instance-class",
        "db.t3.micro",
    ]
    create += ["--master-username", MASTER, "--manage-master-user-password"]
    without = aws.run(*create)
    assert "geumgo:host" in without.stderr
    tags = ["Key=geumgo:host,Value=127.0.0.1", f"Key=geumgo:port,Value={postgres.port}", "Key=geumgo:tls,Value=off"]
    made = aws(*create, "--tags", *tags, "Key=geumgo:secret,Value=shop-before")["DBInstance"]
    assert ":secret:rds!db-" in made["MasterUserSecret"]["SecretArn"]
    arn = await_status(aws, "active")["SecretArn"]
    value = json.loads(aws("secretsmanager", "get-secret-value", "--secret-id", arn)["SecretString"])
    assert psql(postgres, value).stdout.strip() == MASTER
    assert "authentication failed" in psql(postgres, json.loads(text)).stderr

    refused = aws.run("secretsmanager", "put-secret-value", "--secret-id", arn, "--secret-string", "x")
    assert "InvalidRequestException" in refused.stderr
    assert "managed by rds" in refused.stderr

    aws(
        "rds",
        "modify-db-instance",
        "--db-instance-identifier",
        "shop",
        "--rotate-master-user-password",
        "--apply-immediately",
    )
    await_status(aws, "active")
    after = json.loads(aws("secretsmanager", "get-secret-value", "--secret-id", arn)["SecretString"])
    assert after["password"] != value["password"]
    assert psql(postgres, after).stdout.strip() == MASTER
    assert "authentication failed" in psql(postgres, value).stderr
    aws("rds", "delete-db-instance", "--db-instance-identifier", "shop", "--skip-final-snapshot")
    with pytest.raises(ClientError, match="DBInstance shop not found"):
        await_status(aws, "gone")
    assert "DeletedDate" in aws("secretsmanager", "describe-secret", "--secret-id", arn)
