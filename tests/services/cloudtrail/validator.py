"""Checks what a trail has delivered, written from AWS's published specification and from nothing of ours.

Source: "Custom implementations of CloudTrail log file integrity validation" and "CloudTrail digest file structure", CloudTrail User Guide.
"""

import gzip
import hashlib
import json
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa


@dataclass
class Verdict:
    """What was found. `problems` name the object that each is about."""

    digests: int = 0
    files: int = 0
    records: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def unpacked(path: Path) -> bytes | None:
    try:
        return gzip.decompress(path.read_bytes())
    except (OSError, EOFError, ValueError, zlib.error):
        return None


def signed_by(public: bytes, signature: str, message: bytes) -> bool:
    key = serialization.load_der_public_key(_spki(public))
    assert isinstance(key, rsa.RSAPublicKey)
    try:
        key.verify(bytes.fromhex(signature), message, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


def _spki(pkcs1: bytes) -> bytes:
    """SubjectPublicKeyInfo around an RSAPublicKey, as openssl is told to with -RSAPublicKey_in."""
    algorithm = bytes.fromhex("300d06092a864886f70d0101010500")
    bits = b"\x03" + _length(len(pkcs1) + 1) + b"\x00" + pkcs1
    return b"\x30" + _length(len(algorithm) + len(bits)) + algorithm + bits


def _length(size: int) -> bytes:
    if size < 128:
        return bytes([size])
    encoded = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(encoded)]) + encoded


def validate(bucket: Path, account: str, region: str, public_keys: dict[str, bytes], prefix: str = "") -> Verdict:
    """Walks from the newest digest back to the first one, and through every log file that they name."""
    verdict = Verdict()
    root = bucket / prefix / "AWSLogs" / account / "CloudTrail-Digest" / region
    names = sorted(root.rglob("*.json.gz"))
    if not names:
        return verdict
    wanted: Path | None = names[-1]
    expected: tuple[str, str] | None = None  # hash and signature, as the following digest has them
    while wanted is not None:
        shown = str(wanted.relative_to(bucket))
        content = unpacked(wanted)
        if content is None:
            verdict.problems.append(f"{shown}: cannot be read")
            return verdict
        verdict.digests += 1
        hashed = hashlib.sha256(content).hexdigest()
        metadata = json.loads(wanted.with_name(wanted.name + ".metadata.json").read_text())
        digest: dict[str, Any] = {}
        try:
            digest = json.loads(content)
            message = "\n".join(
                [digest["digestEndTime"], f"{bucket.name}/{shown}", hashed, digest["previousDigestSignature"] or "null"]
            )
            public = public_keys[digest["digestPublicKeyFingerprint"]]
            signed = signed_by(public, metadata["x-amz-meta-signature"], message.encode())
        except (ValueError, KeyError, TypeError):
            signed = False
        if not signed:
            verdict.problems.append(f"{shown}: signature verification failed")
            return verdict
        if expected is not None and expected != (hashed, metadata["x-amz-meta-signature"]):
            verdict.problems.append(f"{shown}: is not the digest that the following one names")
        if f"{bucket.name}/{shown}" != f"{digest['digestS3Bucket']}/{digest['digestS3Object']}":
            verdict.problems.append(f"{shown}: stands in another place than it says")
        for file in digest["logFiles"]:
            _check_file(bucket.parent / file["s3Bucket"] / file["s3Object"], file, verdict)
        before = digest["previousDigestS3Object"]
        wanted = bucket.parent / digest["previousDigestS3Bucket"] / before if before else None
        expected = (digest["previousDigestHashValue"], digest["previousDigestSignature"])
    return verdict


def _check_file(path: Path, file: dict[str, Any], verdict: Verdict) -> None:
    verdict.files += 1
    content = unpacked(path)
    if content is None or hashlib.sha256(content).hexdigest() != file["hashValue"]:
        verdict.problems.append(f"{file['s3Object']}: hash value does not match")
        return
    records = json.loads(content)["Records"]
    times = [record["eventTime"] for record in records]
    if (min(times), max(times)) != (file["oldestEventTime"], file["newestEventTime"]):
        verdict.problems.append(f"{file['s3Object']}: times do not match")
    verdict.records += records
