"""The life of a secret: made, changed, described, tagged, deleted, restored, gone."""

import uuid
from datetime import timedelta
from typing import Any

import pytest

from tests.house import House
from tests.services.secretsmanager.asking import DELETED, NO_SECRET, put, refused, token


def bare(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def test_a_new_secret_answers_its_arn_name_and_version(sm: Any, house: House) -> None:
    made = bare(sm.create_secret(Name="app/db", SecretString="x", ClientRequestToken=token(0)))
    assert made["ARN"][:-6] == f"arn:aws:secretsmanager:us-east-1:{house.account}:secret:app/db-"
    assert made["ARN"][-6:].isalnum()
    assert made == {"ARN": made["ARN"], "Name": "app/db", "VersionId": token(0)}
    described = bare(sm.describe_secret(SecretId="app/db"))
    at = described["CreatedDate"]
    assert described == {
        "ARN": made["ARN"], "Name": "app/db", "CreatedDate": at, "LastChangedDate": at, "VersionIdsToStages": {token(0): ["AWSCURRENT"]},
    }  # fmt: skip


def test_a_secret_without_a_value_has_no_version(sm: Any) -> None:
    assert set(bare(sm.create_secret(Name="s"))) == {"ARN", "Name"}
    assert "VersionIdsToStages" not in sm.describe_secret(SecretId="s")
    with refused(
        "ResourceNotFoundException",
        "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT",
    ):
        sm.get_secret_value(SecretId="s")
    sm.put_secret_value(SecretId="s", SecretString="first", VersionStages=["AWSPENDING"], ClientRequestToken=token(1))
    assert sm.get_secret_value(SecretId="s")["VersionStages"] == ["AWSCURRENT", "AWSPENDING"]


def test_terraforms_empty_members_are_taken(sm: Any) -> None:
    sm.create_secret(Name="s", Description="", KmsKeyId="", ClientRequestToken="terraform-" + "0" * 26)
    described = sm.describe_secret(SecretId="s")
    assert not {
        "Description",
        "KmsKeyId",
        "Tags",
        "RotationEnabled",
        "DeletedDate",
        "LastAccessedDate",
        "PrimaryRegion",
    } & set(described)


def test_a_secret_is_found_by_name_arn_and_partial_arn(sm: Any) -> None:
    arn = sm.create_secret(Name="Name", SecretString="x")["ARN"]
    for secret_id in ("Name", arn, arn[:-7]):
        assert sm.get_secret_value(SecretId=secret_id)["ARN"] == arn
    for secret_id in (
        "name",
        arn[:-6] + "AAAAAA",
        arn[:-8],
        arn.replace("us-east-1", "eu-west-1"),
        arn.replace("arn:aws:", "arn:aws-cn:"),
    ):
        with refused("ResourceNotFoundException", NO_SECRET):
            sm.get_secret_value(SecretId=secret_id)


def test_a_name_that_looks_like_an_arns_end_is_not_found_by_partial_arn(sm: Any) -> None:
    arn = sm.create_secret(Name="Test-Name-a1b2c3", SecretString="x")["ARN"]
    with refused("ResourceNotFoundException", NO_SECRET):
        sm.get_secret_value(SecretId=arn[:-7])
    assert sm.get_secret_value(SecretId=arn)["SecretString"] == "x"


@pytest.mark.parametrize(
    "operation", ["CreateSecret", "GetSecretValue", "DeleteSecret", "DescribeSecret", "PutSecretValue", "TagResource"]
)
def test_a_broken_name_is_refused_by_every_operation(sm: Any, operation: str) -> None:
    member = "Name" if operation == "CreateSecret" else "SecretId"
    members: dict[str, dict[str, Any]] = {
        "DeleteSecret": {"ForceDeleteWithoutRecovery": True},
        "PutSecretValue": {"SecretString": "x"},
        "TagResource": {"Tags": []},
    }
    more = members.get(operation, {})
    words = "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!"
    for name in (" lead", "trail ", "in ner", "st*r", "wh?t", "br]ck", "b\\s"):
        with refused("ValidationException", words):
            sm._make_api_call(operation, {member: name, **more})


# -- retried and repeated requests ------------------------------------------------------------------------------------


def test_a_repeated_create_is_one_secret(sm: Any) -> None:
    first = bare(sm.create_secret(Name="s", SecretString="x", ClientRequestToken=token(0)))
    assert bare(sm.create_secret(Name="s", SecretString="x", ClientRequestToken=token(0))) == first
    with refused("ResourceExistsException", "The operation failed because the secret s already exists."):
        sm.create_secret(Name="s", SecretString="x")
    with refused(
        "ResourceExistsException",
        f"You can't use ClientRequestToken {token(0)} because that value is already in use for a version of secret {first['ARN']}.",
    ):
        sm.create_secret(Name="s", SecretString="y", ClientRequestToken=token(0))
    with refused("ResourceExistsException"):
        sm.create_secret(Name="s", SecretBinary=b"x", ClientRequestToken=token(0))
    assert len(sm.list_secret_version_ids(SecretId="s", IncludeDeprecated=True)["Versions"]) == 1


def test_a_repeated_create_without_a_value_is_one_secret(sm: Any) -> None:
    first = bare(sm.create_secret(Name="s", ClientRequestToken=token(0)))
    assert bare(sm.create_secret(Name="s", ClientRequestToken=token(0))) == first
    with refused("ResourceExistsException", "The operation failed because the secret s already exists."):
        sm.create_secret(Name="s", ClientRequestToken=token(1))


def test_a_put_with_anothers_token_does_not_pass_for_a_create(sm: Any) -> None:
    sm.create_secret(Name="s", SecretString="x", ClientRequestToken=token(0))
    sm.put_secret_value(SecretId="s", SecretString="y", ClientRequestToken=token(1))
    with refused("ResourceExistsException", "The operation failed because the secret s already exists."):
        sm.create_secret(Name="s", SecretString="y", ClientRequestToken=token(1))


@pytest.mark.parametrize("operation", ["create_secret", "put_secret_value", "update_secret"])
def test_a_raw_request_without_a_token_is_refused(house: House, operation: str) -> None:
    from tests.services.secretsmanager.raw import ask_raw

    name = "".join(part.title() for part in operation.split("_"))
    body = {"Name": "s"} if operation == "create_secret" else {"SecretId": "s"}
    status, answer = ask_raw(house, name, {**body, "SecretString": "x"})
    assert (status, answer) == (
        400,
        {
            "__type": "InvalidRequestException",
            "Message": "You must provide a ClientRequestToken value. We recommend a UUID-type value.",
        },
    )


def test_what_is_not_served_is_refused_and_never_ignored(sm: Any) -> None:
    with refused("InvalidParameterException"):
        sm.create_secret(Name="s", AddReplicaRegions=[{"Region": "eu-west-1"}])
    with refused("InvalidParameterException"):
        sm.create_secret(Name="s", Type="NobodysSecret")
    with refused("ResourceNotFoundException", NO_SECRET):
        sm.describe_secret(SecretId="s")
    sm.create_secret(Name="s")
    with refused("InvalidParameterException"):
        sm.update_secret(SecretId="s", Type="SalesforceClientSecret")


# -- update -----------------------------------------------------------------------------------------------------------


def test_an_update_changes_only_what_it_brings(sm: Any, house: House) -> None:
    sm.create_secret(Name="s", SecretString="x", Description="before")
    house.clock.turn(days=1)
    assert set(bare(sm.update_secret(SecretId="s", Description="after"))) == {"ARN", "Name"}
    described = sm.describe_secret(SecretId="s")
    assert described["Description"] == "after"
    assert described["LastChangedDate"] - described["CreatedDate"] == timedelta(days=1)
    assert len(described["VersionIdsToStages"]) == 1
    assert sm.update_secret(SecretId="s", SecretString="x", ClientRequestToken=token(1))["VersionId"] == token(1)
    assert sm.describe_secret(SecretId="s")["Description"] == "after"
    sm.update_secret(SecretId="s", Description="")
    assert "Description" not in sm.describe_secret(SecretId="s")


def test_a_text_with_nul_is_refused(sm: Any) -> None:
    with refused("InvalidParameterException"):
        sm.create_secret(Name="s", Description="a\0b")
    with refused("InvalidParameterException"):
        sm.create_secret(Name="s", Tags=[{"Key": "a", "Value": "\0"}])
    sm.create_secret(Name="s", SecretString="a\0b")
    assert sm.get_secret_value(SecretId="s")["SecretString"] == "a\0b"


# -- delete and restore -----------------------------------------------------------------------------------------------


def test_a_deleted_secret_can_be_described_and_restored(sm: Any, house: House) -> None:
    arn = sm.create_secret(Name="s", SecretString="x")["ARN"]
    deleted = bare(sm.delete_secret(SecretId="s", RecoveryWindowInDays=7))
    described = sm.describe_secret(SecretId="s")
    assert deleted == {"ARN": arn, "Name": "s", "DeletionDate": described["DeletedDate"] + timedelta(days=7)}
    assert sm.list_secrets()["SecretList"] == []
    assert [s["Name"] for s in sm.list_secrets(IncludePlannedDeletion=True)["SecretList"]] == ["s"]
    assert bare(sm.restore_secret(SecretId="s")) == {"ARN": arn, "Name": "s"}
    assert "DeletedDate" not in sm.describe_secret(SecretId="s")
    house.clock.turn(days=40)
    assert house.run_jobs() == 0 or sm.get_secret_value(SecretId="s")["SecretString"] == "x"
    assert sm.get_secret_value(SecretId="s")["SecretString"] == "x"
    sm.restore_secret(SecretId="s")


FORBIDDEN: list[tuple[str, dict[str, Any]]] = [
    ("get_secret_value", {}),
    ("put_secret_value", {"SecretString": "y"}),
    ("update_secret", {"Description": "y"}),
    ("update_secret_version_stage", {"VersionStage": "y", "MoveToVersionId": token(0)}),
    ("tag_resource", {"Tags": [{"Key": "a", "Value": "b"}]}),
    ("untag_resource", {"TagKeys": ["a"]}),
    ("put_resource_policy", {"ResourcePolicy": "{}"}),
    ("get_resource_policy", {}),
    ("delete_resource_policy", {}),
    ("list_resource_policies", {}),
    ("delete_secret", {}),
]


@pytest.mark.parametrize(("operation", "more"), FORBIDDEN)
def test_a_deleted_secret_is_left_alone(sm: Any, operation: str, more: dict[str, Any]) -> None:
    sm.create_secret(Name="s", SecretString="x", ClientRequestToken=token(0))
    sm.delete_secret(SecretId="s")
    with refused("InvalidRequestException", DELETED):
        getattr(sm, operation)(SecretId="s", **more)


def test_the_name_of_a_deleted_secret_is_taken(sm: Any) -> None:
    sm.create_secret(Name="s", SecretString="x", ClientRequestToken=token(0))
    sm.delete_secret(SecretId="s")
    words = "You can't create this secret because a secret with this name is already scheduled for deletion."
    for used in (token(0), token(1)):
        with refused("InvalidRequestException", words):
            sm.create_secret(Name="s", SecretString="x", ClientRequestToken=used)


def test_a_secret_deleted_by_force_is_gone_and_its_name_is_free(sm: Any, house: House) -> None:
    first = sm.create_secret(Name="s", SecretString="x")["ARN"]
    sm.delete_secret(SecretId="s")
    sm.delete_secret(SecretId="s", ForceDeleteWithoutRecovery=True)
    with refused("ResourceNotFoundException", NO_SECRET):
        sm.describe_secret(SecretId=first)
    again = sm.create_secret(Name="s", SecretString="y")["ARN"]
    assert again != first
    house.clock.turn(days=31)
    house.run_jobs()
    assert sm.get_secret_value(SecretId="s")["SecretString"] == "y"
    with refused("ResourceNotFoundException", NO_SECRET):
        sm.get_secret_value(SecretId=first)


def test_a_secret_that_never_was_is_deleted_by_force(sm: Any) -> None:
    name = f"never/{uuid.uuid4()}"
    answer = bare(sm.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True))
    assert set(answer) == {"ARN", "Name", "DeletionDate"}
    assert answer["Name"] == name
    with refused("ResourceNotFoundException", NO_SECRET):
        sm.delete_secret(SecretId=name)


