"""The configuration recorder and its delivery channel: as whom Config reads in this place, and what it keeps watch over.

There is one of each in a place. Source: PutConfigurationRecorder, PutDeliveryChannel and their kin, API reference; sentences as recorded
on AWS by its emulators.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from geumgo.context import Context, Params, as_datetime
from geumgo.room import operation, reads
from geumgo.services.config import lookup, schedule, store
from geumgo.services.config.domain import recording_group, refuse_many_tags, tags_of
from geumgo.services.config.errors import (
    InvalidConfigurationRecorderName,
    InvalidRole,
    MaxNumberOfConfigurationRecordersExceeded,
    NoAvailableDeliveryChannel,
    NoSuchConfigurationRecorder,
    ValidationFailed,
)
from geumgo.services.config.paging import read_token
from geumgo.services.config.records import Recorder, RecorderStatus

_KEPT: Final = ("recordingMode",)


@operation
def put_configuration_recorder(ctx: Context, params: Params) -> Params:
    """A recorder that was started goes on. Tags are those of its creation: a later put leaves them alone."""
    given = params["ConfigurationRecorder"]
    name = given.get("name", "")
    if not name.strip():
        raise InvalidConfigurationRecorderName
    role_arn = given.get("roleARN", "")
    if not role_arn:
        raise InvalidRole("You have provided a null or empty Amazon Resource Name (ARN) for the IAM role.")
    if ctx.principals.role(ctx.tx, role_arn) is None:
        raise InvalidRole(f"The IAM role {role_arn} cannot be found, or does not trust config.amazonaws.com.")
    settings = {
        "recordingGroup": recording_group(given.get("recordingGroup")),
        **{member: given[member] for member in _KEPT if member in given},
    }
    before = lookup.recorder(ctx)
    if before is None:
        tags = tags_of(params.get("Tags", []))
        refuse_many_tags(tags)
        place = ctx.place
        made = Recorder(
            account=place.account,
            region=place.region,
            partition=place.partition,
            id=lookup.new_id(ctx, "", 16),
            name=name,
            role_arn=role_arn,
            settings=settings,
            tags=tags,
        )
        store.add_recorder(ctx.tx, ctx.sealing, made)
        return {}
    if before.name != name:
        raise MaxNumberOfConfigurationRecordersExceeded(name)
    store.save_recorder(ctx.tx, ctx.sealing, replace(before, role_arn=role_arn, settings=settings))
    if before.recording:
        schedule.look_at_everything(ctx, ctx.clock.now_ms())
    return {}


@reads
def describe_configuration_recorders(ctx: Context, params: Params) -> Params:
    return {"ConfigurationRecorders": [_shown(found) for found in _asked_for(ctx, params)]}


@reads
def describe_configuration_recorder_status(ctx: Context, params: Params) -> Params:
    """The status is that of the last look at the resources. Source: ConfigurationRecorderStatus, API reference."""
    return {"ConfigurationRecordersStatus": [_status(ctx, found) for found in _asked_for(ctx, params)]}


@reads
def list_configuration_recorders(ctx: Context, params: Params) -> Params:
    """Source: ListConfigurationRecorders, API reference."""
    read_token(ctx, "ListConfigurationRecorders", {}, params.get("NextToken"), 1)  # there is one page
    wanted = [value for each in params.get("Filters", []) for value in each.get("filterValue", [])]
    found = lookup.recorder(ctx)
    if found is None or (wanted and "PAID" not in wanted):
        return {"ConfigurationRecorderSummaries": []}
    return {"ConfigurationRecorderSummaries": [{"arn": found.arn, "name": found.name, "recordingScope": "PAID"}]}


@operation
def start_configuration_recorder(ctx: Context, params: Params) -> Params:
    """From now on rules run on changes; first they look at all there is."""
    found = _named(ctx, params)
    if store.channel(ctx.tx, ctx.place) is None:
        raise NoAvailableDeliveryChannel
    now_ms = ctx.clock.now_ms()
    if not found.recording:
        store.save_recorder(ctx.tx, ctx.sealing, replace(found, recording=True, last_start_at_ms=now_ms))
        store.keep_recorder_status(ctx.tx, ctx.place, RecorderStatus("Pending", now_ms))
        schedule.look_at_everything(ctx, now_ms)
    return {}


@operation
def stop_configuration_recorder(ctx: Context, params: Params) -> Params:
    """Rules that run on changes rest; those that run on a schedule go on."""
    found = _named(ctx, params)
    if found.recording:
        stopped = replace(found, recording=False, last_stop_at_ms=ctx.clock.now_ms())
        store.save_recorder(ctx.tx, ctx.sealing, stopped)
    return {}


@operation
def delete_configuration_recorder(ctx: Context, params: Params) -> Params:
    """Verdicts stay as they are. Source: DeleteConfigurationRecorder, API reference (recorded configuration is not deleted)."""
    store.remove_recorder(ctx.tx, _named(ctx, params))
    return {}


def _named(ctx: Context, params: Params) -> Recorder:
    found = lookup.recorder(ctx)
    if found is None or found.name != params["ConfigurationRecorderName"]:
        raise NoSuchConfigurationRecorder(params["ConfigurationRecorderName"])
    return found


def _asked_for(ctx: Context, params: Params) -> Sequence[Recorder]:
    found = lookup.recorder(ctx)
    names = params.get("ConfigurationRecorderNames", [])
    if len(names) > 1:
        raise ValidationFailed("At most one configuration recorder can be named.")
    for name in names:
        if found is None or found.name != name:
            raise NoSuchConfigurationRecorder(name)
    arn, service = params.get("Arn"), params.get("ServicePrincipal")
    if arn is not None and (found is None or found.arn != arn):
        raise NoSuchConfigurationRecorder(arn)
    return () if found is None or service is not None else (found,)


def _shown(found: Recorder) -> Params:
    return {
        "arn": found.arn,
        "name": found.name,
        "roleARN": found.role_arn,
        **found.settings,
        "recordingScope": "PAID",
    }


def _status(ctx: Context, found: Recorder) -> Params:
    said: Params = {"arn": found.arn, "name": found.name, "recording": found.recording}
    for member, at_ms in (("lastStartTime", found.last_start_at_ms), ("lastStopTime", found.last_stop_at_ms)):
        if at_ms is not None:
            said[member] = as_datetime(at_ms)
    status = store.recorder_status(ctx.tx, ctx.place)
    if status is not None:
        said |= {"lastStatus": status.status, "lastStatusChangeTime": as_datetime(status.changed_at_ms)}
        if status.error_code:
            said |= {"lastErrorCode": status.error_code, "lastErrorMessage": status.error_message}
    return said
