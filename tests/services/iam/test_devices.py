"""MFA devices, and what a second factor opens."""

import base64
from typing import Any

import pytest

from geumgo.context import Caller
from geumgo.errors import AccessDenied
from geumgo.sealing import Unsealable
from geumgo.services.iam import totp
from geumgo.services.iam.errors import (
    DeleteConflict,
    EntityAlreadyExists,
    InvalidAuthenticationCode,
    NoSuchEntity,
    ValidationError,
)
from geumgo.services.sts.errors import Denied
from tests.services.iam.world import ACCOUNT, World, allow, trusting

SERIAL = f"arn:aws:iam::{ACCOUNT}:mfa/phone"


def seed_of(world: World, name: str = "phone") -> bytes:
    made = world.ask("CreateVirtualMFADevice", VirtualMFADeviceName=name)["VirtualMFADevice"]
    assert made["SerialNumber"] == f"arn:aws:iam::{ACCOUNT}:mfa/{name}"
    assert len(made["Base32StringSeed"]) == 64
    return base64.b32decode(made["Base32StringSeed"])


def code(world: World, seed: bytes, ahead: int = 0) -> str:
    return totp.code(seed, totp.step_of(world.clock.now_ms()) + ahead)


def enable(world: World, seed: bytes, user: str = "ann") -> None:
    codes: dict[str, Any] = {"AuthenticationCode1": code(world, seed, -1), "AuthenticationCode2": code(world, seed)}
    world.ask("EnableMFADevice", UserName=user, SerialNumber=SERIAL, **codes)


@pytest.fixture
def ann(world: World) -> Caller:
    return world.user("ann", allow("iam:*", "sts:*"))


