"""Managed policies: AWS's own, and those of the account."""

import json
from urllib.parse import unquote

import pytest

from geumgo.domain.policy import PolicyKind, compile_policy
from geumgo.errors import AccessDenied
from geumgo.services.iam import builtin
from geumgo.services.iam.errors import (
    DeleteConflict,
    EntityAlreadyExists,
    LimitExceeded,
    MalformedPolicyDocument,
    NoSuchEntity,
    ValidationError,
)
from tests.services.iam.world import ACCOUNT, World, allow

ARN = f"arn:aws:iam::{ACCOUNT}:policy/p"
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


@pytest.mark.parametrize("policy", builtin.every(), ids=lambda policy: policy.name)
def test_awss_policies_are_valid_and_complete(policy):
    version = builtin.version(policy.id)
    assert version is not None
    compile_policy(version.document, PolicyKind.IDENTITY)
    assert policy.path.startswith("/")
    assert policy.path.endswith("/")
    assert policy.description
    assert len(policy.id) == 21


def test_awss_policies_can_be_read_and_attached_but_not_changed(world: World):
    shown = world.ask("GetPolicy", PolicyArn=ADMINISTRATOR)["Policy"]
    assert shown["AttachmentCount"] == 1
    version = world.ask("GetPolicyVersion", PolicyArn=ADMINISTRATOR, VersionId=shown["DefaultVersionId"])[
        "PolicyVersion"
    ]
    assert json.loads(unquote(version["Document"]))["Statement"][0]["Action"] == "*"
    for operation, more in (
        ("DeletePolicy", {}),
        ("CreatePolicyVersion", {"PolicyDocument": allow("*")}),
        ("TagPolicy", {"Tags": [{"Key": "a", "Value": "b"}]}),
    ):
        with pytest.raises(AccessDenied):
            world.ask(operation, PolicyArn=ADMINISTRATOR, **more)


def test_a_new_default_version_counts_at_once(world: World):
    world.ask("CreatePolicy", PolicyName="p", PolicyDocument=allow("iam:ListUsers"))
    ann = world.user("ann")
    world.ask("AttachUserPolicy", UserName="ann", PolicyArn=ARN)
    assert world.may(ann, "ListUsers")
    world.ask("CreatePolicyVersion", PolicyArn=ARN, PolicyDocument=allow("iam:ListRoles"), SetAsDefault=True)
    assert not world.may(ann, "ListUsers")
    assert world.may(ann, "ListRoles")
    world.ask("SetDefaultPolicyVersion", PolicyArn=ARN, VersionId="v1")
    assert world.may(ann, "ListUsers")


def test_five_versions_fit_and_numbers_never_come_back(world: World):
    world.ask("CreatePolicy", PolicyName="p", PolicyDocument=allow("iam:ListUsers"))
    for _ in range(4):
        world.ask("CreatePolicyVersion", PolicyArn=ARN, PolicyDocument=allow("iam:ListUsers"))
    with pytest.raises(
        LimitExceeded, match=r"^A managed policy can have up to 5 versions. Before you create a new version,"
    ):
        world.ask("CreatePolicyVersion", PolicyArn=ARN, PolicyDocument=allow("iam:ListUsers"))
    world.ask("DeletePolicyVersion", PolicyArn=ARN, VersionId="v5")
    made = world.ask("CreatePolicyVersion", PolicyArn=ARN, PolicyDocument=allow("iam:ListUsers"))["PolicyVersion"]
    assert (made["VersionId"], made["IsDefaultVersion"]) == ("v6", False)
    listed = world.ask("ListPolicyVersions", PolicyArn=ARN)["Versions"]
    assert [version["VersionId"] for version in listed] == ["v6", "v4", "v3", "v2", "v1"]


def test_a_policy_in_use_is_not_deleted(world: World):
    world.ask("CreatePolicy", PolicyName="p", PolicyDocument=allow("iam:ListUsers"))
    world.user("ann", PermissionsBoundary=ARN)
    with pytest.raises(DeleteConflict, match=r"^Cannot delete a policy attached to entities.$"):
        world.ask("DeletePolicy", PolicyArn=ARN)
    world.ask("DeleteUserPermissionsBoundary", UserName="ann")
    world.ask("CreatePolicyVersion", PolicyArn=ARN, PolicyDocument=allow("iam:ListUsers"))
    with pytest.raises(DeleteConflict, match=r"^This policy has more than one version."):
        world.ask("DeletePolicy", PolicyArn=ARN)
    with pytest.raises(DeleteConflict, match=r"^Cannot delete the default version of a policy.$"):
        world.ask("DeletePolicyVersion", PolicyArn=ARN, VersionId="v1")
    world.ask("DeletePolicyVersion", PolicyArn=ARN, VersionId="v2")
    world.ask("DeletePolicy", PolicyArn=ARN)
    with pytest.raises(NoSuchEntity, match=f"^Policy {ARN} was not found.$"):
        world.ask("GetPolicy", PolicyArn=ARN)


