"""The delivery channel: kept and shown, because clients put one before they start a recorder. Nothing is delivered through it."""

from geumgo.context import Context, Params
from geumgo.room import operation, reads
from geumgo.services.config import lookup, store
from geumgo.services.config.errors import (
    InvalidDeliveryChannelName,
    LastDeliveryChannelDeleteFailed,
    MaxNumberOfDeliveryChannelsExceeded,
    NoAvailableConfigurationRecorder,
    NoSuchBucket,
    NoSuchDeliveryChannel,
)


@operation
def put_delivery_channel(ctx: Context, params: Params) -> Params:
    given = params["DeliveryChannel"]
    if lookup.recorder(ctx) is None:
        raise NoAvailableConfigurationRecorder("Configuration recorder is not available to put delivery channel.")
    name = given.get("name", "")
    if not name.strip():
        raise InvalidDeliveryChannelName
    if not given.get("s3BucketName"):
        raise NoSuchBucket
    before = store.channel(ctx.tx, ctx.place)
    if before is not None and before["name"] != name:
        raise MaxNumberOfDeliveryChannelsExceeded(name)
    settings = {member: value for member, value in given.items() if member != "name"}
    store.keep_channel(ctx.tx, ctx.place, name, settings)
    return {}


@reads
def describe_delivery_channels(ctx: Context, params: Params) -> Params:
    return {"DeliveryChannels": _asked_for(ctx, params)}


@reads
def describe_delivery_channel_status(ctx: Context, params: Params) -> Params:
    """Source: DeliveryChannelStatus, API reference (Not_Applicable: the delivery is not turned on)."""
    idle = {"lastStatus": "Not_Applicable"}
    return {
        "DeliveryChannelsStatus": [
            {
                "name": found["name"],
                "configSnapshotDeliveryInfo": idle,
                "configHistoryDeliveryInfo": idle,
                "configStreamDeliveryInfo": idle,
            }
            for found in _asked_for(ctx, params)
        ]
    }


@operation
def delete_delivery_channel(ctx: Context, params: Params) -> Params:
    name = params["DeliveryChannelName"]
    found = store.channel(ctx.tx, ctx.place)
    if found is None or found["name"] != name:
        raise NoSuchDeliveryChannel(name)
    recorder = lookup.recorder(ctx)
    if recorder is not None and recorder.recording:
        raise LastDeliveryChannelDeleteFailed(name)
    store.remove_channel(ctx.tx, ctx.place)
    return {}


def _asked_for(ctx: Context, params: Params) -> list[Params]:
    found = store.channel(ctx.tx, ctx.place)
    for name in params.get("DeliveryChannelNames", []):
        if found is None or found["name"] != name:
            raise NoSuchDeliveryChannel(name)
    return [] if found is None else [found]
