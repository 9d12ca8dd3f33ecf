import os
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding

from geumgo.context import as_datetime
from tests.services.kms.house import private_key, public_key, refused

KEPT = {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}


def wrap(public, algorithm, material):
    """As a client would do it."""
    key = public_key(public)
    hashed = hashes.SHA1() if algorithm.endswith("SHA_1") else hashes.SHA256()
    oaep = padding.OAEP(padding.MGF1(hashed), hashed, None)
    if not algorithm.startswith("RSA_AES"):
        return key.encrypt(material, oaep)
    once = os.urandom(32)
    return key.encrypt(once, oaep) + aes_key_wrap_with_padding(once, material)


def parameters(kms, arn, algorithm="RSA_AES_KEY_WRAP_SHA_256", spec="RSA_2048", **how):
    return kms.ask("GetParametersForImport", KeyId=arn, WrappingAlgorithm=algorithm, WrappingKeySpec=spec, **how)


def bring(kms, arn, material, algorithm="RSA_AES_KEY_WRAP_SHA_256", *, given=None, **params):
    given = given or parameters(kms, arn, algorithm)
    wrapped = wrap(given["PublicKey"], algorithm, material)
    if "ValidTo" not in params:
        params = {**KEPT, **params}
    return kms.ask(
        "ImportKeyMaterial", KeyId=arn, ImportToken=given["ImportToken"], EncryptedKeyMaterial=wrapped, **params
    )


def external(kms, spec="SYMMETRIC_DEFAULT", usage="ENCRYPT_DECRYPT"):
    return kms.key(Origin="EXTERNAL", KeySpec=spec, KeyUsage=usage)


def der(key):
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize(
    "algorithm", ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "RSA_AES_KEY_WRAP_SHA_1", "RSA_AES_KEY_WRAP_SHA_256"]
)
def test_a_key_waits_for_its_material_and_works_with_it(kms_on_each, algorithm):
    kms = kms_on_each
    arn = external(kms)
    assert kms.state(arn) == "PendingImport"
    with refused("KMSInvalidStateException", f"{arn} is pending import."):
        kms.ask("Encrypt", KeyId=arn, Plaintext=b"x")
    bring(kms, arn, os.urandom(32), algorithm)
    described = kms.ask("DescribeKey", KeyId=arn)["KeyMetadata"]
    assert (described["KeyState"], described["Enabled"], described["ExpirationModel"]) == (
        "Enabled", True, "KEY_MATERIAL_DOES_NOT_EXPIRE",
    )  # fmt: skip
    sealed = kms.ask("Encrypt", KeyId=arn, Plaintext=b"x")["CiphertextBlob"]
    assert kms.ask("Decrypt", CiphertextBlob=sealed)["Plaintext"] == b"x"


@pytest.mark.parametrize(
    ("spec", "usage", "material"),
    [
        ("HMAC_512", "GENERATE_VERIFY_MAC", b"k" * 64),
        ("ECC_NIST_P256", "SIGN_VERIFY", der(ec.generate_private_key(ec.SECP256R1()))),
        ("ECC_SECG_P256K1", "SIGN_VERIFY", der(ec.generate_private_key(ec.SECP256K1()))),
        ("RSA_2048", "SIGN_VERIFY", der(rsa.generate_private_key(65537, 2048))),
    ],
)
def test_key_pairs_and_hmac_keys_can_be_imported(kms, spec, usage, material):
    arn = external(kms, spec, usage)
    bring(kms, arn, material)
    assert kms.state(arn) == "Enabled"
    if usage == "SIGN_VERIFY":
        public = private_key(material).public_key()
        expected = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        assert kms.ask("GetPublicKey", KeyId=arn)["PublicKey"] == expected


@pytest.mark.parametrize(
    ("spec", "usage", "material"),
    [
        ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", b"k" * 31),
        ("HMAC_256", "GENERATE_VERIFY_MAC", b"k" * 64),
        ("ECC_NIST_P256", "SIGN_VERIFY", der(ec.generate_private_key(ec.SECP384R1()))),
        ("ECC_NIST_P256", "SIGN_VERIFY", der(rsa.generate_private_key(65537, 2048))),
        ("RSA_3072", "SIGN_VERIFY", der(rsa.generate_private_key(65537, 2048))),
        ("ECC_NIST_P256", "SIGN_VERIFY", b"not a private key"),
    ],
)
def test_material_that_does_not_fit_the_key_is_refused(kms, spec, usage, material):
    arn = external(kms, spec, usage)
    with refused("IncorrectKeyMaterialException"):
        bring(kms, arn, material)
    assert kms.state(arn) == "PendingImport"


def test_material_is_taken_away_and_brought_again(kms):
    arn, material = external(kms), os.urandom(32)
    first = bring(kms, arn, material)
    sealed = kms.ask("Encrypt", KeyId=arn, Plaintext=b"x")["CiphertextBlob"]
    kms.ask("DeleteImportedKeyMaterial", KeyId=arn)
    assert kms.state(arn) == "PendingImport"
    assert kms.sql("SELECT sealed FROM kms_material") == [(None,)]
    with refused("KMSInvalidStateException", f"{arn} is pending import."):
        kms.ask("Decrypt", CiphertextBlob=sealed)
    with refused("IncorrectKeyMaterialException"):
        bring(kms, arn, os.urandom(32))
    assert bring(kms, arn, material)["KeyMaterialId"] == first["KeyMaterialId"]
    assert kms.ask("Decrypt", CiphertextBlob=sealed)["Plaintext"] == b"x"


