"""Values under KMS keys: which key, who may use it, what its refusals become."""

import json
from typing import Any

import pytest

from geumgo import app
from tests.house import House, Key
from tests.services.secretsmanager.asking import NO_KMS, put, refused, token

SECRETS_ONLY = {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"}


def key_ids(sm: Any, name: str = "s") -> dict[str, list[str]]:
    listed = sm.list_secret_version_ids(SecretId=name, IncludeDeprecated=True)["Versions"]
    return {version["VersionId"]: version["KmsKeyIds"] for version in listed}


@pytest.fixture
def kms(house: House) -> Any:
    return house.client("kms")


@pytest.fixture
def key(kms: Any) -> Any:
    """A customer managed key: its metadata."""
    return kms.create_key()["KeyMetadata"]


def test_the_default_key_needs_no_rights_on_it(house: House) -> None:
    ann = house.client("secretsmanager", house.user("ann", SECRETS_ONLY))
    ann.create_secret(Name="s", SecretString="x", ClientRequestToken=token(0))
    assert ann.get_secret_value(SecretId="s")["SecretString"] == "x"
    assert key_ids(ann) == {token(0): ["DefaultEncryptionKey"]}
    described = house.client("kms").describe_key(KeyId="alias/aws/secretsmanager")["KeyMetadata"]
    assert described["KeyManager"] == "AWS"


@pytest.mark.parametrize("form", ["id", "ARN", "alias", "alias ARN"])
def test_a_key_is_named_in_four_ways_and_shown_as_it_was_named(
    house: House, sm: Any, kms: Any, key: Any, form: str
) -> None:
    kms.create_alias(AliasName="alias/mine", TargetKeyId=key["KeyId"])
    given = {
        "id": key["KeyId"],
        "ARN": key["Arn"],
        "alias": "alias/mine",
        "alias ARN": f"arn:aws:kms:us-east-1:{house.account}:alias/mine",
    }[form]
    sm.create_secret(Name="s", SecretString="x", KmsKeyId=given, ClientRequestToken=token(0))
    assert sm.describe_secret(SecretId="s")["KmsKeyId"] == given
    assert key_ids(sm) == {token(0): [key["Arn"]]}
    assert sm.get_secret_value(SecretId="s")["SecretString"] == "x"


def test_kms_is_asked_with_awss_encryption_context(house: House, sm: Any, key: Any) -> None:
    arn = sm.create_secret(Name="s", SecretString="x", KmsKeyId=key["KeyId"], ClientRequestToken=token(0))["ARN"]
    sm.get_secret_value(SecretId="s")
    asked = [
        (r["eventName"], r["requestParameters"]["encryptionContext"])
        for r in house.trail()
        if r["eventSource"] == "kms.amazonaws.com" and "encryptionContext" in (r["requestParameters"] or {})
    ]
    probe = {"SecretARN": arn, "SecretVersionId": "RequestToValidateKeyAccess"}
    used = {"SecretARN": arn, "SecretVersionId": token(0)}
    assert asked == [("GenerateDataKey", probe), ("Decrypt", probe), ("GenerateDataKey", used), ("Decrypt", used)]


def test_without_rights_on_the_key_nothing_is_read_or_written(house: House, sm: Any, key: Any) -> None:
    sm.create_secret(Name="s", SecretString="x", KmsKeyId=key["KeyId"], ClientRequestToken=token(0))
    ann = house.client("secretsmanager", house.user("ann", SECRETS_ONLY))
    with refused("AccessDeniedException", NO_KMS):
        ann.get_secret_value(SecretId="s")
    with refused("AccessDeniedException", NO_KMS):
        ann.put_secret_value(SecretId="s", SecretString="y")
    with refused("AccessDeniedException", NO_KMS):
        ann.put_secret_value(SecretId="s", SecretString="x", ClientRequestToken=token(0))
    with refused("AccessDeniedException", NO_KMS):
        ann.create_secret(Name="t", SecretString="y", KmsKeyId=key["KeyId"])
    assert ann.describe_secret(SecretId="s")["VersionIdsToStages"] == {token(0): ["AWSCURRENT"]}


@pytest.mark.parametrize("state", ["disabled", "pending deletion"])
def test_a_key_that_is_out_of_use_is_a_failure_of_its_own(sm: Any, kms: Any, key: Any, state: str) -> None:
    sm.create_secret(Name="s", SecretString="x", KmsKeyId=key["KeyId"])
    if state == "disabled":
        kms.disable_key(KeyId=key["KeyId"])
    else:
        kms.schedule_key_deletion(KeyId=key["KeyId"])
    with refused(
        "DecryptionFailure", "Secrets Manager can't decrypt the protected secret text using the provided KMS key."
    ):
        sm.get_secret_value(SecretId="s")
    with refused(
        "EncryptionFailure",
        "Secrets Manager can't encrypt the protected secret text using the provided KMS key. "
        "Check that the KMS key is available, enabled, and not in an invalid state.",
    ):
        sm.put_secret_value(SecretId="s", SecretString="y")


def test_only_symmetric_keys_that_are_there_can_protect_secrets(sm: Any, kms: Any) -> None:
    rsa = kms.create_key(KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")["KeyMetadata"]["KeyId"]
    with refused("InvalidRequestException", "Cannot generate a data key with an asymmetric KMS key"):
        sm.create_secret(Name="s", SecretString="x", KmsKeyId=rsa)
    for missing in ("alias/nothing", "1234abcd-12ab-34cd-56ef-1234567890ab", "not a key at all"):
        with refused("InvalidParameterException"):
            sm.create_secret(Name="s", SecretString="x", KmsKeyId=missing)
    assert sm.list_secrets()["SecretList"] == []


def test_a_new_key_also_opens_the_versions_in_use(sm: Any, kms: Any, key: Any) -> None:
    sm.create_secret(Name="s", SecretString="0", ClientRequestToken=token(0))
    for number in (1, 2):
        put(sm, number)
    sm.update_secret(SecretId="s", KmsKeyId=key["KeyId"])
    both = [key["Arn"], "DefaultEncryptionKey"]
    assert key_ids(sm) == {token(0): ["DefaultEncryptionKey"], token(1): both, token(2): both}
    put(sm, 3)
    assert key_ids(sm)[token(3)] == [key["Arn"]]
    kms.disable_key(KeyId=key["KeyId"])
    assert sm.get_secret_value(SecretId="s", VersionId=token(2))["SecretString"] == "2"
    with refused("DecryptionFailure"):
        sm.get_secret_value(SecretId="s")


def test_without_encrypt_on_the_new_key_the_old_wrapping_stays(house: House, sm: Any, key: Any) -> None:
    sm.create_secret(Name="s", SecretString="0", ClientRequestToken=token(0))
    ann = house.user(
        "ann", SECRETS_ONLY, {"Effect": "Allow", "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": "*"}
    )
    house.client("secretsmanager", ann).update_secret(SecretId="s", KmsKeyId=key["Arn"])
    assert key_ids(sm) == {token(0): ["DefaultEncryptionKey"]}
    assert sm.describe_secret(SecretId="s")["KmsKeyId"] == key["Arn"]
    assert sm.get_secret_value(SecretId="s")["SecretString"] == "0"


def test_an_empty_key_returns_to_the_default(sm: Any, key: Any) -> None:
    sm.create_secret(Name="s", SecretString="0", KmsKeyId=key["KeyId"], ClientRequestToken=token(0))
    sm.update_secret(SecretId="s", KmsKeyId="")
    assert "KmsKeyId" not in sm.describe_secret(SecretId="s")
    assert key_ids(sm) == {token(0): ["DefaultEncryptionKey", key["Arn"]]}


# -- another account --------------------------------------------------------------------------------------------------


@pytest.fixture
def stranger(house: House) -> Key:
    """The administrator of another account of this site."""
    first = app.create_account(house.settings, "222233334444")
    return Key(first.access_key_id, first.secret_access_key)


def share(sm: Any, secret: str, account: str = "222233334444") -> None:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Action": "secretsmanager:*",
        "Resource": "*",
    }
    sm.put_resource_policy(
        SecretId=secret, ResourcePolicy=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    )


def test_another_account_needs_the_secrets_policy_and_a_key_that_admits_it(
    house: House, sm: Any, kms: Any, stranger: Key
) -> None:
    other = house.client("secretsmanager", stranger)
    arn = sm.create_secret(Name="s", SecretString="x", ClientRequestToken=token(0))["ARN"]
    with refused("AccessDeniedException"):
        other.get_secret_value(SecretId=arn)
    share(sm, "s")
    default = "You can't access a secret from a different AWS account if you encrypt the secret with the default KMS service key."
    with refused("InvalidRequestException", default):
        other.get_secret_value(SecretId=arn)
    with refused("InvalidRequestException", default):
        other.put_secret_value(SecretId=arn, SecretString="y")
    document = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": [f"arn:aws:iam::{account}:root" for account in (house.account, "222233334444")]},
                "Action": "kms:*",
                "Resource": "*",
            }
        ],
    }
    key = kms.create_key(Policy=json.dumps(document))["KeyMetadata"]["KeyId"]
    sm.update_secret(SecretId="s", KmsKeyId=key)
    assert other.get_secret_value(SecretId=arn)["SecretString"] == "x"
    other.put_secret_value(SecretId=arn, SecretString="y", ClientRequestToken=token(1))
    assert sm.get_secret_value(SecretId="s")["SecretString"] == "y"
    assert other.describe_secret(SecretId=arn)["Name"] == "s"
    assert other.list_secrets()["SecretList"] == []
    with refused("ResourceNotFoundException"):
        other.get_secret_value(SecretId="s")
    with refused("InvalidRequestException", default):
        other.update_secret(SecretId=arn, KmsKeyId="")
