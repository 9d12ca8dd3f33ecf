"""Layers: packages that several functions have below /opt. Source: "Managing Lambda dependencies with layers", developer guide."""

import hashlib
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from geumgo.context import Context, Params
from geumgo.functions import package
from geumgo.room import operation, reads
from geumgo.services.lambda_ import store, store_layers
from geumgo.services.lambda_.errors import InvalidParameterValue, ResourceNotFound
from geumgo.services.lambda_.layer_names import name_in, read_version_arn
from geumgo.services.lambda_.listing import name_of, number_of, page_end
from geumgo.services.lambda_.packages import read_package
from geumgo.services.lambda_.store_layers import Details, LayerVersion

PAGE: Final = 50  # source: ListLayers, API reference
MOST_LAYERS: Final = 5  # of a function; source: "Lambda quotas"


@operation
def publish_layer_version(ctx: Context, request: Params) -> Params:
    """A new version of the layer, which need not have been there. Raises InvalidParameterValue."""
    content = read_package(request["Content"])
    place = ctx.place
    name = name_in(request["LayerName"], place.account, place.region)
    layer = LayerVersion(
        partition=place.partition,
        account=place.account,
        region=place.region,
        name=name,
        number=store_layers.next_number(ctx.tx, place.account, place.region, name),
        details=Details(
            description=request.get("Description", ""),
            license_info=request.get("LicenseInfo", ""),
            runtimes=tuple(request.get("CompatibleRuntimes", ())),
            architectures=tuple(request.get("CompatibleArchitectures", ())),
            code_sha256=hashlib.sha256(content).hexdigest(),
            code_size=len(content),
            unpacked_bytes=package.read(content),
            created_at_ms=ctx.clock.now_ms(),
        ),
    )
    store_layers.add(ctx.tx, ctx.sealing, layer, content)
    return {**_shown(layer), **_content_of(layer)}


@reads
def get_layer_version(ctx: Context, request: Params) -> Params:
    """Raises ResourceNotFound. The content stays here: there is no place to download it from."""
    return _answer(_get(ctx, request["LayerName"], request["VersionNumber"]))


@reads
def get_layer_version_by_arn(ctx: Context, request: Params) -> Params:
    """As GetLayerVersion."""
    layer = find_by_arn(ctx, request["Arn"])
    if layer is None or layer.deleted:
        raise _no_such_version()
    return _answer(layer)


@operation
def delete_layer_version(ctx: Context, request: Params) -> Params:
    """No function can be given this version any more; those that have it keep it. It need not have been there.

    Source: DeleteLayerVersion, API reference.
    """
    place = ctx.place
    name = name_in(request["LayerName"], place.account, place.region)
    layer = store_layers.find(ctx.tx, ctx.sealing, place.account, place.region, name, request["VersionNumber"])
    if layer is not None and not layer.deleted:
        store_layers.mark_deleted(ctx.tx, ctx.sealing, replace(layer, deleted=True), used=_is_used(ctx, layer))
    return {}


@reads
def list_layers(ctx: Context, request: Params) -> Params:
    """A page of the layers, by name, each with its newest version of those that fit."""
    place, limit = ctx.place, min(request.get("MaxItems", PAGE), PAGE)
    found = store_layers.names(
        ctx.tx, place.account, place.region, after=name_of(request.get("Marker")), limit=limit + 1
    )
    listed = []
    for name in found[:limit]:
        fitting = [each for each in _versions(ctx, name) if _fits(each, request)]
        if fitting:
            arn = fitting[0].layer_arn
            listed.append({"LayerName": name, "LayerArn": arn, "LatestMatchingVersion": _listed(fitting[0])})
    return {"Layers": listed, **page_end(found[limit - 1] if len(found) > limit else None)}


@reads
def list_layer_versions(ctx: Context, request: Params) -> Params:
    """A page of the versions of a layer that fit, the newest first."""
    place, limit = ctx.place, min(request.get("MaxItems", PAGE), PAGE)
    name = name_in(request["LayerName"], place.account, place.region)
    below = number_of(request.get("Marker")) or 1 << 62
    found = store_layers.versions(ctx.tx, ctx.sealing, place.account, place.region, name, below=below, limit=limit + 1)
    listed = [_listed(each) for each in found[:limit] if _fits(each, request)]
    return {"LayerVersions": listed, **page_end(str(found[limit - 1].number) if len(found) > limit else None)}


