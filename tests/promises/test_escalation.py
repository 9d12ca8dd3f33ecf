"""Nobody raises his own rights with IAM and STS. Each attempt has a twin that is honest and succeeds."""

import base64
from collections.abc import Callable
from typing import Any

import pytest

from tests.house import House, Key
from tests.promises.tricks import (
    UNKNOWN,
    allow,
    delete_role,
    delete_user,
    deny,
    document,
    make_role,
    refused,
    session,
    trusts,
    user_arn,
)

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
EVERYTHING = document(allow("*"))

# -- giving oneself more ------------------------------------------------------------------------------------------------

GIVES: dict[str, Callable[[Any, str], Any]] = {
    "iam:AttachUserPolicy": lambda iam, _: iam.attach_user_policy(UserName="eve", PolicyArn=ADMINISTRATOR),
    "iam:PutUserPolicy": lambda iam, _: iam.put_user_policy(
        UserName="eve", PolicyName="more", PolicyDocument=EVERYTHING
    ),
    "iam:AddUserToGroup": lambda iam, _: iam.add_user_to_group(GroupName="admins", UserName="eve"),
    "iam:PutGroupPolicy": lambda iam, _: iam.put_group_policy(
        GroupName="staff", PolicyName="more", PolicyDocument=EVERYTHING
    ),
    "iam:AttachGroupPolicy": lambda iam, _: iam.attach_group_policy(GroupName="staff", PolicyArn=ADMINISTRATOR),
    "iam:CreatePolicyVersion": lambda iam, account: iam.create_policy_version(
        PolicyArn=f"arn:aws:iam::{account}:policy/own", PolicyDocument=EVERYTHING, SetAsDefault=True
    ),
    "iam:SetDefaultPolicyVersion": lambda iam, account: iam.set_default_policy_version(
        PolicyArn=f"arn:aws:iam::{account}:policy/own", VersionId="v2"
    ),
    "iam:CreateAccessKey": lambda iam, _: iam.create_access_key(UserName="admin"),
    "iam:CreateLoginProfile": lambda iam, _: iam.create_login_profile(UserName="admin", Password="Correct-horse-7"),
    "iam:UpdateAssumeRolePolicy": lambda iam, account: iam.update_assume_role_policy(
        RoleName="admin-role", PolicyDocument=trusts(f"arn:aws:iam::{account}:user/eve")
    ),
    "iam:PutRolePolicy": lambda iam, _: iam.put_role_policy(
        RoleName="own-role", PolicyName="more", PolicyDocument=EVERYTHING
    ),
    "iam:AttachRolePolicy": lambda iam, _: iam.attach_role_policy(RoleName="own-role", PolicyArn=ADMINISTRATOR),
    "iam:UpdateUser": lambda iam, _: iam.update_user(UserName="eve", NewUserName="admin2"),
}


def eve_with(house: House, *actions: str) -> Any:
    """An IAM client of a user in a group, with a policy of two versions, and with just these actions."""
    iam = house.client("iam")
    for group in ("admins", "staff"):
        iam.create_group(GroupName=group)
    iam.attach_group_policy(GroupName="admins", PolicyArn=ADMINISTRATOR)
    own = iam.create_policy(PolicyName="own", PolicyDocument=document(allow("kms:ListKeys")))["Policy"]["Arn"]
    iam.create_policy_version(PolicyArn=own, PolicyDocument=EVERYTHING)
    for role in ("admin-role", "own-role"):
        make_role(house, role, trusts(user_arn(house, "admin")))
    key = house.user("eve", allow(*actions))
    iam.add_user_to_group(GroupName="staff", UserName="eve")
    iam.attach_user_policy(UserName="eve", PolicyArn=own)
    return house.client("iam", key)


@pytest.mark.parametrize("action", GIVES)
def test_a_user_cannot_give_himself_more(house: House, action: str) -> None:
    with refused():
        GIVES[action](eve_with(house, "kms:ListKeys"), house.account)


