import pytest

from geumgo.services.kms.domain import SPECS
from tests.services.kms.house import OTHER, OWN, REGION, refused, user

UNKNOWN = "1234abcd-12ab-34cd-56ef-1234567890ab"


def test_a_new_key_is_described_as_it_was_made(kms_on_each):
    kms = kms_on_each
    made = kms.ask("CreateKey", Description="for tests", Tags=[{"TagKey": "a", "TagValue": "1"}])["KeyMetadata"]
    key_id = made["KeyId"]
    assert made["Arn"] == f"arn:aws:kms:{REGION}:{OWN}:key/{key_id}"
    assert {name: made[name] for name in ("AWSAccountId", "Enabled", "Description", "KeyUsage", "KeyState", "Origin", "KeyManager",
            "KeySpec", "CustomerMasterKeySpec", "EncryptionAlgorithms", "MultiRegion")} == {
        "AWSAccountId": OWN, "Enabled": True, "Description": "for tests", "KeyUsage": "ENCRYPT_DECRYPT", "KeyState": "Enabled",
        "Origin": "AWS_KMS", "KeyManager": "CUSTOMER", "KeySpec": "SYMMETRIC_DEFAULT", "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"], "MultiRegion": False,
    }  # fmt: skip
    assert kms.ask("DescribeKey", KeyId=key_id)["KeyMetadata"] == made
    assert kms.ask("ListResourceTags", KeyId=key_id)["Tags"] == [{"TagKey": "a", "TagValue": "1"}]


@pytest.mark.parametrize("spec", [spec for spec in SPECS if spec not in ("RSA_3072", "RSA_4096")])
def test_every_spec_makes_keys_for_each_of_its_usages(kms, spec):
    for usage, algorithms in SPECS[spec].items():
        made = kms.ask("CreateKey", KeySpec=spec, KeyUsage=usage)["KeyMetadata"]
        listed = [made[name] for name in made if name.endswith("Algorithms")]
        assert listed == [list(algorithms)]
        assert ("CustomerMasterKeySpec" in made) == (not spec.startswith("ML_") and "EDWARDS" not in spec)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"KeySpec": "RSA_2048"}, "ValidationException"),
        ({"KeySpec": "HMAC_256"}, "ValidationException"),
        ({"KeySpec": "SYMMETRIC_DEFAULT", "KeyUsage": "SIGN_VERIFY"}, "ValidationException"),
        ({"KeySpec": "HMAC_256", "KeyUsage": "ENCRYPT_DECRYPT"}, "ValidationException"),
        ({"KeySpec": "ECC_SECG_P256K1", "KeyUsage": "KEY_AGREEMENT"}, "ValidationException"),
        ({"KeySpec": "SM2", "KeyUsage": "SIGN_VERIFY"}, "UnsupportedOperationException"),
        ({"KeySpec": "ML_KEM_512", "KeyUsage": "ENCAPSULATE_DECAPSULATE"}, "UnsupportedOperationException"),
        ({"Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": "cks-1"}, "UnsupportedOperationException"),
        ({"Origin": "EXTERNAL", "KeySpec": "ML_DSA_44", "KeyUsage": "SIGN_VERIFY"}, "UnsupportedOperationException"),
        (
            {"KeySpec": "RSA_2048", "CustomerMasterKeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY"},
            "ValidationException",
        ),
        ({"Description": "a\0b"}, "ValidationException"),
        ({"Description": "a\ud800b"}, "ValidationException"),
        ({"Tags": [{"TagKey": "a\0", "TagValue": "1"}]}, "ValidationException"),
    ],
    ids=str,
)
def test_a_key_that_cannot_be_is_refused(kms, params, code):
    with refused(code):
        kms.ask("CreateKey", **params)
    assert kms.ask("ListKeys")["Keys"] == []


@pytest.mark.parametrize(
    ("key_id", "message"),
    [
        (UNKNOWN, f"Key 'arn:aws:kms:{REGION}:{OWN}:key/{UNKNOWN}' does not exist"),
        (f"arn:aws:kms:{REGION}:{OWN}:key/{UNKNOWN}", f"Key 'arn:aws:kms:{REGION}:{OWN}:key/{UNKNOWN}' does not exist"),
        ("mrk-" + "d3b95762" * 4, f"Key 'arn:aws:kms:{REGION}:{OWN}:key/mrk-{'d3b95762' * 4}' does not exist"),
        ("fake-key-id", "Invalid keyId 'fake-key-id'"),
        ("134f2428cec14b25a1ae9048164dba47", "Invalid keyId '134f2428cec14b25a1ae9048164dba47'"),
        ("mrk-fake-key-id", "Invalid keyId 'mrk-fake-key-id'"),
        (f"arn:aws:kms:ap-southeast-1:{OWN}:key/{UNKNOWN}", "Invalid arn ap-southeast-1"),
        ("alias/missing", f"Alias arn:aws:kms:{REGION}:{OWN}:alias/missing is not found."),
        ("arn:aws:kms", "Invalid keyId 'arn:aws:kms'"),
        ("alias/", "Invalid keyId 'alias/'"),
        ("alias/a\0b", "Invalid keyId 'alias/a\0b'"),
        ("\ud800", "Invalid keyId '\ud800'"),
    ],
)
def test_what_names_no_key_is_not_found(kms, key_id, message):
    with refused("NotFoundException", message):
        kms.ask("DescribeKey", KeyId=key_id)