def test_who_holds_a_policy_is_found_from_the_policy(world: World):
    world.ask("CreatePolicy", PolicyName="p", PolicyDocument=allow("iam:ListUsers"))
    world.user("ann")
    world.user("bob", PermissionsBoundary=ARN)
    world.ask("CreateGroup", GroupName="devs")
    world.ask("AttachUserPolicy", UserName="ann", PolicyArn=ARN)
    world.ask("AttachGroupPolicy", GroupName="devs", PolicyArn=ARN)
    found = world.ask("ListEntitiesForPolicy", PolicyArn=ARN)
    assert [user["UserName"] for user in found["PolicyUsers"]] == ["ann", "bob"]
    assert [group["GroupName"] for group in found["PolicyGroups"]] == ["devs"]
    bounded = world.ask("ListEntitiesForPolicy", PolicyArn=ARN, PolicyUsageFilter="PermissionsBoundary")
    assert [user["UserName"] for user in bounded["PolicyUsers"]] == ["bob"]
    only_groups = world.ask("ListEntitiesForPolicy", PolicyArn=ARN, EntityFilter="Group")
    assert (only_groups["PolicyUsers"], len(only_groups["PolicyGroups"])) == ([], 1)
    shown = world.ask("GetPolicy", PolicyArn=ARN)["Policy"]
    assert (shown["AttachmentCount"], shown["PermissionsBoundaryUsageCount"]) == (2, 1)


def test_policies_are_listed_by_scope(world: World):
    world.ask("CreatePolicy", PolicyName="p", PolicyDocument=allow("iam:ListUsers"), Path="/a/")
    assert [each["PolicyName"] for each in world.ask("ListPolicies", Scope="Local")["Policies"]] == ["p"]
    assert len(world.ask("ListPolicies", Scope="AWS", MaxItems=1000)["Policies"]) == len(builtin.every())
    attached = world.ask("ListPolicies", OnlyAttached=True)["Policies"]
    assert [each["PolicyName"] for each in attached] == ["AdministratorAccess"]
    assert world.ask("ListPolicies", PathPrefix="/a/")["Policies"][0]["Path"] == "/a/"


def test_tag_keys_of_managed_policies_differ_in_case(world: World):
    tags = [{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}]
    world.ask("CreatePolicy", PolicyName="p", PolicyDocument=allow("iam:ListUsers"), Tags=tags)
    world.ask("UntagPolicy", PolicyArn=ARN, TagKeys=["a"])
    assert world.ask("ListPolicyTags", PolicyArn=ARN)["Tags"] == [{"Key": "A", "Value": "2"}]


REFUSALS = [
    (
        "AttachUserPolicy",
        {"UserName": "admin", "PolicyArn": ARN},
        NoSuchEntity,
        f"Policy {ARN} does not exist or is not attachable.",
    ),
    (
        "AttachUserPolicy",
        {"UserName": "admin", "PolicyArn": "longpolicynamebutnoarn"},
        ValidationError,
        "ARN longpolicynamebutnoarn is not valid.",
    ),
    ("DetachUserPolicy", {"UserName": "admin", "PolicyArn": ARN}, NoSuchEntity, f"Policy {ARN} was not found."),
    (
        "GetPolicyVersion",
        {"PolicyArn": ARN, "VersionId": "v1"},
        NoSuchEntity,
        f"Policy {ARN} version v1 does not exist or is not attachable.",
    ),
    (
        "GetPolicyVersion",
        {"PolicyArn": ADMINISTRATOR, "VersionId": "v9"},
        NoSuchEntity,
        f"Policy {ADMINISTRATOR} version v9 does not exist or is not attachable.",
    ),
    ("CreatePolicy", {"PolicyName": "q", "PolicyDocument": "{"}, MalformedPolicyDocument, "Syntax errors in policy."),
    (
        "CreatePolicy",
        {"PolicyName": "q", "PolicyDocument": allow("iam:" + "x" * 6144)},
        LimitExceeded,
        "Cannot exceed quota for PolicySize: 6144",
    ),
]


@pytest.mark.parametrize(("operation", "params", "kind", "sentence"), REFUSALS)
def test_refusals_are_in_awss_words(world: World, operation, params, kind, sentence):
    with pytest.raises(kind) as refusal:
        world.ask(operation, **params)
    assert refusal.value.message == sentence


def test_a_policy_of_that_name_is_there_already(world: World):
    world.ask("CreatePolicy", PolicyName="p", PolicyDocument=allow("iam:ListUsers"))
    with pytest.raises(
        EntityAlreadyExists, match=r"^A policy called P already exists. Duplicate names are not allowed.$"
    ):
        world.ask("CreatePolicy", PolicyName="P", PolicyDocument=allow("iam:ListUsers"))


def test_a_policy_of_another_account_is_not_found(world: World):
    other = f"arn:aws:iam::{'9' * 12}:policy/p"
    with pytest.raises(NoSuchEntity):
        world.ask("AttachUserPolicy", UserName="admin", PolicyArn=other)
