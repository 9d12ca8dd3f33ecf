"""P13: no request that starts after a revocation was acknowledged succeeds, on any worker."""

import contextlib
import functools
import json
import os
import re
import socket
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.promises import faulty_server
from tests.promises.reached import reaching
from tests.server import GEUMGO, Server

ROUNDS = int(os.environ.get("REVOCATIONS", "10"))  # of each kind; 1,000 in the long form
WORKERS = 4
READERS = 32
PATIENCE_S = 120.0
LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
SECRET = "revoked/secret"
READ = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["secretsmanager:GetSecretValue", "kms:Decrypt"], "Resource": "*"}],
}
DENY = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "secretsmanager:*", "Resource": "*"}]}
NOTHING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}],
}


@dataclass(frozen=True)
class Asked:
    """One request of somebody, as bytes: signed once, good for five minutes."""

    whole: bytes

    @classmethod
    def by(cls, credentials: Credentials, endpoint: str) -> "Asked":
        body = json.dumps({"SecretId": SECRET}).encode()
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "secretsmanager.GetSecretValue"}
        request = AWSRequest("POST", endpoint + "/", headers, body)
        SigV4Auth(credentials, "secretsmanager", "us-east-1").add_auth(request)
        lines = ["POST / HTTP/1.1", f"Host: {urlsplit(endpoint).netloc}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        return cls("\r\n".join([*lines, "", ""]).encode() + body)


@dataclass
class Crowd:
    """Readers with connections that they keep, all reading one secret with whatever request they are told to send."""

    server: Server
    told: threading.Event = field(default_factory=threading.Event)  # there is something to ask, or it is over
    log: list[tuple[int, float, int, str]] = field(default_factory=list)  # (reader, start, status, what was said)
    stop: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)
    _asked: Asked | None = None

    @property
    def asked(self) -> Asked | None:
        """What all of them send again and again; None: nobody sends anything."""
        return self._asked

    @asked.setter
    def asked(self, asked: Asked | None) -> None:
        self._asked = asked
        (self.told.clear if asked is None else self.told.set)()

    def start(self) -> None:
        self.threads = [threading.Thread(target=self._read, args=(number,)) for number in range(READERS)]
        for thread in self.threads:
            thread.start()

    def end(self) -> None:
        self.stop.set()
        self.told.set()
        for thread in self.threads:
            thread.join(timeout=30)

    def _read(self, number: int) -> None:
        address = urlsplit(self.server.endpoint)
        while self._told_whom_to_ask():
            with (
                contextlib.suppress(HungUp),
                socket.create_connection((address.hostname, address.port), timeout=PATIENCE_S) as connection,
            ):
                self._hammer(number, connection)

    def _told_whom_to_ask(self) -> bool:
        self.told.wait()
        return not self.stop.is_set()

    def _hammer(self, number: int, connection: socket.socket) -> None:
        while self._told_whom_to_ask():
            asked = self.asked
            if asked is None:
                continue
            started = time.monotonic()
            head, body = answer_of(connection, asked.whole)
            if self.asked is asked:
                status = int(head[9:12])
                self.log.append((number, started, status, "" if status == 200 else body.decode()))

    def every_reader(self, holds: Callable[[tuple[int, float, int, str]], bool]) -> None:
        """Wait until each reader has an entry for which `holds` is true."""
        deadline = time.monotonic() + PATIENCE_S
        came, looked = set[int](), 0
        while time.monotonic() < deadline:
            entries = self.log[looked:]
            looked += len(entries)
            came |= {entry[0] for entry in entries if holds(entry)}
            if len(came) == READERS:
                return
            time.sleep(0.002)
        raise AssertionError(f"not every reader came so far: {Counter(entry[2:] for entry in self.log)}")


class HungUp(Exception):
    """Nothing was asked over the connection for so long that the server has closed it."""


def answer_of(connection: socket.socket, asked: bytes) -> tuple[bytes, bytes]:
    """The head and the body of the answer. Raises HungUp."""
    try:
        connection.sendall(asked)
        answer = b""
        while True:
            head, found, body = answer.partition(b"\r\n\r\n")
            length = LENGTH.search(head) if found else None
            if length and len(body) >= int(length[1]):
                return head, body
            piece = connection.recv(65_536)
            if not piece:
                raise HungUp
            answer += piece
    except ConnectionError as fault:
        raise HungUp from fault


