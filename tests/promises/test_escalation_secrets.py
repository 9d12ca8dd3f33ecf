"""Nobody reads more secrets than policies say, whatever else he may do with them. Each attempt has a twin that is honest and succeeds."""

from typing import Any

import pytest

from tests.house import House, Key
from tests.promises.tricks import allow, delete_role, deny, document, make_role, refused, session, trusts, user_arn

GET = "secretsmanager:GetSecretValue"


def secrets(house: House, who: Key | None = None) -> Any:
    return house.client("secretsmanager", who)


def new_key(house: House) -> str:
    arn: str = house.client("kms").create_key()["KeyMetadata"]["Arn"]
    return arn


def test_moving_a_secret_under_ones_own_key_does_not_open_its_old_versions(house: House) -> None:
    theirs, mine = new_key(house), new_key(house)
    secrets(house).create_secret(Name="db", SecretString="value", KmsKeyId=theirs)
    eve = house.user("eve", allow("secretsmanager:UpdateSecret", GET), allow("kms:*", on=mine))
    with refused():
        secrets(house, eve).get_secret_value(SecretId="db")
    secrets(house, eve).update_secret(SecretId="db", KmsKeyId=mine)
    with refused():
        secrets(house, eve).get_secret_value(SecretId="db")
    secrets(house, eve).update_secret(SecretId="db", SecretString="her own")
    assert secrets(house, eve).get_secret_value(SecretId="db")["SecretString"] == "her own"
    with refused():
        secrets(house, eve).get_secret_value(SecretId="db", VersionStage="AWSPREVIOUS")


def test_a_retried_write_is_no_way_to_guess_a_value(house: House) -> None:
    """A token that was used is compared with what was written: only for those who may decrypt it."""
    key = new_key(house)
    version = secrets(house).create_secret(Name="db", SecretString="value", KmsKeyId=key)["VersionId"]
    bob = house.user("bob", allow("secretsmanager:PutSecretValue"), allow("kms:GenerateDataKey", on=key))
    told = []
    for guess in ("value", "other"):
        with refused() as refusal:
            secrets(house, bob).put_secret_value(SecretId="db", SecretString=guess, ClientRequestToken=version)
        told.append(str(refusal[0]))
    assert told[0] == told[1]
    again = secrets(house).put_secret_value(SecretId="db", SecretString="value", ClientRequestToken=version)
    assert again["VersionId"] == version


def test_who_may_write_and_move_labels_may_not_read(house: House) -> None:
    writes = (
        "secretsmanager:PutSecretValue",
        "secretsmanager:UpdateSecretVersionStage",
        "secretsmanager:DescribeSecret",
    )
    bob = house.user("bob", allow(*writes))
    secrets(house).create_secret(Name="db", SecretString="value")
    put = secrets(house, bob).put_secret_value(SecretId="db", SecretString="new", VersionStages=["MINE"])
    secrets(house, bob).update_secret_version_stage(
        SecretId="db", VersionStage="MINE", RemoveFromVersionId=put["VersionId"]
    )
    for asked in ({}, {"VersionStage": "AWSCURRENT"}, {"VersionId": put["VersionId"]}):
        with refused():
            secrets(house, bob).get_secret_value(SecretId="db", **asked)
    with refused("AccessDeniedException"):
        secrets(house, bob).batch_get_secret_value(SecretIdList=["db"])


def test_a_label_of_ones_own_does_not_get_round_a_condition_on_labels(house: House) -> None:
    only = {
        "StringEqualsIfExists": {"secretsmanager:VersionStage": "MINE"},
        "Null": {"secretsmanager:VersionId": "true"},
    }
    never = {"Null": {"secretsmanager:VersionStage": "true"}}
    bob = house.user("bob", allow(GET, Condition=only), deny(GET, Condition=never))
    secrets(house).create_secret(Name="db", SecretString="value")
    put = secrets(house).put_secret_value(SecretId="db", SecretString="mine", VersionStages=["MINE"])
    assert secrets(house, bob).get_secret_value(SecretId="db", VersionStage="MINE")["SecretString"] == "mine"
    for asked in ({}, {"VersionStage": "AWSCURRENT"}, {"VersionStage": "MINE", "VersionId": put["VersionId"]}):
        with refused():
            secrets(house, bob).get_secret_value(SecretId="db", **asked)


