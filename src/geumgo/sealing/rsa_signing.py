"""RSA signatures for those who check with nothing but AWS's published rules: the digest files of CloudTrail."""

import hashlib
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from geumgo.sealing.plaintext import Plaintext

BITS: Final = 2048
FINGERPRINT_HEX: Final = 32


@dataclass(frozen=True, slots=True)
class Pair:
    """A new key: the private half (DER, PKCS #8), the public half (DER, PKCS #1)."""

    private: Plaintext
    public: bytes


def new_pair() -> Pair:
    """A new RSA key of 2,048 bits. Takes some tenths of a second."""
    key = rsa.generate_private_key(65537, BITS)
    private = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    return Pair(Plaintext(private), public)


def sign(private: Plaintext, message: bytes) -> bytes:
    """The signature of `message`: RSASSA-PKCS1-v1_5 with SHA-256."""
    key = serialization.load_der_private_key(private.reveal(), None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(key, rsa.RSAPrivateKey), "what was sealed is a key of new_pair"
    return key.sign(message, padding.PKCS1v15(), hashes.SHA256())


def fingerprint(public: bytes) -> str:
    """What a public key is named by: 32 hexadecimal digits. Unverified: how AWS makes its own."""
    return hashlib.sha256(public).hexdigest()[:FINGERPRINT_HEX]
