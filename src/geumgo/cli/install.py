"""A ready-made rotation function put where it can be used: its role, the function, and Secrets Manager's leave to invoke it.

All of it is asked of the server as whoever runs the command, so policies and the trail apply. Doing it twice changes nothing; doing it with
a newer release brings the newer code.
"""

import base64
import hashlib
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from geumgo.cli.client import Client, ClientError
from geumgo.rotation_functions import catalog

RUNTIME: Final = "python3.12"
TIMEOUT_S: Final = 30
MEMORY_MB: Final = 256
POLICY: Final = "rotates"
STATEMENT: Final = "SecretsManager"
TRUST: Final = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
_ROTATES: Final = ("DescribeSecret", "GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage")
_LOOKS: Final = ("rds:DescribeDBInstances", "rds:DescribeDBClusters", "redshift:DescribeClusters")
_ACCESS_KEYS: Final = ("ListAccessKeys", "CreateAccessKey", "DeleteAccessKey", "GetAccessKeyLastUsed")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is installed. `masters` are ARNs of secrets, `users` names of IAM users, `keys` ARNs of KMS keys, `role` an ARN or empty."""

    name: str
    masters: Sequence[str] = ()
    users: Sequence[str] = ()
    keys: Sequence[str] = ()
    role: str = ""

    def __post_init__(self) -> None:
        """Raises ClientError: without this the function could do nothing."""
        if self.role:
            return
        if catalog.FUNCTIONS[self.name][1] == "alternating_users" and not self.masters:
            raise ClientError(
                f"{self.name} sets passwords as another user: name the secret of that one with --master-secret ARN."
            )
        if self.name == "SecretsManagerIAMAccessKeyRotation" and not self.users:
            raise ClientError(
                f"{self.name} makes access keys: name the IAM users whose keys it may change with --user NAME."
            )


@dataclass(frozen=True, slots=True)
class Installed:
    """What came of it: `changed` says what was done, in plain words."""

    arn: str
    changed: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Installer:
    """Installs for one account and region, through three clients of one endpoint."""

    iam: Client
    sts: Client
    functions: Client

    def install(self, wanted: Wanted) -> Installed:
        """Raises ClientError."""
        partition, account = self._caller()
        arn = f"arn:{partition}:lambda:{self.functions.region}:{account}:function:{wanted.name}"
        changed: list[str] = []
        role = wanted.role or self._role(wanted, arn, partition, account, changed)
        self._function(wanted.name, role, changed)
        self._permission(wanted.name, account, changed)
        return Installed(arn, changed)

    def _caller(self) -> tuple[str, str]:
        """Partition and account of whoever asks."""
        arn = value_of(query(self.sts, "GetCallerIdentity", "2011-06-15", {}), "Arn").split(":")
        return arn[1], arn[4]

    def _role(self, wanted: Wanted, function: str, partition: str, account: str, changed: list[str]) -> str:
        """The ARN of the function's own role, which has its policy."""
        given = {
            "RoleName": wanted.name,
            "AssumeRolePolicyDocument": json.dumps(TRUST),
            "Description": "Rotates secrets.",
        }
        try:
            made = query(self.iam, "CreateRole", "2010-05-08", given)
            changed.append("role made")
        except ClientError as refusal:
            if refusal.code != "EntityAlreadyExists":
                raise
            made = query(self.iam, "GetRole", "2010-05-08", {"RoleName": wanted.name})
        document = json.dumps({"Version": "2012-10-17", "Statement": statements(wanted, function, partition, account)})
        put = {"RoleName": wanted.name, "PolicyName": POLICY, "PolicyDocument": document}
        query(self.iam, "PutRolePolicy", "2010-05-08", put)
        return value_of(made, "Arn")

    def _function(self, name: str, role: str, changed: list[str]) -> None:
        package = packed(name)
        given = {
            "FunctionName": name,
            "Runtime": RUNTIME,
            "Role": role,
            "Handler": catalog.HANDLER,
            "Code": {"ZipFile": base64.b64encode(package).decode()},
            "Timeout": TIMEOUT_S,
            "MemorySize": MEMORY_MB,
            "Description": "Ready-made rotation function",
        }
        try:
            rest(self.functions, "CreateFunction", "POST", "/2015-03-31/functions", given)
            changed.append("function made")
        except ClientError as refusal:
            if refusal.code != "ResourceConflictException":
                raise
            self._update(name, role, package, changed)

    def _update(self, name: str, role: str, package: bytes, changed: list[str]) -> None:
        place = f"/2015-03-31/functions/{name}"
        found = rest(self.functions, "GetFunctionConfiguration", "GET", f"{place}/configuration")
        if found["Role"] != role:
            rest(self.functions, "UpdateFunctionConfiguration", "PUT", f"{place}/configuration", {"Role": role})
            changed.append("function has another role")
        if found["CodeSha256"] != base64.b64encode(hashlib.sha256(package).digest()).decode():
            code = {"ZipFile": base64.b64encode(package).decode()}
            rest(self.functions, "UpdateFunctionCode", "PUT", f"{place}/code", code)
            changed.append("function has newer code")

    def _permission(self, name: str, account: str, changed: list[str]) -> None:
        given = {
            "StatementId": STATEMENT,
            "Action": "lambda:InvokeFunction",
            "Principal": "secretsmanager.amazonaws.com",
            "SourceAccount": account,
        }
        try:
            rest(self.functions, "AddPermission", "POST", f"/2015-03-31/functions/{name}/policy", given)
            changed.append("Secrets Manager may invoke it")
        except ClientError as refusal:
            if refusal.code != "ResourceConflictException":
                raise


