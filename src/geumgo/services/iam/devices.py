"""Virtual MFA devices of users: the second factor that policies ask for with aws:MultiFactorAuthPresent."""

import base64
import os
import re
from dataclasses import replace
from typing import Final

from geumgo.context import Context, Params, as_datetime
from geumgo.room import operation, reads
from geumgo.sealing import Plaintext
from geumgo.services.iam import domain, totp
from geumgo.services.iam.errors import (
    DeleteConflict,
    EntityAlreadyExists,
    InvalidAuthenticationCode,
    NoSuchEntity,
    ValidationError,
)
from geumgo.services.iam.lookup import (
    merged_tags,
    need,
    new_tags,
    page,
    page_of_tags,
    refuse_beyond,
    show_tags,
    show_user,
)
from geumgo.services.iam.records import Device, Principal
from geumgo.services.iam.store import devices as store
from geumgo.services.iam.store import principals

DEVICES_PER_USER: Final = 8  # Source: IAM quotas
_PATH: Final = re.compile(r"/|/[\x21-\x7e]+/")


@operation
def create_virtual_mfa_device(ctx: Context, params: Params) -> Params:
    """A device that nobody uses yet. Its seed is seen in this answer alone, as text: there is no QRCodePNG.

    Source of the sentences: recorded on AWS.
    """
    path, name = params.get("Path", "/"), params["VirtualMFADeviceName"]
    if not _PATH.fullmatch(path):
        raise ValidationError(
            "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters "
            "and/or / characters."
        )
    serial = f"arn:{ctx.place.partition}:iam::{ctx.place.account}:mfa{path}{name}"
    if store.find(ctx.tx, ctx.sealing, serial) is not None:
        raise EntityAlreadyExists("MFA device already exists.")
    seed = os.urandom(totp.SEED_BYTES)
    tags = merged_tags({}, new_tags(params))
    device = Device(serial, ctx.place.account, None, b"", tags, ctx.clock.now_ms())
    store.save(ctx.tx, ctx.sealing, replace(device, sealed=store.seal_seed(ctx.sealing, device, Plaintext(seed))))
    shown = {"SerialNumber": serial, "Base32StringSeed": base64.b32encode(seed)}
    return {"VirtualMFADevice": {**shown, **({"Tags": show_tags(tags)} if tags else {})}}


@operation
def enable_mfa_device(ctx: Context, params: Params) -> Params:
    """The user has this device from now on. Two codes in a row show that it is his. Source: EnableMFADevice, API reference."""
    user = need(ctx, "user", params)
    device = _need(ctx, params["SerialNumber"])
    if device.user_id is not None:
        raise EntityAlreadyExists("MFA Device is already in use.")
    refuse_beyond("MFADevicesPerUser", len(store.of_user(ctx.tx, ctx.sealing, user.id)), DEVICES_PER_USER)
    enabled = replace(_synchronised(ctx, device, params), user_id=user.id, enabled_at_ms=ctx.clock.now_ms())
    store.save(ctx.tx, ctx.sealing, enabled)
    return {}


@operation
def resync_mfa_device(ctx: Context, params: Params) -> Params:
    device = _need_of(ctx, need(ctx, "user", params), params["SerialNumber"])
    store.save(ctx.tx, ctx.sealing, _synchronised(ctx, device, params))
    return {}


@operation
def deactivate_mfa_device(ctx: Context, params: Params) -> Params:
    device = _need_of(ctx, need(ctx, "user", params), params["SerialNumber"])
    store.save(ctx.tx, ctx.sealing, replace(device, user_id=None, enabled_at_ms=None))
    return {}


@operation
def delete_virtual_mfa_device(ctx: Context, params: Params) -> Params:
    """Unverified: the sentence about a device in use."""
    device = _need(ctx, params["SerialNumber"])
    if device.user_id is not None:
        raise DeleteConflict("MFA VirtualDevice in use. Must deactivate first.")
    store.delete(ctx.tx, device.serial)
    return {}


@reads
def list_mfa_devices(ctx: Context, params: Params) -> Params:
    user = need(ctx, "user", params)
    found = store.of_user(ctx.tx, ctx.sealing, user.id)
    return page(params, found, _serial, lambda device: _show(user, device), "MFADevices")


@reads
def get_mfa_device(ctx: Context, params: Params) -> Params:
    device = _need(ctx, params["SerialNumber"])
    user = _user_of(ctx, device)
    if user is None or ("UserName" in params and domain.name_key(params["UserName"]) != domain.name_key(user.name)):
        raise _missing(device.serial)
    return _show(user, device)


@reads
def list_virtual_mfa_devices(ctx: Context, params: Params) -> Params:
    status = params.get("AssignmentStatus", "Any")
    found = [
        device
        for device in store.of_account(ctx.tx, ctx.sealing, ctx.place.account)
        if status == "Any" or (device.user_id is not None) == (status == "Assigned")
    ]
    return page(params, found, _serial, lambda device: _show_virtual(ctx, device), "VirtualMFADevices")


@operation
def tag_mfa_device(ctx: Context, params: Params) -> Params:
    device = _need(ctx, params["SerialNumber"])
    store.save(ctx.tx, ctx.sealing, replace(device, tags=merged_tags(device.tags, new_tags(params))))
    return {}


@operation
def untag_mfa_device(ctx: Context, params: Params) -> Params:
    device = _need(ctx, params["SerialNumber"])
    store.save(ctx.tx, ctx.sealing, replace(device, tags=domain.without_tags(device.tags, params["TagKeys"])))
    return {}


@reads
def list_mfa_device_tags(ctx: Context, params: Params) -> Params:
    return page_of_tags(params, _need(ctx, params["SerialNumber"]).tags)


def _synchronised(ctx: Context, device: Device, params: Params) -> Device:
    """The device, after two codes of it that follow each other. Raises InvalidAuthenticationCode. Unverified: the sentence."""
    seed = store.open_seed(ctx.sealing, device).reveal()
    codes = params["AuthenticationCode1"], params["AuthenticationCode2"]
    step = totp.matching_pair(seed, *codes, ctx.clock.now_ms(), after=device.last_step)
    if step is None:
        raise InvalidAuthenticationCode("Authentication code for device is not valid.")
    return replace(device, last_step=step)


def _serial(device: Device) -> str:
    return device.serial


def _show(user: Principal, device: Device) -> Params:
    assert device.enabled_at_ms is not None, "a device in use has a date"
    return {
        "UserName": user.name,
        "SerialNumber": device.serial,
        "EnableDate": as_datetime(device.enabled_at_ms),
    }


def _show_virtual(ctx: Context, device: Device) -> Params:
    user = _user_of(ctx, device)
    if user is None or device.enabled_at_ms is None:
        return {"SerialNumber": device.serial}
    return {
        "SerialNumber": device.serial,
        "User": show_user(ctx, user),
        "EnableDate": as_datetime(device.enabled_at_ms),
    }


def _user_of(ctx: Context, device: Device) -> Principal | None:
    return principals.by_id(ctx.tx, ctx.sealing, device.user_id) if device.user_id is not None else None


def _need(ctx: Context, serial: str) -> Device:
    device = store.find(ctx.tx, ctx.sealing, serial)
    if device is None or device.account != ctx.place.account:
        raise _missing(serial)
    return device


def _need_of(ctx: Context, user: Principal, serial: str) -> Device:
    device = _need(ctx, serial)
    if device.user_id != user.id:
        raise _missing(serial)
    return device


def _missing(serial: str) -> NoSuchEntity:
    """Source: recorded on AWS."""
    return NoSuchEntity(f"MFA Device with serial number {serial} does not exist.")
