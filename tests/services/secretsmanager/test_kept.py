"""What a process keeps of secrets: whatever another process writes is in the next answer."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from geumgo import app
from geumgo.services.secretsmanager import store_rotation
from geumgo.services.secretsmanager.domain_rotation import Rotation
from tests.house import House
from tests.services.secretsmanager.asking import refused

NOBODY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "secretsmanager:DescribeSecret", "Resource": "*"}],
}


@pytest.fixture
def another(house_on_each: House) -> Iterator[House]:
    """A second process on the same database."""
    first = house_on_each
    second = app.build(first.settings, slot="api-1", clock=first.clock)
    house = House(first.settings, second, first.clock, first.admin, first.account)
    yield house
    house.close()


def keep_rotation(house: House, lambda_arn: str) -> None:
    with house.app.storage.writing() as tx:
        row = tx.one("SELECT id FROM secret")
        assert row is not None
        store_rotation.keep(tx, house.app.pipeline._parts.sealing, Rotation(row[0], 0, lambda_arn=lambda_arn))


WRITES: list[tuple[Callable[[House, Any], object], str, Any]] = [
    (lambda _, sm: sm.update_secret(SecretId="one", Description="first"), "Description", "first"),
    (lambda _, sm: sm.update_secret(SecretId="one", Description="second"), "Description", "second"),
    (lambda _, sm: sm.tag_resource(SecretId="one", Tags=[{"Key": "a", "Value": "b"}]), "Tags", [{"Key": "a", "Value": "b"}]),
    (lambda house, _: keep_rotation(house, "arn:first"), "RotationLambdaARN", "arn:first"),
    (lambda house, _: keep_rotation(house, "arn:second"), "RotationLambdaARN", "arn:second"),
]  # fmt: skip


def unseen(here: House, there: House) -> list[str]:
    """The members that do not have the value which the other process has just written."""
    sm, far = here.client("secretsmanager"), there.client("secretsmanager")
    sm.create_secret(Name="one", SecretString="x")
    told: list[Callable[[], Any]] = [
        lambda: sm.describe_secret(SecretId="one"),
        lambda: sm.list_secrets()["SecretList"][0],
    ]
    missed = []
    for write, member, wanted in WRITES:
        for tell in (*told, *told):  # the second time from what is kept
            assert tell().get(member) != wanted
        write(there, far)
        missed += [member for tell in told if tell().get(member) != wanted]
    return missed


def test_what_another_process_has_written_is_told_at_once(house_on_each: House, another: House) -> None:
    assert unseen(house_on_each, another) == []
    sm, far = house_on_each.client("secretsmanager"), another.client("secretsmanager")
    far.get_secret_value(SecretId="one")
    assert "LastAccessedDate" in sm.describe_secret(SecretId="one")
    assert "LastAccessedDate" in sm.list_secrets()["SecretList"][0]
    far.put_resource_policy(SecretId="one", ResourcePolicy=json.dumps(NOBODY))
    with refused("AccessDeniedException"):
        sm.describe_secret(SecretId="one")
    far.delete_resource_policy(SecretId="one")
    far.delete_secret(SecretId="one")
    assert "DeletedDate" in sm.describe_secret(SecretId="one")
    assert sm.list_secrets()["SecretList"] == []


def test_a_process_that_drops_nothing_is_found(
    house_on_each: House, another: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(house_on_each.app.storage), "dropped", lambda *_: ())
    with pytest.raises((AssertionError, ClientError)):
        assert unseen(house_on_each, another) == []
