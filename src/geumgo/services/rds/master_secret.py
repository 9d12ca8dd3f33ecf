"""The secret of a managed master password: made with the rights of whoever asks for it, then looked after by this service's own role.

Source: "Password management with Amazon RDS and AWS Secrets Manager", user guide.
"""

import json
from dataclasses import replace
from typing import Final

from geumgo.context import Context, Place
from geumgo.sealing import Plaintext
from geumgo.sealing.random import uuid
from geumgo.services.rds.errors import InvalidParameterValue
from geumgo.services.rds.records import Database, Kind

HOST: Final = "rds.amazonaws.com"
ROLE_NAME: Final = "AWSServiceRoleForRDS"
DEFAULT_KEY: Final = "alias/aws/secretsmanager"

CREATING: Final = "creating"
ACTIVE: Final = "active"
ROTATING: Final = "rotating"
IMPAIRED: Final = "impaired"

_OWNER_TAG: Final[dict[Kind, str]] = {"db": "aws:rds:primaryDBInstanceArn", "cluster": "aws:rds:primaryDBClusterArn"}
_NOUN: Final[dict[Kind, str]] = {"db": "DB instance", "cluster": "DB cluster"}
_GRANTED: Final = ["Decrypt", "GenerateDataKey", "DescribeKey"]


def role_arn(place: Place) -> str:
    """The role of RDS itself in an account. Source: "Using service-linked roles for Amazon RDS", user guide."""
    return f"arn:{place.partition}:iam::{place.account}:role/aws-service-role/{HOST}/{ROLE_NAME}"


def make(ctx: Context, database: Database, password: Plaintext, kms_key: str | None) -> Database:
    """The database with a secret that holds `password`: that which it has now, so that AWSCURRENT logs in from the beginning.

    Raises the refusals of IAM, KMS and Secrets Manager: the caller needs iam:CreateServiceLinkedRole (once in an account),
    secretsmanager:CreateSecret, secretsmanager:TagResource, kms:DescribeKey, and for a key of his own kms:CreateGrant.
    """
    if ctx.principals.role(ctx.tx, role_arn(database.place)) is None:
        ctx.call("iam", "CreateServiceLinkedRole", AWSServiceName=HOST)
    value = json.dumps({"username": database.username, "password": password.reveal().decode()})
    made = ctx.call(
        "secretsmanager",
        "CreateSecret",
        Name=f"rds!{database.kind}-{uuid()}",
        ClientRequestToken=uuid(),
        Description=f"Secret associated with primary RDS {_NOUN[database.kind]}: {database.arn}",
        SecretString=value,
        Tags=[{"Key": _OWNER_TAG[database.kind], "Value": database.arn}],
        **({"KmsKeyId": kms_key} if kms_key is not None else {}),
    )
    key = ctx.call("kms", "DescribeKey", KeyId=kms_key or DEFAULT_KEY)["KeyMetadata"]["Arn"]
    if kms_key is not None:
        ctx.call(
            "kms",
            "CreateGrant",
            KeyId=key,
            GranteePrincipal=role_arn(database.place),
            Operations=_GRANTED,
            Constraints={"EncryptionContextSubset": {"SecretARN": made["ARN"]}},
        )
    return replace(database, secret_arn=made["ARN"], secret_status=CREATING, secret_key=key)


def password_in(ctx: Context, secret_id: str, username: str) -> Plaintext:
    """The password in a secret that the caller may read.

    Raises the refusals of Secrets Manager, and InvalidParameterValue if the secret is not JSON with this user name and a password.
    """
    answer = ctx.call("secretsmanager", "GetSecretValue", SecretId=secret_id)
    try:
        value = json.loads(answer.get("SecretString", ""))
        named, password = value["username"], value["password"]
    except (ValueError, TypeError, KeyError):
        named = password = None
    if named != username or not isinstance(password, str) or not password:
        raise InvalidParameterValue(
            f"The secret that geumgo:secret names must hold JSON with username, which is {username}, and password."
        )
    return Plaintext(password.encode())
