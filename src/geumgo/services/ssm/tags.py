"""Tags of parameters: AddTagsToResource, RemoveTagsFromResource, ListTagsForResource.

They decide rights, so they are part of the vouched row.
"""

from dataclasses import replace

from geumgo.context import Context, Params
from geumgo.room import operation, reads
from geumgo.services.ssm import changes, lookup, store
from geumgo.services.ssm.access import PARAMETER
from geumgo.services.ssm.errors import InvalidResourceId, InvalidResourceType, ValidationFailed
from geumgo.services.ssm.records import Parameter


def _tagged(ctx: Context, params: Params) -> Parameter:
    """The parameter that a request speaks of. Raises InvalidResourceType, InvalidResourceId. Source: the operations, API reference."""
    if params["ResourceType"] != PARAMETER:
        raise InvalidResourceType
    try:
        located = lookup.locate(ctx, params["ResourceId"])
    except ValidationFailed:
        raise InvalidResourceId from None
    parameter = lookup.living(ctx, located)
    if parameter is None or located.reference.is_arn or located.reference.selector is not None:
        raise InvalidResourceId
    return parameter


@operation
def add_tags_to_resource(ctx: Context, params: Params) -> Params:
    parameter = _tagged(ctx, params)
    after = replace(parameter, tags=changes.merged_tags(parameter.tags, params["Tags"]))
    store.save(ctx.tx, ctx.sealing, after)
    return {}


@operation
def remove_tags_from_resource(ctx: Context, params: Params) -> Params:
    """Keys that are not there are passed over."""
    parameter = _tagged(ctx, params)
    kept = {key: value for key, value in parameter.tags.items() if key not in params["TagKeys"]}
    if kept != parameter.tags:
        store.save(ctx.tx, ctx.sealing, replace(parameter, tags=kept))
    return {}


@reads
def list_tags_for_resource(ctx: Context, params: Params) -> Params:
    tags = _tagged(ctx, params).tags
    return {"TagList": [{"Key": key, "Value": value} for key, value in tags.items()]}
