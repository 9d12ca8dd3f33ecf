from uuid import UUID

import pytest

from geumgo.sealing import Unsealable, dkgcm
from tests.services.kms.house import ADMIN, EVERYTHING, OTHER, OWN, REGION, policy, refused, user

CONTEXT = {"SecretARN": "arn:aws:secretsmanager:eu-west-1:111122223333:secret:db-AbCdEf", "SecretVersionId": "1"}


def test_what_was_encrypted_decrypts_without_naming_the_key(kms_on_each):
    kms = kms_on_each
    arn = kms.key()
    sealed = kms.ask("Encrypt", KeyId=arn, Plaintext=b"hello", EncryptionContext=CONTEXT)
    assert sealed["KeyId"] == arn
    opened = kms.ask("Decrypt", CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=CONTEXT)
    assert opened["Plaintext"] == b"hello"
    assert opened["KeyId"] == arn
    assert opened["EncryptionAlgorithm"] == "SYMMETRIC_DEFAULT"


@pytest.mark.parametrize("spelled", ["arn", "id", "alias", "alias arn"])
def test_a_key_answers_to_its_id_its_arn_its_alias_and_its_alias_arn(kms, spelled):
    arn = kms.key()
    kms.ask("CreateAlias", AliasName="alias/app", TargetKeyId=arn)
    names = {
        "arn": arn,
        "id": arn.split("/")[1],
        "alias": "alias/app",
        "alias arn": f"arn:aws:kms:{REGION}:{OWN}:alias/app",
    }
    sealed = kms.ask("Encrypt", KeyId=names[spelled], Plaintext=b"hello")["CiphertextBlob"]
    assert kms.ask("Decrypt", KeyId=names[spelled], CiphertextBlob=sealed)["Plaintext"] == b"hello"


def test_the_order_of_an_encryption_context_does_not_matter(kms):
    sealed = kms.ask("Encrypt", KeyId=kms.key(), Plaintext=b"x", EncryptionContext=CONTEXT)["CiphertextBlob"]
    turned = dict(reversed(CONTEXT.items()))
    assert kms.ask("Decrypt", CiphertextBlob=sealed, EncryptionContext=turned)["Plaintext"] == b"x"


@pytest.mark.parametrize(
    "other", [{}, {"SecretVersionId": "1"}, CONTEXT | {"SecretVersionId": "2"}, CONTEXT | {"more": ""},
              {"secretARN": CONTEXT["SecretARN"], "SecretVersionId": "1"}], ids=str,
)  # fmt: skip
def test_another_encryption_context_is_refused_without_a_word(kms, other):
    sealed = kms.ask("Encrypt", KeyId=kms.key(), Plaintext=b"x", EncryptionContext=CONTEXT)["CiphertextBlob"]
    with refused("InvalidCiphertextException", ""):
        kms.ask("Decrypt", CiphertextBlob=sealed, EncryptionContext=other)


