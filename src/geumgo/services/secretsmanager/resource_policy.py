"""Resource policies: what a secret says about who may use it. There is at most one, called `default`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from geumgo.access.demand import Demand
from geumgo.access.gate import about_caller, about_target, as_principal
from geumgo.context import Context, Params
from geumgo.domain.policy import Asked, MalformedPolicy, Policy, PolicyKind, Standing, compile_policy, decide
from geumgo.domain.policy import Context as Conditions
from geumgo.principals import UnknownPrincipal
from geumgo.room import operation, reads
from geumgo.services.secretsmanager import lookup, store
from geumgo.services.secretsmanager.access import ACCESS
from geumgo.services.secretsmanager.domain_policy import foreign_actions, grants_broad_access, service_principals
from geumgo.services.secretsmanager.errors import (
    InvalidNextToken,
    InvalidParameter,
    MalformedPolicyDocument,
    PublicPolicy,
    ResourceNotFound,
)
from geumgo.services.secretsmanager.records import Secret

NAME: Final = "default"

SYNTAX: Final = "This resource policy contains a syntax error."
NO_SUCH_PRINCIPAL: Final = "This resource policy contains an unsupported principal."
NO_SUCH_SERVICE: Final = "This resource policy contains an unsupported service principal."
BROAD: Final = "You can't attach a resource-based policy that allows broad access to the secret."
BROAD_FINDING: Final = (
    "This resource policy grants broad access to your secret. "
    "Secrets Manager does not allow creating and applying such policies in the console."
)
LOCKED_OUT: Final = "Your requested changes will not allow you to manage this secret in the future."
"""Source of the six sentences: "Managing a resource-based policy for a secret", user guide."""

BROAD_CHECK: Final = "REFLEXIVE_PRINCIPAL_CHECK"
LOCKOUT_CHECK: Final = "LOCKOUT_CHECK"
"""Unverified: what AWS calls its checks."""

_EVERYTHING: Final = compile_policy(
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}', PolicyKind.IDENTITY
)


@operation
def put_resource_policy(ctx: Context, request: Params) -> Params:
    """The secret has this policy and no other.

    Raises:
        MalformedPolicyDocument: it is not a policy, or names somebody who does not exist.
        PublicPolicy: BlockPublicPolicy was asked for, and the policy grants broad access. By default it may.
        InvalidParameter: the caller could not change or delete the policy any more, or `PolicyName` is not `default`.

    Source: PutResourcePolicy, API reference. Unverified: that AWS checks for lockout without BlockPublicPolicy too, and the code of
    that refusal. Here it always does: there is no support desk that could open the secret again.
    """
    _refuse_other_name(request)
    secret = lookup.get_usable(ctx, request["SecretId"])
    document = _kept_form(ctx, request["ResourcePolicy"])
    if request.get("BlockPublicPolicy", False) and grants_broad_access(document):
        raise PublicPolicy(BROAD)
    if _locks_out(ctx, request, lookup.compiled(document)):
        raise InvalidParameter(LOCKED_OUT)
    _keep(ctx, secret, document)
    return _answer(secret)


@reads
def get_resource_policy(ctx: Context, request: Params) -> Params:
    """The policy as it was put, with ids in place of principals who are gone; without ResourcePolicy if there is none.

    Source: recorded on AWS (the absent member); PolicyName, API reference. Unverified: the message about another name.
    """
    secret = lookup.get_usable(ctx, request["SecretId"])
    if request.get("PolicyName", NAME) != NAME:
        raise ResourceNotFound("Secrets Manager can't find the specified resource policy.")
    document = lookup.locate(ctx, request["SecretId"]).policy
    shown = {} if document is None else {"ResourcePolicy": ctx.principals.unpin(ctx.tx, document)}
    return {**_answer(secret), **shown}


@operation
def delete_resource_policy(ctx: Context, request: Params) -> Params:
    """The secret has no policy. Unverified: that AWS does not complain if it had none."""
    _refuse_other_name(request)
    secret = lookup.get_usable(ctx, request["SecretId"])
    if secret.policy_hash:
        _keep(ctx, secret, None)
    return _answer(secret)


@reads
def list_resource_policies(ctx: Context, request: Params) -> Params:
    """The names of the policies: `default`, or nothing. There is never a second page.

    Source: ListResourcePolicies, API reference. AWS lists further policies behind `default`, which nobody can put.
    """
    secret = lookup.get_usable(ctx, request["SecretId"])
    if "NextToken" in request:
        raise InvalidNextToken
    return {"ResourcePolicies": [{"PolicyName": NAME}] if secret.policy_hash else []}


@reads
def validate_resource_policy(ctx: Context, request: Params) -> Params:
    """What PutResourcePolicy with BlockPublicPolicy would say, without putting anything.

    Without a SecretId nobody can be locked out of anything.

    Raises MalformedPolicyDocument. Source: ValidateResourcePolicy, API reference (the three checks).
    """
    if "SecretId" in request:
        lookup.get_usable(ctx, request["SecretId"])
    document = _kept_form(ctx, request["ResourcePolicy"])
    findings = []
    if grants_broad_access(document):
        findings.append({"CheckName": BROAD_CHECK, "ErrorMessage": BROAD_FINDING})
    if "SecretId" in request and _locks_out(ctx, request, lookup.compiled(document)):
        findings.append({"CheckName": LOCKOUT_CHECK, "ErrorMessage": LOCKED_OUT})
    return {"PolicyValidationPassed": not findings, "ValidationErrors": findings}


# -- what they share --------------------------------------------------------------------------------------------------


def _refuse_other_name(request: Params) -> None:
    """Source: PolicyName, API reference. Unverified: the message."""
    if request.get("PolicyName", NAME) != NAME:
        raise InvalidParameter("You can only attach or delete the resource policy named default.")


def _answer(secret: Secret) -> Params:
    return {"ARN": secret.arn, "Name": secret.name, "PolicyName": NAME}


def _keep(ctx: Context, secret: Secret, document: str | None) -> None:
    store.keep_policy(ctx.tx, secret, document)
    lookup.keep(ctx, replace(secret, policy_hash=store.policy_hash(document)))


def _kept_form(ctx: Context, document: str) -> str:
    """The document as it is kept: users and roles by their unique ids, so that nobody inherits a policy with a name.

    Raises MalformedPolicyDocument. Source: "Principal element", IAM User Guide (the ids). Unverified: that actions of other services
    are a syntax error. Services need the form of one only: AWS also knows which ones there are.
    """
    try:
        lookup.compiled(document)
    except MalformedPolicy as fault:
        raise MalformedPolicyDocument(_sentence(fault)) from None
    if foreign_actions(document):
        raise MalformedPolicyDocument(SYNTAX)
    if not all(ctx.principals.exists(ctx.tx, service) for service in service_principals(document)):
        raise MalformedPolicyDocument(NO_SUCH_SERVICE)
    try:
        return ctx.principals.pin(ctx.tx, document)
    except UnknownPrincipal:
        raise MalformedPolicyDocument(NO_SUCH_PRINCIPAL) from None


def _sentence(fault: MalformedPolicy) -> str:
    """Secrets Manager's sentence for a document that the grammar refuses."""
    if fault.message.startswith('Invalid principal in policy: "SERVICE"'):
        return NO_SUCH_SERVICE
    return NO_SUCH_PRINCIPAL if fault.message.startswith("Invalid principal in policy: ") else SYNTAX


