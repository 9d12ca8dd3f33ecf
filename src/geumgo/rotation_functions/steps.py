"""The four steps of a rotation, for one user of a database (`single_user`) and for two that alternate (`alternating_users`).

Source: the AWS user guide, "Rotation by Lambda function" and "Rotation strategies": the event has Step, SecretId and
ClientRequestToken; a step may run again after a crash at any line, so each looks first at what is already done.
"""

import json
import os
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

import boto3

CLONE = "_clone"
UNFIT = ":/@\"'\\"  # what breaks addresses that hold a password; with the colon that AWS's functions for PostgreSQL leave out alone
INSTANCE_TAG = "aws:rds:primaryDBInstanceArn"
CLUSTER_TAG = "aws:rds:primaryDBClusterArn"
REDSHIFT_TAG = "aws:redshift:primaryClusterArn"
REQUIRED = ("host", "username", "password")

Secret = dict[str, Any]
Kind = TypeVar("Kind", bound="Rotation")


class Engine(Protocol):
    """What the steps need of a database. A connection is whatever `connect` answers; it has a `close`."""

    ENGINE: str
    ALSO: tuple[str, ...]  # what else a secret may say for it
    NAME_LIMIT: int
    NAME_UNIT: str  # of NAME_LIMIT: "characters" or "bytes"
    keep: (
        Callable[[Any], None] | None
    )  # what was set is there after a restart; None: of a database that sees to that itself
    BY_MASTER: bool  # a single user's password is set by the user of masterarn, where the secret names one

    def connect(self, secret: Secret) -> Any | None:
        """Log in as the secret says. None when that is not possible."""

    def set_password(self, connection: Any, username: str, password: str, still: str | None) -> None:
        """From now on `username` logs in with `password`.

        `still` is the password that opened the way, None if none did: what can keep two lets it log in until the next rotation.
        """

    def set_clone(self, connection: Any, username: str, clone: str, password: str) -> None:
        """`clone` exists, has what `username` may do if it is new, and logs in with `password`."""


class Rotation:
    """One call of one step, whatever the secret is for."""

    def __init__(self, event: Mapping[str, str]) -> None:
        self.arn = event["SecretId"]
        self.token = event["ClientRequestToken"]
        self.client = boto3.client("secretsmanager", endpoint_url=os.environ.get("SECRETS_MANAGER_ENDPOINT") or None)

    def under_way(self) -> bool:
        """False when this version is current already. Raises ValueError when the version is not one to rotate to."""
        described = self.client.describe_secret(SecretId=self.arn)
        if not described.get("RotationEnabled", True):
            raise ValueError(f"Secret {self.arn} is not enabled for rotation")
        stages = described.get("VersionIdsToStages", {}).get(self.token)
        if stages is None:
            raise ValueError(f"Secret version {self.token} has no stage for rotation of secret {self.arn}.")
        if "AWSCURRENT" in stages:
            return False
        if "AWSPENDING" not in stages:
            raise ValueError(f"Secret version {self.token} not set as AWSPENDING for rotation of secret {self.arn}.")
        return True

    def text(self, stage: str) -> str:
        """The value under a label, AWSPENDING only on this rotation's version. Raises ResourceNotFoundException."""
        chosen = {"VersionId": self.token} if stage == "AWSPENDING" else {}
        return str(self.client.get_secret_value(SecretId=self.arn, VersionStage=stage, **chosen)["SecretString"])

    def text_if_there(self, stage: str) -> str | None:
        try:
            return self.text(stage)
        except self.client.exceptions.ResourceNotFoundException:
            return None

    def put(self, text: str) -> None:
        """The new version has this value."""
        self.client.put_secret_value(
            SecretId=self.arn, ClientRequestToken=self.token, SecretString=text, VersionStages=["AWSPENDING"]
        )

    def new_password(self) -> str:
        names = {
            "EXCLUDE_NUMBERS": "ExcludeNumbers",
            "EXCLUDE_PUNCTUATION": "ExcludePunctuation",
            "EXCLUDE_UPPERCASE": "ExcludeUppercase",
            "EXCLUDE_LOWERCASE": "ExcludeLowercase",
        }
        flags = {option: _true(os.environ.get(name, "false")) for name, option in names.items()}
        answer = self.client.get_random_password(
            ExcludeCharacters=os.environ.get("EXCLUDE_CHARACTERS", UNFIT),
            PasswordLength=int(os.environ.get("PASSWORD_LENGTH", "32")),
            RequireEachIncludedType=_true(os.environ.get("REQUIRE_EACH_INCLUDED_TYPE", "true")),
            **flags,
        )
        return str(answer["RandomPassword"])

    def finish(self) -> None:
        stages = self.client.describe_secret(SecretId=self.arn)["VersionIdsToStages"]
        current = next(version for version, labels in stages.items() if "AWSCURRENT" in labels)
        if current != self.token:
            self.client.update_secret_version_stage(
                SecretId=self.arn,
                VersionStage="AWSCURRENT",
                MoveToVersionId=self.token,
                RemoveFromVersionId=current,
            )


