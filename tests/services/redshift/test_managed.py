"""Admin passwords that Redshift manages, of a real PostgreSQL that speaks for itself or as Redshift would."""

import contextlib
import json
from typing import Any

import psycopg
import pytest
from botocore.exceptions import ClientError

from geumgo.jobs.worker import Held
from geumgo.outbound.databases import Databases
from tests.house import House
from tests.rotation_functions.servers import CHIEF
from tests.rotation_functions.targets import Target
from tests.services.redshift.as_redshift import AsRedshift


class Attached:
    """A cluster of a test."""

    def __init__(self, house: House, target: Target, link: AsRedshift, name: str = "mine") -> None:
        self.house, self.target, self.link, self.name = house, target, link, name
        self.redshift, self.sm = house.client("redshift"), house.client("secretsmanager")
        self.user = f"admin{link.port}"
        self.admit("First-123")

    def admit(self, password: str) -> None:
        """The database has the user, with that password, whatever it had before."""
        where: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": self.target.port,
            "dbname": "postgres",
            "sslmode": "disable",
        }
        with psycopg.connect(**where, user=CHIEF[0], password=CHIEF[1], autocommit=True) as connection:
            verb = (
                "ALTER"
                if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [self.user]).fetchone()
                else "CREATE"
            )
            connection.execute(f"{verb} ROLE {self.user} LOGIN SUPERUSER PASSWORD '{password}'".encode())

    def create(self, *, tags: dict[str, str] | None = None, **params: Any) -> dict[str, Any]:
        where = {"geumgo:host": "127.0.0.1", "geumgo:port": str(self.link.port), "geumgo:tls": "off", **(tags or {})}
        given = [{"Key": key, "Value": value} for key, value in where.items()]
        made = self.redshift.create_cluster(
            ClusterIdentifier=self.name, NodeType="any", MasterUsername=self.user, Tags=given, **params
        )
        return dict(made["Cluster"])

    def create_managed(self, **params: Any) -> dict[str, Any]:
        text = json.dumps({"username": self.user, "password": "First-123"})
        secret = self.sm.create_secret(Name="before", SecretString=text)["ARN"]
        made = self.create(tags={"geumgo:secret": secret}, ManageMasterPassword=True, **params)
        self.house.run_jobs()
        return made

    def modify(self, **params: Any) -> dict[str, Any]:
        return dict(self.redshift.modify_cluster(ClusterIdentifier=self.name, **params)["Cluster"])

    def describe(self) -> dict[str, Any]:
        return dict(self.redshift.describe_clusters(ClusterIdentifier=self.name)["Clusters"][0])

    def value(self, stage: str = "AWSCURRENT") -> dict[str, str]:
        arn = self.describe()["MasterPasswordSecretArn"]
        found: dict[str, str] = json.loads(self.sm.get_secret_value(SecretId=arn, VersionStage=stage)["SecretString"])
        return found

    def logs_in(self, password: str) -> bool:
        return self.target.logs_in(self.target.value(self.user, password))


@pytest.fixture
def attached(house: House, postgres: Target, link: AsRedshift) -> Attached:
    return Attached(house, postgres, link)


def test_the_secret_appears_and_the_password_is_changed_at_once(attached: Attached) -> None:
    made = attached.create_managed()
    assert made["ClusterStatus"] == "creating"
    shown = attached.describe()
    assert (shown["ClusterStatus"], shown["ClusterAvailabilityStatus"]) == ("available", "Available"), shown
    assert ":key/" in shown["MasterPasswordSecretKmsKeyId"]
    value = attached.value()
    assert set(value) == {"username", "password"}
    assert attached.logs_in(value["password"])
    assert not attached.logs_in("First-123")
    secret = attached.sm.describe_secret(SecretId=shown["MasterPasswordSecretArn"])
    assert secret["Name"] == f"redshift!mine-{attached.user}"
    assert secret["OwningService"] == "redshift"
    assert secret["RotationRules"]["AutomaticallyAfterDays"] == 30
    assert "RotationLambdaARN" not in secret
    arn = f"arn:aws:redshift:us-east-1:{attached.house.account}:cluster:mine"
    tags = {tag["Key"]: tag["Value"] for tag in secret["Tags"]}
    assert tags == {"aws:redshift:primaryClusterArn": arn, "aws:secretsmanager:owningService": "redshift"}
    said = b"".join(attached.link.said)
    assert (b"SCRAM-SHA-256$" in said) == (not attached.link.pretends)
    assert b"ALTER" in said