def statements(wanted: Wanted, function: str, partition: str, account: str) -> list[dict[str, Any]]:
    """What the function's role may, and no more: the secrets that it rotates, and what its kind needs."""
    own = {"StringEquals": {"secretsmanager:resource/AllowRotationLambdaArn": function}}
    made: list[dict[str, Any]] = [
        {**_allow([f"secretsmanager:{each}" for each in _ROTATES], "*"), "Condition": own},
        _allow("secretsmanager:GetRandomPassword", "*"),
    ]
    if wanted.masters:
        read = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]
        made += [_allow(read, list(wanted.masters)), _allow(list(_LOOKS), "*")]
    if wanted.users:
        users = [f"arn:{partition}:iam::{account}:user/{each}" for each in wanted.users]
        made.append(_allow([f"iam:{each}" for each in _ACCESS_KEYS], users))
    if wanted.keys:
        made.append(_allow(["kms:Decrypt", "kms:GenerateDataKey"], list(wanted.keys)))
    return made


def _allow(action: str | list[str], resource: str | list[str]) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def packed(name: str) -> bytes:
    made = io.BytesIO()
    catalog.write_zip(name, made)
    return made.getvalue()


# -- two more protocols ------------------------------------------------------------------------------------------------


def rest(
    client: Client, operation: str, method: str, path: str, given: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The answer of a service that speaks REST with JSON. Raises ClientError. Source: Smithy, restJson1."""
    body = b"" if given is None else json.dumps(given).encode()
    status, text, kind = client.send(method, path, body, "application/json")
    try:
        found = json.loads(text or b"{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ClientError(f"{operation} was answered with status {status} and something that is not AWS's JSON.")
    if status >= 300:
        code = kind.partition(":")[0]
        raise ClientError(
            f"{operation} was refused: {code or status}: {found.get('message', found.get('Message', ''))}", code
        )
    return found


def query(client: Client, action: str, version: str, given: Mapping[str, str]) -> str:
    """The answer of a service that speaks AWS Query, as its XML. Raises ClientError. Source: Smithy, awsQuery."""
    body = urlencode({"Action": action, "Version": version, **given}).encode()
    status, answer, _ = client.send("POST", "/", body, "application/x-www-form-urlencoded; charset=utf-8")
    text = answer.decode("utf-8", "replace")
    if status >= 300:
        code, message = value_of(text, "Code"), value_of(text, "Message")
        raise ClientError(f"{action} was refused: {code or status}: {message}", code)
    return text


def value_of(xml: str, element: str) -> str:
    """The text of the first `element`, as far as it has no entities; empty if there is none."""
    found = re.search(rf"<{element}>([^<]*)</{element}>", xml)
    return found[1] if found is not None else ""
