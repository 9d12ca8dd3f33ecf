"""Published versions: copies of $LATEST that do not change, under numbers that are never given twice."""

from dataclasses import replace
from typing import Any, Final

from geumgo.context import Context, Params
from geumgo.room import operation, reads
from geumgo.sealing import random
from geumgo.services.lambda_ import lookup, store
from geumgo.services.lambda_.errors import InvalidParameterValue, revision_differs
from geumgo.services.lambda_.listing import number_of, page_end
from geumgo.services.lambda_.records import Function, Version
from geumgo.services.lambda_.showing import shown

PAGE: Final = 50  # source: ListVersionsByFunction, API reference


@operation
def publish_version(ctx: Context, request: Params) -> Params:
    """$LATEST as it is now has a number; the last one, if nothing has changed since.

    Raises PreconditionFailed, InvalidParameterValue. Source: PublishVersion, API reference.
    """
    if "PublishTo" in request:
        raise InvalidParameterValue("There are no capacity providers here (PublishTo).")
    function = lookup.get(ctx, request)
    latest = lookup.latest(ctx, function)
    if request.get("RevisionId") not in (None, latest.revision_id):
        raise revision_differs("GetFunction/GetAlias")
    if request.get("CodeSha256") not in (None, "", shown(ctx, function, latest)["CodeSha256"]):
        raise InvalidParameterValue(
            f"CodeSHA256 ({request['CodeSha256']}) is different from current CodeSHA256 in $LATEST "
            f"({shown(ctx, function, latest)['CodeSha256']}). Please try again with the CodeSHA256 in $LATEST."
        )
    return shown(ctx, function, publish(ctx, function, latest, request.get("Description")), qualified=True)


def publish(ctx: Context, function: Function, latest: Version, description: str | None = None) -> Version:
    """The version that `latest` is now. `function` must be as it was read."""
    before = store.newest(ctx.tx, ctx.sealing, function)
    if before is not None and _content(before) == _content(latest):
        return before
    made = replace(latest, number=function.next_version, modified_at_ms=ctx.clock.now_ms(), revision_id=random.uuid())
    if description:
        made = replace(made, description=description)
    store.keep_version(ctx.tx, ctx.sealing, made)
    store.save(ctx.tx, ctx.sealing, replace(function, next_version=function.next_version + 1))
    return made


def _content(version: Version) -> Any:
    """What makes one version another one. The environment is sealed anew whenever it is set."""
    return replace(version, number=0, modified_at_ms=0, revision_id="", description="")


@reads
def list_versions_by_function(ctx: Context, request: Params) -> Params:
    """A page of the versions, $LATEST first, then by number."""
    function = lookup.get(ctx, request)
    limit = min(request.get("MaxItems", PAGE), PAGE)
    found = store.versions(ctx.tx, ctx.sealing, function, first=number_of(request.get("Marker")), limit=limit + 1)
    listed = [shown(ctx, function, version, qualified=True) for version in found[:limit]]
    return {"Versions": listed, **page_end(str(found[limit].number) if len(found) > limit else None)}
