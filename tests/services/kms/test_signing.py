import hashlib
import hmac

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, padding, utils

from tests.services.kms.house import public_key, refused

MESSAGE = b"the message that is signed"
RSA = ["RSASSA_PKCS1_V1_5_SHA_256", "RSASSA_PKCS1_V1_5_SHA_384", "RSASSA_PKCS1_V1_5_SHA_512",
       "RSASSA_PSS_SHA_256", "RSASSA_PSS_SHA_384", "RSASSA_PSS_SHA_512"]  # fmt: skip
PAIRS = [("RSA_2048", algorithm) for algorithm in RSA] + [
    ("ECC_NIST_P256", "ECDSA_SHA_256"), ("ECC_NIST_P384", "ECDSA_SHA_384"), ("ECC_NIST_P521", "ECDSA_SHA_512"),
    ("ECC_SECG_P256K1", "ECDSA_SHA_256"), ("ECC_NIST_EDWARDS25519", "ED25519_SHA_512"),
    ("ML_DSA_44", "ML_DSA_SHAKE_256"), ("ML_DSA_65", "ML_DSA_SHAKE_256"), ("ML_DSA_87", "ML_DSA_SHAKE_256"),
]  # fmt: skip


def signing_key(kms, spec):
    return kms.key(KeySpec=spec, KeyUsage="SIGN_VERIFY")


def digest_of(algorithm):
    name = algorithm[-7:].replace("SHA_", "sha")
    return name, hashlib.new(name, MESSAGE).digest()


def check_independently(public, algorithm, signature):
    """As a client would do it, with the public key alone."""
    key = public_key(public)
    chosen = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}
    if algorithm.startswith("RSA"):
        hashed = chosen[digest_of(algorithm)[0]]
        pss = padding.PSS(padding.MGF1(hashed), hashed.digest_size)
        key.verify(signature, MESSAGE, pss if "PSS" in algorithm else padding.PKCS1v15(), hashed)
    elif algorithm.startswith("ECDSA"):
        key.verify(signature, MESSAGE, ec.ECDSA(chosen[digest_of(algorithm)[0]]))
    else:
        key.verify(signature, MESSAGE)


@pytest.mark.parametrize(("spec", "algorithm"), PAIRS)
def test_a_signature_verifies_here_and_with_the_public_key_alone(kms, spec, algorithm):
    arn = signing_key(kms, spec)
    made = kms.ask("Sign", KeyId=arn, Message=MESSAGE, SigningAlgorithm=algorithm)
    assert (made["KeyId"], made["SigningAlgorithm"]) == (arn, algorithm)
    public = kms.ask("GetPublicKey", KeyId=arn)
    assert (public["KeySpec"], public["KeyUsage"]) == (spec, "SIGN_VERIFY")
    check_independently(public["PublicKey"], algorithm, made["Signature"])
    same = {"KeyId": arn, "SigningAlgorithm": algorithm, "Signature": made["Signature"]}
    assert kms.ask("Verify", Message=MESSAGE, **same)["SignatureValid"] is True
    with refused("KMSInvalidSignatureException", ""):
        kms.ask("Verify", Message=MESSAGE + b".", **same)
    with refused("KMSInvalidSignatureException", ""):
        kms.ask("Verify", Message=MESSAGE, **same | {"Signature": made["Signature"][:-1]})
    with pytest.raises((InvalidSignature, ValueError)):
        check_independently(public["PublicKey"], algorithm, made["Signature"][::-1])


@pytest.mark.parametrize(("spec", "algorithm"), [p for p in PAIRS if p[1].startswith(("RSA", "ECDSA"))])
def test_a_digest_is_signed_like_its_message(kms, spec, algorithm):
    arn = signing_key(kms, spec)
    digest = {"Message": digest_of(algorithm)[1], "MessageType": "DIGEST"}
    made = kms.ask("Sign", KeyId=arn, SigningAlgorithm=algorithm, **digest)["Signature"]
    check_independently(kms.ask("GetPublicKey", KeyId=arn)["PublicKey"], algorithm, made)
    kms.ask("Verify", KeyId=arn, SigningAlgorithm=algorithm, Signature=made, **digest)
    with refused("ValidationException", f"Digest is invalid length for algorithm {algorithm}."):
        kms.ask("Sign", KeyId=arn, SigningAlgorithm=algorithm, Message=b"short", MessageType="DIGEST")


def test_ecdsa_signatures_are_der(kms):
    made = kms.ask("Sign", KeyId=signing_key(kms, "ECC_NIST_P256"), Message=MESSAGE, SigningAlgorithm="ECDSA_SHA_256")
    assert utils.encode_dss_signature(*utils.decode_dss_signature(made["Signature"])) == made["Signature"]


