"""Roles, instance profiles, groups and inline policies."""

import json
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import pytest

from geumgo.errors import AccessDenied
from geumgo.services.iam.errors import (
    DeleteConflict,
    EntityAlreadyExists,
    InvalidInput,
    LimitExceeded,
    MalformedPolicyDocument,
    NoSuchEntity,
    UnmodifiableEntity,
)
from geumgo.services.iam.store import principals
from tests.services.iam.world import ACCOUNT, World, allow, policy, trusting

LAMBDA = trusting({"Service": "lambda.amazonaws.com"}, "sts:AssumeRole")


def test_a_role_is_shown_as_aws_shows_it(world: World):
    made = world.ask("CreateRole", RoleName="app", Path="/svc/", AssumeRolePolicyDocument=LAMBDA, Description="d")[
        "Role"
    ]
    assert "MaxSessionDuration" not in made
    shown = world.ask("GetRole", RoleName="app")["Role"]
    assert (shown["MaxSessionDuration"], shown["RoleLastUsed"], shown["Description"]) == (3600, {}, "d")
    assert unquote(shown["AssumeRolePolicyDocument"]) == LAMBDA
    assert shown["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/svc/app"
    assert shown["RoleId"].startswith("AROA")
    listed = world.ask("ListRoles", PathPrefix="/svc/")["Roles"]
    assert "RoleLastUsed" not in listed[0]


def test_what_an_update_does_not_name_stays(world: World):
    world.role("app", LAMBDA, Description="d")
    world.ask("UpdateRole", RoleName="app", MaxSessionDuration=7200)
    world.ask("UpdateRole", RoleName="app")
    shown = world.ask("GetRole", RoleName="app")["Role"]
    assert (shown["Description"], shown["MaxSessionDuration"]) == ("d", 7200)
    answer = world.ask("UpdateRoleDescription", RoleName="app", Description="e")["Role"]
    assert (answer["Description"], "MaxSessionDuration" in answer) == ("e", False)


def test_a_trust_policy_names_people_by_arn_and_means_them_by_id(world: World):
    ann = world.user("ann")
    document = trusting({"AWS": [ann.arn, ACCOUNT]})
    world.role("app", document)
    shown = json.loads(unquote(world.ask("GetRole", RoleName="app")["Role"]["AssumeRolePolicyDocument"]))
    assert shown["Statement"][0]["Principal"]["AWS"] == [ann.arn, ACCOUNT]
    world.ask("UpdateUser", UserName="ann", NewUserName="anna")
    shown = json.loads(unquote(world.ask("GetRole", RoleName="app")["Role"]["AssumeRolePolicyDocument"]))
    assert shown["Statement"][0]["Principal"]["AWS"][0] == f"arn:aws:iam::{ACCOUNT}:user/anna"


TRUST_REFUSALS = [
    ("{", "This policy contains invalid Json"),
    (
        policy({"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole", "Resource": "*"}),
        "Has prohibited field Resource",
    ),
    (
        policy({"Effect": "Deny", "NotPrincipal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}),
        "Has prohibited field NotPrincipal",
    ),
    (
        trusting({"AWS": f"arn:aws:iam::{ACCOUNT}:user/none"}),
        f'Invalid principal in policy: "AWS":"arn:aws:iam::{ACCOUNT}:user/none"',
    ),
    (
        trusting({"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/x.example"}),
        f'Invalid principal in policy: "Federated":"arn:aws:iam::{ACCOUNT}:oidc-provider/x.example"',
    ),
]


@pytest.mark.parametrize(("document", "sentence"), TRUST_REFUSALS)
def test_a_trust_policy_that_is_none_is_refused(world: World, document: str, sentence: str):
    asked: list[tuple[str, dict[str, Any]]] = [
        ("CreateRole", {"RoleName": "new", "AssumeRolePolicyDocument": document}),
        ("UpdateAssumeRolePolicy", {"RoleName": "app", "PolicyDocument": document}),
    ]
    for operation, params in asked:
        if operation == "UpdateAssumeRolePolicy":
            world.role("app", LAMBDA)
        with pytest.raises(MalformedPolicyDocument) as refusal:
            world.ask(operation, **params)
        assert refusal.value.message == sentence


def test_a_trust_policy_that_was_stored_with_a_not_principal_goes_on_denying(world: World):
    ann, bob = world.user("ann", allow("sts:AssumeRole")), world.user("bob", allow("sts:AssumeRole"))
    old = policy(
        {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"},
        {"Effect": "Deny", "NotPrincipal": {"AWS": [ann.unique_id, ACCOUNT]}, "Action": "sts:AssumeRole"},
    )
    arn = world.role("app", trusting({"AWS": ACCOUNT}))
    world.assume(arn, bob)
    with world.storage.writing() as tx:
        role = principals.by_name(tx, world.sealing, ACCOUNT, "role", "app")
        assert role is not None
        principals.save(tx, world.sealing, replace(role, trust=old))
    world.assume(arn, ann)
    with pytest.raises(AccessDenied, match="with an explicit deny in the role trust policy"):
        world.assume(arn, bob)
    everything = world.ask("CreatePolicy", PolicyName="all", PolicyDocument=allow("*"))["Policy"]["Arn"]
    world.ask("PutUserPermissionsBoundary", UserName="ann", PermissionsBoundary=everything)
    with pytest.raises(AccessDenied, match="with an explicit deny in the role trust policy"):
        world.assume(arn, ann)
    shown = unquote(world.ask("GetRole", RoleName="app")["Role"]["AssumeRolePolicyDocument"])
    with pytest.raises(MalformedPolicyDocument, match="Has prohibited field NotPrincipal"):
        world.ask("UpdateAssumeRolePolicy", RoleName="app", PolicyDocument=shown)


def test_a_role_with_something_left_on_it_stays(world: World):
    world.role("app", LAMBDA, allow("iam:ListUsers"))
    arn = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    world.ask("AttachRolePolicy", RoleName="app", PolicyArn=arn)
    world.ask("CreateInstanceProfile", InstanceProfileName="box")
    world.ask("AddRoleToInstanceProfile", InstanceProfileName="box", RoleName="app")
    takings: list[tuple[str, str, dict[str, Any]]] = [
        (
            "must remove roles from instance profile first",
            "RemoveRoleFromInstanceProfile",
            {"InstanceProfileName": "box"},
        ),
        ("must detach all policies first", "DetachRolePolicy", {"PolicyArn": arn}),
        ("must delete policies first", "DeleteRolePolicy", {"PolicyName": "p0"}),
    ]
    for sentence, operation, params in takings:
        with pytest.raises(DeleteConflict, match=rf"^Cannot delete entity, {sentence}\.$"):
            world.ask("DeleteRole", RoleName="app")
        world.ask(operation, RoleName="app", **params)
    world.ask("DeleteRole", RoleName="app")
    with pytest.raises(NoSuchEntity, match=r"^The role with name app cannot be found\.$"):
        world.ask("GetRole", RoleName="app")


def test_inline_policies_are_kept_as_they_were_written(world: World):
    text = '{ "Version": "2012-10-17",\n "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"} }'
    world.role("app", LAMBDA)
    world.ask("PutRolePolicy", RoleName="app", PolicyName="p", PolicyDocument=text)
    shown = world.ask("GetRolePolicy", RoleName="app", PolicyName="p")
    assert unquote(shown["PolicyDocument"]) == text
    assert " " not in shown["PolicyDocument"]
    assert world.ask("ListRolePolicies", RoleName="app")["PolicyNames"] == ["p"]
    with pytest.raises(NoSuchEntity, match=r"^The role policy with name q cannot be found\.$"):
        world.ask("DeleteRolePolicy", RoleName="app", PolicyName="q")


def test_inline_policies_of_one_owner_have_a_size_together(world: World):
    world.ask("CreateUser", UserName="ann")
    half = allow("iam:" + "x" * 1100)
    world.ask("PutUserPolicy", UserName="ann", PolicyName="a", PolicyDocument=half)
    world.ask("PutUserPolicy", UserName="ann", PolicyName="a", PolicyDocument=half)
    with pytest.raises(LimitExceeded, match=r"^Maximum policy size of 2048 bytes exceeded for user ann$"):
        world.ask("PutUserPolicy", UserName="ann", PolicyName="b", PolicyDocument=half)


def test_ten_policies_may_be_attached(world: World):
    world.ask("CreateUser", UserName="ann")
    arn = ""
    for number in range(11):
        arn = world.ask("CreatePolicy", PolicyName=f"p{number}", PolicyDocument=allow("iam:ListUsers"))["Policy"]["Arn"]
        if number < 10:
            world.ask("AttachUserPolicy", UserName="ann", PolicyArn=arn)
    with pytest.raises(LimitExceeded, match=r"^Cannot exceed quota for PoliciesPerUser: 10$"):
        world.ask("AttachUserPolicy", UserName="ann", PolicyArn=arn)
    first = world.ask("ListAttachedUserPolicies", UserName="ann", MaxItems=4)
    assert (len(first["AttachedPolicies"]), first["IsTruncated"]) == (4, True)


def test_putting_a_role_into_a_profile_hands_it_over(world: World):
    world.role("app", LAMBDA)
    world.ask("CreateInstanceProfile", InstanceProfileName="box", Tags=[{"Key": "a", "Value": "b"}])
    ann = world.user("ann", allow("iam:AddRoleToInstanceProfile"))
    with pytest.raises(AccessDenied, match=f"iam:PassRole on resource: arn:aws:iam::{ACCOUNT}:role/app"):
        world.ask("AddRoleToInstanceProfile", ann, InstanceProfileName="box", RoleName="app")
    world.ask("AddRoleToInstanceProfile", InstanceProfileName="box", RoleName="app")
    with pytest.raises(LimitExceeded, match=r"^Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1$"):
        world.ask("AddRoleToInstanceProfile", InstanceProfileName="box", RoleName="app")
    shown = world.ask("GetInstanceProfile", InstanceProfileName="box")["InstanceProfile"]
    assert [role["RoleName"] for role in shown["Roles"]] == ["app"]
    assert shown["Tags"] == [{"Key": "a", "Value": "b"}]
    assert len(world.ask("ListInstanceProfilesForRole", RoleName="app")["InstanceProfiles"]) == 1
    with pytest.raises(DeleteConflict):
        world.ask("DeleteInstanceProfile", InstanceProfileName="box")
    world.ask("RemoveRoleFromInstanceProfile", InstanceProfileName="box", RoleName="app")
    world.ask("TagInstanceProfile", InstanceProfileName="box", Tags=[{"Key": "c", "Value": "d"}])
    world.ask("UntagInstanceProfile", InstanceProfileName="box", TagKeys=["a"])
    assert world.ask("ListInstanceProfileTags", InstanceProfileName="box")["Tags"] == [{"Key": "c", "Value": "d"}]
    world.ask("DeleteInstanceProfile", InstanceProfileName="box")
    with pytest.raises(NoSuchEntity, match=r"^Instance Profile box cannot be found\.$"):
        world.ask("GetInstanceProfile", InstanceProfileName="box")


def test_a_service_linked_role_belongs_to_its_service(world: World):
    made = world.ask("CreateServiceLinkedRole", AWSServiceName="rds.amazonaws.com")["Role"]
    assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/rds.amazonaws.com/AWSServiceRoleForRDS"
    name = made["RoleName"]
    asked: list[tuple[str, dict[str, Any]]] = [
        ("PutRolePolicy", {"PolicyName": "p", "PolicyDocument": allow("*")}),
        ("AttachRolePolicy", {"PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}),
        ("UpdateAssumeRolePolicy", {"PolicyDocument": trusting({"AWS": ACCOUNT})}),
        ("UpdateRole", {}),
        ("DeleteRole", {}),
    ]
    for operation, params in asked:
        with pytest.raises(UnmodifiableEntity):
            world.ask(operation, RoleName=name, **params)
    with pytest.raises(InvalidInput):
        world.ask("CreateServiceLinkedRole", AWSServiceName="rds.amazonaws.com")
    with pytest.raises(InvalidInput):
        world.ask("CreateServiceLinkedRole", AWSServiceName="unheard-of.amazonaws.com")
    task = world.ask("DeleteServiceLinkedRole", RoleName=name)["DeletionTaskId"]
    assert world.ask("GetServiceLinkedRoleDeletionStatus", DeletionTaskId=task) == {"Status": "SUCCEEDED"}
    with pytest.raises(NoSuchEntity):
        world.ask("GetRole", RoleName=name)


def test_nobody_makes_a_role_where_those_of_services_are(world: World):
    with pytest.raises(InvalidInput):
        world.ask(
            "CreateRole", RoleName="x", Path="/aws-service-role/rds.amazonaws.com/", AssumeRolePolicyDocument=LAMBDA
        )


def test_tags_of_roles_come_and_go(world: World):
    world.role("app", LAMBDA, Tags=[{"Key": "a", "Value": ""}])
    world.ask("TagRole", RoleName="app", Tags=[{"Key": "b", "Value": "2"}])
    world.ask("UntagRole", RoleName="app", TagKeys=["a"])
    assert world.ask("ListRoleTags", RoleName="app")["Tags"] == [{"Key": "b", "Value": "2"}]
    tags = [{"Key": f"k{number}", "Value": ""} for number in range(50)]
    with pytest.raises(LimitExceeded, match=r"^The number of tags has reached the maximum limit\.$"):
        world.ask("TagRole", RoleName="app", Tags=tags)
    with pytest.raises(
        InvalidInput, match=r"^Duplicate tag keys found\. Please note that Tag keys are case insensitive\.$"
    ):
        world.ask("TagRole", RoleName="app", Tags=[{"Key": "x", "Value": ""}, {"Key": "X", "Value": ""}])


def test_a_boundary_is_put_on_and_taken_off(world: World):
    arn = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    world.role("app", LAMBDA)
    world.ask("PutRolePermissionsBoundary", RoleName="app", PermissionsBoundary=arn)
    assert world.ask("GetRole", RoleName="app")["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"] == arn
    world.ask("DeleteRolePermissionsBoundary", RoleName="app")
    assert "PermissionsBoundary" not in world.ask("GetRole", RoleName="app")["Role"]


def test_groups_are_made_renamed_listed_and_removed(world: World):
    made = world.ask("CreateGroup", GroupName="devs", Path="/x/")["Group"]
    assert made["GroupId"].startswith("AGPA")
    with pytest.raises(EntityAlreadyExists, match=r"^Group with name Devs already exists\.$"):
        world.ask("CreateGroup", GroupName="Devs")
    world.ask("UpdateGroup", GroupName="devs", NewGroupName="team", NewPath="/y/")
    assert world.ask("ListGroups", PathPrefix="/y/")["Groups"][0]["GroupId"] == made["GroupId"]
    world.ask("CreateUser", UserName="ann")
    world.ask("AddUserToGroup", GroupName="team", UserName="ann")
    assert [user["UserName"] for user in world.ask("GetGroup", GroupName="team")["Users"]] == ["ann"]
    assert [group["GroupName"] for group in world.ask("ListGroupsForUser", UserName="ann")["Groups"]] == ["team"]
    with pytest.raises(DeleteConflict, match=r"^Cannot delete entity, must remove users from group first\.$"):
        world.ask("DeleteGroup", GroupName="team")
    world.ask("RemoveUserFromGroup", GroupName="team", UserName="ann")
    world.ask("DeleteGroup", GroupName="team")
    with pytest.raises(NoSuchEntity, match=r"^The group with name team cannot be found\.$"):
        world.ask("GetGroup", GroupName="team")


def test_who_may_rename_one_user_only_to_one_name_does_no_more(world: World):
    names = [f"arn:aws:iam::{ACCOUNT}:user/b1", f"arn:aws:iam::{ACCOUNT}:user/b2"]
    ann = world.user("ann", allow("iam:UpdateUser", resource=names))
    world.ask("CreateUser", UserName="b1")
    with pytest.raises(AccessDenied):
        world.ask("UpdateUser", ann, UserName="b1", NewUserName="b3")
    with pytest.raises(AccessDenied):
        world.ask("UpdateUser", ann, UserName="b1", NewPath="/p/")
    world.ask("UpdateUser", ann, UserName="b1", NewUserName="b2")