def test_when_the_window_ends_nothing_is_left(house_on_each: House) -> None:
    house = house_on_each
    sm = house.client("secretsmanager")
    arn = sm.create_secret(Name="s", SecretString="0", ClientRequestToken=token(0))["ARN"]
    sm.put_resource_policy(
        SecretId="s",
        ResourcePolicy='{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"secretsmanager:RotateSecret","Resource":"*"}}',
    )
    put(sm, 1)
    sm.get_secret_value(SecretId="s")
    sm.delete_secret(SecretId="s", RecoveryWindowInDays=7)
    house.clock.turn(days=7, ms=-1)
    house.run_jobs()
    sm.describe_secret(SecretId="s")
    house.clock.turn(ms=1)
    house.run_jobs()
    with refused("ResourceNotFoundException", NO_SECRET):
        sm.describe_secret(SecretId="s")
    with house.app.storage.reading() as tx:
        for table in ("secret", "secret_version", "secret_version_key", "secret_policy", "secret_read"):
            assert tx.all(f"SELECT 1 FROM {table}") == [], table
    events = [r for r in house.trail() if r["eventName"].endswith("SecretVersionDelete")]
    assert sorted((r["eventName"], r["additionalEventData"]["SecretVersionId"]) for r in events) == sorted(
        (name, token(number)) for name in ("StartSecretVersionDelete", "EndSecretVersionDelete") for number in (0, 1)
    )
    assert {r["additionalEventData"]["SecretId"] for r in events} == {arn}


# -- tags -------------------------------------------------------------------------------------------------------------


def test_tags_are_merged_and_removed(sm: Any) -> None:
    sm.create_secret(Name="s")
    assert "Tags" not in sm.describe_secret(SecretId="s")
    sm.untag_resource(SecretId="s", TagKeys=["nothing"])
    assert "Tags" not in sm.describe_secret(SecretId="s")
    sm.tag_resource(SecretId="s", Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    sm.tag_resource(SecretId="s", Tags=[{"Key": "b", "Value": "3"}])
    assert sm.describe_secret(SecretId="s")["Tags"] == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "3"}]
    sm.untag_resource(SecretId="s", TagKeys=["a", "b", "c"])
    assert sm.describe_secret(SecretId="s")["Tags"] == []
