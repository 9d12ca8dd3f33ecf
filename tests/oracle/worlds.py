"""Policy worlds out of a seed: who asks for what, under which policies, in an alphabet small enough for near misses.

A world is plain data (what JSON can hold), so that a finding can be kept as it is. Left out, because AWS's
documentation does not say what happens, are the things listed in `UNDOCUMENTED`.
"""

import random
from collections.abc import Callable
from typing import Any

UNDOCUMENTED = (
    "a key with several values under an operator without ForAllValues or ForAnyValue",
    "a key with several values as a policy variable",
    "ForAnyValue together with IfExists when the key is missing",
    "a request value that is not of the operator's type (a word where a number is asked)",
    "a year alone as a date (it could be seconds since 1970), a CIDR block with host bits set",
    "wildcards or quotes in the default value of a variable; variables under Bool (two pages contradict each other)",
    "Bool and Null with words other than true and false, or with both",
    "an ARN operator with a value of fewer than six components, or with a variable that holds whole components",
    "a Principal of type AWS with * for a web identity, or NotPrincipal for one",
    "a grant together with a boundary or a session policy; a grant across accounts",
    "NotPrincipal with Allow",
)

HOME, AWAY = "111111111111", "222222222222"
World = dict[str, Any]
Document = dict[str, Any]

# --- what is asked for -------------------------------------------------------------------------------------------------

SECRET_ACTIONS = ["secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue", "secretsmanager:DescribeSecret"]
KEY_ACTIONS = ["kms:Decrypt", "kms:Encrypt", "kms:DescribeKey"]
ROLE_ACTIONS = ["sts:AssumeRole", "sts:TagSession"]
SECRET_PATTERNS = [
    "secretsmanager:GetSecretValue", "secretsmanager:getsecretvalue", "SECRETSMANAGER:Get*", "secretsmanager:*Value",
    "secretsmanager:?etSecretValue", "secretsmanager:*", "secretsmanager:*Secret*", "secretsmanager:GetSecretValu",
    "secretsmanager:GetSecretValue?", "secretsmanager:PutSecretValue", "secretsmanager:Describe*", "*",
]  # fmt: skip
KEY_PATTERNS = [
    "kms:Decrypt",
    "kms:decrypt",
    "KMS:De*",
    "kms:*",
    "kms:*crypt",
    "kms:?ncrypt",
    "kms:DescribeKey",
    "kms:Decryp",
    "*",
]
ROLE_PATTERNS = [
    "sts:AssumeRole",
    "STS:assumerole",
    "sts:Assume*",
    "sts:*",
    "sts:AssumeRole?",
    "sts:AssumeRoleWith*",
    "sts:TagSession",
]

NAMES = [
    "prod/db-AbCdEf",
    "prod/dB-AbCdEf",
    "ann-AbCdEf",
    "Ann-AbCdEf",
    "prod-AbCdEf",
    "team/prod/db-aBcDeF",
    "x:y-AbCdEf",
]
KEY_IDS = ["1234abcd-12ab-34cd-56ef-1234567890ab", "mrk-1234abcd12ab34cd56ef1234567890ab"]
ROLES = ["role/app", "role/App", "role/team/app"]


def _secret(account: str, name: str, region: str = "us-east-1") -> str:
    return f"arn:aws:secretsmanager:{region}:{account}:secret:{name}"


SECRETS = {
    account: [_secret(account, name) for name in NAMES] + [_secret(account, NAMES[0], "eu-west-1")]
    for account in (HOME, AWAY)
}
KEYS = {account: [f"arn:aws:kms:us-east-1:{account}:key/{key}" for key in KEY_IDS] for account in (HOME, AWAY)}
ROLE_ARNS = {account: [f"arn:aws:iam::{account}:{role}" for role in ROLES] for account in (HOME, AWAY)}

