"""Frozen records of what the room keeps."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["user", "group", "role"]


@dataclass(frozen=True, slots=True)
class Principal:
    """A user, a group or a role. `id` never changes and never comes back; `name` is for the edge.

    `boundary_id` is the id of a managed policy. `trust`, `description`, `max_session_s` and `serves` (the service that a
    service-linked role belongs to) are of roles only. `holdings` is the digest of what it holds. Sessions issued before
    `not_before_ms` are over.
    """

    id: str
    account: str
    kind: Kind
    name: str
    path: str
    created_at_ms: int
    tags: Mapping[str, str]
    boundary_id: str | None = None
    trust: str | None = None
    description: str | None = None
    max_session_s: int | None = None
    serves: str | None = None
    holdings: str = ""
    not_before_ms: int = 0
    revision: int = 0

    def arn(self, partition: str) -> str:
        return f"arn:{partition}:iam::{self.account}:{self.kind}{self.path}{self.name}"


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a principal holds: inline policies by name, ids of attached policies, ids of the groups that a user is in. All sorted."""

    inline: tuple[tuple[str, str], ...] = ()
    attached: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ManagedPolicy:
    """A managed policy. AWS's own have the account `aws`. `digest` is the SHA-256 of the default version's document."""

    id: str
    account: str
    name: str
    path: str
    description: str | None
    tags: Mapping[str, str]
    default_version: int
    next_version: int
    digest: str
    created_at_ms: int
    updated_at_ms: int
    revision: int = 0

    def arn(self, partition: str) -> str:
        return f"arn:{partition}:iam::{self.account}:policy{self.path}{self.name}"


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """One version of a managed policy. Numbers are never used twice."""

    policy_id: str
    number: int
    document: str
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A long-term access key. `sealed` is the wrapped secret; `used_*` its last mark of use, if there is one."""

    id: str
    account: str
    user_id: str
    status: str
    created_at_ms: int
    sealed: bytes
    used_at_ms: int | None = None
    used_service: str | None = None
    used_region: str | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """An account. `password_rules` None: AWS's defaults hold."""

    id: str
    alias: str | None
    password_rules: Mapping[str, int | bool] | None
    created_at_ms: int
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Login:
    """A user's password for the console, hashed. `earlier` holds the hashes before it, newest first."""

    user_id: str
    hashed: str
    earlier: tuple[str, ...]
    reset_required: bool
    created_at_ms: int
    changed_at_ms: int


@dataclass(frozen=True, slots=True)
class InstanceProfile:
    """An instance profile, with the id of its role if it has one."""

    id: str
    account: str
    name: str
    path: str
    tags: Mapping[str, str]
    role_id: str | None
    created_at_ms: int

    def arn(self, partition: str) -> str:
        return f"arn:{partition}:iam::{self.account}:instance-profile{self.path}{self.name}"


@dataclass(frozen=True, slots=True)
class Provider:
    """An OpenID Connect provider. `issuer` is its URL without the scheme; `jwks` is pinned by the operator (JSON text)."""

    account: str
    issuer: str
    audiences: tuple[str, ...]
    thumbprints: tuple[str, ...]
    tags: Mapping[str, str]
    jwks: str | None
    created_at_ms: int

    def arn(self, partition: str) -> str:
        return f"arn:{partition}:iam::{self.account}:oidc-provider/{self.issuer}"


@dataclass(frozen=True, slots=True)
class Device:
    """A virtual MFA device. `serial` is its ARN; `sealed` its wrapped seed. In use by `user_id` since `enabled_at_ms`, if at all.

    No code of `last_step` or a step before it is ever taken.
    """

    serial: str
    account: str
    user_id: str | None
    sealed: bytes
    tags: Mapping[str, str]
    created_at_ms: int
    enabled_at_ms: int | None = None
    last_step: int = 0