@pytest.mark.parametrize("action", GIVES)
def test_every_neighbouring_permission_is_not_enough_either(house: House, action: str) -> None:
    """All of the other ways together do not open this one: what it needs is its own action."""
    others = tuple(other for other in GIVES if other != action)
    with refused():
        GIVES[action](eve_with(house, *others), house.account)


@pytest.mark.parametrize("action", GIVES)
def test_who_holds_the_permission_may(house: House, action: str) -> None:
    GIVES[action](eve_with(house, action), house.account)


def test_a_right_on_oneself_is_no_right_on_others(house: House) -> None:
    own = f"arn:aws:iam::{house.account}:user/${{aws:username}}"
    eve = house.user("eve", allow("iam:CreateAccessKey", "iam:PutUserPolicy", on=own))
    iam = house.client("iam", eve)
    iam.create_access_key(UserName="eve")
    for name in ("admin", "ADMIN", "Eve2"):
        with refused():
            iam.create_access_key(UserName=name)
        with refused():
            iam.put_user_policy(UserName=name, PolicyName="x", PolicyDocument=EVERYTHING)


def test_a_role_is_handed_on_only_with_the_right_to_pass_it(house: House) -> None:
    make_role(house, "strong", trusts({"Service": "ec2.amazonaws.com"}, "sts:AssumeRole"), allow("*"))
    house.client("iam").create_instance_profile(InstanceProfileName="profile")
    add = allow("iam:AddRoleToInstanceProfile")
    eve = house.user("eve", add)
    elsewhere = house.user(
        "elsewhere",
        add,
        allow("iam:PassRole", Condition={"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}),
    )
    honest = house.user(
        "honest", add, allow("iam:PassRole", Condition={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}})
    )
    for key in (eve, elsewhere):
        with refused():
            house.client("iam", key).add_role_to_instance_profile(InstanceProfileName="profile", RoleName="strong")
    house.client("iam", honest).add_role_to_instance_profile(InstanceProfileName="profile", RoleName="strong")


# -- boundaries ---------------------------------------------------------------------------------------------------------


def bounded(house: House, name: str, *inside: dict[str, Any]) -> Key:
    """A user with every right, inside a boundary."""
    iam = house.client("iam")
    boundary = iam.create_policy(PolicyName=f"{name}-limit", PolicyDocument=document(*inside))["Policy"]["Arn"]
    key = house.user(name, allow("*"))
    iam.put_user_permissions_boundary(UserName=name, PermissionsBoundary=boundary)
    return key


def test_the_bounded_cannot_take_their_boundary_off(house: House) -> None:
    limits = (
        allow("iam:*", "kms:*"),
        deny("iam:DeleteUserPermissionsBoundary", "iam:PutUserPermissionsBoundary", "iam:CreatePolicyVersion"),
    )
    eve = bounded(house, "eve", *limits)
    iam = house.client("iam", eve)
    limit = f"arn:aws:iam::{house.account}:policy/eve-limit"
    for attempt in (
        lambda: iam.delete_user_permissions_boundary(UserName="eve"),
        lambda: iam.put_user_permissions_boundary(UserName="eve", PermissionsBoundary=ADMINISTRATOR),
        lambda: iam.create_policy_version(PolicyArn=limit, PolicyDocument=EVERYTHING, SetAsDefault=True),
        lambda: house.client("sts", eve).get_federation_token(Name="free", Policy=EVERYTHING),
    ):
        with refused():
            attempt()
    house.client("kms", eve).list_keys()
    house.client("iam").delete_user_permissions_boundary(UserName="eve")
    house.client("sts", eve).get_federation_token(Name="free", Policy=EVERYTHING)


def test_a_boundary_that_stands_as_one_cannot_be_deleted(house: House) -> None:
    eve = bounded(house, "eve", allow("iam:*"))
    limit = f"arn:aws:iam::{house.account}:policy/eve-limit"
    with refused("DeleteConflict"):
        house.client("iam", eve).delete_policy(PolicyArn=limit)
    with refused():
        house.client("kms", eve).list_keys()


def test_who_must_set_a_boundary_cannot_make_anybody_without_it(house: House) -> None:
    limit = house.client("iam").create_policy(PolicyName="limit", PolicyDocument=document(allow("kms:*")))["Policy"][
        "Arn"
    ]
    with_it = {"StringEquals": {"iam:PermissionsBoundary": limit}}
    eve = house.user("eve", allow("iam:CreateUser", "iam:CreateRole", "iam:PutUserPolicy", Condition=with_it))
    iam = house.client("iam", eve)
    trust = trusts(user_arn(house, "eve"))
    for attempt in (
        lambda: iam.create_user(UserName="free"),
        lambda: iam.create_user(UserName="free", PermissionsBoundary=ADMINISTRATOR),
        lambda: iam.create_role(RoleName="free", AssumeRolePolicyDocument=trust),
        lambda: iam.put_user_policy(UserName="eve", PolicyName="more", PolicyDocument=EVERYTHING),
    ):
        with refused():
            attempt()
    iam.create_user(UserName="tied", PermissionsBoundary=limit)
    iam.put_user_policy(UserName="tied", PolicyName="more", PolicyDocument=EVERYTHING)
    iam.create_role(RoleName="tied", AssumeRolePolicyDocument=trust, PermissionsBoundary=limit)


def test_a_boundary_and_a_session_policy_grant_nothing(house: House) -> None:
    iam = house.client("iam")
    house_key = house.user("eve")
    iam.put_user_permissions_boundary(UserName="eve", PermissionsBoundary=ADMINISTRATOR)
    with refused():
        house.client("kms", house_key).list_keys()
    reader = make_role(house, "reader", trusts(user_arn(house, "eve")), allow("kms:ListKeys"))
    wide = session(house, house_key, reader, Policy=EVERYTHING)
    house.client("kms", wide).list_keys()
    with refused():
        house.client("kms", wide).create_key()
    with refused():
        house.client("kms", session(house, house_key, reader, Policy=document(allow("kms:CreateKey")))).list_keys()


# -- those who come back under an old name ------------------------------------------------------------------------------


def test_a_trust_policy_means_the_user_whom_it_named_not_his_name(house: House) -> None:
    ann = house.user("ann")
    role = make_role(house, "reader", trusts(user_arn(house, "ann")), allow("kms:ListKeys"))
    house.client("kms", session(house, ann, role)).list_keys()
    delete_user(house, "ann")
    again = house.user("ann", allow("sts:*"))
    with refused():
        session(house, again, role)


def test_a_trust_policy_means_the_role_that_it_named_not_its_name(house: House) -> None:
    ann = house.user("ann", allow("sts:AssumeRole"))
    first_trust = trusts(user_arn(house, "ann"))
    first = make_role(house, "first", first_trust, allow("sts:AssumeRole"))
    second = make_role(house, "second", trusts(first))
    session(house, session(house, ann, first), second)
    delete_role(house, "first")
    make_role(house, "first", first_trust, allow("sts:AssumeRole"))
    with refused():
        session(house, session(house, ann, first), second)


def test_a_session_does_not_outlive_its_role_even_if_one_of_the_same_name_comes(house: House) -> None:
    ann = house.user("ann")
    trust = trusts(user_arn(house, "ann"))
    role = make_role(house, "reader", trust, allow("kms:ListKeys"))
    held = session(house, ann, role)
    house.client("kms", held).list_keys()
    delete_role(house, "reader")
    for again in (False, True):
        if again:
            make_role(house, "reader", trust, allow("kms:ListKeys"))
        with refused(*UNKNOWN):
            house.client("kms", held).list_keys()
    house.client("kms", session(house, ann, role)).list_keys()


def test_nothing_of_a_deleted_user_comes_back_with_his_name(house: House) -> None:
    iam = house.client("iam")
    old = house.user("ann", allow("kms:ListKeys"))
    token = house.client("sts", old).get_session_token()["Credentials"]
    held = Key(token["AccessKeyId"], token["SecretAccessKey"], token["SessionToken"])
    house.client("kms", held).list_keys()
    iam.create_group(GroupName="staff")
    iam.put_group_policy(GroupName="staff", PolicyName="p", PolicyDocument=document(allow("kms:ListKeys")))
    iam.add_user_to_group(GroupName="staff", UserName="ann")
    iam.remove_user_from_group(GroupName="staff", UserName="ann")
    delete_user(house, "ann")
    new = house.user("ann")
    for gone in (old, held):
        with refused(*UNKNOWN):
            house.client("kms", gone).list_keys()
    with refused():
        house.client("kms", new).list_keys()


def test_a_policy_made_again_under_its_name_is_attached_to_nobody(house: House) -> None:
    iam = house.client("iam")
    ann = house.user("ann")
    arn = iam.create_policy(PolicyName="p", PolicyDocument=document(allow("kms:ListKeys")))["Policy"]["Arn"]
    iam.attach_user_policy(UserName="ann", PolicyArn=arn)
    house.client("kms", ann).list_keys()
    iam.detach_user_policy(UserName="ann", PolicyArn=arn)
    iam.delete_policy(PolicyArn=arn)
    assert iam.create_policy(PolicyName="p", PolicyDocument=EVERYTHING)["Policy"]["Arn"] == arn
    with refused():
        house.client("kms", ann).list_keys()


# -- tokens -------------------------------------------------------------------------------------------------------------


def test_key_secret_and_token_belong_together(house: House) -> None:
    ann = house.user("ann")
    weak = make_role(house, "weak", trusts(user_arn(house, "ann")))
    strong = make_role(house, "strong", trusts(user_arn(house, "ann")), allow("kms:*"))
    low, high = session(house, ann, weak), session(house, ann, strong)
    house.client("kms", high).list_keys()
    assert low.token is not None
    assert high.token is not None
    spoiled = bytearray(base64.b64decode(high.token))
    spoiled[len(spoiled) // 2] ^= 1
    mixed = (
        Key(low.identity, low.secret, high.token),
        Key(high.identity, low.secret, low.token),
        Key(high.identity, high.secret, low.token),
        Key(high.identity, high.secret, None),
        Key(ann.identity, ann.secret, high.token),
        Key(high.identity, high.secret, base64.b64encode(spoiled).decode()),
        Key(high.identity, high.secret, high.token[:-8]),
        Key(high.identity, high.secret, "x"),
    )
    for key in mixed:
        with refused(*UNKNOWN):
            house.client("kms", key).list_keys()
    with refused("InvalidSignatureException"):
        house.client("kms", Key(high.identity, low.secret, high.token)).list_keys()


def test_the_key_of_get_session_token_opens_no_iam(house: House) -> None:
    made = house.client("sts").get_session_token()["Credentials"]
    held = Key(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])
    house.client("kms", held).list_keys()
    for attempt in (
        lambda: house.client("iam", held).create_user(UserName="more"),
        lambda: house.client("iam", held).list_users(),
    ):
        with refused(*UNKNOWN):
            attempt()
    for attempt in (
        lambda: house.client("sts", held).get_session_token(),
        lambda: house.client("sts", held).get_federation_token(Name="more", Policy=EVERYTHING),
    ):
        with refused():
            attempt()
    house.client("sts", held).get_caller_identity()


def test_sessions_end_when_they_said_they_would(house: House) -> None:
    ann = house.user("ann")
    role = make_role(house, "reader", trusts(user_arn(house, "ann")), allow("kms:ListKeys"))
    held = session(house, ann, role, DurationSeconds=900)
    house.clock.turn(ms=899_000)
    house.client("kms", held).list_keys()
    house.clock.turn(ms=1_000)
    with refused("ExpiredTokenException"):
        house.client("kms", held).list_keys()


def test_a_chained_session_lasts_an_hour_at_most(house: House) -> None:
    """Going round from role to role makes no session long."""
    ann = house.user("ann", allow("sts:AssumeRole"))
    long = {"MaxSessionDuration": 43_200}
    first = make_role(house, "first", trusts(user_arn(house, "ann")), allow("sts:AssumeRole"), **long)
    second = make_role(house, "second", trusts(first), allow("sts:AssumeRole"), **long)
    held = session(house, ann, first, DurationSeconds=43_200)
    with refused("ValidationError"):
        session(house, held, second, DurationSeconds=3_601)
    chained = session(house, held, second, DurationSeconds=3_600)
    house.clock.turn(ms=3_600_000)
    with refused("ExpiredToken"):
        house.client("sts", chained).get_caller_identity()
    house.client("sts", held).get_caller_identity()


# -- tags and variables -------------------------------------------------------------------------------------------------

OWN_TEAM = {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}
OWN_TEAM_LIKE = {"StringLike": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}


@pytest.mark.parametrize("condition", [OWN_TEAM, OWN_TEAM_LIKE])
@pytest.mark.parametrize("tag", ["*", "?", "a*", "${*}", "${aws:ResourceTag/team}", "${aws:PrincipalTag/other}", "A"])
def test_the_value_of_a_tag_is_text_and_never_a_pattern(house: House, condition: dict[str, Any], tag: str) -> None:
    kms = house.client("kms")
    key = kms.create_key(Tags=[{"TagKey": "team", "TagValue": "a"}])["KeyMetadata"]["Arn"]
    ann = house.user("ann")
    role = make_role(house, "worker", trusts(user_arn(house, "ann")), allow("kms:DescribeKey", Condition=condition))
    tags = [{"Key": "team", "Value": "a"}]
    house.client("kms", session(house, ann, role, Tags=tags)).describe_key(KeyId=key)
    with refused("AccessDeniedException", "ValidationError"):  # not every character may stand in a tag
        held = session(house, ann, role, Tags=[{"Key": "team", "Value": tag}, {"Key": "other", "Value": "a"}])
        house.client("kms", held).describe_key(KeyId=key)


@pytest.mark.parametrize("name", ["user", "admin", "*", "a"])
def test_a_user_name_in_a_resource_reaches_only_its_own_path(house: House, name: str) -> None:
    own = allow("iam:GetUser", on=f"arn:aws:iam::{house.account}:user/${{aws:username}}")
    eve = house.user("eve", own)
    house.client("iam", eve).get_user(UserName="eve")
    with refused(*("AccessDenied", "ValidationError")):
        house.client("iam", eve).get_user(UserName=name)


def test_tags_of_a_session_need_the_right_to_tag_it(house: House) -> None:
    house.user("ann")
    ann_key = house.client("iam").create_access_key(UserName="ann")["AccessKey"]
    ann = Key(ann_key["AccessKeyId"], ann_key["SecretAccessKey"])
    role = make_role(house, "worker", trusts(user_arn(house, "ann"), "sts:AssumeRole"))
    with refused():
        session(house, ann, role, Tags=[{"Key": "team", "Value": "a"}])
    session(house, ann, role)


def test_tags_that_travel_on_cannot_be_changed_on_the_way(house: House) -> None:
    ann = house.user("ann")
    first = make_role(house, "first", trusts(user_arn(house, "ann")), allow("sts:*"))
    second = make_role(house, "second", trusts(first))
    held = session(house, ann, first, Tags=[{"Key": "team", "Value": "a"}], TransitiveTagKeys=["team"])
    for key in ("team", "TEAM"):
        with refused("InvalidParameterValue"):
            session(house, held, second, Tags=[{"Key": key, "Value": "b"}])
    session(house, held, second, Tags=[{"Key": "other", "Value": "b"}])