SECRET_RESOURCES = ["*"] * 6 + [
    *SECRETS[HOME], *SECRETS[AWAY][:3],
    "arn:aws:secretsmanager:*:*:secret:*", "arn:aws:secretsmanager:us-east-1:*:secret:prod*", "arn:aws:secretsmanager:us-*-1:*:secret:*",
    f"arn:aws:secretsmanager:us-east-1:{HOME}:secret:prod/db-??????", f"arn:aws:secretsmanager:us-east-1:{HOME}:secret:prod-??????",
    f"arn:aws:secretsmanager:us-east-1:{HOME}:secret:prod/db-?????", f"arn:aws:secretsmanager:us-east-1:{HOME}:secret:PROD/*",
    f"arn:aws:secretsmanager:*:{HOME}:secret:*db*", f"arn:aws:secretsmanager:*:{HOME}:secret:*/db-*", f"arn:aws:secretsmanager:*:{HOME}:secret:?nn-*",
    f"arn:aws:secretsmanager:*:{AWAY}:*", f"arn:aws:secretsmanager:*:{HOME}:*", "arn:aws:kms:*:*:key/*",
    "arn:aws:secretsmanager:*:*:secret:${aws:username}-*", "arn:aws:secretsmanager:*:*:secret:${AWS:UserName}-??????",
    "arn:aws:secretsmanager:*:*:secret:${ aws:PrincipalTag/Team }*", "arn:aws:secretsmanager:*:*:secret:${aws:PrincipalTag/Team, 'prod'}*",
    "arn:aws:secretsmanager:*:*:secret:${aws:PrincipalTag/Team}/${aws:username, 'db'}-*", "arn:aws:secretsmanager:*:*:secret:prod${*}",
    "arn:aws:secretsmanager:*:*:secret:${aws:nothing}*",
]  # fmt: skip
KEY_RESOURCES = ["*"] * 4 + [
    *KEYS[HOME], *KEYS[AWAY], "arn:aws:kms:*:*:key/*", f"arn:aws:kms:*:{HOME}:key/mrk-*", f"arn:aws:kms:us-east-1:{HOME}:KEY/*",
    "arn:aws:kms:us-east-?:*:key/????abcd-*", "arn:aws:secretsmanager:*:*:secret:*", "arn:aws:kms:*:*:key/${aws:username}*",
]  # fmt: skip
ROLE_RESOURCES = ["*"] * 3 + [
    *ROLE_ARNS[HOME], *ROLE_ARNS[AWAY], "arn:aws:iam::*:role/*", f"arn:aws:iam::{HOME}:role/*app", "arn:aws:iam::*:role/?pp",
    "arn:aws:iam::*:role/${aws:PrincipalTag/Team, 'app'}", "arn:aws:iam::*:user/*",
]  # fmt: skip

# --- who asks ----------------------------------------------------------------------------------------------------------


def _principal(kind: str, account: str = "", arn: str = "", unique_id: str = "", **more: str) -> dict[str, Any]:
    empty = {"role_arn": None, "role_id": None, "service": None, "federated": None}
    return {"kind": kind, "account": account, "arn": arn, "unique_id": unique_id, **empty, **more}


def _people(account: str) -> list[dict[str, Any]]:
    sts, iam = f"arn:aws:sts::{account}", f"arn:aws:iam::{account}"
    ann = _principal("IAMUser", account, f"{iam}:user/ann", "AIDAANNANNANNANNAN")
    other_ann = _principal("IAMUser", account, f"{iam}:user/team/Ann", "AIDAOTHERANNANNANN")
    app = _principal(
        "AssumedRole", account, f"{sts}:assumed-role/app/one", "AROAAPPAPPAPPAPPAP:one",
        role_arn=f"{iam}:role/app", role_id="AROAAPPAPPAPPAPPAP",
    )  # fmt: skip
    team = _principal(
        "AssumedRole", account, f"{sts}:assumed-role/app/two", "AROATEAMTEAMTEAMTE:two",
        role_arn=f"{iam}:role/team/app", role_id="AROATEAMTEAMTEAMTE",
    )  # fmt: skip
    federated = _principal(
        "FederatedUser", account, f"{sts}:federated-user/bob", f"{account}:bob",
        role_arn=f"{iam}:user/ann", role_id="AIDAANNANNANNANNAN",
    )  # fmt: skip
    root = _principal("Root", account, f"{iam}:root", account)
    return [ann, ann, other_ann, app, app, team, federated, root]


