"""Key policies: what a key says about who may use it. A key always has exactly one, called `default`."""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

from geumgo.access.gate import as_principal
from geumgo.context import Caller, Context, Params
from geumgo.domain.policy import Asked, MalformedPolicy, Policy, PolicyKind, Standing, compile_policy, decide
from geumgo.domain.policy import Context as Conditions
from geumgo.principals import NO_PRINCIPALS
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


def refuse_policy(ctx: Context, arn: str, document: str, *, bypass_lockout: bool) -> None:
    """Raises unless `document` is a key policy whose principals exist and, without the bypass, one that its author can change again.

    Source: PutKeyPolicy, API reference; the lockout message as users report it. Unverified: the message on its size.
    """
    refuse_unstorable("policy", document)
    if len(document.encode()) > LIMIT_BYTES:
        raise LimitExceeded(f"The key policy is larger than {LIMIT_BYTES} bytes.")
    try:
        policy = compiled(document)
    except MalformedPolicy as error:
        raise MalformedPolicyDocument(error.message) from None
    if ctx.principals is not NO_PRINCIPALS:
        for principal in named_principals(document):
            if not ctx.principals.exists(ctx.tx, principal):
                raise MalformedPolicyDocument("Policy contains a statement with one or more invalid principals.")
    if not bypass_lockout and not may_change(ctx.caller, arn, ctx.place.account, policy):
        raise MalformedPolicyDocument("The new key policy will not allow you to update the key policy in the future.")


def may_change(caller: Caller, arn: str, account: str, policy: Policy) -> bool:
    """Whether `policy` leaves `caller` the right to PutKeyPolicy, itself or by delegating to an account whose policies allow it."""
    if caller.kind == "AWSService":
        return True
    keys = {"kms:CallerAccount": (caller.account,), "kms:BypassPolicyLockoutSafetyCheck": ("false",)}
    asked = Asked(as_principal(caller), "kms:PutKeyPolicy", arn, account, Conditions(keys))
    everything = compile_policy(_EVERYTHING, PolicyKind.IDENTITY)
    return decide(asked, Standing(identity=(everything,), resource=policy, resource_rule="required")).allowed


def named_principals(document: str) -> set[str]:
    """Every AWS principal that a policy names, in whatever form."""
    statements = json.loads(document).get("Statement", [])
    return set(_principals(statements if isinstance(statements, list) else [statements]))


def _principals(statements: list[dict[str, Any]]) -> Iterator[str]:
    for statement in statements:
        for element in ("Principal", "NotPrincipal"):
            named = statement.get(element)
            if isinstance(named, dict):
                listed = named.get("AWS", [])
                yield from [listed] if isinstance(listed, str) else listed


def _refuse_other_name(params: Params, refusal: type[NotFound | UnsupportedOperation], message: str) -> None:
    if params.get("PolicyName", NAME) != NAME:
        raise refusal(message)


@reads
def get_key_policy(ctx: Context, params: Params) -> Params:
    key = lookup.get_by_id(ctx, params["KeyId"])
    _refuse_other_name(params, NotFound, "No such policy exists")
    return {"Policy": key.policy, "PolicyName": NAME}


@reads
def list_key_policies(ctx: Context, params: Params) -> Params:
    lookup.get_by_id(ctx, params["KeyId"])
    return {"PolicyNames": [NAME], "Truncated": False}


@operation
def put_key_policy(ctx: Context, params: Params) -> Params:
    key: Key = lookup.get_own(ctx, "PutKeyPolicy", params["KeyId"])
    _refuse_other_name(params, UnsupportedOperation, "Only default policy is supported")
    document = params["Policy"]
    refuse_policy(ctx, key.arn, document, bypass_lockout=params.get("BypassPolicyLockoutSafetyCheck", False))
    store.save(ctx.tx, ctx.sealing, replace(key, policy=document))
    return {}
