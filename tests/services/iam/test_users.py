"""Users and their access keys."""

from typing import Any

import pytest

from geumgo.errors import ServiceError, ValidationFailed
from geumgo.services.iam.errors import DeleteConflict, EntityAlreadyExists, LimitExceeded, NoSuchEntity, ValidationError
from tests.services.iam.world import ACCOUNT, World, allow


def test_a_user_is_shown_as_it_was_made(world: World):
    made = world.ask("CreateUser", UserName="ann", Path="/dev/", Tags=[{"Key": "team", "Value": "db"}])["User"]
    assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/dev/ann"
    assert made["UserId"].startswith("AIDA")
    assert len(made["UserId"]) == 21
    assert world.ask("GetUser", UserName="ANN")["User"] == made
    assert made["Tags"] == [{"Key": "team", "Value": "db"}]


def test_names_are_unique_whatever_their_case(world: World):
    world.ask("CreateUser", UserName="Ann")
    with pytest.raises(EntityAlreadyExists, match=r"^User with name ann already exists\.$"):
        world.ask("CreateUser", UserName="ann")


def test_a_new_name_keeps_identity_and_rights(world: World):
    ann = world.user("ann", allow("iam:ListUsers"))
    world.ask("UpdateUser", UserName="ann", NewUserName="anna", NewPath="/x/")
    now = world.caller_of(ann.access_key_id)
    assert (now.unique_id, now.name, now.arn) == (ann.unique_id, "anna", f"arn:aws:iam::{ACCOUNT}:user/x/anna")
    assert world.may(now, "ListUsers")
    with pytest.raises(NoSuchEntity):
        world.ask("GetUser", UserName="ann")


def test_a_user_that_is_made_again_is_somebody_else(world: World):
    world.user("ann", allow("iam:*"))
    before = world.ask("GetUser", UserName="ann")["User"]["UserId"]
    for key in world.ask("ListAccessKeys", UserName="ann")["AccessKeyMetadata"]:
        world.ask("DeleteAccessKey", UserName="ann", AccessKeyId=key["AccessKeyId"])
    world.ask("DeleteUserPolicy", UserName="ann", PolicyName="p0")
    world.ask("DeleteUser", UserName="ann")
    again = world.user("ann")
    assert again.unique_id != before
    assert not world.may(again, "ListUsers")


