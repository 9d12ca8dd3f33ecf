"""Key policies: what a key says about who may use it. A key always has exactly one, called `default`."""

import json
from dataclasses import replace
from functools import lru_cache
from typing import Final

from geumgo.access.gate import as_principal
from geumgo.context import Caller, Context, Params
from geumgo.domain.policy import Asked, MalformedPolicy, Policy, PolicyKind, Standing, compile_policy, decide
from geumgo.domain.policy import Context as Conditions
from geumgo.principals import UnknownPrincipal
from geumgo.room import operation, reads
from geumgo.services.kms import lookup, store
from geumgo.services.kms.domain import refuse_unstorable
from geumgo.services.kms.errors import LimitExceeded, MalformedPolicyDocument, NotFound, UnsupportedOperation
from geumgo.services.kms.records import Key

NAME: Final = "default"
LIMIT_BYTES: Final = 32 * 1024
KEPT_POLICIES: Final = 1024

_EVERYTHING: Final = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"}]}'


@lru_cache(maxsize=KEPT_POLICIES)
def compiled(document: str) -> Policy:
    """The key policy, compiled. Raises MalformedPolicy."""
    return compile_policy(document, PolicyKind.KEY)


def default_policy(partition: str, account: str) -> str:
    """What a key gets whose maker gave no policy: the account decides by its own policies.

    Source: "Default key policy", developer guide; recorded on AWS.
    """
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Id": "key-default-1",
            "Statement": [
                {
                    "Sid": "Enable IAM User Permissions",
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:{partition}:iam::{account}:root"},
                    "Action": "kms:*",
                    "Resource": "*",
                }
            ],
        },
        indent=2,
    )


def to_keep(ctx: Context, arn: str, document: str, *, bypass_lockout: bool) -> str:
    """`document` as it is kept: users and roles by unique id, so that who is made again under an old name inherits nothing.

    Raises unless it is a key policy whose principals exist and, without the bypass, one that its author can change again.

    Source: PutKeyPolicy, API reference; "Principal", IAM User Guide (ARNs become unique ids when a policy is saved); the lockout message
    as users report it. Unverified: the message on its size.
    """
    refuse_unstorable("policy", document)
    if len(document.encode()) > LIMIT_BYTES:
        raise LimitExceeded(f"The key policy is larger than {LIMIT_BYTES} bytes.")
    try:
        compiled(document)
        kept = ctx.principals.pin(ctx.tx, document)
    except MalformedPolicy as error:
        raise MalformedPolicyDocument(error.message) from None
    except UnknownPrincipal:
        raise MalformedPolicyDocument("Policy contains a statement with one or more invalid principals.") from None
    if not bypass_lockout and not may_change(ctx.caller, arn, ctx.place.account, compiled(kept)):
        raise MalformedPolicyDocument("The new key policy will not allow you to update the key policy in the future.")
    return kept


def may_change(caller: Caller, arn: str, account: str, policy: Policy) -> bool:
    """Whether `policy` leaves `caller` the right to PutKeyPolicy, itself or by delegating to an account whose policies allow it."""
    if caller.kind == "AWSService":
        return True
    keys = {"kms:CallerAccount": (caller.account,), "kms:BypassPolicyLockoutSafetyCheck": ("false",)}
    asked = Asked(as_principal(caller), "kms:PutKeyPolicy", arn, account, Conditions(keys))
    everything = compile_policy(_EVERYTHING, PolicyKind.IDENTITY)
    return decide(asked, Standing(identity=(everything,), resource=policy, resource_rule="required")).allowed


def _refuse_other_name(params: Params, refusal: type[NotFound | UnsupportedOperation], message: str) -> None:
    if params.get("PolicyName", NAME) != NAME:
        raise refusal(message)


@reads
def get_key_policy(ctx: Context, params: Params) -> Params:
    key = lookup.get_by_id(ctx, params["KeyId"])
    _refuse_other_name(params, NotFound, "No such policy exists")
    return {"Policy": ctx.principals.unpin(ctx.tx, key.policy), "PolicyName": NAME}


@reads
def list_key_policies(ctx: Context, params: Params) -> Params:
    lookup.get_by_id(ctx, params["KeyId"])
    return {"PolicyNames": [NAME], "Truncated": False}


@operation
def put_key_policy(ctx: Context, params: Params) -> Params:
    key: Key = lookup.get_own(ctx, "PutKeyPolicy", params["KeyId"])
    _refuse_other_name(params, UnsupportedOperation, "Only default policy is supported")
    bypass = params.get("BypassPolicyLockoutSafetyCheck", False)
    document = to_keep(ctx, key.arn, params["Policy"], bypass_lockout=bypass)
    store.save(ctx.tx, ctx.sealing, replace(key, policy=document))
    return {}
