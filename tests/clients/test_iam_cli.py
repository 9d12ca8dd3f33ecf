"""IAM, STS and KMS as people use them: the real AWS CLI against a real server, two accounts on it."""

import base64
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.server import Server

AWS = str(Path(sys.executable).with_name("aws"))
PARTNER = "444455556666"


@dataclass(frozen=True)
class Cli:
    """The AWS command line as one principal uses it, with nothing but environment variables."""

    server: Server
    key: str
    secret: str
    token: str = ""

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **self.server.environment,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_SESSION_TOKEN": self.token,
            "AWS_ENDPOINT_URL": self.server.endpoint,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": "/nonexistent",
            "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_PAGER": "",
            "LC_ALL": "C.UTF-8",
        }
        return subprocess.run([AWS, *command], capture_output=True, text=True, env=environment, timeout=60, check=False)

    def __call__(self, *command: str) -> Any:
        done = self.run(*command)
        assert done.returncode == 0, f"aws {' '.join(command)}: {done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip() else None

    def denied(self, *command: str) -> str:
        """The sentence of the refusal, which must be a denial: exit status 254 (of the newest CLI) or 255."""
        done = self.run(*command)
        assert done.returncode in (254, 255), done.stdout
        found = re.search(r"An error occurred \((AccessDenied|AccessDeniedException)\) when calling the (\w+) operation: (.*)", done.stderr)  # fmt: skip
        assert found, done.stderr
        return found[3].strip()


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("iam-cli") / "data", arguments=("--workers", "1")) as running:
        yield running


@pytest.fixture(scope="module")
def aws(server: Server) -> Cli:
    return Cli(server, *server.credentials())


@pytest.fixture(scope="module")
def account(aws: Cli) -> str:
    found: str = aws("sts", "get-caller-identity")["Account"]
    return found


@pytest.fixture(scope="module")
def partner(server: Server) -> Cli:
    """The administrator of another account of the same server."""
    made = server.run("account", "create", PARTNER, "--json")
    assert made.returncode == 0, made.stderr
    found = json.loads(made.stdout)
    assert found["Account"] == PARTNER
    return Cli(server, found["AccessKeyId"], found["SecretAccessKey"])


@pytest.fixture
def as_new_user(server: Server, aws: Cli) -> Callable[..., Cli]:
    def make(name: str, *statements: dict[str, Any]) -> Cli:
        aws("iam", "create-user", "--user-name", name)
        if statements:
            aws("iam", "put-user-policy", "--user-name", name, "--policy-name", "only", "--policy-document", policy(*statements))  # fmt: skip
        key = aws("iam", "create-access-key", "--user-name", name)["AccessKey"]
        assert set(key) == {"UserName", "AccessKeyId", "Status", "SecretAccessKey", "CreateDate"}
        return Cli(server, key["AccessKeyId"], key["SecretAccessKey"])

    return make


def assume(cli: Cli, role: str, **more: str) -> Cli:
    options = [word for name, value in more.items() for word in (f"--{name.replace('_', '-')}", value)]
    made = cli("sts", "assume-role", "--role-arn", role, "--role-session-name", "cli", *options)["Credentials"]
    assert made["AccessKeyId"].startswith("ASIA")
    return Cli(cli.server, made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])


