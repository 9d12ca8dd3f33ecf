"""Policy worlds out of a seed: who asks for what, under which policies.

A world is plain data (what JSON can hold), so that a finding can be kept as it is.

Left out, because AWS's documentation does not say what happens or contradicts itself:
- a key with several values under an operator without ForAllValues or ForAnyValue, or as a policy variable
- ForAnyValue together with IfExists when the key is missing
- an empty string as a request value: older editions count it as no value under ForAllValues, today's do not say
- a request value that is not of the operator's type (a word where a number is asked)
- a year or a month alone as a date, a CIDR block with host bits set, an IPv4 address written as IPv6
- wildcards, quotes or braces in the default value of a variable; variables under Bool (two pages contradict each other)
- Bool and Null with words other than true and false in lower case, or with both
- an ARN operator with a value of fewer than six components, or with a variable whose value has a colon
- a variable before the fifth colon of a Resource: it may not stand there, and what it does is not said
- a * inside a segment of a Resource that would have to reach over a colon to match
- everyone ({"AWS": "*"}) as a web identity, an empty list of session policies
- a grant together with a boundary, for a session, or for a caller of another account
- NotPrincipal with Allow, and in a trust policy (not supported); letters whose case changes their length
"""

import random
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.oracle import alphabet as a

World = dict[str, Any]
Document = dict[str, Any]


