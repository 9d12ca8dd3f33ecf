import pytest

from tests.services.kms.house import EVERYTHING, OWN, REGION, policy, refused, user

FAR = "us-east-1"


def material_of(kms, arn, **where):
    return kms.ask("GenerateDataKey", KeyId=arn, KeySpec="AES_256", **where)["KeyMaterialId"]


def test_a_key_that_rotates_gets_new_material_and_still_opens_the_old(kms_on_each):
    kms = kms_on_each
    arn = kms.key()
    assert kms.ask("GetKeyRotationStatus", KeyId=arn) == {"KeyId": arn.split("/")[1], "KeyRotationEnabled": False}
    kms.ask("EnableKeyRotation", KeyId=arn, RotationPeriodInDays=90)
    sealed, materials = [], []
    for _ in range(3):
        sealed.append(kms.ask("Encrypt", KeyId=arn, Plaintext=b"x")["CiphertextBlob"])
        materials.append(material_of(kms, arn))
        kms.clock.turn(days=90)
        assert kms.run_jobs() == 1
    assert len(set(materials)) == 3
    assert [kms.ask("Decrypt", CiphertextBlob=blob)["KeyMaterialId"] for blob in sealed] == materials
    listed = kms.ask("ListKeyRotations", KeyId=arn)["Rotations"]
    assert [r["RotationType"] for r in listed] == ["AUTOMATIC"] * 3
    assert [name for name, _ in kms.events] == ["RotateKey"] * 3
    assert len(kms.ask("ListKeyRotations", KeyId=arn, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]) == 4


def test_the_status_says_when_the_next_rotation_is(kms):
    arn = kms.key()
    kms.ask("EnableKeyRotation", KeyId=arn)
    status = kms.ask("GetKeyRotationStatus", KeyId=arn)
    assert (status["KeyRotationEnabled"], status["RotationPeriodInDays"]) == (True, 365)
    assert status["NextRotationDate"].timestamp() * 1000 == kms.clock.now_ms() + 365 * 86_400_000
    kms.ask("ScheduleKeyDeletion", KeyId=arn)
    assert kms.ask("GetKeyRotationStatus", KeyId=arn)["KeyRotationEnabled"] is False


def test_a_rotation_that_was_switched_off_does_not_happen(kms):
    arn = kms.key()
    kms.ask("EnableKeyRotation", KeyId=arn)
    kms.ask("DisableKeyRotation", KeyId=arn)
    kms.clock.turn(days=366)
    assert kms.run_jobs() == 0


def test_another_period_replaces_the_plan(kms):
    arn = kms.key()
    kms.ask("EnableKeyRotation", KeyId=arn, RotationPeriodInDays=90)
    kms.ask("EnableKeyRotation", KeyId=arn, RotationPeriodInDays=200)
    kms.clock.turn(days=199)
    assert kms.run_jobs() == 0
    kms.clock.turn(days=1)
    assert kms.run_jobs() == 1


def test_a_disabled_key_rotates_once_it_is_enabled_again(kms):
    arn = kms.key()
    before = material_of(kms, arn)
    kms.ask("EnableKeyRotation", KeyId=arn, RotationPeriodInDays=90)
    kms.ask("DisableKey", KeyId=arn)
    kms.clock.turn(days=90)
    kms.run_jobs()
    kms.ask("EnableKey", KeyId=arn)
    assert material_of(kms, arn) == before
    kms.clock.turn(days=1)
    kms.run_jobs()
    assert material_of(kms, arn) != before


def test_a_key_rotates_on_demand_25_times(kms):
    arn = kms.key()
    kms.ask("EnableKeyRotation", KeyId=arn)
    planned = kms.ask("GetKeyRotationStatus", KeyId=arn)["NextRotationDate"]
    kms.clock.turn(days=1)
    materials = {material_of(kms, arn)}
    for _ in range(25):
        kms.ask("RotateKeyOnDemand", KeyId=arn)
        materials.add(material_of(kms, arn))
    assert len(materials) == 26
    assert kms.ask("GetKeyRotationStatus", KeyId=arn)["NextRotationDate"] == planned
    with refused("LimitExceededException"):
        kms.ask("RotateKeyOnDemand", KeyId=arn)
    first = kms.ask("ListKeyRotations", KeyId=arn, Limit=20)
    rest = kms.ask("ListKeyRotations", KeyId=arn, Limit=20, Marker=first["NextMarker"])
    assert (len(first["Rotations"]), len(rest["Rotations"]), rest["Truncated"]) == (20, 5, False)


