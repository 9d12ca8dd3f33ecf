"""The four steps of a managed rotation, done by the service's own role.

As those of a rotation function: a step may run again after a crash at any line, so each looks first at what is already done. The new
password is written down before the database hears of it, so at every moment one of AWSCURRENT, AWSPENDING and AWSPREVIOUS logs in.
"""

import json
from typing import Any

from geumgo.attached.finishing import StepFailed, finish
from geumgo.attached.owner import Owner
from geumgo.attached.records import Database
from geumgo.context import Work
from geumgo.errors import ServiceError
from geumgo.outbound.databases import Databases, Denied, Server


def server_of(database: Database) -> Server:
    return Server(database.dialect, database.host, database.port, database.database_name, database.tls)


def still_held(work: Work) -> None:
    """Raises LeaseLost if another worker has this job: it stood still, and what it is about to do has been done, and undone maybe."""
    with work.writing():
        return


class Steps:
    """The steps of one rotation (`token`) of one database's managed secret."""

    def __init__(self, work: Work, databases: Databases, owner: Owner[Any], database: Database, token: str) -> None:
        self._work = work
        self._owner = owner
        self._databases = databases
        self._database = database
        self._server = server_of(database)
        self._token = token

    def take(self, step: str) -> None:
        """The step is done.

        Raises:
            StepFailed: it cannot be.
            Refused, Failed: the database is not one that this server talks to, or cannot be reached now.
            ServiceError: a refusal of Secrets Manager or KMS.
        """
        done = {
            "createSecret": self._create,
            "setSecret": self._set,
            "testSecret": self._test,
            "finishSecret": self._finish,
        }.get(step)
        if done is None:
            raise StepFailed(f"There is no step {step}.")
        done()

    def known(self) -> list[str]:
        """The passwords that may open the way, the likeliest first."""
        found = [self._password(stage) for stage in ("AWSCURRENT", "AWSPENDING", "AWSPREVIOUS")]
        return [each for each in found if each is not None]

    def _create(self) -> None:
        if self._pending() is not None:
            return
        made = self._work.call(
            "secretsmanager",
            "GetRandomPassword",
            source_arn=self._database.arn,
            role_arn=self._owner.role_arn(self._database.place),
            PasswordLength=self._owner.password_length,
            ExcludeCharacters=self._owner.excluded,
        )["RandomPassword"]
        text = json.dumps({"username": self._database.username, "password": made})
        self._ask("PutSecretValue", ClientRequestToken=self._token, SecretString=text, VersionStages=["AWSPENDING"])

    def _set(self) -> None:
        new = self._pending()
        if new is None:
            raise StepFailed("The new version has no value.")
        if self._lets_in(new):
            return
        for stage in ("AWSCURRENT", "AWSPREVIOUS"):
            known = self._password(stage)
            if known is not None and self._lets_in(known):
                try:
                    self._databases.set_password(
                        self._server, self._database.username, known, new, still=lambda: still_held(self._work)
                    )
                except Denied as fault:
                    raise StepFailed(str(fault)) from None
                return
        raise StepFailed("The database lets the master user in with none of AWSCURRENT, AWSPENDING and AWSPREVIOUS.")

    def _test(self) -> None:
        new = self._pending()
        if new is None or not self._lets_in(new):
            raise StepFailed("The database does not let the master user in with AWSPENDING.")

    def _finish(self) -> None:
        finish(self._ask, self._token)

    # -- what they ask ------------------------------------------------------------------------------------------------

    def _lets_in(self, password: str) -> bool:
        return self._databases.logs_in(self._server, self._database.username, password)

    def _pending(self) -> str | None:
        return self._password("AWSPENDING", VersionId=self._token)

    def _password(self, stage: str, **chosen: str) -> str | None:
        """The password under a label; None if nothing wears it, or it has no value yet."""
        try:
            answer = self._ask("GetSecretValue", VersionStage=stage, **chosen)
        except ServiceError as refusal:
            if refusal.code == "ResourceNotFoundException":
                return None
            raise
        try:
            value = json.loads(answer["SecretString"])
            named, password = value["username"], value["password"]
        except (ValueError, TypeError, KeyError):
            raise StepFailed(f"The value under {stage} is not JSON with username and password.") from None
        if named != self._database.username or not isinstance(password, str):
            raise StepFailed(f"The value under {stage} is not that of the master user.")
        return password

    def _ask(self, operation: str, **params: Any) -> dict[str, Any]:
        role = self._owner.role_arn(self._database.place)
        arn = self._database.arn
        return self._work.call(
            "secretsmanager", operation, source_arn=arn, role_arn=role, SecretId=self._database.secret_arn, **params
        )