@pytest.mark.parametrize(
    ("at_s", "expected"), [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")]
)
def test_codes_are_those_of_the_standard(at_s: int, expected: str):
    """Source: RFC 6238, appendix B."""
    assert totp.code(b"12345678901234567890", totp.step_of(at_s * 1000)) == expected


def test_two_codes_in_a_row_make_a_device_ones_own(world: World, ann: Caller):
    seed = seed_of(world)
    with pytest.raises(InvalidAuthenticationCode):
        world.ask(
            "EnableMFADevice",
            UserName="ann",
            SerialNumber=SERIAL,
            AuthenticationCode1="000000",
            AuthenticationCode2="000000",
        )
    enable(world, seed)
    shown = world.ask("ListMFADevices", UserName="ann")["MFADevices"]
    assert [(each["UserName"], each["SerialNumber"]) for each in shown] == [("ann", SERIAL)]
    assert world.ask("GetMFADevice", SerialNumber=SERIAL)["UserName"] == "ann"
    assert (
        world.ask("ListVirtualMFADevices", AssignmentStatus="Assigned")["VirtualMFADevices"][0]["User"]["UserName"]
        == "ann"
    )
    assert world.ask("ListVirtualMFADevices", AssignmentStatus="Unassigned")["VirtualMFADevices"] == []
    with pytest.raises(EntityAlreadyExists, match=r"^MFA Device is already in use\.$"):
        enable(world, seed)
    with pytest.raises(DeleteConflict):
        world.ask("DeleteVirtualMFADevice", SerialNumber=SERIAL)
    world.ask("DeactivateMFADevice", UserName="ann", SerialNumber=SERIAL)
    world.ask("DeleteVirtualMFADevice", SerialNumber=SERIAL)
    with pytest.raises(NoSuchEntity, match=rf"^MFA Device with serial number {SERIAL} does not exist\.$"):
        world.ask("DeleteVirtualMFADevice", SerialNumber=SERIAL)
    assert world.ask("GetAccountSummary")["SummaryMap"]["MFADevices"] == 0
    assert ann.kind == "IAMUser"


def test_a_code_is_good_once(world: World, ann: Caller):
    seed = seed_of(world)
    enable(world, seed)
    world.clock.turn(ms=totp.STEP_MS)
    now = code(world, seed)
    world.sts("GetSessionToken", ann, SerialNumber=SERIAL, TokenCode=now)
    for again in (now, code(world, seed, -1), code(world, seed, 5), "000000"):
        with pytest.raises(Denied, match=r"^MultiFactorAuthentication failed with invalid MFA one time pass code\.$"):
            world.sts("GetSessionToken", ann, SerialNumber=SERIAL, TokenCode=again)


def test_a_session_with_a_second_factor_may_call_iam(world: World, ann: Caller):
    seed = seed_of(world)
    enable(world, seed)
    world.clock.turn(ms=totp.STEP_MS)
    made = world.sts("GetSessionToken", ann, SerialNumber=SERIAL, TokenCode=code(world, seed))["Credentials"]
    session = world.caller_with(made)
    assert session.session is not None
    assert session.session.mfa
    world.ask("ListUsers", session)


def test_a_role_may_ask_for_a_second_factor(world: World, ann: Caller):
    seed = seed_of(world)
    enable(world, seed)
    condition = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
    arn = world.role("careful", trusting({"AWS": ann.arn}, Condition=condition))
    with pytest.raises(AccessDenied):
        world.assume(arn, ann)
    world.clock.turn(ms=totp.STEP_MS)
    assert world.assume(arn, ann, SerialNumber=SERIAL, TokenCode=code(world, seed)).kind == "AssumedRole"


def test_nobody_uses_another_ones_device(world: World, ann: Caller):
    seed = seed_of(world)
    enable(world, seed)
    bob = world.user("bob")
    world.clock.turn(ms=totp.STEP_MS)
    with pytest.raises(Denied):
        world.sts("GetSessionToken", bob, SerialNumber=SERIAL, TokenCode=code(world, seed))
    with pytest.raises(Denied):
        world.sts("GetSessionToken", ann, TokenCode=code(world, seed))
    with pytest.raises(NoSuchEntity):
        world.ask("DeactivateMFADevice", UserName="bob", SerialNumber=SERIAL)


def test_a_device_that_was_changed_behind_our_back_proves_nothing(world: World, ann: Caller):
    seed = seed_of(world)
    enable(world, seed)
    world.clock.turn(ms=totp.STEP_MS)
    world.sts("GetSessionToken", ann, SerialNumber=SERIAL, TokenCode=code(world, seed))
    assert world.forge("UPDATE iam_mfa_device SET last_step = 0") == 1
    with pytest.raises(Unsealable):
        world.sts("GetSessionToken", ann, SerialNumber=SERIAL, TokenCode=code(world, seed))


def test_devices_are_named_once_and_carry_tags(world: World):
    seed_of(world)
    with pytest.raises(EntityAlreadyExists, match=r"^MFA device already exists\.$"):
        world.ask("CreateVirtualMFADevice", VirtualMFADeviceName="phone")
    with pytest.raises(ValidationError, match=r"^The specified value for path is invalid\."):
        world.ask("CreateVirtualMFADevice", VirtualMFADeviceName="x", Path="no")
    world.ask("TagMFADevice", SerialNumber=SERIAL, Tags=[{"Key": "a", "Value": "b"}, {"Key": "c", "Value": "d"}])
    world.ask("UntagMFADevice", SerialNumber=SERIAL, TagKeys=["a"])
    assert world.ask("ListMFADeviceTags", SerialNumber=SERIAL)["Tags"] == [{"Key": "c", "Value": "d"}]


def test_a_device_is_synchronised_anew_by_two_codes(world: World, ann: Caller):
    seed = seed_of(world)
    enable(world, seed)
    codes: dict[str, Any] = {"AuthenticationCode1": code(world, seed, 7), "AuthenticationCode2": code(world, seed, 8)}
    world.ask("ResyncMFADevice", UserName="ann", SerialNumber=SERIAL, **codes)
    with pytest.raises(InvalidAuthenticationCode):
        world.ask("ResyncMFADevice", UserName="ann", SerialNumber=SERIAL, **codes)


def test_a_user_with_a_device_stays(world: World):
    world.ask("CreateUser", UserName="bob")
    enable(world, seed_of(world), "bob")
    with pytest.raises(DeleteConflict, match=r"^Cannot delete entity, must delete MFA device first\.$"):
        world.ask("DeleteUser", UserName="bob")