@pytest.mark.parametrize("name", ["EnableKeyRotation", "DisableKeyRotation", "RotateKeyOnDemand", "ListKeyRotations"])
def test_key_pairs_do_not_rotate(kms, name):
    arn = kms.key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    with refused("UnsupportedOperationException"):
        kms.ask(name, KeyId=arn)
    assert kms.ask("GetKeyRotationStatus", KeyId=arn)["KeyRotationEnabled"] is False


# -- multi-Region keys ------------------------------------------------------------------------------------------------


def replicated(kms, **params):
    arn = kms.key(MultiRegion=True, **params)
    return arn, kms.ask("ReplicateKey", KeyId=arn, ReplicaRegion=FAR)["ReplicaKeyMetadata"]["Arn"]


def test_what_one_region_encrypts_the_other_decrypts(kms_on_each):
    kms = kms_on_each
    near, far = replicated(kms)
    assert far == near.replace(REGION, FAR)
    sealed = kms.ask("Encrypt", KeyId=near, Plaintext=b"x", EncryptionContext={"a": "1"})["CiphertextBlob"]
    opened = kms.ask("Decrypt", region=FAR, CiphertextBlob=sealed, EncryptionContext={"a": "1"})
    assert (opened["Plaintext"], opened["KeyId"]) == (b"x", far)
    back = kms.ask("Encrypt", region=FAR, KeyId=far, Plaintext=b"y")["CiphertextBlob"]
    assert kms.ask("Decrypt", CiphertextBlob=back)["KeyId"] == near


def test_related_keys_say_so_of_each_other(kms):
    near, far = replicated(kms)
    expected = {
        "PrimaryKey": {"Arn": near, "Region": REGION},
        "ReplicaKeys": [{"Arn": far, "Region": FAR}],
    }
    ours = kms.ask("DescribeKey", KeyId=near)["KeyMetadata"]["MultiRegionConfiguration"]
    theirs = kms.ask("DescribeKey", region=FAR, KeyId=far)["KeyMetadata"]["MultiRegionConfiguration"]
    assert ours == {"MultiRegionKeyType": "PRIMARY", **expected}
    assert theirs == {"MultiRegionKeyType": "REPLICA", **expected}


def test_a_replica_has_its_own_policy_tags_and_description(kms):
    arn = kms.key(MultiRegion=True, Description="near", Tags=[{"TagKey": "a", "TagValue": "1"}])
    own = policy({**EVERYTHING, "Principal": {"AWS": f"arn:aws:iam::{OWN}:root"}})
    answer = kms.ask(
        "ReplicateKey",
        KeyId=arn,
        ReplicaRegion=FAR,
        Policy=own,
        Description="far",
        Tags=[{"TagKey": "b", "TagValue": "2"}],
    )
    assert (answer["ReplicaPolicy"], answer["ReplicaTags"]) == (own, [{"TagKey": "b", "TagValue": "2"}])
    assert answer["ReplicaKeyMetadata"]["Description"] == "far"
    assert kms.ask("ListResourceTags", KeyId=arn)["Tags"] == [{"TagKey": "a", "TagValue": "1"}]


def test_a_replica_is_disabled_by_itself(kms):
    near, far = replicated(kms)
    kms.ask("DisableKey", region=FAR, KeyId=far)
    kms.ask("Encrypt", KeyId=near, Plaintext=b"x")
    with refused("DisabledException"):
        kms.ask("Encrypt", region=FAR, KeyId=far, Plaintext=b"x")


def test_a_rotation_reaches_every_region(kms):
    near, far = replicated(kms)
    before = material_of(kms, far, region=FAR)
    kms.ask("EnableKeyRotation", KeyId=near, RotationPeriodInDays=90)
    assert kms.ask("GetKeyRotationStatus", region=FAR, KeyId=far)["KeyRotationEnabled"] is True
    kms.clock.turn(days=90)
    assert kms.run_jobs() == 1
    assert material_of(kms, near) == material_of(kms, far, region=FAR) != before
    with refused("UnsupportedOperationException"):
        kms.ask("EnableKeyRotation", region=FAR, KeyId=far)


def test_old_versions_come_along_with_a_new_replica(kms):
    arn = kms.key(MultiRegion=True)
    sealed = kms.ask("Encrypt", KeyId=arn, Plaintext=b"x")["CiphertextBlob"]
    kms.ask("RotateKeyOnDemand", KeyId=arn)
    kms.ask("ReplicateKey", KeyId=arn, ReplicaRegion=FAR)
    assert kms.ask("Decrypt", region=FAR, CiphertextBlob=sealed)["Plaintext"] == b"x"


