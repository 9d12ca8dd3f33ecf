"""What is kept of a parameter. The plaintext of a value has no place in here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

Kind = Literal["String", "StringList", "SecureString"]
Tier = Literal["Standard", "Advanced"]
Status = Literal["Pending", "Finished"]

SECURE: Final = "SecureString"
STANDARD: Final = "Standard"
ADVANCED: Final = "Advanced"
INTELLIGENT: Final = "Intelligent-Tiering"
PENDING: Final = "Pending"
FINISHED: Final = "Finished"


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy of a parameter: its JSON text as it was given, and whether it has done its work."""

    text: str
    status: Status = PENDING


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter without its values. Times are Unix milliseconds.

    `name` is as it was spelled at the creation, `path` begins with a slash: `a` and `/a` have the same path and are the same parameter.
    `labels` maps each label to the version that wears it, so no label sits on two. `expires_at_ms` is what an Expiration policy says.
    """

    id: str
    partition: str
    account: str
    region: str
    name: str
    path: str
    parent: str
    version: int
    changed_at_ms: int
    labels: Mapping[str, int] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    policies: tuple[Policy, ...] = ()
    expires_at_ms: int | None = None
    policy_id: str = ""
    policy_hash: str = ""
    revision: int = 1

    @property
    def arn(self) -> str:
        return f"arn:{self.partition}:ssm:{self.region}:{self.account}:parameter{self.path}"

    def labels_of(self, number: int) -> list[str]:
        """The labels of a version, by code point."""
        return sorted(label for label, worn_by in self.labels.items() if worn_by == number)


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a parameter. `sealed` is its value; `wrapped` the data key of a value that has one of its own.

    `key_id` is the KMS key as it was given, empty for what is no SecureString.
    """

    number: int
    kind: Kind
    tier: Tier
    data_type: str
    description: str
    allowed_pattern: str
    key_id: str
    policies: tuple[Policy, ...]
    sealed: bytes
    wrapped: bytes | None
    modified_at_ms: int
    modified_by: str


@dataclass(frozen=True, slots=True)
class Setting:
    """A service setting that somebody has changed."""

    id: str
    value: str
    modified_at_ms: int
    modified_by: str
