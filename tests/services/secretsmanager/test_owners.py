"""Secrets that another service owns."""

from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from geumgo.context import NOBODY, Caller, Session
from geumgo.services.secretsmanager import owners, secrets, store
from geumgo.services.secretsmanager.domain import parse_secret_id
from geumgo.services.secretsmanager.errors import InvalidParameter
from tests.house import House

RDS = Caller(kind="AWSService", account="111122223333", arn="", unique_id="", name="rds.amazonaws.com")


def owned(house: House, sm: Any) -> str:
    """A secret that RDS owns: its row is written as CreateSecret writes one for RDS."""
    arn: str = sm.create_secret(Name="db", SecretString="x")["ARN"]
    with house.app.storage.writing() as tx:
        found = store.find(tx, house.app.pipeline._parts.sealing, parse_secret_id(arn, account="", region=""))
        assert found is not None
        store.save(tx, house.app.pipeline._parts.sealing, replace(found.secret, owning_service="rds"))
    return arn


@pytest.mark.unverified
@pytest.mark.parametrize("name", ["rds!db-1", "redshift!x", "ecs-sc!y"])
def test_a_name_that_is_kept_for_a_service_is_refused(sm: Any, name: str) -> None:
    with pytest.raises(ClientError, match=r"InvalidParameterException.* reserved for secrets"):
        sm.create_secret(Name=name, SecretString="x")


def test_an_exclamation_mark_alone_keeps_no_name(sm: Any) -> None:
    assert sm.create_secret(Name="hello!world", SecretString="x")["Name"] == "hello!world"


@pytest.mark.unverified
@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("put_secret_value", {"SecretString": "y"}),
        ("update_secret", {"SecretString": "y"}),
        ("update_secret", {"Description": "y"}),
        ("update_secret_version_stage", {"VersionStage": "mine"}),
        ("tag_resource", {"Tags": [{"Key": "a", "Value": "b"}]}),
        ("untag_resource", {"TagKeys": ["a"]}),
        ("delete_secret", {}),
        ("delete_secret", {"ForceDeleteWithoutRecovery": True}),
    ],
)
def test_only_its_owner_changes_a_secret(house: House, sm: Any, operation: str, params: dict[str, Any]) -> None:
    arn = owned(house, sm)
    with pytest.raises(ClientError, match=r"InvalidRequestException.* managed by rds"):
        getattr(sm, operation)(SecretId=arn, **params)
    assert sm.get_secret_value(SecretId=arn)["SecretString"] == "x"
    assert sm.describe_secret(SecretId=arn)["OwningService"] == "rds"


def test_a_service_acts_for_itself_through_others_and_by_its_role() -> None:
    role = "arn:aws:iam::111122223333:role/aws-service-role/rds.amazonaws.com/AWSServiceRoleForRDS"
    session = Session(role, "AROA", "AWSServiceRoleForRDS", "rds", 0, 1)
    assert owners.acts_for(RDS, "rds")
    assert not owners.acts_for(RDS, "redshift")
    assert owners.acts_for(replace(NOBODY, kind="IAMUser", via=("rds.amazonaws.com",)), "rds")
    assert owners.acts_for(replace(NOBODY, kind="AssumedRole", session=session), "rds")
    lookalike = replace(session, issuer_arn="arn:aws:iam::111122223333:role/rds.amazonaws.com")
    assert not owners.acts_for(replace(NOBODY, kind="AssumedRole", session=lookalike), "rds")
    assert not owners.acts_for(replace(NOBODY, kind="IAMUser", name="rds.amazonaws.com"), "rds")
    assert owners.owner_of_new(RDS, "rds!db-1") == "rds"


def test_the_tags_of_an_owned_secret_name_its_owner_who_may_use_the_reserved_prefix() -> None:
    given = [{"Key": "aws:rds:primaryDBInstanceArn", "Value": "arn:x"}, {"Key": "team", "Value": "a"}]
    assert secrets._tags_of_new(given, "rds") == {
        "aws:rds:primaryDBInstanceArn": "arn:x",
        "team": "a",
        "aws:secretsmanager:owningService": "rds",
    }
    with pytest.raises(InvalidParameter, match="reserved for AWS"):
        secrets._tags_of_new(given, None)