class OfDatabase(Rotation):
    """One call of one step for the secret of a database user."""

    def __init__(self, event: Mapping[str, str], engine: Engine) -> None:
        super().__init__(event)
        self.engine = engine

    def read(self, stage: str) -> Secret:
        """The secret under a label. Raises ResourceNotFoundException."""
        return self.checked(json.loads(self.text(stage)))

    def read_if_there(self, stage: str) -> Secret | None:
        found = self.text_if_there(stage)
        return None if found is None else self.checked(json.loads(found))

    def previous(self) -> Secret | None:
        """The secret under AWSPREVIOUS, None where that is no secret of a database.

        Such are the first versions that CloudFormation makes, which get their host when the secret is attached.
        """
        try:
            return self.read_if_there("AWSPREVIOUS")
        except (KeyError, ValueError):
            return None

    def checked(self, secret: Any) -> Secret:
        """Raises KeyError, in the words of AWS's functions."""
        if not isinstance(secret, dict) or secret.get("engine") not in (self.engine.ENGINE, *self.engine.ALSO):
            raise KeyError(
                f"Database engine must be set to '{self.engine.ENGINE}' in order to use this rotation lambda"
            )
        for key in REQUIRED:
            if key not in secret:
                raise KeyError(f"{key} key is missing from secret JSON")
        return secret

    def create(self, username: Callable[[str], str]) -> None:
        """The new version has a value, written down before any database hears of it."""
        current = self.read("AWSCURRENT")
        if self.read_if_there("AWSPENDING") is None:
            new = {"username": username(current["username"]), "password": self.new_password()}
            self.put(json.dumps({**current, **new}))

    def logs_in(self, secret: Secret) -> bool:
        connection = self.engine.connect(secret)
        if connection is None:
            return False
        connection.close()
        return True

    def test(self) -> None:
        if not self.logs_in(self.read("AWSPENDING")):
            raise ValueError(f"Unable to log into database with pending secret of secret ARN {self.arn}")

    def set_same_user(self) -> None:
        """The one user has the pending password: set by itself, logged in with the current or else the previous one."""
        pending = self.read("AWSPENDING")
        if self.logs_in(pending):
            self._keep(pending, by_master=self._is_set_by_master(pending))
            return
        current = self.read("AWSCURRENT")
        opened, connection = self._opened_by(pending, current)
        if self._is_set_by_master(current):
            if connection is not None:
                connection.close()
            connection = self._master(current)
        if connection is None:
            raise ValueError(
                f"Unable to log into database with previous, current, or pending secret of secret arn {self.arn}"
            )
        still = None if opened is None else opened["password"]
        try:
            self.engine.set_password(connection, pending["username"], pending["password"], still)
        finally:
            connection.close()

    def _is_set_by_master(self, secret: Secret) -> bool:
        return self.engine.BY_MASTER and "masterarn" in secret

    def _keep(self, pending: Secret, *, by_master: bool) -> None:
        """The pending password was set, by a try that may have died before that was kept."""
        if self.engine.keep is None:
            return
        connection = self._master(self.read("AWSCURRENT")) if by_master else self.engine.connect(pending)
        if connection is None:
            raise ValueError(f"Unable to log into database with pending secret of secret ARN {self.arn}")
        try:
            self.engine.keep(connection)
        finally:
            connection.close()

    def _opened_by(self, pending: Secret, current: Secret) -> tuple[Secret | None, Any | None]:
        """The current secret or else the previous one, whichever logs in, with its connection.

        Where to, and whether with TLS, is what the current one says: the database may have moved, or have got TLS, since the previous one.
        """
        for known in (lambda: current, self.previous):
            secret = known()
            if secret is not None:
                _refuse_other(pending, secret, "username", "host")
                connection = self.engine.connect({**current, "password": secret["password"]})
                if connection is not None:
                    return secret, connection
        return None, None

    def _master(self, current: Secret) -> Any:
        """A connection of the user whose secret `masterarn` names, be it that his own password is being rotated."""
        if "masterarn" not in current:
            raise KeyError("masterarn key is missing from secret JSON")
        arn = current["masterarn"]
        for stage in ("AWSCURRENT", "AWSPENDING", "AWSCURRENT"):
            try:
                answer = self.client.get_secret_value(SecretId=arn, VersionStage=stage)
            except self.client.exceptions.ResourceNotFoundException:
                continue
            master = json.loads(answer["SecretString"])
            if set(master) == {"username", "password"}:
                master = {**self._where_managed(arn), **_tls(current), **master}
            master = self.checked(master)
            _refuse_other(current, master, "host")
            connection = self.engine.connect(master)
            if connection is not None:
                return connection
        raise ValueError(f"Unable to log into database using credentials in master secret {arn}")

    def _where_managed(self, arn: str) -> Secret:
        """What a secret that RDS or Redshift manages does not say of its database: engine, host, port, and the name of a database.

        Source: AWS's rotation functions, which ask RDS for the instance or cluster that the secret's tags name.
        """
        tags = {tag["Key"]: tag["Value"] for tag in self.client.describe_secret(SecretId=arn).get("Tags", [])}
        if REDSHIFT_TAG in tags:
            name = tags[REDSHIFT_TAG].rpartition(":")[2]
            found = boto3.client("redshift").describe_clusters(ClusterIdentifier=name)["Clusters"][0]
            where = found["Endpoint"]
            return {"engine": "redshift", "host": where["Address"], "port": where["Port"], "dbname": found["DBName"]}
        rds = boto3.client("rds")
        if INSTANCE_TAG in tags:
            found = rds.describe_db_instances(DBInstanceIdentifier=tags[INSTANCE_TAG])["DBInstances"][0]
            host, port, name = found["Endpoint"]["Address"], found["Endpoint"]["Port"], found.get("DBName")
        elif CLUSTER_TAG in tags:
            found = rds.describe_db_clusters(DBClusterIdentifier=tags[CLUSTER_TAG])["DBClusters"][0]
            host, port, name = found["Endpoint"], found["Port"], found.get("DatabaseName")
        else:
            raise KeyError("host key is missing from secret JSON")
        engine = found["Engine"].removeprefix("aurora-")
        engine = {"postgresql": "postgres", "docdb": "mongo"}.get(engine, engine)
        return {"engine": engine, "host": host, "port": port, **({"dbname": name} if name else {})}

    def set_other_user(self) -> None:
        """The idle user has the pending password, set by the superuser whose secret is named by masterarn."""
        pending = self.read("AWSPENDING")
        if self.logs_in(pending):
            self._keep(pending, by_master=True)
            return
        current = self.read("AWSCURRENT")
        if other_user(current["username"]) != pending["username"]:
            raise ValueError(f"The pending user is not the other user of the current one in secret {self.arn}")
        _refuse_other(pending, current, "host")
        if not self.logs_in(current):
            raise ValueError(f"Unable to log into database using current credentials for secret {self.arn}")
        connection = self._master(current)
        try:
            self.engine.set_clone(connection, current["username"], pending["username"], pending["password"])
        finally:
            connection.close()