def chosen(ctx: Context, arns: list[str], *, unpacked_bytes: int, before: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The layers that a function is given, as it keeps them. What it had `before` it may keep, though it was deleted.

    Raises InvalidParameterValue. Source: recorded on AWS (the sizes). Unverified: the other messages.
    """
    if len(arns) > MOST_LAYERS:
        raise InvalidParameterValue(f"A function can have at most {MOST_LAYERS} layers.")
    for arn in arns:
        layer = find_by_arn(ctx, arn)
        if layer is None or (layer.deleted and arn not in before):
            raise InvalidParameterValue(f"Layer version {arn} does not exist.")
        unpacked_bytes += layer.details.unpacked_bytes
    names = [arn.rsplit(":", 1)[0] for arn in arns]
    if len(set(names)) < len(names):
        raise InvalidParameterValue(
            "Two different versions of the same layer are not allowed to be referenced in the same function."
        )
    if unpacked_bytes > package.UNPACKED_BYTES:
        raise InvalidParameterValue(f"Layers consume more than the available size of {package.UNPACKED_BYTES} bytes")
    return tuple(arns)


def find_by_arn(ctx: Context, arn: str) -> LayerVersion | None:
    """A version of this account and region, a deleted one too."""
    named = read_version_arn(arn)
    if named is None or named[:2] != (ctx.place.account, ctx.place.region):
        return None
    return store_layers.find(ctx.tx, ctx.sealing, *named)


def _versions(ctx: Context, name: str) -> list[LayerVersion]:
    place = ctx.place
    return store_layers.versions(ctx.tx, ctx.sealing, place.account, place.region, name, below=1 << 62, limit=1_000)


def _get(ctx: Context, name: str, number: int) -> LayerVersion:
    place = ctx.place
    found = store_layers.find(
        ctx.tx, ctx.sealing, place.account, place.region, name_in(name, place.account, place.region), number
    )
    if found is None or found.deleted:
        raise _no_such_version()
    return found


def _no_such_version() -> ResourceNotFound:
    """Source: recorded on AWS."""
    return ResourceNotFound("The resource you requested does not exist.")


def _is_used(ctx: Context, layer: LayerVersion) -> bool:
    """Whether a version of a function has it. All functions of the account are looked at: layers are seldom deleted."""
    after = ""
    while functions := store.page(ctx.tx, ctx.sealing, layer.account, layer.region, after=after, limit=100):
        for function in functions:
            if any(layer.arn in each.layers for each in store.versions(ctx.tx, ctx.sealing, function)):
                return True
        after = functions[-1].name
    return False


def _fits(layer: LayerVersion, request: Params) -> bool:
    runtime, architecture = request.get("CompatibleRuntime"), request.get("CompatibleArchitecture")
    details = layer.details
    return (runtime is None or runtime in details.runtimes) and (
        architecture is None or architecture in details.architectures
    )


def _listed(layer: LayerVersion) -> dict[str, Any]:
    details = layer.details
    at = datetime.fromtimestamp(details.created_at_ms / 1000, UTC)
    shown: dict[str, Any] = {
        "LayerVersionArn": layer.arn,
        "Version": layer.number,
        "Description": details.description,
        "CreatedDate": at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{details.created_at_ms % 1000:03d}+0000",
    }
    if details.runtimes:
        shown["CompatibleRuntimes"] = list(details.runtimes)
    if details.architectures:
        shown["CompatibleArchitectures"] = list(details.architectures)
    return {**shown, "LicenseInfo": details.license_info} if details.license_info else shown


def _shown(layer: LayerVersion) -> Params:
    return {"LayerArn": layer.layer_arn, **_listed(layer)}


def _content_of(layer: LayerVersion) -> Params:
    digest = b64encode(bytes.fromhex(layer.details.code_sha256)).decode()
    return {"Content": {"CodeSha256": digest, "CodeSize": layer.details.code_size}}


def _answer(layer: LayerVersion) -> Params:
    return {**_shown(layer), **_content_of(layer)}
