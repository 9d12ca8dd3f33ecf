"""P10: who can edit the database can neither read nor move a secret, nor grant himself anything. Every edit fails closed."""

from typing import Any

import pytest

from tests.house import House
from tests.services.secretsmanager.asking import put, refused, token

EDITS: dict[str, str] = {
    "a label moved to an old version": "UPDATE secret SET stages = REPLACE(stages, '{1}', '{0}'), current_version = '{0}' WHERE name = 's'",
    "the current version repeated wrongly": "UPDATE secret SET current_version = '{0}' WHERE name = 's'",
    "the current version taken away": "UPDATE secret SET current_version = NULL WHERE name = 's'",
    "a secret renamed": "UPDATE secret SET name = 'moved' WHERE name = 's'",
    "a secret given to another account": "UPDATE secret SET account = '999988887777' WHERE name = 's'",
    "a secret given another ARN": "UPDATE secret SET suffix = 'AAAAAA' WHERE name = 's'",
    "a tag forged": "UPDATE secret SET tags = '{{\"team\":\"eve\"}}' WHERE name = 's'",
    "a deletion undone": "UPDATE secret SET deleted_at_ms = 5 WHERE name = 's'",
    "another key": "UPDATE secret SET kms_key_id = 'alias/eve' WHERE name = 's'",
    "another revision": "UPDATE secret SET revision = revision + 1 WHERE name = 's'",
    "a value of another secret": "UPDATE secret_version SET ciphertext = (SELECT v.ciphertext FROM secret_version v JOIN secret s ON s.id = v.secret_id"
    " WHERE s.name = 't') WHERE version_id = '{1}'",
    "an older value": "UPDATE secret_version SET ciphertext = (SELECT ciphertext FROM secret_version WHERE version_id = '{0}') WHERE version_id = '{1}'",
    "another kind": "UPDATE secret_version SET kind = 'binary' WHERE version_id = '{1}'",
    "a value made to wait": "UPDATE secret_version SET kind = 'none' WHERE version_id = '{1}'",
    "a version removed": "DELETE FROM secret_version WHERE version_id = '{1}'",
    "a policy forged": "UPDATE secret_policy SET document = REPLACE(document, 'Deny', 'Allow')",
    "a policy removed": "DELETE FROM secret_policy",
}  # fmt: skip
POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"secretsmanager:RotateSecret","Resource":"*"}]}'


@pytest.fixture
def sm(sm: Any) -> Any:
    """Secrets s (versions 0 and 1, with a policy) and t."""
    sm.create_secret(Name="t", SecretString="t", ClientRequestToken=token(7), Tags=[{"Key": "a", "Value": "b"}])
    sm.create_secret(Name="s", SecretString="0", ClientRequestToken=token(0), Tags=[{"Key": "team", "Value": "ann"}])
    put(sm, 1)
    sm.put_resource_policy(SecretId="s", ResourcePolicy=POLICY)
    return sm


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_row_fails_closed(house: House, sm: Any, edit: str) -> None:
    assert sm.get_secret_value(SecretId="s")["SecretString"] == "1"
    with house.app.storage.writing() as tx:
        tx.run(EDITS[edit].format(token(0), token(1)))
    code = "ResourceNotFoundException" if "renamed" in edit or "another account" in edit else "InternalServiceError"
    with refused(code):
        sm.get_secret_value(SecretId="s")
    if "renamed" in edit:
        with refused("InternalServiceError"):
            sm.get_secret_value(SecretId="moved")


def test_a_data_key_of_another_version_opens_nothing(house: House, sm: Any) -> None:
    with house.app.storage.writing() as tx:
        tx.run(
            "UPDATE secret_version_key SET wrapped = (SELECT wrapped FROM secret_version_key WHERE version_id = :old) WHERE version_id = :new",
            old=token(0),
            new=token(1),
        )
    with refused("DecryptionFailure"):
        sm.get_secret_value(SecretId="s")


def test_an_own_value_under_a_data_key_of_ones_own_is_refused(house: House, sm: Any) -> None:
    """Who may use a KMS key can make a data key for any context; the value still is not one that was kept here."""
    from geumgo.sealing import Plaintext
    from geumgo.sealing.values import seal_value

    arn = sm.describe_secret(SecretId="s")["ARN"]
    made = house.client("kms").create_key()["KeyMetadata"]["KeyId"]
    context = {"SecretARN": arn, "SecretVersionId": token(1)}
    data_key = house.client("kms").generate_data_key(KeyId=made, KeySpec="AES_256", EncryptionContext=context)
    bound = {
        "label": "secretsmanager value", "account": house.account, "region": "us-east-1", "secret": arn, "version": token(1), "kind": "string",
    }  # fmt: skip
    forged = seal_value(Plaintext(data_key["Plaintext"]), bound, Plaintext(b"forged"))
    with house.app.storage.writing() as tx:
        tx.run("UPDATE secret_version SET ciphertext = :forged WHERE version_id = :id", forged=forged, id=token(1))
        tx.run(
            "UPDATE secret_version_key SET wrapped = :blob WHERE version_id = :id",
            blob=data_key["CiphertextBlob"],
            id=token(1),
        )
    with refused("InternalServiceError"):
        sm.get_secret_value(SecretId="s")
