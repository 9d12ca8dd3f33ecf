"""Tags. Those that say where a database is are set when it is attached, and stay."""

from dataclasses import replace

from geumgo.attached.domain import BadValue, refuse_ours
from geumgo.context import Context, Params
from geumgo.domain.tags import BadTags, merged_tags
from geumgo.room import operation, reads
from geumgo.services.rds import lookup, store
from geumgo.services.rds.errors import InvalidParameterValue


@operation
def add_tags_to_resource(ctx: Context, params: Params) -> Params:
    database = lookup.get_by_arn(ctx, params["ResourceName"])
    try:
        refuse_ours([tag.get("Key", "") for tag in params["Tags"]])
        tags = merged_tags(database.tags, params["Tags"])
    except (BadTags, BadValue) as fault:
        raise InvalidParameterValue(str(fault)) from None
    store.save(ctx.tx, ctx.sealing, replace(database, tags=tags))
    return {}


@operation
def remove_tags_from_resource(ctx: Context, params: Params) -> Params:
    """Keys that are not there are passed over."""
    database = lookup.get_by_arn(ctx, params["ResourceName"])
    try:
        refuse_ours(params["TagKeys"])
    except BadValue as fault:
        raise InvalidParameterValue(str(fault)) from None
    tags = {key: value for key, value in database.tags.items() if key not in params["TagKeys"]}
    store.save(ctx.tx, ctx.sealing, replace(database, tags=tags))
    return {}


@reads
def list_tags_for_resource(ctx: Context, params: Params) -> Params:
    database = lookup.get_by_arn(ctx, params["ResourceName"])
    return {"TagList": [{"Key": key, "Value": value} for key, value in sorted(database.tags.items())]}
