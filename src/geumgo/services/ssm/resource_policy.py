"""Resource policies: who of other accounts may read a parameter. There is at most one, on an advanced parameter.

Source: PutResourcePolicy, API reference; "Working with shared parameters in Parameter Store", user guide (advanced tier; a SecureString
needs a customer managed key; reading is what is shared). Unverified: the messages; that one policy is all that a parameter can have;
that a policy grants nothing but these actions, and denies nothing.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from geumgo.context import Context, Params
from geumgo.domain.policy import MalformedPolicy
from geumgo.principals import UnknownPrincipal
from geumgo.room import operation, reads
from geumgo.sealing import random
from geumgo.services.ssm import changes, domain, lookup, store
from geumgo.services.ssm.errors import (
    MalformedResourcePolicy,
    ResourceNotFound,
    ResourcePolicyConflict,
    ResourcePolicyInvalidParameter,
    ResourcePolicyLimitExceeded,
    ResourcePolicyNotFound,
    ValidationFailed,
)
from geumgo.services.ssm.records import ADVANCED, SECURE, Parameter

LONGEST_POLICY_BYTES: Final = 1024
SHARED: Final = frozenset(
    {"ssm:describeparameters", "ssm:getparameter", "ssm:getparameters", "ssm:getparameterhistory"}
)
"""What a policy may grant. Source: the managed permission of RAM for parameters, user guide."""


@operation
def put_resource_policy(ctx: Context, params: Params) -> Params:
    parameter = _named(ctx, params["ResourceArn"])
    _refuse_stale(parameter, params)
    _refuse_unshareable(ctx, parameter)
    document = _kept_form(ctx, parameter, params["Policy"])
    after = replace(
        parameter,
        policy_id=parameter.policy_id or random.uuid(),
        policy_hash=store.digest(document),
    )
    store.save(ctx.tx, ctx.sealing, after)
    store.keep_policy(ctx.tx, after, document)
    return {"PolicyId": after.policy_id, "PolicyHash": after.policy_hash}


@reads
def get_resource_policies(ctx: Context, params: Params) -> Params:
    """The policy as it was put, with ids in place of principals who are gone. There is never a second page."""
    parameter = _named(ctx, params["ResourceArn"])
    if "NextToken" in params:
        raise ResourcePolicyInvalidParameter("The specified token isn't valid.", "NextToken")
    document = lookup.locate(ctx, params["ResourceArn"]).policy
    if document is None:
        return {"Policies": []}
    shown = ctx.principals.unpin(ctx.tx, document)
    return {"Policies": [{"PolicyId": parameter.policy_id, "PolicyHash": parameter.policy_hash, "Policy": shown}]}


@operation
def delete_resource_policy(ctx: Context, params: Params) -> Params:
    parameter = _named(ctx, params["ResourceArn"])
    if not parameter.policy_id or params["PolicyId"] != parameter.policy_id:
        raise ResourcePolicyNotFound
    if params["PolicyHash"] != parameter.policy_hash:
        raise ResourcePolicyConflict
    store.save(ctx.tx, ctx.sealing, replace(parameter, policy_id="", policy_hash=""))
    store.keep_policy(ctx.tx, parameter, None)
    return {}


def _named(ctx: Context, arn: str) -> Parameter:
    """The parameter with this ARN. Raises ResourceNotFound."""
    try:
        located = lookup.locate(ctx, arn)
    except ValidationFailed:
        raise ResourceNotFound from None
    parameter = lookup.living(ctx, located)
    if parameter is None or not located.reference.is_arn or located.reference.selector is not None:
        raise ResourceNotFound
    return parameter


def _refuse_stale(parameter: Parameter, params: Params) -> None:
    """A policy is made without id and hash, and changed with those that it has."""
    policy_id, policy_hash = params.get("PolicyId"), params.get("PolicyHash")
    if (policy_id is None) != (policy_hash is None):
        raise ResourcePolicyInvalidParameter("PolicyId and PolicyHash come together.", "PolicyId", "PolicyHash")
    if policy_id is None:
        if parameter.policy_id:
            raise ResourcePolicyLimitExceeded(
                "Only one policy can be attached to a parameter.", limit=1, kind="PolicyCount"
            )
        return
    if policy_id != parameter.policy_id:
        raise ResourcePolicyNotFound
    if policy_hash != parameter.policy_hash:
        raise ResourcePolicyConflict


def _refuse_unshareable(ctx: Context, parameter: Parameter) -> None:
    version = changes.newest(ctx.tx, ctx.sealing, parameter)
    if version.tier != ADVANCED:
        raise ResourcePolicyInvalidParameter(
            "To share a parameter, it must be in the advanced parameter tier.", "ResourceArn"
        )
    default = ctx.place.arn("kms", domain.DEFAULT_KEY)
    if version.kind == SECURE and version.key_id in (domain.DEFAULT_KEY, default):
        raise ResourcePolicyInvalidParameter(
            "To share a SecureString parameter, it must be encrypted with a customer managed key.", "ResourceArn"
        )


def _kept_form(ctx: Context, parameter: Parameter, document: str) -> str:
    """The document as it is kept: principals by their unique ids, so that nobody inherits a policy with a name.

    Raises MalformedResourcePolicy, ResourcePolicyLimitExceeded.
    """
    if len(document.encode()) > LONGEST_POLICY_BYTES:
        raise ResourcePolicyLimitExceeded(
            f"A policy can't be greater than {LONGEST_POLICY_BYTES} bytes in size.",
            limit=LONGEST_POLICY_BYTES,
            kind="PolicySize",
        )
    try:
        lookup.compiled(document)
    except MalformedPolicy as fault:
        raise MalformedResourcePolicy(fault.message) from None
    for statement in _statements(document):
        if statement["Effect"] != "Allow" or "NotPrincipal" in statement:
            raise MalformedResourcePolicy("The policy of a parameter shares it: its statements allow.")
        actions = [action.lower() for action in _texts(statement.get("Action", []))]
        if not actions or not SHARED.issuperset(actions):
            raise MalformedResourcePolicy("The policy of a parameter grants actions that read parameters only.")
        if list(_texts(statement.get("Resource", []))) != [parameter.arn]:
            raise MalformedResourcePolicy("The resource of the policy must be the parameter.")
    try:
        return ctx.principals.pin(ctx.tx, document)
    except UnknownPrincipal as fault:
        raise MalformedResourcePolicy(fault.message) from None


def _statements(document: str) -> Iterator[dict[str, Any]]:
    found = json.loads(document)["Statement"]
    yield from found if isinstance(found, list) else [found]


def _texts(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