@pytest.mark.parametrize("spec", ["ML_DSA_44", "ML_DSA_65", "ML_DSA_87"])
def test_ml_dsa_signs_an_external_mu_like_its_message(kms, spec):
    arn = signing_key(kms, spec)
    public = kms.ask("GetPublicKey", KeyId=arn)["PublicKey"]
    raw = public_key(public).public_bytes_raw()
    mu = hashlib.shake_256(hashlib.shake_256(raw).digest(64) + b"\0\0" + MESSAGE).digest(64)
    made = kms.ask("Sign", KeyId=arn, Message=mu, MessageType="EXTERNAL_MU", SigningAlgorithm="ML_DSA_SHAKE_256")[
        "Signature"
    ]
    check_independently(public, "ML_DSA_SHAKE_256", made)
    verified = {"KeyId": arn, "SigningAlgorithm": "ML_DSA_SHAKE_256", "Signature": made}
    kms.ask("Verify", Message=MESSAGE, **verified)
    kms.ask("Verify", Message=mu, MessageType="EXTERNAL_MU", **verified)


@pytest.mark.parametrize(
    ("spec", "algorithm", "message_type", "code"),
    [
        ("RSA_2048", "ECDSA_SHA_256", "RAW", "InvalidKeyUsageException"),
        ("ECC_NIST_P256", "ECDSA_SHA_384", "RAW", "InvalidKeyUsageException"),
        ("ECC_NIST_EDWARDS25519", "ED25519_PH_SHA_512", "RAW", "InvalidKeyUsageException"),
        ("ECC_NIST_EDWARDS25519", "ED25519_SHA_512", "DIGEST", "ValidationException"),
        ("ML_DSA_44", "ML_DSA_SHAKE_256", "DIGEST", "ValidationException"),
        ("ML_DSA_44", "ML_DSA_SHAKE_256", "EXTERNAL_MU", "ValidationException"),
        ("ECC_NIST_P256", "ECDSA_SHA_256", "EXTERNAL_MU", "ValidationException"),
    ],
)
def test_what_does_not_go_together_is_refused(kms, spec, algorithm, message_type, code):
    with refused(code):
        kms.ask(
            "Sign", KeyId=signing_key(kms, spec), Message=MESSAGE, MessageType=message_type, SigningAlgorithm=algorithm
        )


def test_a_key_is_used_for_its_usage_only(kms):
    symmetric = kms.key()
    mac_key = kms.key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
    with refused(
        "InvalidKeyUsageException", f"{symmetric} key usage is ENCRYPT_DECRYPT which is not valid for GenerateMac."
    ):
        kms.ask("GenerateMac", KeyId=symmetric, Message=MESSAGE, MacAlgorithm="HMAC_SHA_256")
    with refused(
        "InvalidKeyUsageException", f"{mac_key} key usage is GENERATE_VERIFY_MAC which is not valid for Sign."
    ):
        kms.ask("Sign", KeyId=mac_key, Message=MESSAGE, SigningAlgorithm="ECDSA_SHA_256")
    for arn in (symmetric, mac_key):
        with refused("UnsupportedOperationException"):
            kms.ask("GetPublicKey", KeyId=arn)


@pytest.mark.parametrize(("bits", "size"), [(224, 28), (256, 32), (384, 48), (512, 64)])
def test_a_mac_verifies_for_its_message_only(kms_on_each, bits, size):
    kms = kms_on_each
    arn = kms.key(KeySpec=f"HMAC_{bits}", KeyUsage="GENERATE_VERIFY_MAC")
    params = {"KeyId": arn, "MacAlgorithm": f"HMAC_SHA_{bits}"}
    made = kms.ask("GenerateMac", Message=MESSAGE, **params)["Mac"]
    assert len(made) == size
    assert kms.ask("VerifyMac", Message=MESSAGE, Mac=made, **params)["MacValid"] is True
    for message, mac in ((MESSAGE + b".", made), (MESSAGE, made[:-1]), (MESSAGE, made[:-1] + bytes([made[-1] ^ 1]))):
        with refused("KMSInvalidMacException", ""):
            kms.ask("VerifyMac", Message=message, Mac=mac, **params)
    wrong = "HMAC_SHA_256" if bits != 256 else "HMAC_SHA_512"
    with refused("InvalidKeyUsageException", f"Algorithm {wrong} is incompatible with key spec HMAC_{bits}."):
        kms.ask("GenerateMac", Message=MESSAGE, **params | {"MacAlgorithm": wrong})


