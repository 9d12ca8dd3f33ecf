"""Input of ill will is refused like any other, and never becomes a fault of ours."""

import contextlib
import json
from typing import Any

import pytest

from geumgo import protocol
from geumgo.errors import ServiceError
from geumgo.services.iam import domain
from geumgo.services.iam.errors import InvalidInput
from tests.services.iam.world import ACCOUNT, ROOMS, World, allow, policy, trusting

NASTY = [
    "\0",
    "a\0b",
    "../x",
    "%00",
    "x" * 1500,
    "\u202e",
    "a\nb",
    "'; DROP TABLE iam_principal; --",
    "{}",
    "*",
    "${aws:username}",
    "é",
]
OPEN_MEMBERS = {
    "PolicyArn": f"arn:aws:iam::{ACCOUNT}:policy/",
    "PermissionsBoundary": f"arn:aws:iam::{ACCOUNT}:policy/",
    "OpenIDConnectProviderArn": f"arn:aws:iam::{ACCOUNT}:oidc-provider/",
    "PolicySourceArn": f"arn:aws:iam::{ACCOUNT}:user/",
    "DeletionTaskId": "task/aws-service-role/",
    "Url": "https://id.example.com/",
    "ClientID": "",
    "Marker": "",
}


@pytest.mark.parametrize("nasty", NASTY)
@pytest.mark.parametrize("member", OPEN_MEMBERS)
def test_a_member_without_a_pattern_takes_nothing_nasty(world: World, member: str, nasty: str):
    """Wherever the model has no pattern for a member, the room is on its own."""
    model = protocol.models.load("iam")
    usual: dict[str, Any] = {
        "UserName": "admin",
        "ActionNames": ["s3:Get"],
        "VersionId": "v1",
        "PolicyDocument": policy(),
        "ThumbprintList": [],
        "Tags": [],
        "TagKeys": [],
    }
    for name in ROOMS["iam"].operations:
        shape = model.operations[name].input
        if shape is None or member not in shape.members:
            continue
        given: dict[str, Any] = {each: usual[each] for each in shape.required if each in usual}
        given[member] = OPEN_MEMBERS[member] + nasty
        if not set(shape.required) <= given.keys():
            continue
        with contextlib.suppress(ServiceError):  # refused or not, but never a fault
            world.ask(name, **given)


@pytest.mark.parametrize("name", ["", "a/b", "a b", "\0", "ä", "a:b"])
def test_an_arn_with_an_impossible_name_is_no_arn(name: str):
    assert domain.parse_iam_arn(f"arn:aws:iam::{ACCOUNT}:user/x/{name}".replace("a/b", "a//\0"), "user") is None


def test_a_trust_policy_survives_pinning_to_the_last_digit(world: World):
    ann = world.user("ann")
    condition = {"NumericLessThan": {"aws:MultiFactorAuthAge": 123456789012345678901234567890}}
    arn = world.role("app", trusting({"AWS": ann.arn}, Condition=condition))
    with world.storage.reading() as tx:
        found = world.directory.role(tx, arn)
    assert found is not None
    kept = json.loads(found.trust.document)["Statement"][0]["Condition"]
    assert str(kept["NumericLessThan"]["aws:MultiFactorAuthAge"]) == "123456789012345678901234567890"
    assert ann.unique_id in found.trust.document


@pytest.mark.parametrize(
    "wrong",
    [
        {"ResourceOwner": "nobody"},
        {"ResourceOwner": "arn:aws:s3:::x"},
        {"ContextEntries": [{"ContextKeyType": "string"}]},
    ],
)
def test_a_simulation_with_circumstances_that_mean_nothing_is_refused(world: World, wrong: dict[str, Any]):
    with pytest.raises(InvalidInput):
        world.ask("SimulateCustomPolicy", PolicyInputList=[allow("s3:Get*")], ActionNames=["s3:GetObject"], **wrong)