PEOPLE = [*_people(HOME) * 2, *_people(AWAY)]
SERVICES = [_principal("AWSService", service=f"{name}.amazonaws.com") for name in ("lambda", "events")]
ANONYMOUS = _principal("Anonymous")
PROVIDER = f"arn:aws:iam::{HOME}:oidc-provider/idp.example.org"
WEB_IDENTITY = _principal("WebIdentity", "", PROVIDER, "subject-1", federated=PROVIDER)

NAMED = [
    *["*"] * 2, *[{"AWS": "*"}] * 2, {"AWS": HOME}, {"AWS": HOME}, {"AWS": AWAY},
    *[{"AWS": f"arn:aws:iam::{account}:{rest}"} for account in (HOME, AWAY)
      for rest in ("root", "user/ann", "user/Ann", "user/team/Ann", "role/app", "role/team/app")],
    *[{"AWS": f"arn:aws:sts::{account}:{rest}"} for account in (HOME, AWAY)
      for rest in ("assumed-role/app/one", "assumed-role/app/two", "federated-user/bob")],
    {"AWS": "AIDAANNANNANNANNAN"}, {"AWS": "AROAAPPAPPAPPAPPAP"}, {"Service": "lambda.amazonaws.com"},
    {"AWS": [HOME, AWAY]}, {"AWS": [f"arn:aws:iam::{HOME}:user/ann", f"arn:aws:sts::{AWAY}:assumed-role/app/one"]},
    {"AWS": f"arn:aws:iam::{HOME}:role/app", "Service": ["lambda.amazonaws.com", "events.amazonaws.com"]},
    {"Service": ["events.amazonaws.com"]},
]  # fmt: skip
NAMED_FEDERATED = [
    {"Federated": PROVIDER},
    {"Federated": PROVIDER + ".evil"},
    {"Federated": [PROVIDER, "accounts.google.com"]},
    "*",
]
SPARED = [
    {"AWS": [f"arn:aws:iam::{HOME}:user/ann", f"arn:aws:iam::{HOME}:root"]},
    {"AWS": [f"arn:aws:iam::{HOME}:user/ann", HOME, f"arn:aws:iam::{AWAY}:user/ann"]},
    {"AWS": [f"arn:aws:sts::{HOME}:assumed-role/app/one", f"arn:aws:iam::{HOME}:role/app", f"arn:aws:iam::{HOME}:root"]},
    {"AWS": [f"arn:aws:sts::{HOME}:assumed-role/app/one", f"arn:aws:iam::{HOME}:role/app"]},
    {"AWS": [f"arn:aws:iam::{HOME}:role/app", HOME]},
    {"AWS": f"arn:aws:iam::{HOME}:user/ann"}, {"AWS": HOME}, {"Service": "lambda.amazonaws.com"},
    {"AWS": f"arn:aws:iam::{HOME}:root", "Service": ["lambda.amazonaws.com"]},
]  # fmt: skip

# --- under which circumstances -----------------------------------------------------------------------------------------

