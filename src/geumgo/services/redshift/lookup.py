"""Finding attached clusters by what a request calls them."""

from geumgo.context import Context
from geumgo.domain.arn import split_arn
from geumgo.services.redshift import domain, store
from geumgo.services.redshift.errors import ClusterNotFound, InvalidParameterValue, ResourceNotFound
from geumgo.services.redshift.records import KIND, Cluster


def find(ctx: Context, identifier: str) -> Cluster | None:
    """The cluster, or None. Nothing that is no identifier finds one."""
    if not domain.is_identifier(identifier):
        return None
    return store.find(ctx.tx, ctx.sealing, ctx.place, KIND, identifier)


def get(ctx: Context, identifier: str) -> Cluster:
    """Raises ClusterNotFound."""
    found = find(ctx, identifier)
    if found is None:
        raise ClusterNotFound(identifier)
    return found


def find_by_arn(ctx: Context, text: str) -> Cluster | None:
    """The cluster of this account and Region that an ARN names."""
    arn = split_arn(text)
    here = (ctx.place.account, ctx.place.region)
    if arn is None or arn.service != "redshift" or (arn.account, arn.region) != here:
        return None
    kind, _, name = arn.resource.partition(":")
    return find(ctx, name) if kind == "cluster" else None


def get_by_arn(ctx: Context, text: str) -> Cluster:
    """Raises InvalidParameterValue, ResourceNotFoundFault. Unverified: the messages."""
    arn = split_arn(text)
    if arn is None or arn.service != "redshift":
        raise InvalidParameterValue(f"Invalid resource name: {text}")
    found = find_by_arn(ctx, text)
    if found is None:
        raise ResourceNotFound(f"The resource {text} was not found.")
    return found
