"""Resource policies: what a secret says about who may use it. There is at most one, called `default`."""

from dataclasses import replace
from typing import Any, Final

from geumgo.access.demand import Target
from geumgo.access.gate import about_caller, about_target, as_principal
from geumgo.context import Context, Params
from geumgo.domain.policy import Asked, MalformedPolicy, Policy, PolicyKind, Standing, compile_policy, decide
from geumgo.domain.policy import Context as Conditions
from geumgo.principals import UnknownPrincipal
from geumgo.room import operation, reads
from geumgo.services.secretsmanager import lookup, store
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
BROAD: Final = (
    "This resource policy grants broad access to your secret. "
    "Secrets Manager blocks policies that allow everybody to use a secret."
)
LOCKED_OUT: Final = "Your requested changes will not allow you to manage this secret in the future."

_BROAD_CHECK: Final = "BROAD_ACCESS_CHECK"
_LOCKOUT_CHECK: Final = "LOCKOUT_CHECK"
_MANAGING: Final = ("PutResourcePolicy", "DeleteResourcePolicy")
_EVERYTHING: Final = compile_policy(
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}', PolicyKind.IDENTITY
)


@operation
def put_resource_policy(ctx: Context, params: Params) -> Params:
    """Source: PutResourcePolicy, API reference. Unverified: which name of a policy is answered when it was not sent."""
    _refuse_other_name(params)
    secret = lookup.get_usable(ctx, params["SecretId"])
    document = _checked(ctx, params["ResourcePolicy"])
    if params.get("BlockPublicPolicy", False):
        if grants_broad_access(document):
            raise PublicPolicy(BROAD)
        if _locks_out(ctx, secret, document):
            raise InvalidParameter(LOCKED_OUT)
    _keep(ctx, secret, document)
    return {"ARN": secret.arn, "Name": secret.name, **_named(params)}


@reads
def get_resource_policy(ctx: Context, params: Params) -> Params:
    """Source: recorded on AWS (ResourcePolicy is absent when there is none); PolicyName, API reference."""
    secret = lookup.get_usable(ctx, params["SecretId"])
    if params.get("PolicyName", NAME) != NAME:
        raise ResourceNotFound("Secrets Manager can't find the specified resource policy.")
    answer: Params = {"ARN": secret.arn, "Name": secret.name, **_named(params)}
    document = lookup.locate(ctx, params["SecretId"]).policy
    if document is not None:
        answer["ResourcePolicy"] = ctx.principals.unpin(ctx.tx, document)
    return answer


@operation
def delete_resource_policy(ctx: Context, params: Params) -> Params:
    """A secret without a policy is left as it is. Unverified: that AWS does not complain."""
    _refuse_other_name(params)
    secret = lookup.get_usable(ctx, params["SecretId"])
    if secret.policy_hash:
        _keep(ctx, secret, None)
    return {"ARN": secret.arn, "Name": secret.name, **_named(params)}


@reads
def list_resource_policies(ctx: Context, params: Params) -> Params:
    """Source: ListResourcePolicies, botocore model 2017-10-17. There is never a second page."""
    secret = lookup.get_usable(ctx, params["SecretId"])
    if "NextToken" in params:
        raise InvalidNextToken
    return {"ResourcePolicies": [{"PolicyName": NAME}] if secret.policy_hash else []}


@reads
def validate_resource_policy(ctx: Context, params: Params) -> Params:
    """Source: ValidateResourcePolicy, API reference (the three checks). Unverified: the names of the checks.

    Without a SecretId nobody can be locked out of anything.
    """
    secret = lookup.get_usable(ctx, params["SecretId"]) if "SecretId" in params else None
    document = _checked(ctx, params["ResourcePolicy"])
    errors = []
    if grants_broad_access(document):
        errors.append({"CheckName": _BROAD_CHECK, "ErrorMessage": BROAD})
    if secret is not None and _locks_out(ctx, secret, document):
        errors.append({"CheckName": _LOCKOUT_CHECK, "ErrorMessage": LOCKED_OUT})
    return {"PolicyValidationPassed": not errors, "ValidationErrors": errors}


# -- what they share --------------------------------------------------------------------------------------------------


def _refuse_other_name(params: Params) -> None:
    """Source: PolicyName, botocore model 2017-10-17. Unverified: the message."""
    if params.get("PolicyName", NAME) != NAME:
        raise InvalidParameter("You can attach, change and delete the default resource policy only.")


def _named(params: Params) -> dict[str, Any]:
    return {"PolicyName": params.get("PolicyName", NAME)}


def _keep(ctx: Context, secret: Secret, document: str | None) -> None:
    store.keep_policy(ctx.tx, secret, document)
    lookup.keep(ctx, replace(secret, policy_hash=store.policy_hash(document)))


def _checked(ctx: Context, document: str) -> str:
    """The document as it is to be kept: users and roles by their unique ids, so that nobody inherits a name.

    Raises MalformedPolicyDocument. Source: PutResourcePolicy troubleshooting, user guide (the messages). Unverified: that actions of
    other services are a syntax error.
    """
    try:
        lookup.compiled(document)
    except MalformedPolicy:
        raise MalformedPolicyDocument("This resource policy contains a syntax error.") from None
    if foreign_actions(document):
        raise MalformedPolicyDocument("This resource policy contains a syntax error.")
    for service in service_principals(document):
        if not ctx.principals.exists(ctx.tx, service):
            raise MalformedPolicyDocument("This resource policy contains an unsupported service principal.")
    try:
        return ctx.principals.pin(ctx.tx, document)
    except UnknownPrincipal:
        raise MalformedPolicyDocument("This resource policy contains an unsupported principal.") from None


def _locks_out(ctx: Context, secret: Secret, document: str) -> bool:
    """Whether the policy would keep the caller from changing it again, however much his own policies allow."""
    policy = lookup.compiled(document)
    return any(not _may(ctx, secret, policy, action) for action in _MANAGING)


def _may(ctx: Context, secret: Secret, policy: Policy, action: str) -> bool:
    target = Target(secret.arn, None, secret.account, policy, tags=secret.tags or {})
    about_secret = {
        "secretsmanager:SecretId": (secret.arn,),
        **{f"secretsmanager:ResourceTag/{key}": (value,) for key, value in (secret.tags or {}).items()},
    }
    conditions = Conditions(ctx.conditions, about_caller(ctx.caller), about_target(target), about_secret)
    asked = Asked(as_principal(ctx.caller), f"secretsmanager:{action}", secret.arn, secret.account, conditions)
    return decide(asked, Standing(identity=(_EVERYTHING,), resource=policy)).allowed
