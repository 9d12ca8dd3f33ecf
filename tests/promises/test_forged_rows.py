"""P10: a row that somebody edited in the database gives nobody anything. It fails closed, is logged, and disturbs nobody else."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from structlog.testing import capture_logs

from tests.house import House, Key
from tests.promises.tricks import allow, deny, document, make_role, session, trusts, user_arn

EVERYTHING = document(allow("*"))


def edit(house: House, sql: str, **values: Any) -> None:
    """What somebody does who holds the database, and not the keys."""
    with house.app.storage.writing() as tx:
        assert tx.run(sql, **values) > 0, sql


def id_of(house: House, name: str) -> str:
    found: str = house.client("iam").get_user(UserName=name)["User"]["UserId"]
    return found


def in_a_group(house: House) -> None:
    iam = house.client("iam")
    iam.create_group(GroupName="admins")
    iam.put_group_policy(GroupName="admins", PolicyName="all", PolicyDocument=EVERYTHING)


def with_a_policy(house: House) -> str:
    arn: str = house.client("iam").create_policy(PolicyName="p", PolicyDocument=document(allow("kms:ListKeys")))[
        "Policy"
    ]["Arn"]
    house.client("iam").attach_user_policy(UserName="eve", PolicyArn=arn)
    return arn


def forge_inline(house: House) -> None:
    edit(house, "UPDATE iam_inline_policy SET document = :d WHERE owner_id = :id", d=EVERYTHING, id=id_of(house, "eve"))


def forge_new_inline(house: House) -> None:
    edit(
        house,
        "INSERT INTO iam_inline_policy (owner_id, name, document) VALUES (:id, 'more', :d)",
        id=id_of(house, "eve"),
        d=EVERYTHING,
    )


def forge_attachment(house: House) -> None:
    house.client("iam").attach_user_policy(UserName="admin2", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    edit(
        house,
        "INSERT INTO iam_attachment (owner_id, policy_id) SELECT :eve, policy_id FROM iam_attachment WHERE owner_id = :other",
        eve=id_of(house, "eve"),
        other=id_of(house, "admin2"),
    )


def forge_membership(house: House) -> None:
    in_a_group(house)
    edit(
        house,
        "INSERT INTO iam_membership (user_id, group_id) SELECT :id, id FROM iam_principal WHERE kind = 'group'",
        id=id_of(house, "eve"),
    )


def forge_policy_version(house: House) -> None:
    with_a_policy(house)
    edit(house, "UPDATE iam_policy_version SET document = :d", d=EVERYTHING)


def forge_default_version(house: House) -> None:
    arn = with_a_policy(house)
    house.client("iam").create_policy_version(PolicyArn=arn, PolicyDocument=EVERYTHING)
    edit(house, "UPDATE iam_policy SET default_version = 2")


def forge_boundary(house: House) -> None:
    edit(house, "UPDATE iam_principal SET boundary_id = NULL WHERE id = :id", id=id_of(house, "bound"))


def forge_denial_away(house: House) -> None:
    edit(house, "DELETE FROM iam_inline_policy WHERE owner_id = :id AND name = 'never'", id=id_of(house, "bound"))


def forge_holdings(house: House) -> None:
    edit(
        house,
        "UPDATE iam_principal SET holdings = (SELECT holdings FROM iam_principal WHERE name = 'admin') WHERE id = :id",
        id=id_of(house, "eve"),
    )


def forge_owner_of_key(house: House) -> None:
    edit(
        house,
        "UPDATE iam_access_key SET user_id = :admin WHERE user_id = :eve",
        admin=id_of(house, "admin"),
        eve=id_of(house, "eve"),
    )


def forge_name(house: House) -> None:
    edit(house, "UPDATE iam_principal SET name = 'root', name_key = 'root' WHERE id = :id", id=id_of(house, "eve"))


def forge_account(house: House) -> None:
    edit(house, "UPDATE iam_principal SET account_id = '999988887777' WHERE id = :id", id=id_of(house, "eve"))


FORGERIES: dict[str, tuple[Callable[[House], None], str]] = {
    "an inline policy": (forge_inline, "eve"),
    "one more inline policy": (forge_new_inline, "eve"),
    "an attachment": (forge_attachment, "eve"),
    "a membership": (forge_membership, "eve"),
    "a version of a policy": (forge_policy_version, "eve"),
    "the default version": (forge_default_version, "eve"),
    "the digest of what is held": (forge_holdings, "eve"),
    "the owner of a key": (forge_owner_of_key, "eve"),
    "the name of a user": (forge_name, "eve"),
    "the account of a user": (forge_account, "eve"),
    "a boundary taken away": (forge_boundary, "bound"),
    "a denial taken away": (forge_denial_away, "bound"),
}


def people(house: House) -> dict[str, Key]:
    """Eve, who may hardly anything; somebody bound and denied; and somebody who has nothing to do with any of it."""
    found = {
        "eve": house.user("eve", allow("kms:ListAliases")),
        "bound": house.user("bound", allow("*")),
        "bob": house.user("bob", allow("kms:ListKeys")),
    }
    house.user("admin2")
    iam = house.client("iam")
    iam.put_user_policy(UserName="bound", PolicyName="never", PolicyDocument=document(deny("kms:CreateKey")))
    limit = iam.create_policy(PolicyName="limit", PolicyDocument=document(allow("kms:List*")))["Policy"]["Arn"]
    iam.put_user_permissions_boundary(UserName="bound", PermissionsBoundary=limit)
    return found


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_row_gives_nothing_is_logged_and_disturbs_nobody_else(house: House, forgery: str) -> None:
    forge, who = FORGERIES[forgery]
    known = people(house)
    before = house.client("kms", known["bob"]).list_keys()["Keys"]
    forge(house)
    with capture_logs() as logged, pytest.raises(ClientError) as refused:
        house.client("kms", known[who]).create_key()
    assert refused.value.response["Error"]["Code"] in (
        "InternalServiceError",
        "InternalFailure",
        "KMSInternalException",
    )
    assert [line for line in logged if line["log_level"] == "error"], "nobody would know"
    assert house.client("kms", known["bob"]).list_keys()["Keys"] == before
    house.client("kms").list_keys()
    with pytest.raises(ClientError):
        house.client(
            "kms", known[who]
        ).list_aliases()  # what was allowed before is closed as well, until somebody looks


def test_the_same_people_do_what_they_may_while_nobody_forges(house: House) -> None:
    """The honest twin."""
    known = people(house)
    house.client("kms", known["eve"]).list_aliases()
    house.client("kms", known["bound"]).list_aliases()
    house.client("kms", known["bob"]).list_keys()


def test_a_forged_trust_policy_lets_nobody_in(house: House) -> None:
    eve, bob = house.user("eve", allow("sts:*")), house.user("bob")
    role = make_role(house, "reader", trusts(user_arn(house, "bob")), allow("*"))
    other = make_role(house, "other", trusts(user_arn(house, "bob")))
    session(house, bob, role)
    edit(
        house,
        "UPDATE iam_principal SET trust = REPLACE(trust, :bob, :eve) WHERE name = 'reader'",
        bob=id_of(house, "bob"),
        eve=id_of(house, "eve"),
    )
    with capture_logs() as logged, pytest.raises(ClientError):
        session(house, eve, role)
    assert [line for line in logged if line["log_level"] == "error"]
    session(house, bob, other)


def test_a_forged_key_policy_or_grant_opens_nothing(house: House) -> None:
    kms = house.client("kms")
    eve = house.user("eve")
    house.user("bob")
    key, twin = (kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(2))
    blob, other = (kms.encrypt(KeyId=each, Plaintext=b"value")["CiphertextBlob"] for each in (key, twin))
    kms.create_grant(KeyId=key, GranteePrincipal=user_arn(house, "bob"), Operations=["Decrypt"])
    edit(
        house,
        "UPDATE kms_grant SET grantee = :eve WHERE grantee = :bob",
        eve=id_of(house, "eve"),
        bob=id_of(house, "bob"),
    )
    with capture_logs() as logged, pytest.raises(ClientError):
        house.client("kms", eve).decrypt(CiphertextBlob=blob)
    assert [line for line in logged if line["log_level"] == "error"]
    open_to_all = document({**allow("kms:*"), "Principal": "*"})
    edit(house, "UPDATE kms_key SET policy = :open WHERE id = :id", open=open_to_all, id=key.replace("-", ""))
    with capture_logs() as logged, pytest.raises(ClientError):
        house.client("kms", eve).decrypt(CiphertextBlob=blob)
    assert [line for line in logged if line["log_level"] == "error"]
    assert kms.decrypt(CiphertextBlob=other)["Plaintext"] == b"value"


def test_a_row_of_another_cannot_be_put_in_the_place_of_ones_own(house: House) -> None:
    """A row that is genuine, but stands under another's id, is a forged one."""
    known = people(house)
    edit(
        house,
        "UPDATE iam_principal SET mac = (SELECT mac FROM iam_principal WHERE name = 'admin'),"
        " holdings = (SELECT holdings FROM iam_principal WHERE name = 'admin') WHERE id = :id",
        id=id_of(house, "eve"),
    )
    with capture_logs() as logged, pytest.raises(ClientError):
        house.client("kms", known["eve"]).create_key()
    assert [line for line in logged if line["log_level"] == "error"]
    house.client("kms", known["bob"]).list_keys()
