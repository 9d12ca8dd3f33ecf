"""Aliases: names that lead to a version and can be moved."""

from dataclasses import replace
from typing import Final

from geumgo.context import Context, Params
from geumgo.room import operation, reads
from geumgo.sealing import random
from geumgo.services.lambda_ import domain, lookup, store, store_events
from geumgo.services.lambda_.errors import (
    InvalidParameterValue,
    ResourceConflict,
    ResourceNotFound,
    no_such_function,
    revision_differs,
)
from geumgo.services.lambda_.listing import name_of, number_of, page_end
from geumgo.services.lambda_.records import Alias, Function

PAGE: Final = 50  # source: ListAliases, API reference


@operation
def create_alias(ctx: Context, request: Params) -> Params:
    """Raises ResourceConflict, ResourceNotFound. Source: CreateAlias, API reference; the messages as recorded on AWS."""
    function, name = lookup.get(ctx, request), request["Name"]
    if domain.version_number(name) is not None:
        raise InvalidParameterValue(f"The name of an alias is not a number, and not $LATEST: {name}")
    if store.find_alias(ctx.tx, ctx.sealing, function, name) is not None:
        raise ResourceConflict(f"Alias already exists: {function.arn}:{name}")
    number = _number(ctx, function, request)
    alias = Alias(function.id, name, number, request.get("Description", ""), random.uuid())
    store.keep_alias(ctx.tx, ctx.sealing, alias)
    return _shown(function, alias)


@reads
def get_alias(ctx: Context, request: Params) -> Params:
    function = lookup.get(ctx, request)
    return _shown(function, _get(ctx, function, request["Name"]))


@operation
def update_alias(ctx: Context, request: Params) -> Params:
    """The alias leads to another version, or has another description. Raises PreconditionFailed, ResourceNotFound."""
    function = lookup.get(ctx, request)
    alias = _get(ctx, function, request["Name"])
    if request.get("RevisionId") not in (None, alias.revision_id):
        raise revision_differs("GetAlias")
    number = _number(ctx, function, request) if "FunctionVersion" in request else alias.number
    _refuse_weights(request)
    changed = replace(
        alias, number=number, description=request.get("Description", alias.description), revision_id=random.uuid()
    )
    store.keep_alias(ctx.tx, ctx.sealing, changed)
    return _shown(function, changed)


@operation
def delete_alias(ctx: Context, request: Params) -> Params:
    """There is no such alias, nor permissions for it. It need not have been there. Source: recorded on AWS."""
    function = lookup.get(ctx, request)
    alias = store.find_alias(ctx.tx, ctx.sealing, function, request["Name"])
    if alias is not None:
        store.remove_alias(ctx.tx, alias)
        store_events.remove_patience(ctx.tx, function.id, alias.name)
        if alias.name in function.policies:
            policies = {name: each for name, each in function.policies.items() if name != alias.name}
            store.save(ctx.tx, ctx.sealing, replace(function, policies=policies))
    return {}


@reads
def list_aliases(ctx: Context, request: Params) -> Params:
    """A page of the aliases, by name; of those that lead to FunctionVersion, if it is given."""
    function = lookup.get(ctx, request)
    limit = min(request.get("MaxItems", PAGE), PAGE)
    found = store.aliases(ctx.tx, ctx.sealing, function, after=name_of(request.get("Marker")))
    if "FunctionVersion" in request:
        wanted = domain.version_number(request["FunctionVersion"])
        found = [alias for alias in found if alias.number == wanted]
    listed = [_shown(function, alias) for alias in found[:limit]]
    return {"Aliases": listed, **page_end(found[limit - 1].name if len(found) > limit else None)}


def _get(ctx: Context, function: Function, name: str) -> Alias:
    """Raises ResourceNotFound. Source: recorded on AWS."""
    alias = store.find_alias(ctx.tx, ctx.sealing, function, name)
    if alias is None:
        raise ResourceNotFound(f"Cannot find alias arn: {function.arn}:{name}")
    return alias


def _number(ctx: Context, function: Function, request: Params) -> int:
    """The version that the request names. Raises ResourceNotFound, InvalidParameterValue."""
    _refuse_weights(request)
    version = request["FunctionVersion"]
    number = 0 if version == "$LATEST" else number_of(version)
    if store.find_version(ctx.tx, ctx.sealing, function, number) is None:
        raise no_such_function(f"{function.arn}:{version}")
    return number


def _refuse_weights(request: Params) -> None:
    if request.get("RoutingConfig", {}).get("AdditionalVersionWeights"):
        raise InvalidParameterValue("An alias leads to one version here (RoutingConfig).")


def _shown(function: Function, alias: Alias) -> Params:
    return {
        "AliasArn": f"{function.arn}:{alias.name}",
        "Name": alias.name,
        "FunctionVersion": str(alias.number) if alias.number else "$LATEST",
        "Description": alias.description,
        "RevisionId": alias.revision_id,
    }
