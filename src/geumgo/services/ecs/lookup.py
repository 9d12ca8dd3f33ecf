"""Finding clusters and services by what a request calls them: a name, or an ARN."""

from geumgo.context import Context
from geumgo.domain.arn import split_arn
from geumgo.services.ecs import domain, store
from geumgo.services.ecs.errors import ClusterNotFound, InvalidParameter, ServiceNotFound
from geumgo.services.ecs.records import Cluster, Service


def cluster_name(ctx: Context, given: str | None) -> str:
    """The name of the cluster that is meant; empty for one that cannot be here. Source: cluster, API reference (its default)."""
    return _named(ctx, given or domain.DEFAULT_CLUSTER, "cluster").rpartition("/")[2]


def service_name(ctx: Context, given: str) -> str:
    return _named(ctx, given, "service").rpartition("/")[2]


def _named(ctx: Context, given: str, kind: str) -> str:
    arn = split_arn(given)
    if arn is None:
        return given if domain.is_name(given) else ""
    here = (arn.service, arn.account, arn.region) == ("ecs", ctx.place.account, ctx.place.region)
    return arn.resource if here and arn.resource.startswith(f"{kind}/") else ""


def find_cluster(ctx: Context, given: str | None) -> Cluster | None:
    name = cluster_name(ctx, given)
    return store.find_cluster(ctx.tx, ctx.place, name) if domain.is_name(name) else None


def get_cluster(ctx: Context, given: str | None) -> Cluster:
    """Raises ClusterNotFoundException."""
    found = find_cluster(ctx, given)
    if found is None:
        raise ClusterNotFound
    return found


def find_service(ctx: Context, cluster: str, given: str) -> Service | None:
    """The service of that cluster. An ARN that names another cluster finds none."""
    name = service_name(ctx, given)
    told = _named(ctx, given, "service").split("/")
    if not domain.is_name(name) or (len(told) == 3 and told[1] != cluster):
        return None
    return store.find_service(ctx.tx, ctx.place, cluster, name)


def get_service(ctx: Context, cluster: str, given: str) -> Service:
    """Raises ServiceNotFoundException."""
    found = find_service(ctx, cluster, given)
    if found is None:
        raise ServiceNotFound
    return found


def checked_name(member: str, given: str) -> str:
    """Raises InvalidParameterException. Unverified: the message."""
    if not domain.is_name(given):
        raise InvalidParameter(f"{member} must have up to 255 letters, digits, hyphens and underscores.")
    return given
