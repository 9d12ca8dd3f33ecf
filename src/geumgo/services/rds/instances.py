"""DB instances. Source: RDS API reference."""

from geumgo.context import Context, Params
from geumgo.room import operation, reads
from geumgo.services.rds import attaching, members
from geumgo.services.rds.shown import described


@operation
def create_db_instance(ctx: Context, params: Params) -> Params:
    attach = members.join if "DBClusterIdentifier" in params else attaching.attach
    return {"DBInstance": described(attach(ctx, params, "db"))}


@reads
def describe_db_instances(ctx: Context, params: Params) -> Params:
    found, more = attaching.listed(ctx, params, "db", "DescribeDBInstances")
    return {"DBInstances": [described(each) for each in found], **more}


@operation
def modify_db_instance(ctx: Context, params: Params) -> Params:
    return {"DBInstance": described(attaching.modify(ctx, params, "db"))}


@operation
def delete_db_instance(ctx: Context, params: Params) -> Params:
    return {"DBInstance": described(attaching.detach(ctx, params, "db"))}
