"""Tags of keys. They decide rights too (`aws:ResourceTag`), so they are part of the key's vouched row."""

from dataclasses import replace

from geumgo.context import Context, Params
from geumgo.room import operation, reads
from geumgo.services.kms import lookup, store
from geumgo.services.kms.domain import read_marker, refuse_deletion_pending, refuse_many_tags, tags_of
from geumgo.services.kms.errors import TagRefused
from geumgo.services.kms.keys import page_end


@operation
def tag_resource(ctx: Context, params: Params) -> Params:
    key = lookup.get_own(ctx, "TagResource", params["KeyId"])
    refuse_deletion_pending(key)
    tags = {**key.tags, **tags_of(params["Tags"])}
    refuse_many_tags(tags)
    store.save(ctx.tx, ctx.sealing, replace(key, tags=tags))
    return {}


@operation
def untag_resource(ctx: Context, params: Params) -> Params:
    key = lookup.get_own(ctx, "UntagResource", params["KeyId"])
    refuse_deletion_pending(key)
    names = params["TagKeys"]
    if any(name.lower().startswith("aws:") for name in names):
        raise TagRefused("Tags beginning with aws: are reserved")
    tags = {name: value for name, value in key.tags.items() if name not in names}
    store.save(ctx.tx, ctx.sealing, replace(key, tags=tags))
    return {}


@reads
def list_resource_tags(ctx: Context, params: Params) -> Params:
    """Source: ListResourceTags, API reference: 50 a page."""
    key = lookup.get_by_id(ctx, params["KeyId"])
    limit = min(params.get("Limit", 50), 50)
    after = read_marker(params.get("Marker"))
    names = [name for name in sorted(key.tags) if name > after or not after][: limit + 1]
    listed = [{"TagKey": name, "TagValue": key.tags[name]} for name in names[:limit]]
    return {"Tags": listed, **page_end(names, limit)}
