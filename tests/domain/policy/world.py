"""Two accounts, their people, and short ways to write policies and questions."""

import json
from collections.abc import Mapping
from typing import Any

from geumgo.domain.policy import Asked, Context, Policy, PolicyKind, PolicyPrincipal, compile_policy

OURS, THEIRS = "111122223333", "444455556666"
GET = "secretsmanager:GetSecretValue"
SECRET = f"arn:aws:secretsmanager:us-east-1:{OURS}:secret:prod/db-a1B2c3"
KEY = f"arn:aws:kms:us-east-1:{OURS}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ROLE = f"arn:aws:iam::{OURS}:role/team/app"
USER = f"arn:aws:iam::{OURS}:user/ann"
SESSION = f"arn:aws:sts::{OURS}:assumed-role/app/one"
FEDERATED = f"arn:aws:sts::{OURS}:federated-user/bob"
GOOGLE = "accounts.google.com"

ann = PolicyPrincipal("IAMUser", OURS, USER, "AIDAANNANNANNANNANN01")
app = PolicyPrincipal("AssumedRole", OURS, SESSION, "AROAAPPAPPAPPAPPAPP01:one", ROLE, "AROAAPPAPPAPPAPPAPP01")
root = PolicyPrincipal("Root", OURS, f"arn:aws:iam::{OURS}:root", OURS)
bob = PolicyPrincipal("FederatedUser", OURS, FEDERATED, f"{OURS}:bob", USER, "AIDAANNANNANNANNANN01")
eve = PolicyPrincipal("IAMUser", THEIRS, f"arn:aws:iam::{THEIRS}:user/eve", "AIDAEVEEVEEVEEVEEVE01")
their_app = PolicyPrincipal(
    "AssumedRole",
    THEIRS,
    f"arn:aws:sts::{THEIRS}:assumed-role/app/one",
    "AROATHEIRTHEIRTHEIR01:one",
    f"arn:aws:iam::{THEIRS}:role/app",
    "AROATHEIRTHEIRTHEIR01",
)
their_root = PolicyPrincipal("Root", THEIRS, f"arn:aws:iam::{THEIRS}:root", THEIRS)
function = PolicyPrincipal("AWSService", "", "lambda.amazonaws.com", "", service="lambda.amazonaws.com")
nobody = PolicyPrincipal("Anonymous", "", "", "")
web = PolicyPrincipal("WebIdentity", OURS, "", "google:1", federated=GOOGLE)


def allow(action: object = "secretsmanager:*", resource: object = "*", **elements: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **elements}


def deny(action: object = "secretsmanager:*", resource: object = "*", **elements: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": action, "Resource": resource, **elements}


def trusting(principal: object, action: object = "sts:AssumeRole", effect: str = "Allow") -> dict[str, Any]:
    return {"Effect": effect, "Principal": principal, "Action": action}


def document(*statements: dict[str, Any], version: str | None = "2012-10-17") -> str:
    whole: dict[str, Any] = {"Statement": list(statements)}
    if version is not None:
        whole["Version"] = version
    return json.dumps(whole)


def policy(*statements: dict[str, Any], kind: PolicyKind = PolicyKind.IDENTITY, name: str = "p") -> Policy:
    return compile_policy(document(*statements), kind, name=name)


def identity(*statements: dict[str, Any], name: str = "own") -> Policy:
    return policy(*statements, name=name)


def resource(*statements: dict[str, Any], name: str = "secret") -> Policy:
    return policy(*statements, kind=PolicyKind.RESOURCE, name=name)


def key_policy(*statements: dict[str, Any], name: str = "key") -> Policy:
    return policy(*statements, kind=PolicyKind.KEY, name=name)


def trust(*statements: dict[str, Any], name: str = "trust") -> Policy:
    return policy(*statements, kind=PolicyKind.TRUST, name=name)


def boundary(*statements: dict[str, Any], name: str = "boundary") -> Policy:
    return policy(*statements, kind=PolicyKind.BOUNDARY, name=name)


def session(*statements: dict[str, Any], name: str = "session") -> Policy:
    return policy(*statements, kind=PolicyKind.SESSION, name=name)


def control(*statements: dict[str, Any], name: str = "scp") -> Policy:
    return policy(*statements, kind=PolicyKind.SERVICE_CONTROL, name=name)


def resource_control(*statements: dict[str, Any], name: str = "rcp") -> Policy:
    return policy(*statements, kind=PolicyKind.RESOURCE_CONTROL, name=name)


def asks(
    who: PolicyPrincipal = ann,
    action: str = GET,
    on: str = SECRET,
    of: str = OURS,
    keys: Mapping[str, tuple[str, ...]] | None = None,
) -> Asked:
    return Asked(who, action, on, of, Context(keys or {}))
