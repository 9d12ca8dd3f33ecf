"""The cryptography of KMS: how material is made, kept and used, one function per thing that a key can do.

Material is raw bytes for symmetric and HMAC keys and DER (PKCS #8) for the others. Public keys are DER
(SubjectPublicKeyInfo).
"""

import hashlib
import hmac
import os
from collections.abc import Callable
from typing import Any, Final, cast

from cryptography.exceptions import InvalidSignature as WrongSignature
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, mlkem, padding, rsa, utils
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from geumgo.sealing import Plaintext
from geumgo.services.kms.errors import (
    IncorrectKeyMaterial,
    InvalidCiphertext,
    InvalidSignature,
    ValidationFailed,
)

_RAW_BYTES: Final = {"SYMMETRIC_DEFAULT": 32, "HMAC_224": 28, "HMAC_256": 32, "HMAC_384": 48, "HMAC_512": 64}
_RSA_BITS: Final = {"RSA_2048": 2048, "RSA_3072": 3072, "RSA_4096": 4096}
_CURVES: Final[dict[str, Callable[[], ec.EllipticCurve]]] = {
    "ECC_NIST_P256": ec.SECP256R1,
    "ECC_NIST_P384": ec.SECP384R1,
    "ECC_NIST_P521": ec.SECP521R1,
    "ECC_SECG_P256K1": ec.SECP256K1,
}
_SIMPLE: Final[dict[str, Any]] = {
    "ECC_NIST_EDWARDS25519": ed25519.Ed25519PrivateKey,
    "ML_DSA_44": mldsa.MLDSA44PrivateKey,
    "ML_DSA_65": mldsa.MLDSA65PrivateKey,
    "ML_DSA_87": mldsa.MLDSA87PrivateKey,
    "ML_KEM_768": mlkem.MLKEM768PrivateKey,
    "ML_KEM_1024": mlkem.MLKEM1024PrivateKey,
}
_HASHES: Final[dict[str, hashes.HashAlgorithm]] = {
    "SHA_1": hashes.SHA1(),  # noqa: S303 - RSAES_OAEP_SHA_1 is AWS's; OAEP does not need collision resistance
    "SHA_256": hashes.SHA256(),
    "SHA_384": hashes.SHA384(),
    "SHA_512": hashes.SHA512(),
}
_MU_BYTES: Final = 64


def generate(spec: str) -> tuple[Plaintext, bytes]:
    """New material for a key of `spec`, and its public key (empty if it has none)."""
    if spec in _RAW_BYTES:
        return Plaintext(os.urandom(_RAW_BYTES[spec])), b""
    return _encoded(_new_private_key(spec))


def accept(spec: str, imported: bytes) -> tuple[Plaintext, bytes]:
    """Imported material of a key of `spec`, and its public key.

    Raises IncorrectKeyMaterial unless it is of the right length or, for a key pair, a private key of this spec as
    PKCS #8.

    Source: ImportKeyMaterial, API reference. Unverified: the message.
    """
    if spec in _RAW_BYTES:
        if len(imported) != _RAW_BYTES[spec]:
            raise IncorrectKeyMaterial(f"The key material does not fit the key spec {spec}.")
        return Plaintext(imported), b""
    try:
        private_key = serialization.load_der_private_key(imported, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise IncorrectKeyMaterial(f"The key material does not fit the key spec {spec}.") from None
    if not _is_of(spec, private_key):
        raise IncorrectKeyMaterial(f"The key material does not fit the key spec {spec}.")
    return _encoded(private_key)


def identify(key_id: str, material: Plaintext) -> str:
    """The id of this material of the key `key_id`: 64 hexadecimal digits that tell nothing of it."""
    return hmac.digest(material.reveal(), f"geumgo/kms/material-id/{key_id}".encode(), "sha256").hex()


def fingerprint(public: bytes) -> str:
    """A digest of a public key, to bind it to what is sealed."""
    return hashlib.sha256(public).hexdigest()


# -- RSA encryption ---------------------------------------------------------------------------------------------------


def rsa_limit(spec: str, algorithm: str) -> int:
    """How many bytes fit into one RSAES-OAEP encryption. Source: RFC 8017, section 7.1.1."""
    return _RSA_BITS[spec] // 8 - 2 * _hash_of(algorithm).digest_size - 2


def rsa_encrypt(public: bytes, algorithm: str, plaintext: bytes) -> bytes:
    """`plaintext`, which is no longer than `rsa_limit`, under the public key."""
    return cast("rsa.RSAPublicKey", serialization.load_der_public_key(public)).encrypt(plaintext, _oaep(algorithm))


def rsa_decrypt(secret: Plaintext, algorithm: str, ciphertext: bytes) -> bytes:
    """What was encrypted. Raises InvalidCiphertext, for whatever reason."""
    try:
        return cast("rsa.RSAPrivateKey", _private(secret)).decrypt(ciphertext, _oaep(algorithm))
    except ValueError:
        raise InvalidCiphertext from None


# -- signatures -------------------------------------------------------------------------------------------------------


def sign(secret: Plaintext, algorithm: str, message: bytes, message_type: str) -> bytes:
    """A signature: DER for ECDSA, raw bytes otherwise. `message` fits its type."""
    key = _private(secret)
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(message, _rsa_padding(algorithm), _prehashed(algorithm, message_type))
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(message, ec.ECDSA(_prehashed(algorithm, message_type)))
    if message_type == "EXTERNAL_MU":
        return bytes(cast("Any", key).sign_mu(message))
    return bytes(cast("Any", key).sign(message))


def verify(public: bytes, algorithm: str, message: bytes, message_type: str, signature: bytes) -> None:
    """Raises InvalidSignature unless the signature is good. `message` fits its type."""
    key = serialization.load_der_public_key(public)
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, message, _rsa_padding(algorithm), _prehashed(algorithm, message_type))
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, message, ec.ECDSA(_prehashed(algorithm, message_type)))
        elif message_type == "EXTERNAL_MU":
            cast("Any", key).verify_mu(signature, message)
        else:
            cast("Any", key).verify(signature, message)
    except (WrongSignature, ValueError):
        raise InvalidSignature from None


