"""Sessions give what their role or user has, or less, and never more. Each attempt has a twin that is honest and succeeds."""

from typing import Any

import pytest

from tests.house import House, Key
from tests.promises.tricks import (
    UNKNOWN,
    allow,
    deny,
    document,
    make_role,
    refused,
    session,
    trusts,
    user_arn,
)

EVERYTHING = document(allow("*"))


def federated(house: House, who: Key, **more: Any) -> Key:
    made = house.client("sts", who).get_federation_token(Name="guest", **more)["Credentials"]
    return Key(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])


def test_a_federated_session_is_no_wider_than_the_user_who_asked_for_it(house: House) -> None:
    ann = house.user("ann", allow("kms:ListKeys", "sts:GetFederationToken"))
    held = federated(house, ann, Policy=EVERYTHING)
    house.client("kms", held).list_keys()
    with refused():
        house.client("kms", held).create_key()
    with refused():
        house.client("kms", federated(house, ann)).list_keys()
    with refused(*UNKNOWN):
        house.client("iam", held).list_users()
    with refused():
        session(house, held, make_role(house, "open", trusts(house.account)))


def test_a_federated_session_ends_with_the_key_that_asked_for_it(house: House) -> None:
    ann = house.user("ann", allow("kms:ListKeys", "sts:GetFederationToken"))
    held = federated(house, ann, Policy=EVERYTHING)
    house.client("kms", held).list_keys()
    house.client("iam").update_access_key(UserName="ann", AccessKeyId=ann.identity, Status="Inactive")
    with refused(*UNKNOWN):
        house.client("kms", held).list_keys()


def test_a_session_policy_stays_on_its_session(house: House) -> None:
    """Who was given a narrow session cannot make a wide one of the same role from it, unless the role trusts itself."""
    ann = house.user("ann")
    role = make_role(house, "worker", trusts(user_arn(house, "ann")), allow("kms:*", "sts:AssumeRole"))
    narrow = session(house, ann, role, Policy=document(allow("sts:AssumeRole", "kms:ListKeys")))
    house.client("kms", narrow).list_keys()
    with refused():
        house.client("kms", narrow).list_aliases()
    with refused():
        session(house, narrow, role)


def test_a_managed_session_policy_that_is_deleted_opens_nothing(house: House) -> None:
    iam = house.client("iam")
    ann = house.user("ann")
    role = make_role(house, "worker", trusts(user_arn(house, "ann")), allow("kms:*"))
    limit = iam.create_policy(PolicyName="limit", PolicyDocument=document(allow("kms:ListKeys")))["Policy"]["Arn"]
    held = session(house, ann, role, PolicyArns=[{"arn": limit}])
    house.client("kms", held).list_keys()
    iam.delete_policy(PolicyArn=limit)
    for call in ("list_keys", "list_aliases"):
        with refused():
            getattr(house.client("kms", held), call)()


def test_a_deny_reaches_sessions_that_are_under_way(house: House) -> None:
    ann = house.user("ann")
    role = make_role(house, "worker", trusts(user_arn(house, "ann")), allow("kms:*"))
    held = session(house, ann, role)
    house.client("kms", held).list_keys()
    house.client("iam").put_role_policy(
        RoleName="worker", PolicyName="never", PolicyDocument=document(deny("kms:ListKeys"))
    )
    with refused():
        house.client("kms", held).list_keys()
    house.client("kms", held).list_aliases()


def test_taking_the_trust_back_lets_nobody_in_any_more(house: House) -> None:
    ann = house.user("ann", allow("sts:AssumeRole"))
    role = make_role(house, "worker", trusts(user_arn(house, "ann")))
    session(house, ann, role)
    house.client("iam").update_assume_role_policy(RoleName="worker", PolicyDocument=trusts(user_arn(house, "admin")))
    with refused():
        session(house, ann, role)


def test_a_role_of_a_service_is_not_for_people(house: House) -> None:
    role = make_role(house, "rotator", trusts({"Service": "lambda.amazonaws.com"}, "sts:AssumeRole"), allow("*"))
    with refused():
        session(house, house.user("ann", allow("sts:*")), role)
    with refused():
        session(house, None, role)
    house.client("iam").update_assume_role_policy(RoleName="rotator", PolicyDocument=trusts(user_arn(house, "admin")))
    session(house, None, role)


@pytest.mark.parametrize("name", ["a b", "a/b", "a:b", "a*", "éé", "a?b"])
def test_the_name_of_a_session_cannot_reach_into_its_arn(house: House, name: str) -> None:
    role = make_role(house, "worker", trusts(user_arn(house, "admin")))
    with refused("ValidationError"):
        session(house, None, role, RoleSessionName=name)
    session(house, None, role, RoleSessionName="a.b@c,d=e-f_g+h")


def test_a_source_identity_cannot_be_shaken_off(house: House) -> None:
    ann = house.user("ann")
    actions = ("sts:AssumeRole", "sts:SetSourceIdentity")
    first = make_role(house, "first", trusts(user_arn(house, "ann"), *actions), allow("sts:*"))
    second = make_role(house, "second", trusts(first, *actions))
    held = session(house, ann, first, SourceIdentity="ann")
    with refused():
        session(house, held, second, SourceIdentity="bob")
    made = house.client("sts", held).assume_role(RoleArn=second, RoleSessionName="worker")
    assert made["SourceIdentity"] == "ann"


def test_conditions_about_the_session_cannot_be_talked_into_being(house: House) -> None:
    """What a request says of itself in headers or parameters is not what is known of its caller."""
    ann = house.user("ann", allow("kms:ListKeys", Condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}}),
                     allow("kms:ListAliases", Condition={"StringEquals": {"aws:SourceAccount": house.account}}),
                     allow("kms:CreateKey", Condition={"StringEquals": {"kms:ViaService": "secretsmanager.us-east-1.amazonaws.com"}}))  # fmt: skip
    kms = house.client("kms", ann)

    def add(request: Any, **_: Any) -> None:
        for header in ("aws:MultiFactorAuthPresent", "x-amz-source-account", "x-amz-source-arn", "x-forwarded-for"):
            request.headers[header.replace(":", "-")] = "true"

    kms.meta.events.register("before-sign", add)
    for call in (kms.list_keys, kms.list_aliases, kms.create_key):
        with refused():
            call()
