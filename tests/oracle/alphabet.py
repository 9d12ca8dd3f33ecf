"""The alphabet that worlds are spelled with: small, so that collisions and near misses are frequent.

Wildcards stand in every place, names differ in case, values hold stars, accounts and paths are confusable.
"""

from typing import Any

HOME, AWAY = "111111111111", "222222222222"

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


PEOPLE = [*_people(HOME) * 5, *_people(AWAY)]
ROLE_SESSIONS = [caller for caller in _people(HOME) if caller["kind"] == "AssumedRole"]
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
NAMED_TRUST = [element for element in NAMED if element != "*"]  # IAM refuses a bare star in a trust policy
NAMED_FEDERATED: list[Any] = [
    {"Federated": PROVIDER}, {"Federated": PROVIDER + ".evil"}, {"Federated": [PROVIDER, "accounts.google.com"]},
]  # fmt: skip


def names_of(caller: dict[str, Any]) -> list[Any]:
    """Principal elements that name this caller: itself, its account, what stands behind its session, everyone."""
    if caller["service"]:
        return [{"Service": caller["service"]}]
    if caller["federated"]:
        return [{"Federated": caller["federated"]}]
    names = [
        {"AWS": name} for name in (caller["arn"], caller["account"], caller["role_arn"], caller["role_id"]) if name
    ]
    return [*names, *names, {"AWS": "*"}]


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
    "${AWS:USERNAME}", "${aws:nothing, 'prod'}", "${aws:username, 'x'}", "${aws:PrincipalTag/Team, 'Prod'}", "${ aws:PrincipalTag/Team }", "${aws:PrincipalTag/Team}*", "${aws:PrincipalTag/team, 'prod'}", "${aws:nothing}",
    "${aws:nothing, 'ann'}", "${aws:username}/${aws:PrincipalTag/Team}", "${*}${?}", "a.b", "a?b",
]  # fmt: skip
ARNS = [
    f"arn:aws:iam::{HOME}:role/app", f"arn:aws:iam::{HOME}:user/ann", f"arn:aws:iam::{AWAY}:role/app", _secret(HOME, "prod/db-AbCdEf"),
    _secret(HOME, "x:y-AbCdEf"), *[f"arn:aws:lambda:us-east-1:{HOME}:function:rotate:{AWAY}:live"] * 3,
]  # fmt: skip
ARN_PATTERNS = [
    *ARNS, f"arn:aws:iam::{HOME}:role/*", "arn:aws:iam::*:role/app", "arn:aws:*:*:*:*", f"arn:aws:lambda:*:{AWAY}:live", "arn:aws:iam::*:*/a??",
    f"arn:*:iam::{HOME}:ROLE/app", f"arn:aws:lambda:us-east-?:{HOME}:function:*", "arn:aws:iam::*:user/${aws:username}",
    "arn:aws:secretsmanager:*:*:secret:*:*", "arn:aws:iam::1*1:role/${aws:PrincipalTag/Team, 'app'}", "arn:aws:lambda:*:function:rotate:*:live",
    f"arn:aws:secretsmanager:*:{HOME}:x:y-*", f"arn:aws:lambda:*:{AWAY}:*", "arn:aws:*:*:*:live", "arn:*:*:function:rotate:*", "arn:aws:iam:*:*:app",
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
KIND_NAMES = [*["string"] * 5, *["strings"] * 4, "number", "date", "flag", "address", "arn", "arn", "arn", "bytes"]
SINGLE = [(name, values) for kind, (names, values, _, _) in KINDS.items() for name in names if kind != "strings"]
FULL = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
NEW = {"identity", "boundary", "control"}  # these have no place for an older version than 2012-10-17
OFTEN = {"aws:username", "aws:PrincipalTag/Team"}