def test_the_primary_moves_and_its_rotation_with_it(kms):
    near, far = replicated(kms)
    kms.ask("EnableKeyRotation", KeyId=near, RotationPeriodInDays=90)
    kms.ask("UpdatePrimaryRegion", KeyId=near, PrimaryRegion=FAR)
    described = kms.ask("DescribeKey", KeyId=near)["KeyMetadata"]["MultiRegionConfiguration"]
    assert (described["MultiRegionKeyType"], described["PrimaryKey"]["Arn"]) == ("REPLICA", far)
    before = material_of(kms, near)
    kms.clock.turn(days=90)
    assert kms.run_jobs() == 1
    assert material_of(kms, near) != before
    with refused("UnsupportedOperationException"):
        kms.ask("UpdatePrimaryRegion", KeyId=near, PrimaryRegion=FAR)


def test_a_primary_is_deleted_after_its_last_replica(kms):
    near, far = replicated(kms)
    said = kms.ask("ScheduleKeyDeletion", KeyId=near, PendingWindowInDays=7)
    assert said == {"KeyId": near, "KeyState": "PendingReplicaDeletion", "PendingWindowInDays": 7}
    kms.clock.turn(days=40)
    assert kms.run_jobs() == 0
    kms.ask("ScheduleKeyDeletion", region=FAR, KeyId=far, PendingWindowInDays=7)
    kms.clock.turn(days=7)
    assert kms.run_jobs() == 1
    assert kms.state(near) == "PendingDeletion"
    kms.clock.turn(days=7)
    assert kms.run_jobs() == 1
    assert kms.sql("SELECT COUNT(*) FROM kms_key") == [(0,)]


@pytest.mark.parametrize(
    ("region", "code"), [(REGION, "AlreadyExistsException"), ("eu-north-1", "UnsupportedOperationException")]
)
def test_a_replica_has_a_region_of_its_own_that_is_served_here(kms, region, code):
    # the primary's region is served, so what is refused first is that the key is there
    with refused(code):
        kms.ask("ReplicateKey", KeyId=kms.key(MultiRegion=True), ReplicaRegion=region)


def test_only_a_primary_multi_region_key_is_replicated(kms):
    with refused("UnsupportedOperationException"):
        kms.ask("ReplicateKey", KeyId=kms.key(), ReplicaRegion=FAR)
    _, far = replicated(kms)
    with refused("UnsupportedOperationException"):
        kms.ask("ReplicateKey", region=FAR, KeyId=far, ReplicaRegion="ap-south-1")


def test_a_replica_needs_the_right_to_make_keys_in_its_region(kms):
    arn = kms.key(MultiRegion=True)
    near_only = {**EVERYTHING, "Condition": {"StringEquals": {"aws:RequestedRegion": REGION}}}
    ann = kms.may(user("ann"), near_only)
    with refused("AccessDeniedException"):
        kms.ask("ReplicateKey", caller=ann, KeyId=arn, ReplicaRegion=FAR, conditions={"aws:RequestedRegion": (REGION,)})


def test_imported_material_of_related_keys_must_be_the_same(kms):
    from tests.services.kms.test_importing import KEPT, wrap

    near, far = replicated(kms, Origin="EXTERNAL")
    assert kms.state(far, region=FAR) == "PendingImport"

    def bring_to(arn, region, material):
        given = kms.ask(
            "GetParametersForImport",
            region=region,
            KeyId=arn,
            WrappingAlgorithm="RSAES_OAEP_SHA_256",
            WrappingKeySpec="RSA_2048",
        )
        wrapped = wrap(given["PublicKey"], "RSAES_OAEP_SHA_256", material)
        kms.ask(
            "ImportKeyMaterial",
            region=region,
            KeyId=arn,
            ImportToken=given["ImportToken"],
            EncryptedKeyMaterial=wrapped,
            **KEPT,
        )

    bring_to(near, REGION, b"k" * 32)
    with refused("IncorrectKeyMaterialException"):
        bring_to(far, FAR, b"other" + b"k" * 27)
    bring_to(far, FAR, b"k" * 32)
    sealed = kms.ask("Encrypt", KeyId=near, Plaintext=b"x")["CiphertextBlob"]
    assert kms.ask("Decrypt", region=FAR, CiphertextBlob=sealed)["Plaintext"] == b"x"
