"""Tags. Those that say where a cluster is are set when it is attached, and stay. Source: Redshift API reference."""

from dataclasses import replace

from geumgo import paging
from geumgo.attached.domain import BadValue, refuse_ours
from geumgo.context import Context, Params
from geumgo.domain.storable import member_with_nul
from geumgo.room import operation, reads
from geumgo.services.redshift import lookup, store
from geumgo.services.redshift.clusters import page_size, position, tags_after
from geumgo.services.redshift.errors import InvalidParameterCombination, InvalidParameterValue, InvalidTag
from geumgo.services.redshift.records import KIND, Cluster


@operation
def create_tags(ctx: Context, params: Params) -> Params:
    cluster = lookup.get_by_arn(ctx, params["ResourceName"])
    _refuse_ours([tag.get("Key", "") for tag in params["Tags"]])
    store.save(ctx.tx, ctx.sealing, replace(cluster, tags=tags_after(params["Tags"], dict(cluster.tags))))
    return {}


@operation
def delete_tags(ctx: Context, params: Params) -> Params:
    """Keys that are not there are passed over."""
    cluster = lookup.get_by_arn(ctx, params["ResourceName"])
    _refuse_ours(params["TagKeys"])
    tags = {key: value for key, value in cluster.tags.items() if key not in params["TagKeys"]}
    store.save(ctx.tx, ctx.sealing, replace(cluster, tags=tags))
    return {}


@reads
def describe_tags(ctx: Context, params: Params) -> Params:
    """The tags of one resource, or of all; ResourceName and ResourceType exclude each other. Source: DescribeTags, API reference."""
    if "ResourceName" in params and "ResourceType" in params:
        raise InvalidParameterCombination("You can specify either ResourceName or ResourceType, but not both.")
    member = member_with_nul(params)
    if member is not None:
        raise InvalidParameterValue(f"The parameter {member} has a character that is not allowed.")
    size = page_size(params)
    asked: Params = {
        name: params[name] for name in ("ResourceName", "ResourceType", "TagKeys", "TagValues") if name in params
    }
    after = position(ctx, "DescribeTags", asked, params)
    found = [
        (f"{cluster.identifier}/{key}", cluster, key)
        for cluster in _asked_for(ctx, params)
        for key in sorted(cluster.tags)
    ]
    found = [each for each in found if each[0] > after and _is_asked_for(each[1], each[2], params)]
    found.sort(key=lambda each: each[0])
    answer: Params = {"TaggedResources": [_shown(cluster, key) for _, cluster, key in found[:size]]}
    if len(found) > size:
        answer["Marker"] = paging.make_token(ctx, "redshift", "DescribeTags", asked, (found[size - 1][0],))
    return answer


def _asked_for(ctx: Context, params: Params) -> list[Cluster]:
    if "ResourceName" in params:
        return [lookup.get_by_arn(ctx, params["ResourceName"])]
    if params.get("ResourceType", "cluster").lower() != "cluster":
        return []
    return store.every(ctx.tx, ctx.sealing, ctx.place, KIND)


def _is_asked_for(cluster: Cluster, key: str, params: Params) -> bool:
    keys, values = params.get("TagKeys", []), params.get("TagValues", [])
    return (not keys or key in keys) and (not values or cluster.tags[key] in values)


def _shown(cluster: Cluster, key: str) -> Params:
    tag = {"Key": key, "Value": cluster.tags[key]}
    return {"Tag": tag, "ResourceName": cluster.arn, "ResourceType": "Cluster"}


def _refuse_ours(names: list[str]) -> None:
    try:
        refuse_ours(names)
    except BadValue as fault:
        raise InvalidTag(str(fault)) from None