def test_a_role_reads_a_secret_that_its_user_may_not_read(
    aws: Cli, account: str, as_new_user: Callable[..., Cli]
) -> None:
    ann = as_new_user("ann")
    user = aws("iam", "get-user", "--user-name", "ann")["User"]
    assert user["Arn"] == f"arn:aws:iam::{account}:user/ann"
    assert re.fullmatch(r"AIDA[A-Z2-7]{17}", user["UserId"])
    trust = policy({"Effect": "Allow", "Principal": {"AWS": user["Arn"]}, "Action": "sts:AssumeRole"})
    role = aws("iam", "create-role", "--role-name", "reader", "--path", "/app/", "--assume-role-policy-document", trust)["Role"]  # fmt: skip
    assert role["Arn"] == f"arn:aws:iam::{account}:role/app/reader"
    assert role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"AWS": user["Arn"]}
    secret = aws("secretsmanager", "create-secret", "--name", "app/db", "--secret-string", "value")["ARN"]
    document = policy(
        {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": secret[:-6] + "??????"}
    )
    made = aws("iam", "create-policy", "--policy-name", "read-db", "--policy-document", document)["Policy"]
    assert (made["Arn"], made["AttachmentCount"], made["DefaultVersionId"]) == (f"arn:aws:iam::{account}:policy/read-db", 0, "v1")  # fmt: skip
    aws("iam", "attach-role-policy", "--role-name", "reader", "--policy-arn", made["Arn"])
    attached = aws("iam", "list-attached-role-policies", "--role-name", "reader")
    assert attached["AttachedPolicies"] == [{"PolicyName": "read-db", "PolicyArn": made["Arn"]}]
    assert aws("iam", "get-policy", "--policy-arn", made["Arn"])["Policy"]["AttachmentCount"] == 1
    sentence = ann.denied("secretsmanager", "get-secret-value", "--secret-id", "app/db")
    assert sentence == (
        f"User: {user['Arn']} is not authorized to perform: secretsmanager:GetSecretValue on resource: app/db because no "
        "identity-based policy allows the secretsmanager:GetSecretValue action"
    )
    held = assume(ann, role["Arn"])
    me = held("sts", "get-caller-identity")
    assert me["Arn"] == f"arn:aws:sts::{account}:assumed-role/reader/cli"
    assert me["UserId"] == f"{role['RoleId']}:cli"
    assert held("secretsmanager", "get-secret-value", "--secret-id", "app/db")["SecretString"] == "value"
    narrowed = assume(ann, role["Arn"], policy=policy({"Effect": "Allow", "Action": "secretsmanager:ListSecrets", "Resource": "*"}))  # fmt: skip
    assert "no session policy allows" in narrowed.denied("secretsmanager", "get-secret-value", "--secret-id", "app/db")
    held.denied("secretsmanager", "put-secret-value", "--secret-id", "app/db", "--secret-string", "x")


def test_a_secret_is_shared_with_another_account_under_a_key_of_ones_own(aws: Cli, account: str, partner: Cli) -> None:
    through = {"StringEquals": {"kms:ViaService": "secretsmanager.us-east-1.amazonaws.com"}}
    own = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "kms:*", "Resource": "*"}
    theirs = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{PARTNER}:root"},
        "Action": ["kms:Decrypt", "kms:DescribeKey"],
        "Resource": "*",
        "Condition": through,
    }
    key = aws("kms", "create-key", "--policy", policy(own))["KeyMetadata"]
    secret = aws("secretsmanager", "create-secret", "--name", "shared", "--secret-string", "both", "--kms-key-id", key["Arn"])["ARN"]  # fmt: skip
    read = ("secretsmanager", "get-secret-value", "--secret-id", secret)
    assert "no resource-based policy allows the secretsmanager:GetSecretValue action" in partner.denied(*read)
    opened = policy(
        {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{PARTNER}:root"},
            "Action": "secretsmanager:GetSecretValue",
            "Resource": "*",
        }
    )
    put = ("secretsmanager", "put-resource-policy", "--secret-id", "shared", "--resource-policy", opened, "--block-public-policy")  # fmt: skip
    assert aws(*put)["Name"] == "shared"
    assert partner.denied(*read)  # the key is still closed
    aws("kms", "put-key-policy", "--key-id", key["KeyId"], "--policy-name", "default", "--policy", policy(own, theirs))
    assert partner(*read)["SecretString"] == "both"
    assert partner.denied("secretsmanager", "describe-secret", "--secret-id", secret)
    assert "no resource-based policy allows the kms:DescribeKey action" in partner.denied("kms", "describe-key", "--key-id", key["Arn"])  # fmt: skip
    assert partner("secretsmanager", "list-secrets")["SecretList"] == []
    aws("secretsmanager", "delete-resource-policy", "--secret-id", "shared")
    assert partner.denied(*read)