@dataclass
class Stage:
    """A fresh principal who may read the secret, and what was made for it."""

    server: Server
    name: str
    key_id: str
    credentials: Credentials
    extra: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        return administrator(self.server, service)


@functools.cache
def administrator(server: Server, service: str) -> Any:
    """The administrator's client, which is kept: to make one costs more than what it is asked for."""
    return server.client(service)


@functools.cache
def session() -> botocore.session.Session:
    return botocore.session.Session()


def a_user(server: Server, iam: Any, *, policy: dict[str, Any] | None) -> Stage:
    name = f"reader-{uuid.uuid4().hex[:12]}"
    iam.create_user(UserName=name)
    if policy is not None:
        iam.put_user_policy(UserName=name, PolicyName="read", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return Stage(server, name, key["AccessKeyId"], Credentials(key["AccessKeyId"], key["SecretAccessKey"]))


def with_policy(server: Server, iam: Any) -> Stage:
    return a_user(server, iam, policy=READ)


def with_managed_policy(server: Server, iam: Any) -> Stage:
    stage = a_user(server, iam, policy=None)
    made = iam.create_policy(PolicyName=stage.name, PolicyDocument=json.dumps(READ))["Policy"]
    iam.attach_user_policy(UserName=stage.name, PolicyArn=made["Arn"])
    stage.extra["policy"] = made["Arn"]
    return stage


def in_a_group(server: Server, iam: Any) -> Stage:
    stage = a_user(server, iam, policy=None)
    iam.create_group(GroupName=stage.name)
    iam.put_group_policy(GroupName=stage.name, PolicyName="read", PolicyDocument=json.dumps(READ))
    iam.add_user_to_group(GroupName=stage.name, UserName=stage.name)
    return stage


def in_a_role(server: Server, iam: Any) -> Stage:
    stage = a_user(
        server,
        iam,
        policy={
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}],
        },
    )
    account = administrator(server, "sts").get_caller_identity()["Account"]
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": account}, "Action": "sts:AssumeRole"}],
    }
    role = iam.create_role(RoleName=stage.name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]
    iam.put_role_policy(RoleName=stage.name, PolicyName="read", PolicyDocument=json.dumps(READ))
    sts = session().create_client(
        "sts",
        region_name="us-east-1",
        endpoint_url=server.endpoint,
        aws_access_key_id=stage.credentials.access_key,
        aws_secret_access_key=stage.credentials.secret_key,
    )
    assumed = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="reader")["Credentials"]
    stage.credentials = Credentials(assumed["AccessKeyId"], assumed["SecretAccessKey"], assumed["SessionToken"])
    return stage


def delete_user(iam: Any, stage: Stage) -> None:
    iam.delete_user_policy(UserName=stage.name, PolicyName="read")
    iam.delete_access_key(UserName=stage.name, AccessKeyId=stage.key_id)
    iam.delete_user(UserName=stage.name)


def delete_role(iam: Any, stage: Stage) -> None:
    iam.delete_role_policy(RoleName=stage.name, PolicyName="read")
    iam.delete_role(RoleName=stage.name)


def deny_on_the_secret(_: Any, stage: Stage) -> None:
    arn = stage.client("iam").get_user(UserName=stage.name)["User"]["Arn"]
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Deny", "Principal": {"AWS": arn}, "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
        ],
    }
    stage.client("secretsmanager").put_resource_policy(SecretId=SECRET, ResourcePolicy=json.dumps(policy))


def new_default_version(iam: Any, stage: Stage) -> None:
    iam.create_policy_version(PolicyArn=stage.extra["policy"], PolicyDocument=json.dumps(NOTHING), SetAsDefault=True)


