"""The rules of KMS as pure functions: key ids, key specs and their algorithms, states, markers."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from geumgo.services.kms.errors import (
    Disabled,
    InvalidAliasName,
    InvalidKeyUsage,
    InvalidMarker,
    InvalidState,
    NotAuthorized,
    NotFound,
    TagRefused,
    UnsupportedOperation,
    ValidationFailed,
)
from geumgo.services.kms.records import (
    DISABLED,
    OURS,
    PENDING_DELETION,
    PENDING_IMPORT,
    PENDING_REPLICA_DELETION,
    Grant,
    Key,
    spell,
)

DAY_MS: Final = 24 * 60 * 60 * 1000
CONTEXT_LIMIT_BYTES: Final = 8192
TAGS_LIMIT: Final = 50

# -- key ids ----------------------------------------------------------------------------------------------------------

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MULTI_REGION = re.compile(r"mrk-[0-9a-f]{32}")
_ALIAS = re.compile(r"alias/[a-zA-Z0-9:/_-]{1,250}")
_ARN = re.compile(r"arn:([a-z0-9-]+):kms:([a-z0-9-]+):([0-9]{12}):(?:key/([^/]+)|(alias/.+))", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Reference:
    """What a KeyId names: a key by its id, or an alias. Exactly one of `id` (32 hexadecimal digits) and `alias` is set."""

    account: str
    region: str
    id: str = ""
    multi_region: bool = False
    alias: str = ""
    by_arn: bool = False

    @property
    def resource(self) -> str:
        """The last part of its ARN."""
        return self.alias or f"key/{spell(self.id, multi_region=self.multi_region)}"


def parse_reference(text: str, *, account: str, region: str) -> Reference:
    """What `text` names: a key id, a key ARN, an alias name or an alias ARN. Names without an ARN are of `account` in `region`.

    Raises NotFound if it is none of these, or an ARN of another region.

    Source: recorded on AWS (both messages). Unverified: a malformed ARN is answered like a malformed id.
    """
    arn = _ARN.fullmatch(text)
    if arn is not None:
        _partition, arn_region, arn_account, key_id, alias = arn.groups()
        if arn_region != region:
            raise NotFound(f"Invalid arn {arn_region}")
        return _named(key_id or alias, text, account=arn_account, region=region, by_arn=True)
    return _named(text, text, account=account, region=region, by_arn=False)


def _named(name: str, text: str, *, account: str, region: str, by_arn: bool) -> Reference:
    if _UUID.fullmatch(name):
        return Reference(account, region, id=name.replace("-", ""), by_arn=by_arn)
    if _MULTI_REGION.fullmatch(name):
        return Reference(account, region, id=name[4:], multi_region=True, by_arn=by_arn)
    if _ALIAS.fullmatch(name):
        return Reference(account, region, alias=name, by_arn=by_arn)
    raise NotFound(f"Invalid keyId '{text}'")


def refuse_alias_name(name: str) -> None:
    """Raises unless an account may call an alias `name`.

    Source: recorded on AWS (the prefix); CreateAlias, API reference (the pattern, `alias/aws/`). Unverified: the code
    for `alias/aws/`.
    """
    if not name.startswith("alias/"):
        raise ValidationFailed(
            'Alias must start with the prefix "alias/". Please see '
            "https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html"
        )
    if name.startswith("alias/aws/"):
        raise NotAuthorized
    if not re.fullmatch(r"alias/[a-zA-Z0-9/_-]+", name):
        raise InvalidAliasName("Alias contains invalid characters for an alias")


# -- specs and algorithms ---------------------------------------------------------------------------------------------

ENCRYPT: Final = "ENCRYPT_DECRYPT"
SIGN: Final = "SIGN_VERIFY"
MAC: Final = "GENERATE_VERIFY_MAC"
AGREE: Final = "KEY_AGREEMENT"
ENCAPSULATE: Final = "ENCAPSULATE_DECAPSULATE"
SYMMETRIC: Final = "SYMMETRIC_DEFAULT"

_RSA = {
    ENCRYPT: ("RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"),
    SIGN: (
        "RSASSA_PKCS1_V1_5_SHA_256",
        "RSASSA_PKCS1_V1_5_SHA_384",
        "RSASSA_PKCS1_V1_5_SHA_512",
        "RSASSA_PSS_SHA_256",
        "RSASSA_PSS_SHA_384",
        "RSASSA_PSS_SHA_512",
    ),
}
_ML_DSA = {SIGN: ("ML_DSA_SHAKE_256",)}
_ML_KEM = {ENCAPSULATE: ("ML_KEM",)}

SPECS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    SYMMETRIC: {ENCRYPT: (SYMMETRIC,)},
    "RSA_2048": _RSA,
    "RSA_3072": _RSA,
    "RSA_4096": _RSA,
    "ECC_NIST_P256": {SIGN: ("ECDSA_SHA_256",), AGREE: ("ECDH",)},
    "ECC_NIST_P384": {SIGN: ("ECDSA_SHA_384",), AGREE: ("ECDH",)},
    "ECC_NIST_P521": {SIGN: ("ECDSA_SHA_512",), AGREE: ("ECDH",)},
    "ECC_SECG_P256K1": {SIGN: ("ECDSA_SHA_256",)},
    "ECC_NIST_EDWARDS25519": {SIGN: ("ED25519_SHA_512",)},
    "HMAC_224": {MAC: ("HMAC_SHA_224",)},
    "HMAC_256": {MAC: ("HMAC_SHA_256",)},
    "HMAC_384": {MAC: ("HMAC_SHA_384",)},
    "HMAC_512": {MAC: ("HMAC_SHA_512",)},
    "ML_DSA_44": _ML_DSA,
    "ML_DSA_65": _ML_DSA,
    "ML_DSA_87": _ML_DSA,
    "ML_KEM_768": _ML_KEM,
    "ML_KEM_1024": _ML_KEM,
}
"""What each key spec can be used for, and with which algorithms. Source: KeySpec, KeyUsage, botocore model 2014-11-01."""

LISTED_AS: Final = {
    ENCRYPT: "EncryptionAlgorithms",
    SIGN: "SigningAlgorithms",
    MAC: "MacAlgorithms",
    AGREE: "KeyAgreementAlgorithms",
    ENCAPSULATE: "EncapsulationAlgorithms",
}
"""Under which member of KeyMetadata the algorithms of a usage are listed."""

PAIR_SPECS: Final = frozenset(
    {
        "RSA_2048", "RSA_3072", "RSA_4096", "ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "ECC_SECG_P256K1",
        "ECC_NIST_EDWARDS25519", "ML_KEM_768", "ML_KEM_1024",
    }
)  # fmt: skip
"""The specs of which GenerateDataKeyPair makes pairs."""


def usage_of(spec: str, usage: str | None) -> str:
    """The usage of a new key.

    Raises UnsupportedOperation if we have no such spec, ValidationFailed if the usage is missing or does not fit.

    Source: CreateKey, API reference: only SYMMETRIC_DEFAULT has a default. Unverified: the messages.
    """
    usages = SPECS.get(spec)
    if usages is None:
        raise UnsupportedOperation(f"KeySpec {spec} is not supported.")
    if usage is None:
        if spec != SYMMETRIC:
            raise ValidationFailed(
                "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys."
            )
        return ENCRYPT
    if usage not in usages:
        raise ValidationFailed(f"KeyUsage {usage} is not compatible with KeySpec {spec}")
    return usage


def algorithms_of(key: Key) -> tuple[str, ...]:
    """The algorithms that the key may be used with."""
    return SPECS[key.spec][key.usage]


def refuse_algorithm(key: Key, algorithm: str) -> None:
    """Raises InvalidKeyUsage unless the key can be used with `algorithm`. Source: recorded on AWS."""
    if algorithm not in algorithms_of(key):
        raise InvalidKeyUsage(f"Algorithm {algorithm} is incompatible with key spec {key.spec}.")


def refuse_usage(key: Key, usage: str, operation: str) -> None:
    """Raises InvalidKeyUsage unless the key is for `usage`. Source: recorded on AWS."""
    if key.usage != usage:
        raise InvalidKeyUsage(f"{key.arn} key usage is {key.usage} which is not valid for {operation}.")


# -- states -----------------------------------------------------------------------------------------------------------

_AWAITING_DELETION = {
    PENDING_DELETION: "is pending deletion.",
    PENDING_REPLICA_DELETION: "is pending replica deletion.",
}


def refuse_deletion_pending(key: Key) -> None:
    """Raises InvalidState if the key waits for its deletion. Source: "Key states of AWS KMS keys", developer guide."""
    if key.state in _AWAITING_DELETION:
        raise InvalidState(f"{key.arn} {_AWAITING_DELETION[key.state]}")


def refuse_unusable(key: Key) -> None:
    """Raises unless the key is enabled. Source:

    "Key states of AWS KMS keys", developer guide; recorded on AWS (pending import).
    """
    refuse_deletion_pending(key)
    if key.state == PENDING_IMPORT:
        raise InvalidState(f"{key.arn} is pending import.")
    if key.state == DISABLED:
        raise Disabled(f"{key.arn} is disabled.")


def refuse_without_material(key: Key) -> None:
    """Raises if the key waits for its deletion or its material. A disabled key passes."""
    refuse_deletion_pending(key)
    if key.state == PENDING_IMPORT:
        raise InvalidState(f"{key.arn} is pending import.")


def refuse_other_origin(key: Key, origin: str) -> None:
    """Raises UnsupportedOperation unless the key's material has this origin. Source: "Key states", developer guide."""
    if key.origin != origin:
        raise UnsupportedOperation(f"{key.arn} origin is {key.origin} which is not valid for this operation.")


