"""From a FunctionName to a function: once per call, for the gate and for the operation."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from geumgo.context import Context
from geumgo.domain.policy import MalformedPolicy, Policy, PolicyKind, compile_policy
from geumgo.sealing import Sealing, Unsealable
from geumgo.services.lambda_ import domain, store
from geumgo.services.lambda_.domain import Address
from geumgo.services.lambda_.errors import no_such_function
from geumgo.services.lambda_.records import Function, Version
from geumgo.storage import Tx


@dataclass(frozen=True, slots=True)
class Located:
    """What a FunctionName led to. `arn` is the function's with the qualifier that was given, whether it is there or not."""

    at: Address
    arn: str
    function: Function | None = None

    @property
    def policy(self) -> Policy | None:
        """The resource policy that speaks about this qualifier."""
        statements = self.function.policies.get(self.at.qualifier, ()) if self.function is not None else ()
        if not statements:
            return None
        try:
            return compiled(domain.policy_document(statements))
        except MalformedPolicy:
            raise Unsealable(f"the policy of {self.arn} is vouched for and cannot be read") from None


@lru_cache(maxsize=1024)
def compiled(document: str) -> Policy:
    """The resource policy, compiled. Raises MalformedPolicy."""
    return compile_policy(document, PolicyKind.RESOURCE)


def locate(ctx: Context, params: dict[str, Any]) -> Located:
    """What `FunctionName` and `Qualifier` name. Raises InvalidParameterValue if they cannot be a name."""
    name, qualifier = params["FunctionName"], params.get("Qualifier", "")
    known = ctx.found.get(("function", name, qualifier))
    if known is None:
        at = domain.parse_name(name, qualifier, account=ctx.place.account, region=ctx.place.region)
        partition = name.split(":")[1] if name.startswith("arn:") else ctx.place.partition
        here = at.region == ctx.place.region and partition == ctx.place.partition
        function = store.find(ctx.tx, ctx.sealing, at.account, at.region, at.name) if here else None
        known = ctx.found["function", name, qualifier] = Located(at, at.arn(partition), function)
    located: Located = known
    return located


def get(ctx: Context, params: dict[str, Any]) -> Function:
    """Raises ResourceNotFound."""
    located = locate(ctx, params)
    if located.function is None:
        raise no_such_function(located.arn)
    return located.function


def get_version(ctx: Context, params: dict[str, Any]) -> tuple[Function, Version]:
    """The function and the version that is meant, by default $LATEST. Raises ResourceNotFound."""
    located, function = locate(ctx, params), get(ctx, params)
    version = version_behind(ctx.tx, ctx.sealing, function, located.at.qualifier)
    if version is None:
        raise no_such_function(located.arn)
    return function, version


def version_behind(tx: Tx, sealing: Sealing, function: Function, qualifier: str) -> Version | None:
    """The version that a qualifier means: a number, $LATEST (as nothing does too), or an alias."""
    number = domain.version_number(qualifier)
    if number is None:
        alias = store.find_alias(tx, sealing, function, qualifier)
        if alias is None:
            return None
        number = alias.number
    return store.find_version(tx, sealing, function, number)


def latest(ctx: Context, function: Function) -> Version:
    version = store.find_version(ctx.tx, ctx.sealing, function, 0)
    assert version is not None, f"function {function.id} has no $LATEST"
    return version


def by_arn(request: dict[str, Any]) -> dict[str, Any]:
    """A request on a `Resource` as one on a function."""
    return {"FunctionName": request["Resource"]}
