"""DB clusters, of Aurora and others. Source: RDS API reference."""

from geumgo.context import Context, Params
from geumgo.room import operation, reads
from geumgo.services.rds import attaching
from geumgo.services.rds.shown import described


@operation
def create_db_cluster(ctx: Context, params: Params) -> Params:
    return {"DBCluster": described(attaching.attach(ctx, params, "cluster"))}


@reads
def describe_db_clusters(ctx: Context, params: Params) -> Params:
    found, more = attaching.listed(ctx, params, "cluster", "DescribeDBClusters")
    return {"DBClusters": [described(each) for each in found], **more}


@operation
def modify_db_cluster(ctx: Context, params: Params) -> Params:
    return {"DBCluster": described(attaching.modify(ctx, params, "cluster"))}


@operation
def delete_db_cluster(ctx: Context, params: Params) -> Params:
    return {"DBCluster": described(attaching.detach(ctx, params, "cluster"))}
