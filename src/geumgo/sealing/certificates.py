"""A private certificate authority: its own certificate, and those that it issues for names. P-256 throughout."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from geumgo.sealing.plaintext import Plaintext

AUTHORITY_DAYS: Final = 3_650
BACKDATED: Final = timedelta(hours=1)
"""How long before now a certificate is valid: for those whose clocks go slow."""
_LONGEST_COMMON_NAME: Final = 64


class BadCertificate(Exception):
    """A certificate that would not be accepted. The message says why, and holds no key."""


class Issued(NamedTuple):
    """A private key and the certificate of its public half, both as PEM."""

    private: Plaintext
    certificate: str


def new_authority(name: str, now_ms: int) -> Issued:
    """A root of its own, which may sign certificates but no further authorities, valid for ten years."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:_LONGEST_COMMON_NAME])])
    usage = _usage(signs_certificates=True)
    made = (
        _begun(subject, subject, key, now_ms, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Issued(_pem(key), made.public_bytes(serialization.Encoding.PEM).decode())


def issue(authority: Issued, names: Sequence[str], now_ms: int, days: int) -> Issued:
    """A new key, and a certificate for it that names the DNS names `names`, for servers and clients, valid for `days`."""
    signer = _authority_key(authority)
    root = x509.load_pem_x509_certificate(authority.certificate.encode())
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:_LONGEST_COMMON_NAME])])
    identifier = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    made = (
        _begun(subject, root.subject, key, now_ms, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(both), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(signer, hashes.SHA256())
    )
    return Issued(_pem(key), made.public_bytes(serialization.Encoding.PEM).decode())


def check(issued: Issued, authority: str, names: Sequence[str], now_ms: int) -> None:
    """The certificate is that of the key, was signed by the authority (PEM), names exactly `names`, and is valid now.

    Raises BadCertificate.
    """
    now = datetime.fromtimestamp(now_ms / 1_000, UTC)
    try:
        found = x509.load_pem_x509_certificate(issued.certificate.encode())
        root = x509.load_pem_x509_certificate(authority.encode())
        key = serialization.load_pem_private_key(issued.private.reveal(), None)
        found.verify_directly_issued_by(root)
        named = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        raise BadCertificate("The certificate was not issued by the authority.") from None
    if key.public_key() != found.public_key():
        raise BadCertificate("The certificate is not that of the private key.")
    if named.get_values_for_type(x509.DNSName) != list(names):
        raise BadCertificate("The certificate is for other names.")
    if not found.not_valid_before_utc <= now < found.not_valid_after_utc:
        raise BadCertificate("The certificate is not valid now.")


def _authority_key(authority: Issued) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(authority.private.reveal(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey), "what was sealed is a key of new_authority"
    return key


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now_ms: int, days: int
) -> x509.CertificateBuilder:
    now = datetime.fromtimestamp(now_ms // 1_000, UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(days=days))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> Plaintext:
    form = serialization.PrivateFormat.PKCS8
    return Plaintext(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