WORDS = [
    "prod",
    "Prod",
    "pro*",
    "p?od",
    "*",
    "prod/db",
    "prodé",
    "PRODÉ",
    "x",
    "ann",
    "Ann",
    "app",
    "${aws:username}",
    "$",
    "a.b",
    "?",
]
WORD_PATTERNS = [
    *WORDS[:12], "prod*", "*od", "?rod", "P*", "pr?d", "*/*", "${*}", "pro${*}", "p${?}od", "${$}", "prod${$}", "${aws:username}", "?*",
    "${AWS:USERNAME}", "${ aws:PrincipalTag/Team }", "${aws:PrincipalTag/Team}*", "${aws:PrincipalTag/team, 'prod'}", "${aws:nothing}",
    "${aws:nothing, 'ann'}", "${aws:username}/${aws:PrincipalTag/Team}", "${*}${?}", "a.b", "a?b",
]  # fmt: skip
ARNS = [
    f"arn:aws:iam::{HOME}:role/app", f"arn:aws:iam::{HOME}:user/ann", f"arn:aws:iam::{AWAY}:role/app", _secret(HOME, "prod/db-AbCdEf"),
    _secret(HOME, "x:y-AbCdEf"), f"arn:aws:lambda:us-east-1:{HOME}:function:rotate:{AWAY}:live",
]  # fmt: skip
ARN_PATTERNS = [
    *ARNS, f"arn:aws:iam::{HOME}:role/*", "arn:aws:iam::*:role/app", "arn:aws:*:*:*:*", f"arn:aws:lambda:*:{AWAY}:live", "arn:aws:iam::*:*/a??",
    f"arn:*:iam::{HOME}:ROLE/app", f"arn:aws:lambda:us-east-?:{HOME}:function:*", "arn:aws:iam::*:user/${aws:username}",
    "arn:aws:secretsmanager:*:*:secret:*:*", "arn:aws:iam::1*1:role/${aws:PrincipalTag/Team, 'app'}", "arn:aws:lambda:*:function:rotate:*:live",
]  # fmt: skip
NUMBERS = ["7", "7.0", "07", "8", "-1", "30", "29.5", "0"]
DATES = [
    "2026-01-01T00:00:00Z",
    "2025-12-31T23:59:59Z",
    "2026-01-01T01:00:00+01:00",
    "1767225600",
    "1767225599",
    "2026-01-02T00:00:00Z",
]
DATE_WANTED = [*DATES, "2026-01-01", "2026-01-02", "2026-01-01T00:00Z", "2026-01-01T00:00:00.000Z"]
ADDRESSES = ["203.0.113.7", "203.0.114.1", "198.51.100.1", "2001:db8::1", "2001:db8:1::1", "::1"]
NETWORKS = [
    "203.0.113.0/24",
    "203.0.113.7",
    "203.0.112.0/22",
    "203.0.113.7/32",
    "0.0.0.0/0",
    "2001:DB8::/48",
    "2001:db8::1",
    "::/0",
]
BYTES = ["QUJD", "QUJE", "YWJj"]
FLAGS = ["true", "false"]

