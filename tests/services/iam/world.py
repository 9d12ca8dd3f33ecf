"""A small site to try identities in: a database, a root key, a clock that is turned, and the real gate between caller and room."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from geumgo import protocol
from geumgo.access.gate import Gate
from geumgo.access.ports import Key
from geumgo.context import Caller, Context, Params, Place
from geumgo.errors import AccessDenied
from geumgo.protocol.shapes import Shape
from geumgo.room import Room
from geumgo.sealing import random
from geumgo.sealing.root import RootKeys
from geumgo.services import iam, sts
from geumgo.services.iam.bootstrap import FirstKey, create_account
from geumgo.services.iam.directory import Directory
from geumgo.services.iam.keyring import LongTermKeyring
from geumgo.services.iam.rights import Rights
from geumgo.services.sts.keyring import TemporaryKeyring
from geumgo.storage import Storage, Tx
from geumgo.storage.migrate import migrate
from tests.clock import TurnedClock

ACCOUNT = "123456789012"
OTHER_ACCOUNT = "210987654321"
ROOMS: dict[str, Room] = {"iam": iam.ROOM, "sts": sts.ROOM}


def allow(*actions: str, resource: str | list[str] = "*", **condition: Any) -> str:
    """A policy that allows `actions` on `resource`."""
    return policy({"Effect": "Allow", "Action": list(actions), "Resource": resource, **condition})


def deny(*actions: str, resource: str | list[str] = "*") -> str:
    return policy({"Effect": "Deny", "Action": list(actions), "Resource": resource})


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def trusting(principal: Any, *actions: str, **condition: Any) -> str:
    """A trust policy that lets `principal` assume the role."""
    names = list(actions) or ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]
    return policy({"Effect": "Allow", "Principal": principal, "Action": names, **condition})


class Door:
    """Another room's door, which these rooms never knock at."""

    def call(self, ctx: Context, service: str, operation: str, params: Params) -> Params:
        raise AssertionError(f"{service}:{operation} was asked")

    def act(self, ctx: Context, service: str, operation: str, source_arn: str, params: Params) -> Params:
        raise AssertionError(f"{service}:{operation} was asked")

    def forbids(self, ctx: Context, demand: Any) -> bool:
        raise AssertionError(f"{demand} was asked")


