"""A KMS without a wire: the real room, gate, storage, sealing and jobs, asked by callers whose policies are set here."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import serialization

from geumgo.access.gate import Gate, through
from geumgo.access.ports import PrincipalPolicies
from geumgo.context import Caller, Context, Mark, Place, Session
from geumgo.domain.policy import PolicyKind, compile_policy
from geumgo.errors import ServiceError
from geumgo.jobs.worker import Worker
from geumgo.principals import NoPrincipals, UnknownPrincipal
from geumgo.protocol.models import load
from geumgo.protocol.validate import validate
from geumgo.sealing import random
from geumgo.sealing.root import RootKeys
from geumgo.services.kms import ROOM
from geumgo.storage import Storage, Tx
from geumgo.storage.migrate import migrate
from tests.clock import TurnedClock

MODEL = load("kms")
OWN, OTHER = "111122223333", "444455556666"
REGION = "eu-west-1"
EVERYTHING = {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}


def policy(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def user(name: str, account: str = OWN) -> Caller:
    return Caller("IAMUser", account, f"arn:aws:iam::{account}:user/{name}", f"AIDA{name}", name)


def session(role: str, account: str = OWN) -> Caller:
    arn = f"arn:aws:iam::{account}:role/{role}"
    made = Session(arn, f"AROA{role}", role, "now", 0, 2**50)
    return Caller(
        "AssumedRole", account, f"arn:aws:sts::{account}:assumed-role/{role}/now", f"AROA{role}:now", session=made
    )


ADMIN = user("admin")


class SetPolicies:
    """Identity policies by the ARN of the caller."""

    def __init__(self) -> None:
        self.documents: dict[str, str] = {ADMIN.arn: policy(EVERYTHING)}

    def of(self, _tx: Tx, caller: Caller) -> PrincipalPolicies:
        document = self.documents.get(caller.arn)
        if caller.kind == "Root":
            document = policy(EVERYTHING)
        return PrincipalPolicies([compile_policy(document, PolicyKind.IDENTITY)] if document else [])


class Registered(NoPrincipals):
    """Everybody exists whose name does not say otherwise."""

    def exists(self, tx: Tx, principal: str) -> bool:
        return "nobody" not in principal

    def pin(self, tx: Tx, document: str) -> str:
        if "nobody" in document:
            raise UnknownPrincipal("Invalid principal in policy")
        return document


class NoDoor:
    def call(self, ctx: Context, service: str, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        raise AssertionError(f"kms asked {service} to {operation}")

    def forbids(self, ctx: Context, demand: Any) -> bool:
        raise AssertionError(f"kms asked about {demand}")

    def act(
        self, ctx: Context, service: str, operation: str, source_arn: str, params: dict[str, Any]
    ) -> dict[str, Any]:
        raise AssertionError(f"kms asked {service} to {operation}")


@dataclass
class Kms:
    storage: Storage
    clock: TurnedClock
    sealing: RootKeys
    policies: SetPolicies = field(default_factory=SetPolicies)
    region: str = REGION
    answers: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @classmethod
    def build(cls, storage: Storage, clock: TurnedClock) -> "Kms":
        assert ROOM.tables is not None
        migrate(storage, [("jobs", "geumgo.jobs.tables"), ("kms", ROOM.tables)])
        return cls(storage, clock, RootKeys({1: random.key()}))

    def ask(
        self,
        name: str,
        *,
        caller: Caller = ADMIN,
        via: str | None = None,
        region: str | None = None,
        conditions: Mapping[str, tuple[str, ...]] | None = None,
        reads_only: bool | None = None,
        **params: Any,
    ) -> dict[str, Any]:
        """The answer of one operation, through validation and gate, in a transaction of its own.

        `via` is a service ("secretsmanager") that asks on behalf of the caller.
        """
        made = ROOM.operations[name]
        validate(MODEL.operations[name], params, leave=made.access.leave)
        at = region or self.region
        keys = dict(conditions or {})
        if via is not None:
            caller = through(caller, f"{via}.amazonaws.com")
            keys["kms:ViaService"] = (f"{via}.{at}.amazonaws.com",)
        reading = (not made.writes and via is None) if reads_only is None else reads_only
        behind: list[Mark] = []
        with self.storage.reading() if reading else self.storage.writing() as tx:
            ctx = Context(
                tx=tx,
                place=Place(caller.account, at),
                caller=caller,
                clock=self.clock,
                sealing=self.sealing,
                request_id="request-1",
                gateway=NoDoor(),
                conditions=keys,
                reads_only=reading,
                regions=frozenset({REGION, "us-east-1", "ap-south-1"}),
                principals=Registered(),
                afterwards=behind,
            )
            try:
                Gate(self.policies).check(ctx, made.access.demands(ctx, params))
                answer = dict(made.handler(ctx, params))
            except ServiceError as refusal:
                self.check_refusal(name, refusal)
                raise
        for mark in behind:
            with self.storage.writing() as tx:
                mark.write(tx)
        self.check_answer(name, answer)
        return answer

    @staticmethod
    def check_refusal(name: str, refusal: ServiceError) -> None:
        """Every refusal is one that the model gives this operation, or one of the front end."""
        everywhere = {"AccessDeniedException", "ValidationException", "NotAuthorizedException"}
        assert refusal.code in everywhere | set(MODEL.operations[name].errors), f"{name} does not know {refusal.code}"

    def check_answer(self, name: str, answer: dict[str, Any]) -> None:
        """The answer fits the model: known members, their kinds, none of them None."""
        output = MODEL.operations[name].output
        fits(output, answer) if output is not None else None
        assert output is not None or answer == {}
        self.answers.append((name, answer))

    def may(self, caller: Caller, *statements: Mapping[str, Any]) -> Caller:
        """`caller`, whose only policy these statements are."""
        self.policies.documents[caller.arn] = policy(*statements)
        return caller

    def key(self, **params: Any) -> str:
        """The ARN of a new key."""
        arn: str = self.ask("CreateKey", **params)["KeyMetadata"]["Arn"]
        return arn

    def run_jobs(self) -> int:
        """Everything that is due at the turned clock's time has run."""
        failures: list[Any] = []
        worker = Worker(
            self.storage,
            ROOM.jobs,
            self.clock,
            self.sealing,
            owner="test",
            event=lambda _kind, _place, name, details: self.events.append((name, details)),
            note=failures.append,
        )
        done = worker.run_due()
        assert not failures, failures
        return done

    def state(self, key_id: str, **where: Any) -> str:
        state: str = self.ask("DescribeKey", KeyId=key_id, **where)["KeyMetadata"]["KeyState"]
        return state

    def sql(self, text: str, **params: Any) -> list[tuple[Any, ...]]:
        """What somebody does who holds the database: reads, or writes past us."""
        with self.storage.reading() if text.lstrip().upper().startswith("SELECT") else self.storage.writing() as tx:
            return tx.all(text, **params)