def test_tags_are_no_way_round_a_policy_that_looks_at_tags(house: House) -> None:
    own = {"StringEquals": {"aws:ResourceTag/team": "a"}}
    eve = house.user("eve", allow("secretsmanager:*", Condition=own))
    admin = secrets(house)
    admin.create_secret(Name="mine", SecretString="value", Tags=[{"Key": "team", "Value": "a"}])
    admin.create_secret(Name="theirs", SecretString="value", Tags=[{"Key": "team", "Value": "b"}])
    assert secrets(house, eve).get_secret_value(SecretId="mine")["SecretString"] == "value"
    for attempt in (
        lambda sm: sm.tag_resource(SecretId="theirs", Tags=[{"Key": "team", "Value": "a"}]),
        lambda sm: sm.untag_resource(SecretId="theirs", TagKeys=["team"]),
        lambda sm: sm.tag_resource(SecretId="theirs", Tags=[{"Key": "Team", "Value": "a"}]),
        lambda sm: sm.get_secret_value(SecretId="theirs"),
    ):
        with refused():
            attempt(secrets(house, eve))


@pytest.mark.parametrize(
    "principal", ["user/*", "user/ann*", "role/*", "user/never-made", "group/staff", "*", "user/ADMIN"]
)
def test_a_secrets_policy_names_principals_and_no_patterns(house: House, principal: str) -> None:
    secrets(house).create_secret(Name="db", SecretString="value")
    pattern = {**allow(GET), "Principal": {"AWS": f"arn:aws:iam::{house.account}:{principal}"}}
    with refused("MalformedPolicyDocumentException", "InvalidParameterException"):
        secrets(house).put_resource_policy(SecretId="db", ResourcePolicy=document(pattern))
    opened = {**allow(GET), "Principal": {"AWS": user_arn(house, "admin")}}
    secrets(house).put_resource_policy(SecretId="db", ResourcePolicy=document(opened))


def test_a_secrets_policy_does_not_follow_a_role_that_was_made_again(house: House) -> None:
    ann = house.user("ann")
    trust = trusts(user_arn(house, "ann"))
    role = make_role(house, "reader", trust)
    secrets(house).create_secret(Name="db", SecretString="value")
    opened = {**allow(GET), "Principal": {"AWS": role}}
    secrets(house).put_resource_policy(SecretId="db", ResourcePolicy=document(opened))
    assert secrets(house, session(house, ann, role)).get_secret_value(SecretId="db")["SecretString"] == "value"
    delete_role(house, "reader")
    make_role(house, "reader", trust)
    with refused():
        secrets(house, session(house, ann, role)).get_secret_value(SecretId="db")
    secrets(house).put_resource_policy(SecretId="db", ResourcePolicy=document(opened))
    assert secrets(house, session(house, ann, role)).get_secret_value(SecretId="db")["SecretString"] == "value"


def test_a_policy_on_one_secret_says_nothing_about_another(house: House) -> None:
    """`*` in the policy of a secret means this secret; another's ARN in it opens nothing."""
    ann = house.user("ann")
    other = secrets(house).create_secret(Name="other", SecretString="value")["ARN"]
    secrets(house).create_secret(Name="db", SecretString="value")
    opened = {**allow(GET), "Principal": {"AWS": user_arn(house, "ann")}}
    secrets(house).put_resource_policy(SecretId="db", ResourcePolicy=document(opened))
    assert secrets(house, ann).get_secret_value(SecretId="db")["SecretString"] == "value"
    for asked in ("other", other):
        with refused():
            secrets(house, ann).get_secret_value(SecretId=asked)
