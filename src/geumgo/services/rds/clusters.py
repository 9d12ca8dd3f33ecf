"""DB clusters, of Aurora and others. Source: RDS API reference."""

from geumgo.context import Context, Params
from geumgo.room import operation, reads
from geumgo.services.rds import attaching, lookup, members
from geumgo.services.rds.records import Database
from geumgo.services.rds.shown import described


@operation
def create_db_cluster(ctx: Context, params: Params) -> Params:
    return {"DBCluster": described(attaching.attach(ctx, params, "cluster"))}


@reads
def describe_db_clusters(ctx: Context, params: Params) -> Params:
    found, more = attaching.listed(ctx, params, "cluster", "DescribeDBClusters")
    return {"DBClusters": [_described(ctx, each) for each in found], **more}


@operation
def modify_db_cluster(ctx: Context, params: Params) -> Params:
    return {"DBCluster": _described(ctx, attaching.modify(ctx, params, "cluster"))}


@operation
def delete_db_cluster(ctx: Context, params: Params) -> Params:
    members.refuse_if_any(ctx, lookup.get(ctx, "cluster", params["DBClusterIdentifier"]))
    return {"DBCluster": described(attaching.detach(ctx, params, "cluster"))}


def _described(ctx: Context, cluster: Database) -> Params:
    """With its instances; the first one is said to be the one that writes, for nobody here knows."""
    found = [
        {
            "DBInstanceIdentifier": each.identifier,
            "IsClusterWriter": at == 0,
            "DBClusterParameterGroupStatus": "in-sync",
        }
        for at, each in enumerate(members.of(ctx, cluster))
    ]
    return {**described(cluster), "DBClusterMembers": found}