class World:
    """Two rooms, and everything that stands around them."""

    def __init__(
        self, storage: Storage, clock: TurnedClock, sealing: RootKeys | None = None, first: FirstKey | None = None
    ) -> None:
        """A new site; with `first`, the one that is in `storage` already, under the root keys of `sealing`."""
        self.storage = storage
        self.clock = clock
        self.root = random.key()
        self.sealing = sealing or RootKeys({1: self.root})
        migrate(storage, [("iam", "geumgo.services.iam.tables"), ("sts", "geumgo.services.sts.tables")])
        self.directory = Directory(self.sealing)
        self.rights = Rights(self.sealing)
        self.gate = Gate(self.rights)
        self.keyring = LongTermKeyring(self.sealing)
        self.temporary = TemporaryKeyring(self.sealing, self.directory)
        if first is None:
            with storage.writing() as tx:
                first = create_account(tx, self.sealing, ACCOUNT, clock.now_ms())
        self.first = first
        self.admin = self.caller_of(self.first.access_key_id)

    def ask(self, operation: str, caller: Caller | None = None, service: str = "iam", **params: Any) -> Params:
        """The answer of an operation, through declaration and gate, checked against the service's model on both ways."""
        room, model = ROOMS[service], protocol.models.load(service)
        served, shape = room.operations[operation], model.operations[operation]
        protocol.validate(shape, params, leave=served.access.leave)
        with self.storage.writing() if served.writes else self.storage.reading() as tx:
            ctx = self.context(tx, caller or self.admin, reads_only=not served.writes)
            self.gate.check(ctx, served.access.demands(ctx, params))
            answer = dict(served.handler(ctx, params))
        if ctx.afterwards:
            with self.storage.writing() as tx:
                for mark in ctx.afterwards:
                    mark.write(tx)
        if shape.output is not None:
            fits(shape.output, answer, operation)
        else:
            assert answer == {}, f"{operation} answers nothing"
        return answer

    def sts(self, operation: str, caller: Caller | None = None, **params: Any) -> Params:
        return self.ask(operation, caller, "sts", **params)

    def context(self, tx: Tx, caller: Caller, *, reads_only: bool = False) -> Context:
        return Context(
            tx=tx,
            place=Place(caller.account, "us-east-1"),
            caller=caller,
            clock=self.clock,
            sealing=self.sealing,
            request_id="r",
            gateway=Door(),
            conditions={"aws:SourceIp": ("192.0.2.1",), "aws:SecureTransport": ("true",)},
            reads_only=reads_only,
            principals=self.directory,
        )

    def find(self, key_id: str, token: str | None = None) -> Key | None:
        """What the door learns of a key, in a transaction of its own."""
        ring = self.temporary if key_id.startswith("ASIA") else self.keyring
        with self.storage.reading() as tx:
            return ring.find(tx, key_id, token, self.clock.now_ms())

    def caller_of(self, key_id: str, token: str | None = None) -> Caller:
        key = self.find(key_id, token)
        assert key is not None, "nobody has this key"
        return key.caller

    def caller_with(self, credentials: Params) -> Caller:
        return self.caller_of(credentials["AccessKeyId"], credentials["SessionToken"])

    def user(self, name: str, *documents: str, **params: Any) -> Caller:
        """A user with these inline policies, who has just signed in with a key of his own."""
        self.ask("CreateUser", UserName=name, **params)
        for number, document in enumerate(documents):
            self.ask("PutUserPolicy", UserName=name, PolicyName=f"p{number}", PolicyDocument=document)
        key = self.ask("CreateAccessKey", UserName=name)["AccessKey"]
        return self.caller_of(key["AccessKeyId"])

    def role(self, name: str, trust: str, *documents: str, **params: Any) -> str:
        """A role with these inline policies; its ARN."""
        made = self.ask("CreateRole", RoleName=name, AssumeRolePolicyDocument=trust, **params)["Role"]
        for number, document in enumerate(documents):
            self.ask("PutRolePolicy", RoleName=name, PolicyName=f"p{number}", PolicyDocument=document)
        return str(made["Arn"])

    def assume(self, arn: str, caller: Caller | None = None, **params: Any) -> Caller:
        """The caller that a new session of the role is."""
        answer = self.sts("AssumeRole", caller, RoleArn=arn, **{"RoleSessionName": "session", **params})
        return self.caller_with(answer["Credentials"])

    def may(self, caller: Caller, operation: str, **params: Any) -> bool:
        """Whether the gate lets `caller` in, with policies as they are now."""
        try:
            with self.asking(caller) as ctx:
                self.gate.check(ctx, ROOMS["iam"].operations[operation].access.demands(ctx, params))
        except AccessDenied:
            return False
        return True

    @contextmanager
    def asking(self, caller: Caller) -> Iterator[Context]:
        with self.storage.reading() as tx:
            yield self.context(tx, caller, reads_only=True)

    def forge(self, sql: str, **params: Any) -> int:
        """What somebody does who can write to the database and has no root key."""
        with self.storage.writing() as tx:
            return tx.run(sql, **params)


def fits(shape: Shape, value: Any, at: str) -> None:
    """Every member of an answer is one that the model knows, and of its type; nothing that is required is missing."""
    if shape.kind == "structure":
        assert isinstance(value, dict), at
        unknown = value.keys() - shape.members.keys()
        assert not unknown, f"{at}: {unknown} is not in the model"
        missing = set(shape.required) - value.keys()
        assert not missing, f"{at}: {missing} is missing"
        for name, member in value.items():
            fits(shape.members[name].shape, member, f"{at}.{name}")
    elif shape.kind == "list":
        assert isinstance(value, list), at
        for item in value:
            fits(shape.element.shape, item, f"{at}[]")
    else:
        assert value is not None, at
        wanted = {"string": str, "integer": int, "boolean": bool, "blob": bytes}.get(shape.kind)
        assert wanted is None or isinstance(value, wanted), f"{at}: {type(value).__name__} is no {shape.kind}"
