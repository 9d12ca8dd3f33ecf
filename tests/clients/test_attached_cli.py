"""Managed passwords of DocumentDB and Redshift as people use them: the real AWS CLI, a real server."""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from tests.clients.test_iam_cli import Cli
from tests.clients.test_rds_cli import MASTER, EndpointCli, psql
from tests.clients.test_rds_cli import postgres as postgres
from tests.rotation_functions import mongo_server
from tests.rotation_functions.servers import CHIEF
from tests.server import Server
from tests.storage.postgres_server import PrivateServer


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    data = tmp_path_factory.mktemp("docdb-cli") / "data"
    with Server(data, arguments=("--workers", "1"), environment={"GEUMGO_OUTGOING_HOSTS": "127.0.0.1"}) as running:
        yield EndpointCli(running, *running.credentials())


def tags(port: int) -> list[str]:
    where = {"geumgo:host": "127.0.0.1", "geumgo:port": str(port), "geumgo:tls": "off", "geumgo:secret": "before"}
    return ["--tags", *(f"Key={key},Value={value}" for key, value in where.items())]


def awaited(shows: Callable[[], Any]) -> Any:
    for _ in range(600):
        if found := shows():
            return found
        threading.Event().wait(0.05)
    raise AssertionError("it did not happen")


def test_documentdb(aws: Cli) -> None:
    with mongo_server.fake_mongo() as (port, _):
        text = json.dumps({"username": CHIEF[0], "password": CHIEF[1]})
        aws("secretsmanager", "create-secret", "--name", "before", "--secret-string", text)
        create = ["docdb", "create-db-cluster", "--db-cluster-identifier", "papers", "--engine", "docdb"]
        made = aws(*create, "--master-username", CHIEF[0], "--manage-master-user-password", *tags(port))["DBCluster"]
        arn = made["MasterUserSecret"]["SecretArn"]
        assert ":secret:rds!cluster-" in arn

        def active() -> bool:
            shown = aws("docdb", "describe-db-clusters", "--db-cluster-identifier", "papers")["DBClusters"][0]
            return bool(shown["MasterUserSecret"]["SecretStatus"] == "active")

        awaited(active)
        value = json.loads(aws("secretsmanager", "get-secret-value", "--secret-id", arn)["SecretString"])
        assert mongo_server.logs_in(port, value["username"], value["password"])
        assert not mongo_server.logs_in(port, *CHIEF)
        aws("secretsmanager", "delete-secret", "--secret-id", "before", "--force-delete-without-recovery")


def test_service_connect(aws: Cli) -> None:
    account = aws("sts", "get-caller-identity")["Account"]
    trust = {"Effect": "Allow", "Principal": {"Service": "ecs.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = aws("iam", "create-role", "--role-name", "infrastructure", "--assume-role-policy-document", document)[
        "Role"
    ]["Arn"]
    policy = (
        "arn:aws:iam::aws:policy/service-role/AmazonECSInfrastructureRolePolicyForServiceConnectTransportLayerSecurity"
    )
    aws("iam", "attach-role-policy", "--role-name", "infrastructure", "--policy-arn", policy)
    aws("ecs", "create-cluster", "--cluster-name", "main")
    authority = f"arn:aws:acm-pca:us-east-1:{account}:certificate-authority/x"
    tls = {"roleArn": role, "issuerCertificateAuthority": {"awsPcaAuthorityArn": authority}}
    connect = {"enabled": True, "namespace": "prod", "services": [{"portName": "api", "tls": tls}]}
    create = ["ecs", "create-service", "--cluster", "main", "--service-name", "shop"]
    aws(*create, "--service-connect-configuration", json.dumps(connect))
    listing = ["secretsmanager", "list-secrets", "--filters", "Key=owning-service,Values=ecs-sc"]
    secret = awaited(lambda: aws(*listing)["SecretList"])[0]["ARN"]
    value = json.loads(aws("secretsmanager", "get-secret-value", "--secret-id", secret)["SecretString"])
    assert "BEGIN PRIVATE KEY" in value["privateKey"]
    awaited(
        lambda: (
            aws("ecs", "describe-services", "--cluster", "main", "--services", "shop")["services"][0]["deployments"][0][
                "rolloutState"
            ]
            == "COMPLETED"
        )
    )
    aws("ecs", "delete-service", "--cluster", "main", "--service", "shop")
    awaited(lambda: not aws(*listing)["SecretList"])


def test_redshift(aws: Cli, postgres: PrivateServer) -> None:
    where: dict[str, Any] = {"host": "127.0.0.1", "port": postgres.port, "dbname": "postgres", "sslmode": "disable"}
    with psycopg.connect(**where, user=MASTER, password="as it was installed", autocommit=True) as connection:
        connection.execute("CREATE DATABASE dev")
    text = json.dumps({"username": MASTER, "password": "as it was installed"})
    aws("secretsmanager", "create-secret", "--name", "before", "--secret-string", text)
    create = ["redshift", "create-cluster", "--cluster-identifier", "warehouse", "--node-type", "any"]
    aws(*create, "--master-username", MASTER, "--manage-master-password", *tags(postgres.port))
    secret = f"redshift!warehouse-{MASTER}"

    def value() -> dict[str, str]:
        found: dict[str, str] = json.loads(
            aws("secretsmanager", "get-secret-value", "--secret-id", secret)["SecretString"]
        )
        return found

    awaited(lambda: value()["password"] != "as it was installed")
    before = value()
    assert psql(postgres, before).stdout.strip() == MASTER
    awaited(lambda: aws.run("secretsmanager", "rotate-secret", "--secret-id", secret).returncode == 0)
    awaited(lambda: value() != before)
    assert psql(postgres, value()).stdout.strip() == MASTER
    assert "authentication failed" in psql(postgres, before).stderr