def test_it_is_rotated_every_thirty_days_and_whenever_anybody_who_may_asks(attached: Attached) -> None:
    attached.create_managed()
    arn = attached.describe()["MasterPasswordSecretArn"]
    seen = [attached.value()["password"]]
    for _ in range(31):
        attached.house.clock.turn(days=1)
        attached.house.run_jobs()
    seen.append(attached.value()["password"])
    attached.sm.rotate_secret(SecretId=arn)
    attached.house.run_jobs()
    seen.append(attached.value()["password"])
    assert len(set(seen)) == 3
    assert [attached.logs_in(each) for each in seen] == [False, False, True]
    assert attached.value("AWSPREVIOUS")["password"] == seen[1]
    attached.sm.rotate_secret(SecretId=arn, RotateImmediately=False, RotationRules={"AutomaticallyAfterDays": 10})
    assert attached.sm.describe_secret(SecretId=arn)["RotationRules"]["AutomaticallyAfterDays"] == 10
    events = [record["eventName"] for record in attached.house.trail() if record["eventName"].startswith("Rotation")]
    assert events == ["RotationStarted", "RotationSucceeded"] * 3


def test_nobody_but_redshift_changes_the_secret(attached: Attached) -> None:
    attached.create_managed()
    arn = attached.describe()["MasterPasswordSecretArn"]
    version = attached.sm.get_secret_value(SecretId=arn)["VersionId"]
    for call, params in (
        (attached.sm.put_secret_value, {"SecretString": "x"}),
        (attached.sm.update_secret, {"Description": "x"}),
        (attached.sm.update_secret_version_stage, {"VersionStage": "x", "MoveToVersionId": version}),
        (attached.sm.tag_resource, {"Tags": [{"Key": "a", "Value": "b"}]}),
        (attached.sm.untag_resource, {"TagKeys": ["a"]}),
        (attached.sm.delete_secret, {"ForceDeleteWithoutRecovery": True}),
    ):
        with pytest.raises(ClientError, match=r"InvalidRequestException.*managed by redshift"):
            call(SecretId=arn, **params)
    function = f"arn:aws:lambda:us-east-1:{attached.house.account}:function:x"
    with pytest.raises(ClientError, match=r"InvalidRequestException.*rotated by redshift"):
        attached.sm.rotate_secret(SecretId=arn, RotationLambdaARN=function)
    with pytest.raises(ClientError, match=r"InvalidParameterException.*reserved"):
        attached.sm.create_secret(Name="redshift!mine-x", SecretString="x")


def test_management_is_turned_on_and_off(attached: Attached) -> None:
    attached.create(MasterUserPassword="First-123")
    attached.house.run_jobs()
    assert "MasterPasswordSecretArn" not in attached.describe()
    assert attached.modify(MasterUserPassword="Second-123")["PendingModifiedValues"] == {"MasterUserPassword": "****"}
    assert attached.describe()["ClusterStatus"] == "modifying"
    attached.house.run_jobs()
    assert attached.logs_in("Second-123")
    assert not attached.logs_in("First-123")
    attached.modify(ManageMasterPassword=True)
    attached.house.run_jobs()
    arn, managed = attached.describe()["MasterPasswordSecretArn"], attached.value()["password"]
    assert attached.logs_in(managed)
    with pytest.raises(ClientError, match="must specify MasterUserPassword"):
        attached.modify(ManageMasterPassword=False)
    attached.modify(ManageMasterPassword=False, MasterUserPassword="Third-123")
    attached.house.run_jobs()
    assert attached.logs_in("Third-123")
    assert not attached.logs_in(managed)
    assert "MasterPasswordSecretArn" not in attached.describe()
    assert "DeletedDate" in attached.sm.describe_secret(SecretId=arn)


def test_the_secret_of_a_cluster_that_comes_back_is_taken_back(attached: Attached) -> None:
    attached.create_managed()
    arn, before = attached.describe()["MasterPasswordSecretArn"], attached.value()["password"]
    attached.redshift.delete_cluster(ClusterIdentifier="mine", SkipFinalClusterSnapshot=True)
    attached.house.run_jobs()
    assert "DeletedDate" in attached.sm.describe_secret(SecretId=arn)
    assert attached.logs_in(before)
    attached.sm.create_secret(Name="known", SecretString=json.dumps({"username": attached.user, "password": before}))
    key = attached.house.client("kms").create_key()["KeyMetadata"]["Arn"]
    attached.create(tags={"geumgo:secret": "known"}, ManageMasterPassword=True, MasterPasswordSecretKmsKeyId=key)
    attached.house.run_jobs()
    shown = attached.describe()
    assert (shown["MasterPasswordSecretArn"], shown["MasterPasswordSecretKmsKeyId"]) == (arn, key)
    secret = attached.sm.describe_secret(SecretId=arn)
    assert ("DeletedDate" not in secret, secret["RotationEnabled"], secret["KmsKeyId"]) == (True, True, key)
    after = attached.value()["password"]
    assert attached.logs_in(after)
    assert not attached.logs_in(before)


