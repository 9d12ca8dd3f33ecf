"""The secret of a managed master password: made with the rights of whoever asks for it, then looked after by the service's own role.

Source: "Password management with Amazon RDS and AWS Secrets Manager", "Managing Amazon Redshift admin passwords using AWS Secrets Manager",
user guides.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from geumgo.attached.domain import SECRET_TAG, BadValue
from geumgo.attached.owner import Kept, Owner
from geumgo.context import Context
from geumgo.sealing import Plaintext
from geumgo.sealing.random import uuid

DEFAULT_KEY: Final = "alias/aws/secretsmanager"

CREATING: Final = "creating"
ACTIVE: Final = "active"
ROTATING: Final = "rotating"
IMPAIRED: Final = "impaired"

_GRANTED: Final = ["Decrypt", "GenerateDataKey", "DescribeKey"]


def make(
    ctx: Context,
    owner: Owner[Kept],
    database: Kept,
    password: Plaintext,
    kms_key: str | None,
    *,
    name: str,
    description: str,
    tags: Mapping[str, str],
) -> Kept:
    """The database with a secret that holds `password`: that which it has now, so that AWSCURRENT logs in from the beginning.

    Raises the refusals of IAM, KMS and Secrets Manager: the caller needs iam:CreateServiceLinkedRole (once in an account),
    secretsmanager:CreateSecret, secretsmanager:TagResource, kms:DescribeKey, and for a key of his own kms:CreateGrant.
    """
    make_role(ctx, owner)
    arn = ctx.call(
        "secretsmanager",
        "CreateSecret",
        Name=name,
        ClientRequestToken=uuid(),
        Description=description,
        SecretString=value_of(database.username, password),
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        **({"KmsKeyId": kms_key} if kms_key is not None else {}),
    )["ARN"]
    return under_key(ctx, owner, database, arn, kms_key)


def make_role(ctx: Context, owner: Owner[Any]) -> None:
    """The service has its role in the account."""
    if ctx.principals.role(ctx.tx, owner.role_arn(ctx.place)) is None:
        ctx.call("iam", "CreateServiceLinkedRole", AWSServiceName=owner.host)


def value_of(username: str, password: Plaintext) -> str:
    return json.dumps({"username": username, "password": password.reveal().decode()})


def under_key(ctx: Context, owner: Owner[Kept], database: Kept, secret_arn: str, kms_key: str | None) -> Kept:
    """The database with that secret, whose key its service may use."""
    key = ctx.call("kms", "DescribeKey", KeyId=kms_key or DEFAULT_KEY)["KeyMetadata"]["Arn"]
    if kms_key is not None:
        ctx.call(
            "kms",
            "CreateGrant",
            KeyId=key,
            GranteePrincipal=owner.role_arn(database.place),
            Operations=_GRANTED,
            Constraints={"EncryptionContextSubset": {"SecretARN": secret_arn}},
        )
    return replace(database, secret_arn=secret_arn, secret_status=CREATING, secret_key=key)


def password_in(ctx: Context, secret_id: str, username: str) -> Plaintext:
    """The password in a secret that the caller may read.

    Raises the refusals of Secrets Manager, and BadValue if the secret is not JSON with this user name and a password.
    """
    answer = ctx.call("secretsmanager", "GetSecretValue", SecretId=secret_id)
    try:
        value = json.loads(answer.get("SecretString", ""))
        named, password = value["username"], value["password"]
    except (ValueError, TypeError, KeyError):
        named = password = None
    if named != username or not isinstance(password, str) or not password:
        raise BadValue(
            f"The secret that {SECRET_TAG} names must hold JSON with username, which is {username}, and password."
        )
    return Plaintext(password.encode())