def test_material_expires_by_itself(kms):
    arn, material = external(kms), os.urandom(32)
    until = as_datetime(kms.clock.now_ms() + 10 * 86_400_000)
    bring(kms, arn, material, ValidTo=until)
    assert kms.ask("DescribeKey", KeyId=arn)["KeyMetadata"]["ValidTo"] == until
    kms.clock.turn(days=5)
    bring(kms, arn, material, ValidTo=until + timedelta(days=10))
    kms.clock.turn(days=10)
    assert kms.run_jobs() == 0
    kms.clock.turn(days=5)
    assert kms.run_jobs() == 1
    assert kms.state(arn) == "PendingImport"
    bring(kms, arn, material)
    kms.clock.turn(days=400)
    assert kms.run_jobs() == 0
    assert kms.state(arn) == "Enabled"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"ExpirationModel": "KEY_MATERIAL_EXPIRES"},
            "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES",
        ),
        ({"ValidTo": as_datetime(0)}, None),
        ({"ValidTo": as_datetime(2_000_000_000_000)}, None),
        ({"ValidTo": as_datetime(1_790_100_000_000), **KEPT}, None),
    ],
    ids=str,
)
def test_an_expiry_that_cannot_be_is_refused(kms, params, message):
    with refused("ValidationException", message):
        bring(kms, external(kms), os.urandom(32), **params)


def test_a_token_is_good_for_its_key_for_a_day(kms):
    one, two = external(kms), external(kms)
    given = parameters(kms, one)
    with refused("InvalidImportTokenException"):
        bring(kms, two, os.urandom(32), given=given)
    with refused("InvalidImportTokenException"):
        bring(kms, one, os.urandom(32), given={**given, "ImportToken": b"x" * 300})
    with refused("InvalidCiphertextException"):
        bring(kms, one, os.urandom(32), given={**given, "PublicKey": parameters(kms, one)["PublicKey"]})
    kms.clock.turn(days=1)
    bring(kms, one, os.urandom(32), given=given)
    kms.clock.turn(ms=1)
    with refused("ExpiredImportTokenException"):
        bring(kms, one, os.urandom(32), given=given)


@pytest.mark.parametrize("name", ["GetParametersForImport", "ImportKeyMaterial", "DeleteImportedKeyMaterial"])
def test_only_keys_of_external_origin_take_material(kms, name):
    arn = kms.key()
    params: Any = {
        "GetParametersForImport": {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"},
        "ImportKeyMaterial": {"ImportToken": b"x", "EncryptedKeyMaterial": b"x"},
        "DeleteImportedKeyMaterial": {},
    }[name]
    with refused("UnsupportedOperationException", f"{arn} origin is AWS_KMS which is not valid for this operation."):
        kms.ask(name, KeyId=arn, **params)


@pytest.mark.parametrize(("algorithm", "spec"), [("RSAES_PKCS1_V1_5", "RSA_2048"), ("SM2PKE", "SM2")])
def test_weak_wrapping_is_not_offered(kms, algorithm, spec):
    with refused("UnsupportedOperationException"):
        parameters(kms, external(kms), algorithm, spec)


def test_new_material_waits_for_a_rotation_on_demand(kms):
    arn = external(kms)
    with refused("KMSInvalidStateException"):
        kms.ask("RotateKeyOnDemand", KeyId=arn)
    first = bring(kms, arn, os.urandom(32))
    sealed = kms.ask("Encrypt", KeyId=arn, Plaintext=b"x")["CiphertextBlob"]
    second = bring(kms, arn, os.urandom(32), ImportType="NEW_KEY_MATERIAL", KeyMaterialDescription="of 2027")
    assert kms.ask("GenerateDataKey", KeyId=arn, KeySpec="AES_256")["KeyMaterialId"] == first["KeyMaterialId"]
    with refused("KMSInvalidStateException"):
        bring(kms, arn, os.urandom(32), ImportType="NEW_KEY_MATERIAL")
    kms.ask("RotateKeyOnDemand", KeyId=arn)
    assert kms.ask("GenerateDataKey", KeyId=arn, KeySpec="AES_256")["KeyMaterialId"] == second["KeyMaterialId"]
    assert kms.ask("Decrypt", CiphertextBlob=sealed)["Plaintext"] == b"x"
    listed = kms.ask("ListKeyRotations", KeyId=arn, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]
    assert [(r["KeyMaterialState"], r["ImportState"]) for r in listed] == [
        ("NON_CURRENT", "IMPORTED"),
        ("CURRENT", "IMPORTED"),
    ]
    kms.ask("DeleteImportedKeyMaterial", KeyId=arn, KeyMaterialId=first["KeyMaterialId"])
    assert kms.state(arn) == "PendingImport"


def test_the_material_id_must_be_that_of_the_material(kms):
    with refused("IncorrectKeyMaterialException"):
        bring(kms, external(kms), os.urandom(32), KeyMaterialId="0" * 64)


def test_a_cancelled_deletion_leaves_a_key_without_material_waiting_for_it(kms):
    arn = external(kms)
    kms.ask("ScheduleKeyDeletion", KeyId=arn)
    kms.ask("CancelKeyDeletion", KeyId=arn)
    assert kms.state(arn) == "PendingImport"


def test_the_material_that_was_brought_is_nowhere_in_the_database(kms):
    material = os.urandom(32)
    bring(kms, external(kms), material)
    cells = [
        cell
        for table in ("kms_key", "kms_material", "job")
        for row in kms.sql(f"SELECT * FROM {table}")
        for cell in row
    ]
    assert all(material not in cell for cell in cells if isinstance(cell, bytes))
    assert all(material.hex() not in cell for cell in cells if isinstance(cell, str))
