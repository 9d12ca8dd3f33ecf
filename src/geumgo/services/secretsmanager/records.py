"""What is kept of a secret. The plaintext has no place in here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

Kind = Literal["string", "binary", "none"]

CURRENT: Final = "AWSCURRENT"
PREVIOUS: Final = "AWSPREVIOUS"
PENDING: Final = "AWSPENDING"


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret and its labels. Times are Unix milliseconds.

    `stages` maps each label to the version that wears it, so no label sits on two. `tags` None: it was never tagged. `kms_key_id` is the
    key as it was given; None: the default key of the account. `policy_hash` is empty if no resource policy is attached.
    """

    id: str
    partition: str
    account: str
    region: str
    name: str
    suffix: str
    created_token: str
    created_at_ms: int
    changed_at_ms: int
    description: str = ""
    kms_key_id: str | None = None
    deleted_at_ms: int | None = None
    purge_at_ms: int | None = None
    owning_service: str | None = None
    secret_type: str | None = None
    stages: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] | None = None
    policy_hash: str = ""
    revision: int = 1
    arn: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        arn = f"arn:{self.partition}:secretsmanager:{self.region}:{self.account}:secret:{self.name}-{self.suffix}"
        object.__setattr__(self, "arn", arn)

    def labels_of(self, version_id: str) -> list[str]:
        """The labels of a version, by code point. Source: recorded on AWS (the order)."""
        return sorted(label for label, worn_by in self.stages.items() if worn_by == version_id)

    def labels_by_version(self) -> dict[str, list[str]]:
        """Every version that wears a label, with its labels by code point."""
        return {version_id: self.labels_of(version_id) for version_id in dict.fromkeys(self.stages.values())}


@dataclass(frozen=True, slots=True)
class Wrapping:
    """A version's data key as KMS wrapped it. `is_default`: under the account's default key for Secrets Manager."""

    key_arn: str
    is_default: bool
    wrapped: bytes


@dataclass(frozen=True, slots=True)
class Version:
    """One value of a secret, sealed. `kind` "none": it waits for its value, and has neither ciphertext nor data key.

    `wrapping` is the newest one. `read_day_ms` is the midnight (UTC) of the day when it was read last, or None.
    """

    id: str
    kind: Kind
    ciphertext: bytes | None
    created_at_ms: int
    wrapping: Wrapping | None = None
    read_day_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """Where a secret would be found. `suffix` None: any (a name, or an ARN without its last seven characters)."""

    account: str
    region: str
    name: str
    suffix: str | None = None
