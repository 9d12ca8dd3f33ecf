"""Tags of trails."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from geumgo.context import Context, Params
from geumgo.domain.arn import split_arn
from geumgo.domain.tags import BadTags, merged_tags
from geumgo.domain.tags import TooManyTags as MoreThanFit
from geumgo.room import operation, reads
from geumgo.services.cloudtrail import lookup, store_trails
from geumgo.services.cloudtrail.errors import InvalidArn, InvalidTags, TooManyTags, TypeNotSupported
from geumgo.services.cloudtrail.records import Trail


@operation
def add_tags(ctx: Context, request: Params) -> Params:
    trail = _tagged(ctx, request["ResourceId"])
    store_trails.save(ctx.tx, ctx.sealing, replace(trail, tags=merged(trail.tags, request["TagsList"])))
    return {}


@operation
def remove_tags(ctx: Context, request: Params) -> Params:
    """Tags with these keys are gone. Unverified: whether a value that is given must be the tag's own; here it need not."""
    trail = _tagged(ctx, request["ResourceId"])
    gone = {tag["Key"] for tag in request["TagsList"]}
    kept = {key: value for key, value in trail.tags.items() if key not in gone}
    store_trails.save(ctx.tx, ctx.sealing, replace(trail, tags=kept))
    return {}


@reads
def list_tags(ctx: Context, request: Params) -> Params:
    """Of up to 20 trails. Source: ListTagsRequest, botocore model 2013-11-01."""
    trails = [_tagged(ctx, arn) for arn in request["ResourceIdList"][:20]]
    return {
        "ResourceTagList": [
            {
                "ResourceId": trail.arn,
                "TagsList": [{"Key": key, "Value": value} for key, value in sorted(trail.tags.items())],
            }
            for trail in trails
        ]
    }


def merged(tags: Mapping[str, str], added: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Raises InvalidTags, TooManyTags."""
    try:
        return merged_tags(tags, added)
    except MoreThanFit as fault:
        raise TooManyTags(str(fault)) from None
    except BadTags as fault:
        raise InvalidTags(str(fault)) from None


def _tagged(ctx: Context, arn: str) -> Trail:
    parts = split_arn(arn)
    if parts is None or parts.service != "cloudtrail":
        raise InvalidArn(arn)
    if parts.resource_type != "trail":
        raise TypeNotSupported(arn)
    return lookup.get_at_home(ctx, arn)