def refuse_message(algorithm: str, message: bytes, message_type: str) -> None:
    """Raises ValidationFailed unless the message fits its type.

    Source: Sign, API reference (which type goes with which algorithm). Unverified:

    the messages but that on the digest's length.
    """
    if message_type == "EXTERNAL_MU":
        if not algorithm.startswith("ML_DSA"):
            raise ValidationFailed(f"MessageType EXTERNAL_MU is incompatible with algorithm {algorithm}.")
        if len(message) != _MU_BYTES:
            raise ValidationFailed(f"Digest is invalid length for algorithm {algorithm}.")
    elif message_type == "DIGEST":
        if algorithm.startswith(("ML_DSA", "ED25519")):
            raise ValidationFailed(f"MessageType DIGEST is incompatible with algorithm {algorithm}.")
        if "SHA_" in algorithm and len(message) != _hash_of(algorithm).digest_size:
            raise ValidationFailed(f"Digest is invalid length for algorithm {algorithm}.")


# -- MACs, shared secrets, encapsulation ------------------------------------------------------------------------------


def mac(secret: Plaintext, algorithm: str, message: bytes) -> bytes:
    """The HMAC of `message` with HMAC_SHA_224, _256, _384 or _512."""
    return hmac.digest(secret.reveal(), message, algorithm.removeprefix("HMAC_").replace("_", "").lower())


def agree(secret: Plaintext, peer: bytes) -> bytes:
    """The raw ECDH secret with `peer`'s public key (DER). Raises ValidationFailed unless that key is on the same curve.

    Source: DeriveSharedSecret, API reference. Unverified: the message.
    """
    own = cast("ec.EllipticCurvePrivateKey", _private(secret))
    try:
        key = serialization.load_der_public_key(peer)
        if isinstance(key, ec.EllipticCurvePublicKey):
            return own.exchange(ec.ECDH(), key)
    except (ValueError, UnsupportedAlgorithm):
        pass
    raise ValidationFailed("The public key is not a valid public key for the key spec of the KMS key.")


def encapsulate(public: bytes) -> tuple[Plaintext, bytes]:
    """A fresh shared secret (32 bytes) and its ciphertext for the holder of an ML-KEM key."""
    shared, ciphertext = cast("Any", serialization.load_der_public_key(public)).encapsulate()
    return Plaintext(shared), ciphertext


def decapsulate(secret: Plaintext, ciphertext: bytes) -> Plaintext:
    """The shared secret in an ML-KEM ciphertext. Raises InvalidCiphertext if its length is wrong."""
    try:
        return Plaintext(cast("Any", _private(secret)).decapsulate(ciphertext))
    except ValueError:
        raise InvalidCiphertext from None


# -- keys -------------------------------------------------------------------------------------------------------------


def _new_private_key(spec: str) -> PrivateKeyTypes:
    if spec in _RSA_BITS:
        return rsa.generate_private_key(65537, _RSA_BITS[spec])
    if spec in _CURVES:
        return ec.generate_private_key(_CURVES[spec]())
    return cast("PrivateKeyTypes", _SIMPLE[spec].generate())


def _is_of(spec: str, key: PrivateKeyTypes) -> bool:
    if spec in _RSA_BITS:
        return isinstance(key, rsa.RSAPrivateKey) and key.key_size == _RSA_BITS[spec]
    if spec in _CURVES:
        return isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == _CURVES[spec]().name
    return isinstance(key, _SIMPLE[spec])


def _encoded(key: PrivateKeyTypes) -> tuple[Plaintext, bytes]:
    secret = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return Plaintext(secret), public


def _private(secret: Plaintext) -> PrivateKeyTypes:
    # unsafe_skip_rsa_key_validation: it was checked when it was made or imported, and has been authenticated since
    return serialization.load_der_private_key(secret.reveal(), None, unsafe_skip_rsa_key_validation=True)


def _hash_of(algorithm: str) -> hashes.HashAlgorithm:
    return _HASHES[algorithm[algorithm.rindex("SHA_") :]]


def _oaep(algorithm: str) -> padding.OAEP:
    return padding.OAEP(padding.MGF1(_hash_of(algorithm)), _hash_of(algorithm), None)


def _rsa_padding(algorithm: str) -> padding.AsymmetricPadding:
    """Source: "Asymmetric key specs", developer guide: the PSS salt is as long as the digest."""
    if "_PSS_" in algorithm:
        return padding.PSS(padding.MGF1(_hash_of(algorithm)), padding.PSS.DIGEST_LENGTH)
    return padding.PKCS1v15()


def _prehashed(algorithm: str, message_type: str) -> Any:
    chosen = _hash_of(algorithm)
    return utils.Prehashed(chosen) if message_type == "DIGEST" else chosen