def test_a_job_that_is_killed_between_two_steps_goes_on_where_it_was(
    attached: Attached, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each call that the job makes, and after the cluster has changed, it dies once. One of the labels always logs in."""
    attached.create_managed()
    died: set[tuple[Any, ...]] = set()
    real, really_set = Held.call, Databases.set_password

    def call(self: Held, *args: Any, **params: Any) -> Any:
        answer = real(self, *args, **params)
        asked = (*args, params.get("VersionStage"), "VersionId" in params, "MoveToVersionId" in params)
        if asked not in died:
            died.add(asked)
            raise ConnectionError("killed")
        return answer

    def set_password(self: Databases, server: Any, username: str, password: str, new: str, **more: Any) -> None:
        really_set(self, server, username, password, new, **more)
        if ("changed",) not in died:
            died.add(("changed",))
            raise ConnectionError("killed")

    monkeypatch.setattr(Held, "call", call)
    monkeypatch.setattr(Databases, "set_password", set_password)
    before, arn = attached.value()["password"], attached.describe()["MasterPasswordSecretArn"]
    attached.sm.rotate_secret(SecretId=arn)
    for _ in range(40):
        attached.house.run_jobs()
        stages = [
            label for worn in attached.sm.describe_secret(SecretId=arn)["VersionIdsToStages"].values() for label in worn
        ]
        known = []
        for stage in stages:
            with contextlib.suppress(ClientError):  # AWSPENDING may have no value yet
                known.append(attached.value(stage)["password"])
        assert any(map(attached.logs_in, known)), "no label logs in"
        if "AWSPENDING" not in stages:
            break
        attached.house.clock.turn(ms=601_000)
    assert ("changed",) in died
    assert len(died) >= 6
    assert attached.value()["password"] != before
    assert attached.logs_in(attached.value()["password"])


def test_a_wrong_password_is_said_so_and_nothing_is_changed(attached: Attached) -> None:
    attached.create(MasterUserPassword="Wrong-123")
    attached.house.run_jobs()
    shown = attached.describe()
    assert (shown["ClusterStatus"], shown["ClusterAvailabilityStatus"]) == ("failed", "Failed")
    assert "does not let the master user in" in shown["ModifyStatus"]
    with pytest.raises(ClientError, match=r"InvalidClusterState.*failed"):
        attached.modify(MasterUserPassword="Other-123")


def test_an_admin_user_has_one_keeper(attached: Attached, house: House, postgres: Target) -> None:
    attached.create_managed()
    other = Attached(house, postgres, attached.link, name="other")
    with pytest.raises(ClientError, match=r"looked after as .*cluster:mine already"):
        other.create(MasterUserPassword="First-123")


def test_each_right_that_managing_needs_is_asked_for(attached: Attached) -> None:
    attached.house.client("iam").create_service_linked_role(AWSServiceName="redshift.amazonaws.com")
    attached.sm.create_secret(
        Name="known", SecretString=json.dumps({"username": attached.user, "password": "First-123"})
    )
    needed = [
        "redshift:CreateCluster",
        "secretsmanager:GetSecretValue",
        "secretsmanager:DescribeSecret",
        "secretsmanager:CreateSecret",
        "secretsmanager:TagResource",
        "kms:DescribeKey",
    ]
    for number, missing in enumerate([*needed, None]):
        rights = [each for each in needed if each != missing]
        user = attached.house.user(f"u{number}", {"Effect": "Allow", "Action": rights, "Resource": "*"})
        attached.redshift = attached.house.client("redshift", user)
        if missing is None:
            attached.create(tags={"geumgo:secret": "known"}, ManageMasterPassword=True)
        else:
            with pytest.raises(ClientError, match=f"AccessDenied.*{missing}"):
                attached.create(tags={"geumgo:secret": "known"}, ManageMasterPassword=True)


def test_no_password_reaches_the_trail_or_the_rows_in_clear(attached: Attached) -> None:
    attached.create(MasterUserPassword="First-123")
    attached.house.run_jobs()
    attached.modify(MasterUserPassword="Second-123")
    with attached.house.app.storage.reading() as tx:
        rows = str(tx.all("SELECT kept, tags, message, password, next_password FROM redshift_cluster"))
    for secret in ("First-123", "Second-123"):
        assert secret not in rows
        assert secret not in json.dumps(attached.house.trail())


def test_a_row_that_was_changed_from_outside_sends_no_password_anywhere(attached: Attached) -> None:
    attached.create_managed()
    with attached.house.app.storage.writing() as tx:
        tx.run("UPDATE redshift_cluster SET host = 'evil.example.com'")
    with pytest.raises(ClientError, match=r"InternalFailure|InternalError|InternalServiceError"):
        attached.describe()
