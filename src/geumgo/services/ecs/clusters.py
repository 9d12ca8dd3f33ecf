"""Clusters. Source: ECS API reference."""

from typing import Final

from geumgo import paging
from geumgo.context import Context, Params
from geumgo.domain.tags import BadTags, merged_tags
from geumgo.room import operation, reads
from geumgo.services.ecs import domain, lookup, shown, store
from geumgo.services.ecs.errors import ClusterContainsServices, InvalidParameter
from geumgo.services.ecs.records import Cluster

_KEPT: Final = ("settings", "capacityProviders", "defaultCapacityProviderStrategy", "serviceConnectDefaults")
_UNSERVED: Final = ("configuration",)
_MOST: Final = 100


@operation
def create_cluster(ctx: Context, params: Params) -> Params:
    """One that is there already is answered as it is. Source: recorded by users of the API."""
    refuse_unserved(params, _UNSERVED)
    name = lookup.checked_name("clusterName", params.get("clusterName", domain.DEFAULT_CLUSTER))
    there = store.find_cluster(ctx.tx, ctx.place, name)
    if there is None:
        place = ctx.place
        there = Cluster(
            partition=place.partition,
            account=place.account,
            region=place.region,
            name=name,
            kept={each: params[each] for each in _KEPT if each in params},
            tags=tags_of(params),
            created_at_ms=ctx.clock.now_ms(),
        )
        store.add_cluster(ctx.tx, there)
    return {"cluster": {**_shown(ctx, there), **shown.tags(there)}}


@reads
def describe_clusters(ctx: Context, params: Params) -> Params:
    """What is not there is named among the failures. Source: DescribeClusters, API reference."""
    given = params.get("clusters") or [domain.DEFAULT_CLUSTER]
    if len(given) > _MOST:
        raise InvalidParameter(f"clusters can have at most {_MOST} items.")
    found = {each: lookup.find_cluster(ctx, each) for each in given}
    tagged = "TAGS" in params.get("include", [])
    return {
        "clusters": [
            {**_shown(ctx, each), **(shown.tags(each) if tagged else {})} for each in found.values() if each is not None
        ],
        "failures": [
            {"arn": ctx.place.arn("ecs", f"cluster/{lookup.cluster_name(ctx, name) or name}"), "reason": "MISSING"}
            for name, each in found.items()
            if each is None
        ],
    }


@reads
def list_clusters(ctx: Context, params: Params) -> Params:
    after, size = position(ctx, "ListClusters", {}, params), page_size(params, _MOST)
    found = store.clusters_after(ctx.tx, ctx.place, after, size + 1)
    answer: Params = {"clusterArns": [each.arn for each in found[:size]]}
    if len(found) > size:
        answer["nextToken"] = paging.make_token(ctx, "ecs", "ListClusters", {}, (found[size - 1].name,))
    return answer


@operation
def delete_cluster(ctx: Context, params: Params) -> Params:
    """Raises ClusterContainsServicesException while it has services, those that leave too."""
    cluster = lookup.get_cluster(ctx, params["cluster"])
    if store.count_services(ctx.tx, ctx.place, cluster.name):
        raise ClusterContainsServices
    store.remove_cluster(ctx.tx, cluster)
    return {"cluster": {**_shown(ctx, cluster), "status": "INACTIVE"}}


def _shown(ctx: Context, cluster: Cluster) -> Params:
    return shown.cluster(cluster, store.count_services(ctx.tx, ctx.place, cluster.name))


# -- what services need too -------------------------------------------------------------------------------------------


def refuse_unserved(params: Params, members: tuple[str, ...]) -> None:
    """Raises InvalidParameterException for what means something only where containers run."""
    for member in members:
        if params.get(member):
            raise InvalidParameter(f"{member} is not served here: no containers are run.")


def tags_of(params: Params) -> dict[str, str]:
    """Raises InvalidParameterException."""
    given = [{name.capitalize(): value for name, value in tag.items()} for tag in params.get("tags", [])]
    try:
        return merged_tags({}, given)
    except BadTags as fault:
        raise InvalidParameter(str(fault)) from None


def page_size(params: Params, most: int) -> int:
    """Raises InvalidParameterException. Unverified: the message."""
    size: int = params.get("maxResults", most)
    if not 1 <= size <= most:
        raise InvalidParameter(f"maxResults must be between 1 and {most}.")
    return size


def position(ctx: Context, operation_name: str, asked: Params, params: Params) -> str:
    """Behind what the page begins. Raises InvalidParameterException."""
    try:
        found = paging.read_token(ctx, "ecs", operation_name, asked, params.get("nextToken"))
    except paging.NotOurs:
        raise InvalidParameter("Invalid token.") from None
    return "" if found is None else str(found[0])
