"""What KMS keeps, as frozen records."""

from collections.abc import Mapping
from dataclasses import dataclass, field

ENABLED = "Enabled"
DISABLED = "Disabled"
PENDING_DELETION = "PendingDeletion"
PENDING_IMPORT = "PendingImport"
PENDING_REPLICA_DELETION = "PendingReplicaDeletion"

OURS = "AWS_KMS"
EXTERNAL = "EXTERNAL"


@dataclass(frozen=True, slots=True)
class Key:
    """A KMS key in one region.

    `id` is 32 hexadecimal digits; `key_id` is the id as AWS writes it. `version` is the material that encrypts, 0 if
    there is none. `aliases` and `grants` (how many) repeat what their own tables say, so that one row is enough to
    decide on a request. A multi-Region key has one record per region with the same `id`; `primary_region` is empty
    for every other key.
    """

    partition: str
    region: str
    account: str
    id: str
    multi_region: bool
    primary_region: str
    spec: str
    usage: str
    origin: str
    manager: str  # AWS or CUSTOMER
    state: str
    description: str
    policy: str
    created_at_ms: int
    version: int = 0
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    grants: int = 0
    deletion_at_ms: int | None = None
    pending_window_days: int | None = None
    rotation_days: int | None = None  # period of the automatic rotation; None: off
    next_rotation_at_ms: int | None = None
    revision: int = 0
    key_id: str = field(init=False, repr=False, compare=False)
    arn: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key_id", spell(self.id, multi_region=self.multi_region))
        object.__setattr__(self, "arn", self.arn_in(self.region))

    def arn_in(self, region: str) -> str:
        """The ARN of the related key in another region."""
        return f"arn:{self.partition}:kms:{region}:{self.account}:key/{self.key_id}"

    def bound_to(self, context: Mapping[str, str]) -> dict[str, str]:
        """What a ciphertext under this key is bound to: the caller's encryption context, and the key.

        A multi-Region key decrypts in every region, so its region is left out.
        """
        bound = {f"context:{name}": value for name, value in context.items()}
        bound["key"] = self.arn_in("") if self.multi_region else self.arn
        return bound

    @property
    def is_primary(self) -> bool:
        return self.multi_region and self.region == self.primary_region


def spell(hexadecimal: str, *, multi_region: bool) -> str:
    """A key id as AWS writes it: a UUID, or `mrk-` and 32 digits for a multi-Region key."""
    if multi_region:
        return f"mrk-{hexadecimal}"
    h = hexadecimal
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


CURRENT = "CURRENT"
NON_CURRENT = "NON_CURRENT"
PENDING_ROTATION = "PENDING_ROTATION"


@dataclass(frozen=True, slots=True)
class Material:
    """One version of a key's material, from 1.

    `sealed` is None while imported material is missing; `public` is DER, or empty.
    """

    version: int
    material_id: str  # 64 hexadecimal digits: the same for the same material of the same key
    sealed: bytes | None
    public: bytes
    state: str
    made_at_ms: int
    rotation: str | None = None  # AUTOMATIC or ON_DEMAND: how it became current; None for the first
    rotated_at_ms: int | None = None
    expires_at_ms: int | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Alias:
    """A name for a key. `name` includes the prefix `alias/`; `key` is the id of the key, 32 hexadecimal digits."""

    account: str
    region: str
    name: str
    key: str
    created_at_ms: int
    updated_at_ms: int


@dataclass(frozen=True, slots=True)
class Grant:
    """A permission on one key. `id` is 64 hexadecimal digits.

    Principals are unique ids (users and roles), ARNs (accounts and sessions) or the host names of AWS services.
    """

    id: str
    region: str
    key: str
    issuer: str
    grantee: str
    retiring: str
    name: str
    operations: tuple[str, ...]
    equals: Mapping[str, str] | None
    subset: Mapping[str, str] | None
    source_arn: str | None
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class Usage:
    """The last successful cryptographic operation with a key, up to an hour late."""

    operation: str
    at_ms: int
    request_id: str