@pytest.mark.parametrize("key_id", [UNKNOWN, "fake-key-id", "alias/missing"])
def test_a_caller_without_rights_is_denied_before_he_learns_that_there_is_no_key(kms, key_id):
    with refused("AccessDeniedException"):
        kms.ask("DescribeKey", caller=user("ann"), KeyId=key_id)


def test_a_multi_region_key_does_not_answer_to_its_digits_as_a_uuid(kms):
    arn = kms.key(MultiRegion=True)
    digits = arn.split("mrk-")[1]
    assert kms.state(f"mrk-{digits}") == "Enabled"
    with refused("NotFoundException"):
        kms.state(f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}")


def test_keys_are_listed_page_by_page_and_only_to_their_account(kms):
    made = sorted(kms.key() for _ in range(5))
    found: list[str] = []
    marker: dict[str, str] = {}
    while True:
        page = kms.ask("ListKeys", Limit=2, **marker)
        found += [key["KeyArn"] for key in page["Keys"]]
        if not page["Truncated"]:
            break
        marker = {"Marker": page["NextMarker"]}
    assert found == made
    far = kms.may(user("far", OTHER), {"Effect": "Allow", "Action": "kms:*", "Resource": "*"})
    assert kms.ask("ListKeys", caller=far) == {"Keys": [], "Truncated": False}


@pytest.mark.parametrize("marker", ["x", "AAAA", "é", "AWEA", "AP__"])
def test_a_made_up_marker_is_refused(kms, marker):
    with refused("InvalidMarkerException"):
        kms.ask("ListKeys", Marker=marker)


def test_a_disabled_key_does_nothing_until_it_is_enabled(kms):
    arn = kms.key()
    sealed = kms.ask("Encrypt", KeyId=arn, Plaintext=b"x")["CiphertextBlob"]
    kms.ask("DisableKey", KeyId=arn)
    assert kms.state(arn) == "Disabled"
    for name, params in (("Encrypt", {"KeyId": arn, "Plaintext": b"x"}), ("Decrypt", {"CiphertextBlob": sealed}),
                         ("GenerateDataKey", {"KeyId": arn, "KeySpec": "AES_256"})):  # fmt: skip
        with refused("DisabledException", f"{arn} is disabled."):
            kms.ask(name, **params)
    kms.ask("EnableKey", KeyId=arn)
    assert kms.ask("Decrypt", CiphertextBlob=sealed)["Plaintext"] == b"x"


def test_a_key_is_destroyed_when_its_waiting_time_is_over_and_not_before(kms_on_each):
    kms = kms_on_each
    arn = kms.key()
    kms.ask("CreateAlias", AliasName="alias/app", TargetKeyId=arn)
    kms.ask("CreateGrant", KeyId=arn, GranteePrincipal=user("ann").arn, Operations=["Decrypt"])
    sealed = kms.ask("Encrypt", KeyId=arn, Plaintext=b"x")["CiphertextBlob"]
    said = kms.ask("ScheduleKeyDeletion", KeyId=arn, PendingWindowInDays=7)
    assert (said["KeyId"], said["KeyState"], said["PendingWindowInDays"]) == (arn, "PendingDeletion", 7)
    assert said["DeletionDate"] == kms.ask("DescribeKey", KeyId=arn)["KeyMetadata"]["DeletionDate"]
    with refused("KMSInvalidStateException", f"{arn} is pending deletion."):
        kms.ask("Decrypt", CiphertextBlob=sealed)
    kms.clock.turn(days=7, ms=-1)
    assert kms.run_jobs() == 0
    kms.clock.turn(ms=1)
    assert kms.run_jobs() == 1
    assert [name for name, _ in kms.events] == ["DeleteKey"]
    with refused("NotFoundException"):
        kms.state(arn)
    with refused("InvalidCiphertextException", ""):
        kms.ask("Decrypt", CiphertextBlob=sealed)
    assert kms.ask("ListAliases")["Aliases"] == []
    for table in ("kms_key", "kms_material", "kms_alias", "kms_grant", "kms_usage"):
        assert kms.sql(f"SELECT COUNT(*) FROM {table}") == [(0,)]


def test_a_deletion_that_was_cancelled_leaves_the_key_disabled(kms):
    arn = kms.key()
    with refused("KMSInvalidStateException", f"{arn} is not pending deletion."):
        kms.ask("CancelKeyDeletion", KeyId=arn)
    kms.ask("ScheduleKeyDeletion", KeyId=arn)
    assert kms.ask("CancelKeyDeletion", KeyId=arn) == {"KeyId": arn}
    kms.clock.turn(days=31)
    assert kms.run_jobs() == 0
    assert kms.state(arn) == "Disabled"


