"""The jobs that reach out to databases: what is to be done to one after it was attached, changed or detached, and the steps of rotation.

Each may be killed at any line and run again. What a job decides rests on the token of the task: one that was replaced meanwhile ends
without a change.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from geumgo.attached import domain, master_secret
from geumgo.attached.finishing import STEPS, StepFailed
from geumgo.attached.owner import Owner
from geumgo.attached.records import AVAILABLE, FAILED, Database
from geumgo.attached.steps import Steps, server_of, still_held
from geumgo.context import Params, Work
from geumgo.errors import ServiceError
from geumgo.jobs import promise
from geumgo.jobs.retry import TryLater
from geumgo.outbound import Failed, Refused
from geumgo.outbound.databases import Databases, Denied
from geumgo.sealing import Plaintext

STEP_DONE: Final = "secretsmanager.rotation_step_done"
RECOVERY_DAYS: Final = 30
BUSY_MS: Final = 1_000

Change = Callable[[Database], Database | None]
"""What becomes of the row; None: it goes."""


class Hopeless(Exception):
    """The task will never be done. The message is a sentence without any secret."""


class Steward:
    """Looks after the attached databases of one service. What it needs of the world outside is given by app."""

    def __init__(self, owner: Owner[Any], databases: Databases) -> None:
        self._owner = owner
        self._store = owner.store
        self._databases = databases

    def jobs(self) -> Mapping[str, Callable[[Work, Params], None]]:
        """The jobs of the service that reach outside, by kind."""
        return {self._owner.settle: self.settle, self._owner.rotate_step: self.rotate_step}

    # -- what was asked of a database ---------------------------------------------------------------------------------

    def settle(self, work: Work, payload: Params) -> None:
        """The task of the database is done, or is tried again later, or is given up and the database says why."""
        with work.storage.reading() as tx:
            database = self._store.find(tx, work.sealing, work.place, payload["kind"], payload["identifier"])
        if database is None or not database.task:
            with work.finishing():
                return
        try:
            change = self._do(work, database)
        except (Hopeless, Refused, StepFailed) as fault:
            change = _given_up(str(fault))
        except (Failed, ServiceError) as fault:
            waited_ms = work.clock.now_ms() - database.asked_at_ms
            said = fault.message if isinstance(fault, ServiceError) else str(fault)
            if waited_ms < domain.GIVE_UP_MS or database.task == "delete":
                self._say(work, database, said)
                raise TryLater(domain.wait_ms(waited_ms)) from None
            change = _given_up(said)
        with work.finishing() as tx:
            now = self._store.find(tx, work.sealing, work.place, database.kind, database.identifier)
            if now is None or now.token != database.token:
                return
            after = change(now)
            if after is None:
                self._store.remove(tx, now)
            else:
                self._store.save(tx, work.sealing, after)

    def _do(self, work: Work, database: Database) -> Change:
        if database.task == "delete":
            self._delete_secret(work, database)
            return lambda _now: None
        if database.task == "unmanage":
            return self._unmanage(work, database)
        if database.secret_arn:
            return self._rotate(work, database)
        if database.task == "change":
            return self._change(work, database)
        if not self._lets_in(work, database, database.password):
            raise Hopeless("The database does not let the master user in with MasterUserPassword.")
        return _done

    def _rotate(self, work: Work, database: Database) -> Change:
        """Secrets Manager rotates the secret, now and from now on; each step comes back as a job of ours.

        A password that is not known is found out before: otherwise every rotation would only fail.
        """
        rules = {}
        if database.task != "rotate":
            steps = Steps(work, self._databases, self._owner, database, database.token)
            known = [
                each for each in steps.known() if self._databases.logs_in(server_of(database), database.username, each)
            ]
            if not known:
                raise Hopeless(
                    f"The database does not let the master user in with the password in {domain.SECRET_TAG}."
                )
            rules = {"RotationRules": {"AutomaticallyAfterDays": self._owner.rotation_days}}
        try:
            self._ask(work, database, "RotateSecret", ClientRequestToken=database.token, **rules)
        except ServiceError as refusal:
            if refusal.code != "InvalidRequestException":  # one is under way already
                raise
        return _done

    def _change(self, work: Work, database: Database) -> Change:
        """The master user logs in with the next password."""
        if not self._lets_in(work, database, database.next_password):
            self._set(work, database, [self._open(work, database, database.password)])
        return lambda now: _done(now, password=now.next_password, next_password=None)

    def _unmanage(self, work: Work, database: Database) -> Change:
        """The master user logs in with the next password, and the secret is on its way out."""
        if not self._lets_in(work, database, database.next_password):
            known = Steps(work, self._databases, self._owner, database, database.token).known()
            self._set(work, database, [Plaintext(each.encode()) for each in known])
        self._delete_secret(work, database)
        gone = {"secret_arn": "", "secret_status": "", "secret_key": ""}
        return lambda now: _done(now, password=now.next_password, next_password=None, **gone)

    def _lets_in(self, work: Work, database: Database, sealed: bytes | None) -> bool:
        password = self._open(work, database, sealed).reveal().decode()
        return self._databases.logs_in(server_of(database), database.username, password)

    def _set(self, work: Work, database: Database, known: list[Plaintext]) -> None:
        new = self._open(work, database, database.next_password).reveal().decode()
        server, held = server_of(database), partial(still_held, work)
        for each in known:
            try:
                self._databases.set_password(server, database.username, each.reveal().decode(), new, still=held)
            except Denied:
                continue
            return
        raise Hopeless("The database does not let the master user in, or does not let him set a password.")

    def _delete_secret(self, work: Work, database: Database) -> None:
        """The secret is rotated no more, and can be restored for 30 days.

        The database goes on running, and nothing else knows its password.
        """
        if not database.secret_arn:
            return
        try:
            self._ask(work, database, "CancelRotateSecret")
            self._ask(work, database, "DeleteSecret", RecoveryWindowInDays=RECOVERY_DAYS)
        except ServiceError as refusal:
            if refusal.code not in (
                "ResourceNotFoundException",
                "InvalidRequestException",
            ):  # the latter: deleted already
                raise

    def _ask(self, work: Work, database: Database, operation: str, **params: object) -> None:
        arn, role = database.arn, self._owner.role_arn(database.place)
        work.call("secretsmanager", operation, source_arn=arn, role_arn=role, SecretId=database.secret_arn, **params)

    def _open(self, work: Work, database: Database, sealed: bytes | None) -> Plaintext:
        assert sealed is not None, f"{database.task}: the password is kept here"
        return self._store.unseal(work.sealing, database, sealed)

    def _say(self, work: Work, database: Database, why: str) -> None:
        """The database says why it waits."""
        with work.writing() as tx:
            now = self._store.find(tx, work.sealing, work.place, database.kind, database.identifier)
            if now is not None and now.token == database.token and now.message != why:
                self._store.save(tx, work.sealing, replace(now, message=why))

    # -- what Secrets Manager asks --------------------------------------------------------------------------------------

    def rotate_step(self, work: Work, payload: Params) -> None:
        """The step is done or has failed, and Secrets Manager is told. See docs/decisions on managed rotation."""
        with work.storage.reading() as tx:
            database = self._store.find_by_secret(tx, work.sealing, payload["secret"])
        if database is not None and database.task:
            raise TryLater(BUSY_MS)
        error = "" if database is not None else "No database has this secret."
        if database is not None:
            try:
                Steps(work, self._databases, self._owner, database, payload["token"]).take(payload["step"])
            except (StepFailed, Refused, Failed) as fault:
                error = str(fault)
            except ServiceError as refusal:
                error = f"{refusal.code}: {refusal.message}"
        answer = {**{name: payload[name] for name in ("secret", "token", "step")}, "error": error}
        with work.finishing() as tx:
            now = self._store.find_by_secret(tx, work.sealing, payload["secret"])
            if now is not None:
                self._store.save(
                    tx, work.sealing, replace(now, secret_status=_status_after(payload["step"], error), message=error)
                )
            promise(tx, STEP_DONE, work.place, answer, run_at_ms=work.clock.now_ms())


def _status_after(step: str, error: str) -> str:
    if error:
        return master_secret.IMPAIRED
    return master_secret.ACTIVE if step == STEPS[-1] else master_secret.ROTATING


def _done(database: Database, **changes: object) -> Database:
    return replace(database, status=AVAILABLE, message="", task="", **changes)  # type: ignore[arg-type] # by name


def _given_up(why: str) -> Change:
    """What was being attached has failed; what was there before stays as it is, and says so."""

    def change(database: Database) -> Database:
        status = FAILED if database.task == "attach" else AVAILABLE
        secret_status = master_secret.IMPAIRED if database.secret_arn else ""
        return replace(database, status=status, secret_status=secret_status, message=why, task="", next_password=None)

    return change
