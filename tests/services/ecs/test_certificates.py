"""The certificates of Service Connect: issued, kept in a secret of ECS's own, renewed, and good for a real TLS connection."""

import json
import socket
import ssl
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography import x509

from geumgo.context import Place
from geumgo.jobs import promise
from geumgo.jobs.worker import Held
from geumgo.sealing import Plaintext, certificates
from geumgo.sealing.certificates import BadCertificate, Issued
from geumgo.services.ecs import issuing
from tests.house import House, Key

POLICY = "arn:aws:iam::aws:policy/service-role/AmazonECSInfrastructureRolePolicyForServiceConnectTransportLayerSecurity"


class World:
    def __init__(self, house: House) -> None:
        self.house = house
        self.ecs, self.sm, self.iam = house.client("ecs"), house.client("secretsmanager"), house.client("iam")
        self.authority = (
            f"arn:aws:acm-pca:us-east-1:{house.account}:certificate-authority/11111111-2222-3333-4444-555555555555"
        )

    def role(self, name: str = "infrastructure", *, policy: str = POLICY) -> str:
        trust = {"Effect": "Allow", "Principal": {"Service": "ecs.amazonaws.com"}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        arn: str = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
        if policy:
            self.iam.attach_role_policy(RoleName=name, PolicyArn=policy)
        return arn

    def configuration(self, role: str, *ports: str, **tls: Any) -> dict[str, Any]:
        given = {"issuerCertificateAuthority": {"awsPcaAuthorityArn": self.authority}, "roleArn": role, **tls}
        entries = [
            {"portName": port, "clientAliases": [{"port": 443, "dnsName": f"{port}.example.internal"}], "tls": given}
            for port in ports or ("api",)
        ]
        return {"enabled": True, "namespace": "prod.local", "services": entries}

    def create(self, role: str, *ports: str, **params: Any) -> dict[str, Any]:
        self.ecs.create_cluster(clusterName="main")
        made = self.ecs.create_service(
            cluster="main", serviceName="shop", serviceConnectConfiguration=self.configuration(role, *ports), **params
        )
        self.house.run_jobs()
        return dict(made["service"])

    def shown(self) -> dict[str, Any]:
        return dict(self.ecs.describe_services(cluster="main", services=["shop"])["services"][0])

    def secrets(self) -> list[dict[str, Any]]:
        found = self.sm.list_secrets(Filters=[{"Key": "owning-service", "Values": ["ecs-sc"]}])["SecretList"]
        return [dict(each) for each in found]

    def value(self, stage: str = "AWSCURRENT") -> dict[str, str]:
        arn = self.secrets()[0]["ARN"]
        found: dict[str, str] = json.loads(self.sm.get_secret_value(SecretId=arn, VersionStage=stage)["SecretString"])
        return found

    def days(self, number: int) -> None:
        for _ in range(number):
            self.house.clock.turn(days=1)
            self.house.run_jobs()


@pytest.fixture
def world(house: House) -> World:
    return World(house)


def test_it_is_the_same_on_each_engine(house_on_each: House) -> None:
    world = World(house_on_each)
    world.create(world.role(), "api", "admin")
    before = world.value()
    world.days(6)
    assert world.value() != before
    world.ecs.delete_service(cluster="main", service="shop")
    world.house.run_jobs()
    assert world.secrets() == []
    assert world.ecs.list_clusters()["clusterArns"]


def parsed(value: dict[str, str]) -> x509.Certificate:
    return x509.load_pem_x509_certificate(value["certificate"].encode())


def test_a_service_with_tls_gets_a_certificate_in_a_secret_of_its_own(world: World) -> None:
    made = world.create(world.role())
    assert (made["status"], made["deployments"][0]["rolloutState"]) == ("ACTIVE", "IN_PROGRESS")
    assert world.shown()["deployments"][0]["rolloutState"] == "COMPLETED", world.shown()["events"]
    secret = world.sm.describe_secret(SecretId=world.secrets()[0]["ARN"])
    assert secret["Name"].startswith("ecs-sc!")
    assert (secret["OwningService"], secret["RotationEnabled"]) == ("ecs-sc", True)
    assert secret["RotationRules"] == {"AutomaticallyAfterDays": 5}
    tags = {tag["Key"]: tag["Value"] for tag in secret["Tags"]}
    assert tags == {
        "AmazonECSManaged": "true",
        "AmazonECSCreated": made["serviceArn"],
        "aws:secretsmanager:owningService": "ecs-sc",
    }
    value = world.value()
    assert set(value) == {"certificate", "certificateChain", "privateKey"}
    found = parsed(value)
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["api.prod.local", "api.example.internal"]
    valid_days = (
        found.not_valid_after_utc - datetime.fromtimestamp(world.house.clock.now_ms() / 1000, UTC)
    ).total_seconds() / 86_400
    assert 6.9 < valid_days <= 7


def test_it_is_renewed_long_before_it_expires_and_the_authority_stays(world: World) -> None:
    world.create(world.role())
    seen = [world.value()]
    for _ in range(4):
        world.days(6)
        now = datetime.fromtimestamp(world.house.clock.now_ms() / 1000, UTC)
        seen.append(world.value())
        assert now < parsed(seen[-1]).not_valid_after_utc, "it expired before it was renewed"
    assert len({each["privateKey"] for each in seen}) == 5
    assert len({each["certificateChain"] for each in seen}) == 1
    assert world.value("AWSPREVIOUS") == seen[-2]
    arn = world.secrets()[0]["ARN"]
    world.sm.rotate_secret(SecretId=arn)
    world.house.run_jobs()
    assert world.value()["privateKey"] not in {each["privateKey"] for each in seen}
    events = {each["eventName"] for each in world.house.trail() if each["eventName"].startswith("Rotation")}
    assert events == {"RotationStarted", "RotationSucceeded"}
    for each in [*seen, world.value()]:
        assert each["privateKey"][40:80] not in json.dumps(world.house.trail())


def test_a_client_that_knows_the_authority_speaks_tls_with_it(world: World, tmp_path: Path) -> None:
    """With the time of the machine, which is the one that OpenSSL goes by."""
    now_ms = int(datetime.now(UTC).timestamp() * 1_000)
    authority = certificates.new_authority("ours", now_ms)
    issued = certificates.issue(authority, ["api.prod.local"], now_ms, 7)
    (tmp_path / "key.pem").write_bytes(issued.private.reveal())
    (tmp_path / "certificate.pem").write_text(issued.certificate)
    shows = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    shows.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    trusts = ssl.create_default_context(cadata=authority.certificate)
    for name, accepted in (("api.prod.local", True), ("other.prod.local", False)):
        ours, theirs = socket.socketpair()

        def serve(end: socket.socket = theirs) -> None:
            try:
                shows.wrap_socket(end, server_side=True).close()
            except (ssl.SSLError, OSError):
                end.close()

        thread = threading.Thread(target=serve)
        thread.start()
        if accepted:
            with trusts.wrap_socket(ours, server_hostname=name) as secured:
                assert secured.version() == "TLSv1.3"
        else:
            with pytest.raises(ssl.SSLCertVerificationError):
                trusts.wrap_socket(ours, server_hostname=name)
            ours.close()
        thread.join()


def test_what_would_not_be_accepted_is_not_made_current() -> None:
    day_ms = 86_400_000
    now_ms = 1_800_000_000_000
    authority, other = certificates.new_authority("ours", now_ms), certificates.new_authority("theirs", now_ms)
    issued, another = (certificates.issue(authority, ["a.b"], now_ms, 7) for _ in range(2))
    certificates.check(issued, authority.certificate, ["a.b"], now_ms)
    for found, root, names, at_ms in (
        (issued, other.certificate, ["a.b"], now_ms),
        (issued, authority.certificate, ["b.c"], now_ms),
        (issued, authority.certificate, ["a.b"], now_ms + 8 * day_ms),
        (issued, authority.certificate, ["a.b"], now_ms - day_ms),
        (Issued(another.private, issued.certificate), authority.certificate, ["a.b"], now_ms),
        (Issued(Plaintext(b"x"), issued.certificate), authority.certificate, ["a.b"], now_ms),
        (Issued(issued.private, "x"), authority.certificate, ["a.b"], now_ms),
    ):
        with pytest.raises(BadCertificate):
            certificates.check(found, root, names, at_ms)


def test_a_role_that_may_not_is_said_so_until_it_may(world: World) -> None:
    role = world.role(policy="")
    world.create(role)
    shown = world.shown()
    assert shown["deployments"][0]["rolloutState"] == "IN_PROGRESS"
    assert "secretsmanager:DescribeSecret" in shown["events"][0]["message"]
    assert world.secrets() == []
    own = {"Effect": "Allow", "Action": ["secretsmanager:*"], "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [own]})
    world.iam.put_role_policy(RoleName="infrastructure", PolicyName="p", PolicyDocument=document)
    world.house.clock.turn(ms=61_000)
    world.house.run_jobs()
    assert "acm-pca:IssueCertificate" in world.shown()["events"][0]["message"]
    assert world.secrets() == []
    world.iam.attach_role_policy(RoleName="infrastructure", PolicyArn=POLICY)
    world.house.clock.turn(ms=61_000)
    world.house.run_jobs()
    assert world.shown()["events"] == []
    assert len(world.secrets()) == 1


def test_a_renewal_that_its_role_may_not_do_fails_and_the_old_one_stays(world: World) -> None:
    world.create(world.role())
    before, arn = world.value(), world.secrets()[0]["ARN"]
    world.iam.detach_role_policy(RoleName="infrastructure", PolicyArn=POLICY)
    world.sm.rotate_secret(SecretId=arn)
    world.house.run_jobs()
    failed = [each["errorMessage"] for each in world.house.trail() if each["eventName"] == "RotationFailed"]
    assert failed
    assert all("AccessDenied" in each for each in failed)
    assert world.value() == before
    world.iam.attach_role_policy(RoleName="infrastructure", PolicyArn=POLICY)
    world.house.clock.turn(ms=61_000)
    world.house.run_jobs()
    assert world.value() != before


def test_jobs_that_are_killed_go_on_where_they_were(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    died: set[tuple[Any, ...]] = set()
    real = Held.call

    def call(self: Held, *args: Any, **params: Any) -> Any:
        answer = real(self, *args, **params)
        asked = (*args, params.get("VersionStage"), "VersionId" in params)
        if asked not in died:
            died.add(asked)
            raise ConnectionError("killed")
        return answer

    monkeypatch.setattr(Held, "call", call)
    world.create(world.role())
    for _ in range(12):
        world.house.clock.turn(ms=601_000)
        world.house.run_jobs()
    assert len(world.secrets()) == 1
    before = world.value()
    world.sm.rotate_secret(SecretId=world.secrets()[0]["ARN"])
    for _ in range(12):
        world.house.run_jobs()
        world.house.clock.turn(ms=601_000)
    assert world.value() != before
    assert len(died) >= 6
    assert world.shown()["deployments"][0]["rolloutState"] == "COMPLETED"


def test_who_comes_late_to_the_end_of_a_renewal_does_not_bring_an_older_certificate_back(world: World) -> None:
    """A worker that stood still past its lease, while others ended its renewal and another one."""
    world.create(world.role())
    arn = world.secrets()[0]["ARN"]
    late = world.sm.rotate_secret(SecretId=arn)["VersionId"]
    world.house.run_jobs()
    world.sm.rotate_secret(SecretId=arn)
    world.house.run_jobs()
    before = world.value(), world.value("AWSPREVIOUS")
    now_ms = world.house.clock.now_ms()
    with world.house.app.storage.writing() as tx:
        step = {"secret": arn, "token": late, "step": "finishSecret"}
        promise(tx, issuing.ROTATE_STEP, Place(world.house.account, "us-east-1", "aws"), step, run_at_ms=now_ms)
    world.house.run_jobs()
    assert (world.value(), world.value("AWSPREVIOUS")) == before


def test_nobody_but_ecs_changes_the_secret(world: World) -> None:
    world.create(world.role())
    arn = world.secrets()[0]["ARN"]
    for call, params in (
        (world.sm.put_secret_value, {"SecretString": "x"}),
        (world.sm.delete_secret, {"ForceDeleteWithoutRecovery": True}),
        (world.sm.tag_resource, {"Tags": [{"Key": "a", "Value": "b"}]}),
    ):
        with pytest.raises(ClientError, match=r"InvalidRequestException.*managed by ecs-sc"):
            call(SecretId=arn, **params)
    taken = world.house.client("sts").assume_role
    with pytest.raises(ClientError, match="AccessDenied"):
        taken(RoleArn=f"arn:aws:iam::{world.house.account}:role/infrastructure", RoleSessionName="me")


def test_a_session_of_the_role_in_other_hands_is_not_ecs(world: World) -> None:
    """The same role, taken by somebody whom its trust admits too."""
    role = world.role()
    world.create(role)
    both = [
        {"Effect": "Allow", "Principal": {"Service": "ecs.amazonaws.com"}, "Action": "sts:AssumeRole"},
        {"Effect": "Allow", "Principal": {"AWS": world.house.account}, "Action": "sts:AssumeRole"},
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": both})
    world.iam.update_assume_role_policy(RoleName="infrastructure", PolicyDocument=document)
    made = world.house.client("sts").assume_role(RoleArn=role, RoleSessionName="me")["Credentials"]
    mine = world.house.client("secretsmanager", Key(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"]))
    arn = world.secrets()[0]["ARN"]
    assert mine.get_secret_value(SecretId=arn)["SecretString"]
    with pytest.raises(ClientError, match=r"InvalidRequestException.*managed by ecs-sc"):
        mine.put_secret_value(SecretId=arn, SecretString="x")


def test_a_change_of_the_names_changes_the_secrets(world: World) -> None:
    role = world.role()
    world.create(role, "api", "admin")
    before = {each["ARN"] for each in world.secrets()}
    assert len(before) == 2
    world.ecs.update_service(
        cluster="main", service="shop", serviceConnectConfiguration=world.configuration(role, "api", "other")
    )
    world.house.run_jobs()
    after = {each["ARN"] for each in world.secrets()}
    assert len(after) == 2
    assert len(before & after) == 1
    world.ecs.update_service(cluster="main", service="shop", desiredCount=3)
    world.house.run_jobs()
    assert {each["ARN"] for each in world.secrets()} == after
    world.ecs.update_service(cluster="main", service="shop", serviceConnectConfiguration={"enabled": False})
    world.house.run_jobs()
    assert world.secrets() == []


def test_a_deleted_service_drains_until_its_secrets_have_gone(world: World) -> None:
    world.create(world.role(), desiredCount=1)
    arn = world.secrets()[0]["ARN"]
    with pytest.raises(ClientError, match=r"InvalidParameterException.*scaled above 0"):
        world.ecs.delete_service(cluster="main", service="shop")
    world.iam.detach_role_policy(RoleName="infrastructure", PolicyArn=POLICY)
    assert world.ecs.delete_service(cluster="main", service="shop", force=True)["service"]["status"] == "DRAINING"
    world.house.run_jobs()
    assert world.shown()["status"] == "DRAINING"
    with pytest.raises(ClientError, match="ServiceNotActiveException"):
        world.ecs.update_service(cluster="main", service="shop", desiredCount=1)
    with pytest.raises(ClientError, match="ClusterContainsServicesException"):
        world.ecs.delete_cluster(cluster="main")
    world.iam.attach_role_policy(RoleName="infrastructure", PolicyArn=POLICY)
    world.house.clock.turn(ms=61_000)
    world.house.run_jobs()
    assert world.ecs.describe_services(cluster="main", services=["shop"])["failures"][0]["reason"] == "MISSING"
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        world.sm.describe_secret(SecretId=arn)
    assert world.ecs.delete_cluster(cluster="main")["cluster"]["status"] == "INACTIVE"


def test_a_key_of_ones_own_encrypts_it(world: World) -> None:
    key = world.house.client("kms").create_key()["KeyMetadata"]["Arn"]
    role = world.role()
    statement = {"Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey", "kms:Encrypt"], "Resource": key}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    world.iam.put_role_policy(RoleName="infrastructure", PolicyName="key", PolicyDocument=document)
    world.ecs.create_cluster(clusterName="main")
    configuration = world.configuration(role, kmsKey=key)
    world.ecs.create_service(cluster="main", serviceName="shop", serviceConnectConfiguration=configuration)
    world.house.run_jobs()
    assert world.shown()["events"] == []
    assert world.sm.describe_secret(SecretId=world.secrets()[0]["ARN"])["KmsKeyId"] == key


def test_rows_that_were_changed_from_outside_make_no_secret(world: World) -> None:
    world.create(world.role())
    with world.house.app.storage.writing() as tx:
        tx.run("UPDATE ecs_endpoint SET role = 'arn:aws:iam::123456789012:role/evil'")
    with pytest.raises(ClientError):
        world.shown()
