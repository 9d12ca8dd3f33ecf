"""AWS managed keys: made when a service first encrypts for an account, usable through that service only."""

import json
from typing import Any, Final

from geumgo.context import Context
from geumgo.sealing import random
from geumgo.services.kms import sealed, store
from geumgo.services.kms.domain import DAY_MS, ENCRYPT, SYMMETRIC, Reference
from geumgo.services.kms.plan import plan_rotation
from geumgo.services.kms.records import ENABLED, OURS, Alias, Key

_PREFIX: Final = "alias/aws/"
_TITLES: Final = {
    "secretsmanager": "AWS Secrets Manager",
    "ssm": "AWS Systems Manager",
    "lambda": "AWS Lambda",
    "rds": "AWS RDS",
    "events": "Amazon EventBridge",
}
ROTATION_DAYS: Final = 365


def make_if_first_used(ctx: Context, reference: Reference) -> str | None:
    """The id of the new AWS managed key behind `reference`, or None if nobody may make it now.

    Made when the service that gave the alias its name asks on behalf of the account, in a transaction that writes.

    Source: "AWS managed keys", developer guide.
    """
    service = reference.alias.removeprefix(_PREFIX)
    asked_by = ctx.caller.via[-1] if ctx.caller.via else ""
    if ctx.reads_only or service == reference.alias or asked_by != f"{service}.amazonaws.com":
        return None
    if reference.account != ctx.place.account:
        return None
    return _make(ctx, service, reference.alias).id


def _make(ctx: Context, service: str, alias: str) -> Key:
    now_ms = ctx.clock.now_ms()
    place = ctx.place
    key = Key(
        partition=place.partition,
        region=place.region,
        account=place.account,
        id=random.uuid().replace("-", ""),
        multi_region=False,
        primary_region="",
        spec=SYMMETRIC,
        usage=ENCRYPT,
        origin=OURS,
        manager="AWS",
        state=ENABLED,
        description=_description(service),
        policy=json.dumps(managed_policy(place.partition, place.account, place.region, service)),
        created_at_ms=now_ms,
        version=1,
        aliases=(alias,),
        rotation_days=ROTATION_DAYS,
        next_rotation_at_ms=now_ms + ROTATION_DAYS * DAY_MS,
    )
    store.add(ctx.tx, ctx.sealing, key)
    sealed.give_first_material(ctx, key)
    plan_rotation(ctx.tx, key, key.next_rotation_at_ms)
    store.keep_alias(ctx.tx, ctx.sealing, Alias(place.account, place.region, alias, key.id, now_ms, now_ms))
    return key


def _description(service: str) -> str:
    """Source: DescribeKey, recorded on AWS (Secrets Manager). Unverified: the other services."""
    if service == "secretsmanager":
        return "Default key that protects my Secrets Manager data when no other key is defined"
    if service == "ssm":
        return "Default key that protects my SSM Parameters when no other key is defined"
    return f"Default key that protects my {_TITLES.get(service, service)} data when no other key is defined"


def managed_policy(partition: str, account: str, region: str, service: str) -> dict[str, Any]:
    """The key policy of the AWS managed key of `service`: whoever may use the service may use the key, through it.

    Source: "Secret encryption and decryption", Secrets Manager user guide. The second Sid is ours: no two are alike here.
    Unverified: the policies of other services differ in words only.
    """
    title = _TITLES.get(service, service)
    through = f"Allow access through {title} for all principals in the account that are authorized to use {title}"
    return {
        "Version": "2012-10-17",
        "Id": f"auto-{service}-2",
        "Statement": [
            {
                "Sid": through,
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:CreateGrant", "kms:DescribeKey"],
                "Resource": "*",
                "Condition": {
                    "StringEquals": {
                        "kms:CallerAccount": account,
                        "kms:ViaService": f"{service}.{region}.amazonaws.com",
                    }
                },
            },
            {
                "Sid": f"Allow data keys through {title} for all principals in the account that are authorized to use {title}",
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": "kms:GenerateDataKey*",
                "Resource": "*",
                "Condition": {
                    "StringEquals": {"kms:CallerAccount": account},
                    "StringLike": {"kms:ViaService": f"{service}.*.amazonaws.com"},
                },
            },
            {
                "Sid": "Allow direct access to key metadata to the account",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:{partition}:iam::{account}:root"},
                "Action": ["kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant"],
                "Resource": "*",
            },
        ],
    }
