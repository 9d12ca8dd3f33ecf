"""Resource policies: who else may use a function. They are made of single statements."""

import json
from dataclasses import replace

from geumgo.context import Context, Params
from geumgo.domain.policy import MalformedPolicy
from geumgo.principals import UnknownPrincipal
from geumgo.room import operation, reads
from geumgo.services.lambda_ import domain, lookup, store
from geumgo.services.lambda_.errors import (
    InvalidParameterValue,
    PolicyLengthExceeded,
    ResourceConflict,
    ResourceNotFound,
    no_such_function,
    revision_differs,
)
from geumgo.services.lambda_.records import LATEST, Function, Statement


@operation
def add_permission(ctx: Context, request: Params) -> Params:
    """The resource policy of the function, or of the version that is named, has this statement too.

    Raises:
        ResourceConflict: it has one of that id.
        InvalidParameterValue: the principal does not exist, or the statement is none.
        PolicyLengthExceeded: the policy would be longer than 20 KB.

    Source: AddPermission, API reference; the messages as recorded on AWS.
    """
    function, qualifier, statements = _addressed(ctx, request)
    if any(each["Sid"] == request["StatementId"] for each in statements):
        raise ResourceConflict(
            f"The statement id ({request['StatementId']}) provided already exists. Please provide a new statement id, or remove the "
            "existing statement."
        )
    if qualifier == LATEST:
        raise InvalidParameterValue("We currently do not support adding policies for $LATEST.")
    if "InvokedViaFunctionUrl" in request:
        raise InvalidParameterValue("Functions have no URLs here (InvokedViaFunctionUrl).")
    made = domain.statement_of(request, lookup.locate(ctx, request).arn, ctx.place.partition)
    kept = _kept_form(ctx, made)
    after = (*statements, kept)
    size = len(domain.policy_document(after).encode())
    if size > domain.MOST_POLICY:
        raise PolicyLengthExceeded(f"The final policy size ({size}) is bigger than the limit ({domain.MOST_POLICY}).")
    _keep(ctx, function, qualifier, after)
    return {"Statement": json.dumps(made, separators=(",", ":"), ensure_ascii=False)}


@operation
def remove_permission(ctx: Context, request: Params) -> Params:
    """The policy has no statement of that id. Raises ResourceNotFound if it had none. Source: recorded on AWS (the message)."""
    function, qualifier, statements = _addressed(ctx, request)
    after = tuple(each for each in statements if each["Sid"] != request["StatementId"])
    if len(after) == len(statements):
        raise ResourceNotFound(f"Statement {request['StatementId']} is not found in resource policy.")
    _keep(ctx, function, qualifier, after)
    return {}


@reads
def get_policy(ctx: Context, request: Params) -> Params:
    """The policy with ids in place of principals who are gone. Raises ResourceNotFound. Source: recorded on AWS (the message)."""
    function, qualifier, statements = _addressed(ctx, request)
    if not statements:
        raise ResourceNotFound("The resource you requested does not exist.")
    document = ctx.principals.unpin(ctx.tx, domain.policy_document(statements))
    return {"Policy": document, "RevisionId": _revision(function, qualifier)}


def _addressed(ctx: Context, request: Params) -> tuple[Function, str, tuple[Statement, ...]]:
    """The function, the qualifier, and the statements about it. Raises ResourceNotFound, PreconditionFailed."""
    function = lookup.get(ctx, request)
    located = lookup.locate(ctx, request)
    qualifier = located.at.qualifier
    if lookup.version_behind(ctx.tx, ctx.sealing, function, qualifier) is None:
        raise no_such_function(located.arn)
    if "RevisionId" in request and request["RevisionId"] != _revision(function, qualifier):
        raise revision_differs("GetPolicy")
    return function, qualifier, function.policies.get(qualifier, ())


def _revision(function: Function, qualifier: str) -> str:
    """Changes with every change of the policy."""
    digest = store.digest(domain.policy_document(function.policies.get(qualifier, ())))
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"


def _keep(ctx: Context, function: Function, qualifier: str, statements: tuple[Statement, ...]) -> None:
    policies = {**function.policies, qualifier: statements}
    store.save(ctx.tx, ctx.sealing, replace(function, policies={name: each for name, each in policies.items() if each}))


def _kept_form(ctx: Context, statement: Statement) -> Statement:
    """The statement as it is kept: users and roles by their unique ids. Raises InvalidParameterValue."""
    document = domain.policy_document([statement])
    try:
        lookup.compiled(document)
        pinned: list[Statement] = json.loads(ctx.principals.pin(ctx.tx, document))["Statement"]
    except MalformedPolicy:
        raise InvalidParameterValue("The statement cannot be read as part of a policy.") from None
    except UnknownPrincipal:
        raise InvalidParameterValue(
            "The provided principal was invalid. Please check the principal and try again."
        ) from None
    return pinned[0]