def refuse_unrotatable(key: Key) -> None:
    """Raises UnsupportedOperation unless the key can rotate by itself: a symmetric encryption key of our own material.

    Source: EnableKeyRotation, API reference. Unverified: the message for asymmetric and HMAC keys.
    """
    refuse_without_rotation(key)
    refuse_other_origin(key, OURS)


def refuse_without_rotation(key: Key) -> None:
    """Raises UnsupportedOperation unless a key of this kind can have several versions of its material. Unverified:

    the message.
    """
    if key.spec != SYMMETRIC:
        raise UnsupportedOperation(f"{key.arn} key spec is {key.spec} which is not valid for this operation.")


# -- texts, tags, contexts --------------------------------------------------------------------------------------------


def refuse_unstorable(member: str, text: str) -> None:
    """Raises ValidationFailed if the text cannot be kept: it holds NUL or half of a surrogate pair.

    Unverified: what AWS says to this.
    """
    if "\0" in text or (not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)):
        raise ValidationFailed(
            f"1 validation error detected: Value at '{member}' failed to satisfy constraint: Member must be valid UTF-8 text"
        )


def tags_of(listed: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Tags as a mapping.

    Raises TagRefused for twins, the prefix `aws:` and more than 50. Source: recorded on AWS (all three messages).
    """
    tags: dict[str, str] = {}
    for tag in listed:
        name, value = tag["TagKey"], tag["TagValue"]
        refuse_unstorable("tags", name + value)
        if name in tags:
            raise TagRefused("Duplicate tag keys")
        if name.lower().startswith("aws:"):
            raise TagRefused("Tags beginning with aws: are reserved")
        tags[name] = value
    refuse_many_tags(tags)
    return tags


def refuse_many_tags(tags: Mapping[str, str]) -> None:
    """Raises TagRefused if a key would have more than 50 tags."""
    if len(tags) > TAGS_LIMIT:
        raise TagRefused("Too many tags")


def refuse_context(context: Mapping[str, str]) -> None:
    """Raises ValidationFailed if an encryption context is too large (8,192 bytes in all) or is not text.

    Unverified: the limit counts the bytes of all names and values; the message.
    """
    text = "".join(context) + "".join(context.values())
    refuse_unstorable("encryptionContext", text)
    if len(text.encode()) > CONTEXT_LIMIT_BYTES:
        raise ValidationFailed(
            "1 validation error detected: Value at 'encryptionContext' failed to satisfy constraint: "
            f"Member must have length less than or equal to {CONTEXT_LIMIT_BYTES}"
        )


# -- paging -----------------------------------------------------------------------------------------------------------


def marker_after(name: str) -> str:
    """Where the next page begins: behind the item called `name`."""
    return urlsafe_b64encode(b"\x01" + name.encode()).decode()


def read_marker(marker: str | None) -> str:
    """The name behind which a page begins; empty for the first page.

    Raises InvalidMarker if no listing gave this marker.
    """
    if marker is None:
        return ""
    try:
        raw = urlsafe_b64decode(marker.encode("ascii"))
        name = raw[1:].decode()
    except ValueError:
        raise InvalidMarker from None
    if raw[:1] != b"\x01" or "\0" in name:
        raise InvalidMarker
    return name


# -- grants -----------------------------------------------------------------------------------------------------------

_ALWAYS = ("CreateGrant", "RetireGrant", "DescribeKey")

SYMMETRIC_GRANTS: Final = frozenset(
    {
        "Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo", *_ALWAYS,
    }
)  # fmt: skip
GRANTABLE: Final = {
    ENCRYPT: frozenset({"Decrypt", "Encrypt", "ReEncryptFrom", "ReEncryptTo", "GetPublicKey", *_ALWAYS}),
    SIGN: frozenset({"Sign", "Verify", "GetPublicKey", *_ALWAYS}),
    MAC: frozenset({"GenerateMac", "VerifyMac", *_ALWAYS}),
    AGREE: frozenset({"DeriveSharedSecret", "GetPublicKey", *_ALWAYS}),
    ENCAPSULATE: frozenset({"Encapsulate", "Decapsulate", "GetPublicKey", *_ALWAYS}),
}
"""What a grant may allow, by the usage of its key. Source: "Grants in AWS KMS", developer guide (grant operations)."""


def grant_covers(grant: Grant, operations: Collection[str], constraints: Mapping[str, Any]) -> bool:
    """Whether a grantee who may CreateGrant by `grant` may hand on these operations: no more than it allows, as narrowly bound.

    Source: "Grants in AWS KMS", developer guide (granting CreateGrant permission).
    """
    equals, subset = constraints.get("EncryptionContextEquals"), constraints.get("EncryptionContextSubset")
    if not set(operations) <= set(grant.operations):
        return False
    if grant.source_arn is not None and constraints.get("SourceArn") != grant.source_arn:
        return False
    if grant.equals is not None and equals != grant.equals:
        return False
    if grant.subset is None:
        return True
    narrower = equals if equals is not None else subset
    return narrower is not None and all(narrower.get(name) == value for name, value in grant.subset.items())


_ACCOUNT = re.compile(r"[0-9]{12}")


def is_account(text: str) -> bool:
    return _ACCOUNT.fullmatch(text) is not None


def grant_permits(
    grant: Grant, operation: str, principals: Collection[str], context: Mapping[str, str], sources: Collection[str]
) -> bool:
    """Whether `grant` allows `operation` to somebody who is called by any of `principals`, with this encryption context.

    `sources` are the ARNs of the resources for which an AWS service asks (`aws:SourceArn`).

    The constraints bind the operations that take an encryption context; CreateGrant, RetireGrant and DescribeKey take
    none.

    Source: GrantConstraints, API reference.
    """
    if operation not in grant.operations or grant.grantee not in principals:
        return False
    if grant.source_arn is not None and grant.source_arn not in sources:
        return False
    if operation in _ALWAYS:
        return True
    if grant.equals is not None and dict(grant.equals) != dict(context):
        return False
    return grant.subset is None or all(context.get(name) == value for name, value in grant.subset.items())
