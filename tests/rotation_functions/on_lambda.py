"""The ready-made functions where they belong: in Lambda of a real server, with a role that may no more than a rotation needs."""

import io
import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from geumgo.rotation_functions import catalog
from tests.rotation_functions.servers import CHIEF
from tests.rotation_functions.targets import Target, Value
from tests.server import Server

TRUST: Final = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
    }
)
ENGINES: Final = {
    "postgres": "RDSPostgreSQL",
    "mariadb": "RDSMariaDB",
    "mongo": "MongoDB",
    "redis": "Redis",
    "redshift": "Redshift",
}
SETTINGS: Final = {"GEUMGO_OUTGOING_HOSTS": "127.0.0.1"}  # where the databases of the tests are
PATIENCE_SECONDS: Final = float(os.environ.get("PATIENCE", "60"))  # for what was promised no time


def function_name(engine: str, users: str) -> str:
    """`users`: "SingleUser" or "MultiUser"."""
    return f"SecretsManager{ENGINES[engine]}Rotation{users}"


def deploy(server: Server, name: str, package: bytes | None = None, *, timeout: int = 30) -> str:
    """The function is there, for `timeout` seconds at a time, and Secrets Manager may invoke it. Answers its ARN.

    Its role may read and write the secrets that name the function, read the secrets of masters, and make passwords.
    """
    iam, functions = server.client("iam"), server.client("lambda")
    account = server.client("sts").get_caller_identity()["Account"]
    role = iam.create_role(RoleName=f"runs-{name}"[:64], AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    arn = f"arn:aws:lambda:us-east-1:{account}:function:{name}"
    own = {"StringEquals": {"secretsmanager:resource/AllowRotationLambdaArn": arn}}
    actions = ["DescribeSecret", "GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage"]
    statements = [
        {
            "Effect": "Allow",
            "Action": [f"secretsmanager:{each}" for each in actions],
            "Resource": "*",
            "Condition": own,
        },
        {
            "Effect": "Allow",
            "Action": "secretsmanager:GetSecretValue",
            "Resource": f"arn:aws:secretsmanager:us-east-1:{account}:secret:master-*",
        },
        {"Effect": "Allow", "Action": "secretsmanager:GetRandomPassword", "Resource": "*"},
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_role_policy(RoleName=f"runs-{name}"[:64], PolicyName="rotates", PolicyDocument=document)
    made = functions.create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role=role,
        Handler=catalog.HANDLER,
        Code={"ZipFile": package or packed(name)},
        Timeout=timeout,
        MemorySize=256,
    )["FunctionArn"]
    functions.add_permission(
        FunctionName=name,
        StatementId="secretsmanager",
        Action="lambda:InvokeFunction",
        Principal="secretsmanager.amazonaws.com",
        SourceAccount=account,
    )
    assert made == arn
    return arn


def packed(name: str) -> bytes:
    package = io.BytesIO()
    catalog.write_zip(name, package)
    return package.getvalue()


def a_moment() -> None:
    threading.Event().wait(0.02)


@dataclass
class Rotated:
    """A secret of a new user of `target`, which the function `arn` rotates."""

    server: Server
    target: Target
    function: str
    secret: str = ""
    first: Value = field(default_factory=dict)

    def __post_init__(self) -> None:
        name = f"{self.target.module.ENGINE}-{time.monotonic_ns()}"
        master = self.client.create_secret(Name=f"master-{name}", SecretString=json.dumps(self.target.value(*CHIEF)))[
            "ARN"
        ]
        self.first = self.target.value(self.target.new_user("first"), "first", masterarn=master)
        self.secret = self.client.create_secret(Name=name, SecretString=json.dumps(self.first))["ARN"]

    @cached_property
    def client(self) -> Any:
        return self.server.client("secretsmanager")

    def begin(self, token: str | None = None) -> str:
        """A rotation is under way. Answers the version that it makes, which is `token` if there is one."""
        more = {} if token is None else {"ClientRequestToken": token}
        asked = self.client.rotate_secret(SecretId=self.secret, RotationLambdaARN=self.function, **more)
        found: str = asked["VersionId"]
        return found

    def labels(self) -> dict[str, str]:
        stages = self.client.describe_secret(SecretId=self.secret)["VersionIdsToStages"]
        return {label: version for version, labels in stages.items() for label in labels}

    def await_end(
        self, token: str, seconds: float = PATIENCE_SECONDS, between_looks: Callable[[], object] = a_moment
    ) -> float:
        """Wait until the version is the current one and AWSPENDING is off. Answers the seconds that took."""
        started = time.monotonic()
        while True:
            labels = self.labels()
            taken = time.monotonic() - started
            if labels.get("AWSCURRENT") == token and "AWSPENDING" not in labels:
                return taken
            if taken > seconds:
                told = self.server.run("rotation", "status", self.secret).stdout
                raise AssertionError(f"after {taken:.0f} s the labels are {labels}:\n{told}")
            between_looks()

    def value(self, stage: str = "AWSCURRENT", client: Any = None) -> Value:
        answer = (client or self.client).get_secret_value(SecretId=self.secret, VersionStage=stage)
        found: Value = json.loads(answer["SecretString"])
        return found


class Application(threading.Thread):
    """Reads the secret and logs in, twenty times a second. `failed` are the tries in which it was not let in.

    `gets_in` is one try; what it raises ends the thread and is told by `stop`.
    """

    def __init__(self, gets_in: Callable[[], bool]) -> None:
        super().__init__(name="application")
        self._gets_in = gets_in
        self._done = threading.Event()
        self.tries = 0
        self.failed: list[int] = []
        self.fault: Exception | None = None

    def run(self) -> None:
        try:
            while not self._done.wait(0.05):
                self.tries += 1
                if not self._gets_in():
                    self.failed.append(self.tries)
        except Exception as fault:  # noqa: BLE001 - told by stop
            self.fault = fault

    def stop(self) -> None:
        self._done.set()
        self.join()
        if self.fault is not None:
            raise self.fault


def any_label_logs_in(rotated: Rotated, client: Any) -> bool:
    """As an application of a single user does. A step may pass between the reading of the labels and the logging in, so it looks twice."""
    for _ in range(2):
        for stage in ("AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"):
            try:
                if rotated.target.logs_in(rotated.value(stage, client)):
                    return True
            except client.exceptions.ResourceNotFoundException:
                continue
    return False