def test_a_user_with_something_left_on_him_stays(world: World):
    world.user("ann", allow("iam:*"))
    world.ask("CreateGroup", GroupName="devs")
    world.ask("AddUserToGroup", GroupName="devs", UserName="ann")
    world.ask("AttachUserPolicy", UserName="ann", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    world.ask("CreateLoginProfile", UserName="ann", Password="Correct-Horse-9")
    key = world.ask("ListAccessKeys", UserName="ann")["AccessKeyMetadata"][0]["AccessKeyId"]
    takings = [
        (
            "must detach all policies first",
            "DetachUserPolicy",
            {"PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"},
        ),
        ("must delete policies first", "DeleteUserPolicy", {"PolicyName": "p0"}),
        ("must remove users from group first", "RemoveUserFromGroup", {"GroupName": "devs"}),
        ("must delete access keys first", "DeleteAccessKey", {"AccessKeyId": key}),
        ("must delete login profile first", "DeleteLoginProfile", {}),
    ]
    for sentence, operation, params in takings:
        with pytest.raises(DeleteConflict, match=f"^Cannot delete entity, {sentence}.$"):
            world.ask("DeleteUser", UserName="ann")
        world.ask(operation, UserName="ann", **params)
    world.ask("DeleteUser", UserName="ann")


def test_users_are_listed_by_path_in_pages(world: World):
    for number in range(7):
        world.ask("CreateUser", UserName=f"u{number}", Path="/many/")
    seen, marker = [], None
    while True:
        more: dict[str, Any] = {"Marker": marker} if marker else {}
        page = world.ask("ListUsers", PathPrefix="/many/", MaxItems=3, **more)
        seen += [user["UserName"] for user in page["Users"]]
        if not page["IsTruncated"]:
            break
        marker = page["Marker"]
    assert seen == [f"u{number}" for number in range(7)]
    assert "Marker" not in page


def test_a_marker_of_nobody_is_refused(world: World):
    with pytest.raises(ValidationError):
        world.ask("ListUsers", Marker="!")


def test_a_key_shows_its_secret_once(world: World):
    world.ask("CreateUser", UserName="ann")
    made = world.ask("CreateAccessKey", UserName="ann")["AccessKey"]
    key = world.find(made["AccessKeyId"])
    assert key is not None
    assert key.secret.reveal().decode() == made["SecretAccessKey"]
    assert len(made["AccessKeyId"]) == 20
    assert len(made["SecretAccessKey"]) == 40
    assert "SecretAccessKey" not in world.ask("ListAccessKeys", UserName="ann")["AccessKeyMetadata"][0]


def test_a_user_has_two_keys_at_most(world: World):
    world.ask("CreateUser", UserName="ann")
    world.ask("CreateAccessKey", UserName="ann")
    world.ask("CreateAccessKey", UserName="ann")
    with pytest.raises(LimitExceeded, match=r"^Cannot exceed quota for AccessKeysPerUser: 2$"):
        world.ask("CreateAccessKey", UserName="ann")


@pytest.mark.parametrize("operation", ["UpdateAccessKey", "DeleteAccessKey"])
def test_a_key_is_good_for_nothing_once_it_is_off_or_gone(world: World, operation: str):
    ann = world.user("ann")
    more: dict[str, Any] = {"Status": "Inactive"} if operation == "UpdateAccessKey" else {}
    world.ask(operation, UserName="ann", AccessKeyId=ann.access_key_id, **more)
    assert world.find(ann.access_key_id) is None


def test_a_key_that_is_switched_on_again_works_again(world: World):
    ann = world.user("ann")
    world.ask("UpdateAccessKey", UserName="ann", AccessKeyId=ann.access_key_id, Status="Inactive")
    world.ask("UpdateAccessKey", UserName="ann", AccessKeyId=ann.access_key_id, Status="Active")
    assert world.find(ann.access_key_id) is not None


def test_a_long_term_key_never_comes_with_a_token(world: World):
    assert world.find(world.first.access_key_id, "token") is None


def test_a_key_of_another_user_cannot_be_changed_through_ones_own_name(world: World):
    ann, bob = world.user("ann"), world.user("bob")
    with pytest.raises(NoSuchEntity, match=f"^The Access Key with id {bob.access_key_id} cannot be found.$"):
        world.ask("DeleteAccessKey", UserName=ann.name, AccessKeyId=bob.access_key_id)


def test_who_names_no_user_means_himself(world: World):
    assert world.ask("GetUser")["User"]["UserName"] == "admin"
    role = world.role(
        "app",
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"'
        + ACCOUNT
        + '"},"Action":"sts:AssumeRole"}]}',
    )
    session = world.assume(role)
    with pytest.raises(ValidationError, match=r"^Must specify userName when calling with non-User credentials$"):
        world.ask("GetUser", session)


def test_a_date_of_use_is_written_once_an_hour(world: World):
    ann = world.user("ann")

    def used() -> tuple[object, object]:
        shown = world.ask("GetAccessKeyLastUsed", AccessKeyId=ann.access_key_id)["AccessKeyLastUsed"]
        return shown.get("LastUsedDate"), shown["ServiceName"]

    def use(service: str) -> None:
        with world.storage.writing() as tx:
            world.keyring.mark_used(tx, ann.access_key_id, service, "eu-west-1", world.clock.now_ms())

    assert used() == (None, "N/A")
    use("secretsmanager")
    first = used()
    world.clock.turn(ms=3_599_999)
    use("kms")
    assert used() == first
    world.clock.turn(ms=1)
    use("kms")
    assert used()[1] == "kms"
    key = world.find(ann.access_key_id)
    assert key is not None
    assert not key.mark_is_due(world.clock.now_ms())


REFUSALS: list[tuple[str, dict[str, object], type[ServiceError], str]] = [
    ("GetUser", {"UserName": "nobody"}, NoSuchEntity, "The user with name nobody cannot be found."),
    ("DeleteUser", {"UserName": "nobody"}, NoSuchEntity, "The user with name nobody cannot be found."),
    ("UpdateUser", {"UserName": "nobody"}, NoSuchEntity, "The user with name nobody cannot be found."),
    ("CreateAccessKey", {"UserName": "nobody"}, NoSuchEntity, "The user with name nobody cannot be found."),
    ("TagUser", {"UserName": "nobody", "Tags": []}, NoSuchEntity, "The user with name nobody cannot be found."),
    (
        "CreateLoginProfile",
        {"UserName": "nobody", "Password": "x"},
        NoSuchEntity,
        "The user with name nobody cannot be found.",
    ),
    ("GetLoginProfile", {"UserName": "admin"}, NoSuchEntity, "Login Profile for User admin cannot be found."),
    (
        "GetUserPolicy",
        {"UserName": "admin", "PolicyName": "p"},
        NoSuchEntity,
        "The user policy with name p cannot be found.",
    ),
    ("CreateUser", {"UserName": "a b"}, ValidationFailed, ""),
    ("CreateUser", {"UserName": "ann", "Path": "no"}, ValidationFailed, ""),
    (
        "CreateUser",
        {"UserName": "ann", "PermissionsBoundary": "arn:aws:iam::123456789012:policy/none"},
        NoSuchEntity,
        "Scope ARN: arn:aws:iam::123456789012:policy/none does not exist or is not attachable.",
    ),
]


@pytest.mark.parametrize(("operation", "params", "kind", "sentence"), REFUSALS)
def test_refusals_are_in_awss_words(world: World, operation, params, kind, sentence):
    with pytest.raises(kind) as refusal:
        world.ask(operation, **params)
    assert not sentence or refusal.value.message == sentence


def test_tags_are_kept_whatever_the_case_of_their_keys(world: World):
    world.ask("CreateUser", UserName="ann", Tags=[{"Key": "Team", "Value": "db"}])
    world.ask("TagUser", UserName="ann", Tags=[{"Key": "team", "Value": "web"}, {"Key": "cost", "Value": "7"}])
    assert world.ask("ListUserTags", UserName="ann")["Tags"] == [
        {"Key": "cost", "Value": "7"},
        {"Key": "team", "Value": "web"},
    ]
    world.ask("UntagUser", UserName="ann", TagKeys=["TEAM"])
    assert world.ask("ListUserTags", UserName="ann")["Tags"] == [{"Key": "cost", "Value": "7"}]


def test_who_means_himself_never_means_the_next_of_his_name(world: World):
    ann = world.user("ann", allow("iam:*"))
    world.ask("UpdateUser", UserName="ann", NewUserName="anna")
    world.user("ann")
    assert world.ask("GetUser", ann)["User"]["UserId"] == ann.unique_id