def test_a_deletion_scheduled_again_counts_from_then(kms):
    arn = kms.key()
    kms.ask("ScheduleKeyDeletion", KeyId=arn, PendingWindowInDays=7)
    kms.ask("CancelKeyDeletion", KeyId=arn)
    kms.clock.turn(days=5)
    kms.ask("ScheduleKeyDeletion", KeyId=arn, PendingWindowInDays=7)
    kms.clock.turn(days=3)
    kms.run_jobs()
    assert kms.state(arn) == "PendingDeletion"


@pytest.mark.parametrize("days", [1, 6, 31, 365])
def test_a_waiting_time_outside_of_7_to_30_days_is_refused(kms, days):
    with refused("ValidationException"):
        kms.ask("ScheduleKeyDeletion", KeyId=kms.key(), PendingWindowInDays=days)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("DisableKey", {}), ("EnableKey", {}), ("UpdateKeyDescription", {"Description": "x"}), ("ScheduleKeyDeletion", {}),
        ("TagResource", {"Tags": []}), ("UntagResource", {"TagKeys": []}), ("EnableKeyRotation", {}), ("RotateKeyOnDemand", {}),
        ("CreateGrant", {"GranteePrincipal": "arn:aws:iam::111122223333:user/ann", "Operations": ["Decrypt"]}),
    ],
)  # fmt: skip
def test_a_key_that_waits_for_its_deletion_cannot_be_changed(kms, name, params):
    arn = kms.key()
    kms.ask("ScheduleKeyDeletion", KeyId=arn)
    with refused("KMSInvalidStateException", f"{arn} is pending deletion."):
        kms.ask(name, KeyId=arn, **params)


def test_a_description_can_be_changed(kms):
    arn = kms.key()
    kms.ask("UpdateKeyDescription", KeyId=arn, Description="열쇠")
    assert kms.ask("DescribeKey", KeyId=arn)["KeyMetadata"]["Description"] == "열쇠"


def test_the_last_use_is_kept_to_the_hour(kms):
    arn = kms.key()
    assert kms.ask("GetKeyLastUsage", KeyId=arn)["KeyLastUsage"] == {}
    kms.ask("Encrypt", KeyId=arn, Plaintext=b"x")
    assert kms.ask("GetKeyLastUsage", KeyId=arn)["KeyLastUsage"]["Operation"] == "Encrypt"
    kms.ask("GenerateDataKey", KeyId=arn, KeySpec="AES_256")
    assert kms.ask("GetKeyLastUsage", KeyId=arn)["KeyLastUsage"]["Operation"] == "Encrypt"
    kms.clock.turn(ms=3_600_000)
    kms.ask("GenerateDataKey", KeyId=arn, KeySpec="AES_256")
    assert kms.ask("GetKeyLastUsage", KeyId=arn)["KeyLastUsage"]["Operation"] == "GenerateDataKey"


# -- tags -------------------------------------------------------------------------------------------------------------


def test_tags_are_added_changed_and_taken_off(kms):
    arn = kms.key(Tags=[{"TagKey": "a", "TagValue": "1"}, {"TagKey": "b", "TagValue": "2"}])
    kms.ask("TagResource", KeyId=arn, Tags=[{"TagKey": "b", "TagValue": "3"}, {"TagKey": "c", "TagValue": ""}])
    kms.ask("UntagResource", KeyId=arn, TagKeys=["a", "never"])
    assert kms.ask("ListResourceTags", KeyId=arn)["Tags"] == [
        {"TagKey": "b", "TagValue": "3"},
        {"TagKey": "c", "TagValue": ""},
    ]
    first = kms.ask("ListResourceTags", KeyId=arn, Limit=1)
    assert first["Truncated"] is True
    rest = kms.ask("ListResourceTags", KeyId=arn, Limit=1, Marker=first["NextMarker"])
    assert (rest["Tags"], rest["Truncated"]) == ([{"TagKey": "c", "TagValue": ""}], False)


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ([("a", "1"), ("a", "2")], "Duplicate tag keys"),
        ([("aws:a", "1")], "Tags beginning with aws: are reserved"),
        ([(str(n), "") for n in range(51)], "Too many tags"),
    ],
)
def test_tags_that_are_not_allowed_are_refused(kms, tags, message):
    arn = kms.key()
    with refused("TagException", message):
        kms.ask("TagResource", KeyId=arn, Tags=[{"TagKey": name, "TagValue": value} for name, value in tags])


def test_a_tag_of_the_key_decides(kms):
    ours, theirs = (kms.key(Tags=[{"TagKey": "team", "TagValue": team}]) for team in ("ours", "theirs"))
    by_tag = {
        "Effect": "Allow",
        "Action": "kms:*",
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:ResourceTag/team": "ours"}},
    }
    ann = kms.may(user("ann"), by_tag)
    kms.ask("Encrypt", caller=ann, KeyId=ours, Plaintext=b"x")
    with refused("AccessDeniedException"):
        kms.ask("Encrypt", caller=ann, KeyId=theirs, Plaintext=b"x")