def test_a_key_policy_decides_and_a_grant_gives_and_is_retired(
    aws: Cli, account: str, as_new_user: Callable[..., Cli], tmp_path: Path
) -> None:
    user = as_new_user("kim", {"Effect": "Allow", "Action": "kms:*", "Resource": "*"})
    admin = f"arn:aws:iam::{account}:user/admin"
    only_admin = policy({"Effect": "Allow", "Principal": {"AWS": admin}, "Action": "kms:*", "Resource": "*"})
    key = aws("kms", "create-key", "--policy", only_admin)["KeyMetadata"]["Arn"]
    plain = tmp_path / "plain"
    plain.write_bytes(b"value")
    encrypted = aws("kms", "encrypt", "--key-id", key, "--plaintext", f"fileb://{plain}", "--encryption-context", "app=db")  # fmt: skip
    blob = tmp_path / "blob"
    blob.write_bytes(base64.b64decode(encrypted["CiphertextBlob"]))
    decrypt = ("kms", "decrypt", "--ciphertext-blob", f"fileb://{blob}", "--encryption-context", "app=db")
    assert user.denied(*decrypt) == (
        f"User: arn:aws:iam::{account}:user/kim is not authorized to perform: kms:Decrypt on resource: {key} because no "
        "resource-based policy allows the kms:Decrypt action"
    )
    kim = f"arn:aws:iam::{account}:user/kim"
    grant = aws("kms", "create-grant", "--key-id", key, "--grantee-principal", kim, "--retiring-principal", kim,
                "--operations", "Decrypt", "--constraints", "EncryptionContextSubset={app=db}", "--name", "kim")  # fmt: skip
    assert set(grant) == {"GrantToken", "GrantId"}
    assert base64.b64decode(user(*decrypt)["Plaintext"]) == b"value"
    listed = aws("kms", "list-grants", "--key-id", key)["Grants"]
    assert [(one["GranteePrincipal"], one["Operations"], one["Constraints"], one["Name"]) for one in listed] == [
        (kim, ["Decrypt"], {"EncryptionContextSubset": {"app": "db"}}, "kim")
    ]
    retirable = user("kms", "list-retirable-grants", "--retiring-principal", kim)["Grants"]
    assert [one["GrantId"] for one in retirable] == [grant["GrantId"]]
    user("kms", "retire-grant", "--key-id", key, "--grant-id", grant["GrantId"])
    assert user.denied(*decrypt)


def test_a_simulation_tells_what_the_server_does(aws: Cli, account: str, as_new_user: Callable[..., Cli]) -> None:
    secret = f"arn:aws:secretsmanager:us-east-1:{account}:secret:app/*"
    user = as_new_user(
        "sam",
        {"Effect": "Allow", "Action": "secretsmanager:ListSecrets", "Resource": "*"},
        {"Effect": "Deny", "Action": "secretsmanager:DeleteSecret", "Resource": "*"},
        {
            "Effect": "Allow",
            "Action": "secretsmanager:DescribeSecret",
            "Resource": secret,
            "Condition": {"StringEquals": {"secretsmanager:ResourceTag/team": "a"}},
        },
    )
    simulate = ("iam", "simulate-principal-policy", "--policy-source-arn", f"arn:aws:iam::{account}:user/sam", "--action-names")  # fmt: skip
    told = aws(*simulate, "secretsmanager:ListSecrets", "secretsmanager:DeleteSecret", "secretsmanager:CreateSecret")
    results = {one["EvalActionName"]: one for one in told["EvaluationResults"]}
    assert {name: one["EvalDecision"] for name, one in results.items()} == {
        "secretsmanager:ListSecrets": "allowed",
        "secretsmanager:DeleteSecret": "explicitDeny",
        "secretsmanager:CreateSecret": "implicitDeny",
    }
    assert user("secretsmanager", "list-secrets")["SecretList"] is not None
    assert "with an explicit deny in an identity-based policy" in user.denied("secretsmanager", "delete-secret", "--secret-id", "x")  # fmt: skip
    assert user.denied("secretsmanager", "create-secret", "--name", "x", "--secret-string", "x")
    where = ("--resource-arns", secret.replace("*", "x-AbCdEf"))
    bare = aws(*simulate, "secretsmanager:DescribeSecret", *where)["EvaluationResults"][0]
    assert bare["EvalDecision"] == "implicitDeny"
    assert bare["MissingContextValues"] == ["secretsmanager:ResourceTag/team"]
    tagged = ("--context-entries", "ContextKeyName=secretsmanager:ResourceTag/team,ContextKeyValues=a,ContextKeyType=string")  # fmt: skip
    assert aws(*simulate, "secretsmanager:DescribeSecret", *where, *tagged)["EvaluationResults"][0]["EvalDecision"] == "allowed"  # fmt: skip


def test_the_server_is_explained_while_it_runs(
    server: Server, aws: Cli, account: str, as_new_user: Callable[..., Cli]
) -> None:
    as_new_user("eli", {"Sid": "Listing", "Effect": "Allow", "Action": "kms:ListKeys", "Resource": "*"})
    who = ("--principal", f"arn:aws:iam::{account}:user/eli", "--action")
    allowed = server.run("iam", "explain", *who, "kms:ListKeys")
    assert allowed.returncode == 0, allowed.stderr
    assert "statement Listing of only" in allowed.stdout
    denied = server.run("iam", "explain", *who, "kms:CreateKey")
    assert denied.returncode == 1
    assert "because no identity-based policy allows the kms:CreateKey action" in denied.stdout
    nobody = server.run("iam", "explain", "--principal", f"arn:aws:iam::{account}:user/no", "--action", "kms:ListKeys")
    assert nobody.returncode == 2