def test_every_flipped_bit_is_refused_without_a_word(kms):
    arn = kms.key()
    sealed = kms.ask("Encrypt", KeyId=arn, Plaintext=b"x")["CiphertextBlob"]
    for position in range(0, len(sealed) * 8, 3):
        flipped = bytearray(sealed)
        flipped[position // 8] ^= 1 << position % 8
        with refused("InvalidCiphertextException", ""):
            kms.ask("Decrypt", CiphertextBlob=bytes(flipped))


@pytest.mark.parametrize("blob", [b"x", b"\x01\x01" + b"\0" * 200, b"not a ciphertext of ours" * 10])
def test_what_is_no_ciphertext_is_refused_without_a_word(kms, blob):
    arn = kms.key()
    with refused("InvalidCiphertextException", ""):
        kms.ask("Decrypt", CiphertextBlob=blob)
    with refused("InvalidCiphertextException", ""):
        kms.ask("Decrypt", CiphertextBlob=blob, KeyId=arn)


def test_another_key_than_the_one_that_encrypted_is_refused(kms):
    sealed = kms.ask("Encrypt", KeyId=kms.key(), Plaintext=b"x")["CiphertextBlob"]
    message = "The key ID in the request does not identify a CMK that can perform this operation."
    with refused("IncorrectKeyException", message):
        kms.ask("Decrypt", CiphertextBlob=sealed, KeyId=kms.key())


def test_a_ciphertext_of_one_key_does_not_open_as_anothers(kms):
    one, two = kms.key(), kms.key()
    sealed = bytearray(kms.ask("Encrypt", KeyId=one, Plaintext=b"x")["CiphertextBlob"])
    sealed[2:18] = bytes.fromhex(two.split("/")[1].replace("-", ""))
    with refused("InvalidCiphertextException", ""):
        kms.ask("Decrypt", CiphertextBlob=bytes(sealed))


@pytest.mark.parametrize(
    ("asked", "size"), [({"KeySpec": "AES_128"}, 16), ({"KeySpec": "AES_256"}, 32), ({"NumberOfBytes": 77}, 77)]
)
def test_a_data_key_has_the_size_that_was_asked_for_and_decrypts(kms, asked, size):
    arn = kms.key()
    made = kms.ask("GenerateDataKey", KeyId=arn, EncryptionContext=CONTEXT, **asked)
    assert len(made["Plaintext"]) == size
    opened = kms.ask("Decrypt", CiphertextBlob=made["CiphertextBlob"], EncryptionContext=CONTEXT)
    assert opened["Plaintext"] == made["Plaintext"]
    assert opened["KeyMaterialId"] == made["KeyMaterialId"]


def test_a_data_key_without_plaintext_decrypts(kms):
    made = kms.ask("GenerateDataKeyWithoutPlaintext", KeyId=kms.key(), KeySpec="AES_256")
    assert "Plaintext" not in made
    assert len(kms.ask("Decrypt", CiphertextBlob=made["CiphertextBlob"])["Plaintext"]) == 32


@pytest.mark.parametrize("asked", [{}, {"KeySpec": "AES_256", "NumberOfBytes": 32}])
def test_a_data_key_needs_one_of_spec_and_size(kms, asked):
    with refused("ValidationException", "Please specify either number of bytes or key spec."):
        kms.ask("GenerateDataKey", KeyId=kms.key(), **asked)


@pytest.mark.parametrize("spec", ["ECC_NIST_P256", "ECC_NIST_EDWARDS25519", "ECC_SECG_P256K1", "RSA_2048"])
def test_a_data_key_pair_comes_sealed_and_open(kms, spec):
    arn = kms.key()
    made = kms.ask("GenerateDataKeyPair", KeyId=arn, KeyPairSpec=spec)
    assert (
        kms.ask("Decrypt", CiphertextBlob=made["PrivateKeyCiphertextBlob"])["Plaintext"] == made["PrivateKeyPlaintext"]
    )
    assert "PrivateKeyPlaintext" not in kms.ask("GenerateDataKeyPairWithoutPlaintext", KeyId=arn, KeyPairSpec=spec)


def test_random_bytes_are_as_many_as_asked_for(kms):
    assert len(kms.ask("GenerateRandom", NumberOfBytes=1024)["Plaintext"]) == 1024
    with refused("ValidationException", "NumberOfBytes is required."):
        kms.ask("GenerateRandom")


def test_reencrypting_moves_a_ciphertext_to_another_key_and_context(kms):
    one, two = kms.key(), kms.key()
    sealed = kms.ask("Encrypt", KeyId=one, Plaintext=b"x", EncryptionContext={"a": "1"})["CiphertextBlob"]
    moved = kms.ask(
        "ReEncrypt", CiphertextBlob=sealed, SourceEncryptionContext={"a": "1"}, DestinationKeyId=two,
        DestinationEncryptionContext={"b": "2"},
    )  # fmt: skip
    assert (moved["SourceKeyId"], moved["KeyId"]) == (one, two)
    opened = kms.ask("Decrypt", CiphertextBlob=moved["CiphertextBlob"], EncryptionContext={"b": "2"})
    assert (opened["Plaintext"], opened["KeyId"]) == (b"x", two)


@pytest.mark.parametrize("algorithm", ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"])
def test_rsa_keys_encrypt_and_decrypt(kms, algorithm):
    arn = kms.key(KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")
    sealed = kms.ask("Encrypt", KeyId=arn, Plaintext=b"hello", EncryptionAlgorithm=algorithm)["CiphertextBlob"]
    opened = kms.ask("Decrypt", KeyId=arn, CiphertextBlob=sealed, EncryptionAlgorithm=algorithm)
    assert opened["Plaintext"] == b"hello"
    with refused("InvalidCiphertextException", ""):
        kms.ask("Decrypt", KeyId=arn, CiphertextBlob=sealed[::-1], EncryptionAlgorithm=algorithm)
    with refused("InvalidKeyUsageException", "Algorithm SYMMETRIC_DEFAULT is incompatible with key spec RSA_2048."):
        kms.ask("Encrypt", KeyId=arn, Plaintext=b"hello")


def test_rsa_keys_refuse_what_does_not_fit(kms):
    arn = kms.key(KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")
    message = "Algorithm RSAES_OAEP_SHA_256 and key spec RSA_2048 cannot encrypt data larger than 190 bytes."
    with refused("ValidationException", message):
        kms.ask("Encrypt", KeyId=arn, Plaintext=b"x" * 191, EncryptionAlgorithm="RSAES_OAEP_SHA_256")
    kms.ask("Encrypt", KeyId=arn, Plaintext=b"x" * 190, EncryptionAlgorithm="RSAES_OAEP_SHA_256")


def test_a_key_for_signing_does_not_encrypt(kms):
    arn = kms.key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    with refused("InvalidKeyUsageException", f"{arn} key usage is SIGN_VERIFY which is not valid for Encrypt."):
        kms.ask("Encrypt", KeyId=arn, Plaintext=b"x")


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("Encrypt", {"Plaintext": b"x"}),
        ("GenerateDataKey", {"KeySpec": "AES_256"}),
        ("GenerateDataKeyWithoutPlaintext", {"KeySpec": "AES_256"}),
        ("GenerateDataKeyPair", {"KeyPairSpec": "ECC_NIST_P256"}),
    ],
)
def test_a_dry_run_says_that_it_would_have_succeeded(kms, name, params):
    arn = kms.key()
    with refused("DryRunOperationException", "The request would have succeeded, but the DryRun option is set."):
        kms.ask(name, KeyId=arn, DryRun=True, **params)
    assert kms.ask("GetKeyLastUsage", KeyId=arn)["KeyLastUsage"] == {}


def test_a_dry_run_of_decrypt_checks_the_ciphertext_unless_told_to_ignore_it(kms):
    arn = kms.key()
    sealed = kms.ask("Encrypt", KeyId=arn, Plaintext=b"x")["CiphertextBlob"]
    with refused("DryRunOperationException"):
        kms.ask("Decrypt", CiphertextBlob=sealed, DryRun=True)
    with refused("InvalidCiphertextException"):
        kms.ask("Decrypt", CiphertextBlob=sealed[:-1], DryRun=True)
    with refused("DryRunOperationException"):
        kms.ask("Decrypt", KeyId=arn, DryRun=True, DryRunModifiers=["IGNORE_CIPHERTEXT"])
    with refused("ValidationException"):
        kms.ask("Decrypt", KeyId=arn)


def test_the_plaintext_is_nowhere_in_the_database(kms):
    arn = kms.key()
    data_key = kms.ask("GenerateDataKey", KeyId=arn, KeySpec="AES_256")["Plaintext"]
    with kms.storage.reading() as tx:
        rows = [row for table in ("kms_key", "kms_material") for row in tx.all(f"SELECT * FROM {table}")]
    assert rows
    assert all(data_key not in cell for row in rows for cell in row if isinstance(cell, bytes))


# -- who may ----------------------------------------------------------------------------------------------------------


def test_a_caller_without_a_policy_is_denied(kms):
    arn = kms.key()
    sealed = kms.ask("Encrypt", KeyId=arn, Plaintext=b"x")["CiphertextBlob"]
    ann = user("ann")
    for name, params in (("Encrypt", {"KeyId": arn, "Plaintext": b"x"}), ("Decrypt", {"CiphertextBlob": sealed})):
        denial = f"User: {ann.arn} is not authorized to perform: kms:{name} on resource: {arn} because no identity-based policy allows the kms:{name} action"
        with refused("AccessDeniedException", denial):
            kms.ask(name, caller=ann, **params)


def test_a_policy_on_the_encryption_context_decides(kms):
    arn = kms.key()
    only = {**EVERYTHING, "Condition": {"StringEquals": {"kms:EncryptionContext:SecretARN": CONTEXT["SecretARN"]}}}
    ann = kms.may(user("ann"), only)
    kms.ask("Encrypt", caller=ann, KeyId=arn, Plaintext=b"x", EncryptionContext=CONTEXT)
    with refused("AccessDeniedException"):
        kms.ask("Encrypt", caller=ann, KeyId=arn, Plaintext=b"x", EncryptionContext={"SecretARN": "other"})


def test_a_key_policy_alone_can_allow_and_without_it_identity_policies_give_nothing(kms):
    ann, bob = user("ann"), kms.may(user("bob"), EVERYTHING)
    named = policy({"Effect": "Allow", "Principal": {"AWS": [ann.arn, ADMIN.arn]}, "Action": "kms:*", "Resource": "*"})
    arn = kms.key(Policy=named)
    kms.ask("Encrypt", caller=ann, KeyId=arn, Plaintext=b"x")
    with refused("AccessDeniedException"):
        kms.ask("Encrypt", caller=bob, KeyId=arn, Plaintext=b"x")


def test_another_account_needs_the_key_policy_and_its_own(kms):
    far = user("far", OTHER)
    both = policy(
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{OWN}:root"}, "Action": "kms:*", "Resource": "*"},
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{OTHER}:root"}, "Action": ["kms:Encrypt", "kms:Decrypt"], "Resource": "*"},
    )  # fmt: skip
    arn = kms.key(Policy=both)
    with refused("AccessDeniedException"):
        kms.ask("Encrypt", caller=far, KeyId=arn, Plaintext=b"x")
    kms.may(far, EVERYTHING)
    sealed = kms.ask("Encrypt", caller=far, KeyId=arn, Plaintext=b"x")["CiphertextBlob"]
    assert kms.ask("Decrypt", caller=far, CiphertextBlob=sealed)["KeyId"] == arn
    with refused("AccessDeniedException"):
        kms.ask("DisableKey", caller=far, KeyId=arn)
    with refused("NotFoundException"):
        kms.ask("Encrypt", caller=far, KeyId=arn.split("/")[1], Plaintext=b"x")


def test_a_denied_decryption_does_not_tell_whether_the_key_exists(kms):
    ann = user("ann")
    sealed = kms.ask("Encrypt", KeyId=kms.key(), Plaintext=b"x")["CiphertextBlob"]
    unknown = sealed[:2] + bytes(16) + sealed[18:]
    unreadable = b"x" * len(sealed)
    for blob in (sealed, unknown):
        shown = kms_arn_in(blob)
        reason = "because no identity-based policy allows the kms:Decrypt action"
        with refused(
            "AccessDeniedException",
            f"User: {ann.arn} is not authorized to perform: kms:Decrypt on resource: {shown} {reason}",
        ):
            kms.ask("Decrypt", caller=ann, CiphertextBlob=blob)
    with refused("InvalidCiphertextException", ""):
        kms.ask("Decrypt", caller=ann, CiphertextBlob=unreadable)


def kms_arn_in(blob):
    return f"arn:aws:kms:{REGION}:{OWN}:key/{UUID(bytes=dkgcm.read_header(blob).key_id)}"


# -- forged rows ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "forgery",
    [
        "UPDATE kms_key SET policy = '{}'",
        "UPDATE kms_key SET state = 'Disabled'",
        "UPDATE kms_key SET account = '999988887777'",
        'UPDATE kms_key SET tags = \'{"owner":"ann"}\'',
        "UPDATE kms_key SET grants = 1",
        "UPDATE kms_key SET mac = (SELECT k.mac FROM kms_key k WHERE k.id <> kms_key.id)",
    ],
)
def test_a_forged_key_row_fails_closed(kms, forgery):
    arn = kms.key()
    kms.key(Description="another")
    kms.sql(forgery)
    with pytest.raises(Unsealable):
        kms.ask("Encrypt", KeyId=arn, Plaintext=b"x")


def test_an_alias_that_was_moved_from_outside_fails_closed(kms):
    one, two = kms.key(), kms.key()
    kms.ask("CreateAlias", AliasName="alias/app", TargetKeyId=one)
    kms.sql("UPDATE kms_alias SET key_id = :id", id=two.split("/")[1].replace("-", ""))
    with pytest.raises(Unsealable):
        kms.ask("Encrypt", KeyId="alias/app", Plaintext=b"x")


def test_material_that_was_moved_to_another_key_fails_closed(kms):
    one, two = (kms.key().split("/")[1].replace("-", "") for _ in range(2))
    sealed = kms.sql("SELECT sealed FROM kms_material WHERE key_id = :id", id=one)[0][0]
    kms.sql("UPDATE kms_material SET sealed = :sealed WHERE key_id = :id", sealed=sealed, id=two)
    with pytest.raises(Unsealable):
        kms.ask("Encrypt", KeyId=f"{two[:8]}-{two[8:12]}-{two[12:16]}-{two[16:20]}-{two[20:]}", Plaintext=b"x")
