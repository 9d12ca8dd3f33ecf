"""Signatures, MACs, shared secrets: what key pairs and HMAC keys do."""

import hmac

from geumgo.context import Context, Params
from geumgo.room import reads
from geumgo.services.kms import lookup, material, use
from geumgo.services.kms.domain import (
    AGREE,
    ENCAPSULATE,
    LISTED_AS,
    MAC,
    SIGN,
    SYMMETRIC,
    algorithms_of,
    refuse_algorithm,
    refuse_unusable,
    refuse_usage,
    refuse_without_material,
)
from geumgo.services.kms.errors import InvalidMac, UnsupportedOperation
from geumgo.services.kms.keys import OLD_SPECS
from geumgo.services.kms.records import Key, Material
from geumgo.services.kms.sealed import check_public, open_material
from geumgo.services.kms.tokens import refuse_tokens


def _ready(ctx: Context, params: Params, operation: str, usage: str, algorithm: str) -> tuple[Key, Material]:
    """The key that `operation` is done with, ready for it. Ends a dry run."""
    dry = use.prepare(ctx, params)
    key = lookup.get(ctx, params["KeyId"])
    refuse_usage(key, usage, operation)
    refuse_unusable(key)
    refuse_algorithm(key, algorithm)
    dry.end()
    use.note(ctx, key, operation)
    return lookup.current(ctx, params["KeyId"])


# -- signatures -------------------------------------------------------------------------------------------------------


@reads
def sign(ctx: Context, params: Params) -> Params:
    algorithm = params["SigningAlgorithm"]
    message, message_type = params["Message"], params.get("MessageType", "RAW")
    material.refuse_message(algorithm, message, message_type)
    key, version = _ready(ctx, params, "Sign", SIGN, algorithm)
    signature = material.sign(open_material(ctx, key, version), algorithm, message, message_type)
    return {"KeyId": key.arn, "Signature": signature, "SigningAlgorithm": algorithm}


@reads
def verify(ctx: Context, params: Params) -> Params:
    """Source: recorded on AWS: a wrong signature is an error, never a false."""
    algorithm = params["SigningAlgorithm"]
    message, message_type = params["Message"], params.get("MessageType", "RAW")
    material.refuse_message(algorithm, message, message_type)
    key, version = _ready(ctx, params, "Verify", SIGN, algorithm)
    material.verify(check_public(ctx, key, version), algorithm, message, message_type, params["Signature"])
    return {"KeyId": key.arn, "SignatureValid": True, "SigningAlgorithm": algorithm}


@reads
def get_public_key(ctx: Context, params: Params) -> Params:
    """Source: recorded on AWS: a disabled key still shows its public key. Unverified:

    the message for symmetric and HMAC keys.
    """
    refuse_tokens(ctx, params)
    key = lookup.get(ctx, params["KeyId"])
    if key.spec == SYMMETRIC or key.usage == MAC:
        raise UnsupportedOperation(f"{key.arn} key spec is {key.spec} which is not valid for GetPublicKey.")
    refuse_without_material(key)
    key, version = lookup.current(ctx, params["KeyId"])
    answer: Params = {
        "KeyId": key.arn,
        "PublicKey": check_public(ctx, key, version),
        "KeySpec": key.spec,
        "KeyUsage": key.usage,
        LISTED_AS[key.usage]: list(algorithms_of(key)),
    }
    if key.spec in OLD_SPECS:
        answer["CustomerMasterKeySpec"] = key.spec
    return answer


# -- MACs -------------------------------------------------------------------------------------------------------------


@reads
def generate_mac(ctx: Context, params: Params) -> Params:
    algorithm = params["MacAlgorithm"]
    key, version = _ready(ctx, params, "GenerateMac", MAC, algorithm)
    made = material.mac(open_material(ctx, key, version), algorithm, params["Message"])
    return {"KeyId": key.arn, "Mac": made, "MacAlgorithm": algorithm}


@reads
def verify_mac(ctx: Context, params: Params) -> Params:
    """Source: recorded on AWS: a wrong MAC is an error, never a false."""
    algorithm = params["MacAlgorithm"]
    key, version = _ready(ctx, params, "VerifyMac", MAC, algorithm)
    made = material.mac(open_material(ctx, key, version), algorithm, params["Message"])
    if not hmac.compare_digest(made, params["Mac"]):
        raise InvalidMac
    return {"KeyId": key.arn, "MacValid": True, "MacAlgorithm": algorithm}


# -- shared secrets ---------------------------------------------------------------------------------------------------


@reads
def derive_shared_secret(ctx: Context, params: Params) -> Params:
    use.refuse_recipient(params)
    algorithm = params["KeyAgreementAlgorithm"]
    key, version = _ready(ctx, params, "DeriveSharedSecret", AGREE, algorithm)
    secret = material.agree(open_material(ctx, key, version), params["PublicKey"])
    return {
        "KeyId": key.arn,
        "SharedSecret": secret,
        "KeyAgreementAlgorithm": algorithm,
        "KeyOrigin": key.origin,
    }


@reads
def encapsulate(ctx: Context, params: Params) -> Params:
    algorithm = params["EncapsulationAlgorithm"]
    key, version = _ready(ctx, params, "Encapsulate", ENCAPSULATE, algorithm)
    secret, ciphertext = material.encapsulate(check_public(ctx, key, version))
    return {
        "KeyId": key.arn,
        "SharedSecret": secret.reveal(),
        "SharedSecretCiphertextBlob": ciphertext,
        "EncapsulationAlgorithm": algorithm,
    }


@reads
def decapsulate(ctx: Context, params: Params) -> Params:
    algorithm = params["EncapsulationAlgorithm"]
    key, version = _ready(ctx, params, "Decapsulate", ENCAPSULATE, algorithm)
    secret = material.decapsulate(open_material(ctx, key, version), params["SharedSecretCiphertextBlob"])
    return {"KeyId": key.arn, "SharedSecret": secret.reveal(), "EncapsulationAlgorithm": algorithm}