class Maker:
    """Makes worlds from one stream of randomness."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random

    def chance(self, likelihood: float) -> bool:
        return self._random() < likelihood

    def one_of(self, values: list[Any]) -> Any:
        return values[int(self._random() * len(values))]

    def some_of(self, values: list[Any]) -> Any:
        """One value, bare or in a list, or two in a list."""
        first = self.one_of(values)
        if self.chance(0.6):
            return first
        return [first] if self.chance(0.3) else [first, self.one_of(values)]

    def world(self) -> World:
        """One world: everything that `evaluator.decide` asks for."""
        dice = self._random()
        if dice < 0.35:
            world = self._focused_world()
        elif dice < 0.7:
            world = self._secret_world()
        elif dice < 0.83:
            world = self._key_world()
        else:
            world = self._role_world() if dice < 0.94 else self._bare_world()
        world["context"] = self._context()
        self._limit(world)
        return world

    def _secret_world(self) -> World:
        caller, owner = self._caller(), self._owner()
        action, resource = self.one_of(a.SECRET_ACTIONS[:1] * 3 + a.SECRET_ACTIONS), self.one_of(a.SECRETS[owner])
        world = _bare(caller, (action, resource, owner), "RESOURCE")
        self._attach(world, a.SECRET_PATTERNS, a.SECRET_RESOURCES, a.NAMED if self.chance(0.6) else None)
        return world

    def _focused_world(self) -> World:
        """Everything allows but one statement, which decides: in an identity, a session or a resource policy."""
        place = self.one_of(["identity", "session", "resource"])
        caller = self.one_of(a.ROLE_SESSIONS if place == "session" else a.PEOPLE)
        home = caller["account"]
        world = _bare(dict(caller), ("secretsmanager:GetSecretValue", self.one_of(a.SECRETS[home]), home), "RESOURCE")
        allows = self.chance(0.5)
        resources = ["*"] if self.chance(0.6) else a.SECRET_RESOURCES
        paper = _Paper(place, ["secretsmanager:GetSecretValue", "*"], resources, a.NAMED, a.names_of(caller))
        document = self._wrapped(paper, [self._statement(paper, allows)])
        if place == "resource":
            world["resource_policy"] = document
            world["identity"] = [] if allows else [a.FULL]
        else:
            world["identity"] = [a.FULL]
            world[place] = [document] if allows else [a.FULL, document]
        return world

    def _key_world(self) -> World:
        caller, owner = self._caller(), self._owner()
        world = _bare(caller, (self.one_of(a.KEY_ACTIONS), self.one_of(a.KEYS[owner]), owner), "KEY")
        self._attach(world, a.KEY_PATTERNS, a.KEY_RESOURCES, a.NAMED if self.chance(0.97) else None)
        return world

    def _role_world(self) -> World:
        if self.chance(0.25):
            return self._web_identity_world()
        caller, owner = dict(self.one_of([*a.PEOPLE, *a.SERVICES])), self._owner()
        action = self.one_of(a.ROLE_ACTIONS[:1] * 3 + a.ROLE_ACTIONS)
        world = _bare(caller, (action, self.one_of(a.ROLE_ARNS[owner]), owner), "TRUST")
        self._attach(world, a.ROLE_PATTERNS, a.ROLE_RESOURCES, a.NAMED_TRUST)
        return world

    def _web_identity_world(self) -> World:
        asked = ("sts:AssumeRoleWithWebIdentity", self.one_of(a.ROLE_ARNS[a.HOME]), a.HOME)
        world = _bare(dict(a.WEB_IDENTITY), asked, "TRUST")
        self._attach(world, a.ROLE_PATTERNS, a.ROLE_RESOURCES, a.NAMED_FEDERATED)
        return world

    def _bare_world(self) -> World:
        """An action that knows no resources: asked on "*", in the caller's own account."""
        caller = dict(self.one_of(a.PEOPLE))
        world = _bare(caller, ("secretsmanager:ListSecrets", "*", caller["account"]), "RESOURCE")
        self._attach(world, ["secretsmanager:List*", *a.SECRET_PATTERNS], a.SECRET_RESOURCES, None)
        return world

    def _owner(self) -> str:
        return a.HOME if self.chance(0.9) else a.AWAY

    def _caller(self) -> dict[str, Any]:
        return dict(self.one_of(a.PEOPLE if self.chance(0.92) else [*a.SERVICES, a.ANONYMOUS]))

    # --- policies around the question ---

    def _attach(self, world: World, actions: list[str], resources: list[str], named: list[Any] | None) -> None:
        """Policies of every kind that may stand around this caller and this resource; `named` None: no resource policy."""
        actions = [*actions, *[world["action"]] * 4, world["action"].upper()]
        if named is not None:
            of_the_caller = a.names_of(world["principal"]) if world["principal"]["kind"] != "Anonymous" else ["*"]
            paper = _Paper(
                "TRUST" if world["resource_kind"] == "TRUST" else "resource",
                actions,
                [*resources, *["*"] * 6, *[world["resource"]] * 6],
                named,
                of_the_caller,
            )
            world["resource_policy"] = self._document(paper)
        if world["principal"]["account"]:
            self._attach_own(world, [*actions, "*", "*"], [*resources, "*", "*", *[world["resource"]] * 4])

    def _attach_own(self, world: World, actions: list[str], resources: list[str]) -> None:
        kind = world["principal"]["kind"]

        def document(on: str, allows: float = 0.75) -> Document:
            return self._document(_Paper(on, actions, resources, [], []), allows)

        if kind != "Root":
            world["identity"] = [document("identity") for _ in range(self.one_of([0, 1, 1, 1, 2]))]
            world["boundary"] = document("boundary", 0.9) if self.chance(0.2) else None
        if (kind == "AssumedRole" and self.chance(0.3)) or (kind == "FederatedUser" and self.chance(0.8)):
            world["session"] = [document("session", 0.9) for _ in range(self.one_of([1, 1, 2]))]
        if self.chance(0.12):
            world["service_control"] = [self._level(document) for _ in range(self.one_of([1, 2]))]

    def _level(self, document: Callable[[str, float], Document]) -> list[Document]:
        return [a.FULL, document("control", 0.3)] if self.chance(0.6) else [document("control", 0.9)]

    def _limit(self, world: World) -> None:
        """Grants and resource control policies, where the documentation says what they do, and bounds around NotPrincipal."""
        caller = world["principal"]
        has_boundary = caller["account"] and caller["kind"] != "Root"
        if has_boundary and "NotPrincipal" in str(world["resource_policy"]) and self.chance(0.3):
            world["boundary"] = a.FULL  # it lets everything pass but for what it does to the NotPrincipal
        plain = caller["kind"] in {"IAMUser", "AWSService"} and world["boundary"] is None
        if (
            world["resource_kind"] == "KEY"
            and plain
            and self.chance(0.2)
            and caller["account"] in {"", world["resource_account"]}
        ):
            world["grant"] = "grant-1"
        if world["resource_kind"] == "RESOURCE" and world["resource"] != "*" and self.chance(0.05):
            statement = {
                "Effect": "Deny",
                "Principal": "*",
                "Action": self.some_of(a.SECRET_PATTERNS[:-1]),
                "Resource": "*",
            }
            statement["Condition"] = self._condition()
            full = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}
            world["resource_control"] = [[{"Version": "2012-10-17", "Statement": one} for one in ([full], [statement])]]

    # --- documents ---

    def _document(self, paper: "_Paper", allows: float = 0.75) -> Document:
        count = self.one_of([1, 1, 1, 2, 2, 3])
        statements = [self._statement(paper, self.chance(allows)) for _ in range(count)]
        return self._wrapped(paper, statements)

    def _wrapped(self, paper: "_Paper", statements: list[dict[str, Any]]) -> Document:
        document: Document = {"Statement": statements[0] if len(statements) == 1 and self.chance(0.3) else statements}
        if paper.kind in a.NEW or self.chance(0.75):
            document["Version"] = "2012-10-17"
        elif self.chance(0.6):
            document["Version"] = "2008-10-17"
        return document

    def _statement(self, paper: "_Paper", allows: bool) -> dict[str, Any]:
        statement: dict[str, Any] = {"Effect": "Allow" if allows else "Deny"}
        statement["NotAction" if self.chance(0.1) else "Action"] = self.some_of(paper.actions)
        if paper.kind != "TRUST":
            statement["NotResource" if self.chance(0.1) else "Resource"] = self.some_of(paper.resources)
        if paper.kind == "resource" and not allows and self.chance(0.4):
            statement["NotPrincipal"] = self.one_of(a.SPARED)
        elif paper.kind in {"resource", "TRUST"}:
            statement["Principal"] = self.one_of(paper.of_the_caller if self.chance(0.5) else paper.named)
        if self.chance(0.45 if allows else 0.8):
            statement["Condition"] = self._condition()
        return statement

    def _condition(self) -> dict[str, dict[str, Any]]:
        condition: dict[str, dict[str, Any]] = {}
        for _ in range(self.one_of([1, 1, 1, 2])):
            kind = self.one_of(a.KIND_NAMES)
            names, _values, wanted, operators = a.KINDS[kind]
            name = self._spelled(self.one_of(names))
            if self.chance(0.1):
                condition["Null"] = {name: self.one_of([*a.FLAGS, True, False])}
                continue
            keys = condition.setdefault(self._operator(kind, self.one_of(operators)), {})
            if name.lower() not in {key.lower() for key in keys}:
                keys[name] = self.some_of(wanted)
        return condition

    def _operator(self, kind: str, name: str) -> str:
        quantifier = self.one_of(["ForAllValues:", "ForAnyValue:"]) if kind == "strings" or self.chance(0.05) else ""
        if_exists = "IfExists" if quantifier != "ForAnyValue:" and self.chance(0.2) else ""
        return f"{quantifier}{name}{if_exists}"

    def _spelled(self, name: str) -> str:
        return name if self.chance(0.8) else self.one_of([name.lower(), name.upper()])

    def _context(self) -> dict[str, list[str]]:
        """Keys in any case, each with its values; a good third of the keys is missing."""
        context: dict[str, list[str]] = {}
        for name, values in a.SINGLE:
            if self.chance(0.8 if name in a.OFTEN else 0.6):
                context[self._spelled(name)] = [self.one_of(values)]
        for name in a.KINDS["strings"][0]:
            if self.chance(0.7):
                context[self._spelled(name)] = [self.one_of(a.WORDS) for _ in range(self.one_of([1, 1, 2, 3]))]
        return context


class _Paper(NamedTuple):
    """What a document hangs on and what its statements may say; `named` does not matter where a principal has no place."""

    kind: str
    actions: list[str]
    resources: list[str]
    named: list[Any]
    of_the_caller: list[Any]


def _bare(caller: dict[str, Any], asked: tuple[str, str, str], resource_kind: str) -> World:
    """A question without any policy around it."""
    action, resource, owner = asked
    return {
        "principal": caller, "action": action, "resource": resource, "resource_account": owner, "context": {},
        "resource_kind": resource_kind, "resource_policy": None, "identity": [], "boundary": None, "session": None,
        "service_control": [], "resource_control": [], "grant": None,
    }  # fmt: skip
