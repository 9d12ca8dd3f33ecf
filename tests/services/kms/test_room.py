"""What is true of the room as a whole."""

import inspect

import pytest

from geumgo.errors import ServiceError
from geumgo.protocol.models import errors_of
from geumgo.services.kms import ROOM, errors
from geumgo.services.kms.domain import LISTED_AS, SPECS
from tests.services.kms.house import MODEL

REFUSALS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, ServiceError) and kind.__module__ == errors.__name__
]
CUSTOM_KEY_STORES = {
    "ConnectCustomKeyStore", "CreateCustomKeyStore", "DeleteCustomKeyStore", "DescribeCustomKeyStores", "DisconnectCustomKeyStore",
    "UpdateCustomKeyStore",
}  # fmt: skip


def test_every_operation_of_the_model_is_served_but_custom_key_stores():
    assert set(MODEL.operations) - set(ROOM.operations) == CUSTOM_KEY_STORES
    assert set(ROOM.operations) <= set(MODEL.operations)


@pytest.mark.parametrize("kind", REFUSALS, ids=lambda kind: kind.__name__)
def test_every_refusal_has_a_code_of_the_model(kind):
    off_model = {"NotAuthorizedException"}  # of the front end of AWS, as clients report it
    assert kind.code in errors_of("kms") | off_model
    assert kind.status == 400


@pytest.mark.parametrize("name", sorted(ROOM.operations))
def test_the_trail_keeps_known_members_and_no_secrets(name):
    access, model = ROOM.operations[name].access, MODEL.operations[name]
    assert model.input is not None
    assert set(access.recorded) <= set(model.input.members)
    assert set(access.answered) <= set(model.output.members if model.output else ())
    secret = {
        "Plaintext", "CiphertextBlob", "PrivateKeyPlaintext", "PrivateKeyCiphertextBlob", "SharedSecret", "GrantToken", "GrantTokens",
        "ImportToken", "EncryptedKeyMaterial", "Message", "Signature", "Mac", "SharedSecretCiphertextBlob", "CiphertextForRecipient",
    }  # fmt: skip
    assert not secret & {*access.recorded, *access.answered}


def test_specs_usages_and_algorithms_are_those_of_the_model():
    metadata = MODEL.operations["DescribeKey"].output.members["KeyMetadata"].shape  # type: ignore[union-attr]
    assert set(SPECS) <= set(metadata.members["KeySpec"].shape.enum)
    for usages in SPECS.values():
        for usage, algorithms in usages.items():
            assert usage in metadata.members["KeyUsage"].shape.enum
            assert set(algorithms) <= set(metadata.members[LISTED_AS[usage]].shape.member.shape.enum)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "name",
    [
        "Encrypt",
        "Decrypt",
        "ReEncrypt",
        "GenerateDataKey",
        "GenerateDataKeyWithoutPlaintext",
        "DescribeKey",
        "Sign",
        "GenerateMac",
    ],
)
def test_what_other_rooms_ask_while_they_read_does_not_write(name):
    assert ROOM.operations[name].writes is False