def single_user(engine: Engine) -> Callable[[Mapping[str, str], object], None]:
    """A handler that changes the password of the secret's user in place."""
    return _handler(engine, lambda rotation: rotation.create(lambda name: name), OfDatabase.set_same_user)


def alternating_users(engine: Engine) -> Callable[[Mapping[str, str], object], None]:
    """A handler that changes the password of the idle one of `X` and `X_clone`, and makes it the current one."""
    return _handler(
        engine, lambda rotation: rotation.create(lambda name: idle_user(engine, name)), OfDatabase.set_other_user
    )


def idle_user(engine: Engine, username: str) -> str:
    """The other one of `X` and `X_clone`. Raises ValueError when its name is too long for the database."""
    other = other_user(username)
    if len(other if engine.NAME_UNIT == "characters" else other.encode()) > engine.NAME_LIMIT:
        limit = f"{engine.NAME_LIMIT} {engine.NAME_UNIT}"
        raise ValueError(f"Unable to clone user, username length with {CLONE} appended would exceed {limit}")
    return other


def other_user(username: str) -> str:
    return username.removesuffix(CLONE) if username.endswith(CLONE) else username + CLONE


def _handler(
    engine: Engine, create: Callable[[OfDatabase], None], set_secret: Callable[[OfDatabase], None]
) -> Callable[[Mapping[str, str], object], None]:
    steps = {
        "createSecret": create,
        "setSecret": set_secret,
        "testSecret": OfDatabase.test,
        "finishSecret": OfDatabase.finish,
    }
    return handler(lambda event: OfDatabase(event, engine), steps)


def handler(
    rotation_of: Callable[[Mapping[str, str]], Kind], steps: Mapping[str, Callable[[Kind], None]]
) -> Callable[[Mapping[str, str], object], None]:
    """The handler that does the step which its event names, unless its version is current already."""

    def lambda_handler(event: Mapping[str, str], context: object) -> None:  # noqa: ARG001
        step = steps.get(event["Step"])
        if step is None:
            raise ValueError(f"Invalid step parameter {event['Step']} for secret {event['SecretId']}")
        rotation = rotation_of(event)
        if rotation.under_way():
            step(rotation)

    return lambda_handler


def _refuse_other(one: Secret, another: Secret, *keys: str) -> None:
    """A secret that was tampered with must not make the function log in, or set a password, somewhere else."""
    for key in keys:
        if one[key] != another[key]:
            raise ValueError(f"The {key} differs between two versions or secrets of one rotation")


def _tls(secret: Secret) -> Secret:
    return {"ssl": secret["ssl"]} if "ssl" in secret else {}


def _true(text: str) -> bool:
    return text.strip().lower() in ("true", "1", "y", "yes")