KINDS = {"string": str, "blob": bytes, "integer": int, "boolean": bool, "list": list, "map": dict, "structure": dict}


def fits(shape: Any, value: Any, at: str = "answer") -> None:
    wanted = KINDS.get(shape.kind)
    assert wanted is None or isinstance(value, wanted), f"{at} is {type(value).__name__}, not {shape.kind}"
    if shape.enum:
        assert value in shape.enum, f"{at} is {value}"
    if shape.kind == "structure":
        unknown = set(value) - set(shape.members)
        assert not unknown, f"{at} has {unknown}"
        assert set(shape.required) <= set(value), f"{at} lacks members"
        for name, inner in value.items():
            fits(shape.members[name].shape, inner, f"{at}.{name}")
    elif shape.kind == "list":
        for inner in value:
            fits(shape.member.shape, inner, f"{at}[]")


@contextmanager
def refused(code: str, message: str | None = None) -> Iterator[None]:
    """A block that must raise a ServiceError with this code and, if given, exactly this message."""
    try:
        yield
    except ServiceError as refusal:
        expected = (code, refusal.message if message is None else message)
        assert (refusal.code, refusal.message) == expected  # noqa: PT017 - a refusal has a code, which raises() does not match
    else:
        raise AssertionError(f"nothing was refused; expected {code}")


def public_key(der: bytes) -> Any:
    """A public key, whatever its kind."""
    return serialization.load_der_public_key(der)


def private_key(der: bytes) -> Any:
    """A private key, whatever its kind."""
    return serialization.load_der_private_key(der, None)