KINDS: dict[str, tuple[Callable[[Server, Any], Stage], Callable[[Any, Stage], None]]] = {
    "delete the access key": (with_policy, lambda iam, s: iam.delete_access_key(UserName=s.name, AccessKeyId=s.key_id)),
    "disable the access key": (
        with_policy,
        lambda iam, s: iam.update_access_key(UserName=s.name, AccessKeyId=s.key_id, Status="Inactive"),
    ),
    "delete the policy": (with_policy, lambda iam, s: iam.delete_user_policy(UserName=s.name, PolicyName="read")),
    "put a deny": (
        with_policy,
        lambda iam, s: iam.put_user_policy(UserName=s.name, PolicyName="never", PolicyDocument=json.dumps(DENY)),
    ),
    "set a boundary": (
        with_policy,
        lambda iam, s: iam.put_user_permissions_boundary(
            UserName=s.name, PermissionsBoundary="arn:aws:iam::aws:policy/IAMReadOnlyAccess"
        ),
    ),
    "delete the user": (with_policy, delete_user),
    "detach the managed policy": (
        with_managed_policy,
        lambda iam, s: iam.detach_user_policy(UserName=s.name, PolicyArn=s.extra["policy"]),
    ),
    "switch the policy's version": (with_managed_policy, new_default_version),
    "leave the group": (in_a_group, lambda iam, s: iam.remove_user_from_group(GroupName=s.name, UserName=s.name)),
    "delete the group's policy": (
        in_a_group,
        lambda iam, s: iam.delete_group_policy(GroupName=s.name, PolicyName="read"),
    ),
    "delete the role's policy": (in_a_role, lambda iam, s: iam.delete_role_policy(RoleName=s.name, PolicyName="read")),
    "delete the role": (in_a_role, delete_role),
    "deny on the secret": (with_policy, deny_on_the_secret),
    "disable the KMS key": (
        with_policy,
        lambda _, s: s.client("kms").disable_key(
            KeyId=s.client("kms").describe_key(KeyId="alias/revoked")["KeyMetadata"]["KeyId"]
        ),
    ),
}


@contextlib.contextmanager
def serving(directory: Path, program: Sequence[str] = GEUMGO) -> Iterator[Server]:
    with Server(directory / "data", arguments=("--workers", str(WORKERS)), program=program) as running:
        kms = running.client("kms")
        kms.create_alias(AliasName="alias/revoked", TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])
        running.client("secretsmanager").create_secret(Name=SECRET, SecretString="read me", KmsKeyId="alias/revoked")
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("revocation")) as running:
        yield running


@contextlib.contextmanager
def reading(server: Server) -> Iterator[Crowd]:
    made = Crowd(server)
    made.start()
    try:
        yield made
    finally:
        made.end()


@pytest.fixture
def crowd(server: Server) -> Iterator[Crowd]:
    with reading(server) as made:
        yield made


def accepted_late(
    server: Server, crowd: Crowd, kind: str, rounds: int, told: Callable[[int], None] = lambda _: None
) -> int:
    """How many requests were accepted that began after a revocation of this kind was acknowledged.

    `told` hears how many readers were turned away after each, when none was let in.
    """
    prepare, revoke = KINDS[kind]
    iam, kms = administrator(server, "iam"), administrator(server, "kms")
    late = 0
    for _ in range(rounds):
        stage = prepare(server, iam)
        crowd.log.clear()
        crowd.asked = Asked.by(stage.credentials, server.endpoint)
        crowd.every_reader(lambda entry: entry[2] == 200)  # the honest twin: until now each of them may read
        revoke(iam, stage)
        acknowledged = time.monotonic()
        crowd.every_reader(lambda entry, since=acknowledged: entry[1] > since)  # type: ignore[misc]
        crowd.asked = None
        later = [entry for entry in list(crowd.log) if entry[1] > acknowledged]
        late += sum(entry[2] == 200 for entry in later)
        strange = [entry for entry in list(crowd.log) if entry[2] >= 500]
        assert not strange, strange[:3]
        if not late:
            told(len(later))
        if kind == "disable the KMS key":
            kms.enable_key(KeyId=kms.describe_key(KeyId="alias/revoked")["KeyMetadata"]["KeyId"])
        if kind == "deny on the secret":
            administrator(server, "secretsmanager").delete_resource_policy(SecretId=SECRET)
    return late


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_accepted_after_a_revocation_is_acknowledged(server: Server, crowd: Crowd, kind: str) -> None:
    with reaching("P13", "none") as so_far:
        late = accepted_late(
            server, crowd, kind, ROUNDS, lambda refused: so_far.add(**{kind: 1, "refused afterwards": refused})
        )
        assert late == 0, f"{late} requests were accepted after the acknowledgement"


def test_a_server_that_remembers_for_a_second_is_caught(tmp_path: Path) -> None:
    program = faulty_server.with_fault(faulty_server.remembers_for_a_second)
    with serving(tmp_path, program) as server, reading(server) as crowd:
        assert sum(accepted_late(server, crowd, kind, 2) for kind in ("delete the user", "deny on the secret"))
