"""What a compiled policy is, and whether one of its statements speaks about a request."""

from dataclasses import dataclass

from geumgo.domain.policy.model import PolicyKind


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. `sid` is empty if it has none; `number` counts from 1 in the order of the document."""

    sid: str
    number: int
    allows: bool


@dataclass(frozen=True, slots=True)
class Policy:
    """A compiled policy document: immutable, and cheap to ask. `name` is for people: a policy's name or ARN."""

    document: str
    kind: PolicyKind
    name: str
    statements: tuple[Statement, ...]