# kind of key: (names, request values, wanted values, operators)
KINDS: dict[str, tuple[list[str], list[str], list[str], list[str]]] = {
    "string": (
        ["aws:username", "aws:PrincipalTag/Team", "aws:ResourceTag/Team", "secretsmanager:VersionStage"], WORDS, WORD_PATTERNS,
        ["StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringLike", "StringNotLike"],
    ),
    "strings": (
        ["aws:TagKeys", "kms:ResourceAliases"], WORDS, WORD_PATTERNS,
        ["StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringLike", "StringNotLike"],
    ),
    "number": (
        ["aws:MultiFactorAuthAge", "secretsmanager:RecoveryWindowInDays"], NUMBERS, NUMBERS,
        ["NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan", "NumericGreaterThanEquals"],
    ),
    "date": (
        ["aws:CurrentTime", "aws:TokenIssueTime"], DATES, DATE_WANTED,
        ["DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals"],
    ),
    "flag": (["aws:SecureTransport", "aws:ViaAWSService"], FLAGS, FLAGS, ["Bool"]),
    "address": (["aws:SourceIp", "aws:VpcSourceIp"], ADDRESSES, NETWORKS, ["IpAddress", "NotIpAddress"]),
    "arn": (["aws:PrincipalArn", "aws:SourceArn"], ARNS, ARN_PATTERNS, ["ArnEquals", "ArnNotEquals", "ArnLike", "ArnNotLike", "StringLike"]),
    "bytes": (["example:Digest"], BYTES, BYTES, ["BinaryEquals"]),
}  # fmt: skip
KIND_NAMES = [*["string"] * 5, *["strings"] * 4, "number", "date", "flag", "address", "arn", "arn", "bytes"]
SINGLE = [(name, values) for kind, (names, values, _, _) in KINDS.items() for name in names if kind != "strings"]
OFTEN = {"aws:username", "aws:PrincipalTag/Team"}


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
        make: Callable[[], World] = self.one_of(
            [self._secret_world] * 5 + [self._key_world] * 2 + [self._role_world, self._bare_world]
        )
        world = make()
        world["context"] = self._context()
        self._limit(world)
        return world

    def _secret_world(self) -> World:
        owner = self._owner()
        asked = (self.one_of(SECRET_ACTIONS[:1] * 3 + SECRET_ACTIONS), self.one_of(SECRETS[owner]), owner)
        policy = self._document(SECRET_PATTERNS, SECRET_RESOURCES, "resource") if self.chance(0.6) else None
        return self._world(asked, self._caller(), SECRET_PATTERNS, SECRET_RESOURCES, ("RESOURCE", policy))

    def _key_world(self) -> World:
        owner = self._owner()
        asked = (self.one_of(KEY_ACTIONS), self.one_of(KEYS[owner]), owner)
        policy = self._document(KEY_PATTERNS, KEY_RESOURCES, "resource") if self.chance(0.95) else None
        return self._world(asked, self._caller(), KEY_PATTERNS, KEY_RESOURCES, ("KEY", policy))

    def _role_world(self) -> World:
        owner = self._owner()
        if self.chance(0.3):
            caller, action, named = WEB_IDENTITY, "sts:AssumeRoleWithWebIdentity", NAMED_FEDERATED
        else:
            caller, action, named = (
                self.one_of([*PEOPLE, *SERVICES]),
                self.one_of(ROLE_ACTIONS[:1] * 3 + ROLE_ACTIONS),
                NAMED,
            )
        patterns = [*ROLE_PATTERNS, action, action]
        policy = self._document(patterns, None, "trust", named)
        return self._world(
            (action, self.one_of(ROLE_ARNS[owner]), owner), caller, patterns, ROLE_RESOURCES, ("TRUST", policy)
        )

    def _bare_world(self) -> World:
        """An action that knows no resources: asked on "*", in the caller's own account."""
        caller = self.one_of(PEOPLE)
        patterns = [
            "secretsmanager:ListSecrets",
            "secretsmanager:listsecrets",
            "secretsmanager:List*",
            *SECRET_PATTERNS,
        ]
        asked = ("secretsmanager:ListSecrets", "*", caller["account"])
        return self._world(asked, caller, patterns, SECRET_RESOURCES, ("RESOURCE", None))

    def _owner(self) -> str:
        return HOME if self.chance(0.85) else AWAY

    def _caller(self) -> dict[str, Any]:
        if self.chance(0.9):
            return dict(self.one_of(PEOPLE))
        return dict(self.one_of([*SERVICES, ANONYMOUS]))

    def _world(
        self,
        asked: tuple[str, str, str],
        caller: dict[str, Any],
        patterns: list[str],
        resources: list[str],
        policy: tuple[str, Any],
    ) -> World:
        action, resource, owner = asked
        world: World = {
            "principal": caller, "action": action, "resource": resource, "resource_account": owner,
            "resource_kind": policy[0], "resource_policy": policy[1],
            "identity": [], "boundary": None, "session": None, "service_control": [], "resource_control": [], "grant": None,
        }  # fmt: skip
        if caller["account"]:
            self._own_policies(world, patterns, resources)
        return world

    def _own_policies(self, world: World, patterns: list[str], resources: list[str]) -> None:
        kind = world["principal"]["kind"]

        def document(likely_allow: float = 0.75) -> Document:
            return self._document(patterns, resources, "identity", likely_allow=likely_allow)

        if kind != "Root":
            world["identity"] = [document() for _ in range(self.one_of([0, 1, 1, 1, 2]))]
            world["boundary"] = document(0.9) if self.chance(0.2) else None
        if (kind == "AssumedRole" and self.chance(0.3)) or (kind == "FederatedUser" and self.chance(0.8)):
            world["session"] = [document(0.9) for _ in range(self.one_of([1, 1, 2]))]
        if self.chance(0.15):
            world["service_control"] = [self._level(document) for _ in range(self.one_of([1, 2]))]

    def _level(self, document: Callable[[float], Document]) -> list[Document]:
        full = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
        return [full, document(0.3)] if self.chance(0.6) else [document(0.9)]

    def _limit(self, world: World) -> None:
        """Grants and resource control policies, where the documentation says what they do."""
        caller = world["principal"]
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
                "Action": self.some_of(SECRET_PATTERNS[:-1]),
                "Resource": "*",
            }
            statement["Condition"] = self._condition()
            full = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}
            world["resource_control"] = [
                [{"Version": "2012-10-17", "Statement": [full]}, {"Version": "2012-10-17", "Statement": [statement]}]
            ]

    # --- documents ---

    def _document(
        self,
        actions: list[str],
        resources: list[str] | None,
        kind: str,
        named: list[Any] = NAMED,
        likely_allow: float = 0.75,
    ) -> Document:
        count = self.one_of([1, 1, 1, 2, 2, 3])
        statements = [self._statement(actions, resources, kind, named, likely_allow) for _ in range(count)]
        document: Document = {"Statement": statements[0] if count == 1 and self.chance(0.3) else statements}
        if self.chance(0.95):
            document["Version"] = "2012-10-17" if self.chance(0.9) else "2008-10-17"
        return document

    def _statement(
        self, actions: list[str], resources: list[str] | None, kind: str, named: list[Any], likely_allow: float
    ) -> dict[str, Any]:
        allows = self.chance(likely_allow)
        statement: dict[str, Any] = {"Effect": "Allow" if allows else "Deny"}
        statement["NotAction" if self.chance(0.1) else "Action"] = self.some_of(actions)
        if resources is not None:
            statement["NotResource" if self.chance(0.1) else "Resource"] = self.some_of(resources)
        if kind in {"resource", "trust"}:
            if kind == "resource" and not allows and self.chance(0.4):
                statement["NotPrincipal"] = self.one_of(SPARED)
            else:
                statement["Principal"] = self.one_of(named)
        if self.chance(0.6 if allows else 0.85):
            statement["Condition"] = self._condition()
        return statement

    def _condition(self) -> dict[str, dict[str, Any]]:
        condition: dict[str, dict[str, Any]] = {}
        for _ in range(self.one_of([1, 1, 1, 2])):
            kind = self.one_of(KIND_NAMES)
            names, _values, wanted, operators = KINDS[kind]
            name = self._spelled(self.one_of(names))
            if self.chance(0.1):
                condition.setdefault("Null", {})[name] = self.one_of([*FLAGS, True, False])
                continue
            keys = condition.setdefault(self._operator(kind, self.one_of(operators)), {})
            if name.lower() not in {key.lower() for key in keys}:
                keys[name] = self.some_of(wanted)
        return condition

    def _operator(self, kind: str, name: str) -> str:
        quantifier = self.one_of(["ForAllValues:", "ForAnyValue:"]) if kind == "strings" or self.chance(0.05) else ""
        if_exists = "IfExists" if quantifier != "ForAnyValue:" and self.chance(0.2) else ""
        return quantifier + name + if_exists

    def _spelled(self, name: str) -> str:
        return name if self.chance(0.8) else self.one_of([name.lower(), name.upper()])

    def _context(self) -> dict[str, list[str]]:
        """Keys in lower case, each with its values; a third of the keys is missing."""
        context = {}
        for name, values in SINGLE:
            if self.chance(0.75 if name in OFTEN else 0.6):
                context[name.lower()] = [self.one_of(values)]
        for name in KINDS["strings"][0]:
            if self.chance(0.7):
                context[name.lower()] = [self.one_of(WORDS) for _ in range(self.one_of([1, 1, 2, 3]))]
        return context
