"""Tags of rules and recorders. They decide rights too (`aws:ResourceTag`), so they are part of the vouched row."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from geumgo.context import Context, Params
from geumgo.room import operation, reads
from geumgo.services.config import lookup, store
from geumgo.services.config.domain import refuse_many_tags, tags_of
from geumgo.services.config.errors import ResourceNotFound, ValidationFailed
from geumgo.services.config.paging import make_token, read_token
from geumgo.services.config.records import Recorder, Rule

_PAGE: Final = 50


@operation
def tag_resource(ctx: Context, params: Params) -> Params:
    found = _tagged(ctx, params["ResourceArn"])
    tags = {**found.tags, **tags_of(params["Tags"])}
    refuse_many_tags(tags)
    return _keep(ctx, found, tags)


@operation
def untag_resource(ctx: Context, params: Params) -> Params:
    found = _tagged(ctx, params["ResourceArn"])
    names = params["TagKeys"]
    if any(name.lower().startswith("aws:") for name in names):
        raise ValidationFailed("Tag keys that begin with aws: are reserved.")
    return _keep(ctx, found, {name: value for name, value in found.tags.items() if name not in names})


@reads
def list_tags_for_resource(ctx: Context, params: Params) -> Params:
    arn = params["ResourceArn"]
    tags = _tagged(ctx, arn).tags
    (after,) = read_token(ctx, "ListTagsForResource", {"arn": arn}, params.get("NextToken"), 1)
    limit = params.get("Limit") or _PAGE
    names = [name for name in sorted(tags) if name > after or not after]
    answer: Params = {"Tags": [{"Key": name, "Value": tags[name]} for name in names[:limit]]}
    if len(names) > limit:
        answer["NextToken"] = make_token(ctx, "ListTagsForResource", {"arn": arn}, [names[limit - 1]])
    return answer


def _tagged(ctx: Context, arn: str) -> Rule | Recorder:
    recorder = lookup.recorder(ctx)
    found = recorder if recorder is not None and recorder.arn == arn else lookup.rule_by_arn(ctx, arn)
    if found is None:
        raise ResourceNotFound(arn)
    return found


def _keep(ctx: Context, found: Rule | Recorder, tags: Mapping[str, str]) -> Params:
    if isinstance(found, Rule):
        store.save_rule(ctx.tx, ctx.sealing, replace(found, tags=tags))
    else:
        store.save_recorder(ctx.tx, ctx.sealing, replace(found, tags=tags))
    return {}