def _locks_out(ctx: Context, request: Params, policy: Policy) -> bool:
    """Whether `policy` would keep the caller from changing or deleting it again, under the circumstances of this very request.

    His own policies are taken to allow everything: what they lack, his administrator can give. The root user is asked like anybody:
    a Deny that means him stops him too, so the last one who can open the secret again must not shut it.
    """
    return not all(_may_again(ctx, demand, policy) for demand in _management(ctx, request))


def _management(ctx: Context, request: Params) -> Iterator[Demand]:
    """What the gate will be asked when the caller comes back to change the policy, or to delete it."""
    asked: Params = {member: request[member] for member in ("SecretId", "BlockPublicPolicy") if member in request}
    yield from ACCESS["PutResourcePolicy"].demands(ctx, asked)
    yield from ACCESS["DeleteResourcePolicy"].demands(ctx, asked)


def _may_again(ctx: Context, demand: Demand, policy: Policy) -> bool:
    target = demand.target
    assert target is not None, f"{demand.action} is asked of a secret"
    circumstances = Conditions(ctx.conditions, about_caller(ctx.caller), about_target(target), demand.keys)
    asked = Asked(as_principal(ctx.caller), demand.action, target.arn, target.account, circumstances)
    return decide(asked, Standing(identity=(_EVERYTHING,), session=(_EVERYTHING,), resource=policy)).allowed