@pytest.mark.parametrize(
    ("spec", "curve"),
    [("ECC_NIST_P256", ec.SECP256R1()), ("ECC_NIST_P384", ec.SECP384R1()), ("ECC_NIST_P521", ec.SECP521R1())],
)
def test_both_sides_derive_one_shared_secret(kms, spec, curve):
    arn = kms.key(KeySpec=spec, KeyUsage="KEY_AGREEMENT")
    ours = public_key(kms.ask("GetPublicKey", KeyId=arn)["PublicKey"])
    theirs = ec.generate_private_key(curve)
    der = theirs.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    answer = kms.ask("DeriveSharedSecret", KeyId=arn, KeyAgreementAlgorithm="ECDH", PublicKey=der)
    assert answer["SharedSecret"] == theirs.exchange(ec.ECDH(), ours)
    assert (answer["KeyId"], answer["KeyOrigin"]) == (arn, "AWS_KMS")
    other = ec.generate_private_key(ec.SECP256K1()).public_key()
    strange = other.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    for public in (strange, b"not a key", der[:-1]):
        with refused("ValidationException"):
            kms.ask("DeriveSharedSecret", KeyId=arn, KeyAgreementAlgorithm="ECDH", PublicKey=public)


@pytest.mark.parametrize("spec", ["ML_KEM_768", "ML_KEM_1024"])
def test_an_encapsulated_secret_comes_out_again(kms, spec):
    arn = kms.key(KeySpec=spec, KeyUsage="ENCAPSULATE_DECAPSULATE")
    params = {"KeyId": arn, "EncapsulationAlgorithm": "ML_KEM"}
    made = kms.ask("Encapsulate", **params)
    opened = kms.ask("Decapsulate", SharedSecretCiphertextBlob=made["SharedSecretCiphertextBlob"], **params)
    assert opened["SharedSecret"] == made["SharedSecret"]
    public = public_key(kms.ask("GetPublicKey", KeyId=arn)["PublicKey"])
    assert isinstance(public, mlkem.MLKEM768PublicKey | mlkem.MLKEM1024PublicKey)
    shared, ciphertext = public.encapsulate()
    assert kms.ask("Decapsulate", SharedSecretCiphertextBlob=ciphertext, **params)["SharedSecret"] == shared
    with refused("InvalidCiphertextException", ""):
        kms.ask("Decapsulate", SharedSecretCiphertextBlob=b"short", **params)


@pytest.mark.parametrize(
    ("spec", "usage", "name", "params"),
    [
        ("ECC_NIST_P256", "SIGN_VERIFY", "Sign", {"Message": b"x", "SigningAlgorithm": "ECDSA_SHA_256"}),
        (
            "ECC_NIST_P256",
            "SIGN_VERIFY",
            "Verify",
            {"Message": b"x", "SigningAlgorithm": "ECDSA_SHA_256", "Signature": b"x"},
        ),
        ("HMAC_256", "GENERATE_VERIFY_MAC", "GenerateMac", {"Message": b"x", "MacAlgorithm": "HMAC_SHA_256"}),
        (
            "HMAC_256",
            "GENERATE_VERIFY_MAC",
            "VerifyMac",
            {"Message": b"x", "MacAlgorithm": "HMAC_SHA_256", "Mac": b"x"},
        ),
        ("ECC_NIST_P256", "KEY_AGREEMENT", "DeriveSharedSecret", {"KeyAgreementAlgorithm": "ECDH", "PublicKey": b"x"}),
        ("ML_KEM_768", "ENCAPSULATE_DECAPSULATE", "Encapsulate", {"EncapsulationAlgorithm": "ML_KEM"}),
    ],
)
def test_a_disabled_key_refuses_and_a_dry_run_does_nothing(kms, spec, usage, name, params):
    arn = kms.key(KeySpec=spec, KeyUsage=usage)
    with refused("DryRunOperationException"):
        kms.ask(name, KeyId=arn, DryRun=True, **params)
    kms.ask("DisableKey", KeyId=arn)
    with refused("DisabledException", f"{arn} is disabled."):
        kms.ask(name, KeyId=arn, **params)


def test_a_disabled_key_still_shows_its_public_key(kms):
    arn = signing_key(kms, "ECC_NIST_P256")
    kms.ask("DisableKey", KeyId=arn)
    assert kms.ask("GetPublicKey", KeyId=arn)["PublicKey"]


def test_the_mac_is_the_one_of_the_standard(kms):
    arn = kms.key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC", Origin="EXTERNAL")
    from tests.services.kms.test_importing import bring

    bring(kms, arn, b"k" * 32)
    made = kms.ask("GenerateMac", KeyId=arn, Message=MESSAGE, MacAlgorithm="HMAC_SHA_256")["Mac"]
    assert made == hmac.digest(b"k" * 32, MESSAGE, "sha256")
