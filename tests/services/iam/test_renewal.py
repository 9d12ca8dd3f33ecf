"""A root key is replaced under living identities."""

from typing import Any

import pytest

from geumgo.renewal import renew_all
from geumgo.sealing import Unsealable, random
from geumgo.sealing.root import RootKeys
from geumgo.services.iam.renewal import RENEWALS
from tests.services.iam.world import ACCOUNT, World, allow, trusting


def furnished(world: World) -> None:
    """Every table of the room has a row."""
    world.ask("CreatePolicy", PolicyName="p", PolicyDocument=allow("iam:ListUsers"))
    world.user("ann", allow("iam:ListRoles"))
    world.ask("AttachUserPolicy", UserName="ann", PolicyArn=f"arn:aws:iam::{ACCOUNT}:policy/p")
    world.ask("CreateLoginProfile", UserName="ann", Password="Correct-Horse-9")
    world.role("app", trusting({"AWS": ACCOUNT}))
    world.ask("CreateInstanceProfile", InstanceProfileName="box")
    world.ask("CreateOpenIDConnectProvider", Url="https://id.example.com")
    world.ask("CreateVirtualMFADevice", VirtualMFADeviceName="phone")


def test_after_a_renewal_the_old_root_key_is_needed_no_more(world_on_each_engine: World):
    world, second = world_on_each_engine, random.key()
    furnished(world)
    with world.storage.writing() as tx:
        assert renew_all(tx, RootKeys({1: world.root, 2: second}), RENEWALS, 2) > len(RENEWALS)
    alone = World(world.storage, world.clock, RootKeys({2: second}), world.first)
    assert alone.find(world.first.access_key_id) is not None
    assert [user["UserName"] for user in alone.ask("ListUsers")["Users"]] == ["admin", "ann"]
    asked: list[tuple[str, dict[str, Any]]] = [
        ("GetLoginProfile", {"UserName": "ann"}),
        ("GetRole", {"RoleName": "app"}),
        ("GetInstanceProfile", {"InstanceProfileName": "box"}),
        ("GetPolicyVersion", {"PolicyArn": f"arn:aws:iam::{ACCOUNT}:policy/p", "VersionId": "v1"}),
        (
            "GetOpenIDConnectProvider",
            {"OpenIDConnectProviderArn": f"arn:aws:iam::{ACCOUNT}:oidc-provider/id.example.com"},
        ),
        ("ListVirtualMFADevices", {}),
        ("GetAccountSummary", {}),
    ]
    for operation, params in asked:
        assert alone.ask(operation, **params)


def test_a_renewal_does_not_make_a_forged_row_good(world: World):
    furnished(world)
    world.forge("UPDATE iam_principal SET tags = '{\"x\":\"y\"}' WHERE name = 'ann'")
    with pytest.raises(Unsealable), world.storage.writing() as tx:
        renew_all(tx, RootKeys({1: world.root, 2: random.key()}), RENEWALS, 2)
